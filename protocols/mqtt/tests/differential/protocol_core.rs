//! mqtt-protocol-core's codec.

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{
    PacketBuildResult, PacketBuilder, PacketData, RawPacket,
};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacketTrait, MqttString, Properties, Property, SubEntry, v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, MqttError};

use super::fields::{Fields, of_will};
use super::{MAX, Reading};

pub(crate) fn read_v4(bytes: &[u8]) -> Reading {
    use v3_1_1::{
        Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Pubcomp, Publish, Pubrec, Pubrel,
        Suback, Subscribe, Unsuback, Unsubscribe,
    };
    let raw = raw(bytes)?;
    match raw.packet_type() {
        1 => read(&raw, Connect::parse, |connect| {
            let will = connect.will_topic().map(|topic| {
                Fields::default()
                    .bytes("will topic", topic)
                    .bytes("will payload", connect.will_payload().unwrap_or_default())
                    .with("will qos", connect.will_qos() as u8)
                    .with("will retain", connect.will_retain())
            });
            Fields::of("CONNECT")
                .with("version", connect.protocol_version())
                .bytes("client identifier", connect.client_id())
                .with("clean start", connect.clean_session())
                .with("keep alive", connect.keep_alive())
                .and(will.unwrap_or_default())
                .maybe_bytes("user name", connect.user_name())
                .maybe_bytes("password", connect.password())
        }),
        2 => read(&raw, Connack::parse, |ack| {
            // Ours gives the reason codes of MQTT 5.
            let reason = match ack.return_code() {
                ConnectReturnCode::Accepted => 0,
                ConnectReturnCode::UnacceptableProtocolVersion => 0x84,
                ConnectReturnCode::IdentifierRejected => 0x85,
                ConnectReturnCode::ServerUnavailable => 0x88,
                ConnectReturnCode::BadUserNameOrPassword => 0x86,
                ConnectReturnCode::NotAuthorized => 0x87,
            };
            Fields::of("CONNACK")
                .with("session present", ack.session_present())
                .with("reason", reason)
        }),
        3 => {
            let PacketData::Publish(data) = &raw.data else {
                return Err("no data of a PUBLISH".into());
            };
            let parsed = Publish::parse(raw.flags(), data.clone());
            let (publish, _) = parsed.map_err(|error| format!("{error:?}"))?;
            let fields = Fields::of("PUBLISH")
                .with("dup", publish.dup())
                .with("qos", publish.qos() as u8)
                .with("retain", publish.retain())
                .bytes("topic", publish.topic_name())
                .with("id", publish.packet_id().unwrap_or(0))
                .bytes("payload", publish.payload().as_slice());
            Ok((fields, Ok(publish.to_continuous_buffer())))
        }
        4 => read(&raw, Puback::parse, |ack| {
            acknowledged("PUBACK", ack.packet_id(), 0)
        }),
        5 => read(&raw, Pubrec::parse, |ack| {
            acknowledged("PUBREC", ack.packet_id(), 0)
        }),
        6 => read(&raw, Pubrel::parse, |ack| {
            acknowledged("PUBREL", ack.packet_id(), 0)
        }),
        7 => read(&raw, Pubcomp::parse, |ack| {
            acknowledged("PUBCOMP", ack.packet_id(), 0)
        }),
        8 => read(&raw, Subscribe::parse, |subscribe| {
            Fields::of("SUBSCRIBE")
                .with("id", subscribe.packet_id())
                .wishes(filters(subscribe.entries()))
        }),
        9 => read(&raw, Suback::parse, |ack| {
            let reasons = ack.return_codes().into_iter().map(|code| code as u8);
            Fields::of("SUBACK")
                .with("id", ack.packet_id())
                .list("reasons", reasons.collect())
        }),
        10 => read(&raw, Unsubscribe::parse, |unsubscribe| {
            Fields::of("UNSUBSCRIBE")
                .with("id", unsubscribe.packet_id())
                .filters(names(unsubscribe.entries()))
        }),
        11 => read(&raw, Unsuback::parse, |ack| {
            Fields::of("UNSUBACK").with("id", ack.packet_id())
        }),
        12 => read(&raw, Pingreq::parse, |_| Fields::of("PINGREQ")),
        13 => read(&raw, Pingresp::parse, |_| Fields::of("PINGRESP")),
        14 => read(&raw, Disconnect::parse, |_| {
            Fields::of("DISCONNECT").with("reason", 0)
        }),
        other => Err(format!("a packet of type {other}")),
    }
}

pub(crate) fn read_v5(bytes: &[u8]) -> Reading {
    use v5_0::{
        Auth, Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Pubcomp, Publish, Pubrec,
        Pubrel, Suback, Subscribe, Unsuback, Unsubscribe,
    };
    let raw = raw(bytes)?;
    // A reason that was left out is success.
    macro_rules! acknowledgement {
        ($kind:literal, $packet:ident) => {
            read(&raw, $packet::parse, |ack| {
                let reason = ack.reason_code().map_or(0, |reason| reason as u8);
                acknowledged($kind, ack.packet_id(), reason).and(said(ack.props.as_ref()))
            })
        };
    }
    match raw.packet_type() {
        1 => read(&raw, Connect::parse, |connect| {
            let will = connect.will_topic().map(|topic| {
                let (delay, message): (Vec<_>, Vec<_>) = connect
                    .will_props
                    .iter()
                    .cloned()
                    .partition(|property| matches!(property, Property::WillDelayInterval(_)));
                Fields::default()
                    .bytes("will topic", topic)
                    .bytes("will payload", connect.will_payload().unwrap_or_default())
                    .with("will qos", connect.will_qos() as u8)
                    .with("will retain", connect.will_retain())
                    .and(properties(&delay))
                    .and(of_will(properties(&message)))
            });
            Fields::of("CONNECT")
                .with("version", connect.protocol_version())
                .bytes("client identifier", connect.client_id())
                .with("clean start", connect.clean_start())
                .with("keep alive", connect.keep_alive())
                .and(will.unwrap_or_default())
                .maybe_bytes("user name", connect.user_name())
                .maybe_bytes("password", connect.password())
                .and(properties(&connect.props))
        }),
        2 => read(&raw, Connack::parse, |ack| {
            Fields::of("CONNACK")
                .with("session present", ack.session_present())
                .with("reason", ack.reason_code() as u8)
                .and(properties(&ack.props))
        }),
        3 => {
            let PacketData::Publish(data) = &raw.data else {
                return Err("no data of a PUBLISH".into());
            };
            let parsed = Publish::parse(raw.flags(), data.clone());
            let (publish, _) = parsed.map_err(|error| format!("{error:?}"))?;
            let fields = Fields::of("PUBLISH")
                .with("dup", publish.dup())
                .with("qos", publish.qos() as u8)
                .with("retain", publish.retain())
                .bytes("topic", publish.topic_name())
                .with("id", publish.packet_id().unwrap_or(0))
                .bytes("payload", publish.payload().as_slice())
                .and(properties(&publish.props));
            Ok((fields, Ok(publish.to_continuous_buffer())))
        }
        4 => acknowledgement!("PUBACK", Puback),
        5 => acknowledgement!("PUBREC", Pubrec),
        6 => acknowledgement!("PUBREL", Pubrel),
        7 => acknowledgement!("PUBCOMP", Pubcomp),
        8 => read(&raw, Subscribe::parse, |subscribe| {
            Fields::of("SUBSCRIBE")
                .with("id", subscribe.packet_id())
                .wishes(filters(subscribe.entries()))
                .and(properties(&subscribe.props))
        }),
        9 => read(&raw, Suback::parse, |ack| {
            let reasons = ack.reason_codes().into_iter().map(|code| code as u8);
            Fields::of("SUBACK")
                .with("id", ack.packet_id())
                .list("reasons", reasons.collect())
                .and(properties(&ack.props))
        }),
        10 => read(&raw, Unsubscribe::parse, |unsubscribe| {
            Fields::of("UNSUBSCRIBE")
                .with("id", unsubscribe.packet_id())
                .filters(names(unsubscribe.entries()))
                .and(properties(&unsubscribe.props))
        }),
        11 => read(&raw, Unsuback::parse, |ack| {
            let reasons = ack.reason_codes().into_iter().map(|code| code as u8);
            Fields::of("UNSUBACK")
                .with("id", ack.packet_id())
                .list("reasons", reasons.collect())
                .and(properties(&ack.props))
        }),
        12 => read(&raw, Pingreq::parse, |_| Fields::of("PINGREQ")),
        13 => read(&raw, Pingresp::parse, |_| Fields::of("PINGRESP")),
        14 => read(&raw, Disconnect::parse, |disconnect| {
            let reason = disconnect.reason_code().map_or(0, |reason| reason as u8);
            Fields::of("DISCONNECT")
                .with("reason", reason)
                .and(said(disconnect.props.as_ref()))
        }),
        15 => read(&raw, Auth::parse, |auth| {
            let reason = auth.reason_code().map_or(0, |reason| reason as u8);
            Fields::of("AUTH")
                .with("reason", reason)
                .and(said(auth.props.as_ref()))
        }),
        other => Err(format!("a packet of type {other}")),
    }
}

fn raw(bytes: &[u8]) -> Result<RawPacket, String> {
    let mut cursor = Cursor::new(bytes);
    let mut builder = PacketBuilder::with_maximum_packet_size(MAX);
    match builder.feed(&mut cursor) {
        PacketBuildResult::Complete(_) if cursor.position() < bytes.len() as u64 => {
            Err("more than a packet".into())
        }
        PacketBuildResult::Complete(raw) => Ok(raw),
        PacketBuildResult::Incomplete => Err("less than a packet".into()),
        PacketBuildResult::Error(error) => Err(format!("{error:?}")),
    }
}

fn read<P: GenericPacketTrait>(
    raw: &RawPacket,
    parse: impl FnOnce(&[u8]) -> Result<(P, usize), MqttError>,
    fields: impl FnOnce(&P) -> Fields,
) -> Reading {
    let packet = raw.parse_exact(parse);
    let packet = packet.map_err(|error| format!("{error:?}"))?;
    let fields = fields(&packet);
    Ok((fields, Ok(packet.to_continuous_buffer())))
}

fn acknowledged(kind: &'static str, id: u16, reason: u8) -> Fields {
    Fields::of(kind).with("id", id).with("reason", reason)
}

fn filters(entries: &[SubEntry]) -> Vec<(String, u8)> {
    entries
        .iter()
        .map(|entry| {
            let [flags] = *entry.sub_opts().to_buffer();
            (entry.topic_filter().to_owned(), flags)
        })
        .collect()
}

fn names(entries: &[MqttString]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| entry.as_str().to_owned())
        .collect()
}

fn said(all: Option<&Properties>) -> Fields {
    all.map_or_else(Fields::default, |all| properties(all))
}

fn properties(all: &[Property]) -> Fields {
    let mut fields = Fields::default();
    let mut user = Vec::new();
    let mut numbers = Vec::new();
    for property in all {
        fields = match property {
            Property::PayloadFormatIndicator(it) => fields.with("format", it.val()),
            Property::MessageExpiryInterval(it) => fields.with("message expiry", it.val()),
            Property::ContentType(it) => fields.bytes("content type", it.val()),
            Property::ResponseTopic(it) => fields.bytes("response topic", it.val()),
            Property::CorrelationData(it) => fields.bytes("correlation data", it.val()),
            Property::SubscriptionIdentifier(it) => {
                numbers.push(it.val());
                fields
            }
            Property::SessionExpiryInterval(it) => fields.with("session expiry", it.val()),
            Property::AssignedClientIdentifier(it) => fields.bytes("assigned identifier", it.val()),
            Property::ServerKeepAlive(it) => fields.with("server keep alive", it.val()),
            Property::AuthenticationMethod(it) => fields.bytes("authentication method", it.val()),
            Property::AuthenticationData(it) => fields.bytes("authentication data", it.val()),
            Property::RequestProblemInformation(it) => {
                fields.unless(1, "request problem information", Some(it.val()))
            }
            Property::WillDelayInterval(it) => fields.unless(0, "will delay", Some(it.val())),
            Property::RequestResponseInformation(it) => {
                fields.unless(0, "request response information", Some(it.val()))
            }
            Property::ResponseInformation(it) => fields.bytes("response information", it.val()),
            Property::ServerReference(it) => fields.bytes("server reference", it.val()),
            Property::ReasonString(it) => fields.bytes("reason string", it.val()),
            Property::ReceiveMaximum(it) => fields.with("receive maximum", it.val()),
            Property::TopicAliasMaximum(it) => fields.unless(0, "alias maximum", Some(it.val())),
            Property::TopicAlias(it) => fields.with("alias", it.val()),
            Property::MaximumQos(it) => fields.unless(2, "maximum qos", Some(it.val())),
            Property::RetainAvailable(it) => fields.unless(1, "retain available", Some(it.val())),
            Property::UserProperty(it) => {
                user.push((it.key().to_owned(), it.val().to_owned()));
                fields
            }
            Property::MaximumPacketSize(it) => fields.with("maximum packet size", it.val()),
            Property::WildcardSubscriptionAvailable(it) => {
                fields.unless(1, "wildcards", Some(it.val()))
            }
            Property::SubscriptionIdentifierAvailable(it) => {
                fields.unless(1, "identifiers available", Some(it.val()))
            }
            Property::SharedSubscriptionAvailable(it) => {
                fields.unless(1, "shared available", Some(it.val()))
            }
        };
    }
    fields.list("subscription identifiers", numbers).user(&user)
}
