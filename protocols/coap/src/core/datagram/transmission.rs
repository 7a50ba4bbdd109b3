//! A transmission: what is being sent, and to whom.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::codec::{Code, Message, MessageId, Token};

use super::super::Reliability;
use super::message_ids::MessageIds;

/// A message that waits to be sent, or to be acknowledged.
#[derive(Debug)]
pub(super) struct Transmission {
    pub(super) to: Peer,
    pub(super) token: Token,
    /// What it is: a request, a response, or, Empty, a ping.
    pub(super) code: Code,
    pub(super) reliability: Reliability,
    /// As it is sent; without its id as long as it waits.
    pub(super) bytes: Vec<u8>,
    pub(super) state: State,
    /// When something is to happen with it.
    pub(super) timer: Option<Instant>,
    /// How long the last wait was.
    pub(super) timeout: Duration,
    pub(super) retransmits: u32,
    /// It waits for the socket.
    pub(super) queued: bool,
    /// It has left, once at least.
    pub(super) sent: bool,
    /// Why it could not be sent, the last time.
    pub(super) send_error: Option<io::ErrorKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has no id yet.
    Waiting,
    Started(MessageId),
}

impl Transmission {
    pub(super) fn new(
        to: Peer,
        message: &Message,
        reliability: Reliability,
        bytes: Vec<u8>,
    ) -> Self {
        Self {
            to,
            token: message.token(),
            code: message.code(),
            reliability,
            bytes,
            state: State::Waiting,
            timer: None,
            timeout: Duration::ZERO,
            retransmits: 0,
            queued: false,
            sent: false,
            send_error: None,
        }
    }

    /// Whether NSTART limits how many such are open at a time.
    pub(super) fn takes_turns(&self) -> bool {
        self.code.is_request() || self.reliability == Reliability::Confirmable
    }

    /// Gives it its id.
    pub(super) fn start(&mut self, id: MessageId) {
        self.state = State::Started(id);
        self.queued = true;
        if let Some(at) = self.bytes.get_mut(2..4) {
            at.copy_from_slice(&id.0.to_be_bytes());
        }
    }
}

/// What is known about a peer that something is or was sent to.
#[derive(Debug)]
pub(super) struct PeerState {
    /// How many interactions are open, of which NSTART allows so many.
    pub(super) outstanding: usize,
    pub(super) waiting: VecDeque<u64>,
    pub(super) message_ids: MessageIds,
    pub(super) last_used: Instant,
    /// Whether anything has ever come from it.
    pub(super) heard: bool,
}

impl PeerState {
    pub(super) fn new(now: Instant, first_id: u16) -> Self {
        Self {
            outstanding: 0,
            waiting: VecDeque::new(),
            message_ids: MessageIds::new(first_id),
            last_used: now,
            heard: false,
        }
    }

    /// Whether nothing is open or waiting.
    pub(super) fn is_idle(&self) -> bool {
        self.outstanding == 0 && self.waiting.is_empty()
    }
}
