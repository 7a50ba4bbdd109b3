//! The error of every backend: opaque, with a coarse kind that a program can act on.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

/// What the socket API's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, at which step, at whose place, and why.
///
/// The text says what was being done; [`source`](StdError::source) holds the cause where there is
/// one. Neither carries a payload, a token or a password. A clone shares the cause.
///
/// [`place`](Self::place) says who can do something about it:
///
/// ```
/// use jackfield_socket::{Error, ErrorKind, Place};
///
/// let by_server = Error::new(ErrorKind::Refused, "example.org:80: nothing listens there");
/// assert_eq!(by_server.place(), Place::Server);
/// let by_relay = Error::new(ErrorKind::Denied, "the relay does not allow port 25").at(Place::Relay);
/// assert_eq!(by_relay.place(), Place::Relay);
/// ```
///
/// Reading and writing fail with [`io::Error`], as tokio's traits ask. One that a backend of
/// Jackfield made holds an `Error` inside, which `Error::from` brings back:
///
/// ```
/// use jackfield_socket::{Error, ErrorKind};
///
/// let failed = Error::new(ErrorKind::Denied, "the relay does not allow port 25");
/// let as_io: std::io::Error = failed.into();
/// assert_eq!(as_io.kind(), std::io::ErrorKind::PermissionDenied);
/// assert_eq!(Error::from(as_io).kind(), ErrorKind::Denied);
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    place: Place,
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller passed something that can't be right: an empty host name, a buffer of size 0.
    InvalidInput,
    /// This backend can't do that, or can't honour that option.
    Unsupported,
    /// The host's name has no address.
    HostNotFound,
    /// The host answered that nothing listens there.
    Refused,
    /// No way leads to the host or its network.
    Unreachable,
    /// A rule forbids it: the relay's policy, the browser's permission, the system's rights.
    Denied,
    /// It took longer than it may.
    TimedOut,
    /// The stream was cut: bytes that were sent or received may be lost.
    Reset,
    /// The stream ended in the middle of something, without saying that it would.
    UnexpectedEof,
    /// This side has closed it already.
    Closed,
    /// The local address is taken.
    AddressInUse,
    /// The local address doesn't belong to this host.
    AddressNotAvailable,
    /// A limit was passed; the text names it.
    LimitExceeded,
    /// The peer's certificate was not accepted, or ours was not.
    Certificate,
    /// The server began in plaintext, and does not offer TLS or said no when it was asked for it
    /// (STARTTLS).
    TlsRefused,
    /// The peer broke the protocol's rules.
    Protocol,
    /// Anything else.
    Other,
}

/// At whose place something went wrong: who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Here: what was asked for, this program, its system or its browser.
    Here,
    /// In the rules that this program is held to on its own side: whoever has set them.
    Policy,
    /// At the relay, or on the way to it: its rules, its limits, its address, its loss.
    Relay,
    /// At the server, or in the network before it.
    Server,
}

impl ErrorKind {
    /// Where an error of this kind arises, unless something else is [said](Error::at).
    pub fn usual_place(self) -> Place {
        match self {
            Self::InvalidInput
            | Self::Unsupported
            | Self::Denied
            | Self::Closed
            | Self::AddressInUse
            | Self::AddressNotAvailable
            | Self::Other => Place::Here,
            Self::HostNotFound
            | Self::Refused
            | Self::Unreachable
            | Self::TimedOut
            | Self::Reset
            | Self::UnexpectedEof
            | Self::LimitExceeded
            | Self::Certificate
            | Self::TlsRefused
            | Self::Protocol => Place::Server,
        }
    }
}

impl Error {
    /// An error of this kind; `message` says what was being done and what was wrong with it,
    /// in lower case, without a full stop. It arose where such errors [usually](ErrorKind::usual_place)
    /// do.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            place: kind.usual_place(),
            message: message.into(),
            source: None,
        }))
    }

    /// The same error, which arose at this place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = place;
        self
    }

    /// The same error in other words, which say more of what was being done: its kind, its place and
    /// its cause stay.
    ///
    /// ```
    /// use jackfield_socket::{Error, ErrorKind, Place};
    ///
    /// let lost = Error::new(ErrorKind::Reset, "the relay is gone").at(Place::Relay);
    /// let told = lost.retold(format!("asking a.example for TLS: {lost}"));
    /// assert_eq!((told.kind(), told.place()), (ErrorKind::Reset, Place::Relay));
    /// assert_eq!(told.to_string(), "asking a.example for TLS: the relay is gone");
    /// ```
    #[must_use]
    pub fn retold(&self, message: impl Into<Cow<'static, str>>) -> Self {
        let mut told = self.clone();
        told.0.message = message.into();
        told
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// At whose place it went wrong.
    pub fn place(&self) -> Place {
        self.0.place
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
        debug.field("place", &self.0.place);
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind().into(), error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let kind = ErrorKind::from(error.kind());
        match error.downcast::<Error>() {
            Ok(ours) => ours,
            Err(theirs) => Error::new(kind, theirs.to_string()),
        }
    }
}

impl From<ErrorKind> for io::ErrorKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::HostNotFound => Self::NotFound,
            ErrorKind::Refused => Self::ConnectionRefused,
            ErrorKind::Unreachable => Self::HostUnreachable,
            ErrorKind::Denied => Self::PermissionDenied,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::Reset => Self::ConnectionReset,
            ErrorKind::UnexpectedEof => Self::UnexpectedEof,
            ErrorKind::Closed => Self::BrokenPipe,
            ErrorKind::AddressInUse => Self::AddrInUse,
            ErrorKind::AddressNotAvailable => Self::AddrNotAvailable,
            ErrorKind::LimitExceeded => Self::QuotaExceeded,
            ErrorKind::Certificate | ErrorKind::TlsRefused | ErrorKind::Protocol => {
                Self::InvalidData
            }
            ErrorKind::Other => Self::Other,
        }
    }
}

impl From<io::ErrorKind> for ErrorKind {
    fn from(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::InvalidInput => Self::InvalidInput,
            io::ErrorKind::Unsupported => Self::Unsupported,
            io::ErrorKind::NotFound => Self::HostNotFound,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            io::ErrorKind::UnexpectedEof => Self::UnexpectedEof,
            io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => Self::Closed,
            io::ErrorKind::AddrInUse => Self::AddressInUse,
            io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable,
            io::ErrorKind::QuotaExceeded => Self::LimitExceeded,
            io::ErrorKind::InvalidData => Self::Protocol,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_passes_through_io_unchanged() {
        let error = Error::new(
            ErrorKind::Certificate,
            "the certificate is for another name",
        )
        .with_source("expected a.example, found b.example")
        .at(Place::Relay);
        let back = Error::from(io::Error::from(error));
        assert_eq!(back.kind(), ErrorKind::Certificate);
        assert_eq!(back.place(), Place::Relay);
        assert_eq!(back.to_string(), "the certificate is for another name");
        assert!(back.source().is_some());
    }

    #[test]
    fn a_foreign_io_error_keeps_its_kind_and_text() {
        let error = Error::from(io::Error::new(io::ErrorKind::ConnectionReset, "gone"));
        assert_eq!(error.kind(), ErrorKind::Reset);
        assert_eq!(error.to_string(), "gone");
        assert_eq!(error.place(), Place::Server);
    }

    #[test]
    fn an_error_that_is_told_in_other_words_keeps_the_rest() {
        let error = Error::new(ErrorKind::Denied, "no").at(Place::Relay);
        let told = error.with_source("why").retold("asking: no");
        assert_eq!(told.kind(), ErrorKind::Denied);
        assert_eq!(told.place(), Place::Relay);
        assert_eq!(told.to_string(), "asking: no");
        assert_eq!(told.source().expect("a cause").to_string(), "why");
    }
}
