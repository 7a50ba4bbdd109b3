//! Packets, read (MQTT 5, section 2 and 3).

use bytes::{Buf, BytesMut};

use super::properties::{PartialAuthentication, PropertyReader, UNKNOWN_PROPERTY, id};
use super::read::{Reader, malformed, protocol_error, variable_byte_integer};
use super::{
    Auth, AuthReason, ConnAck, Connect, ConnectReason, DecodeError, Disconnect, DisconnectReason,
    Packet, Password, PubAck, Publish, PublishReason, QoS, ReasonCode, Release, ReleaseReason,
    RetainHandling, SubAck, Subscribe, SubscribeOptions, SubscribeReason, Text, TopicFilter,
    TopicName, UnsubAck, Unsubscribe, UnsubscribeReason, UserProperties, Version, Will,
};
use crate::codec::{MessageProperties, packet::MAX_PACKET};

/// Reads packets.
///
/// ```
/// use bytes::BytesMut;
/// use jackfield_mqtt::codec::{Decoder, Packet, Version};
///
/// let decoder = Decoder::new(Version::V5);
/// let mut bytes = BytesMut::from(&b"\x30\x08\x00\x03a/b\x00hi\xC0\x00\xC0"[..]);
/// let Some(Packet::Publish(publish)) = decoder.decode(&mut bytes)? else { panic!() };
/// assert_eq!(publish.topic.as_deref(), Some("a/b"));
/// assert_eq!(publish.payload, b"hi".as_slice());
/// assert_eq!(decoder.decode(&mut bytes)?, Some(Packet::PingReq));
/// assert_eq!(decoder.decode(&mut bytes)?, None);
/// # Ok::<(), jackfield_mqtt::codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    version: Version,
    limit: u32,
}

impl Decoder {
    /// Reads packets of this version. CONNECT is read whatever its version is.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            limit: MAX_PACKET,
        }
    }

    /// The same with the largest packet that is taken, in bytes.
    #[must_use]
    pub fn with_limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// Takes the first packet off the buffer; `None` while it is incomplete.
    ///
    /// What the packet carries shares the buffer's memory. Nothing is allocated for bytes that were
    /// only announced.
    ///
    /// # Errors
    /// Where the bytes are no packet; the buffer is then of no use any more. A packet that is too
    /// large is refused as soon as its length is known.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        self.take::<true>(buffer)
    }

    /// The same for what a server sends. A program that is only a client, such as a page, needs no code
    /// for the rest.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and for a packet that only clients send.
    pub(crate) fn decode_of_server(
        self,
        buffer: &mut BytesMut,
    ) -> Result<Option<Packet>, DecodeError> {
        self.take::<false>(buffer)
    }

    /// `ANY` is whether it may be a packet that only clients send.
    fn take<const ANY: bool>(self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some((&first, rest)) = buffer.split_first() else {
            return Ok(None);
        };
        check_flags(first)?;
        let Some((remaining, length_bytes)) = variable_byte_integer(rest, self.version)? else {
            return Ok(None);
        };
        let head = 1 + length_bytes;
        let total = head + remaining as usize;
        if total > self.limit as usize {
            return Err(DecodeError::new(
                ReasonCode::PacketTooLarge,
                "a packet is larger than allowed",
            ));
        }
        if buffer.len() < total {
            return Ok(None);
        }
        if remaining == 0 {
            // Nothing to share.
            buffer.advance(total);
            return self.empty(first).map(Some);
        }
        let packet = buffer.split_to(total).freeze();
        if first >> 4 == 3 {
            return self.publish(first, packet, head).map(Some);
        }
        let mut reader = Reader::new(&packet, head);
        let packet = self.body::<ANY>(first, &mut reader)?;
        reader.finish()?;
        Ok(Some(packet))
    }

    fn is_v5(self) -> bool {
        self.version == Version::V5
    }

    fn empty(self, first: u8) -> Result<Packet, DecodeError> {
        match first >> 4 {
            12 => Ok(Packet::PingReq),
            13 => Ok(Packet::PingResp),
            14 => Ok(Packet::Disconnect(Disconnect::new(
                DisconnectReason::Success,
            ))),
            15 if self.is_v5() => Ok(Packet::Auth(Box::new(Auth {
                reason: AuthReason::Success,
                authentication: None,
                reason_string: None,
                user_properties: Vec::new(),
            }))),
            _ => Err(malformed("a packet is shorter than what it holds")),
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what is made is large: it is to be made in place"
    )]
    fn publish(self, first: u8, packet: bytes::Bytes, head: usize) -> Result<Packet, DecodeError> {
        let dup = first & 8 != 0;
        let qos = QoS::from_u8(first >> 1 & 3).ok_or(malformed("a quality of service is 3"))?;
        if dup && qos == QoS::AtMostOnce {
            return Err(malformed("a message of QoS 0 is marked as a duplicate"));
        }
        let mut reader = Reader::new(&packet, head);
        let topic = reader.topic()?;
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(reader.packet_id()?),
        };
        let mut publish = Publish {
            dup,
            qos,
            retain: first & 1 != 0,
            topic,
            packet_id,
            topic_alias: None,
            subscription_ids: Vec::new(),
            properties: None,
            payload: bytes::Bytes::new(),
        };
        if self.is_v5() {
            read_publish_properties(&mut reader, &mut publish)?;
        }
        if publish.topic.is_none() && publish.topic_alias.is_none() {
            return Err(protocol_error(
                "a message has neither topic nor topic alias",
            ));
        }
        let payload = reader.position();
        publish.payload = packet;
        publish.payload.advance(payload);
        Ok(Packet::Publish(publish))
    }

    fn body<const ANY: bool>(
        self,
        first: u8,
        reader: &mut Reader<'_>,
    ) -> Result<Packet, DecodeError> {
        Ok(match first >> 4 {
            1 | 8 | 10 if !ANY => return Err(OF_CLIENTS),
            1 => Packet::Connect(Box::new(connect(reader)?)),
            2 => Packet::ConnAck(Box::new(self.conn_ack(reader)?)),
            4 => Packet::PubAck(self.pub_ack(reader)?),
            5 => Packet::PubRec(self.pub_ack(reader)?),
            6 => Packet::PubRel(self.release(reader)?),
            7 => Packet::PubComp(self.release(reader)?),
            8 => Packet::Subscribe(self.subscribe(reader)?),
            9 => Packet::SubAck(self.sub_ack(reader)?),
            10 => Packet::Unsubscribe(self.unsubscribe(reader)?),
            11 => Packet::UnsubAck(self.unsub_ack(reader)?),
            14 if self.is_v5() => Packet::Disconnect(disconnect(reader)?),
            15 if self.is_v5() => Packet::Auth(Box::new(auth(reader)?)),
            _ => return Err(malformed("a packet is longer than what it holds")),
        })
    }

    fn conn_ack(self, reader: &mut Reader<'_>) -> Result<ConnAck, DecodeError> {
        let session_present = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(malformed("reserved bits of CONNACK are set")),
        };
        let code = reader.u8()?;
        let reason = if self.is_v5() {
            ConnectReason::from_u8(code)
        } else {
            return_code(code)
        };
        let reason = reason.ok_or(UNKNOWN_REASON)?;
        let mut ack = ConnAck::new(session_present, reason);
        if session_present && reason.is_error() {
            return Err(protocol_error(
                "a session is present on a refused connection",
            ));
        }
        if self.is_v5() {
            read_conn_ack_properties(reader, &mut ack)?;
        }
        Ok(ack)
    }

    fn pub_ack(self, reader: &mut Reader<'_>) -> Result<PubAck, DecodeError> {
        let packet_id = reader.packet_id()?;
        let (reason, words) =
            self.reason(reader, PublishReason::from_u8, PublishReason::Success)?;
        Ok(PubAck {
            packet_id,
            reason,
            reason_string: words.reason_string,
            user_properties: words.user_properties,
        })
    }

    fn release(self, reader: &mut Reader<'_>) -> Result<Release, DecodeError> {
        let packet_id = reader.packet_id()?;
        let (reason, words) =
            self.reason(reader, ReleaseReason::from_u8, ReleaseReason::Success)?;
        Ok(Release {
            packet_id,
            reason,
            reason_string: words.reason_string,
            user_properties: words.user_properties,
        })
    }

    /// The reason and the properties of an acknowledgement, either of which may be left out.
    fn reason<R>(
        self,
        reader: &mut Reader<'_>,
        from_u8: impl Fn(u8) -> Option<R>,
        success: R,
    ) -> Result<(R, Words), DecodeError> {
        if !self.is_v5() || reader.is_empty() {
            return Ok((success, Words::default()));
        }
        let reason = from_u8(reader.u8()?).ok_or(UNKNOWN_REASON)?;
        if reader.is_empty() {
            return Ok((reason, Words::default()));
        }
        Ok((reason, words(reader)?))
    }

    fn subscribe(self, reader: &mut Reader<'_>) -> Result<Subscribe, DecodeError> {
        let mut subscribe = Subscribe {
            packet_id: reader.packet_id()?,
            filters: Vec::new(),
            subscription_id: None,
            user_properties: Vec::new(),
        };
        if self.is_v5() {
            let mut properties = PropertyReader::new(reader)?;
            while let Some(id) = properties.next()? {
                match id {
                    id::SUBSCRIPTION_ID => {
                        properties.once(id)?;
                        subscribe.subscription_id = Some(properties.subscription_id()?);
                    }
                    id::USER_PROPERTY => {
                        subscribe.user_properties.push(properties.user_property()?);
                    }
                    _ => return Err(UNKNOWN_PROPERTY),
                }
            }
        }
        while !reader.is_empty() {
            let filter = topic_filter(reader)?;
            let options = self.subscribe_options(reader.u8()?)?;
            if options.no_local && filter.share_name().is_some() {
                return Err(protocol_error(
                    "a shared subscription is marked as no local",
                ));
            }
            subscribe.filters.push((filter, options));
        }
        if subscribe.filters.is_empty() {
            return Err(protocol_error("a subscription has no topic filter"));
        }
        Ok(subscribe)
    }

    fn subscribe_options(self, byte: u8) -> Result<SubscribeOptions, DecodeError> {
        let reserved = if self.is_v5() { 0xC0 } else { 0xFC };
        if byte & reserved != 0 {
            return Err(malformed("reserved bits of a subscription are set"));
        }
        Ok(SubscribeOptions {
            // MQTT 5, section 3.8.3.1: a protocol error, where that of PUBLISH is malformed.
            qos: QoS::from_u8(byte & 3).ok_or(protocol_error("a quality of service is 3"))?,
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling: match byte >> 4 & 3 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(protocol_error("a retain handling is 3")),
            },
        })
    }

    fn sub_ack(self, reader: &mut Reader<'_>) -> Result<SubAck, DecodeError> {
        let packet_id = reader.packet_id()?;
        let words = self.words(reader)?;
        let mut reasons = Vec::with_capacity(reader.left());
        while !reader.is_empty() {
            let code = reader.u8()?;
            let reason = SubscribeReason::from_u8(code);
            // MQTT 3.1.1, section 3.9.3, has one failure.
            let known = reason.filter(|_| self.is_v5() || code <= 2 || code == 0x80);
            reasons.push(known.ok_or(UNKNOWN_REASON)?);
        }
        if reasons.is_empty() {
            return Err(protocol_error("a SUBACK has no reason code"));
        }
        Ok(SubAck {
            packet_id,
            reasons,
            reason_string: words.reason_string,
            user_properties: words.user_properties,
        })
    }

    fn unsubscribe(self, reader: &mut Reader<'_>) -> Result<Unsubscribe, DecodeError> {
        let mut unsubscribe = Unsubscribe {
            packet_id: reader.packet_id()?,
            filters: Vec::new(),
            user_properties: Vec::new(),
        };
        if self.is_v5() {
            let mut properties = PropertyReader::new(reader)?;
            while let Some(id) = properties.next()? {
                match id {
                    id::USER_PROPERTY => {
                        unsubscribe
                            .user_properties
                            .push(properties.user_property()?);
                    }
                    _ => return Err(UNKNOWN_PROPERTY),
                }
            }
        }
        while !reader.is_empty() {
            unsubscribe.filters.push(topic_filter(reader)?);
        }
        if unsubscribe.filters.is_empty() {
            return Err(protocol_error("an unsubscription has no topic filter"));
        }
        Ok(unsubscribe)
    }

    fn unsub_ack(self, reader: &mut Reader<'_>) -> Result<UnsubAck, DecodeError> {
        let packet_id = reader.packet_id()?;
        let words = self.words(reader)?;
        let mut reasons = Vec::new();
        if self.is_v5() {
            reasons.reserve_exact(reader.left());
            while !reader.is_empty() {
                reasons.push(UnsubscribeReason::from_u8(reader.u8()?).ok_or(UNKNOWN_REASON)?);
            }
            if reasons.is_empty() {
                return Err(protocol_error("an UNSUBACK has no reason code"));
            }
        }
        Ok(UnsubAck {
            packet_id,
            reasons,
            reason_string: words.reason_string,
            user_properties: words.user_properties,
        })
    }

    fn words(self, reader: &mut Reader<'_>) -> Result<Words, DecodeError> {
        if self.is_v5() {
            words(reader)
        } else {
            Ok(Words::default())
        }
    }
}

const OF_CLIENTS: DecodeError = protocol_error("a packet that only clients send");

const UNKNOWN_REASON: DecodeError = protocol_error("a reason code that this packet can't carry");

/// Only PUBLISH has flags; the others' four bits are fixed (MQTT 5, table 2-2).
fn check_flags(first: u8) -> Result<(), DecodeError> {
    let flags = first & 0x0F;
    let fixed = match first >> 4 {
        3 => return Ok(()),
        0 => return Err(malformed("packets of type 0 are reserved")),
        6 | 8 | 10 => 2,
        _ => 0,
    };
    if flags == fixed {
        Ok(())
    } else {
        Err(malformed("reserved flags of a packet are set"))
    }
}

/// MQTT 3.1.1, table 3.1: the same reasons under other numbers.
fn return_code(code: u8) -> Option<ConnectReason> {
    Some(match code {
        0 => ConnectReason::Success,
        1 => ConnectReason::UnsupportedProtocolVersion,
        2 => ConnectReason::ClientIdentifierNotValid,
        3 => ConnectReason::ServerUnavailable,
        4 => ConnectReason::BadUserNameOrPassword,
        5 => ConnectReason::NotAuthorized,
        _ => return None,
    })
}

impl Reader<'_> {
    /// A topic name; `None` where it is empty, for an alias to stand for it.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what is made is large: it is to be made in place"
    )]
    fn topic(&mut self) -> Result<Option<TopicName>, DecodeError> {
        let part = self.part()?;
        if part.is_empty() {
            return Ok(None);
        }
        TopicName::from_wire(self.packet(), part).map(Some)
    }
}

pub(super) const TOPIC_INVALID: DecodeError = DecodeError::new(
    ReasonCode::TopicNameInvalid,
    "a topic name is empty or holds a wildcard",
);

fn topic_filter(reader: &mut Reader<'_>) -> Result<TopicFilter, DecodeError> {
    TopicFilter::from_text(reader.text()?).map_err(|_| {
        DecodeError::new(
            ReasonCode::TopicFilterInvalid,
            "a topic filter is empty, or a wildcard is where none may be",
        )
    })
}

#[inline]
fn read_publish_properties(
    reader: &mut Reader<'_>,
    publish: &mut Publish,
) -> Result<(), DecodeError> {
    if reader.skip_zero() {
        return Ok(());
    }
    let mut properties = PropertyReader::new(reader)?;
    while let Some(id) = properties.next()? {
        match id {
            id::TOPIC_ALIAS => publish.topic_alias = Some(properties.topic_alias()?),
            id::SUBSCRIPTION_ID => publish.subscription_ids.push(properties.subscription_id()?),
            _ => {
                let of_message = publish.properties.get_or_insert_default();
                if !properties.message(id, of_message)? {
                    return Err(UNKNOWN_PROPERTY);
                }
            }
        }
    }
    Ok(())
}

fn connect(reader: &mut Reader<'_>) -> Result<Connect, DecodeError> {
    const UNSUPPORTED: DecodeError = DecodeError::new(
        ReasonCode::UnsupportedProtocolVersion,
        "a protocol other than MQTT 3.1.1 and 5",
    );
    if reader.binary()? != "MQTT" {
        return Err(UNSUPPORTED);
    }
    let version = match reader.u8()? {
        4 => Version::V311,
        5 => Version::V5,
        _ => return Err(UNSUPPORTED),
    };
    let flags = reader.u8()?;
    if flags & 1 != 0 {
        return Err(malformed("the reserved flag of CONNECT is set"));
    }
    let keep_alive = reader.u16()?;
    let mut connect = Connect::new(version, Text::default());
    connect.clean_start = flags & 2 != 0;
    connect.keep_alive = keep_alive;
    if version == Version::V5 {
        read_connect_properties(reader, &mut connect)?;
    }
    connect.client_id = reader.text()?;
    let will_qos = QoS::from_u8(flags >> 3 & 3).ok_or(malformed("a quality of service is 3"))?;
    let will_retain = flags & 0x20 != 0;
    if flags & 4 != 0 {
        connect.will = Some(will(reader, version, will_qos, will_retain)?);
    } else if will_qos != QoS::AtMostOnce || will_retain {
        return Err(malformed("CONNECT has flags of a will, but no will"));
    }
    let (has_username, has_password) = (flags & 0x80 != 0, flags & 0x40 != 0);
    if version == Version::V311 && has_password && !has_username {
        return Err(malformed("CONNECT has a password, but no user name"));
    }
    if has_username {
        connect.username = Some(reader.text()?);
    }
    if has_password {
        let password = Password::new(reader.binary()?);
        connect.password = Some(password.map_err(|_| malformed("a password is too long"))?);
    }
    Ok(connect)
}

fn will(
    reader: &mut Reader<'_>,
    version: Version,
    qos: QoS,
    retain: bool,
) -> Result<Will, DecodeError> {
    let mut delay = 0;
    let mut of_message = MessageProperties::default();
    if version == Version::V5 {
        let mut properties = PropertyReader::new(reader)?;
        while let Some(id) = properties.next()? {
            match id {
                id::WILL_DELAY => delay = properties.u32()?,
                _ if properties.message(id, &mut of_message)? => {}
                _ => return Err(UNKNOWN_PROPERTY),
            }
        }
    }
    let topic = reader.topic()?.ok_or(TOPIC_INVALID)?;
    let mut will = Will::new(topic, reader.binary()?);
    will.qos = qos;
    will.retain = retain;
    will.delay = delay;
    will.properties = of_message;
    Ok(will)
}

fn read_connect_properties(
    reader: &mut Reader<'_>,
    connect: &mut Connect,
) -> Result<(), DecodeError> {
    let mut properties = PropertyReader::new(reader)?;
    let mut authentication = PartialAuthentication::default();
    while let Some(id) = properties.next()? {
        match id {
            id::SESSION_EXPIRY => connect.session_expiry = Some(properties.u32()?),
            id::RECEIVE_MAXIMUM => connect.receive_maximum = Some(properties.non_zero_u16()?),
            id::MAXIMUM_PACKET_SIZE => {
                connect.maximum_packet_size = Some(properties.non_zero_u32()?);
            }
            id::TOPIC_ALIAS_MAXIMUM => connect.topic_alias_maximum = properties.u16()?,
            id::REQUEST_RESPONSE_INFORMATION => {
                connect.request_response_information = properties.bool()?;
            }
            id::REQUEST_PROBLEM_INFORMATION => {
                connect.request_problem_information = properties.bool()?;
            }
            id::USER_PROPERTY => connect.user_properties.push(properties.user_property()?),
            _ if properties.authentication(id, &mut authentication)? => {}
            _ => return Err(UNKNOWN_PROPERTY),
        }
    }
    connect.authentication = authentication.finish()?;
    Ok(())
}

fn read_conn_ack_properties(reader: &mut Reader<'_>, ack: &mut ConnAck) -> Result<(), DecodeError> {
    let mut properties = PropertyReader::new(reader)?;
    let mut authentication = PartialAuthentication::default();
    while let Some(id) = properties.next()? {
        match id {
            id::SESSION_EXPIRY => ack.session_expiry = Some(properties.u32()?),
            id::RECEIVE_MAXIMUM => ack.receive_maximum = Some(properties.non_zero_u16()?),
            id::MAXIMUM_QOS => {
                ack.maximum_qos = if properties.bool()? {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                }
            }
            id::RETAIN_AVAILABLE => ack.retain_available = properties.bool()?,
            id::MAXIMUM_PACKET_SIZE => ack.maximum_packet_size = Some(properties.non_zero_u32()?),
            id::ASSIGNED_CLIENT_ID => ack.assigned_client_id = Some(properties.text()?),
            id::TOPIC_ALIAS_MAXIMUM => ack.topic_alias_maximum = properties.u16()?,
            id::REASON_STRING => ack.reason_string = Some(properties.text()?),
            id::USER_PROPERTY => ack.user_properties.push(properties.user_property()?),
            id::WILDCARD_SUBSCRIPTIONS => ack.wildcard_subscriptions = properties.bool()?,
            id::SUBSCRIPTION_IDS => ack.subscription_ids = properties.bool()?,
            id::SHARED_SUBSCRIPTIONS => ack.shared_subscriptions = properties.bool()?,
            id::SERVER_KEEP_ALIVE => ack.server_keep_alive = Some(properties.u16()?),
            id::RESPONSE_INFORMATION => ack.response_information = Some(properties.text()?),
            id::SERVER_REFERENCE => ack.server_reference = Some(properties.text()?),
            _ if properties.authentication(id, &mut authentication)? => {}
            _ => return Err(UNKNOWN_PROPERTY),
        }
    }
    ack.authentication = authentication.finish()?;
    Ok(())
}

/// Reason string and user properties, which all acknowledgements have.
#[derive(Default)]
struct Words {
    reason_string: Option<Text>,
    user_properties: UserProperties,
}

fn words(reader: &mut Reader<'_>) -> Result<Words, DecodeError> {
    let mut words = Words::default();
    let mut properties = PropertyReader::new(reader)?;
    while let Some(id) = properties.next()? {
        match id {
            id::REASON_STRING => words.reason_string = Some(properties.text()?),
            id::USER_PROPERTY => words.user_properties.push(properties.user_property()?),
            _ => return Err(UNKNOWN_PROPERTY),
        }
    }
    Ok(words)
}

fn disconnect(reader: &mut Reader<'_>) -> Result<Disconnect, DecodeError> {
    let reason = DisconnectReason::from_u8(reader.u8()?).ok_or(UNKNOWN_REASON)?;
    let mut disconnect = Disconnect::new(reason);
    if reader.is_empty() {
        return Ok(disconnect);
    }
    let mut properties = PropertyReader::new(reader)?;
    while let Some(id) = properties.next()? {
        match id {
            id::SESSION_EXPIRY => disconnect.session_expiry = Some(properties.u32()?),
            id::REASON_STRING => disconnect.reason_string = Some(properties.text()?),
            id::SERVER_REFERENCE => disconnect.server_reference = Some(properties.text()?),
            id::USER_PROPERTY => disconnect.user_properties.push(properties.user_property()?),
            _ => return Err(UNKNOWN_PROPERTY),
        }
    }
    Ok(disconnect)
}

fn auth(reader: &mut Reader<'_>) -> Result<Auth, DecodeError> {
    let mut auth = Auth {
        reason: AuthReason::from_u8(reader.u8()?).ok_or(UNKNOWN_REASON)?,
        authentication: None,
        reason_string: None,
        user_properties: Vec::new(),
    };
    let mut authentication = PartialAuthentication::default();
    let mut properties = PropertyReader::new(reader)?;
    while let Some(id) = properties.next()? {
        match id {
            id::REASON_STRING => auth.reason_string = Some(properties.text()?),
            id::USER_PROPERTY => auth.user_properties.push(properties.user_property()?),
            _ if properties.authentication(id, &mut authentication)? => {}
            _ => return Err(UNKNOWN_PROPERTY),
        }
    }
    auth.authentication = authentication.finish()?;
    if auth.authentication.is_none() {
        return Err(protocol_error("an AUTH has no method"));
    }
    Ok(auth)
}
