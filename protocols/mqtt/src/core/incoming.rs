//! Incoming messages: those from the server that are not done with.
//!
//! PUBACK and PUBREC are sent when the application has acknowledged a message, and in the order in
//! which the messages came (MQTT 5, section 4.6). Until then the server sends the message again on
//! each new connection, so that only its serial has to be kept here.

use std::collections::VecDeque;

use jackfield_socket::sorted::SortedMap;

use super::durable::Durable;
use super::records;
use crate::codec::{DecodeError, PacketId, PublishReason, QoS, ReasonCode};

/// Serials are stored in advance, so many at a time.
const SERIALS_AT_ONCE: u64 = 1000;

/// One message.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) serial: u64,
    pub(super) qos: QoS,
    pub(super) held: Held,
    /// The application's word.
    acknowledged: Option<PublishReason>,
    /// Whether the application has it, in this process.
    delivered: bool,
    /// Whether the server has sent it on this connection.
    current: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It has come; the server hasn't been told.
    Received,
    /// PUBREC has told the server: PUBREL is to come.
    Recorded,
}

#[derive(Debug)]
pub(super) struct IncomingMessages {
    messages: SortedMap<PacketId, Incoming>,
    /// Packet identifiers by serial, for those that the application is to acknowledge.
    unacknowledged: SortedMap<u64, PacketId>,
    /// In the order in which they came on this connection: QoS 1 and QoS 2.
    order: [VecDeque<PacketId>; 2],
    next_serial: u64,
    /// Serials below this one are stored as given.
    stored_serials: u64,
}

/// What a PUBLISH turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// To be delivered.
    Deliver(u64),
    /// The application has it already.
    Duplicate,
    /// The application has it already, and the server was told so on this connection: it is to be
    /// told once more.
    Recorded,
}

/// What a PUBREL turns out to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    Known,
    Unknown,
}

impl IncomingMessages {
    pub(super) fn new() -> Self {
        Self {
            messages: SortedMap::new(),
            unacknowledged: SortedMap::new(),
            order: [VecDeque::new(), VecDeque::new()],
            next_serial: 1,
            stored_serials: 0,
        }
    }

    pub(super) fn restore(
        &mut self,
        serials: u64,
        messages: SortedMap<PacketId, (u64, QoS, Held)>,
    ) {
        self.next_serial = serials.max(1);
        self.stored_serials = serials;
        for (packet_id, (serial, qos, held)) in messages {
            self.messages.insert(
                packet_id,
                Incoming {
                    serial,
                    qos,
                    held,
                    acknowledged: None,
                    delivered: false,
                    current: false,
                },
            );
        }
    }

    /// Serials below this are to be stored as given.
    pub(super) fn stored_serials(&self) -> u64 {
        self.stored_serials
    }

    /// A message of QoS 1 or 2 has come.
    pub(super) fn arrive(
        &mut self,
        packet_id: PacketId,
        qos: QoS,
        dup: bool,
        durable: &mut Durable,
    ) -> Result<Arrival, DecodeError> {
        let known = self.messages.get_mut(&packet_id);
        let same = match &known {
            None => false,
            Some(known) if known.qos != qos => {
                if known.current {
                    return Err(IN_USE);
                }
                false
            }
            // Each PUBLISH is answered until PUBREL comes (MQTT-4.3.3-10).
            Some(known) if known.current && known.held == Held::Recorded => {
                return Ok(Arrival::Recorded);
            }
            Some(known) if known.current => {
                // On one connection nothing is sent twice (MQTT 5, section 4.4); MQTT 3.1.1 has
                // allowed it.
                return if dup || known.qos == QoS::ExactlyOnce {
                    Ok(Arrival::Duplicate)
                } else {
                    Err(IN_USE)
                };
            }
            // A new message of QoS 1 may have an identifier whose PUBACK has reached the server,
            // and one that is sent again says so. With QoS 2 the identifier alone decides.
            Some(known) => dup || known.qos == QoS::ExactlyOnce,
        };
        // More than the Receive Maximum are taken: mosquitto 2.0 sends more under load. What is kept
        // of each is small, and there are 65,535 at the most.
        if let Some(order) = self.order.get_mut(qos as usize - 1) {
            order.push_back(packet_id);
        }
        if same && let Some(known) = known {
            known.current = true;
            if known.delivered || known.held == Held::Recorded {
                return Ok(Arrival::Duplicate);
            }
            known.delivered = true;
            let serial = known.serial;
            self.unacknowledged.insert(serial, packet_id);
            return Ok(Arrival::Deliver(serial));
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        let incoming = Incoming {
            serial,
            qos,
            held: Held::Received,
            acknowledged: None,
            delivered: true,
            current: true,
        };
        durable.put(records::incoming_key(packet_id), || {
            records::incoming(&incoming)
        });
        if let Some(old) = self.messages.insert(packet_id, incoming) {
            self.unacknowledged.remove(&old.serial);
        }
        self.unacknowledged.insert(serial, packet_id);
        Ok(Arrival::Deliver(serial))
    }

    /// Whether more serials are to be stored as given; then as which.
    pub(super) fn serials_to_store(&mut self) -> Option<u64> {
        if self.next_serial < self.stored_serials {
            return None;
        }
        self.stored_serials = self.next_serial + SERIALS_AT_ONCE;
        Some(self.stored_serials)
    }

    /// The application's word on a message; whether there is such a message.
    pub(super) fn acknowledge(&mut self, serial: u64, reason: PublishReason) -> bool {
        let Some(packet_id) = self.unacknowledged.remove(&serial) else {
            return false;
        };
        if let Some(incoming) = self.messages.get_mut(&packet_id) {
            incoming.acknowledged = Some(reason);
        }
        true
    }

    /// The next that the server can be told about: identifier, quality of service, reason.
    pub(super) fn next_acknowledged(
        &mut self,
        durable: &mut Durable,
    ) -> Option<(PacketId, QoS, PublishReason)> {
        for order in &mut self.order {
            let Some(packet_id) = order.front().copied() else {
                continue;
            };
            let Some(incoming) = self.messages.get_mut(&packet_id) else {
                order.pop_front();
                continue;
            };
            let recorded = incoming.held == Held::Recorded;
            let reason = match incoming.acknowledged {
                Some(reason) => reason,
                None if recorded => PublishReason::Success,
                None => continue,
            };
            order.pop_front();
            let qos = incoming.qos;
            if qos == QoS::ExactlyOnce && !reason.is_error() {
                if !recorded {
                    incoming.held = Held::Recorded;
                    durable.put(records::incoming_key(packet_id), || {
                        records::incoming(incoming)
                    });
                }
            } else {
                self.remove(packet_id, durable);
            }
            return Some((packet_id, qos, reason));
        }
        None
    }

    /// PUBREL has come.
    pub(super) fn release(
        &mut self,
        packet_id: PacketId,
        durable: &mut Durable,
    ) -> Result<Released, DecodeError> {
        match self.messages.get(&packet_id) {
            Some(incoming) if incoming.held == Held::Recorded => {
                self.remove(packet_id, durable);
                Ok(Released::Known)
            }
            Some(incoming) if incoming.current => Err(DecodeError::new(
                ReasonCode::ProtocolError,
                "a PUBREL comes before its PUBREC was sent",
            )),
            _ => Ok(Released::Unknown),
        }
    }

    fn remove(&mut self, packet_id: PacketId, durable: &mut Durable) {
        if self.messages.remove(&packet_id).is_some() {
            durable.delete(records::incoming_key(packet_id));
        }
    }

    pub(super) fn disconnected(&mut self) {
        for order in &mut self.order {
            order.clear();
        }
        for incoming in self.messages.values_mut() {
            incoming.current = false;
        }
    }

    /// The server has lost the session.
    pub(super) fn session_lost(&mut self, durable: &mut Durable) {
        self.disconnected();
        self.unacknowledged.clear();
        for (packet_id, _) in std::mem::take(&mut self.messages) {
            durable.delete(records::incoming_key(packet_id));
        }
    }
}

const IN_USE: DecodeError = DecodeError::new(
    ReasonCode::ProtocolError,
    "a message has the packet identifier of another that is not done with",
);
