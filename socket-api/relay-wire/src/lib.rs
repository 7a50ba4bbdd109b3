//! The relay's wire: frames, and the multiplexer of both its sides, without input or output.
//!
//! A [`Frame`] is one binary message of a WebSocket. A [`Mux`] is one end of such a WebSocket, the
//! client's or the relay's: messages, `now` and local actions go in; messages, events and the next
//! deadline come out. `docs/relay-protocol.md` in the project's repository is the specification.
//!
//! Payloads are [`bytes::Bytes`], because every megabyte that a relay moves passes here: a chunk
//! that was read from a socket goes out in the buffer it was read into, behind a header for which
//! room was left, and one that came in a message is handed on as a part of that message. The
//! standard library has no buffer that is shared and cut without a copy.

pub mod auth;
mod code;
mod codec;
mod fair;
mod frame;
mod mux;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;

use std::fmt;
use std::num::NonZeroU32;

pub use code::{Code, MAX_TEXT, Reason};
pub use codec::DecodeError;
pub use fair::FairQueue;
pub use frame::{Capabilities, Frame, Settings, UdpTarget, datagram_cost};
pub use mux::{Chunk, Config, Event, Mux, Read, ReceivedDatagram, Role};

/// The most data that one frame carries, in bytes.
pub const MAX_DATA: usize = 64 * 1024;
/// The largest datagram, in bytes: what UDP over IPv4 can carry.
pub const MAX_DATAGRAM: usize = 65_507;
/// The longest message, in bytes; a longer one is an error before it is read.
pub const MAX_MESSAGE: usize = HEADER + MAX_DATA;

/// The length of a frame's header: its type and an identifier.
const HEADER: usize = 5;
/// The version in `HELLO`.
const VERSION: u8 = 1;

/// Names a stream, a listener or a UDP socket within one connection.
///
/// The client's are odd, the relay's even; each side's grow, and none is used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU32);

impl Id {
    /// The identifier with this number; `None` for 0, which names nothing.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Its number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    fn is_clients(self) -> bool {
        self.get() % 2 == 1
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
