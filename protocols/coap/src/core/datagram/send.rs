//! Sending: a message's turn, repetitions and end (RFC 7252, sections 4.2, 4.3 and 4.7).

use std::io;
use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::codec::{self, Message, MessageId, MessageType};

use super::super::{LayerEvent, Reliability, SendError, TransmissionError, TransmissionId};
use super::transmission::{PeerState, State, Transmission};
use super::{DatagramLayer, MAX_OUT, MAX_TRANSMISSIONS, Outgoing, Timer};

impl DatagramLayer {
    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        to: Peer,
        message: &Message,
        reliability: Reliability,
        delay: Option<Duration>,
    ) -> Result<TransmissionId, SendError> {
        if self.closing {
            return Err(SendError::Closing);
        }
        if reliability == Reliability::Confirmable && to.is_multicast() {
            return Err(SendError::ConfirmableToGroup);
        }
        let mut bytes = Vec::new();
        let message_type = match reliability {
            Reliability::Confirmable => MessageType::Confirmable,
            Reliability::NonConfirmable => MessageType::NonConfirmable,
        };
        codec::encode_datagram(message_type, MessageId(0), message, &mut bytes);
        self.check_size(bytes.len())?;
        let waiting = self.peer(now, to)?.waiting.len();
        for (length, limit) in [
            (waiting, self.config.queue_capacity.max(1)),
            (self.transmissions.len(), MAX_TRANSMISSIONS),
            (self.out.len(), MAX_OUT),
        ] {
            if length >= limit {
                return Err(SendError::QueueFull(limit));
            }
        }
        let id = self.next_id();
        let transmission = Transmission::new(to, message, reliability, bytes);
        let takes_turns = transmission.takes_turns();
        self.transmissions.insert(id, transmission);
        if let Some(delay) = delay {
            self.set_timer(id, now + delay);
        } else if let Some(peer) = self.peers.get_mut(&to) {
            if takes_turns {
                peer.waiting.push_back(id);
            } else {
                peer.waiting.push_front(id);
            }
            self.start_waiting(now, to);
        }
        Ok(TransmissionId(id))
    }

    pub(super) fn check_size(&self, length: usize) -> Result<(), SendError> {
        let limit = self.config.max_message_size;
        if length > limit {
            return Err(SendError::TooLarge { length, limit });
        }
        Ok(())
    }

    /// What is known about a peer, which is known from now on.
    pub(super) fn peer(&mut self, now: Instant, peer: Peer) -> Result<&mut PeerState, SendError> {
        if !self.peers.contains_key(&peer) && self.peers.len() >= self.limits.max_peers {
            let lifetime = self.config.transmission.exchange_lifetime();
            let idle = self
                .peers
                .iter()
                .filter(|(_, state)| state.is_idle())
                // One whose ids may still mean something is forgotten only if all others are too;
                // chance then chooses ids that it is unlikely to have had.
                .max_by_key(|(_, state)| {
                    let forgettable = state.message_ids.is_forgettable(now, lifetime);
                    (forgettable, now.saturating_duration_since(state.last_used))
                })
                .map(|(peer, _)| *peer);
            let Some(idle) = idle else {
                return Err(SendError::TooManyPeers(self.limits.max_peers));
            };
            self.peers.remove(&idle);
        }
        let random = &mut self.random;
        let state = self
            .peers
            .entry(peer)
            .or_insert_with(|| PeerState::new(now, random.u16(..)));
        state.last_used = now;
        Ok(state)
    }

    /// Starts what may start with a peer.
    pub(super) fn start_waiting(&mut self, now: Instant, to: Peer) {
        let nstart = self.config.transmission.nstart.max(1);
        let lifetime = self.config.transmission.exchange_lifetime();
        self.forget_non_confirmable(now);
        while let Some(peer) = self.peers.get_mut(&to) {
            let Some(id) = peer.waiting.front().copied() else {
                break;
            };
            let Some(transmission) = self.transmissions.get_mut(&id) else {
                peer.waiting.pop_front();
                continue;
            };
            if transmission.takes_turns() && peer.outstanding >= nstart {
                break;
            }
            let message_id = match peer.message_ids.next(now, lifetime) {
                Ok(message_id) => message_id,
                Err(free) => {
                    self.timers.insert((free, Timer::MessageIds(to)), ());
                    break;
                }
            };
            peer.waiting.pop_front();
            if transmission.takes_turns() {
                peer.outstanding += 1;
            }
            transmission.start(message_id);
            self.by_message_id.insert((to, message_id), id);
            let until = match transmission.reliability {
                Reliability::Confirmable => {
                    let chance = self.random.f64();
                    transmission.timeout = self.config.transmission.first_timeout(chance);
                    Some(now + transmission.timeout)
                }
                Reliability::NonConfirmable => {
                    let expires = now + self.config.transmission.non_lifetime();
                    self.non_confirmable.push_back((expires, (to, message_id)));
                    let bytes = transmission.bytes.len();
                    let pause = self.config.transmission.probing_pause(bytes);
                    transmission.code.is_request().then(|| now + pause)
                }
            };
            if transmission.code.is_request() {
                let token = transmission.token;
                if to.is_multicast() {
                    self.to_groups.push((token, id));
                } else {
                    self.by_token.insert((to, token), id);
                }
            }
            if let Some(until) = until {
                self.set_timer(id, until);
            }
            self.out.push_back((to, Outgoing::Transmission(id)));
        }
    }

    /// Forgets the ids of non-confirmable messages whose time is over, and makes room for one more.
    pub(super) fn forget_non_confirmable(&mut self, now: Instant) {
        let limit = self.limits.max_remembered_messages.max(1);
        while let Some((expires, key)) = self.non_confirmable.front().copied()
            && (expires <= now || self.non_confirmable.len() >= limit)
        {
            self.non_confirmable.pop_front();
            self.by_message_id.remove(&key);
        }
    }

    pub(super) fn set_timer(&mut self, id: u64, at: Instant) {
        if let Some(transmission) = self.transmissions.get_mut(&id) {
            if let Some(before) = transmission.timer.replace(at) {
                self.timers.remove(&(before, Timer::Transmission(id)));
            }
            self.timers.insert((at, Timer::Transmission(id)), ());
        }
    }

    /// Takes a transmission out: nothing more happens with it, and the next may start.
    pub(super) fn end(&mut self, now: Instant, id: u64) -> Option<Transmission> {
        let transmission = self.transmissions.remove(&id)?;
        let to = transmission.to;
        if let Some(at) = transmission.timer {
            self.timers.remove(&(at, Timer::Transmission(id)));
        }
        if self.by_token.get(&(to, transmission.token)) == Some(&id) {
            self.by_token.remove(&(to, transmission.token));
        }
        self.to_groups.retain(|(_, other)| *other != id);
        if transmission.reliability == Reliability::Confirmable
            && let State::Started(message_id) = transmission.state
        {
            self.by_message_id.remove(&(to, message_id));
        }
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.last_used = now;
            match transmission.state {
                State::Started(_) if transmission.takes_turns() => peer.outstanding -= 1,
                State::Started(_) => {}
                State::Waiting => peer.waiting.retain(|other| *other != id),
            }
        }
        self.start_waiting(now, to);
        Some(transmission)
    }

    pub(super) fn acknowledged(&mut self, now: Instant, id: u64) {
        self.end(now, id);
        self.events
            .push_back(LayerEvent::Acknowledged(TransmissionId(id)));
    }

    pub(super) fn fail(&mut self, now: Instant, id: u64, error: TransmissionError) {
        self.end(now, id);
        self.events
            .push_back(LayerEvent::Failed(TransmissionId(id), error));
    }

    /// The time of a transmission has come.
    pub(super) fn transmission_due(&mut self, now: Instant, id: u64) {
        let Some(transmission) = self.transmissions.get_mut(&id) else {
            return;
        };
        transmission.timer = None;
        let to = transmission.to;
        match (transmission.state, transmission.reliability) {
            (State::Waiting, _) => {
                // The peer may have been forgotten in the meantime.
                let Ok(peer) = self.peer(now, to) else {
                    let kind = io::ErrorKind::ResourceBusy;
                    return self.fail(now, id, TransmissionError::Unsendable(kind));
                };
                peer.waiting.push_front(id);
                self.start_waiting(now, to);
            }
            // A request that nobody answered has had its share of PROBING_RATE.
            (State::Started(_), Reliability::NonConfirmable) if transmission.sent => {
                self.end(now, id);
            }
            (State::Started(_), Reliability::NonConfirmable) => {
                // The socket has not taken it yet.
                let pause = self
                    .config
                    .transmission
                    .probing_pause(transmission.bytes.len());
                self.set_timer(id, now + pause.max(Duration::from_millis(1)));
            }
            (State::Started(_), Reliability::Confirmable) => {
                if transmission.retransmits >= self.config.transmission.retransmits() {
                    let error = match transmission.send_error {
                        Some(kind) => TransmissionError::Unsendable(kind),
                        None => TransmissionError::TimedOut,
                    };
                    self.fail(now, id, error);
                    return;
                }
                transmission.retransmits += 1;
                transmission.timeout *= 2;
                let next = now + transmission.timeout;
                // While the socket takes nothing, one that waits for it stands for both.
                if !std::mem::replace(&mut transmission.queued, true) {
                    self.out.push_back((to, Outgoing::Transmission(id)));
                }
                self.set_timer(id, next);
            }
        }
    }
}
