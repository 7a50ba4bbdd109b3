//! Errors of a client: how a connection ends, and how a request fails.

use std::fmt;

use jackfield_socket::Place;

use crate::codec::{InvalidValue, ReasonCode, Text};

/// Why a connection ended without a [`close`](crate::core::Session::close).
///
/// The session outlives it: what was in flight is sent again on the next connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server did not let the client in.
    Refused(Box<Refusal>),
    /// The server knows MQTT 3.1.1 only, and was asked in MQTT 5.
    OlderServer {
        /// Whether the next attempt is made in 3.1.1
        /// ([`fall_back_to_v311`](crate::core::Config::fall_back_to_v311)).
        falls_back: bool,
    },
    /// The server ended the connection, and said why (MQTT 5).
    DisconnectedByServer(Box<Refusal>),
    /// The server broke the protocol. It was told the reason (MQTT 5).
    Protocol {
        /// What the specification calls it.
        reason: ReasonCode,
        /// What was wrong.
        text: &'static str,
    },
    /// The server did not answer CONNECT in time.
    ConnectTimedOut,
    /// The server gave no sign of life in time.
    PingTimedOut,
    /// The stream ended without a word from the server.
    Ended,
    /// The stream ended in the middle of a packet.
    Truncated,
    /// What the session has to keep could not be loaded or stored.
    Store(String),
    /// [`renew_with`](crate::client::ClientConfig::renew_with)'s function failed.
    NotRenewed(String),
    /// The connection can't begin with these options.
    Options(RequestError),
}

impl SessionError {
    /// Whether another attempt with the same configuration would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused(refusal) => !matches!(
                refusal.reason,
                ReasonCode::UnspecifiedError
                    | ReasonCode::ImplementationSpecificError
                    | ReasonCode::ServerUnavailable
                    | ReasonCode::ServerBusy
                    | ReasonCode::QuotaExceeded
                    | ReasonCode::UseAnotherServer
                    | ReasonCode::ConnectionRateExceeded
            ),
            Self::DisconnectedByServer(refusal) => matches!(
                refusal.reason,
                ReasonCode::NotAuthorized
                    | ReasonCode::SessionTakenOver
                    | ReasonCode::AdministrativeAction
                    | ReasonCode::ServerMoved
            ),
            Self::OlderServer { falls_back } => !falls_back,
            Self::Store(_) | Self::Options(_) => true,
            _ => false,
        }
    }

    /// Another server, where this one sends the client there with
    /// [`UseAnotherServer`](ReasonCode::UseAnotherServer) or [`ServerMoved`](ReasonCode::ServerMoved)
    /// (MQTT 5, section 4.11): the text as the server gave it, often `host:port`.
    pub fn server_reference(&self) -> Option<&Text> {
        match self {
            Self::Refused(refusal) | Self::DisconnectedByServer(refusal) => matches!(
                refusal.reason,
                ReasonCode::UseAnotherServer | ReasonCode::ServerMoved
            )
            .then_some(refusal.server_reference.as_ref())
            .flatten(),
            _ => None,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the server refused the connection: {refusal}"),
            Self::OlderServer { .. } => f.write_str("the server speaks MQTT 3.1.1 only"),
            Self::DisconnectedByServer(refusal) => {
                write!(f, "the server ended the connection: {refusal}")
            }
            Self::Protocol { reason, text } => {
                write!(f, "the server broke the protocol: {text}: {reason}")
            }
            Self::ConnectTimedOut => f.write_str("the server did not answer in time"),
            Self::PingTimedOut => f.write_str("the server gave no sign of life in time"),
            Self::Ended => f.write_str("the connection ended without a word from the server"),
            Self::Truncated => f.write_str("the connection ended in the middle of a packet"),
            Self::Store(text) => write!(f, "the session can't be kept: {text}"),
            Self::NotRenewed(text) => {
                write!(f, "the connection's options could not be renewed: {text}")
            }
            Self::Options(error) => write!(f, "the connection's options can't be sent: {error}"),
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
            Self::Store(_) | Self::NotRenewed(_) | Self::Options(_) => Place::Here,
            _ => Place::Server,
        }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it.
    Refused(Box<Refusal>),
    /// There is no connection at the moment.
    NotConnected,
    /// The connection ended before the answer.
    ConnectionLost,
    /// The server has lost the session that the message was in flight in; whether it took the
    /// message is not known.
    SessionLost,
    /// More waits to be sent than [`Limits`](crate::core::Limits) allows.
    QueueFull,
    /// It was the oldest when the queue was full, and newer ones were preferred.
    Dropped,
    /// The message's expiry came before it could be sent.
    Expired,
    /// No answer came in time: to a request, or to something else whose answer stands behind events
    /// that nobody reads. What was published stays in the session and is delivered yet; published
    /// again, it is there twice.
    TimedOut,
    /// The server takes no packet of this size.
    TooLarge {
        /// How many bytes a packet may have.
        limit: u32,
    },
    /// What was asked for can't be.
    Invalid(InvalidValue),
    /// The server, or MQTT 3.1.1, lacks this.
    Unsupported(&'static str),
    /// No message with this serial waits for an acknowledgement.
    UnknownSerial,
    /// The client was closed.
    Closed,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::NotConnected => f.write_str("not connected"),
            Self::ConnectionLost => f.write_str("the connection was lost before the answer"),
            Self::SessionLost => {
                f.write_str("the server has lost the session before it acknowledged the message")
            }
            Self::QueueFull => f.write_str("too much waits to be sent"),
            Self::Dropped => {
                f.write_str("dropped from the full queue in favour of a newer message")
            }
            Self::Expired => f.write_str("the message expired before it could be sent"),
            Self::TimedOut => f.write_str("no response came in time"),
            Self::TooLarge { limit } => {
                write!(f, "larger than the {limit} bytes that the server takes")
            }
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Unsupported(what) => write!(f, "unsupported here: {what}"),
            Self::UnknownSerial => {
                f.write_str("no message with this serial waits for an acknowledgement")
            }
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
#[non_exhaustive]
pub struct Refusal {
    /// Why.
    pub reason: ReasonCode,
    /// The server's words (MQTT 5).
    pub text: Option<Text>,
    /// Another server (MQTT 5).
    pub server_reference: Option<Text>,
    /// Whatever the applications agree on (MQTT 5).
    pub user_properties: crate::codec::UserProperties,
}

impl Refusal {
    pub(crate) fn new(reason: impl Into<ReasonCode>) -> Self {
        Self {
            reason: reason.into(),
            text: None,
            server_reference: None,
            user_properties: Vec::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{text}: {}", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

/// The records of a stored session can't be read: the text says which, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreError(pub(crate) String);

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RestoreError {}
