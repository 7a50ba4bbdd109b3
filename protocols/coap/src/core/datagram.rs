//! The message layer over datagrams (RFC 7252, section 4).

mod config;
mod message_ids;
mod parameters;
mod receive;
mod receptions;
mod send;
mod transmission;

use std::collections::VecDeque;
use std::io;

use foldhash::HashMap;
use jackfield_socket::driver::{Core, DatagramCore, Peer};
use jackfield_socket::time::Instant;

use crate::codec::{self, Code, Datagram, Message, MessageId, MessageType, Token};

use super::layer::ReceptionKind;
use super::{
    Layer, LayerError, LayerEvent, Limits, Reception, Reliability, SendError, SortedMap,
    TransmissionError, TransmissionId,
};

pub use config::DatagramConfig;
pub use parameters::TransmissionParameters;

use receptions::Receptions;
use transmission::{PeerState, Transmission};

/// How many datagrams wait for the socket, at the most. While it takes nothing, replies beyond that
/// are lost, as datagrams may be, and nothing more is sent.
const MAX_OUT: usize = 1024;
/// How many messages are open or wait for their turn or leisure, with all peers, at the most; more
/// are refused.
const MAX_TRANSMISSIONS: usize = 16 * 1024;

/// The message layer over datagrams: confirmable messages are repeated until they are acknowledged,
/// what arrives twice is told once, and answered in the same way again.
///
/// It serves clients and servers, with one peer or many. What is malformed is rejected or ignored,
/// as RFC 7252 says in sections 4.2 and 4.3; nothing that a peer sends ends it.
#[derive(Debug)]
pub struct DatagramLayer {
    config: DatagramConfig,
    limits: Limits,
    random: fastrand::Rng,
    last_id: u64,
    peers: HashMap<Peer, PeerState>,
    transmissions: SortedMap<u64, Transmission>,
    /// What an acknowledgement or reset may name: confirmable messages that are not acknowledged,
    /// and non-confirmable ones in their lifetime.
    by_message_id: HashMap<(Peer, MessageId), u64>,
    /// When the ids of non-confirmable messages expire.
    non_confirmable: VecDeque<(Instant, (Peer, MessageId))>,
    /// Requests that a response would end: from the peer, and for groups, from anyone.
    by_token: HashMap<(Peer, Token), u64>,
    to_groups: Vec<(Token, u64)>,
    /// Requests that a response acknowledged which need not have been theirs, and until when their own
    /// may come: a notification crosses the request that renews its observation.
    implied: VecDeque<(Instant, (Peer, MessageId), Token)>,
    receptions: Receptions,
    timers: SortedMap<(Instant, Timer), ()>,
    out: VecDeque<(Peer, Outgoing)>,
    /// What was given to the socket last.
    given: Option<u64>,
    events: VecDeque<LayerEvent>,
    closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A transmission is to be sent, sent again, or given up.
    Transmission(u64),
    /// A reception is to be acknowledged.
    Acknowledgement(u64),
    /// A peer's message ids are free again.
    MessageIds(Peer),
}

#[derive(Debug)]
enum Outgoing {
    Transmission(u64),
    /// The answer to a reception, and the transmission that it is.
    Answer(u64, Option<u64>),
    Bytes(Vec<u8>),
}

impl DatagramLayer {
    /// A layer that has spoken with nobody. Its chances come from `seed`, which must be one that
    /// nobody can guess: message ids begin with it.
    pub fn new(config: DatagramConfig, limits: Limits, seed: u64) -> Self {
        let (messages, bytes) = (limits.max_remembered_messages, limits.max_remembered_bytes);
        Self {
            receptions: Receptions::new(messages, bytes),
            config,
            limits,
            random: fastrand::Rng::with_seed(seed),
            last_id: 0,
            peers: HashMap::default(),
            transmissions: SortedMap::new(),
            by_message_id: HashMap::default(),
            non_confirmable: VecDeque::new(),
            by_token: HashMap::default(),
            to_groups: Vec::new(),
            implied: VecDeque::new(),
            timers: SortedMap::new(),
            out: VecDeque::new(),
            given: None,
            events: VecDeque::new(),
            closing: false,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Answers a confirmable message, if that has not been done yet.
    fn answer(&mut self, id: u64, answer: Vec<u8>, transmission: Option<u64>) -> bool {
        let (Some(at), Some((from, _))) =
            (self.receptions.acknowledge_at(id), self.receptions.key(id))
        else {
            return false;
        };
        self.timers.remove(&(at, Timer::Acknowledgement(id)));
        self.receptions.set_answer(id, answer);
        if self.out.len() < MAX_OUT || transmission.is_some() {
            self.out
                .push_back((from, Outgoing::Answer(id, transmission)));
        }
        true
    }

    fn acknowledge_id(&mut self, id: u64) {
        if let Some((_, message_id)) = self.receptions.key(id) {
            let empty = Datagram::empty(MessageType::Acknowledgement, message_id);
            self.answer(id, empty.to_bytes(), None);
        }
    }

    /// Writes what is to be sent; `None` if it is of no use any more.
    fn write(&mut self, outgoing: Outgoing, datagram: &mut Vec<u8>) -> Option<()> {
        self.given = None;
        match outgoing {
            Outgoing::Bytes(bytes) => datagram.extend_from_slice(&bytes),
            Outgoing::Answer(id, transmission) => {
                datagram.extend_from_slice(self.receptions.answer(id)?);
                if let Some(transmission) = transmission {
                    let event = LayerEvent::Sent(TransmissionId(transmission));
                    self.events.push_back(event);
                }
            }
            Outgoing::Transmission(id) => {
                let transmission = self.transmissions.get_mut(&id)?;
                transmission.queued = false;
                transmission.send_error = None;
                datagram.extend_from_slice(&transmission.bytes);
                if !std::mem::replace(&mut transmission.sent, true) {
                    let event = LayerEvent::Sent(TransmissionId(id));
                    self.events.push_back(event);
                }
                self.given = Some(id);
                if !transmission.takes_turns() {
                    // Its id is known for a while; the rest is done with.
                    self.transmissions.remove(&id);
                }
            }
        }
        Some(())
    }
}

impl Core for DatagramLayer {
    type Event = LayerEvent;
    type Error = LayerError;

    fn poll_event(&mut self) -> Option<LayerEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.first_key().map(|(at, _)| at)
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), LayerError> {
        while let Some((at, timer)) = self.timers.first_key()
            && at <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::Transmission(id) => self.transmission_due(now, id),
                Timer::Acknowledgement(id) => self.acknowledge_id(id),
                Timer::MessageIds(peer) => self.start_waiting(now, peer),
            }
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.closing && self.out.is_empty() && self.transmissions.is_empty()
    }
}

impl Layer for DatagramLayer {
    const IS_RELIABLE: bool = false;

    fn send(
        &mut self,
        now: Instant,
        to: Peer,
        message: Message,
        reliability: Reliability,
    ) -> Result<TransmissionId, SendError> {
        let code = message.code();
        if !code.is_request() && !code.is_response() {
            return Err(SendError::Code(code));
        }
        self.enqueue(now, to, &message, reliability, None)
    }

    fn respond(
        &mut self,
        now: Instant,
        to: &Reception,
        mut response: Message,
    ) -> Result<TransmissionId, SendError> {
        if !response.code().is_response() {
            return Err(SendError::Code(response.code()));
        }
        response.set_token(to.token);
        if to.kind == ReceptionKind::NonConfirmable {
            let leisure = self.config.leisure;
            let delay = leisure.map(|leisure| leisure.mul_f64(self.random.f64()));
            return self.enqueue(now, to.from, &response, Reliability::NonConfirmable, delay);
        }
        if self.receptions.acknowledge_at(to.id).is_none() {
            return self.enqueue(now, to.from, &response, Reliability::Confirmable, None);
        }
        let mut bytes = Vec::new();
        let message_type = MessageType::Acknowledgement;
        codec::encode_datagram(message_type, to.message_id, &response, &mut bytes);
        self.check_size(bytes.len())?;
        let id = self.next_id();
        self.answer(to.id, bytes, Some(id));
        Ok(TransmissionId(id))
    }

    fn acknowledge(&mut self, _now: Instant, reception: &Reception) {
        self.acknowledge_id(reception.id);
    }

    fn reject(&mut self, _now: Instant, reception: &Reception) {
        let id = reception.message_id;
        match reception.kind {
            ReceptionKind::Confirmable => {
                let reset = Datagram::empty(MessageType::Reset, id).to_bytes();
                self.answer(reception.id, reset, None);
            }
            ReceptionKind::NonConfirmable => {
                self.push_empty(reception.from, MessageType::Reset, id);
            }
            ReceptionKind::Piggybacked | ReceptionKind::Stream => {}
        }
    }

    fn cancel(&mut self, now: Instant, transmission: TransmissionId) {
        self.end(now, transmission.0);
    }

    fn ping(&mut self, now: Instant, to: Peer) -> Result<TransmissionId, SendError> {
        let empty = Message::new(Code::EMPTY);
        self.enqueue(now, to, &empty, Reliability::Confirmable, None)
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
        let owed = |(_, timer): &(Instant, Timer)| match timer {
            Timer::Acknowledgement(id) => Some(*id),
            _ => None,
        };
        let owed: Vec<u64> = self.timers.keys().filter_map(owed).collect();
        for id in owed {
            self.acknowledge_id(id);
        }
    }

    fn max_message_size(&self, _peer: Peer) -> usize {
        self.config.max_message_size
    }
}

impl DatagramCore for DatagramLayer {
    fn receive(&mut self, now: Instant, from: Peer, datagram: &[u8]) -> Result<(), LayerError> {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.heard = true;
        }
        match Datagram::decode(datagram) {
            Err(error) => self.receive_malformed(from, error.header()),
            Ok(datagram) => match datagram.message_type {
                MessageType::Confirmable | MessageType::NonConfirmable => {
                    self.receive_new(now, from, datagram);
                }
                MessageType::Acknowledgement => self.receive_acknowledgement(now, from, datagram),
                MessageType::Reset => self.receive_reset(now, from, &datagram),
            },
        }
        Ok(())
    }

    fn receive_truncated(
        &mut self,
        _now: Instant,
        from: Peer,
        beginning: &[u8],
    ) -> Result<(), LayerError> {
        self.receive_malformed(from, codec::datagram_header(beginning));
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
        loop {
            let (to, outgoing) = self.out.pop_front()?;
            if self.write(outgoing, datagram).is_some() {
                return Some(to);
            }
        }
    }

    fn send_failed(&mut self, now: Instant, _to: Peer, error: &io::Error) {
        let Some(id) = self.given.take() else {
            return;
        };
        let failed = TransmissionError::Unsendable(error.kind());
        match self.transmissions.get_mut(&id) {
            // Too long, and so it would be the next time. What else fails may pass.
            Some(transmission)
                if transmission.reliability == Reliability::Confirmable
                    && error.kind() != io::ErrorKind::InvalidInput =>
            {
                transmission.send_error = Some(error.kind());
            }
            _ => self.fail(now, id, failed),
        }
    }

    /// RFC 7252, section 4.2, lets such a report end the repeating, after vetting. What it quotes of
    /// the message is not known here, and it can be forged: so it counts only while the peer has
    /// never been heard. A server that was there may be back at the next repetition.
    fn unreachable(&mut self, now: Instant, from: Peer, error: &io::Error) {
        if self.peers.get(&from).is_none_or(|peer| peer.heard) {
            return;
        }
        let sent = |(id, transmission): (&u64, &Transmission)| {
            (transmission.to == from && transmission.sent).then_some(*id)
        };
        let mut unheard: Vec<u64> = self.transmissions.iter().filter_map(sent).collect();
        unheard.sort_unstable();
        for id in unheard {
            self.fail(now, id, TransmissionError::Unsendable(error.kind()));
        }
    }
}

#[cfg(test)]
mod tests;
