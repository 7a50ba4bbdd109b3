//! Packets and what they carry. What only MQTT 5 has is `None`, empty or the default on 3.1.1.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::{
    AuthReason, ConnectReason, DisconnectReason, InvalidValue, PublishReason, QoS, ReleaseReason,
    SubscribeReason, Text, TopicFilter, TopicName, UnsubscribeReason, Version,
};

/// A packet identifier: never 0 (MQTT 5, section 2.2.1).
pub type PacketId = NonZeroU16;

/// The largest packet that MQTT can carry, in bytes: 268,435,455 behind five bytes in front.
pub(crate) const MAX_PACKET: u32 = 268_435_455 + 5;

/// Any packet of MQTT 3.1.1 or 5.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// A client asks to be let in.
    Connect(Box<Connect>),
    /// The server's answer to that.
    ConnAck(Box<ConnAck>),
    /// A message.
    Publish(Publish),
    /// A message of QoS 1 has arrived.
    PubAck(PubAck),
    /// A message of QoS 2 has arrived.
    PubRec(PubAck),
    /// Its identifier may be forgotten.
    PubRel(Release),
    /// It was.
    PubComp(Release),
    /// A client asks for topics.
    Subscribe(Subscribe),
    /// The server's answer to that.
    SubAck(SubAck),
    /// A client wants topics no more.
    Unsubscribe(Unsubscribe),
    /// The server's answer to that.
    UnsubAck(UnsubAck),
    /// A client asks for a sign of life.
    PingReq,
    /// The server's answer to that.
    PingResp,
    /// Either side ends the connection.
    Disconnect(Disconnect),
    /// A step of an authentication (MQTT 5).
    Auth(Box<Auth>),
}

/// User properties: names and values, in order; a name may occur more than once.
pub type UserProperties = Vec<(Text, Text)>;

/// What is said about a message beside its topic and payload: of PUBLISH and of a will
/// (MQTT 5, sections 3.3.2.3 and 3.1.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MessageProperties {
    /// Whether the payload is text in UTF-8 (payload format indicator). `None` is not said.
    pub payload_is_text: Option<bool>,
    /// How long the message is worth delivering, in seconds.
    pub message_expiry: Option<u32>,
    /// What the payload is, such as a MIME type.
    pub content_type: Option<Text>,
    /// Where an answer is expected.
    pub response_topic: Option<TopicName>,
    /// What an answer has to repeat.
    pub correlation_data: Option<Bytes>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

impl MessageProperties {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.payload_is_text.is_none()
            && self.message_expiry.is_none()
            && self.content_type.is_none()
            && self.response_topic.is_none()
            && self.correlation_data.is_none()
            && self.user_properties.is_empty()
    }
}

/// The number that a subscription is given by its client: 1 to 268,435,455
/// (MQTT 5, section 3.8.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(NonZeroU32);

impl SubscriptionId {
    /// The largest.
    pub const MAX: u32 = 268_435_455;

    /// Checks a number.
    ///
    /// # Errors
    /// Where it is 0 or larger than [`MAX`](Self::MAX).
    pub fn new(number: u32) -> Result<Self, InvalidValue> {
        NonZeroU32::new(number)
            .filter(|number| number.get() <= Self::MAX)
            .map(Self)
            .ok_or(InvalidValue("a subscription identifier is 0 or too large"))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// PUBLISH (MQTT 5, section 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Whether it may have been sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// From a client: keep it for those who subscribe later. From a server: it was kept.
    pub retain: bool,
    /// The topic; `None` where the alias stands for it.
    pub topic: Option<TopicName>,
    /// The packet identifier; `None` with QoS 0.
    pub packet_id: Option<PacketId>,
    /// A number for the topic, which stands for it from then on.
    pub topic_alias: Option<NonZeroU16>,
    /// The subscriptions that a server sends it for.
    pub subscription_ids: Vec<SubscriptionId>,
    /// What else is said about the message. `None` for nothing, which is as much as empty ones.
    pub properties: Option<Box<MessageProperties>>,
    /// The application's bytes.
    pub payload: Bytes,
}

/// A message that a server publishes when the client is gone (MQTT 5, section 3.1.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Will {
    /// The topic.
    pub topic: TopicName,
    /// The application's bytes: at most 65,535.
    pub payload: Bytes,
    /// Quality of service. Default: QoS 0.
    pub qos: QoS,
    /// Whether it is kept for those who subscribe later.
    pub retain: bool,
    /// How long the server waits for the client to come back, in seconds (MQTT 5).
    pub delay: u32,
    /// What else is said about it (MQTT 5).
    pub properties: MessageProperties,
}

impl Will {
    /// A will of QoS 0.
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            delay: 0,
            properties: MessageProperties::default(),
        }
    }
}

/// A password: at most 65,535 bytes of any kind, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Bytes);

impl Password {
    /// Checks a password.
    ///
    /// # Errors
    /// Where it is longer than 65,535 bytes.
    pub fn new(password: impl Into<Bytes>) -> Result<Self, InvalidValue> {
        let password = password.into();
        if password.len() > usize::from(u16::MAX) {
            return Err(InvalidValue("a password is longer than 65,535 bytes"));
        }
        Ok(Self(password))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A session expiry that never comes (MQTT 5, section 3.1.2.11.2).
pub const NEVER_EXPIRES: u32 = u32::MAX;

/// CONNECT (MQTT 5, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The version spoken from here on.
    pub version: Version,
    /// The client's name; the server gives one where it is empty.
    pub client_id: Text,
    /// Whether to begin anew, whatever the server has kept (`Clean Session` in 3.1.1).
    pub clean_start: bool,
    /// The longest pause of the client, in seconds; 0 for any.
    pub keep_alive: u16,
    /// What is published when the client is gone.
    pub will: Option<Will>,
    /// The user's name.
    pub username: Option<Text>,
    /// The user's password. MQTT 3.1.1 has one only with a user name.
    pub password: Option<Password>,
    /// How long the server keeps the session after the connection, in seconds.
    pub session_expiry: Option<u32>,
    /// How many unacknowledged messages the client takes. Default: 65,535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The largest packet the client takes, in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The highest topic alias the client takes. Default: 0, for no aliases.
    pub topic_alias_maximum: u16,
    /// Whether the client wants response information in CONNACK. Default: it does not.
    pub request_response_information: bool,
    /// Whether the client takes reasons in words and user properties anywhere. Default: it does.
    pub request_problem_information: bool,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
    /// How to authenticate, beside user name and password.
    pub authentication: Option<Authentication>,
}

impl Connect {
    /// A CONNECT that begins anew, with the defaults.
    pub fn new(version: Version, client_id: Text) -> Self {
        Self {
            version,
            client_id,
            clean_start: true,
            keep_alive: 0,
            will: None,
            username: None,
            password: None,
            session_expiry: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            user_properties: Vec::new(),
            authentication: None,
        }
    }
}

/// Enhanced authentication (MQTT 5, section 4.12): a method and its data, which `Debug` doesn't show.
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// The method, such as `SCRAM-SHA-256`.
    pub method: Text,
    /// The method's data.
    pub data: Option<Bytes>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// CONNACK (MQTT 5, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the specification's")]
pub struct ConnAck {
    /// Whether the server has kept a session.
    pub session_present: bool,
    /// Whether the client is let in.
    pub reason: ConnectReason,
    /// How long the server keeps the session, where it is not what the client asked for.
    pub session_expiry: Option<u32>,
    /// How many unacknowledged messages the server takes. Default: 65,535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest quality of service the server takes.
    pub maximum_qos: QoS,
    /// Whether the server keeps retained messages.
    pub retain_available: bool,
    /// The largest packet the server takes, in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The client's name, where the server has given it.
    pub assigned_client_id: Option<Text>,
    /// The highest topic alias the server takes. Default: 0, for no aliases.
    pub topic_alias_maximum: u16,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
    /// Whether the server takes filters with wildcards.
    pub wildcard_subscriptions: bool,
    /// Whether the server takes subscription identifiers.
    pub subscription_ids: bool,
    /// Whether the server takes shared subscriptions.
    pub shared_subscriptions: bool,
    /// The keep-alive to use instead of the client's, in seconds.
    pub server_keep_alive: Option<u16>,
    /// What response topics may begin with.
    pub response_information: Option<Text>,
    /// Another server.
    pub server_reference: Option<Text>,
    /// The last step of an authentication.
    pub authentication: Option<Authentication>,
}

impl ConnAck {
    /// A CONNACK with the defaults.
    pub fn new(session_present: bool, reason: ConnectReason) -> Self {
        Self {
            session_present,
            reason,
            session_expiry: None,
            receive_maximum: None,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: 0,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscriptions: true,
            subscription_ids: true,
            shared_subscriptions: true,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication: None,
        }
    }
}

/// PUBACK or PUBREC (MQTT 5, sections 3.4 and 3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PubAck {
    /// Whose.
    pub packet_id: PacketId,
    /// What became of the message.
    pub reason: PublishReason,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// PUBREL or PUBCOMP (MQTT 5, sections 3.6 and 3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Whose.
    pub packet_id: PacketId,
    /// Whether the identifier was known.
    pub reason: ReleaseReason,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// When a server sends retained messages for a subscription (MQTT 5, section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each subscription.
    #[default]
    Send = 0,
    /// Where the subscription is new.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// How a filter is subscribed to (MQTT 5, section 3.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscribeOptions {
    /// The highest quality of service wanted. Default: QoS 2, each message as it was published.
    pub qos: QoS,
    /// Whether messages that this client publishes are kept from it (MQTT 5).
    pub no_local: bool,
    /// Whether a message says that it was published to be retained (MQTT 5).
    pub retain_as_published: bool,
    /// When retained messages are sent (MQTT 5).
    pub retain_handling: RetainHandling,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self::qos(QoS::ExactlyOnce)
    }
}

impl SubscribeOptions {
    /// As in SUBSCRIBE.
    pub(crate) const fn to_byte(self) -> u8 {
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }

    /// This quality of service, and the defaults.
    pub const fn qos(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }
}

/// SUBSCRIBE (MQTT 5, section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Whose.
    pub packet_id: PacketId,
    /// What is subscribed to: at least one filter.
    pub filters: Vec<(TopicFilter, SubscribeOptions)>,
    /// The number that messages will carry.
    pub subscription_id: Option<SubscriptionId>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// SUBACK (MQTT 5, section 3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// Whose.
    pub packet_id: PacketId,
    /// One for each filter, in order.
    pub reasons: Vec<SubscribeReason>,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// UNSUBSCRIBE (MQTT 5, section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Whose.
    pub packet_id: PacketId,
    /// What is not wanted any more: at least one filter.
    pub filters: Vec<TopicFilter>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// UNSUBACK (MQTT 5, section 3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// Whose.
    pub packet_id: PacketId,
    /// One for each filter, in order; empty on 3.1.1.
    pub reasons: Vec<UnsubscribeReason>,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// DISCONNECT (MQTT 5, section 3.14).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnect {
    /// Why.
    pub reason: DisconnectReason,
    /// How long the server keeps the session now, in seconds.
    pub session_expiry: Option<u32>,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
    /// Another server.
    pub server_reference: Option<Text>,
}

impl Disconnect {
    /// For this reason, with nothing else to say.
    pub fn new(reason: DisconnectReason) -> Self {
        Self {
            reason,
            session_expiry: None,
            reason_string: None,
            user_properties: Vec::new(),
            server_reference: None,
        }
    }
}

/// AUTH (MQTT 5, section 3.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Which step.
    pub reason: AuthReason,
    /// The method and its data. None only with [`AuthReason::Success`].
    pub authentication: Option<Authentication>,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}
