//! The message layer's interface: what datagrams and streams have in common.

use std::fmt;
use std::io;
use std::time::Duration;

use jackfield_socket::driver::{Core, Peer};
use jackfield_socket::time::Instant;

use crate::codec::{Code, DecodeError, Message, OptionNumber};

/// What carries a [`Session`](super::Session)'s messages: a [`DatagramLayer`](super::DatagramLayer)
/// or a [`StreamLayer`](super::StreamLayer). There are no others: only a session speaks to it.
pub trait MessageLayer: Layer {}

impl<L: Layer> MessageLayer for L {}

/// A layer that carries messages between this endpoint and its peers, in both directions and for
/// both roles.
///
/// A message that is sent is a transmission. Its events come in this order: [`Sent`] when it left
/// for the first time; [`Acknowledged`] when the peer said that it has it; and, instead of what is
/// still to come, [`Failed`]. Nothing comes after `Acknowledged` or `Failed`, nor after
/// [`cancel`](Self::cancel).
///
/// A message that is received is a reception. Who takes it should soon call one of
/// [`respond`](Self::respond), [`acknowledge`](Self::acknowledge) and [`reject`](Self::reject);
/// a confirmable message with which nothing happens is acknowledged after a moment.
///
/// [`Sent`]: LayerEvent::Sent
/// [`Acknowledged`]: LayerEvent::Acknowledged
/// [`Failed`]: LayerEvent::Failed
pub trait Layer: Core<Event = LayerEvent, Error = LayerError> {
    /// Whether messages arrive once and in order: then notifications need not be ordered, and what
    /// was sent has not to be sent again.
    const IS_RELIABLE: bool;

    /// Sends a request, or a response of its own: a notification.
    ///
    /// A request's token must be one that is in use with this peer for no other request.
    ///
    /// # Errors
    /// As [`SendError`] says; then nothing is sent.
    fn send(
        &mut self,
        now: Instant,
        to: Peer,
        message: Message,
        reliability: Reliability,
    ) -> Result<TransmissionId, SendError>;

    /// Sends the response to a request, which gets the request's token: in the acknowledgement, if
    /// that has not gone out yet; otherwise by itself, confirmable if the request was.
    ///
    /// # Errors
    /// As [`SendError`] says; then nothing is sent.
    fn respond(
        &mut self,
        now: Instant,
        to: &Reception,
        response: Message,
    ) -> Result<TransmissionId, SendError>;

    /// Says that a message was taken, and that a response, if it is a request, will follow.
    fn acknowledge(&mut self, now: Instant, reception: &Reception);

    /// Says that a message is of no use: a response that nobody waits for, a critical option in a
    /// response, a notification that is no longer wanted (RFC 7252, sections 4.2 and 4.3). A
    /// carrier that can't say so leaves it.
    fn reject(&mut self, now: Instant, reception: &Reception);

    /// Forgets a transmission: it is not repeated any more, and causes no event. One that waited
    /// for its turn is not sent.
    fn cancel(&mut self, now: Instant, transmission: TransmissionId);

    /// Asks a peer whether it is there; it has said so when the transmission is
    /// [`Acknowledged`](LayerEvent::Acknowledged).
    ///
    /// # Errors
    /// As [`SendError`] says; then nothing is sent.
    fn ping(&mut self, now: Instant, to: Peer) -> Result<TransmissionId, SendError>;

    /// Ends in order: what waits goes out, and nothing new is taken; then it is
    /// [finished](Core::is_finished).
    fn close(&mut self, now: Instant);

    /// How many bytes a message may have, for this peer, as it is encoded there.
    fn max_message_size(&self, peer: Peer) -> usize;

    /// Whether several blocks may go in one message (BERT, RFC 8323, section 6), which a carrier that is
    /// not reliable never allows.
    fn allows_bert(&self, _peer: Peer) -> bool {
        false
    }
}

/// How a message is to be delivered. Streams deliver all in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// It is repeated until the peer acknowledges it.
    Confirmable,
    /// It is sent once.
    NonConfirmable,
}

/// A message that is being sent. Ids are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmissionId(pub(super) u64);

/// A message that was received, to answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reception {
    pub(super) id: u64,
    pub(super) from: Peer,
    pub(super) message_id: crate::codec::MessageId,
    pub(super) token: crate::codec::Token,
    pub(super) kind: ReceptionKind,
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ReceptionKind {
    Confirmable,
    NonConfirmable,
    /// In an acknowledgement.
    Piggybacked,
    /// On a stream.
    Stream,
}

impl Reception {
    /// Who sent it.
    pub fn from(&self) -> Peer {
        self.from
    }

    /// Whether the peer repeats it until it is acknowledged.
    pub fn is_confirmable(&self) -> bool {
        self.kind == ReceptionKind::Confirmable
    }

    /// Whether it came in the acknowledgement of what it answers.
    pub fn is_piggybacked(&self) -> bool {
        self.kind == ReceptionKind::Piggybacked
    }
}

/// A message, and the means to answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// To answer to it.
    pub reception: Reception,
    /// A request or a response.
    pub message: Message,
}

/// What a message layer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerEvent {
    /// A request or a response arrived, for the first time.
    Received(Received),
    /// A message left for the first time.
    Sent(TransmissionId),
    /// The peer has the message. A stream says this of pings only.
    Acknowledged(TransmissionId),
    /// The message was not delivered, or nobody knows.
    Failed(TransmissionId, TransmissionError),
    /// The peer of a stream has said what it can do.
    Ready,
    /// The peer of a stream is about to close it: no new requests are taken (RFC 8323, section
    /// 5.5).
    Released {
        /// Where to connect instead; `None` where it is the same address.
        alternatives: Vec<String>,
        /// How long to wait before connecting again.
        hold_off: Duration,
    },
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Too many messages wait already: this many.
    QueueFull(usize),
    /// Too many peers are being spoken with: this many.
    TooManyPeers(usize),
    /// Its encoding is longer than what may be sent to this peer.
    TooLarge {
        /// How many bytes it has.
        length: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A confirmable message can't go to a group (RFC 7252, section 8.1).
    ConfirmableToGroup,
    /// Its code is not one that is sent here.
    Code(Code),
    /// The layer is closing, or the peer is.
    Closing,
    /// It can't be protected by OSCORE, as it has to be, for this reason.
    Unprotected(crate::oscore::ErrorKind),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull(limit) => write!(f, "{limit} messages wait to be sent already"),
            Self::TooManyPeers(limit) => write!(f, "{limit} peers are being spoken with already"),
            Self::TooLarge { length, limit } => {
                write!(f, "a message of {length} bytes, where {limit} are allowed")
            }
            Self::ConfirmableToGroup => f.write_str("a confirmable message to a multicast group"),
            Self::Code(code) => write!(f, "the code {code} is not sent as a message"),
            Self::Closing => f.write_str("the connection is being closed"),
            Self::Unprotected(reason) => {
                write!(f, "the message can't be protected by OSCORE: {reason:?}")
            }
        }
    }
}

impl std::error::Error for SendError {}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransmissionError {
    /// It was not acknowledged, however often it was repeated (RFC 7252, section 4.2).
    TimedOut,
    /// The peer rejected it: it can't make use of it.
    Reset,
    /// It could not be sent, or nobody is there to take it, for this reason.
    Unsendable(io::ErrorKind),
}

impl fmt::Display for TransmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the message was not acknowledged in time"),
            Self::Reset => f.write_str("the peer rejected the message"),
            Self::Unsendable(kind) => write!(f, "the message could not be delivered: {kind}"),
        }
    }
}

impl std::error::Error for TransmissionError {}

/// Why a message layer ended. One over datagrams has no reason to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerError {
    /// The peer sent what is no message.
    Malformed(DecodeError),
    /// The peer announced a message that is longer than it was told it may be.
    TooLarge {
        /// How many bytes it has.
        length: u64,
        /// How many are allowed.
        limit: usize,
    },
    /// The peer's first message did not say what it can do (RFC 8323, section 5.3).
    NoSettings,
    /// The peer did not say in time what it can do.
    SettingsTimedOut,
    /// The peer of a stream gave no sign of life in time.
    PingTimedOut,
    /// The peer's settings hold a critical option that is not known.
    BadSettings(OptionNumber),
    /// A signal holds a critical option that is not known.
    BadSignal(Code, OptionNumber),
    /// More waits for the peer than it reads.
    Stalled,
    /// The peer gave up, and said why.
    Aborted {
        /// For people.
        diagnostic: String,
        /// The option in our settings that it did not know.
        bad_option: Option<OptionNumber>,
    },
    /// The peer wanted the stream to be closed, and has answered what it was asked (RFC 8323,
    /// section 5.5).
    Released {
        /// How long to wait before connecting again.
        hold_off: Duration,
    },
    /// The stream ended in the middle of a message.
    Truncated,
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::TooLarge { length, limit } => {
                write!(f, "a message of {length} bytes, where {limit} are allowed")
            }
            Self::NoSettings => f.write_str("the first message is no CSM"),
            Self::SettingsTimedOut => f.write_str("no CSM came in time"),
            Self::PingTimedOut => f.write_str("the peer gave no sign of life in time"),
            Self::BadSettings(number) => {
                write!(f, "the CSM holds the unknown critical option {}", number.0)
            }
            Self::BadSignal(code, number) => {
                let number = number.0;
                write!(f, "a {code:?} holds the unknown critical option {number}")
            }
            Self::Stalled => f.write_str("the peer does not read what is sent to it"),
            Self::Aborted {
                diagnostic,
                bad_option,
            } => {
                f.write_str("the peer aborted the connection")?;
                if let Some(number) = bad_option {
                    write!(f, " because of option {} in the CSM", number.0)?;
                }
                if !diagnostic.is_empty() {
                    write!(f, ": {diagnostic}")?;
                }
                Ok(())
            }
            Self::Released { .. } => f.write_str("the peer released the connection"),
            Self::Truncated => f.write_str("the stream ended in the middle of a message"),
        }
    }
}

impl std::error::Error for LayerError {}
