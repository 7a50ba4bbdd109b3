//! Events of a session: what it tells whoever drives it.

use std::time::Duration;

use jackfield_store::Batch;

use super::{Message, Reply, RequestId, StoreId};
use crate::codec::{
    Authentication, QoS, SubscribeReason, SubscriptionId, Text, TopicFilter, UserProperties,
};
use crate::error::RequestError;

/// What comes out of a [`Session`](super::Session).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Something happened.
    Event(Event),
    /// A request has its outcome.
    Completed(RequestId, Result<Reply, RequestError>),
    /// These changes are to be made durable, all or none; then
    /// [`Session::stored`](super::Session::stored) is to be called. Only with
    /// [`Config::durable`](super::Config::durable); one at a time.
    Store(StoreId, Batch),
    /// For 30 s, and again for each 30 s more, nothing was read ([`Core::set_reading`]) from the server.
    /// Whoever waits for an answer may be the one who should read what came before it; requests have
    /// no other time-out, since they outlive connections.
    ///
    /// [`Core::set_reading`]: jackfield_socket::driver::Core::set_reading
    Unread,
    /// DISCONNECT was sent: this side is done with the connection.
    Closed,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server has let the client in.
    Connected(Box<Server>),
    /// A message has come. With QoS 1 and 2 it is to be
    /// [acknowledged](super::Session::acknowledge).
    Message(Delivery),
    /// The server continues the authentication, which
    /// [`Session::authenticate`](super::Session::authenticate) is to answer.
    Challenge(Challenge),
    /// The server had lost the session, and did not take this subscription again.
    ResubscribeFailed {
        /// Which.
        filter: TopicFilter,
        /// Why.
        reason: SubscribeReason,
    },
}

/// A message that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Names the message within its session; `None` with QoS 0.
    ///
    /// It grows over the session's life, process restarts included where the session is
    /// [durable](super::Config::durable), and a message that comes again before it was acknowledged
    /// has the same. One process gets none twice.
    ///
    /// Messages of QoS 2 come in the order of their serials even after a restart: who stores, with
    /// what it makes of a message, the serial of the last one of QoS 2, and passes over those that
    /// are not larger, handles each once. A message of QoS 1 whose acknowledgement was lost comes
    /// again as a new one.
    pub serial: Option<u64>,
    /// Whether the server may have sent it before.
    pub dup: bool,
    /// The numbers of the subscriptions that it comes for (MQTT 5).
    pub subscription_ids: Vec<SubscriptionId>,
    /// The message.
    pub message: Message,
}

/// What the server said of itself when it let the client in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the specification's")]
pub struct Server {
    /// Whether it has kept the session.
    pub session_present: bool,
    /// The client's name, as given or assigned.
    pub client_id: Text,
    /// The keep-alive that is used; `None` where there is none.
    pub keep_alive: Option<Duration>,
    /// How long it keeps the session, in seconds.
    pub session_expiry: u32,
    /// How many unacknowledged messages it takes.
    pub receive_maximum: u16,
    /// The highest quality of service it takes.
    pub maximum_qos: QoS,
    /// Whether it keeps retained messages.
    pub retain_available: bool,
    /// The largest packet it takes, in bytes; `None` where it doesn't say.
    pub maximum_packet_size: Option<u32>,
    /// How many topic aliases it takes.
    pub topic_alias_maximum: u16,
    /// Whether it takes filters with wildcards.
    pub wildcard_subscriptions: bool,
    /// Whether it takes subscription identifiers.
    pub subscription_ids: bool,
    /// Whether it takes shared subscriptions.
    pub shared_subscriptions: bool,
    /// What response topics may begin with.
    pub response_information: Option<Text>,
    /// Its words.
    pub text: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
    /// The last step of an authentication, which may prove that the server is the right one.
    pub authentication: Option<Authentication>,
}

/// A step of an authentication that is to be answered (MQTT 5, section 4.12).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// The method and its data.
    pub authentication: Authentication,
    /// The server's words.
    pub text: Option<Text>,
    /// Whatever the applications agree on.
    pub user_properties: UserProperties,
}
