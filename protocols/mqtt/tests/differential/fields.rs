//! A packet as names and values, so that packets of different libraries can be compared.

use std::collections::BTreeMap;
use std::fmt::Debug;

use jackfield_mqtt::codec::{
    Authentication, ConnAck, Connect, MessageProperties, Packet, Password, ReasonCode,
    SubscriptionId, Text, Version, Will,
};

/// What a packet says. What is left out and what is the default are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    values: BTreeMap<&'static str, String>,
    /// Those of SUBSCRIBE and UNSUBSCRIBE, once more as text.
    pub(crate) filters: Vec<String>,
}

impl Fields {
    pub(crate) fn of(kind: &'static str) -> Self {
        Self::default().with("packet", kind)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Debug) -> Self {
        self.values.insert(name, format!("{value:?}"));
        self
    }

    pub(crate) fn maybe(self, name: &'static str, value: Option<impl Debug>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn bytes(self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.with(name, value.as_ref())
    }

    pub(crate) fn maybe_bytes(self, name: &'static str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.bytes(name, value),
            None => self,
        }
    }

    /// The value, unless it is what leaving it out means.
    pub(crate) fn unless<T: Copy + Debug + PartialEq>(
        self,
        default: T,
        name: &'static str,
        value: Option<T>,
    ) -> Self {
        self.maybe(name, value.filter(|value| *value != default))
    }

    /// A list, unless it is empty.
    pub(crate) fn list<T: Debug>(self, name: &'static str, values: Vec<T>) -> Self {
        self.maybe(name, (!values.is_empty()).then_some(values))
    }

    pub(crate) fn user(self, pairs: &[(String, String)]) -> Self {
        self.list("user properties", pairs.to_vec())
    }

    /// SUBSCRIBE's filters with their options, as bytes.
    pub(crate) fn wishes(mut self, options: Vec<(String, u8)>) -> Self {
        self.filters = options.iter().map(|(filter, _)| filter.clone()).collect();
        self.with("filters", options)
    }

    /// UNSUBSCRIBE's filters.
    pub(crate) fn filters(mut self, filters: Vec<String>) -> Self {
        self.filters.clone_from(&filters);
        self.with("filters", filters)
    }

    /// Those of another, under the same names.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.values.extend(other.values);
        self
    }

    /// The packet's name.
    pub(crate) fn kind(&self) -> &str {
        self.get("packet").trim_matches('"')
    }

    /// A value as it is compared; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// All of them.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.values.values().map(String::as_str)
    }

    /// The names of those in which the two differ.
    pub(crate) fn difference(&self, other: &Self) -> Vec<&'static str> {
        let names = self.values.keys().chain(other.values.keys());
        let mut names: Vec<_> = names
            .filter(|name| self.values.get(*name) != other.values.get(*name))
            .copied()
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What our codec reads.
pub(crate) fn ours(packet: &Packet, version: Version) -> Fields {
    match packet {
        Packet::Connect(connect) => ours_connect(connect),
        Packet::ConnAck(ack) => ours_conn_ack(ack, version),
        Packet::Publish(publish) => {
            let nothing = MessageProperties::default();
            let properties = publish.properties.as_deref().unwrap_or(&nothing);
            let numbers = publish.subscription_ids.iter().map(|id| id.get());
            Fields::of("PUBLISH")
                .with("dup", publish.dup)
                .with("qos", publish.qos as u8)
                .with("retain", publish.retain)
                .bytes("topic", publish.topic.as_deref().unwrap_or(""))
                .with("id", publish.packet_id.map_or(0, std::num::NonZero::get))
                .maybe("alias", publish.topic_alias.map(std::num::NonZero::get))
                .list("subscription identifiers", numbers.collect())
                .and(ours_message(properties))
                .bytes("payload", &publish.payload)
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) => {
            let is_ack = matches!(packet, Packet::PubAck(_));
            Fields::of(if is_ack { "PUBACK" } else { "PUBREC" })
                .with("id", ack.packet_id.get())
                .with("reason", ack.reason.code())
                .and(words(ack.reason_string.as_ref(), &ack.user_properties))
        }
        Packet::PubRel(release) | Packet::PubComp(release) => {
            let is_release = matches!(packet, Packet::PubRel(_));
            Fields::of(if is_release { "PUBREL" } else { "PUBCOMP" })
                .with("id", release.packet_id.get())
                .with("reason", release.reason.code())
                .and(words(
                    release.reason_string.as_ref(),
                    &release.user_properties,
                ))
        }
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter().map(|(filter, options)| {
                let flags = options.qos as u8
                    | u8::from(options.no_local) << 2
                    | u8::from(options.retain_as_published) << 3
                    | (options.retain_handling as u8) << 4;
                (filter.to_string(), flags)
            });
            let number = subscribe.subscription_id.map(SubscriptionId::get);
            Fields::of("SUBSCRIBE")
                .with("id", subscribe.packet_id.get())
                .wishes(filters.collect())
                .list("subscription identifiers", number.into_iter().collect())
                .and(words(None, &subscribe.user_properties))
        }
        Packet::SubAck(ack) => {
            let reasons: Vec<u8> = ack.reasons.iter().map(|reason| reason.code()).collect();
            Fields::of("SUBACK")
                .with("id", ack.packet_id.get())
                .list("reasons", reasons)
                .and(words(ack.reason_string.as_ref(), &ack.user_properties))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters = unsubscribe.filters.iter().map(ToString::to_string);
            Fields::of("UNSUBSCRIBE")
                .with("id", unsubscribe.packet_id.get())
                .filters(filters.collect())
                .and(words(None, &unsubscribe.user_properties))
        }
        Packet::UnsubAck(ack) => {
            let reasons: Vec<u8> = ack.reasons.iter().map(|reason| reason.code()).collect();
            Fields::of("UNSUBACK")
                .with("id", ack.packet_id.get())
                .list("reasons", reasons)
                .and(words(ack.reason_string.as_ref(), &ack.user_properties))
        }
        Packet::PingReq => Fields::of("PINGREQ"),
        Packet::PingResp => Fields::of("PINGRESP"),
        Packet::Disconnect(disconnect) => Fields::of("DISCONNECT")
            .with("reason", disconnect.reason.code())
            .maybe("session expiry", disconnect.session_expiry)
            .maybe_bytes("server reference", disconnect.server_reference.as_deref())
            .and(words(
                disconnect.reason_string.as_ref(),
                &disconnect.user_properties,
            )),
        Packet::Auth(auth) => Fields::of("AUTH")
            .with("reason", auth.reason.code())
            .and(ours_authentication(auth.authentication.as_ref()))
            .and(words(auth.reason_string.as_ref(), &auth.user_properties)),
        other => panic!("what is {other:?}?"),
    }
}

fn ours_connect(connect: &Connect) -> Fields {
    Fields::of("CONNECT")
        .with("version", connect.version as u8)
        .bytes("client identifier", &*connect.client_id)
        .with("clean start", connect.clean_start)
        .with("keep alive", connect.keep_alive)
        .and(
            connect
                .will
                .as_ref()
                .map_or_else(Fields::default, ours_will),
        )
        .maybe_bytes("user name", connect.username.as_deref())
        .maybe_bytes(
            "password",
            connect.password.as_ref().map(Password::as_bytes),
        )
        .maybe("session expiry", connect.session_expiry)
        .maybe(
            "receive maximum",
            connect.receive_maximum.map(std::num::NonZero::get),
        )
        .maybe(
            "maximum packet size",
            connect.maximum_packet_size.map(std::num::NonZero::get),
        )
        .unless(0, "alias maximum", Some(connect.topic_alias_maximum))
        .unless(
            0,
            "request response information",
            Some(u8::from(connect.request_response_information)),
        )
        .unless(
            1,
            "request problem information",
            Some(u8::from(connect.request_problem_information)),
        )
        .and(words(None, &connect.user_properties))
        .and(ours_authentication(connect.authentication.as_ref()))
}

fn ours_will(will: &Will) -> Fields {
    Fields::default()
        .bytes("will topic", &*will.topic)
        .bytes("will payload", &will.payload)
        .with("will qos", will.qos as u8)
        .with("will retain", will.retain)
        .unless(0, "will delay", Some(will.delay))
        .and(of_will(ours_message(&will.properties)))
}

/// A will's properties have names of their own: CONNECT has user properties, too.
pub(crate) fn of_will(properties: Fields) -> Fields {
    let all: Vec<_> = properties.values.into_iter().collect();
    let text = (!all.is_empty()).then_some(all);
    Fields::default().maybe("will properties", text)
}

fn ours_conn_ack(ack: &ConnAck, version: Version) -> Fields {
    let fields = Fields::of("CONNACK")
        .with("session present", ack.session_present)
        .with("reason", ack.reason.code());
    if version == Version::V311 {
        return fields;
    }
    let flag = |flag| Some(u8::from(flag));
    fields
        .maybe("session expiry", ack.session_expiry)
        .maybe(
            "receive maximum",
            ack.receive_maximum.map(std::num::NonZero::get),
        )
        .unless(2, "maximum qos", Some(ack.maximum_qos as u8))
        .unless(1, "retain available", flag(ack.retain_available))
        .maybe(
            "maximum packet size",
            ack.maximum_packet_size.map(std::num::NonZero::get),
        )
        .maybe_bytes("assigned identifier", ack.assigned_client_id.as_deref())
        .unless(0, "alias maximum", Some(ack.topic_alias_maximum))
        .and(words(ack.reason_string.as_ref(), &ack.user_properties))
        .unless(1, "wildcards", flag(ack.wildcard_subscriptions))
        .unless(1, "identifiers available", flag(ack.subscription_ids))
        .unless(1, "shared available", flag(ack.shared_subscriptions))
        .maybe("server keep alive", ack.server_keep_alive)
        .maybe_bytes("response information", ack.response_information.as_deref())
        .maybe_bytes("server reference", ack.server_reference.as_deref())
        .and(ours_authentication(ack.authentication.as_ref()))
}

fn ours_message(properties: &MessageProperties) -> Fields {
    Fields::default()
        .maybe("format", properties.payload_is_text.map(u8::from))
        .maybe("message expiry", properties.message_expiry)
        .maybe_bytes("content type", properties.content_type.as_deref())
        .maybe_bytes("response topic", properties.response_topic.as_deref())
        .maybe_bytes("correlation data", properties.correlation_data.as_ref())
        .and(words(None, &properties.user_properties))
}

fn ours_authentication(authentication: Option<&Authentication>) -> Fields {
    let Some(authentication) = authentication else {
        return Fields::default();
    };
    Fields::default()
        .bytes("authentication method", &*authentication.method)
        .maybe_bytes("authentication data", authentication.data.as_ref())
}

fn words(reason: Option<&Text>, pairs: &[(Text, Text)]) -> Fields {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Fields::default()
        .maybe_bytes("reason string", reason.map(Text::as_str))
        .user(&pairs.collect::<Vec<_>>())
}

/// The code of a reason that a library knows by this name.
pub(crate) fn code(name: &impl Debug) -> u8 {
    let name = format!("{name:?}");
    let same = (0..=255)
        .filter_map(ReasonCode::from_u8)
        .find(|reason| format!("{reason:?}") == name);
    let reason = same.unwrap_or_else(|| match name.as_str() {
        "NormalDisconnection" | "Success(AtMostOnce)" | "QoS0" | "Accepted" => ReasonCode::Success,
        "Success(AtLeastOnce)" | "QoS1" => ReasonCode::GrantedQoS1,
        "Success(ExactlyOnce)" | "QoS2" => ReasonCode::GrantedQoS2,
        "DisconnectWithWillMessage" => ReasonCode::DisconnectWithWill,
        "Continue" => ReasonCode::ContinueAuthentication,
        "ReAuthentivate" => ReasonCode::ReAuthenticate,
        "Unspecified" | "Failure" => ReasonCode::UnspecifiedError,
        "ImplementationSpecific" => ReasonCode::ImplementationSpecificError,
        "RefusedProtocolVersion" => ReasonCode::UnsupportedProtocolVersion,
        "BadClientId" => ReasonCode::ClientIdentifierNotValid,
        "BadUserNamePassword" => ReasonCode::BadUserNameOrPassword,
        "ServiceUnavailable" => ReasonCode::ServerUnavailable,
        "PkidInUse" => ReasonCode::PacketIdentifierInUse,
        "SharedSubscriptionNotSupported" => ReasonCode::SharedSubscriptionsNotSupported,
        "SubscriptionIdNotSupported" => ReasonCode::SubscriptionIdentifiersNotSupported,
        _ => panic!("which reason is {name}?"),
    });
    reason.code()
}
