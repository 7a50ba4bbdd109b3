//! Options of the MQTT client, as a page passes them: `MqttOptions` and those of its methods.

use std::time::Duration;

use bytes::Bytes;
use jackfield_mqtt::client::{Acknowledge, ClientConfig, Reconnect};
use jackfield_mqtt::codec::{
    NEVER_EXPIRES, Password, QoS, RetainHandling, SubscribeOptions, Text, TopicName, Version, Will,
};
use jackfield_mqtt::core::{CleanStart, ConnectOptions, Message};
use jackfield_socket::{Error, Result};
use js_sys::{Function, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::convert::{Options, invalid};

/// How long a broker keeps a session that is kept here too, in seconds: a day.
const KEPT: u32 = 24 * 60 * 60;

/// `MqttOptions`, and the name of the store where there is to be one.
pub(super) fn config(options: &Options<'_>) -> Result<(ClientConfig, Option<String>)> {
    let store = options.text("store")?;
    let mut connect = ConnectOptions::new(match options.text("clientId")? {
        Some(name) => text("clientId", name)?,
        None => random_id()?,
    });
    credentials(&mut connect, options)?;
    connect.clean_start = match options.flag("cleanStart")? {
        None => CleanStart::IfNew,
        Some(true) => CleanStart::Always,
        Some(false) => CleanStart::Never,
    };
    connect.keep_alive = match options.number("keepAlive")? {
        Some(seconds) => whole("keepAlive", seconds, u16::MAX.into())? as u16,
        None => connect.keep_alive,
    };
    connect.session_expiry = match options.number("sessionExpiry")? {
        Some(f64::INFINITY) => Some(NEVER_EXPIRES),
        Some(seconds) => Some(whole("sessionExpiry", seconds, NEVER_EXPIRES - 1)?),
        None if store.is_some() => Some(KEPT),
        None => Some(0),
    };
    if let Some(will) = options.value("will")? {
        connect.will = Some(self::will(&Options(&will))?);
    }
    let mut config = ClientConfig::new(connect);
    config.session.version = match options.text("version")?.as_deref() {
        None | Some("5") => Version::V5,
        Some("3.1.1") => Version::V311,
        Some(_) => return Err(invalid("version", "is neither 5 nor 3.1.1")),
    };
    if options.flag("manualAcknowledgement")?.unwrap_or(false) {
        config.acknowledge = Acknowledge::ByHand;
    }
    if let Some(reconnect) = options.value("reconnect")? {
        config.connection.reconnect = Some(self::reconnect(&Options(&reconnect))?);
    }
    if let Some(renew) = options.value("renew")? {
        let renew = renew
            .dyn_into::<Function>()
            .map_err(|_| invalid("renew", "is no function"))?;
        config = renewing(config, renew);
    }
    Ok((config, store))
}

/// A message to be published.
pub(super) fn message(topic: &str, payload: Vec<u8>, options: &Options<'_>) -> Result<Message> {
    let mut message = Message::new(name("topic", topic)?, payload);
    if options.0.is_undefined() {
        return Ok(message);
    }
    message.qos = qos(options)?.unwrap_or(QoS::AtMostOnce);
    message.retain = options.flag("retain")?.unwrap_or(false);
    let properties = &mut message.properties;
    if let Some(seconds) = options.number("expiry")? {
        properties.message_expiry = Some(whole("expiry", seconds, u32::MAX)?);
    }
    if let Some(kind) = options.text("contentType")? {
        properties.content_type = Some(text("contentType", kind)?);
    }
    if let Some(topic) = options.text("responseTopic")? {
        properties.response_topic = Some(name("responseTopic", &topic)?);
    }
    properties.correlation_data = options.bytes("correlationData")?.map(Bytes::from);
    for (key, value) in options.pairs("userProperties")? {
        let pair = (text("userProperties", key)?, text("userProperties", value)?);
        properties.user_properties.push(pair);
    }
    Ok(message)
}

/// `MqttSubscribeOptions`.
pub(super) fn subscribe(options: &Options<'_>) -> Result<SubscribeOptions> {
    let mut subscribe = SubscribeOptions::qos(QoS::AtLeastOnce);
    if options.0.is_undefined() {
        return Ok(subscribe);
    }
    if let Some(level) = qos(options)? {
        subscribe.qos = level;
    }
    subscribe.no_local = options.flag("noLocal")?.unwrap_or(false);
    subscribe.retain_handling = match options.text("retained")?.as_deref() {
        None | Some("always") => RetainHandling::Send,
        Some("new") => RetainHandling::SendIfNew,
        Some("never") => RetainHandling::DoNotSend,
        Some(_) => return Err(invalid("retained", "is not one of always, new and never")),
    };
    Ok(subscribe)
}

/// The same with a page's function that renews the credentials.
fn renewing(config: ClientConfig, renew: Function) -> ClientConfig {
    // One thread runs a page's scripts; the client is told so.
    let renew = SendWrapper::new(renew);
    config.renew_with(move |_attempt, mut connect| {
        let asked = renew.call0(&JsValue::UNDEFINED);
        SendWrapper::new(async move {
            let renewed = async {
                let renewed = JsFuture::from(Promise::resolve(&asked?)).await?;
                credentials(&mut connect, &Options(&renewed))
                    .map_err(|error| JsValue::from(error.to_string()))?;
                Ok::<_, JsValue>(connect)
            };
            renewed.await.map_err(|error| said(&error).into())
        })
    })
}

/// What a page's function threw, as text.
fn said(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error.as_string().unwrap_or_default(),
    }
}

/// Those that are given; what was there before stays otherwise.
fn credentials(connect: &mut ConnectOptions, options: &Options<'_>) -> Result<()> {
    if let Some(username) = options.text("username")? {
        connect.username = Some(text("username", username)?);
    }
    if let Some(password) = options.bytes("password")? {
        let password = Password::new(password).map_err(|error| invalid("password", error))?;
        connect.password = Some(password);
    }
    Ok(())
}

fn reconnect(options: &Options<'_>) -> Result<Reconnect> {
    let mut reconnect = Reconnect::default();
    for (name, delay) in [
        ("first", &mut reconnect.first_delay),
        ("longest", &mut reconnect.longest_delay),
    ] {
        if let Some(given) = options.number(name)? {
            let given = whole(&format!("reconnect.{name}"), given, u32::MAX)?;
            *delay = Duration::from_millis(given.into());
        }
    }
    Ok(reconnect)
}

fn will(options: &Options<'_>) -> Result<Will> {
    let topic = name("will.topic", &options.required("topic")?)?;
    let mut will = Will::new(topic, options.bytes("payload")?.unwrap_or_default());
    will.qos = qos(options)?.unwrap_or(QoS::AtMostOnce);
    will.retain = options.flag("retain")?.unwrap_or(false);
    if let Some(seconds) = options.number("delay")? {
        will.delay = whole("will.delay", seconds, u32::MAX)?;
    }
    Ok(will)
}

fn qos(options: &Options<'_>) -> Result<Option<QoS>> {
    let Some(level) = options.number("qos")? else {
        return Ok(None);
    };
    match QoS::from_u8(whole("qos", level, 2)? as u8) {
        Some(level) => Ok(Some(level)),
        None => Err(invalid("qos", "is not one of 0, 1 and 2")),
    }
}

fn whole(name: &str, number: f64, greatest: u32) -> Result<u32> {
    if number.fract() == 0.0 && (0.0..=f64::from(greatest)).contains(&number) {
        #[expect(clippy::cast_sign_loss, reason = "it was just seen to be in range")]
        return Ok(number as u32);
    }
    Err(invalid(
        name,
        format_args!("is no whole number from 0 to {greatest}"),
    ))
}

fn name(option: &str, topic: &str) -> Result<TopicName> {
    TopicName::new(topic).map_err(|error| unfit(option, &error))
}

fn text(option: &str, text: String) -> Result<Text> {
    Text::new(text).map_err(|error| unfit(option, &error))
}

fn unfit(option: &str, error: &impl std::fmt::Display) -> Error {
    invalid(option, format_args!("can't be sent: {error}"))
}

/// A name that nobody else has: 23 letters and digits at the most, which every broker takes (MQTT
/// 3.1.1, section 3.1.3.1).
fn random_id() -> Result<Text> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| invalid("clientId", error))?;
    text(
        "clientId",
        format!("jackfield{:014x}", u64::from_be_bytes(random) >> 8),
    )
}
