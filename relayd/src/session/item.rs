//! What hangs on a session, and what it has while it has its turn.

use std::net::SocketAddr;
use std::task::Waker;

use jackfield_relay_wire::{Id, Mux};
use tokio::time::Instant;

use super::context::Context;
use super::listen::Listening;
use super::open::{Opened, Opening};
use super::tcp::TcpPump;
use super::udp::UdpPump;
use crate::identity::Grant;
use crate::metrics::{Counted, Kind};
use crate::record::Case;

/// Something that hangs on the session, and what asks for its turns.
pub(super) struct Entry {
    pub(super) item: Item,
    /// It asks for a turn.
    pub(super) waker: Waker,
    pub(super) case: Case,
    /// How much had been carried when it was last looked at.
    pub(super) mark: u64,
    pub(super) _counted: Counted,
}

pub(super) enum Item {
    Opening(Opening),
    Stream(TcpPump),
    Listener(Listening),
    Udp(UdpPump),
}

impl Item {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Opening(_) => Kind::Opening,
            Self::Stream(_) => Kind::Stream,
            Self::Listener(_) => Kind::Listener,
            Self::Udp(_) => Kind::Datagrams,
        }
    }
}

/// What a turn has come to.
pub(super) enum Turn {
    /// It waits; its waker will say when it has something to do.
    Waiting,
    /// It did something, and may have more to do.
    Worked,
    /// An opening is done.
    Opened(Box<Opened>),
    /// A listener has taken a connection, from there.
    Accepted(Id, Box<TcpPump>, SocketAddr),
    /// It is over.
    Over,
}

/// What all items of a session share while one of them has its turn.
pub(super) struct Shared<'a> {
    pub(super) mux: &'a mut Mux,
    pub(super) scratch: &'a mut Scratch,
    pub(super) counters: &'a mut Counters,
    pub(super) grant: &'a Grant,
    pub(super) context: &'a Context,
    /// When the token ends.
    pub(super) expires: Option<Instant>,
    /// The record of whoever has the turn.
    pub(super) case: &'a mut Case,
}

/// Buffers that are used for the length of a turn.
#[derive(Default)]
pub(super) struct Scratch {
    /// A chunk that was read into and copied out of.
    pub(super) chunk: Option<jackfield_relay_wire::Chunk>,
    /// For a datagram.
    pub(super) datagram: Vec<u8>,
}

/// What the log says at the end.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) opened: u64,
    pub(super) refused: u64,
    /// Payload from the client.
    pub(super) bytes_up: u64,
    /// Payload to the client.
    pub(super) bytes_down: u64,
    pub(super) datagrams_up: u64,
    pub(super) datagrams_down: u64,
    pub(super) datagrams_dropped: u64,
    /// Streams of which a target did not get what the client had ended.
    pub(super) undelivered: u64,
}
