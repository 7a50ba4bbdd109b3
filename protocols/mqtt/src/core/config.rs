//! Configuration of a session: what it is given when it is made.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use crate::codec::Version;

/// What holds for the whole session, over all its connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The version spoken. Default: 5.
    pub version: Version,
    /// Whether 3.1.1 is spoken from the next connection on where the server turns out not to know
    /// 5. What only 5 has is then refused as unsupported, and what waits with it fails. Default: no;
    /// such a server is given up with [`OlderServer`](crate::SessionError::OlderServer).
    pub fall_back_to_v311: bool,
    /// Whether the session is kept in a store: [`SessionEvent::Store`](super::SessionEvent::Store)
    /// then tells what to keep, and nothing that depends on it happens before
    /// [`Session::stored`](super::Session::stored). Default: no.
    pub durable: bool,
    /// How many messages of QoS 1 and 2 may be in flight to the server, where it doesn't allow
    /// fewer. Default: 1,000.
    pub in_flight: NonZeroU16,
    /// How many messages of QoS 1 and 2 the server may send before they are acknowledged
    /// (Receive Maximum). The server is asked to keep to it; one that sends more, as mosquitto 2.0
    /// does under load, is put up with. Default: 1,000.
    pub receive_maximum: NonZeroU16,
    /// The largest packet that the server may send, in bytes. Default: 1 MiB.
    pub maximum_packet_size: NonZeroU32,
    /// How many topic aliases the server may use. Default: 16.
    pub topic_alias_maximum: u16,
    /// How many topic aliases this side uses, where the server doesn't allow fewer. Default: 16.
    pub outgoing_topic_aliases: u16,
    /// Whether subscriptions are made again where the server has lost the session. Default: yes.
    pub resubscribe: bool,
    /// How long the server may take to answer CONNECT, each step of an authentication included.
    /// Default: 30 s.
    pub connect_timeout: Duration,
    /// How long the server may take to answer PINGREQ. Default: 20 s.
    pub ping_timeout: Duration,
    /// What happens to a message when the queue is full. Default: it is refused.
    pub when_full: QueuePolicy,
    /// How much is kept.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::V5,
            fall_back_to_v311: false,
            durable: false,
            in_flight: NonZeroU16::new(1000).unwrap_or(NonZeroU16::MIN),
            receive_maximum: NonZeroU16::new(1000).unwrap_or(NonZeroU16::MIN),
            maximum_packet_size: NonZeroU32::new(1 << 20).unwrap_or(NonZeroU32::MIN),
            topic_alias_maximum: 16,
            outgoing_topic_aliases: 16,
            resubscribe: true,
            connect_timeout: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
            when_full: QueuePolicy::RefuseNewest,
            limits: Limits::default(),
        }
    }
}

/// What happens to a message when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// It is refused with [`RequestError::QueueFull`](crate::RequestError::QueueFull).
    RefuseNewest,
    /// The oldest that has not been sent yet makes room, and completes with
    /// [`RequestError::Dropped`](crate::RequestError::Dropped).
    DropOldest,
}

/// How much a session keeps, whatever the server sends and the user asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages that wait to be sent or to be acknowledged. Default: 10,000.
    pub queue_capacity: usize,
    /// Bytes of those messages: topics, payloads and properties. Default: 16 MiB.
    pub max_queued_bytes: usize,
    /// Requests to subscribe or to unsubscribe that wait for an answer. Default: 100.
    pub request_capacity: usize,
    /// Subscriptions that are remembered, to be made again. Default: 1,000.
    pub max_subscriptions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_capacity: 10_000,
            max_queued_bytes: 16 << 20,
            request_capacity: 100,
            max_subscriptions: 1000,
        }
    }
}
