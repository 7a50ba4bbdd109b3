//! Errors of a client: how a connection ends, and how a request fails.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jackfield_client::Failure;

use crate::codec::{Code, InvalidLinks, InvalidOption, InvalidUri, OptionNumber};
use crate::core::blockwise::BlockError;
use crate::core::{LayerError, Response};

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server broke the protocol, or gave up.
    Layer(LayerError),
    /// The stream ended without a word from the server.
    Ended,
    /// The server wanted the stream to be closed (RFC 8323, section 5.5).
    Released {
        /// How long it wants to be left alone.
        hold_off: Duration,
    },
}

impl SessionError {
    /// Whether another attempt with the same configuration would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            // Our own settings are refused, and will be.
            Self::Layer(LayerError::Aborted { bad_option, .. }) => bad_option.is_some(),
            _ => false,
        }
    }
}

impl Failure for SessionError {
    fn ended() -> Self {
        Self::Ended
    }

    fn is_permanent(&self) -> bool {
        self.is_permanent()
    }
}

impl From<LayerError> for SessionError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Released { hold_off } => Self::Released { hold_off },
            error => Self::Layer(error),
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(error) => error.fmt(f),
            Self::Ended => f.write_str("the connection ended without a word from the server"),
            Self::Released { .. } => f.write_str("the server released the connection"),
        }
    }
}

impl std::error::Error for SessionError {}

/// Why a request was not done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it: the response's code is 4.xx or 5.xx.
    Refused(Refusal),
    /// The server did not acknowledge it, or not answer it, in time; whether it did it is not
    /// known.
    TimedOut,
    /// The server rejected the message with a Reset: it does not understand it, or has forgotten
    /// what it was about.
    Rejected,
    /// The message could not be sent, since there is no way to the server at the moment; or nothing
    /// listens at its port ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)). The latter is
    /// known over UDP only while nothing has come from the server, and where the network tells it.
    Unsendable(io::ErrorKind),
    /// There was no connection in time.
    NotConnected,
    /// The connection was lost before the answer; whether the server did it is not known.
    ConnectionLost,
    /// As many requests as [`Limits::max_exchanges`](crate::core::Limits::max_exchanges) allows
    /// are under way.
    TooManyPending,
    /// The target is not valid.
    InvalidTarget(InvalidUri),
    /// An option of the request can't be sent.
    InvalidOption(InvalidOption),
    /// The request does not fit together: the text says why.
    InvalidRequest(&'static str),
    /// The message is larger than the server, or what carries it, takes.
    TooLarge {
        /// How many bytes it may have.
        limit: usize,
    },
    /// A body in blocks could not be transferred.
    Blocks(BlockError),
    /// The response has an option that must be understood, and is not.
    BadOption(OptionNumber),
    /// The response is not the list of links it should be.
    BadLinks(InvalidLinks),
    /// What was to be sent could not be read.
    Body(Arc<io::Error>),
    /// The response was not protected as the request was, or could not be opened; the text says
    /// why.
    Security(Arc<str>),
    /// The client was closed, or its connection future is gone.
    Closed,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::Rejected => f.write_str("the server rejected the message"),
            Self::Unsendable(kind) => write!(f, "the message could not be delivered: {kind}"),
            Self::NotConnected => f.write_str("not connected"),
            Self::ConnectionLost => f.write_str("the connection was lost before the answer"),
            Self::TooManyPending => f.write_str("too many requests wait for an answer"),
            Self::InvalidTarget(invalid) => invalid.fmt(f),
            Self::InvalidOption(invalid) => invalid.fmt(f),
            Self::InvalidRequest(why) => f.write_str(why),
            Self::TooLarge { limit } => write!(f, "the message is larger than {limit} bytes"),
            Self::Blocks(error) => error.fmt(f),
            Self::BadOption(number) => {
                write!(
                    f,
                    "the response has an option that is not understood: {number}"
                )
            }
            Self::BadLinks(invalid) => invalid.fmt(f),
            Self::Body(error) => write!(f, "what was to be sent could not be read: {error}"),
            Self::Security(why) => write!(f, "the response can't be trusted: {why}"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is part of this one's, so its cause is this one's cause.
            Self::Body(error) => error.source(),
            _ => None,
        }
    }
}

impl From<InvalidUri> for RequestError {
    fn from(invalid: InvalidUri) -> Self {
        Self::InvalidTarget(invalid)
    }
}

impl From<InvalidOption> for RequestError {
    fn from(invalid: InvalidOption) -> Self {
        Self::InvalidOption(invalid)
    }
}

impl From<BlockError> for RequestError {
    fn from(error: BlockError) -> Self {
        Self::Blocks(error)
    }
}

/// A server's refusal: a response whose code is 4.xx or 5.xx.
#[derive(Clone, Debug)]
pub struct Refusal(Box<Response>);

impl Refusal {
    /// The refusal that a response is.
    pub(crate) fn new(response: Response) -> Self {
        Self(Box::new(response))
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code()
    }

    /// What the server says to a person (RFC 7252, section 5.5.2).
    pub fn diagnostic(&self) -> Option<&str> {
        if self.0.content_format().is_some() {
            return None;
        }
        self.0.text().filter(|text| !text.is_empty())
    }

    /// The whole response.
    pub fn response(&self) -> &Response {
        &self.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.code())?;
        match self.diagnostic() {
            // What a server says may be anything; a terminal is not to act on it.
            Some(text) => write!(f, ": {}", text.escape_debug()),
            None => Ok(()),
        }
    }
}
