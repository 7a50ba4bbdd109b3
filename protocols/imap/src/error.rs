//! Errors of a client: how a session ends, and how a request fails.

use std::fmt;
use std::time::Duration;

use jackfield_socket::Place;

use crate::codec::{Code, InvalidValue, Limit, Reason, Status, Text};

/// Why a session ended without a [`close`](crate::client::Client::close).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server did not let the user in.
    LoginRefused(Box<Refusal>),
    /// Others can read the connection, and the configuration does not allow that.
    NotEncrypted,
    /// The server takes no way to log in that the configuration allows.
    NoLogin,
    /// The log-in failed on this side: the server could not prove who it is, or made no sense.
    Sasl(jackfield_sasl::Error),
    /// The server greeted as if the user were logged in (PREAUTH), where nothing vouches for it.
    PreAuth,
    /// The server let the user in, and then said that it can't reach the mailbox: Exchange Online's
    /// `User is authenticated but not connected`. Another attempt may go better.
    UserNotConnected(Box<Refusal>),
    /// The server said that it ends the session, and why.
    Bye(Box<Refusal>),
    /// The server's first words were no greeting.
    NotImap,
    /// The server did not keep to a limit.
    LimitExceeded(Limit),
    /// What the server sends can't be inflated.
    Corrupt,
    /// The server did not greet, or the log-in was not done, in time.
    LoginTimedOut,
    /// The server gave no sign of life while it was to answer.
    TimedOut,
    /// A message that was to be appended was given up in its middle, which can't be taken back.
    AppendAborted,
    /// The stream ended without a word from the server.
    Ended,
    /// The stream ended in the middle of a response.
    Truncated,
    /// A text of the configuration can't be sent.
    Invalid(InvalidValue),
    /// [`renew_with`](crate::client::ClientConfig::renew_with)'s function failed.
    NotRenewed(String),
}

impl SessionError {
    /// Whether another attempt with the same configuration would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::LoginRefused(refusal) => !refusal.is_temporary(),
            Self::NotEncrypted
            | Self::NoLogin
            | Self::Sasl(_)
            | Self::PreAuth
            | Self::NotImap
            | Self::Invalid(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginRefused(refusal) => write!(f, "the server refused the log-in: {refusal}"),
            Self::NotEncrypted => {
                f.write_str("others can read the connection, which is not allowed here")
            }
            Self::NoLogin => f.write_str("the server takes no way to log in that is allowed here"),
            Self::Sasl(error) => write!(f, "the log-in failed: {error}"),
            Self::PreAuth => f.write_str("the server let in a user whom nobody vouched for"),
            Self::UserNotConnected(refusal) => {
                write!(
                    f,
                    "the server let the user in, and to no mailbox: {refusal}"
                )
            }
            Self::Bye(refusal) => write!(f, "the server ended the session: {refusal}"),
            Self::NotImap => f.write_str("the server did not greet as IMAP servers do"),
            Self::LimitExceeded(limit) => write!(f, "the server sent too much: {limit}"),
            Self::Corrupt => f.write_str("what the server sends can't be inflated"),
            Self::LoginTimedOut => f.write_str("the log-in was not done in time"),
            Self::TimedOut => f.write_str("the server gave no sign of life in time"),
            Self::AppendAborted => f.write_str("a message was given up while it was sent"),
            Self::Ended => f.write_str("the server ended the connection without a word"),
            Self::Truncated => f.write_str("the connection ended in the middle of a response"),
            Self::Invalid(error) => write!(f, "the configuration can't be sent: {error}"),
            Self::NotRenewed(text) => write!(f, "the credentials could not be renewed: {text}"),
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
            Self::NotEncrypted | Self::AppendAborted | Self::Invalid(_) | Self::NotRenewed(_) => {
                Place::Here
            }
            Self::Sasl(error) if error.is_own() => Place::Here,
            _ => Place::Server,
        }
    }
}

/// What a server said when it refused something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// For programs.
    pub code: Option<Code>,
    /// For people.
    pub text: Text,
    /// Whether the server did not understand (BAD), rather than not wanting to (NO).
    pub is_bad: bool,
}

impl Refusal {
    pub(crate) fn of(status: Status) -> Self {
        Self {
            is_bad: status.kind == crate::codec::StatusKind::Bad,
            code: status.code,
            text: status.text,
        }
    }

    /// The reason, where the server named one.
    pub fn reason(&self) -> Option<Reason> {
        match self.code {
            Some(Code::Reason(reason)) => Some(reason),
            _ => None,
        }
    }

    /// How long the server wants to be left alone, where it throttles: Exchange Online says so in
    /// its text.
    pub fn retry_after(&self) -> Option<Duration> {
        const MARK: &str = "Suggested Backoff Time: ";
        let text = self.text.to_str();
        let mut places = text.as_bytes().windows(MARK.len());
        let at = places.position(|place| place == MARK.as_bytes())?;
        let digits = text.get(at + MARK.len()..)?.split(' ').next()?;
        digits.parse().ok().map(Duration::from_millis)
    }

    /// Whether a log-in that was bound to its TLS connection may have been refused for that: servers that
    /// can't bind it say no more than that it has failed.
    pub(crate) fn may_be_binding(&self) -> bool {
        let may_be = self
            .reason()
            .is_none_or(|reason| reason == Reason::AuthenticationFailed);
        may_be && self.retry_after().is_none()
    }

    fn is_temporary(&self) -> bool {
        let reasons = [
            Reason::Unavailable,
            Reason::InUse,
            Reason::Limit,
            Reason::ServerBug,
        ];
        let is_named = self
            .reason()
            .is_some_and(|reason| reasons.contains(&reason));
        is_named || self.retry_after().is_some()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{} ({reason:?})", self.text),
            None => self.text.fmt(f),
        }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it.
    Refused(Box<Refusal>),
    /// The server wants to be left alone for so long.
    Throttled(Duration),
    /// There is no connection at the moment, and messages can't be named without a mailbox.
    NotConnected,
    /// No mailbox is selected.
    NotSelected,
    /// It names messages by their numbers, and in this session they have UIDs only (UIDONLY).
    UidRequired,
    /// The server has worked on a part of the messages only, and did not say which.
    Incomplete,
    /// The mailbox has no such message, or the message no such part.
    NoSuchMessage,
    /// The connection ended before the answer; whether it was done is not known.
    ConnectionLost(EndedBy),
    /// The server did not answer in time; whether it was done is not known.
    TimedOut,
    /// As many wait as [`Config::request_capacity`](crate::core::Config::request_capacity) allows.
    TooManyPending,
    /// The answer has more parts than
    /// [`Config::max_answers`](crate::core::Config::max_answers) allows.
    TooLarge,
    /// The message is larger than the server takes.
    MessageTooLarge {
        /// How large one may be, in bytes.
        limit: u64,
    },
    /// The server can't do it.
    Unsupported(&'static str),
    /// It can't be sent.
    Invalid(InvalidValue),
    /// What was to be appended could not be read, or had another size than was said.
    Source,
    /// The client is closed.
    Closed,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The server: it said so, or ended the stream in order.
    Server,
    /// Something between: the stream was cut.
    Network,
    /// This side: the server did not answer in time, or broke the rules.
    Client,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Throttled(time) => {
                write!(
                    f,
                    "the server wants to be left alone for {} s",
                    time.as_secs()
                )
            }
            Self::NotConnected => f.write_str("there is no connection at the moment"),
            Self::NotSelected => f.write_str("no mailbox is selected"),
            Self::UidRequired => f.write_str("messages have UIDs here, and no numbers"),
            Self::Incomplete => f.write_str("the server did not say which part of it was done"),
            Self::NoSuchMessage => f.write_str("there is no such message, or no such part of it"),
            Self::ConnectionLost(by) => f.write_str(match by {
                EndedBy::Server => "the server ended the connection before the answer",
                EndedBy::Network => "the connection was cut before the answer",
                EndedBy::Client => "the connection was given up before the answer",
            }),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::TooManyPending => f.write_str("too many requests wait"),
            Self::TooLarge => f.write_str("the answer has more parts than max_answers"),
            Self::MessageTooLarge { limit } => {
                write!(f, "the server takes messages of up to {limit} bytes")
            }
            Self::Unsupported(what) => write!(f, "the server has no {what}"),
            Self::Invalid(error) => error.fmt(f),
            Self::Source => f.write_str("the message could not be read whole"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<InvalidValue> for RequestError {
    fn from(error: InvalidValue) -> Self {
        Self::Invalid(error)
    }
}
