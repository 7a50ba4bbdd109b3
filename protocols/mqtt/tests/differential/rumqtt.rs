//! rumqttc's codecs and mqttbytes', of which they were made: much the same types.

use bytes::BytesMut;

use super::fields::{Fields, code, of_will};
use super::{MAX, Reading};

/// Nothing may be left behind the packet.
fn whole(rest: &[u8]) -> Result<(), String> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err("more than a packet".into())
    }
}

/// MQTT 3.1.1, which both have in the same words.
macro_rules! v4 {
    ($name:ident, $v4:path, |$buffer:ident| $read:expr, $connect_version:expr) => {
        pub(crate) mod $name {
            use super::*;
            use $v4 as v4;

            pub(crate) fn read(bytes: &[u8]) -> Reading {
                let mut $buffer = BytesMut::from(bytes);
                let packet: v4::Packet = $read.map_err(|error| format!("{error:?}"))?;
                whole(&$buffer)?;
                Ok((fields(&packet), write(&packet)))
            }

            fn write(packet: &v4::Packet) -> Result<Vec<u8>, String> {
                use v4::Packet as P;
                let mut out = BytesMut::new();
                let written = match packet {
                    P::Connect(packet) => packet.write(&mut out),
                    P::ConnAck(packet) => packet.write(&mut out),
                    P::Publish(packet) => packet.write(&mut out),
                    P::PubAck(packet) => packet.write(&mut out),
                    P::PubRec(packet) => packet.write(&mut out),
                    P::PubRel(packet) => packet.write(&mut out),
                    P::PubComp(packet) => packet.write(&mut out),
                    P::Subscribe(packet) => packet.write(&mut out),
                    P::SubAck(packet) => packet.write(&mut out),
                    P::Unsubscribe(packet) => packet.write(&mut out),
                    P::UnsubAck(packet) => packet.write(&mut out),
                    P::PingReq => v4::PingReq.write(&mut out),
                    P::PingResp => v4::PingResp.write(&mut out),
                    P::Disconnect => v4::Disconnect.write(&mut out),
                };
                written.map_err(|error| format!("{error:?}"))?;
                Ok(out.to_vec())
            }

            fn fields(packet: &v4::Packet) -> Fields {
                use v4::Packet as P;
                // MQTT 3.1.1 has no reasons; ours says success.
                let acknowledged =
                    |kind, id: u16| Fields::of(kind).with("id", id).with("reason", 0);
                match packet {
                    P::Connect(connect) => {
                        let will = connect.last_will.as_ref().map(|will| {
                            Fields::default()
                                .bytes("will topic", &will.topic)
                                .bytes("will payload", &will.message)
                                .with("will qos", will.qos as u8)
                                .with("will retain", will.retain)
                        });
                        let login = connect.login.as_ref().map(|login| {
                            Fields::default()
                                .bytes("user name", &login.username)
                                .bytes("password", &login.password)
                        });
                        Fields::of("CONNECT")
                            .with("version", $connect_version(connect.protocol))
                            .bytes("client identifier", &connect.client_id)
                            .with("clean start", connect.clean_session)
                            .with("keep alive", connect.keep_alive)
                            .and(will.unwrap_or_default())
                            .and(login.unwrap_or_default())
                    }
                    P::ConnAck(ack) => Fields::of("CONNACK")
                        .with("session present", ack.session_present)
                        .with("reason", code(&ack.code)),
                    P::Publish(publish) => Fields::of("PUBLISH")
                        .with("dup", publish.dup)
                        .with("qos", publish.qos as u8)
                        .with("retain", publish.retain)
                        .bytes("topic", &publish.topic)
                        .with("id", publish.pkid)
                        .bytes("payload", &publish.payload),
                    P::PubAck(ack) => acknowledged("PUBACK", ack.pkid),
                    P::PubRec(ack) => acknowledged("PUBREC", ack.pkid),
                    P::PubRel(ack) => acknowledged("PUBREL", ack.pkid),
                    P::PubComp(ack) => acknowledged("PUBCOMP", ack.pkid),
                    P::Subscribe(subscribe) => {
                        let filters = subscribe.filters.iter();
                        let filters = filters.map(|filter| (filter.path.clone(), filter.qos as u8));
                        Fields::of("SUBSCRIBE")
                            .with("id", subscribe.pkid)
                            .wishes(filters.collect())
                    }
                    P::SubAck(ack) => Fields::of("SUBACK")
                        .with("id", ack.pkid)
                        .list("reasons", ack.return_codes.iter().map(code).collect()),
                    P::Unsubscribe(unsubscribe) => Fields::of("UNSUBSCRIBE")
                        .with("id", unsubscribe.pkid)
                        .filters(unsubscribe.topics.clone()),
                    P::UnsubAck(ack) => Fields::of("UNSUBACK").with("id", ack.pkid),
                    P::PingReq => Fields::of("PINGREQ"),
                    P::PingResp => Fields::of("PINGRESP"),
                    P::Disconnect => Fields::of("DISCONNECT").with("reason", 0),
                }
            }
        }
    };
}

v4!(
    mqttbytes_v4,
    ::mqttbytes::v4,
    |buffer| ::mqttbytes::v4::read(&mut buffer, MAX as usize),
    |protocol| match protocol {
        ::mqttbytes::Protocol::V4 => 4,
        ::mqttbytes::Protocol::V5 => 5,
    }
);
v4!(
    rumqttc_v4,
    ::rumqttc::mqttbytes::v4,
    |buffer| ::rumqttc::mqttbytes::v4::Packet::read(&mut buffer, MAX as usize),
    |protocol| match protocol {
        ::rumqttc::Protocol::V4 => 4,
        ::rumqttc::Protocol::V5 => 5,
    }
);

/// MQTT 5, as far as both have it in the same words.
macro_rules! v5 {
    ($v5:path) => {
        use super::*;
        use $v5 as v5;

        fn acknowledged(
            kind: &'static str,
            id: u16,
            reason: u8,
            words: Option<(&Option<String>, &[(String, String)])>,
        ) -> Fields {
            Fields::of(kind)
                .with("id", id)
                .with("reason", reason)
                .and(said(words))
        }

        fn said(words: Option<(&Option<String>, &[(String, String)])>) -> Fields {
            words.map_or_else(Fields::default, |(reason, user)| {
                Fields::default()
                    .maybe_bytes("reason string", reason.as_ref())
                    .user(user)
            })
        }

        fn connect_properties(properties: &v5::ConnectProperties) -> Fields {
            Fields::default()
                .maybe("session expiry", properties.session_expiry_interval)
                .maybe("receive maximum", properties.receive_maximum)
                .maybe("maximum packet size", properties.max_packet_size)
                .unless(0, "alias maximum", properties.topic_alias_max)
                .unless(
                    0,
                    "request response information",
                    properties.request_response_info,
                )
                .unless(
                    1,
                    "request problem information",
                    properties.request_problem_info,
                )
                .user(&properties.user_properties)
                .maybe_bytes(
                    "authentication method",
                    properties.authentication_method.as_ref(),
                )
                .maybe_bytes(
                    "authentication data",
                    properties.authentication_data.as_ref(),
                )
        }

        /// All that don't differ between the two.
        fn fields(packet: &v5::Packet) -> Fields {
            use v5::Packet as P;
            macro_rules! words {
                ($of:expr) => {
                    $of.properties
                        .as_ref()
                        .map(|all| (&all.reason_string, all.user_properties.as_slice()))
                };
            }
            match packet {
                P::ConnAck(ack) => {
                    let fields = Fields::of("CONNACK")
                        .with("session present", ack.session_present)
                        .with("reason", code(&ack.code));
                    let Some(all) = &ack.properties else {
                        return fields;
                    };
                    fields
                        .maybe("session expiry", all.session_expiry_interval)
                        .maybe("receive maximum", all.receive_max)
                        .unless(2, "maximum qos", all.max_qos)
                        .unless(1, "retain available", all.retain_available)
                        .maybe("maximum packet size", all.max_packet_size)
                        .maybe_bytes(
                            "assigned identifier",
                            all.assigned_client_identifier.as_ref(),
                        )
                        .unless(0, "alias maximum", all.topic_alias_max)
                        .and(said(words!(ack)))
                        .unless(1, "wildcards", all.wildcard_subscription_available)
                        .unless(
                            1,
                            "identifiers available",
                            all.subscription_identifiers_available,
                        )
                        .unless(1, "shared available", all.shared_subscription_available)
                        .maybe("server keep alive", all.server_keep_alive)
                        .maybe_bytes("response information", all.response_information.as_ref())
                        .maybe_bytes("server reference", all.server_reference.as_ref())
                        .maybe_bytes("authentication method", all.authentication_method.as_ref())
                        .maybe_bytes("authentication data", all.authentication_data.as_ref())
                }
                P::Publish(publish) => {
                    let fields = Fields::of("PUBLISH")
                        .with("dup", publish.dup)
                        .with("qos", publish.qos as u8)
                        .with("retain", publish.retain)
                        .bytes("topic", &publish.topic)
                        .with("id", publish.pkid)
                        .bytes("payload", &publish.payload);
                    let Some(all) = &publish.properties else {
                        return fields;
                    };
                    let message = Fields::default()
                        .maybe("format", all.payload_format_indicator)
                        .maybe("message expiry", all.message_expiry_interval)
                        .maybe_bytes("content type", all.content_type.as_ref())
                        .maybe_bytes("response topic", all.response_topic.as_ref())
                        .maybe_bytes("correlation data", all.correlation_data.as_ref())
                        .user(&all.user_properties);
                    fields
                        .maybe("alias", all.topic_alias)
                        .list(
                            "subscription identifiers",
                            all.subscription_identifiers.clone(),
                        )
                        .and(message)
                }
                P::PubAck(ack) => acknowledged("PUBACK", ack.pkid, code(&ack.reason), words!(ack)),
                P::PubRec(ack) => acknowledged("PUBREC", ack.pkid, code(&ack.reason), words!(ack)),
                P::PubRel(ack) => acknowledged("PUBREL", ack.pkid, code(&ack.reason), words!(ack)),
                P::PubComp(ack) => {
                    acknowledged("PUBCOMP", ack.pkid, code(&ack.reason), words!(ack))
                }
                P::Subscribe(subscribe) => {
                    let filters = subscribe.filters.iter().map(|filter| {
                        let handling = match filter.retain_forward_rule {
                            v5::RetainForwardRule::OnEverySubscribe => 0,
                            v5::RetainForwardRule::OnNewSubscribe => 1,
                            v5::RetainForwardRule::Never => 2,
                        };
                        let flags = filter.qos as u8
                            | u8::from(filter.nolocal) << 2
                            | u8::from(filter.preserve_retain) << 3
                            | handling << 4;
                        (filter.path.clone(), flags)
                    });
                    let fields = Fields::of("SUBSCRIBE")
                        .with("id", subscribe.pkid)
                        .wishes(filters.collect());
                    let Some(all) = &subscribe.properties else {
                        return fields;
                    };
                    fields
                        .list("subscription identifiers", all.id.into_iter().collect())
                        .user(&all.user_properties)
                }
                P::SubAck(ack) => Fields::of("SUBACK")
                    .with("id", ack.pkid)
                    .list("reasons", ack.return_codes.iter().map(code).collect())
                    .and(said(words!(ack))),
                P::Unsubscribe(unsubscribe) => {
                    let fields = Fields::of("UNSUBSCRIBE")
                        .with("id", unsubscribe.pkid)
                        .filters(unsubscribe.filters.clone());
                    match &unsubscribe.properties {
                        Some(all) => fields.user(&all.user_properties),
                        None => fields,
                    }
                }
                P::UnsubAck(ack) => Fields::of("UNSUBACK")
                    .with("id", ack.pkid)
                    .list("reasons", ack.reasons.iter().map(code).collect())
                    .and(said(words!(ack))),
                P::Disconnect(disconnect) => {
                    let fields = Fields::of("DISCONNECT")
                        .with("reason", code(&disconnect.reason_code))
                        .and(said(words!(disconnect)));
                    let Some(all) = &disconnect.properties else {
                        return fields;
                    };
                    fields
                        .maybe("session expiry", all.session_expiry_interval)
                        .maybe_bytes("server reference", all.server_reference.as_ref())
                }
                other => own(other),
            }
        }

        fn will_properties(
            delay: Option<u32>,
            format: Option<u8>,
            expiry: Option<u32>,
            texts: [Option<&String>; 2],
            correlation: Option<&bytes::Bytes>,
            user: &[(String, String)],
        ) -> Fields {
            let [content_type, response_topic] = texts;
            let message = Fields::default()
                .maybe("format", format)
                .maybe("message expiry", expiry)
                .maybe_bytes("content type", content_type)
                .maybe_bytes("response topic", response_topic)
                .maybe_bytes("correlation data", correlation)
                .user(user);
            Fields::default()
                .unless(0, "will delay", delay)
                .and(of_will(message))
        }
    };
}

pub(crate) mod mqttbytes_v5 {
    v5!(::mqttbytes::v5);

    pub(crate) fn read(bytes: &[u8]) -> Reading {
        let mut buffer = BytesMut::from(bytes);
        let packet = v5::read(&mut buffer, MAX as usize).map_err(|error| format!("{error:?}"))?;
        whole(&buffer)?;
        Ok((fields(&packet), write(&packet)))
    }

    fn write(packet: &v5::Packet) -> Result<Vec<u8>, String> {
        use v5::Packet as P;
        let mut out = BytesMut::new();
        let written = match packet {
            P::Connect(packet) => packet.write(&mut out),
            P::ConnAck(packet) => packet.write(&mut out),
            P::Publish(packet) => packet.write(&mut out),
            P::PubAck(packet) => packet.write(&mut out),
            P::PubRec(packet) => packet.write(&mut out),
            P::PubRel(packet) => packet.write(&mut out),
            P::PubComp(packet) => packet.write(&mut out),
            P::Subscribe(packet) => packet.write(&mut out),
            P::SubAck(packet) => packet.write(&mut out),
            P::Unsubscribe(packet) => packet.write(&mut out),
            P::UnsubAck(packet) => packet.write(&mut out),
            P::PingReq => v5::PingReq.write(&mut out),
            P::PingResp => v5::PingResp.write(&mut out),
            P::Disconnect(packet) => packet.write(&mut out),
        };
        written.map_err(|error| format!("{error:?}"))?;
        Ok(out.to_vec())
    }

    fn own(packet: &v5::Packet) -> Fields {
        match packet {
            v5::Packet::PingReq => Fields::of("PINGREQ"),
            v5::Packet::PingResp => Fields::of("PINGRESP"),
            v5::Packet::Connect(connect) => {
                let will = connect.last_will.as_ref().map(|will| {
                    let properties = will.properties.as_ref().map(|all| {
                        will_properties(
                            all.delay_interval,
                            all.payload_format_indicator,
                            all.message_expiry_interval,
                            [all.content_type.as_ref(), all.response_topic.as_ref()],
                            all.correlation_data.as_ref(),
                            &all.user_properties,
                        )
                    });
                    Fields::default()
                        .bytes("will topic", &will.topic)
                        .bytes("will payload", &will.message)
                        .with("will qos", will.qos as u8)
                        .with("will retain", will.retain)
                        .and(properties.unwrap_or_default())
                });
                let login = connect.login.as_ref().map(|login| {
                    Fields::default()
                        .bytes("user name", &login.username)
                        .bytes("password", &login.password)
                });
                let properties = connect.properties.as_ref().map(connect_properties);
                let version = match connect.protocol {
                    ::mqttbytes::Protocol::V4 => 4,
                    ::mqttbytes::Protocol::V5 => 5,
                };
                Fields::of("CONNECT")
                    .with("version", version)
                    .bytes("client identifier", &connect.client_id)
                    .with("clean start", connect.clean_session)
                    .with("keep alive", connect.keep_alive)
                    .and(will.unwrap_or_default())
                    .and(login.unwrap_or_default())
                    .and(properties.unwrap_or_default())
            }
            other => panic!("what is {other:?}?"),
        }
    }
}

pub(crate) mod rumqttc_v5 {
    v5!(::rumqttc::v5::mqttbytes::v5);

    pub(crate) fn read(bytes: &[u8]) -> Reading {
        let mut buffer = BytesMut::from(bytes);
        let packet = v5::Packet::read(&mut buffer, Some(MAX));
        let packet = packet.map_err(|error| format!("{error:?}"))?;
        whole(&buffer)?;
        let mut out = BytesMut::new();
        let written = packet.write(&mut out, None);
        let written = written.map_err(|error| format!("{error:?}"));
        Ok((fields(&packet), written.map(|_| out.to_vec())))
    }

    fn own(packet: &v5::Packet) -> Fields {
        match packet {
            v5::Packet::PingReq(_) => Fields::of("PINGREQ"),
            v5::Packet::PingResp(_) => Fields::of("PINGRESP"),
            v5::Packet::Connect(connect, will, login) => {
                let will = will.as_ref().map(|will| {
                    let properties = will.properties.as_ref().map(|all| {
                        will_properties(
                            all.delay_interval,
                            all.payload_format_indicator,
                            all.message_expiry_interval,
                            [all.content_type.as_ref(), all.response_topic.as_ref()],
                            all.correlation_data.as_ref(),
                            &all.user_properties,
                        )
                    });
                    Fields::default()
                        .bytes("will topic", &will.topic)
                        .bytes("will payload", &will.message)
                        .with("will qos", will.qos as u8)
                        .with("will retain", will.retain)
                        .and(properties.unwrap_or_default())
                });
                let login = login.as_ref().map(|login| {
                    Fields::default()
                        .bytes("user name", &login.username)
                        .bytes("password", &login.password)
                });
                let properties = connect.properties.as_ref().map(connect_properties);
                Fields::of("CONNECT")
                    .with("version", 5)
                    .bytes("client identifier", &connect.client_id)
                    .with("clean start", connect.clean_start)
                    .with("keep alive", connect.keep_alive)
                    .and(will.unwrap_or_default())
                    .and(login.unwrap_or_default())
                    .and(properties.unwrap_or_default())
            }
            other => panic!("what is {other:?}?"),
        }
    }
}
