//! Properties (MQTT 5, section 2.2.2): which there are, and how they are read and written.

use std::num::{NonZeroU16, NonZeroU32};

use super::read::{Reader, malformed, protocol_error};
use super::write::Sink;
use super::{
    Authentication, DecodeError, MessageProperties, ReasonCode, SubscriptionId, Text, TopicName,
    UserProperties,
};

/// Identifiers (MQTT 5, table 2-4).
pub(super) mod id {
    pub(in super::super) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(in super::super) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(in super::super) const CONTENT_TYPE: u8 = 0x03;
    pub(in super::super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(in super::super) const CORRELATION_DATA: u8 = 0x09;
    pub(in super::super) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(in super::super) const SESSION_EXPIRY: u8 = 0x11;
    pub(in super::super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(in super::super) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(in super::super) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(in super::super) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(in super::super) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(in super::super) const WILL_DELAY: u8 = 0x18;
    pub(in super::super) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(in super::super) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(in super::super) const SERVER_REFERENCE: u8 = 0x1C;
    pub(in super::super) const REASON_STRING: u8 = 0x1F;
    pub(in super::super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(in super::super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(in super::super) const TOPIC_ALIAS: u8 = 0x23;
    pub(in super::super) const MAXIMUM_QOS: u8 = 0x24;
    pub(in super::super) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(in super::super) const USER_PROPERTY: u8 = 0x26;
    pub(in super::super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(in super::super) const WILDCARD_SUBSCRIPTIONS: u8 = 0x28;
    pub(in super::super) const SUBSCRIPTION_IDS: u8 = 0x29;
    pub(in super::super) const SHARED_SUBSCRIPTIONS: u8 = 0x2A;
}

/// Reads a packet's properties, one after the other.
pub(super) struct PropertyReader<'a> {
    reader: Reader<'a>,
    /// Which have come: a bit for each identifier.
    seen: u64,
}

impl<'a> PropertyReader<'a> {
    /// Those that follow, behind their length.
    pub(super) fn new(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            reader: reader.section()?,
            seen: 0,
        })
    }

    /// The next one's identifier.
    pub(super) fn next(&mut self) -> Result<Option<u8>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        // A variable byte integer, but all that are defined take one byte.
        let id = self.reader.variable()?;
        let id = u8::try_from(id)
            .ok()
            .filter(|id| *id < 64)
            .ok_or(UNKNOWN_PROPERTY)?;
        // Whether a subscription identifier may be repeated depends on the packet.
        if id != id::USER_PROPERTY && id != id::SUBSCRIPTION_ID {
            self.once(id)?;
        }
        Ok(Some(id))
    }

    /// This property must not have come before.
    pub(super) fn once(&mut self, id: u8) -> Result<(), DecodeError> {
        let bit = 1 << (id & 63);
        if self.seen & bit != 0 {
            return Err(protocol_error("a property comes twice"));
        }
        self.seen |= bit;
        Ok(())
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(protocol_error("a property is neither 0 nor 1")),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.reader.u16()
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.reader.u32()
    }

    pub(super) fn non_zero_u16(&mut self) -> Result<NonZeroU16, DecodeError> {
        NonZeroU16::new(self.reader.u16()?).ok_or(protocol_error("a property is 0"))
    }

    pub(super) fn non_zero_u32(&mut self) -> Result<NonZeroU32, DecodeError> {
        NonZeroU32::new(self.reader.u32()?).ok_or(protocol_error("a property is 0"))
    }

    pub(super) fn topic_alias(&mut self) -> Result<NonZeroU16, DecodeError> {
        NonZeroU16::new(self.reader.u16()?).ok_or(DecodeError::new(
            ReasonCode::TopicAliasInvalid,
            "a topic alias is 0",
        ))
    }

    pub(super) fn subscription_id(&mut self) -> Result<SubscriptionId, DecodeError> {
        SubscriptionId::new(self.reader.variable()?)
            .map_err(|_| protocol_error("a subscription identifier is 0"))
    }

    pub(super) fn text(&mut self) -> Result<Text, DecodeError> {
        self.reader.text()
    }

    pub(super) fn user_property(&mut self) -> Result<(Text, Text), DecodeError> {
        Ok((self.reader.text()?, self.reader.text()?))
    }

    /// A property of a message; whether it was one.
    pub(super) fn message(
        &mut self,
        id: u8,
        properties: &mut MessageProperties,
    ) -> Result<bool, DecodeError> {
        match id {
            id::PAYLOAD_FORMAT => properties.payload_is_text = Some(self.bool()?),
            id::MESSAGE_EXPIRY => properties.message_expiry = Some(self.u32()?),
            id::CONTENT_TYPE => properties.content_type = Some(self.text()?),
            id::RESPONSE_TOPIC => {
                let topic = TopicName::from_text(self.text()?)
                    .map_err(|_| protocol_error("a response topic is no topic name"))?;
                properties.response_topic = Some(topic);
            }
            id::CORRELATION_DATA => properties.correlation_data = Some(self.reader.binary()?),
            id::USER_PROPERTY => properties.user_properties.push(self.user_property()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A property of an authentication; whether it was one.
    pub(super) fn authentication(
        &mut self,
        id: u8,
        authentication: &mut PartialAuthentication,
    ) -> Result<bool, DecodeError> {
        match id {
            id::AUTHENTICATION_METHOD => authentication.method = Some(self.text()?),
            id::AUTHENTICATION_DATA => authentication.data = Some(self.reader.binary()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// For an identifier that a packet can't carry.
pub(super) const UNKNOWN_PROPERTY: DecodeError =
    malformed("a packet holds a property that it can't have");

/// Method and data, as they come in.
#[derive(Default)]
pub(super) struct PartialAuthentication {
    method: Option<Text>,
    data: Option<bytes::Bytes>,
}

impl PartialAuthentication {
    pub(super) fn finish(self) -> Result<Option<Authentication>, DecodeError> {
        match (self.method, self.data) {
            (Some(method), data) => Ok(Some(Authentication { method, data })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(protocol_error("authentication data come without a method")),
        }
    }
}

pub(super) fn write_message<S: Sink>(sink: &mut S, properties: &MessageProperties) {
    if let Some(is_text) = properties.payload_is_text {
        sink.u8(id::PAYLOAD_FORMAT);
        sink.u8(is_text.into());
    }
    if let Some(seconds) = properties.message_expiry {
        sink.u8(id::MESSAGE_EXPIRY);
        sink.u32(seconds);
    }
    write_text(sink, id::CONTENT_TYPE, properties.content_type.as_ref());
    let topic = properties.response_topic.as_ref().map(TopicName::as_text);
    write_text(sink, id::RESPONSE_TOPIC, topic);
    if let Some(data) = &properties.correlation_data {
        sink.u8(id::CORRELATION_DATA);
        sink.binary(data);
    }
    write_user(sink, &properties.user_properties);
}

pub(super) fn write_text<S: Sink>(sink: &mut S, id: u8, text: Option<&Text>) {
    if let Some(text) = text {
        sink.u8(id);
        sink.binary(text.as_bytes());
    }
}

pub(super) fn write_user<S: Sink>(sink: &mut S, properties: &UserProperties) {
    for (name, value) in properties {
        sink.u8(id::USER_PROPERTY);
        sink.binary(name.as_bytes());
        sink.binary(value.as_bytes());
    }
}

pub(super) fn write_authentication<S: Sink>(sink: &mut S, authentication: Option<&Authentication>) {
    if let Some(authentication) = authentication {
        write_text(
            sink,
            id::AUTHENTICATION_METHOD,
            Some(&authentication.method),
        );
        if let Some(data) = &authentication.data {
            sink.u8(id::AUTHENTICATION_DATA);
            sink.binary(data);
        }
    }
}
