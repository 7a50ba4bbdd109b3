//! A session against whatever a server may send.

use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;
use jackfield_store::Records;

use crate::codec::{
    Auth, AuthReason, Authentication, ConnAck, ConnectReason, Decoder, Encoder, Packet, PacketId,
    PubAck, Publish, PublishReason, QoS, Release, ReleaseReason, SubAck, SubscribeOptions,
    SubscribeReason, SubscriptionId, TopicName, UnsubAck, UnsubscribeReason, Version,
};
use crate::core::{
    Config, ConnectOptions, Event, Message, QueuePolicy, RequestId, Session, SessionEvent, StoreId,
    SubscribeRequest, UnsubscribeRequest,
};

/// Plays a script to a session, and checks after each step that its promises hold: its bounds, that
/// what it sends is whole packets that the server takes, that no packet identifier is used twice at
/// a time, that its deadlines move on, that each request has one outcome and none is lost, that
/// nothing is delivered twice to one process, and that its records can always be restored.
///
/// The first byte chooses the configuration; then each byte is a step, which takes what it needs
/// from those that follow.
///
/// # Panics
/// When the session breaks one of its promises.
pub fn session(script: &[u8]) {
    let mut script = Script(script);
    let mut play = Play::new(script.byte());
    while !script.0.is_empty() {
        play.step(&mut script);
        play.check();
    }
    play.session.disconnected(play.now);
    play.check();
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte() % 64).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    fn packet_id(&mut self) -> PacketId {
        NonZeroU16::new(u16::from(self.byte() % 8)).unwrap_or(NonZeroU16::MIN)
    }

    fn qos(&mut self) -> QoS {
        QoS::from_u8(self.byte() % 3).unwrap_or_default()
    }
}

struct Play {
    session: Session,
    config: Config,
    now: Instant,
    waiting: BTreeSet<RequestId>,
    open: bool,
    over: bool,
    sent: BytesMut,
    records: Records,
    storing: Option<StoreId>,
    /// Serials that this process was given, and those that it has not acknowledged.
    delivered: BTreeSet<u64>,
    unacknowledged: Vec<u64>,
    /// Messages in flight on this connection.
    in_flight: BTreeSet<PacketId>,
    /// What the server has said that it takes.
    server: ConnAck,
}

impl Play {
    fn new(choice: u8) -> Self {
        let mut config = Config::default();
        if choice & 1 == 1 {
            config.version = Version::V311;
        }
        config.durable = choice & 2 == 2;
        if choice & 4 == 4 {
            config.when_full = QueuePolicy::DropOldest;
        }
        config.resubscribe = choice & 8 == 0;
        config.receive_maximum = NonZeroU16::new(4).unwrap_or(NonZeroU16::MIN);
        config.maximum_packet_size = NonZeroU32::new(200).unwrap_or(NonZeroU32::MIN);
        config.topic_alias_maximum = 2;
        config.limits.queue_capacity = 6;
        config.limits.max_queued_bytes = 300;
        config.limits.request_capacity = 3;
        config.limits.max_subscriptions = 4;
        Self {
            session: Session::new(config.clone()),
            config,
            now: Instant::now(),
            waiting: BTreeSet::new(),
            open: false,
            over: false,
            sent: BytesMut::new(),
            records: Records::new(),
            storing: None,
            delivered: BTreeSet::new(),
            unacknowledged: Vec::new(),
            in_flight: BTreeSet::new(),
            server: ConnAck::new(false, ConnectReason::Success),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 24 {
            0 => {
                let bytes = script.bytes();
                self.receive(&bytes);
            }
            1 | 2 => self.connect(script),
            3 => {
                self.session.disconnected(self.now);
                self.closed();
            }
            4 => self.restart(),
            5 | 6 => self.publish(script),
            7 => self.subscribe(script),
            8 => {
                let filter = filter(script).parse();
                let asked =
                    filter.map(|filter| self.session.unsubscribe(UnsubscribeRequest::new(filter)));
                if let Ok(Ok(request)) = asked {
                    assert!(self.waiting.insert(request));
                }
            }
            9 | 10 => self.acknowledge(script),
            11 => {
                if let Some(id) = self.storing.take() {
                    self.session.stored(id);
                }
            }
            12 => self.pass(),
            13 => {
                let _ = self.session.authenticate(Some(script.bytes().into()));
            }
            14 => {
                if let Ok(request) = self.session.reauthenticate(None) {
                    assert!(self.waiting.insert(request));
                }
            }
            15 => {
                if script.byte().is_multiple_of(8) {
                    let _ = self.session.close();
                } else if script.byte().is_multiple_of(8) && self.open && !self.over {
                    self.over = true;
                    let _ = self.session.receive_end(self.now);
                }
            }
            _ => self.packet(script),
        }
    }

    fn connect(&mut self, script: &mut Script<'_>) {
        let mut connect = ConnectOptions::new("play".try_into().expect("a name"));
        let choice = script.byte();
        if choice & 1 == 1 && self.config.version == Version::V5 {
            connect.authentication = Some(Authentication {
                method: "m".try_into().expect("a method"),
                data: None,
            });
        }
        connect.session_expiry = Some(u32::from(choice & 2));
        if choice & 4 == 4 {
            connect.client_id = crate::codec::Text::default();
        }
        let authentication = connect.authentication.clone();
        self.closed();
        let _ = self.session.connect(self.now, connect);
        self.open = true;
        self.over = false;
        // Most servers let a client in.
        if choice & 0x70 != 0 {
            self.check();
            let mut ack = ConnAck::new(choice & 0x80 != 0, ConnectReason::Success);
            if self.config.version == Version::V5 {
                ack.receive_maximum = NonZeroU16::new(u16::from(choice >> 4 & 3));
                ack.maximum_packet_size = NonZeroU32::new(u32::from(script.byte() & 0x7F));
                ack.topic_alias_maximum = u16::from(choice >> 5 & 3);
                ack.authentication = authentication;
                let lacks = script.byte();
                ack.maximum_qos = QoS::from_u8(lacks >> 6).unwrap_or(QoS::ExactlyOnce);
                // Most servers take all.
                if lacks & 0x20 != 0 {
                    ack.retain_available = lacks & 1 == 0;
                    ack.wildcard_subscriptions = lacks & 2 == 0;
                    ack.subscription_ids = lacks & 4 == 0;
                    ack.shared_subscriptions = lacks & 8 == 0;
                }
            }
            self.server = ack.clone();
            self.say(&Packet::ConnAck(Box::new(ack)));
        }
    }

    fn closed(&mut self) {
        self.open = false;
        self.sent.clear();
        self.in_flight.clear();
        self.server = ConnAck::new(false, ConnectReason::Success);
    }

    fn restart(&mut self) {
        if !self.config.durable {
            return;
        }
        self.session =
            Session::restore(self.config.clone(), self.records.clone()).expect("its own records");
        self.closed();
        self.waiting.clear();
        self.storing = None;
        self.delivered.clear();
        self.unacknowledged.clear();
    }

    fn publish(&mut self, script: &mut Script<'_>) {
        let topics = ["a", "alias/one", "alias/two", "alias/three", "$x/y"];
        let topic = topics[usize::from(script.byte()) % topics.len()];
        let topic = TopicName::new(topic).expect("a topic");
        let mut message = Message::new(topic, script.bytes()).qos(script.qos());
        message.retain = script.byte().is_multiple_of(8);
        if self.config.version == Version::V5 && script.byte().is_multiple_of(4) {
            message.properties.message_expiry = Some(u32::from(script.byte()));
        }
        let room = self.session.has_room(&message);
        match self.session.publish(self.now, message) {
            Ok(request) => {
                assert!(room, "it was taken in without room");
                assert!(self.waiting.insert(request), "a name that was given twice");
            }
            Err(crate::RequestError::QueueFull) => assert!(!room),
            Err(_) => {}
        }
    }

    fn subscribe(&mut self, script: &mut Script<'_>) {
        let options = SubscribeOptions::qos(script.qos());
        let Ok(filter) = filter(script).parse() else {
            return;
        };
        let mut subscribe = SubscribeRequest::new(filter, options);
        let choice = script.byte();
        if choice & 1 == 1 && self.config.version == Version::V5 {
            subscribe.subscription_id = SubscriptionId::new(u32::from(choice)).ok();
        }
        let asked = if choice & 2 == 2 {
            self.session.subscribe_numbered(subscribe)
        } else {
            self.session.subscribe(subscribe)
        };
        if let Ok(request) = asked {
            assert!(self.waiting.insert(request));
        }
    }

    fn acknowledge(&mut self, script: &mut Script<'_>) {
        if self.unacknowledged.is_empty() {
            return;
        }
        let at = usize::from(script.byte()) % self.unacknowledged.len();
        let serial = self.unacknowledged.swap_remove(at);
        let failed = script.byte().is_multiple_of(4) && self.config.version == Version::V5;
        let reason = if failed {
            PublishReason::NotAuthorized
        } else {
            PublishReason::Success
        };
        // The server may have forgotten the session.
        let _ = self.session.acknowledge(serial, reason);
        assert!(
            self.session.acknowledge(serial, reason).is_err(),
            "acknowledged twice"
        );
    }

    fn pass(&mut self) {
        let Some(deadline) = self.session.deadline() else {
            self.now += Duration::from_secs(1);
            return;
        };
        self.now = self.now.max(deadline);
        self.over |= self.session.handle_deadline(self.now).is_err();
        if let Some(next) = self.session.deadline() {
            assert!(next > self.now, "a deadline that has passed");
        }
    }

    /// A packet that a server may send, at the right time or not.
    fn packet(&mut self, script: &mut Script<'_>) {
        let v5 = self.config.version == Version::V5;
        let packet_id = script.packet_id();
        let code = script.byte();
        let ack = PubAck {
            packet_id,
            reason: PublishReason::from_u8(code)
                .filter(|_| v5)
                .unwrap_or(PublishReason::Success),
            reason_string: None,
            user_properties: Vec::new(),
        };
        let release = Release {
            packet_id,
            reason: ReleaseReason::Success,
            reason_string: None,
            user_properties: Vec::new(),
        };
        let packet = match script.byte() % 12 {
            0..4 => {
                let qos = script.qos();
                let alias = NonZeroU16::new(u16::from(code >> 6)).filter(|_| v5);
                let topic = (alias.is_none() || code & 1 == 0)
                    .then(|| TopicName::new("from/it").expect("a topic"));
                Packet::Publish(Publish {
                    dup: code & 2 == 2 && qos != QoS::AtMostOnce,
                    qos,
                    retain: code & 4 == 4,
                    topic,
                    packet_id: (qos != QoS::AtMostOnce).then_some(packet_id),
                    topic_alias: alias,
                    subscription_ids: Vec::new(),
                    properties: None,
                    payload: Bytes::from(script.bytes()),
                })
            }
            4 => Packet::PubAck(ack),
            5 => Packet::PubRec(ack),
            6 => Packet::PubRel(release),
            7 => Packet::PubComp(release),
            8 => Packet::SubAck(SubAck {
                packet_id,
                reasons: vec![
                    SubscribeReason::from_u8(code & 0x83).unwrap_or(SubscribeReason::Success),
                ]
                .into_iter()
                .filter(|reason| v5 || reason.granted().is_some())
                .chain([SubscribeReason::Success; 2])
                // As many as there were filters, as a rule.
                .take(if code & 0x18 == 0x18 { 2 } else { 1 })
                .collect(),
                reason_string: None,
                user_properties: Vec::new(),
            }),
            9 => Packet::UnsubAck(UnsubAck {
                packet_id,
                reasons: if v5 {
                    vec![UnsubscribeReason::Success]
                } else {
                    Vec::new()
                },
                reason_string: None,
                user_properties: Vec::new(),
            }),
            10 if v5 => Packet::Auth(Box::new(Auth {
                reason: AuthReason::from_u8(code & 0x18).unwrap_or(AuthReason::Success),
                authentication: Some(Authentication {
                    method: "m".try_into().expect("a method"),
                    data: None,
                }),
                reason_string: None,
                user_properties: Vec::new(),
            })),
            _ => Packet::PingResp,
        };
        self.say(&packet);
    }

    fn say(&mut self, packet: &Packet) {
        let mut bytes = Vec::new();
        if let Packet::PubAck(ack) | Packet::PubRec(ack) = packet
            && (matches!(packet, Packet::PubAck(_)) || ack.reason.is_error())
        {
            self.in_flight.remove(&ack.packet_id);
        }
        if let Packet::PubComp(release) = packet {
            self.in_flight.remove(&release.packet_id);
        }
        Encoder::new(self.config.version)
            .encode(packet, &mut bytes)
            .expect("the server speaks well");
        self.receive(&bytes);
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.open && !self.over {
            self.over |= self.session.receive(self.now, bytes).is_err();
        }
    }

    fn check(&mut self) {
        if self.open {
            let mut out = Vec::new();
            self.session.transmit(self.now, &mut out);
            self.sent.extend_from_slice(&out);
            let decoder = Decoder::new(self.config.version);
            loop {
                let before = self.sent.len();
                let packet = decoder.decode(&mut self.sent).expect("it speaks well");
                let Some(packet) = packet else {
                    assert!(self.sent.is_empty(), "half a packet");
                    break;
                };
                self.sent(&packet, before - self.sent.len());
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Completed(request, _) => {
                    let known = self.waiting.remove(&request);
                    assert!(
                        known || self.config.durable,
                        "an outcome that nobody waits for"
                    );
                }
                SessionEvent::Store(id, batch) => {
                    assert_eq!(self.storing.replace(id), None, "two batches at a time");
                    batch.apply(&mut self.records);
                    let restored = Session::restore(self.config.clone(), self.records.clone());
                    assert!(restored.is_ok(), "{restored:?}");
                }
                SessionEvent::Event(Event::Message(delivery)) => {
                    if let Some(serial) = delivery.serial {
                        assert!(self.delivered.insert(serial), "delivered twice");
                        self.unacknowledged.push(serial);
                    }
                }
                _ => {}
            }
        }
        let limits = &self.config.limits;
        assert!(self.session.waiting_messages() <= limits.queue_capacity);
        for request in &self.waiting {
            assert!(self.session.is_open(*request), "{request:?} is lost");
        }
    }

    /// A packet that the session has sent is one that the server takes.
    fn sent(&mut self, packet: &Packet, length: usize) {
        let server = &self.server;
        let largest = server.maximum_packet_size.map_or(u32::MAX, NonZeroU32::get);
        let is_ack = length <= 5;
        assert!(
            is_ack || length <= largest as usize,
            "{length} bytes, where the server takes {largest}"
        );
        match packet {
            Packet::Publish(publish) => {
                assert!(publish.qos <= server.maximum_qos, "{publish:?}");
                assert!(!publish.retain || server.retain_available, "{publish:?}");
                let Some(packet_id) = publish.packet_id else {
                    return;
                };
                assert!(
                    self.in_flight.insert(packet_id),
                    "{packet_id} is in use already"
                );
                let maximum = server.receive_maximum.map_or(u16::MAX, NonZeroU16::get);
                assert!(
                    self.in_flight.len() <= usize::from(maximum),
                    "more than {maximum} are in flight"
                );
            }
            Packet::Subscribe(subscribe) => {
                let is_numbered = subscribe.subscription_id.is_some();
                assert!(!is_numbered || server.subscription_ids, "{subscribe:?}");
                for (filter, _) in &subscribe.filters {
                    let takes = (server.wildcard_subscriptions || !filter.has_wildcard())
                        && (server.shared_subscriptions || filter.share_name().is_none());
                    assert!(takes, "{filter}");
                }
            }
            _ => {}
        }
    }
}

fn filter(script: &mut Script<'_>) -> &'static str {
    let filters = ["a", "b/+", "#", "$share/g/c", "d", "e/f/g"];
    filters[usize::from(script.byte()) % filters.len()]
}
