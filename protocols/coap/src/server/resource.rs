//! Resources: what is asked of them, and what they reply.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::codec::{Code, ContentFormat, InvalidLinks, InvalidOption, Link, Message, OptionNumber};

type Handler = Box<dyn FnMut(&Asked<'_>) -> Reply + Send>;

/// A resource: a handler for each method that it has, and what is said of it in
/// `/.well-known/core`.
///
/// Handlers are called one at a time, and must not block. They may call
/// [`Site::changed`](super::Site::changed), and nothing else of the [`Site`](super::Site).
#[derive(Default)]
pub struct Resource {
    handlers: BTreeMap<u8, Handler>,
    attributes: Vec<(String, Option<String>)>,
    observable: bool,
}

impl Resource {
    /// A resource without methods.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with what a person calls it.
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.attribute("title", Some(title))
    }

    /// The same, with what kind of resource it is (`rt`); several kinds stand in one text.
    #[must_use]
    pub fn resource_type(self, kind: &str) -> Self {
        self.attribute("rt", Some(kind))
    }

    /// The same, with one more attribute of its link (RFC 6690).
    #[must_use]
    pub fn attribute(mut self, name: &str, value: Option<&str>) -> Self {
        self.attributes
            .push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    /// The same, to be observed: whoever does is told what GET replies after each
    /// [`Site::changed`](super::Site::changed).
    #[must_use]
    pub fn observable(mut self) -> Self {
        self.observable = true;
        self.attribute("obs", None)
    }

    /// The same, with GET.
    #[must_use]
    pub fn get(self, handler: impl FnMut(&Asked<'_>) -> Reply + Send + 'static) -> Self {
        self.method(Code::GET, handler)
    }

    /// The same, with POST.
    #[must_use]
    pub fn post(self, handler: impl FnMut(&Asked<'_>) -> Reply + Send + 'static) -> Self {
        self.method(Code::POST, handler)
    }

    /// The same, with PUT.
    #[must_use]
    pub fn put(self, handler: impl FnMut(&Asked<'_>) -> Reply + Send + 'static) -> Self {
        self.method(Code::PUT, handler)
    }

    /// The same, with DELETE.
    #[must_use]
    pub fn delete(self, handler: impl FnMut(&Asked<'_>) -> Reply + Send + 'static) -> Self {
        self.method(Code::DELETE, handler)
    }

    /// The same, with any method.
    #[must_use]
    pub fn method(
        mut self,
        method: Code,
        handler: impl FnMut(&Asked<'_>) -> Reply + Send + 'static,
    ) -> Self {
        self.handlers.insert(method.to_byte(), Box::new(handler));
        self
    }

    pub(super) fn is_observable(&self) -> bool {
        self.observable
    }

    pub(super) fn link(&self, path: &str) -> Result<Link, InvalidLinks> {
        let mut link = Link::new(path)?;
        for (name, value) in &self.attributes {
            link = link.with(name, value.as_deref())?;
        }
        Ok(link)
    }

    pub(super) fn reply(&mut self, request: &Message) -> Reply {
        match self.handlers.get_mut(&request.code().to_byte()) {
            Some(handler) => handler(&Asked::new(request)),
            None => Reply::error(Code::METHOD_NOT_ALLOWED, ""),
        }
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.handlers.keys().copied().map(Code::from_byte);
        f.debug_struct("Resource")
            .field("methods", &methods.collect::<Vec<_>>())
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// What is asked of a resource: a request with its whole body.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The body.
    pub payload: &'a [u8],
    message: &'a Message,
}

impl<'a> Asked<'a> {
    pub(super) fn new(message: &'a Message) -> Self {
        let payload = &message.payload;
        Self { payload, message }
    }

    /// The method.
    pub fn method(&self) -> Code {
        self.message.code()
    }

    /// The body, where it is UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        str::from_utf8(self.payload).ok()
    }

    /// What the body is, where the client says so.
    pub fn content_format(&self) -> Option<ContentFormat> {
        self.message.content_format()
    }

    /// The arguments of the query.
    pub fn query(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.message.uri_query()
    }

    /// The request.
    pub fn message(&self) -> &'a Message {
        self.message
    }
}

/// What a resource replies.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) message: Message,
    pub(super) delay: Option<Duration>,
}

impl Reply {
    /// A reply with this code, and nothing else.
    pub fn new(code: Code) -> Self {
        Self {
            message: Message::new(code),
            delay: None,
        }
    }

    /// 2.05: what the resource is, however large.
    pub fn content(payload: impl Into<Vec<u8>>, format: ContentFormat) -> Self {
        Self::new(Code::CONTENT).with_payload(payload, format)
    }

    /// 2.04: it has been changed.
    pub fn changed() -> Self {
        Self::new(Code::CHANGED)
    }

    /// 2.01: it has been created.
    pub fn created() -> Self {
        Self::new(Code::CREATED)
    }

    /// 2.02: it has been deleted.
    pub fn deleted() -> Self {
        Self::new(Code::DELETED)
    }

    /// An error, with a word for a person.
    pub fn error(code: Code, diagnostic: &str) -> Self {
        let mut reply = Self::new(code);
        reply.message.payload = diagnostic.to_owned().into();
        reply
    }

    /// The same, with this payload, however large.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Vec<u8>>, format: ContentFormat) -> Self {
        self.message.payload = payload.into().into();
        self.message.set_content_format(format);
        self
    }

    /// The same, fresh for so many seconds.
    #[must_use]
    pub fn with_max_age(mut self, seconds: u32) -> Self {
        self.message.set_max_age(seconds);
        self
    }

    /// The same, with an entity-tag.
    ///
    /// # Errors
    /// Where it is empty, or longer than 8 bytes.
    pub fn with_etag(self, etag: &[u8]) -> Result<Self, InvalidOption> {
        self.with_option(OptionNumber::ETAG, etag)
    }

    /// The same, with one more option.
    ///
    /// # Errors
    /// Where the option can't have the value or be repeated.
    pub fn with_option(
        mut self,
        number: OptionNumber,
        value: &[u8],
    ) -> Result<Self, InvalidOption> {
        self.message.options_mut().add(number, value)?;
        Ok(self)
    }

    /// The same, given after a while: a device that takes its time. Over UDP the request is
    /// acknowledged meanwhile, and the response comes by itself.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }
}
