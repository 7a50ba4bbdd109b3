//! Responses: what a server answers.

use std::fmt;

use bytes::Bytes;

use crate::codec::{Code, ContentFormat, Message, OptionNumber, Options, Target};

/// A response, its whole body included.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The body.
    pub payload: Bytes,
    /// The rest of it.
    message: Message,
}

impl Response {
    /// The response that a message is.
    pub(crate) fn new(mut message: Message) -> Self {
        let payload = std::mem::take(&mut message.payload);
        Self { payload, message }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.message.code()
    }

    /// The body, where it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(&self.payload).ok()
    }

    /// What the body is, where the server says so.
    pub fn content_format(&self) -> Option<ContentFormat> {
        self.message.content_format()
    }

    /// For how long it is fresh, in seconds: 60 where the server doesn't say (RFC 7252, section
    /// 5.10.5).
    pub fn max_age(&self) -> u32 {
        self.message.max_age().unwrap_or(60)
    }

    /// What tells this representation of the resource from others.
    pub fn etag(&self) -> Option<&[u8]> {
        self.message.etags().next()
    }

    /// Where the resource is that was created (RFC 7252, section 5.10.7), as segments of a path.
    pub fn location_path(&self) -> impl Iterator<Item = &str> {
        self.message.options().texts(OptionNumber::LOCATION_PATH)
    }

    /// What else names that resource: the arguments of its query.
    pub fn location_query(&self) -> impl Iterator<Item = &str> {
        self.message.options().texts(OptionNumber::LOCATION_QUERY)
    }

    /// Where the resource is that was created, path and query, to be asked next; `None` where the
    /// server doesn't say, or names what can't be asked for.
    pub fn location(&self) -> Option<Target> {
        let options = self.message.options();
        if !options.contains(OptionNumber::LOCATION_PATH)
            && !options.contains(OptionNumber::LOCATION_QUERY)
        {
            return None;
        }
        let mut target = Target::default();
        for segment in self.location_path() {
            target = target.with_segment(segment).ok()?;
        }
        for argument in self.location_query() {
            target = target.with_query(argument).ok()?;
        }
        Some(target)
    }

    /// All options.
    pub fn options(&self) -> &Options {
        self.message.options()
    }
}

/// Without the body, of which it says the length.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("code", &self.code())
            .field("options", self.options())
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_created_can_be_asked_next() {
        let mut created = Message::new(Code::CREATED);
        assert_eq!(Response::new(created.clone()).location(), None);
        let options = created.options_mut();
        for (number, text) in [
            (OptionNumber::LOCATION_PATH, "jobs"),
            (OptionNumber::LOCATION_QUERY, "id=17"),
        ] {
            options.add_text(number, text).expect("it fits");
        }
        let location = Response::new(created).location().expect("it is named");
        assert_eq!(location.to_string(), "/jobs?id=17");
    }
}
