//! Errors of a client's connection: why it was lost, or could not be made.

use std::fmt;
use std::sync::Arc;

use jackfield_socket::{ErrorKind, Place};

/// How a protocol's session fails.
pub trait Failure: std::error::Error + Clone + Send + Sync + 'static {
    /// The peer ended the stream in order, though the session was not at its end.
    fn ended() -> Self;

    /// Whether another attempt with the same configuration would fail in the same way.
    fn is_permanent(&self) -> bool;

    /// At whose place it failed. Default: at the server's, who is the other side of a session.
    fn place(&self) -> Place {
        Place::Server
    }
}

/// Why there is no connection; `E` is how the protocol's session fails.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionError<E> {
    /// The stream could not be opened.
    Connect(Arc<jackfield_socket::Error>),
    /// Opening the stream took too long.
    ConnectTimedOut,
    /// The stream failed.
    Stream(Arc<jackfield_socket::Error>),
    /// The session ended.
    Session(E),
}

impl<E: Failure> ConnectionError<E> {
    /// Whether another attempt would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Connect(error) => matches!(
                error.kind(),
                ErrorKind::InvalidInput
                    | ErrorKind::Unsupported
                    | ErrorKind::Denied
                    | ErrorKind::Certificate
                    | ErrorKind::TlsRefused
            ),
            Self::Session(error) => error.is_permanent(),
            Self::ConnectTimedOut | Self::Stream(_) => false,
        }
    }

    /// At whose place it failed: who can do something about it.
    pub fn place(&self) -> Place {
        match self {
            Self::Connect(error) | Self::Stream(error) => error.place(),
            Self::ConnectTimedOut => ErrorKind::TimedOut.usual_place(),
            Self::Session(error) => error.place(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for ConnectionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "could not connect: {error}"),
            Self::ConnectTimedOut => f.write_str("could not connect in time"),
            Self::Stream(error) => write!(f, "the connection was lost: {error}"),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for ConnectionError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The inner error's text is part of this one's, so its cause is this one's cause.
        match self {
            Self::Connect(error) | Self::Stream(error) => error.source(),
            Self::ConnectTimedOut => None,
            Self::Session(error) => error.source(),
        }
    }
}
