//! Checks before a packet is written: the types allow more than a packet, or a version of MQTT, can
//! carry.

use super::{
    Auth, AuthReason, Authentication, ConnAck, Connect, ConnectReason, Disconnect,
    DisconnectReason, EncodeError, InvalidValue, MessageProperties, Packet, PublishReason,
    ReleaseReason, SubscribeOptions, Text, UserProperties, Version,
};

/// Whether a packet can be written in this version; PUBLISH has a check of its own. `ANY` is whether it
/// may be one that only servers send.
pub(super) fn check<const ANY: bool>(packet: &Packet, version: Version) -> Result<(), EncodeError> {
    check_any::<ANY>(packet)?;
    // CONNECT is written in its own version.
    let version = match packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    match (version, packet) {
        (Version::V311, packet) => check_v311::<ANY>(packet),
        (Version::V5, Packet::UnsubAck(ack)) if ANY && ack.reasons.is_empty() => {
            Err(invalid("an UNSUBACK has no reason code"))
        }
        (Version::V5, _) => Ok(()),
    }
}

/// What neither version has.
fn check_any<const ANY: bool>(packet: &Packet) -> Result<(), EncodeError> {
    match packet {
        Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp if !ANY => {
            Err(invalid("a packet that only servers send"))
        }
        Packet::Connect(connect) => {
            if let Some(will) = &connect.will {
                check_binary(&will.payload, "a will is longer than 65,535 bytes")?;
                check_message(&will.properties)?;
            }
            check_authentication(connect.authentication.as_ref())
        }
        Packet::ConnAck(ack) if ANY && ack.session_present && ack.reason.is_error() => {
            Err(invalid("a session is present on a refused connection"))
        }
        Packet::ConnAck(ack) if ANY => check_authentication(ack.authentication.as_ref()),
        Packet::Subscribe(subscribe) => {
            if subscribe.filters.is_empty() {
                return Err(invalid("a subscription has no topic filter"));
            }
            let mut filters = subscribe.filters.iter();
            if filters.any(|(filter, options)| options.no_local && filter.share_name().is_some()) {
                return Err(invalid("a shared subscription is marked as no local"));
            }
            Ok(())
        }
        Packet::Unsubscribe(unsubscribe) if unsubscribe.filters.is_empty() => {
            Err(invalid("an unsubscription has no topic filter"))
        }
        Packet::SubAck(ack) if ANY && ack.reasons.is_empty() => {
            Err(invalid("a SUBACK has no reason code"))
        }
        Packet::Auth(auth) => check_auth(auth),
        _ => Ok(()),
    }
}

fn check_auth(auth: &Auth) -> Result<(), EncodeError> {
    let silent = auth.reason == AuthReason::Success
        && auth.reason_string.is_none()
        && auth.user_properties.is_empty();
    if auth.authentication.is_none() && !silent {
        return Err(invalid("an AUTH has no method"));
    }
    check_authentication(auth.authentication.as_ref())
}

/// What MQTT 3.1.1 lacks.
fn check_v311<const ANY: bool>(packet: &Packet) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => check_connect_v311(connect),
        Packet::ConnAck(ack) if ANY => {
            if return_code(ack.reason).is_none() {
                return Err(invalid("MQTT 3.1.1 has no return code for this reason"));
            }
            let plain = ConnAck::new(ack.session_present, ack.reason);
            unless(**ack == plain, NO_PROPERTIES)
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) => {
            let plain = ack.reason == PublishReason::Success;
            unless(plain, NO_REASONS)?;
            wordless(ack.reason_string.as_ref(), &ack.user_properties)
        }
        Packet::PubRel(release) | Packet::PubComp(release) => {
            let plain = release.reason == ReleaseReason::Success;
            unless(plain, NO_REASONS)?;
            wordless(release.reason_string.as_ref(), &release.user_properties)
        }
        Packet::Subscribe(subscribe) => {
            let mut options = subscribe.filters.iter().map(|(_, options)| options);
            let plain = options.all(|options| *options == SubscribeOptions::qos(options.qos));
            unless(plain, "MQTT 3.1.1 has no subscription options but QoS")?;
            unless(subscribe.subscription_id.is_none(), NO_PROPERTIES)?;
            wordless(None, &subscribe.user_properties)
        }
        Packet::SubAck(ack) if ANY => {
            let mut reasons = ack.reasons.iter();
            let known = reasons.all(|reason| reason.granted().is_some() || reason.code() == 0x80);
            unless(known, "MQTT 3.1.1 has no return code for this reason")?;
            wordless(ack.reason_string.as_ref(), &ack.user_properties)
        }
        Packet::Unsubscribe(unsubscribe) => wordless(None, &unsubscribe.user_properties),
        Packet::UnsubAck(ack) if ANY => {
            unless(ack.reasons.is_empty(), NO_REASONS)?;
            wordless(ack.reason_string.as_ref(), &ack.user_properties)
        }
        Packet::Disconnect(disconnect) => {
            let plain = Disconnect::new(DisconnectReason::Success);
            unless(*disconnect == plain, NO_REASONS)
        }
        Packet::Auth(_) => Err(invalid("MQTT 3.1.1 has no AUTH")),
        Packet::Publish(_)
        | Packet::PingReq
        | Packet::PingResp
        // Those three were refused before.
        | Packet::ConnAck(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_) => Ok(()),
    }
}

fn check_connect_v311(connect: &Connect) -> Result<(), EncodeError> {
    let has_name = connect.username.is_some() || connect.password.is_none();
    unless(has_name, "MQTT 3.1.1 has no password without a user name")?;
    let mut plain = Connect::new(Version::V311, connect.client_id.clone());
    plain.clean_start = connect.clean_start;
    plain.keep_alive = connect.keep_alive;
    plain.username.clone_from(&connect.username);
    plain.password.clone_from(&connect.password);
    plain.will.clone_from(&connect.will);
    let will = plain.will.as_ref();
    let plain_will = will.is_none_or(|will| will.delay == 0 && will.properties.is_empty());
    unless(plain == *connect && plain_will, NO_PROPERTIES)
}

const NO_PROPERTIES: &str = "MQTT 3.1.1 has no properties";
const NO_REASONS: &str = "MQTT 3.1.1 has neither reasons nor properties";

fn wordless(reason: Option<&Text>, user_properties: &UserProperties) -> Result<(), EncodeError> {
    unless(reason.is_none() && user_properties.is_empty(), NO_REASONS)
}

fn unless(fine: bool, text: &'static str) -> Result<(), EncodeError> {
    if fine { Ok(()) } else { Err(invalid(text)) }
}

fn check_authentication(authentication: Option<&Authentication>) -> Result<(), EncodeError> {
    match authentication.and_then(|authentication| authentication.data.as_ref()) {
        Some(data) => check_binary(data, "authentication data are longer than 65,535 bytes"),
        None => Ok(()),
    }
}

#[inline]
pub(super) fn check_message(properties: &MessageProperties) -> Result<(), EncodeError> {
    match &properties.correlation_data {
        Some(data) => check_binary(data, "correlation data are longer than 65,535 bytes"),
        None => Ok(()),
    }
}

fn check_binary(bytes: &[u8], text: &'static str) -> Result<(), EncodeError> {
    unless(u16::try_from(bytes.len()).is_ok(), text)
}

pub(super) fn invalid(text: &'static str) -> EncodeError {
    EncodeError::Invalid(InvalidValue(text))
}

/// MQTT 3.1.1, table 3.1.
pub(super) fn return_code(reason: ConnectReason) -> Option<u8> {
    Some(match reason {
        ConnectReason::Success => 0,
        ConnectReason::UnsupportedProtocolVersion => 1,
        ConnectReason::ClientIdentifierNotValid => 2,
        ConnectReason::ServerUnavailable => 3,
        ConnectReason::BadUserNameOrPassword => 4,
        ConnectReason::NotAuthorized => 5,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{PacketId, SubAck, SubscribeReason, UnsubAck, UnsubscribeReason, Will};

    /// What is refused in both, and what on MQTT 3.1.1 only.
    #[test]
    fn what_a_packet_can_not_hold_is_refused() {
        let refused = |packet: &Packet, version| {
            let mut out = Vec::new();
            let refused = crate::codec::Encoder::new(version)
                .encode(packet, &mut out)
                .is_err();
            assert_eq!(out.is_empty(), refused, "half a packet: {packet:?}");
            refused
        };
        let mut ack = ConnAck::new(false, ConnectReason::Success);
        assert!(!refused(
            &Packet::ConnAck(Box::new(ack.clone())),
            Version::V311
        ));
        ack.server_keep_alive = Some(10);
        let ack = Packet::ConnAck(Box::new(ack));
        assert!(refused(&ack, Version::V311) && !refused(&ack, Version::V5));
        let banned = ConnAck::new(false, ConnectReason::Banned);
        let banned = Packet::ConnAck(Box::new(banned));
        assert!(refused(&banned, Version::V311) && !refused(&banned, Version::V5));
        let present = ConnAck::new(true, ConnectReason::Banned);
        assert!(refused(&Packet::ConnAck(Box::new(present)), Version::V5));

        let unsub_ack = |reasons| {
            Packet::UnsubAck(UnsubAck {
                packet_id: PacketId::MIN,
                reasons,
                reason_string: None,
                user_properties: Vec::new(),
            })
        };
        let (bare, full) = (
            unsub_ack(Vec::new()),
            unsub_ack(vec![UnsubscribeReason::Success]),
        );
        assert!(refused(&bare, Version::V5) && !refused(&bare, Version::V311));
        assert!(refused(&full, Version::V311) && !refused(&full, Version::V5));

        let sub_ack = |reasons| {
            Packet::SubAck(SubAck {
                packet_id: PacketId::MIN,
                reasons,
                reason_string: None,
                user_properties: Vec::new(),
            })
        };
        let denied = sub_ack(vec![SubscribeReason::NotAuthorized]);
        assert!(refused(&denied, Version::V311) && !refused(&denied, Version::V5));
        assert!(refused(&sub_ack(Vec::new()), Version::V5));

        let topic = || "last/words".parse().expect("a topic");
        let with_will = |version, length| {
            let mut connect = Connect::new(version, Text::default());
            connect.will = Some(Will::new(topic(), vec![0; length]));
            Packet::Connect(Box::new(connect))
        };
        assert!(refused(&with_will(Version::V5, 65_536), Version::V5));
        assert!(!refused(&with_will(Version::V5, 65_535), Version::V5));
        // CONNECT is written in its own version, whatever is spoken.
        assert!(!refused(&with_will(Version::V311, 1), Version::V5));
    }
}
