//! Packets of every kind, and what mutation makes of their bytes.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use fastrand::Rng;
use jackfield_mqtt::codec::{
    Auth, AuthReason, Authentication, ConnAck, Connect, ConnectReason, Disconnect,
    DisconnectReason, MessageProperties, Packet, PacketId, Password, PubAck, Publish,
    PublishReason, QoS, Release, ReleaseReason, RetainHandling, SubAck, Subscribe,
    SubscribeOptions, SubscribeReason, SubscriptionId, Text, TopicFilter, TopicName, UnsubAck,
    Unsubscribe, UnsubscribeReason, UserProperties, Version, Will,
};

/// A packet that our types allow, as far as this version has it.
pub(crate) fn packet(random: &mut Rng, version: Version) -> Packet {
    let v5 = version == Version::V5;
    match random.u8(1..if v5 { 16 } else { 15 }) {
        1 => Packet::Connect(Box::new(connect(random, version))),
        2 => Packet::ConnAck(Box::new(conn_ack(random, v5))),
        3 => Packet::Publish(publish(random, v5)),
        4 => Packet::PubAck(pub_ack(random, v5)),
        5 => Packet::PubRec(pub_ack(random, v5)),
        6 => Packet::PubRel(release(random, v5)),
        7 => Packet::PubComp(release(random, v5)),
        8 => Packet::Subscribe(Subscribe {
            packet_id: id(random),
            filters: (0..random.usize(1..4)).map(|_| wish(random, v5)).collect(),
            subscription_id: maybe(random, v5, number),
            user_properties: user(random, v5),
        }),
        9 => Packet::SubAck(SubAck {
            packet_id: id(random),
            reasons: (0..random.usize(1..4))
                .map(|_| {
                    reason(random, |code| {
                        SubscribeReason::from_u8(code).filter(|_| v5 || code < 3 || code == 0x80)
                    })
                })
                .collect(),
            reason_string: maybe(random, v5, text),
            user_properties: user(random, v5),
        }),
        10 => Packet::Unsubscribe(Unsubscribe {
            packet_id: id(random),
            filters: (0..random.usize(1..4)).map(|_| filter(random)).collect(),
            user_properties: user(random, v5),
        }),
        11 => Packet::UnsubAck(UnsubAck {
            packet_id: id(random),
            reasons: (0..if v5 { random.usize(1..4) } else { 0 })
                .map(|_| reason(random, UnsubscribeReason::from_u8))
                .collect(),
            reason_string: maybe(random, v5, text),
            user_properties: user(random, v5),
        }),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect(disconnect(random, v5)),
        _ => {
            let authentication = authentication(random);
            Packet::Auth(Box::new(Auth {
                reason: reason(random, AuthReason::from_u8),
                authentication: Some(authentication),
                reason_string: maybe(random, v5, text),
                user_properties: user(random, v5),
            }))
        }
    }
}

fn connect(random: &mut Rng, version: Version) -> Connect {
    let v5 = version == Version::V5;
    let mut connect = Connect::new(version, text(random));
    connect.clean_start = random.bool();
    connect.keep_alive = random.u16(..);
    connect.username = maybe(random, true, text);
    connect.password = maybe(random, v5 || connect.username.is_some(), |random| {
        // Most are text, which is all that some libraries take.
        let bytes = match random.u8(..4) {
            0 => binary(random),
            _ => Bytes::from(text(random).to_string()),
        };
        Password::new(bytes).expect("short")
    });
    connect.will = maybe(random, true, |random| {
        let mut will = Will::new(topic(random), binary(random));
        will.qos = qos(random);
        will.retain = random.bool();
        if v5 {
            will.delay = maybe(random, true, |random| random.u32(..)).unwrap_or(0);
            will.properties = message(random);
        }
        will
    });
    if v5 {
        connect.session_expiry = maybe(random, v5, |random| random.u32(..));
        connect.receive_maximum = maybe(random, v5, id);
        connect.maximum_packet_size = maybe(random, v5, size);
        connect.topic_alias_maximum = maybe(random, v5, |random| random.u16(..)).unwrap_or(0);
        connect.request_response_information = random.bool();
        connect.request_problem_information = random.bool();
        connect.user_properties = user(random, v5);
        connect.authentication = maybe(random, v5, authentication);
    }
    connect
}

fn conn_ack(random: &mut Rng, v5: bool) -> ConnAck {
    let reason = reason(random, |code| {
        let old = [0, 0x84, 0x85, 0x86, 0x87, 0x88].contains(&code);
        ConnectReason::from_u8(code).filter(|_| v5 || old)
    });
    let mut ack = ConnAck::new(!reason.is_error() && random.bool(), reason);
    if v5 {
        ack.session_expiry = maybe(random, v5, |random| random.u32(..));
        ack.receive_maximum = maybe(random, v5, id);
        ack.maximum_qos = qos(random);
        ack.retain_available = random.bool();
        ack.maximum_packet_size = maybe(random, v5, size);
        ack.assigned_client_id = maybe(random, v5, text);
        ack.topic_alias_maximum = maybe(random, v5, |random| random.u16(..)).unwrap_or(0);
        ack.reason_string = maybe(random, v5, text);
        ack.user_properties = user(random, v5);
        ack.wildcard_subscriptions = random.bool();
        ack.subscription_ids = random.bool();
        ack.shared_subscriptions = random.bool();
        ack.server_keep_alive = maybe(random, v5, |random| random.u16(..));
        ack.response_information = maybe(random, v5, text);
        ack.server_reference = maybe(random, v5, text);
        ack.authentication = maybe(random, v5, authentication);
    }
    ack
}

fn publish(random: &mut Rng, v5: bool) -> Publish {
    let qos = qos(random);
    let topic_alias = maybe(random, v5, id);
    let topic = maybe(random, topic_alias.is_some(), topic)
        .or_else(|| topic_alias.is_none().then(|| topic(random)));
    let properties = maybe(random, v5, message).filter(|all| !all.is_empty());
    Publish {
        dup: qos != QoS::AtMostOnce && random.bool(),
        qos,
        retain: random.bool(),
        topic,
        packet_id: (qos != QoS::AtMostOnce).then(|| id(random)),
        topic_alias,
        subscription_ids: (0..if v5 { random.usize(..3) } else { 0 })
            .map(|_| number(random))
            .collect(),
        properties: properties.map(Box::new),
        payload: match random.u8(..20) {
            // A length of two bytes, and one of three.
            0 => vec![7; 200].into(),
            1 => vec![7; 20_000].into(),
            _ => binary(random),
        },
    }
}

fn pub_ack(random: &mut Rng, v5: bool) -> PubAck {
    PubAck {
        packet_id: id(random),
        reason: reason(random, |code| {
            PublishReason::from_u8(code).filter(|_| v5 || code == 0)
        }),
        reason_string: maybe(random, v5, text),
        user_properties: user(random, v5),
    }
}

fn release(random: &mut Rng, v5: bool) -> Release {
    Release {
        packet_id: id(random),
        reason: reason(random, |code| {
            ReleaseReason::from_u8(code).filter(|_| v5 || code == 0)
        }),
        reason_string: maybe(random, v5, text),
        user_properties: user(random, v5),
    }
}

fn disconnect(random: &mut Rng, v5: bool) -> Disconnect {
    let mut disconnect = Disconnect::new(DisconnectReason::Success);
    if v5 {
        disconnect.reason = reason(random, DisconnectReason::from_u8);
        disconnect.session_expiry = maybe(random, v5, |random| random.u32(..));
        disconnect.reason_string = maybe(random, v5, text);
        disconnect.user_properties = user(random, v5);
        disconnect.server_reference = maybe(random, v5, text);
    }
    disconnect
}

fn message(random: &mut Rng) -> MessageProperties {
    MessageProperties {
        payload_is_text: maybe(random, true, Rng::bool),
        message_expiry: maybe(random, true, |random| random.u32(..)),
        content_type: maybe(random, true, text),
        response_topic: maybe(random, true, topic),
        correlation_data: maybe(random, true, binary),
        user_properties: user(random, true),
    }
}

fn authentication(random: &mut Rng) -> Authentication {
    Authentication {
        method: text(random),
        data: maybe(random, true, binary),
    }
}

fn wish(random: &mut Rng, v5: bool) -> (TopicFilter, SubscribeOptions) {
    let filter = filter(random);
    let mut options = SubscribeOptions::qos(qos(random));
    if v5 {
        options.no_local = filter.share_name().is_none() && random.bool();
        options.retain_as_published = random.bool();
        options.retain_handling = [
            RetainHandling::Send,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ][random.usize(..3)];
    }
    (filter, options)
}

fn maybe<T>(random: &mut Rng, may: bool, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    (may && random.u8(..3) == 0).then(|| make(random))
}

fn reason<R>(random: &mut Rng, from: impl Fn(u8) -> Option<R>) -> R {
    let known: Vec<R> = (0..=255).filter_map(from).collect();
    let at = random.usize(..known.len());
    known.into_iter().nth(at).expect("one at least")
}

fn id(random: &mut Rng) -> PacketId {
    NonZeroU16::new(random.u16(1..)).expect("not 0")
}

fn size(random: &mut Rng) -> NonZeroU32 {
    NonZeroU32::new(random.u32(1..)).expect("not 0")
}

fn number(random: &mut Rng) -> SubscriptionId {
    let largest = [0x7F, 0x3FFF, 0x1F_FFFF, SubscriptionId::MAX][random.usize(..4)];
    SubscriptionId::new(random.u32(1..=largest)).expect("in range")
}

fn qos(random: &mut Rng) -> QoS {
    QoS::from_u8(random.u8(..3)).expect("a quality of service")
}

fn text(random: &mut Rng) -> Text {
    let texts = [
        "",
        "a",
        "lamp-17",
        "grüße",
        "\u{FEFF}",
        "名",
        "a text that is longer than others",
    ];
    Text::new(texts[random.usize(..texts.len())]).expect("a text")
}

fn topic(random: &mut Rng) -> TopicName {
    let topics = [
        "a",
        "a/b",
        "/",
        "$SYS/x",
        "grüße/名",
        "a/topic/that/is/longer/than/others",
    ];
    TopicName::new(topics[random.usize(..topics.len())]).expect("a topic")
}

fn filter(random: &mut Rng) -> TopicFilter {
    let filters = ["a/b", "+", "#", "+/b/#", "/", "$share/g/a/+", "grüße/#"];
    TopicFilter::new(filters[random.usize(..filters.len())]).expect("a filter")
}

fn binary(random: &mut Rng) -> Bytes {
    (0..random.usize(..12)).map(|_| random.u8(..)).collect()
}

fn user(random: &mut Rng, may: bool) -> UserProperties {
    if !may || random.bool() {
        return Vec::new();
    }
    (0..random.usize(1..4))
        .map(|_| (text(random), text(random)))
        .collect()
}

/// Changes a few bytes; more often than not where the rules are: in front, and in lengths.
pub(crate) fn mutate(random: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len());
        match random.u8(..10) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes[at] = random.u8(..0x2B),
            3 => bytes.insert(at, random.u8(..)),
            4 => {
                bytes.remove(at);
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            5 | 6 => bytes[at] = b"+#$/\0"[random.usize(..5)],
            7 => bytes[0] = random.u8(..),
            _ => {
                let at = random.usize(..bytes.len().min(12));
                bytes[at] = match random.u8(..2) {
                    0 => random.u8(..4),
                    _ => random.u8(..),
                };
            }
        }
    }
    // The packet is as long as it says, as a rule: otherwise nobody looks into it.
    if random.u8(..10) > 0
        && let Some(body) = bytes.get(2..)
        && body.len() < 128
    {
        bytes[1] = body.len() as u8;
    }
}
