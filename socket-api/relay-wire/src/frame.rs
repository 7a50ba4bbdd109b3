//! Frames: what the two sides say to each other.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_socket::{Endpoint, ListenOptions, TcpOptions, UdpOptions};

use crate::auth::Token;
use crate::codec::{self, DecodeError};
use crate::{Id, Reason};

/// One frame: one binary message of the WebSocket.
///
/// Printed for debugging, it shows no payload.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// The first frame each way: what its sender offers and can take.
    Hello(Settings),
    /// The sender takes nothing new (code `GOING_AWAY`), or is about to close the carrier (any
    /// other).
    GoAway(Reason),
    /// Asks for a `PONG` with the same bytes.
    Ping([u8; 8]),
    /// Answers a `PING`.
    Pong([u8; 8]),
    /// Client: opens a TCP connection.
    Connect {
        /// The new stream.
        id: Id,
        /// How many bytes the relay may send on it at first.
        credit: u32,
        /// Where to.
        to: Endpoint,
        /// How.
        options: TcpOptions,
    },
    /// Client: listens for TCP connections.
    Listen {
        /// The new listener.
        id: Id,
        /// How many connections the relay may announce at first.
        credit: u32,
        /// How many bytes the relay may send at first on each of them.
        stream_credit: u32,
        /// Where.
        at: SocketAddr,
        /// How.
        options: ListenOptions,
    },
    /// Client: opens a UDP socket.
    Udp {
        /// The new socket.
        id: Id,
        /// What the relay may send on it at first, as [`datagram_cost`] counts.
        credit: u32,
        /// Connected or bound.
        target: UdpTarget,
        /// How.
        options: UdpOptions,
    },
    /// Relay: what the client asked for is open.
    Opened {
        /// The stream, listener or socket.
        id: Id,
        /// How much the client may send at first; for a listener, 0.
        credit: u32,
        /// The relay's own address.
        local: Option<SocketAddr>,
        /// The address it is connected to.
        remote: Option<SocketAddr>,
    },
    /// Relay: what the client asked for can't be.
    Refused {
        /// What was asked for; it is gone.
        id: Id,
        /// Why.
        reason: Reason,
    },
    /// Relay: a listener has taken a connection.
    Inbound {
        /// The new stream.
        id: Id,
        /// The listener.
        listener: Id,
        /// How many bytes the client may send on it at first.
        credit: u32,
        /// The relay's own address.
        local: SocketAddr,
        /// Who connected.
        remote: SocketAddr,
    },
    /// Bytes of a stream: 1 to [`MAX_DATA`](crate::MAX_DATA).
    Data {
        /// The stream.
        id: Id,
        /// The bytes.
        data: Bytes,
    },
    /// The peer may send this much more: bytes on a stream, connections on a listener, cost on a
    /// UDP socket.
    Credit {
        /// The stream, listener or socket.
        id: Id,
        /// How much more; not 0.
        more: u32,
    },
    /// The sender's direction of a stream ends here, in order.
    Fin {
        /// The stream.
        id: Id,
    },
    /// The stream, listener or socket is gone. What its sender sent before is discarded, unless a
    /// `FIN` had ended it.
    Reset {
        /// The stream, listener or socket.
        id: Id,
        /// Why.
        reason: Reason,
    },
    /// One datagram of a UDP socket.
    Datagram {
        /// The socket.
        id: Id,
        /// From the relay: who sent it. From the client: where to, on a bound socket.
        peer: Option<SocketAddr>,
        /// Whether the relay could receive its beginning only.
        truncated: bool,
        /// The bytes; there may be no bytes at all.
        data: Bytes,
    },
    /// Relay: how many datagrams of a UDP socket it has dropped since it was opened.
    Dropped {
        /// The socket.
        id: Id,
        /// The total.
        total: u64,
    },
    /// Relay: what the client sent on a connected UDP socket found nobody, for this reason; the
    /// socket lives on. Its type is an extension's, which whoever doesn't know it ignores.
    Unreachable {
        /// The socket.
        id: Id,
        /// Why.
        reason: Reason,
    },
    /// Relay, before a `GoAway` that lets go: after how long another WebSocket is of use, to the
    /// millisecond and for 49 days at the most. Its type is an extension's, too.
    ComeBack {
        /// From when it comes.
        after: Duration,
    },
    /// Client, of a relay whose settings have [`token_left`](Settings::token_left): another token, to go on with when
    /// the last one ends. Its type, and those of its answers, are extensions'.
    Token(Token),
    /// Relay: the token that came is taken, and so long good, to the millisecond; 49 days are as good as more.
    TokenLeft(Duration),
    /// Relay: the token that came is not taken, for this reason, and nothing has changed.
    TokenRefused(Reason),
    /// A frame of a type from 0x80 that is none of those above, which whoever doesn't know it
    /// ignores.
    Extension {
        /// The type.
        kind: u8,
        /// The identifier in its header; 0 is the connection's.
        id: u32,
        /// What follows the header.
        body: Bytes,
    },
}

/// What a side offers and can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How many streams, listeners and UDP sockets the sender of the settings lets exist at once.
    pub max_open: u32,
    /// What the relay grants this client; from a client, always empty.
    pub capabilities: Capabilities,
    /// Of a relay that takes another token within the connection: how long the client's is still good, to the
    /// millisecond; 49 days are as good as more. From a client, always none.
    pub token_left: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_open: 256,
            capabilities: Capabilities::NONE,
            token_left: None,
        }
    }
}

/// A set of things that a relay grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub(crate) u32);

impl Capabilities {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// TCP connections.
    pub const CONNECT: Self = Self(1);
    /// Listening for TCP connections.
    pub const LISTEN: Self = Self(2);
    /// Connected UDP sockets.
    pub const UDP_CONNECTED: Self = Self(4);
    /// Bound UDP sockets.
    pub const UDP_BOUND: Self = Self(8);
    /// Multicast on bound UDP sockets.
    pub const MULTICAST: Self = Self(16);

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Which UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpTarget {
    /// One that speaks with this peer only.
    Connected(Endpoint),
    /// One at this address of the relay, which speaks with anyone.
    Bound(SocketAddr),
}

/// What a datagram takes from the credit of its socket: its length, and 64 for keeping it.
pub const fn datagram_cost(len: usize) -> u32 {
    // A datagram's length fits 16 bits.
    len as u32 + 64
}

impl Frame {
    /// Reads a frame from a message. What it holds of the message is not copied.
    ///
    /// # Errors
    /// Where the message is no frame, or one that no peer may send.
    pub fn decode(message: Bytes) -> Result<Self, DecodeError> {
        codec::decode(message)
    }

    /// Writes the frame as a message.
    ///
    /// # Panics
    /// Where it holds more than a message can: data beyond [`MAX_DATA`](crate::MAX_DATA), a datagram
    /// beyond [`MAX_DATAGRAM`](crate::MAX_DATAGRAM), more than 255 multicast groups.
    pub fn encode(&self) -> BytesMut {
        codec::encode(self)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(settings) => write!(f, "HELLO {settings:?}"),
            Self::GoAway(reason) => write!(f, "GOAWAY {reason:?}"),
            Self::Ping(bytes) => write!(f, "PING {bytes:02x?}"),
            Self::Pong(bytes) => write!(f, "PONG {bytes:02x?}"),
            Self::Connect {
                id,
                credit,
                to,
                options,
            } => write!(f, "CONNECT {id} to {to}, credit {credit}, {options:?}"),
            Self::Listen {
                id,
                credit,
                stream_credit,
                at,
                options,
            } => write!(
                f,
                "LISTEN {id} at {at}, credit {credit} and {stream_credit}, {options:?}"
            ),
            Self::Udp {
                id,
                credit,
                target,
                options,
            } => write!(f, "UDP {id} {target:?}, credit {credit}, {options:?}"),
            Self::Opened {
                id,
                credit,
                local,
                remote,
            } => write!(f, "OPENED {id}, credit {credit}, {local:?} to {remote:?}"),
            Self::Refused { id, reason } => write!(f, "REFUSED {id} {reason:?}"),
            Self::Inbound {
                id,
                listener,
                credit,
                local,
                remote,
            } => write!(
                f,
                "INBOUND {id} of {listener}, credit {credit}, {local} from {remote}"
            ),
            Self::Data { id, data } => write!(f, "DATA {id}, {} bytes", data.len()),
            Self::Credit { id, more } => write!(f, "CREDIT {id}, {more} more"),
            Self::Fin { id } => write!(f, "FIN {id}"),
            Self::Reset { id, reason } => write!(f, "RESET {id} {reason:?}"),
            Self::Datagram {
                id,
                peer,
                truncated,
                data,
            } => write!(
                f,
                "DATAGRAM {id}, {peer:?}, {} bytes, truncated: {truncated}",
                data.len()
            ),
            Self::Dropped { id, total } => write!(f, "DROPPED {id}, {total} in all"),
            Self::ComeBack { after } => write!(f, "COME_BACK after {after:?}"),
            Self::Token(_) => f.write_str("TOKEN"),
            Self::TokenLeft(left) => write!(f, "TOKEN_LEFT {left:?}"),
            Self::TokenRefused(reason) => write!(f, "TOKEN_REFUSED {reason:?}"),
            Self::Unreachable { id, reason } => write!(f, "UNREACHABLE {id} {reason:?}"),
            Self::Extension { kind, id, body } => {
                write!(f, "extension {kind:#04x} {id}, {} bytes", body.len())
            }
        }
    }
}
