//! Errors of OSCORE: how protecting and verifying fail.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::codec::{Code, Message};

/// What went wrong with a security context or a message.
///
/// Neither the text nor the [`source`](StdError::source) holds a key or anything of a message that
/// was to be secret.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller passed parameters or a message that can't be right.
    InvalidInput,
    /// The store failed, so that no sequence number can be reserved.
    Store,
    /// The numbers that are reserved have been used, and the next ones are not durable yet: see
    /// [`Context::poll_store`](super::Context::poll_store).
    Unreserved,
    /// All sequence numbers have been used (section 7.2.1): new keys are needed.
    Exhausted,
    /// The message is not protected.
    Unprotected,
    /// What protects the message can't be decoded (section 8.2, step 2).
    Malformed,
    /// The message is of another security context.
    UnknownContext,
    /// The message, or a later one, has been received before (section 7.4).
    Replay,
    /// The message was made with another key, or changed on its way.
    Forged,
    /// It is not known what was received before this side started, so that the peer was challenged
    /// (appendix B.1.2).
    Unsynchronised,
    /// Anything else.
    Other,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// A response came where no request was protected.
    pub(crate) fn unasked() -> Self {
        Self::new(
            ErrorKind::Replay,
            "no request that was protected waits for the response",
        )
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind);
        debug.field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Why a server does not serve a request, and what it may answer.
#[derive(Debug)]
pub struct Refusal {
    error: Error,
    response: Option<Message>,
}

impl Refusal {
    /// Refused with the error response that section 8.2 names, which is not protected, and which no
    /// proxy is to keep.
    pub(super) fn new(error: Error, request: &Message) -> Self {
        let answer = match error.kind() {
            ErrorKind::Malformed => Some((Code::BAD_OPTION, "Failed to decode COSE")),
            ErrorKind::UnknownContext => Some((Code::UNAUTHORIZED, "Security context not found")),
            ErrorKind::Replay => Some((Code::UNAUTHORIZED, "Replay detected")),
            ErrorKind::Forged => Some((Code::BAD_REQUEST, "Decryption failed")),
            _ => None,
        };
        let response = answer.map(|(code, diagnostic)| {
            let mut response = Message::new(code);
            response.set_token(request.token());
            response.set_max_age(0);
            response.payload = diagnostic.into();
            response
        });
        Self { error, response }
    }

    /// Refused with this response.
    pub(super) fn with_response(error: Error, response: Message) -> Self {
        Self {
            error,
            response: Some(response),
        }
    }

    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// What to send instead of a response, as it is; `None` where saying nothing is better.
    pub fn into_response(self) -> Option<Message> {
        self.response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Refusal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}
