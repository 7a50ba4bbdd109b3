//! Receiving: what is done with what arrives (RFC 7252, sections 4.2 to 4.5).

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::codec::{Datagram, Message, MessageId, MessageType, Token};

use super::super::layer::ReceptionKind;
use super::super::{LayerEvent, Received, Reception, Reliability, TransmissionError};
use super::receptions::Known;
use super::transmission::{State, Transmission};
use super::{DatagramLayer, MAX_OUT, Outgoing, Timer};

impl DatagramLayer {
    pub(super) fn receive_malformed(
        &mut self,
        from: Peer,
        header: Option<(MessageType, MessageId)>,
    ) {
        // A NON, ACK or RST that is rejected is ignored (sections 4.2 and 4.3), and so is what is no
        // CoAP at all (section 3).
        if let Some((MessageType::Confirmable, id)) = header {
            self.push_empty(from, MessageType::Reset, id);
        }
    }

    pub(super) fn push_empty(&mut self, to: Peer, message_type: MessageType, id: MessageId) {
        if self.out.len() < MAX_OUT {
            let bytes = Datagram::empty(message_type, id).to_bytes();
            self.out.push_back((to, Outgoing::Bytes(bytes)));
        }
    }

    pub(super) fn receive_new(&mut self, now: Instant, from: Peer, datagram: Datagram) {
        let Datagram {
            message_type,
            id: message_id,
            message,
        } = datagram;
        let confirmable = message_type == MessageType::Confirmable;
        if message.code().is_empty() {
            // A ping; a NON that is Empty is rejected by ignoring it.
            if confirmable {
                self.push_empty(from, MessageType::Reset, message_id);
            }
            return;
        }
        let key = (from, message_id);
        match self.receptions.look_up(now, key) {
            Known::New => {}
            Known::Unanswered => return,
            Known::Answered(id) => {
                if self.out.len() < MAX_OUT {
                    self.out.push_back((from, Outgoing::Answer(id, None)));
                }
                return;
            }
        }
        if self.receptions.is_full() {
            self.forget_oldest();
        }
        let id = self.next_id();
        let parameters = &self.config.transmission;
        let (kind, lifetime, acknowledge_at) = if confirmable {
            let at = now + self.config.acknowledgement_delay;
            self.timers.insert((at, Timer::Acknowledgement(id)), ());
            let lifetime = parameters.exchange_lifetime();
            (ReceptionKind::Confirmable, lifetime, Some(at))
        } else {
            (
                ReceptionKind::NonConfirmable,
                parameters.non_lifetime(),
                None,
            )
        };
        self.receptions
            .insert(now, lifetime, key, id, acknowledge_at);
        if message.code().is_response() {
            self.response_arrived(now, from, message.token());
        }
        self.push_received(id, from, message_id, kind, message);
    }

    /// Makes room for another reception. What nobody has answered yet is acknowledged.
    fn forget_oldest(&mut self) {
        let Some(id) = self.receptions.oldest() else {
            return;
        };
        if let (Some(at), Some((from, message_id))) =
            (self.receptions.acknowledge_at(id), self.receptions.key(id))
        {
            self.timers.remove(&(at, Timer::Acknowledgement(id)));
            self.push_empty(from, MessageType::Acknowledgement, message_id);
        }
        self.receptions.remove_oldest();
    }

    /// A response by itself says that its request arrived: the acknowledgement may have been lost.
    fn response_arrived(&mut self, now: Instant, from: Peer, token: Token) {
        let of_peer = self.by_token.get(&(from, token)).copied();
        let Some(id) = of_peer.or_else(|| {
            let mut groups = self.to_groups.iter();
            groups.find(|(other, _)| *other == token).map(|(_, id)| *id)
        }) else {
            return;
        };
        match self.transmissions.get(&id) {
            Some(transmission) if transmission.reliability == Reliability::Confirmable => {
                if let State::Started(message_id) = transmission.state {
                    self.remember_implied(now, (from, message_id), token);
                }
                self.acknowledged(now, id);
            }
            _ => {
                self.end(now, id);
            }
        }
    }

    pub(super) fn receive_acknowledgement(&mut self, now: Instant, from: Peer, datagram: Datagram) {
        let Some((id, transmission)) = self.confirmable(from, datagram.id) else {
            self.receive_after_implied(now, from, datagram);
            return;
        };
        let code = datagram.message.code();
        // Who takes a ping for a request, and refuses it, is there too.
        if code.is_empty() || transmission.code.is_empty() {
            self.acknowledged(now, id);
        } else if code.is_response()
            && transmission.code.is_request()
            && transmission.token == datagram.message.token()
        {
            self.acknowledged(now, id);
            let (kind, reception) = (ReceptionKind::Piggybacked, self.next_id());
            self.push_received(reception, from, datagram.id, kind, datagram.message);
        }
        // Otherwise it is rejected, by ignoring it.
    }

    /// Remembers a request whose own response may still come in its acknowledgement.
    fn remember_implied(&mut self, now: Instant, key: (Peer, MessageId), token: Token) {
        while self
            .implied
            .pop_front_if(|(until, ..)| *until <= now)
            .is_some()
        {}
        if self.implied.len() >= self.limits.max_remembered_messages {
            self.implied.pop_front();
        }
        let until = now + self.config.transmission.exchange_lifetime();
        self.implied.push_back((until, key, token));
    }

    /// Takes the response to such a request.
    fn receive_after_implied(&mut self, now: Instant, from: Peer, datagram: Datagram) {
        if !datagram.message.code().is_response() {
            return;
        }
        let (key, token) = ((from, datagram.id), datagram.message.token());
        let awaited = |(until, other, of): &(Instant, (Peer, MessageId), Token)| {
            *until > now && *other == key && *of == token
        };
        if let Some(at) = self.implied.iter().position(awaited) {
            self.implied.remove(at);
            let (kind, reception) = (ReceptionKind::Piggybacked, self.next_id());
            self.push_received(reception, from, datagram.id, kind, datagram.message);
        }
    }

    pub(super) fn receive_reset(&mut self, now: Instant, from: Peer, datagram: &Datagram) {
        if !datagram.message.code().is_empty() {
            return;
        }
        if let Some((id, transmission)) = self.confirmable(from, datagram.id) {
            if transmission.code.is_empty() {
                self.acknowledged(now, id);
            } else {
                self.fail(now, id, TransmissionError::Reset);
            }
            return;
        }
        self.forget_non_confirmable(now);
        if let Some(id) = self.by_message_id.remove(&(from, datagram.id)) {
            self.fail(now, id, TransmissionError::Reset);
        }
    }

    /// The confirmable message of ours that an acknowledgement or reset names.
    fn confirmable(&self, from: Peer, id: MessageId) -> Option<(u64, &Transmission)> {
        let id = *self.by_message_id.get(&(from, id))?;
        let transmission = self.transmissions.get(&id)?;
        (transmission.reliability == Reliability::Confirmable).then_some((id, transmission))
    }

    fn push_received(
        &mut self,
        id: u64,
        from: Peer,
        message_id: MessageId,
        kind: ReceptionKind,
        message: Message,
    ) {
        let reception = Reception {
            id,
            from,
            message_id,
            token: message.token(),
            kind,
        };
        self.events
            .push_back(LayerEvent::Received(Received { reception, message }));
    }
}
