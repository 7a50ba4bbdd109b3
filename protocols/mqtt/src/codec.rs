//! Bytes ↔ types: the packets of MQTT 3.1.1 and MQTT 5.
//!
//! One set of types serves both versions: what only MQTT 5 has is `None`, empty or the default on
//! 3.1.1.

mod checks;
mod decode;
mod encode;
mod error;
mod packet;
mod properties;
mod qos;
mod read;
mod reason;
mod text;
mod topic;
mod version;
mod write;

use std::fmt;

pub use decode::Decoder;
pub use encode::Encoder;
pub(crate) use encode::{PropertiesRef, PublishRef};
pub use error::{DecodeError, EncodeError};
pub(crate) use packet::MAX_PACKET;
pub use packet::{
    Auth, Authentication, ConnAck, Connect, Disconnect, MessageProperties, NEVER_EXPIRES, Packet,
    PacketId, Password, PubAck, Publish, Release, RetainHandling, SubAck, Subscribe,
    SubscribeOptions, SubscriptionId, UnsubAck, Unsubscribe, UserProperties, Will,
};
pub use qos::QoS;
pub use reason::{
    AuthReason, ConnectReason, DisconnectReason, PublishReason, ReasonCode, ReleaseReason,
    SubscribeReason, UnsubscribeReason,
};
pub use text::Text;
pub use topic::{TopicFilter, TopicName};
pub use version::Version;

/// A value that can't be what it is meant to be; the text says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidValue(pub(crate) &'static str);

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidValue {}
