//! Options of the MQTT client, as a page passes them: `MqttOptions` and those of its methods.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use jackfield_mqtt::client::{Acknowledge, ClientConfig};
use jackfield_mqtt::codec::{
    Authentication, MessageProperties, NEVER_EXPIRES, Password, QoS, RetainHandling,
    SubscribeOptions, Text, TopicFilter, TopicName, UserProperties, Version, Will,
};
use jackfield_mqtt::core::{CleanStart, ConnectOptions, Message, SubscribeRequest};
use jackfield_socket::{Error, Result};
use js_sys::{Function, Promise, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::convert::{Options, invalid, object};
use crate::running;

/// How long a broker keeps a session that is kept here too, in seconds: a day.
const KEPT: u32 = 24 * 60 * 60;

/// What `MqttOptions` say.
pub(super) struct Given {
    pub(super) config: ClientConfig,
    /// The name of the store, where there is to be one.
    pub(super) store: Option<String>,
    pub(super) authentication: Option<Authenticate>,
}

/// `MqttOptions`.
pub(super) fn config(options: &Options<'_>) -> Result<Given> {
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
    connect.user_properties = user_properties(options)?;
    let mut config = ClientConfig::new(connect);
    config.session.version = match options.text("version")?.as_deref() {
        None | Some("5") => Version::V5,
        Some("3.1.1") => Version::V311,
        Some(_) => return Err(invalid("version", "is neither 5 nor 3.1.1")),
    };
    let session = &mut config.session;
    if let Some(most) = options.number("receiveMaximum")? {
        let most = NonZeroU16::new(whole("receiveMaximum", most, u16::MAX.into())? as u16);
        session.receive_maximum = most.ok_or_else(|| zero("receiveMaximum"))?;
    }
    if let Some(most) = options.number("maximumPacketSize")? {
        let most = NonZeroU32::new(whole("maximumPacketSize", most, u32::MAX)?);
        session.maximum_packet_size = most.ok_or_else(|| zero("maximumPacketSize"))?;
    }
    if let Some(most) = options.number("topicAliasMaximum")? {
        session.topic_alias_maximum = whole("topicAliasMaximum", most, u16::MAX.into())? as u16;
    }
    if options.flag("manualAcknowledgement")?.unwrap_or(false) {
        config.acknowledge = Acknowledge::ByHand;
    }
    running::reconnect(options, &mut config.connection)?;
    let renew = function("renew", options)?;
    let authentication = Authenticate::read(options)?;
    if renew.is_some() || authentication.is_some() {
        config = renewing(config, renew, authentication.clone());
    }
    Ok(Given {
        config,
        store,
        authentication,
    })
}

fn function(name: &str, options: &Options<'_>) -> Result<Option<SendWrapper<Function>>> {
    let value = options.value(name)?.map(JsValue::dyn_into::<Function>);
    let value = value
        .transpose()
        .map_err(|_| invalid(name, "is no function"))?;
    // One thread runs a page's scripts; the client is told so.
    Ok(value.map(SendWrapper::new))
}

/// `authentication`: a method, and a page's function for its steps.
#[derive(Clone, Debug)]
pub(super) struct Authenticate {
    method: Text,
    step: SendWrapper<Function>,
}

impl Authenticate {
    fn read(options: &Options<'_>) -> Result<Option<Self>> {
        let Some(value) = options.value("authentication")? else {
            return Ok(None);
        };
        let options = Options(&value);
        let method = text("method", options.required("method")?)?;
        let step = function("step", &options)?.ok_or_else(|| invalid("step", "is missing"))?;
        Ok(Some(Self { method, step }))
    }

    /// What the page's function answers to the broker's data, or begins with where there are none.
    pub(super) async fn data(&self, heard: Option<&[u8]>) -> Result<Option<Bytes>, JsValue> {
        let heard = heard.map_or(JsValue::NULL, |heard| Uint8Array::from(heard).into());
        let asked = self.step.call1(&JsValue::UNDEFINED, &heard)?;
        let data = object([("data", JsFuture::from(Promise::resolve(&asked)).await?)]);
        let data = Options(&data).bytes("data");
        let data = data.map_err(|error| JsValue::from(error.to_string()))?;
        Ok(data.map(Bytes::from))
    }
}

/// A message to be published.
pub(super) fn message(topic: &str, payload: Vec<u8>, options: &Options<'_>) -> Result<Message> {
    let mut message = Message::new(name("topic", topic)?, payload);
    if options.0.is_undefined() {
        return Ok(message);
    }
    message.qos = qos(options)?.unwrap_or(QoS::AtMostOnce);
    message.retain = options.flag("retain")?.unwrap_or(false);
    message.properties = properties(options)?;
    Ok(message)
}

/// What a message and a will have beside their payload.
fn properties(options: &Options<'_>) -> Result<MessageProperties> {
    let mut properties = MessageProperties::default();
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
    properties.user_properties = user_properties(options)?;
    Ok(properties)
}

fn user_properties(options: &Options<'_>) -> Result<UserProperties> {
    const NAME: &str = "userProperties";
    let pairs = options.pairs(NAME)?.into_iter();
    pairs
        .map(|(key, value)| Ok((text(NAME, key)?, text(NAME, value)?)))
        .collect()
}

/// Filters, with what `MqttSubscribeOptions` says of all of them.
pub(super) fn subscribe(filters: Vec<String>, options: &Options<'_>) -> Result<SubscribeRequest> {
    let how = subscribe_options(options)?;
    let filters = filters.into_iter().map(|filter| {
        let filter = TopicFilter::new(filter);
        let filter =
            filter.map_err(|error| invalid("filter", format_args!("is not valid: {error}")));
        Ok((filter?, how))
    });
    let mut subscribe = SubscribeRequest::all(filters.collect::<Result<_>>()?);
    if !options.0.is_undefined() {
        subscribe.user_properties = user_properties(options)?;
    }
    Ok(subscribe)
}

fn subscribe_options(options: &Options<'_>) -> Result<SubscribeOptions> {
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

/// The same with a page's functions that are asked before each attempt: for credentials, and for what an
/// authentication begins with.
fn renewing(
    config: ClientConfig,
    renew: Option<SendWrapper<Function>>,
    authentication: Option<Authenticate>,
) -> ClientConfig {
    config.renew_with(move |_attempt, mut connect| {
        let (renew, authentication) = (renew.clone(), authentication.clone());
        SendWrapper::new(async move {
            let renewed = async {
                if let Some(renew) = renew {
                    let asked = renew.call0(&JsValue::UNDEFINED)?;
                    let renewed = JsFuture::from(Promise::resolve(&asked)).await?;
                    credentials(&mut connect, &Options(&renewed))
                        .map_err(|error| JsValue::from(error.to_string()))?;
                }
                if let Some(authentication) = authentication {
                    connect.authentication = Some(Authentication {
                        data: authentication.data(None).await?,
                        method: authentication.method,
                    });
                }
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

fn will(options: &Options<'_>) -> Result<Will> {
    let topic = name("will.topic", &options.required("topic")?)?;
    let mut will = Will::new(topic, options.bytes("payload")?.unwrap_or_default());
    will.qos = qos(options)?.unwrap_or(QoS::AtMostOnce);
    will.retain = options.flag("retain")?.unwrap_or(false);
    if let Some(seconds) = options.number("delay")? {
        will.delay = whole("will.delay", seconds, u32::MAX)?;
    }
    will.properties = properties(options)?;
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

fn zero(name: &str) -> Error {
    invalid(name, "is 0")
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
