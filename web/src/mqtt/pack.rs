//! Messages on their way into a page's script: many in one crossing.
//!
//! Each crossing, each string and each object that is made from here costs a page as much as the message itself, so
//! they cross together: all topics as one string, all payloads as one array of bytes, and numbers that say where each
//! of them ends. `lib/mqtt-pack.js` takes them apart.

use jackfield_mqtt::core::{Delivery, Message};
use js_sys::{Array, Float64Array, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::convert::{object, set};

/// What stands for no serial number.
const NO_SERIAL: f64 = -1.0;
/// The bits beside the QoS.
const RETAINED: u8 = 4;
const DUPLICATE: u8 = 8;

/// Messages, each by what most have; what few have goes beside them, as objects.
#[derive(Debug, Default)]
pub(super) struct Pack {
    topics: String,
    payloads: Vec<u8>,
    /// For each: the topic's length in UTF-16, the payload's, QoS and bits, the serial number.
    numbers: Vec<f64>,
    properties: Option<Array>,
}

impl Pack {
    /// One that was asked for, which is no delivery: its requester has taken it.
    pub(super) fn response(response: &Message) -> Array {
        let mut pack = Self::default();
        pack.add(response, false, None);
        pack.finish()
    }

    /// One that no subscription of the page takes, and so may be for one that an earlier page has made: with
    /// their numbers.
    pub(super) fn unexpected(delivery: &Delivery) -> Array {
        let mut pack = Self::default();
        pack.push(delivery);
        let numbers = delivery.subscription_ids.iter();
        let numbers: Array = numbers.map(|number| JsValue::from(number.get())).collect();
        let properties = pack.properties_of(0, &delivery.message);
        set(&properties, "subscriptionIdentifiers", numbers);
        pack.finish()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len() / 4
    }

    /// One more.
    pub(super) fn push(&mut self, delivery: &Delivery) {
        self.add(&delivery.message, delivery.dup, delivery.serial);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no session lives for 2^53 messages, and none has so many bytes"
    )]
    fn add(&mut self, message: &Message, dup: bool, serial: Option<u64>) {
        if has_properties(message) {
            self.properties_of(self.len(), message);
        }
        let topic = message.topic.as_str();
        let mut bits = message.qos as u8;
        if message.retain {
            bits |= RETAINED;
        }
        if dup {
            bits |= DUPLICATE;
        }
        self.topics.push_str(topic);
        self.payloads.extend_from_slice(&message.payload);
        self.numbers.extend([
            topic.encode_utf16().count() as f64,
            message.payload.len() as f64,
            f64::from(bits),
            serial.map_or(NO_SERIAL, |serial| serial as f64),
        ]);
    }

    /// The object with what few messages have, in the list of those.
    fn properties_of(&mut self, at: usize, message: &Message) -> Object {
        let all = self.properties.get_or_insert_with(Array::new);
        let made = properties(message);
        all.set(u32::try_from(at).unwrap_or(u32::MAX), made.clone().into());
        made
    }

    /// As `lib/mqtt-pack.js` takes it.
    pub(super) fn finish(self) -> Array {
        let pack = Array::of3(
            &self.topics.into(),
            &Uint8Array::from(&self.payloads[..]),
            &Float64Array::from(&self.numbers[..]),
        );
        if let Some(properties) = self.properties {
            pack.push(&properties);
        }
        pack
    }
}

fn has_properties(message: &Message) -> bool {
    let properties = &message.properties;
    !properties.user_properties.is_empty()
        || properties.content_type.is_some()
        || properties.response_topic.is_some()
        || properties.correlation_data.is_some()
}

fn properties(message: &Message) -> Object {
    let properties = &message.properties;
    let user: Array = properties
        .user_properties
        .iter()
        .map(|(name, value)| Array::of2(&name.as_str().into(), &value.as_str().into()))
        .collect();
    let made = object([("userProperties", user.into())]);
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
