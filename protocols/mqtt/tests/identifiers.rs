//! Packet identifiers when there are not enough of them (MQTT 5, section 2.2.1): none is used twice at
//! a time, and nobody waits for one for ever.

use std::collections::HashSet;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use jackfield_mqtt::codec::{
    ConnAck, ConnectReason, Decoder, Encoder, Packet, PacketId, PubAck, PublishReason, QoS, SubAck,
    SubscribeOptions, SubscribeReason, Version,
};
use jackfield_mqtt::core::{
    Config, ConnectOptions, Message, RequestId, Session, SessionEvent, SubscribeRequest,
};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

/// More than there are identifiers.
const MESSAGES: u32 = 70_000;

#[test]
fn identifiers_neither_collide_nor_stall() {
    let now = Instant::now();
    let mut config = Config::default();
    config.in_flight = NonZeroU16::MAX;
    config.limits.queue_capacity = MESSAGES as usize;
    let mut session = Session::new(config);
    let connect = ConnectOptions::new("busy".parse().expect("a name"));
    session.connect(now, connect).expect("it may connect");
    let mut server = Server::default();
    server.exchange(&mut session, now);
    for number in 0..MESSAGES {
        let topic = "a".parse().expect("a topic");
        let message = Message::new(topic, number.to_be_bytes().to_vec()).qos(QoS::AtLeastOnce);
        session.publish(now, message).expect("room");
    }
    server.exchange(&mut session, now);
    assert_eq!(server.in_use.len(), 65_535, "all identifiers are in use");

    // A subscription waits for an identifier, and has the first that is free.
    let filter = "a".parse().expect("a filter");
    let subscribe = SubscribeRequest::new(filter, SubscribeOptions::default());
    let subscription = session.subscribe(subscribe).expect("room");
    server.exchange(&mut session, now);
    assert_eq!(server.subscribed, None);
    // Not the oldest: acknowledgements come in any order here.
    let at = server.in_flight.len() - 1;
    let last = server.acknowledge(&mut session, now, at);
    server.exchange(&mut session, now);
    assert_eq!(server.subscribed, Some(last));
    let ack = Packet::SubAck(SubAck {
        packet_id: last,
        reasons: vec![SubscribeReason::GrantedQoS2],
        reason_string: None,
        user_properties: Vec::new(),
    });
    server.in_use.remove(&last);
    say(&mut session, now, &ack);

    let mut random = fastrand::Rng::with_seed(1);
    let mut done: HashSet<RequestId> = HashSet::new();
    loop {
        server.exchange(&mut session, now);
        while let Some(event) = session.poll_event() {
            if let SessionEvent::Completed(request, outcome) = event {
                assert!(outcome.is_ok(), "{outcome:?}");
                assert!(done.insert(request), "{request:?} has two outcomes");
            }
        }
        if server.in_flight.is_empty() {
            break;
        }
        for _ in 0..1000.min(server.in_flight.len()) {
            let at = random.usize(..server.in_flight.len());
            server.acknowledge(&mut session, now, at);
        }
    }
    assert!(done.contains(&subscription));
    assert_eq!(done.len(), MESSAGES as usize + 1);
    let numbers: Vec<u32> = (0..MESSAGES).collect();
    assert_eq!(server.received, numbers, "once, and in order");
}

/// A server that may hold a message of QoS 2 would take another one with its identifier for the same
/// (MQTT 5, section 4.3.3).
#[test]
fn an_identifier_that_the_server_may_hold_is_not_used_again() {
    let now = Instant::now();
    let mut config = Config::default();
    config.in_flight = NonZeroU16::MAX;
    config.limits.queue_capacity = MESSAGES as usize;
    let mut session = Session::new(config);
    let connect = || ConnectOptions::new("busy".parse().expect("a name"));
    session.connect(now, connect()).expect("it may connect");
    let mut server = Server::default();
    server.exchange(&mut session, now);
    let topic = || "a".parse().expect("a topic");
    let large = Message::new(topic(), vec![0; 4]).qos(QoS::ExactlyOnce);
    session.publish(now, large).expect("room");
    server.exchange(&mut session, now);
    let held = server.in_flight[0];

    // The same server, which has the session, takes less now.
    session.disconnected(now);
    session.connect(now, connect()).expect("it may connect");
    let mut ack = ConnAck::new(true, ConnectReason::Success);
    ack.maximum_packet_size = NonZeroU32::new(10);
    let mut server = Server {
        ack: Some(ack),
        ..Server::default()
    };
    server.exchange(&mut session, now);
    assert_eq!(server.in_flight, [], "it is too large to be sent again");
    for _ in 0..u16::MAX {
        let message = Message::new(topic(), Vec::new()).qos(QoS::ExactlyOnce);
        session.publish(now, message).expect("room");
    }
    server.exchange(&mut session, now);
    assert_eq!(server.in_use.len(), 65_534);
    assert!(!server.in_use.contains(&held));
}

/// A server that acknowledges when it is told to.
#[derive(Default)]
struct Server {
    /// How it answers CONNECT, where it is not as usual.
    ack: Option<ConnAck>,
    buffer: BytesMut,
    in_use: HashSet<PacketId>,
    in_flight: Vec<PacketId>,
    received: Vec<u32>,
    subscribed: Option<PacketId>,
}

impl Server {
    /// Reads all that the session sends.
    fn exchange(&mut self, session: &mut Session, now: Instant) {
        loop {
            let mut out = Vec::new();
            session.transmit(now, &mut out);
            if out.is_empty() {
                return;
            }
            self.buffer.extend_from_slice(&out);
            let decoder = Decoder::new(Version::V5);
            while let Some(packet) = decoder.decode(&mut self.buffer).expect("it speaks well") {
                self.take(session, now, packet);
            }
        }
    }

    fn take(&mut self, session: &mut Session, now: Instant, packet: Packet) {
        match packet {
            Packet::Connect(_) => {
                let anew = || ConnAck::new(false, ConnectReason::Success);
                let ack = self.ack.take().unwrap_or_else(anew);
                say(session, now, &Packet::ConnAck(Box::new(ack)));
            }
            Packet::Publish(publish) => {
                let packet_id = publish.packet_id.expect("QoS 1 and 2 have one");
                assert!(self.in_use.insert(packet_id), "{packet_id} is in use");
                self.in_flight.push(packet_id);
                if let Ok(number) = publish.payload.as_ref().try_into() {
                    self.received.push(u32::from_be_bytes(number));
                }
            }
            Packet::Subscribe(subscribe) => {
                let packet_id = subscribe.packet_id;
                assert!(self.in_use.insert(packet_id), "{packet_id} is in use");
                self.subscribed = Some(packet_id);
            }
            other => panic!("{other:?}"),
        }
    }

    fn acknowledge(&mut self, session: &mut Session, now: Instant, at: usize) -> PacketId {
        let packet_id = self.in_flight.swap_remove(at);
        self.in_use.remove(&packet_id);
        let ack = Packet::PubAck(PubAck {
            packet_id,
            reason: PublishReason::Success,
            reason_string: None,
            user_properties: Vec::new(),
        });
        say(session, now, &ack);
        packet_id
    }
}

fn say(session: &mut Session, now: Instant, packet: &Packet) {
    let mut bytes = Vec::new();
    let encoder = Encoder::new(Version::V5);
    encoder.encode(packet, &mut bytes).expect("a packet");
    session.receive(now, &bytes).expect("it is taken");
}
