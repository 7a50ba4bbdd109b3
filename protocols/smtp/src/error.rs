//! Errors of a client: how a session ends, and how a request fails.

use std::fmt;

use jackfield_socket::Place;

use crate::codec::{Reply, ReplyFault};
use crate::core::{Outcome, Step};

/// Why a session ended without a [`close`](crate::client::Client::close).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The network gave a stream that others can read, and
    /// [`Config::security`](crate::core::Config::security) says otherwise: nothing was said.
    NotEncrypted,
    /// The server refused the connection, or a step before any message.
    Refused(Step, Reply),
    /// Logging in failed; what the server said, where it said something.
    Login(LoginError),
    /// The server left, or is about to (421).
    ClosedByServer(Reply),
    /// The server said something that is no answer to what it was asked.
    Unexpected(Step, Reply),
    /// The server said something though nobody had asked.
    Unasked(Reply),
    /// What the server sent is no reply.
    Malformed(ReplyFault),
    /// The server did not answer in time.
    TimedOut(Step),
    /// The server refused a message while it was on its way: the rest would be taken for commands.
    RefusedMidway(Reply),
    /// A message's source failed while it was on its way: the rest would be taken for commands.
    SourceFailed,
    /// Nothing was to be sent for a while, or as many messages as a connection may have: the
    /// session was left in order, and another begins when there is something to send.
    Idle,
    /// [`renew_with`](crate::client::ClientConfig::renew_with)'s function failed.
    NotRenewed(String),
    /// The stream ended without a word from the server.
    Ended,
    /// The stream ended in the middle of a reply.
    Truncated,
}

/// Why logging in failed. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// The connection is not secured, and
    /// [`allow_plaintext_auth`](crate::core::Config::allow_plaintext_auth) is not set.
    Plaintext,
    /// The server offers no way to log in, or none of those that these credentials are for.
    Unavailable,
    /// The server refused the credentials.
    Refused(Reply),
    /// The mechanism failed on this side: the server may not be the one that knows the password.
    Mechanism(jackfield_sasl::Error),
}

impl SessionError {
    /// Whether another attempt with the same configuration would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Login(LoginError::Refused(reply)) => !reply.is_temporary(),
            Self::Login(_) | Self::NotEncrypted => true,
            _ => false,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEncrypted => {
                f.write_str("the network gave no encrypted stream, where TLS was asked for")
            }
            Self::Refused(Step::Greeting, reply) => {
                write!(f, "the server greeted with {reply}")
            }
            Self::Refused(step, reply) => write!(f, "the server refused {step}: {reply}"),
            Self::Login(error) => error.fmt(f),
            Self::ClosedByServer(reply) => write!(f, "closed by the server: {reply}"),
            Self::Unexpected(step, reply) => {
                write!(f, "the server answered {step} with {reply}")
            }
            Self::Unasked(reply) => write!(f, "the server said unasked: {reply}"),
            Self::Malformed(fault) => write!(f, "what the server sent is no reply: {fault}"),
            Self::TimedOut(step) => write!(f, "the server did not answer in time: {step}"),
            Self::RefusedMidway(reply) => {
                write!(f, "a message was refused while it was on its way: {reply}")
            }
            Self::SourceFailed => f.write_str("a message could not be read to its end"),
            Self::Idle => f.write_str("nothing was left to be sent"),
            Self::NotRenewed(text) => {
                write!(f, "the credentials could not be renewed: {text}")
            }
            Self::Ended => f.write_str("the connection ended without a word from the server"),
            Self::Truncated => f.write_str("the connection ended in the middle of a reply"),
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
            Self::NotEncrypted
            | Self::Login(LoginError::Plaintext)
            | Self::SourceFailed
            | Self::Idle
            | Self::NotRenewed(_) => Place::Here,
            Self::Login(LoginError::Mechanism(error)) if error.is_own() => Place::Here,
            _ => Place::Server,
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext => {
                f.write_str("the login was not sent: the connection is not said to be secured")
            }
            Self::Unavailable => f.write_str("the server offers no login for these credentials"),
            Self::Refused(reply) => write!(f, "the login was refused: {reply}"),
            Self::Mechanism(error) => write!(f, "the login failed: {error}"),
        }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it: a message for all its recipients.
    Refused(Box<Refusal>),
    /// **The connection was lost after the whole message had left, and before the server said what it
    /// makes of it: it may have been taken or not.** Sent again, it may be there twice; nothing is sent
    /// again by itself.
    OutcomeUnknown(Box<Outcome>),
    /// The connection was lost before the whole message had left: it was not sent.
    ConnectionLost,
    /// The server did not answer a step before the message's end in time, or the request has waited
    /// too long to be begun: it was not sent.
    TimedOut,
    /// There is no connection to send it over; why not.
    NotConnected(Box<jackfield_client::ConnectionError<SessionError>>),
    /// As many requests wait as
    /// [`request_capacity`](crate::core::Config::request_capacity) allows.
    TooManyPending,
    /// The envelope has no recipient.
    NoRecipients,
    /// The envelope has more recipients, or domains of recipients, than the server takes at once
    /// (RFC 9422).
    TooManyRecipients {
        /// How many it takes.
        limit: u64,
    },
    /// The message is larger than the server takes (RFC 1870).
    TooLarge {
        /// How many bytes it takes.
        limit: u64,
    },
    /// The server does not offer what the envelope asks for: the extension's keyword.
    Unsupported(&'static str),
    /// The content holds a NUL, which only binary content may.
    Nul,
    /// The content could not be read to its end: it was not sent.
    SourceFailed,
    /// The client was closed.
    Closed,
}

impl RequestError {
    /// Whether the same request may be done later: the server said "not now" of one recipient at
    /// least, or was not there.
    ///
    /// Not so where the outcome is unknown: whether to risk a second copy is for people to decide.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_temporary(),
            Self::NotConnected(error) => !error.is_permanent(),
            Self::ConnectionLost | Self::TimedOut | Self::TooManyPending => true,
            _ => false,
        }
    }
}

impl RequestError {
    /// The refusal of something that has no recipients.
    pub(crate) fn refused(step: Step, reply: Reply) -> Self {
        let recipients = Outcome {
            recipients: Vec::new(),
        };
        Self::Refused(Box::new(Refusal {
            step,
            reply,
            recipients,
        }))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::OutcomeUnknown(_) => f.write_str(
                "the connection was lost before the server's answer to the message, which may have been taken",
            ),
            Self::ConnectionLost => f.write_str("the connection was lost before all was sent"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::NotConnected(error) => write!(f, "not connected: {error}"),
            Self::TooManyPending => f.write_str("too many requests wait to be begun"),
            Self::NoRecipients => f.write_str("the envelope has no recipient"),
            Self::TooManyRecipients { limit } => {
                write!(f, "more recipients than the {limit} that the server takes")
            }
            Self::TooLarge { limit } => {
                write!(f, "larger than the {limit} bytes that the server takes")
            }
            Self::Unsupported(what) => write!(f, "the server does not offer {what}"),
            Self::Nul => f.write_str("the content holds a NUL"),
            Self::SourceFailed => f.write_str("the content could not be read to its end"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is part of this one's, so its cause is this one's cause.
            Self::NotConnected(error) => error.source(),
            _ => None,
        }
    }
}

/// A server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused: the first thing that made the request fail.
    pub step: Step,
    /// What the server said.
    pub reply: Reply,
    /// What became of each recipient; empty for what has none.
    pub recipients: Outcome,
}

impl Refusal {
    /// Whether the server said "not now", of one recipient at least.
    pub fn is_temporary(&self) -> bool {
        self.reply.is_temporary() || self.recipients.refused().any(|(_, it)| it.is_temporary())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.reply)
    }
}
