//! A server for one client, as the specification has it: what the session is measured against.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};

use crate::codec::{
    ConnAck, ConnectReason, Decoder, Encoder, Packet, PacketId, PubAck, Publish, PublishReason,
    QoS, Release, ReleaseReason, SubAck, SubscribeReason, TopicName, Version,
};

#[derive(Debug)]
pub(super) struct Broker {
    version: Version,
    /// What it lets be in flight to it.
    receive_maximum: NonZeroU16,
    /// What has arrived, to be published.
    pub(super) received: Vec<(QoS, Bytes)>,
    /// Messages of QoS 2 whose PUBREL is to come.
    recorded: BTreeSet<PacketId>,
    /// What is to be sent to the client.
    outgoing: VecDeque<(QoS, Bytes)>,
    flights: VecDeque<(PacketId, Flight)>,
    next_id: u16,
    has_session: bool,
    subscribed: bool,
    connection: Option<Connection>,
}

#[derive(Clone, Debug)]
enum Flight {
    Published(QoS, Bytes),
    Released,
}

#[derive(Debug)]
struct Connection {
    input: BytesMut,
    output: Vec<u8>,
    let_in: bool,
    /// What the client lets be in flight to it, and what is.
    window: usize,
    unacknowledged: usize,
    aliases: BTreeMap<u16, TopicName>,
    /// Packet identifiers of this connection's messages that were not acknowledged.
    open: BTreeSet<PacketId>,
}

impl Broker {
    pub(super) fn new(version: Version, receive_maximum: u16) -> Self {
        Self {
            version,
            receive_maximum: NonZeroU16::new(receive_maximum).expect("not 0"),
            received: Vec::new(),
            recorded: BTreeSet::new(),
            outgoing: VecDeque::new(),
            flights: VecDeque::new(),
            next_id: 0,
            has_session: false,
            subscribed: false,
            connection: None,
        }
    }

    pub(super) fn open(&mut self) {
        self.connection = Some(Connection {
            input: BytesMut::new(),
            output: Vec::new(),
            let_in: false,
            window: 65_535,
            unacknowledged: 0,
            aliases: BTreeMap::new(),
            open: BTreeSet::new(),
        });
    }

    pub(super) fn cut(&mut self) {
        self.connection = None;
    }

    pub(super) fn send(&mut self, qos: QoS, payload: Bytes) {
        // As of a subscriber who is away: QoS 0 is not kept.
        self.outgoing.push_back((qos, payload));
        self.fill();
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty() && self.flights.is_empty() && self.recorded.is_empty()
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        connection.input.extend_from_slice(bytes);
        loop {
            let Some(connection) = &mut self.connection else {
                return;
            };
            let decoder = Decoder::new(self.version);
            match decoder.decode(&mut connection.input) {
                Ok(None) => break,
                Ok(Some(packet)) => self.take(packet),
                Err(error) => panic!("the session sent what is no packet: {error}"),
            }
        }
        self.fill();
    }

    pub(super) fn output(&mut self) -> Vec<u8> {
        self.connection
            .as_mut()
            .map(|connection| std::mem::take(&mut connection.output))
            .unwrap_or_default()
    }

    fn say(&mut self, packet: &Packet) {
        if let Some(connection) = &mut self.connection {
            Encoder::new(self.version)
                .encode(packet, &mut connection.output)
                .expect("the server speaks well");
        }
    }

    fn take(&mut self, packet: Packet) {
        let connection = self.connection.as_mut().expect("a connection");
        assert!(
            connection.let_in || matches!(packet, Packet::Connect(_)),
            "{packet:?} before CONNACK"
        );
        match packet {
            Packet::Connect(connect) => {
                assert!(!connection.let_in, "a second CONNECT");
                connection.let_in = true;
                connection.window = connect
                    .receive_maximum
                    .map_or(65_535, |maximum| usize::from(maximum.get()));
                if connect.clean_start {
                    self.has_session = false;
                    self.subscribed = false;
                    self.recorded.clear();
                    self.flights.clear();
                }
                let present = std::mem::replace(&mut self.has_session, true);
                let mut ack = ConnAck::new(present, ConnectReason::Success);
                if self.version == Version::V5 {
                    ack.receive_maximum = Some(self.receive_maximum);
                    ack.topic_alias_maximum = 3;
                }
                self.say(&Packet::ConnAck(Box::new(ack)));
                for (packet_id, flight) in self.flights.clone() {
                    if let Some(connection) = &mut self.connection {
                        connection.unacknowledged += 1;
                    }
                    self.say_flight(packet_id, flight, true);
                }
            }
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubRel(release) => {
                let known = self.recorded.remove(&release.packet_id);
                if let Some(connection) = &mut self.connection {
                    connection.open.remove(&release.packet_id);
                }
                let reason = if known || self.version == Version::V311 {
                    ReleaseReason::Success
                } else {
                    ReleaseReason::PacketIdentifierNotFound
                };
                self.say(&Packet::PubComp(released(release.packet_id, reason)));
            }
            Packet::PubAck(ack) => self.acknowledged(ack.packet_id, QoS::AtLeastOnce),
            Packet::PubRec(ack) => {
                let flight = self.flights.iter_mut().find(|(id, _)| *id == ack.packet_id);
                let (_, flight) = flight.expect("a PUBREC for something");
                assert!(
                    matches!(
                        flight,
                        Flight::Released | Flight::Published(QoS::ExactlyOnce, _)
                    ),
                    "a PUBREC for {flight:?}"
                );
                *flight = Flight::Released;
                let reason = ReleaseReason::Success;
                self.say(&Packet::PubRel(released(ack.packet_id, reason)));
            }
            Packet::PubComp(release) => {
                let flight = self.flights.iter().find(|(id, _)| *id == release.packet_id);
                assert!(
                    matches!(flight, None | Some((_, Flight::Released))),
                    "a PUBCOMP for {flight:?}"
                );
                self.done(release.packet_id);
            }
            Packet::Subscribe(subscribe) => {
                self.subscribed = true;
                let reasons = vec![SubscribeReason::GrantedQoS2; subscribe.filters.len()];
                self.say(&Packet::SubAck(SubAck {
                    packet_id: subscribe.packet_id,
                    reasons,
                    reason_string: None,
                    user_properties: Vec::new(),
                }));
            }
            Packet::PingReq => self.say(&Packet::PingResp),
            packet => panic!("the session sent {packet:?}"),
        }
    }

    fn publish(&mut self, publish: Publish) {
        let connection = self.connection.as_mut().expect("a connection");
        if let (Some(alias), Some(topic)) = (publish.topic_alias, &publish.topic) {
            connection.aliases.insert(alias.get(), topic.clone());
        }
        let topic = publish.topic.or_else(|| {
            let alias = publish.topic_alias.expect("a topic or an alias").get();
            connection.aliases.get(&alias).cloned()
        });
        let topic = topic.expect("an alias that was introduced on this connection");
        assert_eq!(topic.as_str(), "to/the/server");
        let Some(packet_id) = publish.packet_id else {
            self.received.push((publish.qos, publish.payload));
            return;
        };
        assert!(connection.open.insert(packet_id), "{packet_id} is in use");
        assert!(
            self.version == Version::V311
                || connection.open.len() <= usize::from(self.receive_maximum.get()),
            "more in flight than allowed"
        );
        let ack = PubAck {
            packet_id,
            reason: PublishReason::Success,
            reason_string: None,
            user_properties: Vec::new(),
        };
        if publish.qos == QoS::AtLeastOnce {
            connection.open.remove(&packet_id);
            self.received.push((publish.qos, publish.payload));
            self.say(&Packet::PubAck(ack));
        } else {
            if self.recorded.insert(packet_id) {
                self.received.push((publish.qos, publish.payload));
            } else {
                assert!(publish.dup, "sent again without saying so");
            }
            self.say(&Packet::PubRec(ack));
        }
    }

    fn acknowledged(&mut self, packet_id: PacketId, qos: QoS) {
        let flight = self.flights.iter().find(|(id, _)| *id == packet_id);
        assert!(
            matches!(flight, Some((_, Flight::Published(of, _))) if *of == qos),
            "a PUBACK for {flight:?}"
        );
        self.done(packet_id);
    }

    fn done(&mut self, packet_id: PacketId) {
        let before = self.flights.len();
        self.flights.retain(|(id, _)| *id != packet_id);
        if self.flights.len() < before
            && let Some(connection) = &mut self.connection
        {
            connection.unacknowledged = connection.unacknowledged.saturating_sub(1);
        }
    }

    fn fill(&mut self) {
        while let Some(connection) = &mut self.connection {
            if !connection.let_in
                || !self.subscribed
                || connection.unacknowledged >= connection.window
            {
                return;
            }
            let Some((qos, payload)) = self.outgoing.pop_front() else {
                return;
            };
            connection.unacknowledged += 1;
            let packet_id = self.free_id();
            let flight = Flight::Published(qos, payload);
            self.flights.push_back((packet_id, flight.clone()));
            self.say_flight(packet_id, flight, false);
        }
    }

    fn free_id(&mut self) -> PacketId {
        loop {
            // Few, so that they are used again and again.
            self.next_id = self.next_id % 50 + 1;
            let id = NonZeroU16::new(self.next_id).expect("not 0");
            if self.flights.iter().all(|(known, _)| *known != id) {
                return id;
            }
        }
    }

    fn say_flight(&mut self, packet_id: PacketId, flight: Flight, dup: bool) {
        let packet = match flight {
            Flight::Released => Packet::PubRel(released(packet_id, ReleaseReason::Success)),
            Flight::Published(qos, payload) => Packet::Publish(Publish {
                dup,
                qos,
                retain: false,
                topic: Some(TopicName::new("to/the/client").expect("a topic")),
                packet_id: Some(packet_id),
                topic_alias: None,
                subscription_ids: Vec::new(),
                properties: None,
                payload,
            }),
        };
        self.say(&packet);
    }
}

fn released(packet_id: PacketId, reason: ReleaseReason) -> Release {
    Release {
        packet_id,
        reason,
        reason_string: None,
        user_properties: Vec::new(),
    }
}
