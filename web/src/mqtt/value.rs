//! Messages and answers as plain objects; the package's scripts give them their methods.

use std::fmt::Display;

use jackfield_mqtt::SessionError;
use jackfield_mqtt::codec::{ReasonCode, Text};
use jackfield_mqtt::core::{Delivery, Message};
use js_sys::{Array, Date, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::convert::{object, set};

/// `MqttReply`.
pub(super) fn reply(code: u8, name: &impl Display, text: Option<&Text>) -> Object {
    let reason = match text {
        Some(text) => format!("{name}: {text}"),
        None => name.to_string(),
    };
    object([("code", code.into()), ("reason", reason.into())])
}

/// `MqttMessage`, without its methods.
pub(super) fn delivery(delivery: &Delivery) -> Object {
    let made = message(&delivery.message);
    set(&made, "duplicate", delivery.dup);
    #[expect(
        clippy::cast_precision_loss,
        reason = "no session lives for 2^53 messages"
    )]
    let serial = delivery
        .serial
        .map_or(JsValue::NULL, |serial| (serial as f64).into());
    set(&made, "serial", serial);
    made
}

/// The same, for one that no subscription of the page takes, and so may be for one that an earlier page has
/// made: with their numbers.
pub(super) fn unexpected(delivery: &Delivery) -> Object {
    let made = self::delivery(delivery);
    let numbers = delivery.subscription_ids.iter();
    let numbers: Array = numbers.map(|number| JsValue::from(number.get())).collect();
    set(&made, "subscriptionIdentifiers", numbers);
    made
}

/// A response, which is no delivery: its requester has taken it.
pub(super) fn response(response: &Message) -> Object {
    let made = message(response);
    set(&made, "duplicate", false);
    set(&made, "serial", JsValue::NULL);
    made
}

fn message(message: &Message) -> Object {
    let properties = &message.properties;
    let user: Array = properties
        .user_properties
        .iter()
        .map(|(name, value)| Array::of2(&name.as_str().into(), &value.as_str().into()))
        .collect();
    let made = object([
        ("topic", message.topic.as_str().into()),
        ("payload", Uint8Array::from(&message.payload[..]).into()),
        ("qos", (message.qos as u8).into()),
        ("retained", message.retain.into()),
        ("userProperties", user.into()),
        ("time", Date::now().into()),
    ]);
    if let Some(kind) = &properties.content_type {
        set(&made, "contentType", kind.as_str());
    }
    if let Some(topic) = &properties.response_topic {
        set(&made, "responseTopic", topic.as_str());
    }
    if let Some(data) = &properties.correlation_data {
        set(&made, "correlationData", Uint8Array::from(&data[..]));
    }
    made
}

/// Why a session has ended, as `ErrorKind` has it.
pub(super) fn session_kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::Refused(refusal) | SessionError::DisconnectedByServer(refusal) => {
            match refusal.reason {
                ReasonCode::BadUserNameOrPassword
                | ReasonCode::NotAuthorized
                | ReasonCode::BadAuthenticationMethod => "authentication",
                ReasonCode::SessionTakenOver => "closed",
                _ => "other",
            }
        }
        SessionError::OlderServer { .. } => "unsupported",
        SessionError::Protocol { .. } => "protocol",
        SessionError::ConnectTimedOut | SessionError::PingTimedOut => "timed-out",
        SessionError::Ended | SessionError::Truncated => "unexpected-eof",
        SessionError::Store(_) => "storage",
        SessionError::NotRenewed(_) => "authentication",
        SessionError::Options(_) => "invalid-input",
        _ => "other",
    }
}
