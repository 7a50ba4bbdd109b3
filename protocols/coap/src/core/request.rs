//! Requests: what is asked of a server.

use std::time::Duration;

use crate::codec::{Code, ContentFormat, IntoTarget, Message, OptionNumber, Scheme, Target, Uri};
use crate::error::RequestError;

/// Responses that a server may keep to itself (RFC 7967).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoResponse(u8);

impl NoResponse {
    /// Those that tell of success (2.xx).
    pub const SUCCESS: Self = Self(2);
    /// Those that tell of the client's errors (4.xx).
    pub const CLIENT_ERROR: Self = Self(8);
    /// Those that tell of the server's errors (5.xx).
    pub const SERVER_ERROR: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(26);

    /// Whether a response with this code is not wanted.
    #[cfg(any(test, feature = "server"))]
    pub(crate) fn covers(self, code: Code) -> bool {
        code.is_response() && self.0 & 1 << (code.class() - 1) != 0
    }

    /// Of the option's value.
    #[cfg(feature = "server")]
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

impl std::ops::BitOr for NoResponse {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request: a method, a target, and what else is to be said.
///
/// Everything is checked when it is given, so that nothing is sent that is not a request.
///
/// ```
/// use jackfield_coap::codec::ContentFormat;
/// use jackfield_coap::core::Request;
///
/// let request = Request::put("/light?room=attic")?
///     .with_payload("on", ContentFormat::TEXT_PLAIN)
///     .with_if_match(b"v1")?
///     .non_confirmable();
/// # let _ = request;
/// # Ok::<(), jackfield_coap::RequestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) message: Message,
    pub(crate) confirmable: bool,
    pub(crate) timeout: Option<Duration>,
}

impl Request {
    /// A request by any method.
    ///
    /// # Errors
    /// Where the code is no method's, or the text no target.
    pub fn new(method: Code, target: impl IntoTarget) -> Result<Self, RequestError> {
        if !method.is_request() {
            return Err(RequestError::InvalidRequest("the code is no method's"));
        }
        let target = target.into_target()?;
        let mut message = Message::new(method);
        let options = message.options_mut();
        for segment in target.path() {
            options.add_text(OptionNumber::URI_PATH, segment)?;
        }
        for argument in target.query() {
            options.add_text(OptionNumber::URI_QUERY, argument)?;
        }
        Ok(Self {
            message,
            confirmable: true,
            timeout: None,
        })
    }

    /// GET: what the resource is.
    ///
    /// # Errors
    /// Where the text is no target; so for all methods.
    pub fn get(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::GET, target)
    }

    /// POST: does what the resource does with a body.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::POST, target)
    }

    /// PUT: makes the resource be the body.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::PUT, target)
    }

    /// DELETE: removes the resource.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn delete(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::DELETE, target)
    }

    /// FETCH: the parts of the resource that the body asks for (RFC 8132).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn fetch(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::FETCH, target)
    }

    /// PATCH: changes the resource as the body says (RFC 8132).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn patch(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::PATCH, target)
    }

    /// iPATCH: the same, where doing it twice does no more than doing it once (RFC 8132).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn ipatch(target: impl IntoTarget) -> Result<Self, RequestError> {
        Self::new(Code::IPATCH, target)
    }

    /// The same with a body, however long it is: what does not fit into a message goes in blocks.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Vec<u8>>, format: ContentFormat) -> Self {
        self.message.payload = payload.into().into();
        self.message.set_content_format(format);
        self
    }

    /// The same, for a response in this format only; otherwise the server refuses with 4.06.
    #[must_use]
    pub fn with_accept(mut self, format: ContentFormat) -> Self {
        self.message.set_accept(format);
        self
    }

    /// The same, done only while the resource has this entity-tag; an empty one is for any resource
    /// that is there (RFC 7252, section 5.10.8.1). Otherwise the server refuses with 4.12.
    ///
    /// # Errors
    /// Where the tag is longer than 8 bytes.
    pub fn with_if_match(self, etag: &[u8]) -> Result<Self, RequestError> {
        self.with_option(OptionNumber::IF_MATCH, etag)
    }

    /// The same, done only where there is no such resource yet. Otherwise the server refuses with
    /// 4.12.
    ///
    /// # Errors
    /// Where this was said already.
    pub fn with_if_none_match(self) -> Result<Self, RequestError> {
        self.with_option(OptionNumber::IF_NONE_MATCH, b"")
    }

    /// The same, for a representation that is held already: where it still holds, the server
    /// answers 2.03 Valid without a body (RFC 7252, section 5.10.6.2).
    ///
    /// # Errors
    /// Where the tag is empty, or longer than 8 bytes.
    pub fn with_etag(self, etag: &[u8]) -> Result<Self, RequestError> {
        self.with_option(OptionNumber::ETAG, etag)
    }

    /// The same, addressed to a server by this name, where several have one address (Uri-Host).
    ///
    /// # Errors
    /// Where the name is empty, or longer than 255 bytes.
    pub fn with_uri_host(mut self, name: &str) -> Result<Self, RequestError> {
        self.message
            .options_mut()
            .set_text(OptionNumber::URI_HOST, name)?;
        Ok(self)
    }

    /// The same, of which these responses are not wanted (RFC 7967). A server that heeds it lets
    /// the client wait until [`RequestError::TimedOut`].
    #[must_use]
    pub fn with_no_response(mut self, unwanted: NoResponse) -> Self {
        self.set_no_response(unwanted);
        self
    }

    /// The same, to be forwarded by the server, which is a proxy, to the server of this URI
    /// (RFC 7252, section 5.7.2). The target goes into Proxy-Uri as a whole.
    ///
    /// # Errors
    /// Where the URI is too long for the option, which takes 1034 bytes.
    pub fn with_proxy_uri(mut self, uri: &Uri) -> Result<Self, RequestError> {
        let options = self.message.options_mut();
        for number in [
            OptionNumber::URI_HOST,
            OptionNumber::URI_PORT,
            OptionNumber::URI_PATH,
            OptionNumber::URI_QUERY,
        ] {
            options.remove(number);
        }
        options.set_text(OptionNumber::PROXY_URI, &uri.to_string())?;
        Ok(self)
    }

    /// The same, to be forwarded by the server, which is a proxy, by this scheme, to the host and
    /// target that the request's own options name (RFC 7252, section 5.10.2).
    ///
    /// # Errors
    /// Where the request is to a server without a name: then the proxy could not know where to.
    pub fn with_proxy_scheme(mut self, scheme: Scheme) -> Result<Self, RequestError> {
        let options = self.message.options_mut();
        if !options.contains(OptionNumber::URI_HOST) {
            return Err(RequestError::InvalidRequest(
                "a proxy needs the server's name: set Uri-Host first",
            ));
        }
        options.set_text(OptionNumber::PROXY_SCHEME, scheme.as_str())?;
        Ok(self)
    }

    /// The same, that may pass so many proxies (RFC 8768).
    ///
    /// # Errors
    /// For 0, which no request may have.
    pub fn with_hop_limit(mut self, hops: u8) -> Result<Self, RequestError> {
        if hops == 0 {
            return Err(RequestError::InvalidRequest(
                "a hop limit of 0 reaches nothing",
            ));
        }
        let options = self.message.options_mut();
        options.set_uint(OptionNumber::HOP_LIMIT, hops.into())?;
        Ok(self)
    }

    /// The same, with one more option.
    ///
    /// # Errors
    /// Where the option can't have the value or be repeated, for a dot segment of a path, and for
    /// those that the client sets itself: Observe, Block1, Block2, OSCORE.
    pub fn with_option(mut self, number: OptionNumber, value: &[u8]) -> Result<Self, RequestError> {
        if matches!(
            number,
            OptionNumber::OBSERVE
                | OptionNumber::BLOCK1
                | OptionNumber::BLOCK2
                | OptionNumber::Q_BLOCK1
                | OptionNumber::Q_BLOCK2
                | OptionNumber::OSCORE
        ) {
            return Err(RequestError::InvalidRequest(
                "an option that the client sets itself",
            ));
        }
        if number == OptionNumber::URI_PATH
            && let Ok(segment) = str::from_utf8(value)
        {
            // What a target can't hold, a request doesn't hold either.
            Target::default().with_segment(segment)?;
        }
        self.message.options_mut().add(number, value)?;
        Ok(self)
    }

    /// The same, sent once: over UDP, as a non-confirmable message. On a stream, that changes
    /// nothing.
    #[must_use]
    pub fn non_confirmable(mut self) -> Self {
        self.confirmable = false;
        self
    }

    /// The same, with this time for the answer instead of
    /// [`Config::response_timeout`](super::Config::response_timeout). In a transfer in blocks,
    /// that is the time for each.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn set_no_response(&mut self, unwanted: NoResponse) {
        let options = self.message.options_mut();
        let done = options.set_uint(OptionNumber::NO_RESPONSE, unwanted.0.into());
        debug_assert!(done.is_ok(), "one byte fits");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_was_told_to() {
        let request = Request::get("/a/b?c").expect("a target");
        assert!(request.message.uri_path().eq(["a", "b"]));
        assert!(request.message.uri_query().eq(["c"]));
        Request::new(Code::CONTENT, "/").expect_err("a response's code");
        Request::get("a").expect_err("no slash");
        let get = || Request::get("/").expect("a target");
        get().with_hop_limit(0).expect_err("0 hops");
        get().with_etag(b"").expect_err("an empty entity-tag");
        get()
            .with_option(OptionNumber::OBSERVE, b"")
            .expect_err("the client's own");
        for dots in [".", ".."] {
            get()
                .with_option(OptionNumber::URI_PATH, dots.as_bytes())
                .expect_err("a dot segment");
        }
        get().with_proxy_scheme(Scheme::Coap).expect_err("no host");
        let uri = "coap://a.example/x".parse().expect("a URI");
        let forwarded = Request::get("/y").expect("a target").with_proxy_uri(&uri);
        let forwarded = forwarded.expect("it fits").message;
        assert_eq!(forwarded.uri_path().count(), 0);
        let proxy = forwarded.options().text(OptionNumber::PROXY_URI);
        assert_eq!(proxy, Some("coap://a.example/x"));
    }

    #[test]
    fn unwanted_responses() {
        let unwanted = NoResponse::SUCCESS | NoResponse::SERVER_ERROR;
        assert_eq!(unwanted.0, 18);
        assert!(unwanted.covers(Code::CHANGED));
        assert!(!unwanted.covers(Code::NOT_FOUND));
        assert!(NoResponse::ALL.covers(Code::NOT_FOUND));
        assert!(!NoResponse::ALL.covers(Code::GET));
    }
}
