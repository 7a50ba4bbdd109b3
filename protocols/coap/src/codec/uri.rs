//! URIs (RFC 7252, section 6; RFC 8323, section 8).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jackfield_socket::{Endpoint, Host};

use super::percent::{decode, encode, is_name_byte, is_segment_byte};
use super::target::{Target, check_length, split_query};

/// Where a server takes CoAP over WebSockets (RFC 8323, section 8.3).
const WEBSOCKET_PATH: &str = "/.well-known/coap";

/// How a resource is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `coap`: over UDP.
    Coap,
    /// `coaps`: over UDP with DTLS.
    Coaps,
    /// `coap+tcp`: over TCP.
    CoapTcp,
    /// `coaps+tcp`: over TCP with TLS.
    CoapsTcp,
    /// `coap+ws`: over a WebSocket.
    CoapWs,
    /// `coaps+ws`: over a WebSocket with TLS.
    CoapsWs,
}

impl Scheme {
    const ALL: [Self; 6] = [
        Self::Coap,
        Self::Coaps,
        Self::CoapTcp,
        Self::CoapsTcp,
        Self::CoapWs,
        Self::CoapsWs,
    ];

    /// Its name, as it stands in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coap => "coap",
            Self::Coaps => "coaps",
            Self::CoapTcp => "coap+tcp",
            Self::CoapsTcp => "coaps+tcp",
            Self::CoapWs => "coap+ws",
            Self::CoapsWs => "coaps+ws",
        }
    }

    /// The port where a URI names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Coap | Self::CoapTcp => 5683,
            Self::Coaps | Self::CoapsTcp => 5684,
            Self::CoapWs => 80,
            Self::CoapsWs => 443,
        }
    }

    /// Whether what is sent is encrypted on its way.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Coaps | Self::CoapsTcp | Self::CoapsWs)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let found = Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text));
        found.ok_or(InvalidUri::new("the scheme is not one of CoAP's"))
    }
}

/// A CoAP URI: a scheme, a server, and a resource on it.
///
/// ```
/// use jackfield_coap::codec::{Scheme, Uri};
///
/// let uri: Uri = "coap+tcp://Sensors.example.org/rooms/k%C3%BCche?unit=C".parse()?;
/// assert_eq!(uri.scheme(), Scheme::CoapTcp);
/// assert_eq!(uri.endpoint().to_string(), "sensors.example.org:5683");
/// assert_eq!(uri.target().path(), ["rooms", "küche"]);
/// assert_eq!(uri.target().query(), ["unit=C"]);
/// assert_eq!(uri.to_string(), "coap+tcp://sensors.example.org/rooms/k%C3%BCche?unit=C");
/// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: Scheme,
    endpoint: Endpoint,
    target: Target,
}

impl Uri {
    /// A resource on a server.
    pub fn new(scheme: Scheme, endpoint: Endpoint, target: Target) -> Self {
        Self {
            scheme,
            endpoint,
            target,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The resource.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The value of `Uri-Host`: the server's name; `None` where it is an address, which the server
    /// knows by itself (RFC 7252, section 6.4, step 5).
    pub fn uri_host(&self) -> Option<&str> {
        match self.endpoint.host() {
            Host::Name(name) => Some(name.as_str()),
            Host::Ip(_) => None,
        }
    }

    /// Where to open a WebSocket (RFC 8323, section 8.3); `None` for other schemes.
    ///
    /// ```
    /// # use jackfield_coap::codec::Uri;
    /// let uri: Uri = "coaps+ws://example.org/light".parse()?;
    /// let url = uri.websocket_url();
    /// assert_eq!(url.as_deref(), Some("wss://example.org:443/.well-known/coap"));
    /// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
    /// ```
    pub fn websocket_url(&self) -> Option<String> {
        let scheme = match self.scheme {
            Scheme::CoapWs => "ws",
            Scheme::CoapsWs => "wss",
            _ => return None,
        };
        Some(format!("{scheme}://{}{WEBSOCKET_PATH}", self.endpoint))
    }

    /// Resolves a reference against this URI (RFC 3986, section 5.2): what a link's target means
    /// in a list that came from here.
    ///
    /// ```
    /// # use jackfield_coap::codec::Uri;
    /// let base: Uri = "coap://a.example/rooms/1".parse()?;
    /// assert_eq!(base.join("/lamp")?.to_string(), "coap://a.example/lamp");
    /// assert_eq!(base.join("2")?.to_string(), "coap://a.example/rooms/2");
    /// assert_eq!(base.join("coap://b.example/x")?.to_string(), "coap://b.example/x");
    /// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
    /// ```
    ///
    /// # Errors
    /// Where the result is no CoAP URI.
    pub fn join(&self, reference: &str) -> Result<Self, InvalidUri> {
        if has_scheme(reference) {
            return reference.parse();
        }
        if reference.starts_with("//") {
            return format!("{}:{reference}", self.scheme).parse();
        }
        let target = if reference.is_empty() {
            self.target.clone()
        } else if reference.starts_with('/') {
            reference.parse()?
        } else if reference.starts_with('?') {
            let mut target: Target = format!("/{reference}").parse()?;
            target.path.clone_from(&self.target.path);
            target
        } else {
            let (parent, _) = self.target.path.split_at(self.target.path.len().max(1) - 1);
            let mut merged = String::new();
            for segment in parent {
                merged.push('/');
                encode(&mut merged, segment, is_segment_byte);
            }
            merged.push('/');
            merged.push_str(reference);
            merged.parse()?
        };
        Ok(Self {
            scheme: self.scheme,
            endpoint: self.endpoint.clone(),
            target,
        })
    }
}

impl FromStr for Uri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        check_length(text)?;
        let (scheme, rest) = text
            .split_once(':')
            .ok_or(InvalidUri::new("there is no scheme, such as coap://"))?;
        let scheme: Scheme = scheme.parse()?;
        let rest = rest
            .strip_prefix("//")
            .ok_or(InvalidUri::new("no // follows the scheme"))?;
        let (rest, query) = split_query(rest)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Ok(Self {
            scheme,
            endpoint: parse_authority(authority, scheme)?,
            target: Target::parse(path, query)?,
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.endpoint.to_authority(self.scheme.default_port());
        write!(f, "{}://{authority}", self.scheme)?;
        if self.target == Target::default() {
            return Ok(());
        }
        self.target.fmt(f)
    }
}

/// What is wrong with a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUri(Cow<'static, str>);

impl InvalidUri {
    pub(super) const fn new(what: &'static str) -> Self {
        Self(Cow::Borrowed(what))
    }
}

impl fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a CoAP URI: ")?;
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidUri {}

/// Whether a reference begins with a scheme, which is what a colon before any slash means.
fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?']);
    end.is_some_and(|end| reference[end..].starts_with(':'))
}

fn parse_authority(authority: &str, scheme: Scheme) -> Result<Endpoint, InvalidUri> {
    if authority.contains('@') {
        return Err(InvalidUri::new("there is a user's name in it"));
    }
    let plain = decode(authority, |byte| {
        is_name_byte(byte) || b":[]".contains(&byte)
    })?;
    let parts = |text: &str| text.matches([':', '[', ']', '@']).count();
    if parts(&plain) != parts(authority) {
        // What is percent-encoded parts nothing, and no host's name has it.
        return Err(InvalidUri::new("the host is neither a name nor an address"));
    }
    // A port may be left out behind its colon (RFC 3986, section 3.2.3).
    let plain = plain.strip_suffix(':').unwrap_or(&plain);
    let endpoint = Endpoint::from_authority(plain, scheme.default_port());
    let endpoint = endpoint.map_err(|error| InvalidUri(error.to_string().into()))?;
    if endpoint.port() == 0 {
        return Err(InvalidUri::new("the port is not between 1 and 65535"));
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn rfc_7252_section_6_3_examples_are_the_same() {
        let all = [
            "coap://example.com:5683/~sensors/temp.xml",
            "coap://EXAMPLE.com/%7Esensors/temp.xml",
            "coap://EXAMPLE.com:/%7esensors/temp.xml",
        ];
        for text in all {
            assert_eq!(uri(text), uri(all[0]));
            assert_eq!(
                uri(text).to_string(),
                "coap://example.com/~sensors/temp.xml"
            );
        }
    }

    #[test]
    fn decomposing_and_composing() {
        // RFC 7252, appendix B, and section 6.4.
        for (text, path, query, back) in [
            (
                "coap://[2001:db8::2:1]/",
                &[][..],
                &[][..],
                "coap://[2001:db8::2:1]",
            ),
            ("coap://example.net", &[], &[], "coap://example.net"),
            ("coap://example.net/", &[], &[], "coap://example.net"),
            (
                "coap://example.net/.well-known/core",
                &[".well-known", "core"],
                &[],
                "coap://example.net/.well-known/core",
            ),
            (
                "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
                &["こんにちは"],
                &[],
                "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
            ),
            (
                "coap://198.51.100.1:61616//%2F//?%2F%2F&?%26",
                &["", "/", "", ""],
                &["//", "?&"],
                "coap://198.51.100.1:61616//%2F//?//&?%26",
            ),
            ("coap://h?a", &[], &["a"], "coap://h/?a"),
            ("coap://h/a/./b/../c", &["a", "c"], &[], "coap://h/a/c"),
            ("coap://h/a/..", &[], &[], "coap://h"),
            ("coap://h/../../a/.", &["a", ""], &[], "coap://h/a/"),
            (
                "coaps+ws://h:1/a:b@c",
                &["a:b@c"],
                &[],
                "coaps+ws://h:1/a:b@c",
            ),
            ("coap://h/é", &["é"], &[], "coap://h/%C3%A9"),
        ] {
            let parsed = uri(text);
            assert_eq!(parsed.target().path(), path, "{text}");
            assert_eq!(parsed.target().query(), query, "{text}");
            assert_eq!(parsed.to_string(), back);
            assert_eq!(uri(back), parsed);
        }
    }

    #[test]
    fn ports_and_names() {
        for (text, endpoint, host) in [
            ("coap://a.example", "a.example:5683", Some("a.example")),
            ("coaps://a.example", "a.example:5684", Some("a.example")),
            ("coap+tcp://10.0.0.1", "10.0.0.1:5683", None),
            ("coaps+tcp://[::1]", "[::1]:5684", None),
            ("coap+ws://[::1]:81", "[::1]:81", None),
            ("coaps+ws://a", "a:443", Some("a")),
            ("coap://[::1]:", "[::1]:5683", None),
            ("coap://%61.example", "a.example:5683", Some("a.example")),
        ] {
            assert_eq!(uri(text).endpoint().to_string(), endpoint);
            assert_eq!(uri(text).uri_host(), host);
        }
    }

    #[test]
    fn what_is_no_coap_uri() {
        for text in [
            "",
            "/a",
            "a.example/x",
            "http://a.example/",
            "coap:/a",
            "coap://",
            "coap:///a",
            "coap://u@a.example/",
            "coap://u%40a.example/",
            "coap://a.example%3A80/",
            "coap://%5B::1%5D/",
            "coap://a.example::/",
            "coap://a.example/#f",
            "coap://a.example:0/",
            "coap://a.example:65536/",
            "coap://a.example:+1/",
            "coap://[::1/",
            "coap://[fe80::1%25eth0]/",
            "coap://::1/",
            "coap://a b/",
            "coap://a.example/a b",
            "coap://a.example/%",
            "coap://a.example/%4",
            "coap://a.example/%zz",
            "coap://a.example/%ff",
            "coap://a.example/%2e%2E/x",
            "coap://a.example/\"",
            "coap://127.1/",
        ] {
            text.parse::<Uri>().expect_err(text);
        }
        let long = "x".repeat(256);
        format!("coap://a/{long}")
            .parse::<Uri>()
            .expect_err("a long segment");
        format!("coap://a/?{long}")
            .parse::<Uri>()
            .expect_err("a long argument");
        let many = "/x".repeat(129);
        many.parse::<Target>().expect_err("too many segments");
    }

    #[test]
    fn references_are_resolved() {
        let base = uri("coap://a.example:1234/b/c/d?q");
        for (reference, resolved) in [
            ("", "coap://a.example:1234/b/c/d?q"),
            ("g", "coap://a.example:1234/b/c/g"),
            ("./g", "coap://a.example:1234/b/c/g"),
            ("../g", "coap://a.example:1234/b/g"),
            ("../../../g", "coap://a.example:1234/g"),
            ("/g?y", "coap://a.example:1234/g?y"),
            ("?y", "coap://a.example:1234/b/c/d?y"),
            ("//g/h", "coap://g/h"),
            ("coaps://g/h", "coaps://g/h"),
        ] {
            let joined = base.join(reference).expect(reference);
            assert_eq!(joined.to_string(), resolved, "{reference}");
        }
        base.join("http://a.example/")
            .expect_err("another protocol");
    }
}
