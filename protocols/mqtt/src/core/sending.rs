//! Sending: what a session sends, and when.

use std::time::Duration;

use jackfield_socket::time::Instant;

use super::aliases::Alias;
use super::outgoing::{FlightState, Replay};
use super::session::{Phase, Session};
use super::subscriptions::Asked;
use super::{Acknowledged, Message, Reply};
use crate::codec::{
    EncodeError, Encoder, MessageProperties, Packet, PacketId, PubAck, PublishReason, QoS, Release,
    ReleaseReason,
};
use crate::error::RequestError;

/// So much is given at a time, roughly, in bytes.
const AT_ONCE: usize = 64 * 1024;
/// A topic alias takes so many bytes at the most, its identifier and a longer length included.
const ALIAS_LENGTH: usize = 5;
/// A shorter topic is not worth an alias.
const SHORT_TOPIC: usize = 4;

impl Session {
    pub(super) fn send(&mut self, now: Instant, out: &mut Vec<u8>) {
        if let Phase::ToConnect(connect) = &self.phase {
            let packet = Packet::Connect(connect.clone());
            let encoder = Encoder::new(connect.version);
            self.connection.asked = Some(connect.clone());
            self.phase = Phase::Connecting {
                until: now + self.config.connect_timeout.max(Duration::from_millis(1)),
            };
            // It was tried before.
            let _ = encoder.encode_of_client(&packet, out);
        }
        if self.connection.ping_due {
            self.connection.ping_due = false;
            let _ = self
                .connection
                .encoder
                .encode_of_client(&Packet::PingReq, out);
        }
        self.send_answers(out);
        let known = self.durable.is_reached(self.connection.known);
        if matches!(self.phase, Phase::Connected) && known {
            self.send_again(now, out);
            // Before messages are given identifiers: a queue that is never empty would leave none.
            self.send_requests(out);
            self.outgoing.prepare(&mut self.ids, &mut self.durable);
            self.send_queue(now, out);
        }
        // Not while more is to be sent before it.
        if out.len() < AT_ONCE
            && let Some((disconnect, asked)) = self.connection.disconnect.take()
        {
            let packet = Packet::Disconnect(disconnect);
            let _ = self.connection.encoder.encode_of_client(&packet, out);
            self.phase = Phase::Done;
            if asked {
                self.tell_closed();
            }
        }
    }

    /// Acknowledgements and steps of an authentication.
    fn send_answers(&mut self, out: &mut Vec<u8>) {
        while let Some((after, packet)) = self.connection.answers.front() {
            if !self.durable.is_reached(*after) {
                break;
            }
            let _ = self.connection.encoder.encode_of_client(packet, out);
            self.connection.answers.pop_front();
        }
    }

    /// What was in flight when the last connection ended.
    fn send_again(&mut self, now: Instant, out: &mut Vec<u8>) {
        while out.len() < AT_ONCE {
            match self.outgoing.next_replay() {
                None => return,
                Some(Replay::Release(packet_id)) => {
                    let release = Packet::PubRel(released(packet_id, ReleaseReason::Success));
                    let _ = self.connection.encoder.encode_of_client(&release, out);
                }
                Some(Replay::Publish(packet_id)) => {
                    let Some(flight) = self.outgoing.flight(packet_id) else {
                        continue;
                    };
                    let FlightState::Published(message) = &flight.state else {
                        continue;
                    };
                    let message = message.clone();
                    // The server may have it, so that it is sent again even if it has expired.
                    let left = flight.expires.map(|expires| {
                        let left = expires.saturating_duration_since(now);
                        left.max(Duration::from_secs(1))
                    });
                    let sent = self.check_message(&message).and_then(|()| {
                        let sent = self.send_message(&message, Some(packet_id), true, left, out);
                        sent.map_err(RequestError::from)
                    });
                    match sent {
                        Ok(()) => self.outgoing.count(packet_id),
                        // This server takes less than the one before, or than it did before.
                        Err(error) => {
                            let request =
                                self.outgoing
                                    .abandon(packet_id, &mut self.ids, &mut self.durable);
                            if let Some(request) = request {
                                self.complete(request, Err(error));
                            }
                        }
                    }
                }
            }
        }
    }

    fn send_requests(&mut self, out: &mut Vec<u8>) {
        while out.len() < AT_ONCE {
            let numbers = self.server().is_none_or(|server| server.subscription_ids);
            let Some((request, packet)) = self.subscriptions.next(&mut self.ids, numbers) else {
                return;
            };
            // What was asked for while not connected could not be checked then.
            let checked = match self.subscriptions.asked(request) {
                Some(Asked::Subscribe(subscribe)) => self
                    .check_subscribe(subscribe)
                    .and_then(|()| self.check_number(subscribe)),
                Some(Asked::Numbered(subscribe)) => self.check_subscribe(subscribe),
                Some(Asked::Resubscribe(_) | Asked::Unsubscribe(_)) | None => Ok(()),
            };
            let sent = checked
                .and_then(|()| Ok(self.connection.encoder.encode_of_client(&packet, out)?));
            if let Err(error) = sent {
                // Subscriptions that are made again fit: they were chosen for this server.
                self.subscriptions.give_up(request, &mut self.ids);
                self.complete(request, Err(error));
            }
        }
    }

    fn send_queue(&mut self, now: Instant, out: &mut Vec<u8>) {
        while out.len() < AT_ONCE {
            let Some(next) = self.outgoing.next(&self.durable) else {
                return;
            };
            let expires = next.expires;
            let packet_id = next.packet_id;
            let sent = if expires.is_some_and(|expires| expires <= now) {
                Err(RequestError::Expired)
            } else if let Err(error) = self.check_message(&next.message) {
                Err(error)
            } else {
                let left = expires.map(|expires| expires - now);
                // Cheap: what it holds is shared.
                let message = next.message.clone();
                self.send_message(&message, packet_id, false, left, out)
                    .map_err(RequestError::from)
            };
            match sent {
                Ok(()) => {
                    if let Some((request, QoS::AtMostOnce)) = self.outgoing.sent() {
                        let done = Acknowledged {
                            reason: PublishReason::Success,
                            text: None,
                            user_properties: Vec::new(),
                        };
                        self.complete(request, Ok(Reply::Published(done)));
                    }
                }
                Err(error) => {
                    let given_up = self.outgoing.give_up(&mut self.ids, &mut self.durable);
                    if let Some(request) = given_up {
                        self.complete(request, Err(error));
                    }
                }
            }
        }
    }

    fn send_message(
        &mut self,
        message: &Message,
        packet_id: Option<PacketId>,
        dup: bool,
        left: Option<Duration>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut publish = message.publish(packet_id, dup);
        let waited: MessageProperties;
        if let Some(left) = left {
            // The server counts from when it gets the message.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            waited = MessageProperties {
                message_expiry: u32::try_from(seconds).ok(),
                ..message.properties.clone()
            };
            publish.properties.of_message = Some(&waited);
        }
        let length = publish.encoded_length(self.config.version);
        if message.topic.len() > SHORT_TOPIC && length + ALIAS_LENGTH <= self.largest() as usize {
            match self.connection.outgoing_aliases.of(&message.topic) {
                Alias::None => {}
                Alias::New(alias) => publish.properties.topic_alias = Some(alias),
                Alias::Known(alias) => {
                    publish.properties.topic_alias = Some(alias);
                    publish.topic = &[];
                }
            }
        }
        self.connection.encoder.publish(publish, out)
    }

    /// The largest packet that the server takes.
    fn largest(&self) -> u32 {
        self.server()
            .and_then(|server| server.maximum_packet_size)
            .unwrap_or(crate::codec::MAX_PACKET)
    }

    /// Tells the server what the application has acknowledged.
    pub(super) fn answer_acknowledged(&mut self) {
        if !matches!(self.phase, Phase::Connected) {
            return;
        }
        while let Some((packet_id, qos, reason)) =
            self.incoming.next_acknowledged(&mut self.durable)
        {
            let ack = acknowledgement(packet_id, reason);
            self.answer(match qos {
                QoS::ExactlyOnce => Packet::PubRec(ack),
                QoS::AtMostOnce | QoS::AtLeastOnce => Packet::PubAck(ack),
            });
        }
    }

    /// Queues an answer, to be sent when what was changed so far is durable.
    pub(super) fn answer(&mut self, packet: Packet) {
        let after = self.durable.after();
        self.connection.answers.push_back((after, packet));
    }
}

pub(super) fn acknowledgement(packet_id: PacketId, reason: PublishReason) -> PubAck {
    PubAck {
        packet_id,
        reason,
        reason_string: None,
        user_properties: Vec::new(),
    }
}

pub(super) fn released(packet_id: PacketId, reason: ReleaseReason) -> Release {
    Release {
        packet_id,
        reason,
        reason_string: None,
        user_properties: Vec::new(),
    }
}
