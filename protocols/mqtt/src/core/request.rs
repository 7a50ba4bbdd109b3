//! Requests to a session: what it can be asked to do, and what comes of it.

use bytes::Bytes;

use crate::codec::{
    Authentication, MessageProperties, Password, PublishReason, QoS, SubscribeOptions,
    SubscribeReason, SubscriptionId, Text, TopicFilter, TopicName, UnsubscribeReason,
    UserProperties, Will,
};

/// Names a request within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) u64);

/// What one connection begins with. It may be another each time: renewed credentials, another will.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The client's name. Where it is empty, the one that the server assigned before is used, if
    /// there is one; otherwise the server is asked to give one.
    pub client_id: Text,
    /// Whether both sides forget the session first. Messages that have not been sent yet stay.
    /// Default: only where this session is new.
    pub clean_start: CleanStart,
    /// The longest pause of this side, in seconds; 0 for any. The server may choose another.
    /// Default: 60.
    pub keep_alive: u16,
    /// How long the server keeps the session after the connection, in seconds
    /// ([`NEVER_EXPIRES`](crate::codec::NEVER_EXPIRES) for ever).
    ///
    /// Default: `None`, which is 300 with MQTT 5, so that a connection that was cut can be resumed.
    /// With 3.1.1 it is 0: there a session either ends with its connection (`Clean Session`), or is
    /// kept until the server is told otherwise, which is for ever where this client does not come
    /// back. Anything from 1 on, with a name, asks for that.
    pub session_expiry: Option<u32>,
    /// What the server publishes when this client is gone.
    pub will: Option<Will>,
    /// The user's name.
    pub username: Option<Text>,
    /// The user's password.
    pub password: Option<Password>,
    /// Whether the server is asked for [`Server::response_information`](super::Server).
    pub request_response_information: bool,
    /// Whatever the applications agree on (MQTT 5).
    pub user_properties: UserProperties,
    /// How to authenticate, beside user name and password (MQTT 5).
    pub authentication: Option<Authentication>,
}

impl ConnectOptions {
    /// The defaults, with this name.
    pub fn new(client_id: Text) -> Self {
        Self {
            client_id,
            clean_start: CleanStart::IfNew,
            keep_alive: 60,
            session_expiry: None,
            will: None,
            username: None,
            password: None,
            request_response_information: false,
            user_properties: Vec::new(),
            authentication: None,
        }
    }
}

/// Whether a connection begins with a session that both sides know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CleanStart {
    /// The server is to forget what it has kept under this name where this session is new: neither
    /// restored from a store nor connected before. Otherwise the session goes on. On 3.1.1, where a
    /// session that is to last can't begin anew, this is [`Never`](Self::Never) where
    /// [`ConnectOptions::session_expiry`] asks for one.
    #[default]
    IfNew,
    /// Both sides forget the session. Messages that were in flight with QoS 2 fail with
    /// [`RequestError::SessionLost`](crate::RequestError::SessionLost).
    Always,
    /// What the server has kept goes on even where this session is new: a client that has no store
    /// gets what was sent to it while it was away. A message of QoS 2 that an earlier process had in
    /// flight to the server makes one of this process with the same packet identifier look like a
    /// duplicate, which is why [`IfNew`](Self::IfNew) is the default (MQTT-3.2.2-4).
    Never,
}

/// An application's message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The topic.
    pub topic: TopicName,
    /// The application's bytes.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// From here: keep it for those who subscribe later. To here: it was kept.
    pub retain: bool,
    /// What else is said about it (MQTT 5).
    pub properties: MessageProperties,
}

impl Message {
    /// A message of QoS 0.
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: MessageProperties::default(),
        }
    }

    /// The same with this quality of service.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The same, to be retained.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// The same as a request: who answers, answers there, and repeats the correlation data
    /// (MQTT 5, section 4.10).
    #[must_use]
    pub fn request(mut self, response_topic: TopicName, correlation_data: Option<Bytes>) -> Self {
        self.properties.response_topic = Some(response_topic);
        self.properties.correlation_data = correlation_data;
        self
    }

    /// The answer to this message, with its quality of service; `None` where it asks for none.
    pub fn response(&self, payload: impl Into<Bytes>) -> Option<Self> {
        let mut response = Self::new(self.properties.response_topic.clone()?, payload);
        response.qos = self.qos;
        let correlation_data = &self.properties.correlation_data;
        response
            .properties
            .correlation_data
            .clone_from(correlation_data);
        Some(response)
    }
}

/// Topics to be subscribed to together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// At least one filter.
    pub filters: Vec<(TopicFilter, SubscribeOptions)>,
    /// The number that their messages will carry (MQTT 5).
    pub subscription_id: Option<SubscriptionId>,
    /// Whatever the applications agree on (MQTT 5).
    pub user_properties: UserProperties,
}

impl SubscribeRequest {
    /// One filter.
    pub fn new(filter: TopicFilter, options: SubscribeOptions) -> Self {
        Self::all(vec![(filter, options)])
    }

    /// Several filters.
    pub fn all(filters: Vec<(TopicFilter, SubscribeOptions)>) -> Self {
        Self {
            filters,
            subscription_id: None,
            user_properties: Vec::new(),
        }
    }
}

/// Topics to be unsubscribed from together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsubscribeRequest {
    /// At least one filter.
    pub filters: Vec<TopicFilter>,
    /// Whatever the applications agree on (MQTT 5).
    pub user_properties: UserProperties,
}

impl UnsubscribeRequest {
    /// One filter.
    pub fn new(filter: TopicFilter) -> Self {
        Self::all(vec![filter])
    }

    /// Several filters.
    pub fn all(filters: Vec<TopicFilter>) -> Self {
        Self {
            filters,
            user_properties: Vec::new(),
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The message was sent (QoS 0), or the server has taken it.
    Published(Acknowledged),
    /// The server has answered the subscription.
    Subscribed(Subscribed),
    /// The server has answered the unsubscription.
    Unsubscribed(Unsubscribed),
    /// The authentication was renewed; the server's last data.
    Reauthenticated(Option<Bytes>),
}

/// How the server took a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledged {
    /// `Success`, or that nobody is subscribed. Always `Success` with QoS 0 and on 3.1.1.
    pub reason: PublishReason,
    /// The server's words; with QoS 2, its last ones.
    pub text: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// How the server took a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscribed {
    /// One for each filter, in order. Any of them may be a failure.
    pub reasons: Vec<SubscribeReason>,
    /// The server's words.
    pub text: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}

/// How the server took an unsubscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsubscribed {
    /// One for each filter, in order. On 3.1.1 all are `Success`.
    pub reasons: Vec<UnsubscribeReason>,
    /// The server's words.
    pub text: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}
