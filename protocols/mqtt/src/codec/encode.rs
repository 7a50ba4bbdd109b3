//! Packets, written (MQTT 5, sections 2 and 3).

use std::num::NonZeroU16;

use super::checks::{check, check_message, invalid, return_code};
use super::packet::MAX_PACKET;
use super::properties::{id, write_authentication, write_message, write_text, write_user};
use super::write::{Counter, Sink};
use super::{
    Auth, ConnAck, Connect, Disconnect, DisconnectReason, EncodeError, MessageProperties, Packet,
    PacketId, PubAck, Publish, PublishReason, QoS, Release, ReleaseReason, SubAck, Subscribe,
    SubscriptionId, Text, TopicName, UnsubAck, Unsubscribe, UserProperties, Version, Will,
};

/// Writes packets.
///
/// ```
/// use jackfield_mqtt::codec::{Connect, Encoder, Packet, Version};
///
/// let connect = Connect::new(Version::V311, "lamp".parse()?);
/// let mut bytes = Vec::new();
/// Encoder::new(Version::V311).encode(&Packet::Connect(Box::new(connect)), &mut bytes)?;
/// assert_eq!(bytes, b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04lamp");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    version: Version,
    limit: u32,
}

impl Encoder {
    /// Writes packets of this version. CONNECT is written in its own.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            limit: MAX_PACKET,
        }
    }

    /// The same with the largest packet that is written, in bytes.
    #[must_use]
    pub fn with_limit(self, limit: u32) -> Self {
        Self {
            limit: limit.min(MAX_PACKET),
            ..self
        }
    }

    /// Appends a packet to `out`.
    ///
    /// # Errors
    /// Where the packet is too large, or holds what it can't in this version. Nothing is appended
    /// then.
    pub fn encode(&self, packet: &Packet, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match packet {
            Packet::Publish(publish) => self.publish(publish.as_ref(), out),
            _ => self.other::<true>(packet, out),
        }
    }

    /// The same for what a client sends. A program that is only a client, such as a page, needs no code
    /// for the rest.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and for a packet that only servers send.
    pub(crate) fn encode_of_client(
        self,
        packet: &Packet,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        match packet {
            Packet::Publish(publish) => self.publish(publish.as_ref(), out),
            _ => self.other::<false>(packet, out),
        }
    }

    /// Appends anything but a PUBLISH; apart from it, which is to be short. `ANY` is whether it may be
    /// one that only servers send.
    #[inline(never)]
    fn other<const ANY: bool>(self, packet: &Packet, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        check::<ANY>(packet, self.version)?;
        let (first, version) = match packet {
            Packet::Connect(connect) => (0x10, connect.version),
            Packet::ConnAck(_) => (0x20, self.version),
            Packet::Publish(_) => (0x30, self.version),
            Packet::PubAck(_) => (0x40, self.version),
            Packet::PubRec(_) => (0x50, self.version),
            Packet::PubRel(_) => (0x62, self.version),
            Packet::PubComp(_) => (0x70, self.version),
            Packet::Subscribe(_) => (0x82, self.version),
            Packet::SubAck(_) => (0x90, self.version),
            Packet::Unsubscribe(_) => (0xA2, self.version),
            Packet::UnsubAck(_) => (0xB0, self.version),
            Packet::PingReq => (0xC0, self.version),
            Packet::PingResp => (0xD0, self.version),
            Packet::Disconnect(_) => (0xE0, self.version),
            Packet::Auth(_) => (0xF0, self.version),
        };
        let start = out.len();
        out.u8(first);
        behind_length(out, |out| body::<ANY>(out, packet, version));
        if out.len() - start > self.limit as usize {
            out.truncate(start);
            return Err(EncodeError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    /// Appends a PUBLISH to `out`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[inline]
    pub(crate) fn publish(
        self,
        publish: PublishRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        publish.check(self.version)?;
        let properties = publish.properties.length(self.version);
        let length = publish.length(properties);
        out.reserve(self.total(length)?);
        // A few large pieces, not many small ones: this is the packet that counts.
        let first = publish.first_byte();
        let [high, low] = (publish.topic.len() as u16).to_be_bytes();
        if length < 0x80 {
            out.bytes(&[first, length as u8, high, low]);
        } else if length < 0x4000 {
            let [more, less] = [length as u8 | 0x80, (length >> 7) as u8];
            out.bytes(&[first, more, less, high, low]);
        } else {
            out.u8(first);
            out.variable(length);
            out.bytes(&[high, low]);
        }
        out.bytes(publish.topic);
        match (publish.packet_id, properties) {
            (Some(packet_id), Some(0)) => {
                let [high, low] = packet_id.get().to_be_bytes();
                out.bytes(&[high, low, 0]);
            }
            (packet_id, properties) => {
                if let Some(packet_id) = packet_id {
                    out.u16(packet_id.get());
                }
                if let Some(length) = properties {
                    out.variable(length);
                    publish.properties.write(out);
                }
            }
        }
        out.bytes(publish.payload);
        Ok(())
    }

    /// The length of the whole packet, if it may have that.
    #[inline]
    fn total(self, length: usize) -> Result<usize, EncodeError> {
        let total = 1 + variable_length(length) + length;
        if total > self.limit as usize {
            return Err(EncodeError::TooLarge { limit: self.limit });
        }
        Ok(total)
    }
}

/// A PUBLISH that borrows what it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishRef<'a> {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Empty where the alias stands for it.
    pub(crate) topic: &'a [u8],
    pub(crate) packet_id: Option<PacketId>,
    pub(crate) properties: PropertiesRef<'a>,
    pub(crate) payload: &'a [u8],
}

/// What is said in a PUBLISH between the packet identifier and the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PropertiesRef<'a> {
    pub(crate) topic_alias: Option<NonZeroU16>,
    pub(crate) subscription_ids: &'a [SubscriptionId],
    pub(crate) of_message: Option<&'a MessageProperties>,
}

impl Publish {
    #[inline]
    pub(crate) fn as_ref(&self) -> PublishRef<'_> {
        PublishRef {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.as_ref().map_or(&[], TopicName::as_bytes),
            packet_id: self.packet_id,
            properties: PropertiesRef {
                topic_alias: self.topic_alias,
                subscription_ids: &self.subscription_ids,
                of_message: self.properties.as_deref(),
            },
            payload: &self.payload,
        }
    }
}

impl PublishRef<'_> {
    /// How many bytes it takes.
    pub(crate) fn encoded_length(self, version: Version) -> usize {
        let length = self.length(self.properties.length(version));
        1 + variable_length(length) + length
    }

    #[inline]
    fn first_byte(self) -> u8 {
        0x30 | u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain)
    }

    #[inline]
    fn length(self, properties: Option<usize>) -> usize {
        let packet_id = if self.packet_id.is_some() { 2 } else { 0 };
        let properties = properties.map_or(0, |length| variable_length(length) + length);
        2 + self.topic.len() + packet_id + properties + self.payload.len()
    }

    #[inline]
    pub(crate) fn check(self, version: Version) -> Result<(), EncodeError> {
        if self.packet_id.is_some() == (self.qos == QoS::AtMostOnce) {
            return Err(invalid(
                "a message of QoS 0 has a packet identifier, or another has none",
            ));
        }
        if self.dup && self.packet_id.is_none() {
            return Err(invalid("a message of QoS 0 is marked as a duplicate"));
        }
        if self.topic.is_empty() && self.properties.topic_alias.is_none() {
            return Err(invalid("a message has neither topic nor topic alias"));
        }
        if version == Version::V311 && !self.properties.is_empty() {
            return Err(invalid("MQTT 3.1.1 has no properties"));
        }
        self.properties.of_message.map_or(Ok(()), check_message)
    }
}

impl PropertiesRef<'_> {
    #[inline]
    fn is_empty(self) -> bool {
        self.topic_alias.is_none()
            && self.subscription_ids.is_empty()
            && self.of_message.is_none_or(MessageProperties::is_empty)
    }

    /// How many bytes they take, behind that length; `None` where the version has no properties.
    #[inline]
    fn length(self, version: Version) -> Option<usize> {
        if version == Version::V311 {
            None
        } else if self.is_empty() {
            Some(0)
        } else {
            Some(self.count())
        }
    }

    /// Apart from the rest, which is short then.
    #[inline(never)]
    fn count(self) -> usize {
        let mut counter = Counter::default();
        self.write(&mut counter);
        counter.0
    }

    fn write<S: Sink>(self, sink: &mut S) {
        if let Some(alias) = self.topic_alias {
            sink.u8(id::TOPIC_ALIAS);
            sink.u16(alias.get());
        }
        for subscription in self.subscription_ids {
            sink.u8(id::SUBSCRIPTION_ID);
            sink.variable(subscription.get() as usize);
        }
        if let Some(properties) = self.of_message {
            write_message(sink, properties);
        }
    }
}

/// How many bytes a variable byte integer takes.
fn variable_length(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// What is written, behind its length: which is only known then.
fn behind_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    // Most are so short that one byte is enough.
    out.u8(0);
    write(out);
    let length = out.len() - at - 1;
    if length < 0x80
        && let Some(first) = out.get_mut(at)
    {
        *first = length as u8;
    } else {
        write_length(out, at, length);
    }
}

/// Writes a length of several bytes where there is one.
#[cold]
fn write_length(out: &mut Vec<u8>, at: usize, length: usize) {
    let mut bytes = Vec::new();
    bytes.variable(length);
    let end = out.len();
    out.resize(end + bytes.len() - 1, 0);
    out.copy_within(at + 1..end, at + bytes.len());
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(&bytes);
    }
}

/// Everything behind the packet's length. `ANY` as in [`Encoder::other`].
fn body<const ANY: bool>(out: &mut Vec<u8>, packet: &Packet, version: Version) {
    match packet {
        Packet::Connect(packet) => connect(out, packet),
        Packet::ConnAck(packet) if ANY => conn_ack(out, packet, version),
        Packet::PubAck(packet) | Packet::PubRec(packet) => pub_ack(out, packet),
        Packet::PubRel(packet) | Packet::PubComp(packet) => release(out, packet),
        Packet::Subscribe(packet) => subscribe(out, packet, version),
        Packet::SubAck(packet) if ANY => sub_ack(out, packet, version),
        Packet::Unsubscribe(packet) => unsubscribe(out, packet, version),
        Packet::UnsubAck(packet) if ANY => unsub_ack(out, packet, version),
        Packet::Disconnect(packet) => disconnect(out, packet),
        Packet::Auth(packet) => auth(out, packet),
        // PUBLISH is written by `Encoder::publish`, and the last three were refused before.
        Packet::Publish(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::ConnAck(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_) => {}
    }
}

fn connect(out: &mut Vec<u8>, packet: &Connect) {
    let v5 = packet.version == Version::V5;
    out.binary(b"MQTT");
    out.u8(packet.version as u8);
    let mut flags = u8::from(packet.clean_start) << 1
        | u8::from(packet.password.is_some()) << 6
        | u8::from(packet.username.is_some()) << 7;
    if let Some(will) = &packet.will {
        flags |= 4 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
    }
    out.u8(flags);
    out.u16(packet.keep_alive);
    if v5 {
        behind_length(out, |out| connect_properties(out, packet));
    }
    out.binary(packet.client_id.as_bytes());
    if let Some(will) = &packet.will {
        if v5 {
            behind_length(out, |out| will_properties(out, will));
        }
        out.binary(will.topic.as_bytes());
        out.binary(&will.payload);
    }
    if let Some(username) = &packet.username {
        out.binary(username.as_bytes());
    }
    if let Some(password) = &packet.password {
        out.binary(password.as_bytes());
    }
}

fn connect_properties(out: &mut Vec<u8>, packet: &Connect) {
    if let Some(seconds) = packet.session_expiry {
        out.u8(id::SESSION_EXPIRY);
        out.u32(seconds);
    }
    if let Some(maximum) = packet.receive_maximum {
        out.u8(id::RECEIVE_MAXIMUM);
        out.u16(maximum.get());
    }
    if let Some(maximum) = packet.maximum_packet_size {
        out.u8(id::MAXIMUM_PACKET_SIZE);
        out.u32(maximum.get());
    }
    if packet.topic_alias_maximum > 0 {
        out.u8(id::TOPIC_ALIAS_MAXIMUM);
        out.u16(packet.topic_alias_maximum);
    }
    if packet.request_response_information {
        out.u8(id::REQUEST_RESPONSE_INFORMATION);
        out.u8(1);
    }
    if !packet.request_problem_information {
        out.u8(id::REQUEST_PROBLEM_INFORMATION);
        out.u8(0);
    }
    write_authentication(out, packet.authentication.as_ref());
    write_user(out, &packet.user_properties);
}

fn will_properties(out: &mut Vec<u8>, will: &Will) {
    if will.delay > 0 {
        out.u8(id::WILL_DELAY);
        out.u32(will.delay);
    }
    write_message(out, &will.properties);
}

fn conn_ack(out: &mut Vec<u8>, packet: &ConnAck, version: Version) {
    out.u8(packet.session_present.into());
    if version == Version::V311 {
        out.u8(return_code(packet.reason).unwrap_or_default());
        return;
    }
    out.u8(packet.reason.code());
    behind_length(out, |out| conn_ack_properties(out, packet));
}

fn conn_ack_properties(out: &mut Vec<u8>, packet: &ConnAck) {
    if let Some(seconds) = packet.session_expiry {
        out.u8(id::SESSION_EXPIRY);
        out.u32(seconds);
    }
    if let Some(maximum) = packet.receive_maximum {
        out.u8(id::RECEIVE_MAXIMUM);
        out.u16(maximum.get());
    }
    if packet.maximum_qos < QoS::ExactlyOnce {
        out.u8(id::MAXIMUM_QOS);
        out.u8(packet.maximum_qos as u8);
    }
    if !packet.retain_available {
        out.u8(id::RETAIN_AVAILABLE);
        out.u8(0);
    }
    if let Some(maximum) = packet.maximum_packet_size {
        out.u8(id::MAXIMUM_PACKET_SIZE);
        out.u32(maximum.get());
    }
    write_text(
        out,
        id::ASSIGNED_CLIENT_ID,
        packet.assigned_client_id.as_ref(),
    );
    if packet.topic_alias_maximum > 0 {
        out.u8(id::TOPIC_ALIAS_MAXIMUM);
        out.u16(packet.topic_alias_maximum);
    }
    write_text(out, id::REASON_STRING, packet.reason_string.as_ref());
    for (id, available) in [
        (id::WILDCARD_SUBSCRIPTIONS, packet.wildcard_subscriptions),
        (id::SUBSCRIPTION_IDS, packet.subscription_ids),
        (id::SHARED_SUBSCRIPTIONS, packet.shared_subscriptions),
    ] {
        if !available {
            out.u8(id);
            out.u8(0);
        }
    }
    if let Some(seconds) = packet.server_keep_alive {
        out.u8(id::SERVER_KEEP_ALIVE);
        out.u16(seconds);
    }
    write_text(
        out,
        id::RESPONSE_INFORMATION,
        packet.response_information.as_ref(),
    );
    write_text(out, id::SERVER_REFERENCE, packet.server_reference.as_ref());
    write_authentication(out, packet.authentication.as_ref());
    write_user(out, &packet.user_properties);
}

fn pub_ack(out: &mut Vec<u8>, packet: &PubAck) {
    out.u16(packet.packet_id.get());
    let silent = packet.reason == PublishReason::Success;
    let words = (packet.reason_string.as_ref(), &packet.user_properties);
    short_words(out, packet.reason.code(), silent, words);
}

fn release(out: &mut Vec<u8>, packet: &Release) {
    out.u16(packet.packet_id.get());
    let silent = packet.reason == ReleaseReason::Success;
    let words = (packet.reason_string.as_ref(), &packet.user_properties);
    short_words(out, packet.reason.code(), silent, words);
}

/// A reason and its words, as far as there is something to say. On 3.1.1 there is not.
fn short_words(
    out: &mut Vec<u8>,
    code: u8,
    silent: bool,
    (reason_string, user_properties): (Option<&Text>, &UserProperties),
) {
    let wordless = reason_string.is_none() && user_properties.is_empty();
    if silent && wordless {
        return;
    }
    out.u8(code);
    if !wordless {
        words(out, reason_string, user_properties);
    }
}

fn words(out: &mut Vec<u8>, reason_string: Option<&Text>, user_properties: &UserProperties) {
    behind_length(out, |out| {
        write_text(out, id::REASON_STRING, reason_string);
        write_user(out, user_properties);
    });
}

fn subscribe(out: &mut Vec<u8>, packet: &Subscribe, version: Version) {
    out.u16(packet.packet_id.get());
    if version == Version::V5 {
        behind_length(out, |out| {
            if let Some(subscription) = packet.subscription_id {
                out.u8(id::SUBSCRIPTION_ID);
                out.variable(subscription.get() as usize);
            }
            write_user(out, &packet.user_properties);
        });
    }
    for (filter, options) in &packet.filters {
        out.binary(filter.as_bytes());
        out.u8(options.qos as u8
            | u8::from(options.no_local) << 2
            | u8::from(options.retain_as_published) << 3
            | (options.retain_handling as u8) << 4);
    }
}

fn sub_ack(out: &mut Vec<u8>, packet: &SubAck, version: Version) {
    out.u16(packet.packet_id.get());
    if version == Version::V5 {
        words(out, packet.reason_string.as_ref(), &packet.user_properties);
    }
    for reason in &packet.reasons {
        out.u8(reason.code());
    }
}

fn unsubscribe(out: &mut Vec<u8>, packet: &Unsubscribe, version: Version) {
    out.u16(packet.packet_id.get());
    if version == Version::V5 {
        words(out, None, &packet.user_properties);
    }
    for filter in &packet.filters {
        out.binary(filter.as_bytes());
    }
}

fn unsub_ack(out: &mut Vec<u8>, packet: &UnsubAck, version: Version) {
    out.u16(packet.packet_id.get());
    if version == Version::V5 {
        words(out, packet.reason_string.as_ref(), &packet.user_properties);
        for reason in &packet.reasons {
            out.u8(reason.code());
        }
    }
}

fn disconnect(out: &mut Vec<u8>, packet: &Disconnect) {
    let plain = packet.session_expiry.is_none()
        && packet.reason_string.is_none()
        && packet.user_properties.is_empty()
        && packet.server_reference.is_none();
    if plain && packet.reason == DisconnectReason::Success {
        return;
    }
    out.u8(packet.reason.code());
    if plain {
        return;
    }
    behind_length(out, |out| {
        if let Some(seconds) = packet.session_expiry {
            out.u8(id::SESSION_EXPIRY);
            out.u32(seconds);
        }
        write_text(out, id::REASON_STRING, packet.reason_string.as_ref());
        write_text(out, id::SERVER_REFERENCE, packet.server_reference.as_ref());
        write_user(out, &packet.user_properties);
    });
}

fn auth(out: &mut Vec<u8>, packet: &Auth) {
    if packet.authentication.is_none() {
        return;
    }
    out.u8(packet.reason.code());
    behind_length(out, |out| {
        write_authentication(out, packet.authentication.as_ref());
        write_text(out, id::REASON_STRING, packet.reason_string.as_ref());
        write_user(out, &packet.user_properties);
    });
}
