//! Outgoing messages: those that wait to be sent, in order, and those in flight.

use std::collections::VecDeque;
use std::time::Duration;

use jackfield_socket::sorted::{SortedMap, SortedSet};
use jackfield_socket::time::Instant;

use super::durable::{After, Durable};
use super::packet_ids::PacketIds;
use super::records::{self, Stored};
use super::{Limits, Message, QueuePolicy, RequestId};
use crate::codec::{PacketId, PublishReason, QoS};

/// One that has not been sent yet.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: RequestId,
    pub(super) message: Message,
    pub(super) expires: Option<Instant>,
    size: usize,
    /// Given when it is about to be sent, so that the identifier can be stored first.
    pub(super) packet_id: Option<PacketId>,
    after: After,
}

/// One of QoS 1 or 2 that has been sent.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) request: RequestId,
    pub(super) state: FlightState,
    pub(super) expires: Option<Instant>,
    size: usize,
    /// Whether it counts against the server's receive maximum: it was sent on this connection.
    counted: bool,
}

#[derive(Debug)]
pub(super) enum FlightState {
    /// PUBLISH was sent: PUBACK or PUBREC is to come.
    Published(Box<Message>),
    /// PUBREC has come, with this reason: PUBREL is sent, PUBCOMP is to come. The number tells the
    /// order.
    Released(u64, PublishReason),
}

/// What is sent again on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    Publish(PacketId),
    Release(PacketId),
}

/// Packet identifiers, in the order of something of their messages.
type InOrder = SortedSet<(u64, PacketId)>;

#[derive(Debug)]
pub(super) struct OutgoingMessages {
    queue: VecDeque<Queued>,
    /// So many at the front of the queue are ready to go, of which so many need an acknowledgement.
    prepared: usize,
    prepared_acknowledged: usize,
    flights: SortedMap<PacketId, Flight>,
    /// Flights that count against the window.
    counted: usize,
    window: usize,
    replay: VecDeque<Replay>,
    /// Identifiers of messages of QoS 2 that were given up: the server may hold them as long as it
    /// has the session.
    abandoned: Vec<PacketId>,
    /// Bytes in the queue and in flight.
    bytes: usize,
    releases: u64,
}

impl OutgoingMessages {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            prepared: 0,
            prepared_acknowledged: 0,
            flights: SortedMap::new(),
            counted: 0,
            window: 0,
            replay: VecDeque::new(),
            abandoned: Vec::new(),
            bytes: 0,
            releases: 0,
        }
    }

    /// Takes what was stored; the highest number of a request in it.
    pub(super) fn restore(
        &mut self,
        stored: impl IntoIterator<Item = (u64, Stored)>,
        ids: &mut PacketIds,
    ) -> u64 {
        let mut highest = 0;
        for (number, stored) in stored {
            highest = highest.max(number);
            let request = RequestId(number);
            let size = stored.message.as_ref().map_or(0, Message::size);
            self.bytes += size;
            if let Some((packet_id, released)) = stored.flight {
                ids.reserve(packet_id);
                self.releases = self.releases.max(released);
                let state = match stored.message {
                    Some(message) => FlightState::Published(Box::new(message)),
                    // What PUBREC said was not stored; that it was no failure is known.
                    None => FlightState::Released(released, PublishReason::Success),
                };
                self.flights.insert(
                    packet_id,
                    Flight {
                        request,
                        state,
                        expires: None,
                        size,
                        counted: false,
                    },
                );
            } else if let Some(message) = stored.message {
                self.queue.push_back(Queued {
                    request,
                    message,
                    expires: None,
                    size,
                    packet_id: None,
                    after: 0,
                });
            }
        }
        highest
    }

    /// Messages that wait to be sent or to be acknowledged.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.flights.len()
    }

    /// Whether this request is among them.
    #[cfg(any(test, feature = "oracle"))]
    pub(super) fn holds(&self, request: RequestId) -> bool {
        let mut queued = self.queue.iter().map(|queued| queued.request);
        let mut flights = self.flights.values().map(|flight| flight.request);
        queued.any(|held| held == request) || flights.any(|held| held == request)
    }

    fn has_room(&self, size: usize, limits: &Limits) -> bool {
        self.len() < limits.queue_capacity
            && self.bytes.saturating_add(size) <= limits.max_queued_bytes
    }

    /// Whether there is room for a message of this size, or room can be made for it: then how many
    /// of those that wait have to go.
    pub(super) fn room(&self, size: usize, limits: &Limits, policy: QueuePolicy) -> Option<usize> {
        if self.has_room(size, limits) {
            return Some(0);
        }
        if policy != QueuePolicy::DropOldest {
            return None;
        }
        let (mut count, mut bytes) = (self.len(), self.bytes);
        for (dropped, queued) in self.queue.iter().skip(self.prepared).enumerate() {
            count -= 1;
            bytes -= queued.size;
            if count < limits.queue_capacity
                && bytes.saturating_add(size) <= limits.max_queued_bytes
            {
                return Some(dropped + 1);
            }
        }
        None
    }

    /// Drops the oldest that is not about to be sent.
    pub(super) fn drop_oldest(&mut self, durable: &mut Durable) -> Option<RequestId> {
        let dropped = self.queue.remove(self.prepared)?;
        self.bytes -= dropped.size;
        if dropped.message.qos != QoS::AtMostOnce {
            durable.delete(records::message_key(dropped.request.0));
        }
        Some(dropped.request)
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        request: RequestId,
        message: Message,
        durable: &mut Durable,
    ) {
        if message.qos != QoS::AtMostOnce {
            durable.put(records::message_key(request.0), || {
                records::message(&message)
            });
        }
        let size = message.size();
        self.bytes += size;
        let expiry = message.properties.message_expiry;
        self.queue.push_back(Queued {
            request,
            expires: expiry.map(|seconds| now + Duration::from_secs(seconds.into())),
            message,
            size,
            packet_id: None,
            after: durable.after(),
        });
    }

    /// A connection has begun; the server lets so many be in flight. If it has kept the session,
    /// what was in flight is sent again.
    pub(super) fn connected(&mut self, window: u16) {
        self.window = usize::from(window);
        self.counted = 0;
        // MQTT 5, section 4.6: each kind in its order.
        let mut releases = InOrder::new();
        let mut publishes = InOrder::new();
        for (packet_id, flight) in self.flights.iter_mut() {
            flight.counted = false;
            match flight.state {
                FlightState::Released(order, _) => releases.insert((order, *packet_id)),
                FlightState::Published(_) => publishes.insert((flight.request.0, *packet_id)),
            };
        }
        self.replay.clear();
        let releases = releases.iter().map(|(_, id)| Replay::Release(*id));
        let publishes = publishes.iter().map(|(_, id)| Replay::Publish(*id));
        self.replay.extend(releases.chain(publishes));
    }

    pub(super) fn disconnected(&mut self) {
        self.replay.clear();
        self.window = 0;
    }

    /// The server has lost the session. Messages of QoS 1 in flight become new ones; of those of
    /// QoS 2 nobody knows what became, and they are given back.
    pub(super) fn session_lost(
        &mut self,
        ids: &mut PacketIds,
        durable: &mut Durable,
    ) -> Vec<RequestId> {
        let flights = self.flights.iter();
        let mut order: InOrder = flights
            .map(|(id, flight)| (flight.request.0, *id))
            .collect();
        let mut lost = Vec::new();
        while let Some((_, packet_id)) = order.pop_last() {
            let Some(flight) = self.flights.remove(&packet_id) else {
                continue;
            };
            match flight.state {
                FlightState::Published(message) if message.qos == QoS::AtLeastOnce => {
                    self.queue.push_front(Queued {
                        request: flight.request,
                        message: *message,
                        expires: flight.expires,
                        size: flight.size,
                        packet_id: Some(packet_id),
                        after: durable.after(),
                    });
                    self.prepared += 1;
                    self.prepared_acknowledged += 1;
                }
                FlightState::Published(_) | FlightState::Released(..) => {
                    ids.free(packet_id);
                    self.bytes -= flight.size;
                    durable.delete(records::message_key(flight.request.0));
                    durable.delete(records::flight_key(flight.request.0));
                    lost.push(flight.request);
                }
            }
        }
        for packet_id in self.abandoned.drain(..) {
            ids.free(packet_id);
        }
        lost.reverse();
        self.replay.clear();
        self.counted = 0;
        lost
    }

    /// Gives packet identifiers to those that may be sent next, so that they can be stored.
    pub(super) fn prepare(&mut self, ids: &mut PacketIds, durable: &mut Durable) {
        while let Some(queued) = self.queue.get_mut(self.prepared) {
            if queued.message.qos != QoS::AtMostOnce {
                let taken = self.replay_publishes() + self.counted + self.prepared_acknowledged;
                if taken >= self.window {
                    break;
                }
                let Some(queued) = self.queue.get_mut(self.prepared) else {
                    break;
                };
                if queued.packet_id.is_none() {
                    let Some(packet_id) = ids.allocate() else {
                        break;
                    };
                    queued.packet_id = Some(packet_id);
                    durable.put(records::flight_key(queued.request.0), || {
                        records::flight(packet_id, 0)
                    });
                    queued.after = durable.after();
                }
                self.prepared_acknowledged += 1;
            }
            self.prepared += 1;
        }
    }

    fn replay_publishes(&self) -> usize {
        // Releases come first, and only at the beginning of a connection.
        match self.replay.front() {
            None => 0,
            Some(_) => self.replay.len(),
        }
    }

    /// The next to be sent again.
    pub(super) fn next_replay(&mut self) -> Option<Replay> {
        loop {
            let next = *self.replay.front()?;
            let flight = match next {
                Replay::Release(id) | Replay::Publish(id) => self.flights.get(&id),
            };
            match (next, flight.map(|flight| &flight.state)) {
                (Replay::Release(_), Some(FlightState::Released(..))) => {}
                (Replay::Publish(_), Some(FlightState::Published(_))) => {
                    if self.counted >= self.window {
                        return None;
                    }
                }
                // Acknowledged in the meantime.
                _ => {
                    self.replay.pop_front();
                    continue;
                }
            }
            self.replay.pop_front();
            return Some(next);
        }
    }

    pub(super) fn flight(&self, packet_id: PacketId) -> Option<&Flight> {
        self.flights.get(&packet_id)
    }

    /// It was sent (again) on this connection.
    pub(super) fn count(&mut self, packet_id: PacketId) {
        if let Some(flight) = self.flights.get_mut(&packet_id)
            && !flight.counted
        {
            flight.counted = true;
            self.counted += 1;
        }
    }

    /// The first of the queue, if it may be sent now.
    pub(super) fn next(&self, durable: &Durable) -> Option<&Queued> {
        let next = self.queue.front()?;
        let acknowledged = next.message.qos != QoS::AtMostOnce;
        let ready = self.prepared > 0
            && self.replay.is_empty()
            && durable.is_reached(next.after)
            && !(acknowledged && self.counted >= self.window);
        ready.then_some(next)
    }

    /// The first of the queue is being sent: with QoS 1 and 2, it is in flight now.
    pub(super) fn sent(&mut self) -> Option<(RequestId, QoS)> {
        let queued = self.pop()?;
        let request = queued.request;
        let qos = queued.message.qos;
        if let Some(packet_id) = queued.packet_id {
            self.bytes += queued.size;
            self.flights.insert(
                packet_id,
                Flight {
                    request,
                    state: FlightState::Published(Box::new(queued.message)),
                    expires: queued.expires,
                    size: queued.size,
                    counted: false,
                },
            );
            self.count(packet_id);
        }
        Some((request, qos))
    }

    /// The first of the queue can't be sent.
    pub(super) fn give_up(
        &mut self,
        ids: &mut PacketIds,
        durable: &mut Durable,
    ) -> Option<RequestId> {
        let queued = self.pop()?;
        if let Some(packet_id) = queued.packet_id {
            ids.free(packet_id);
            durable.delete(records::flight_key(queued.request.0));
        }
        if queued.message.qos != QoS::AtMostOnce {
            durable.delete(records::message_key(queued.request.0));
        }
        Some(queued.request)
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.bytes -= queued.size;
        if self.prepared > 0 {
            self.prepared -= 1;
            if queued.message.qos != QoS::AtMostOnce {
                self.prepared_acknowledged -= 1;
            }
        }
        Some(queued)
    }

    /// PUBREC has come: the message may be forgotten, the identifier not yet.
    pub(super) fn release(
        &mut self,
        packet_id: PacketId,
        reason: PublishReason,
        durable: &mut Durable,
    ) {
        let Some(flight) = self.flights.get_mut(&packet_id) else {
            return;
        };
        if let FlightState::Published(_) = flight.state {
            self.releases += 1;
            flight.state = FlightState::Released(self.releases, reason);
            self.bytes -= flight.size;
            flight.size = 0;
            durable.delete(records::message_key(flight.request.0));
            durable.put(records::flight_key(flight.request.0), || {
                records::flight(packet_id, self.releases)
            });
        }
    }

    /// It can't be sent again, which is not known to be over.
    pub(super) fn abandon(
        &mut self,
        packet_id: PacketId,
        ids: &mut PacketIds,
        durable: &mut Durable,
    ) -> Option<RequestId> {
        let flight = self.flights.get(&packet_id)?;
        let is_held = matches!(
            &flight.state,
            FlightState::Published(message) if message.qos == QoS::ExactlyOnce
        );
        let request = self.complete(packet_id, ids, durable);
        if is_held {
            ids.reserve(packet_id);
            self.abandoned.push(packet_id);
        }
        request
    }

    /// It is over.
    pub(super) fn complete(
        &mut self,
        packet_id: PacketId,
        ids: &mut PacketIds,
        durable: &mut Durable,
    ) -> Option<RequestId> {
        let flight = self.flights.remove(&packet_id)?;
        ids.free(packet_id);
        self.bytes -= flight.size;
        if flight.counted {
            self.counted -= 1;
        }
        if let FlightState::Published(_) = flight.state {
            durable.delete(records::message_key(flight.request.0));
        }
        durable.delete(records::flight_key(flight.request.0));
        Some(flight.request)
    }
}
