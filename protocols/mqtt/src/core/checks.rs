//! Checks of what is to be sent, before a byte is: what the version lacks, what the server said
//! that it doesn't take, and what no packet can carry.

use super::request::CleanStart;
use super::session::Session;
use super::{ConnectOptions, Message, SubscribeRequest};
use crate::codec::{self, EncodeError, InvalidValue, QoS, SubscribeOptions, Version};
use crate::error::RequestError;

/// How long a server of MQTT 5 keeps the session unless it is told otherwise, in seconds.
const SESSION_EXPIRY: u32 = 300;

impl Session {
    pub(super) fn connect_packet(
        &self,
        connect: ConnectOptions,
    ) -> Result<codec::Connect, RequestError> {
        let version = self.config.version;
        let client_id = match &self.assigned_client_id {
            Some(assigned) if connect.client_id.is_empty() => assigned.clone(),
            _ => connect.client_id,
        };
        let mut clean_start = match connect.clean_start {
            CleanStart::IfNew => !self.resumable,
            CleanStart::Always => true,
            CleanStart::Never => false,
        };
        let v5 = version == Version::V5;
        let default_expiry = if v5 { SESSION_EXPIRY } else { 0 };
        let session_expiry = connect.session_expiry.unwrap_or(default_expiry);
        if !v5 {
            // `Clean Session` says both: to begin anew, and to keep nothing. What is to be kept can't
            // begin anew.
            let keep = session_expiry > 0 && !client_id.is_empty();
            clean_start = !keep || connect.clean_start == CleanStart::Always;
        }
        if !v5 && connect.request_response_information {
            return Err(RequestError::Unsupported(
                "response information on MQTT 3.1.1",
            ));
        }
        let mut packet = codec::Connect::new(version, client_id);
        packet.clean_start = clean_start;
        packet.keep_alive = connect.keep_alive;
        packet.will = connect.will;
        packet.username = connect.username;
        packet.password = connect.password;
        packet.user_properties = connect.user_properties;
        packet.authentication = connect.authentication;
        if v5 {
            let receive_maximum = self.config.receive_maximum;
            packet.session_expiry = (session_expiry > 0).then_some(session_expiry);
            packet.receive_maximum = (receive_maximum.get() < u16::MAX).then_some(receive_maximum);
            packet.maximum_packet_size = Some(self.config.maximum_packet_size);
            packet.topic_alias_maximum = self.config.topic_alias_maximum;
            packet.request_response_information = connect.request_response_information;
        }
        Ok(packet)
    }

    /// What this version, and the server as far as it is known, doesn't take.
    pub(super) fn check_message(&self, message: &Message) -> Result<(), RequestError> {
        let version = self.config.version;
        if version == Version::V311 && !message.properties.is_empty() {
            return Err(RequestError::Unsupported(
                "message properties on MQTT 3.1.1",
            ));
        }
        let id = (message.qos != QoS::AtMostOnce).then_some(codec::PacketId::MIN);
        let publish = message.publish(id, false);
        publish.check(version)?;
        let mut limit = codec::MAX_PACKET;
        if let Some(server) = self.server() {
            if message.qos > server.maximum_qos {
                return Err(RequestError::Unsupported(
                    "a quality of service that the server does not offer",
                ));
            }
            if message.retain && !server.retain_available {
                return Err(RequestError::Unsupported(
                    "retained messages, which the server does not keep",
                ));
            }
            limit = server.maximum_packet_size.unwrap_or(limit);
        }
        if publish.encoded_length(version) > limit as usize {
            return Err(RequestError::TooLarge { limit });
        }
        Ok(())
    }

    pub(super) fn check_subscribe(&self, subscribe: &SubscribeRequest) -> Result<(), RequestError> {
        if subscribe.filters.is_empty() {
            return Err(InvalidValue("a subscription has no topic filter").into());
        }
        let v311 = self.config.version == Version::V311;
        if v311 && !subscribe.user_properties.is_empty() {
            return Err(RequestError::Unsupported("properties on MQTT 3.1.1"));
        }
        for (filter, options) in &subscribe.filters {
            if v311 && *options != SubscribeOptions::qos(options.qos) {
                return Err(RequestError::Unsupported(
                    "subscription options but QoS on MQTT 3.1.1",
                ));
            }
            if options.no_local && filter.share_name().is_some() {
                return Err(InvalidValue("a shared subscription is marked as no local").into());
            }
            let Some(server) = self.server() else {
                continue;
            };
            if filter.has_wildcard() && !server.wildcard_subscriptions {
                return Err(RequestError::Unsupported(
                    "wildcards, which the server does not take",
                ));
            }
            if filter.share_name().is_some() && !server.shared_subscriptions {
                return Err(RequestError::Unsupported(
                    "shared subscriptions, which the server does not take",
                ));
            }
        }
        Ok(())
    }

    /// Whether the server takes the subscription's identifier.
    pub(super) fn check_number(&self, subscribe: &SubscribeRequest) -> Result<(), RequestError> {
        if self.config.version == Version::V311 && subscribe.subscription_id.is_some() {
            return Err(RequestError::Unsupported("properties on MQTT 3.1.1"));
        }
        match self.server() {
            Some(server) if subscribe.subscription_id.is_some() && !server.subscription_ids => {
                Err(RequestError::Unsupported(
                    "subscription identifiers, which the server does not take",
                ))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_pending(&self) -> Result<(), RequestError> {
        if self.subscriptions.waiting() >= self.config.limits.request_capacity {
            return Err(RequestError::QueueFull);
        }
        Ok(())
    }
}

impl From<EncodeError> for RequestError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TooLarge { limit } => Self::TooLarge { limit },
            EncodeError::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}
