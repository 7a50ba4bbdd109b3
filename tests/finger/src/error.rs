//! Errors of a client: how a session ends, and how a query fails.

use std::fmt;

/// Why a session ended without a [`close`](crate::client::Client::close).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server has said all that it had to say: with Finger, each session ends so.
    Ended,
    /// The stream ended in the middle of a line.
    Truncated,
    /// A line is longer than [`MAX_LINE`](crate::codec::MAX_LINE).
    LineTooLong,
    /// The answer was not whole in time.
    TimedOut,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the server ended the session",
            Self::Truncated => "the connection ended in the middle of a line",
            Self::LineTooLong => "a line of the answer is too long",
            Self::TimedOut => "the server did not answer in time",
        })
    }
}

impl std::error::Error for SessionError {}

impl jackfield_client::Failure for SessionError {
    fn ended() -> Self {
        Self::Ended
    }

    fn is_permanent(&self) -> bool {
        false
    }
}

/// Why a query has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The session ended before the answer did.
    ConnectionLost,
    /// The answer was not whole in time.
    TimedOut,
    /// As many wait as [`Config::query_capacity`](crate::core::Config::query_capacity) allows.
    TooManyPending,
    /// The client was closed.
    Closed,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionLost => "the connection was lost before the end of the answer",
            Self::TimedOut => "the server did not answer in time",
            Self::TooManyPending => "too many queries wait for an answer",
            Self::Closed => "the client is closed",
        })
    }
}

impl std::error::Error for RequestError {}
