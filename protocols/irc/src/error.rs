//! Errors of a client: how a session ends, and how a request fails.

use std::fmt;

use jackfield_sasl::Mechanism;
use jackfield_socket::Place;

use crate::codec::{InvalidValue, Numeric};

/// Why a session ended without a [`close`](crate::client::Client::close).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server refused the connection's password.
    PasswordRefused(Refusal),
    /// The server said that this user or host is banned.
    Banned(Refusal),
    /// SASL failed: the server refused the credentials.
    SaslRefused {
        /// The mechanism that was tried, such as `PLAIN`.
        mechanism: Mechanism,
        /// The server's refusal.
        refusal: Refusal,
        /// Why, where the mechanism has a way to say it: what is wrong with a token.
        reason: Option<jackfield_sasl::Refusal>,
    },
    /// SASL was asked for, and the server doesn't offer it.
    SaslUnavailable,
    /// SASL failed by this side's decision: there is no mechanism that is good enough for this
    /// connection, or the server did not prove that it knows the password.
    SaslFailed(jackfield_sasl::Error),
    /// SASL was not done in time.
    SaslTimedOut,
    /// Neither the nickname nor any alternative was free or allowed.
    NicknameUnavailable(Refusal),
    /// The server did not complete the registration in time.
    RegistrationTimedOut,
    /// The server gave no sign of life in time.
    PingTimedOut,
    /// The server closed the session, with this text.
    ClosedByServer(String),
    /// The stream ended without a word from the server.
    Ended,
    /// The stream ended in the middle of a line.
    Truncated,
}

impl SessionError {
    /// Whether another attempt with the same configuration would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::PasswordRefused(_)
                | Self::Banned(_)
                | Self::SaslRefused { .. }
                | Self::SaslUnavailable
                | Self::SaslFailed(_)
                | Self::NicknameUnavailable(_)
        )
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PasswordRefused(refusal) => write!(f, "the password was refused: {refusal}"),
            Self::Banned(refusal) => write!(f, "banned from this server: {refusal}"),
            Self::SaslRefused {
                mechanism,
                refusal,
                reason,
            } => {
                write!(f, "the login with SASL {mechanism} was refused: {refusal}")?;
                match reason {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            Self::SaslUnavailable => f.write_str("the server does not offer a login with SASL"),
            Self::SaslFailed(error) => write!(f, "the login with SASL failed: {error}"),
            Self::SaslTimedOut => f.write_str("the server did not answer the login in time"),
            Self::NicknameUnavailable(refusal) => {
                write!(f, "no nickname was accepted: {refusal}")
            }
            Self::RegistrationTimedOut => {
                f.write_str("the server did not complete the registration in time")
            }
            Self::PingTimedOut => f.write_str("the server gave no sign of life in time"),
            Self::ClosedByServer(text) => write!(f, "closed by the server: {text}"),
            Self::Ended => f.write_str("the connection ended without a word from the server"),
            Self::Truncated => f.write_str("the connection ended in the middle of a line"),
        }
    }
}

impl std::error::Error for SessionError {}

impl jackfield_client::Failure for SessionError {
    fn ended() -> Self {
        Self::Ended
    }

    fn is_permanent(&self) -> bool {
        self.is_permanent()
    }

    fn place(&self) -> Place {
        match self {
            Self::SaslFailed(error) if error.is_own() => Place::Here,
            _ => Place::Server,
        }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it.
    Refused(Refusal),
    /// There is no session at the moment.
    NotConnected,
    /// The session ended before the answer; whether the server did it is not known.
    ConnectionLost,
    /// The server did not answer in time; whether it did it is not known.
    TimedOut,
    /// As many lines as [`Config::line_capacity`](crate::core::Config::line_capacity) allows wait
    /// to be sent.
    QueueFull,
    /// As many requests as [`Config::request_capacity`](crate::core::Config::request_capacity)
    /// allows wait for their answers.
    TooManyPending,
    /// The answer is larger than [`Limits::max_reply_items`](crate::core::Limits::max_reply_items)
    /// allows.
    ReplyTooLarge,
    /// It does not fit into one line of this server.
    TooLong {
        /// How many bytes it may have.
        limit: usize,
    },
    /// What was to be sent can't be.
    Invalid(InvalidValue),
    /// The server lacks this capability.
    Unsupported(&'static str),
    /// The client was closed, by [`close`](crate::client::Client::close) or because its connection
    /// future is gone.
    Closed,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::NotConnected => f.write_str("not connected"),
            Self::ConnectionLost => f.write_str("the connection was lost before the answer"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::QueueFull => f.write_str("too many lines wait to be sent"),
            Self::TooManyPending => f.write_str("too many requests wait for an answer"),
            Self::ReplyTooLarge => f.write_str("the answer is larger than the limit allows"),
            Self::TooLong { limit } => write!(f, "longer than {limit} bytes"),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Unsupported(what) => write!(f, "the server lacks {what}"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<InvalidValue> for RequestError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Invalid(invalid)
    }
}

/// The server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal it is.
    pub code: RefusalCode,
    /// The server's words.
    pub text: String,
}

/// A refusal's kind, as the server gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalCode {
    /// A numeric reply.
    Numeric(Numeric),
    /// A code of `FAIL` (IRCv3 standard-replies), such as `ACCOUNT_REQUIRED`.
    Standard(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            RefusalCode::Numeric(numeric) => write!(f, "{} ({numeric:?})", self.text),
            RefusalCode::Standard(code) => write!(f, "{} ({code})", self.text),
        }
    }
}
