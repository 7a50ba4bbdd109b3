//! Conversion between JavaScript and Rust: options come in, errors go out.

use std::cell::{OnceCell, RefCell};
use std::error::Error as StdError;

use jackfield_socket::sorted::SortedMap;
use jackfield_socket::{Error, ErrorKind, Place};
use js_sys::{Array, ArrayBuffer, Function, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};

/// The values of an object that a page passed, each checked.
#[derive(Debug)]
pub(crate) struct Options<'a>(pub(crate) &'a JsValue);

impl Options<'_> {
    /// A text, where it is given and not empty.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        match value.as_string() {
            Some(text) => Ok((!text.is_empty()).then_some(text)),
            None => Err(invalid(name, "is no string")),
        }
    }

    /// A text that must be given.
    pub(crate) fn required(&self, name: &str) -> Result<String, Error> {
        self.text(name)?.ok_or_else(|| invalid(name, "is missing"))
    }

    /// A switch.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => Err(invalid(name, "is neither true nor false")),
        }
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) if !number.is_nan() => Ok(Some(number)),
            _ => Err(invalid(name, "is no number")),
        }
    }

    /// Bytes, or a text as UTF-8.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        if let Some(text) = value.as_string() {
            return Ok(Some(text.into_bytes()));
        }
        if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
            return Ok(Some(bytes.to_vec()));
        }
        match value.dyn_ref::<ArrayBuffer>() {
            Some(buffer) => Ok(Some(Uint8Array::new(buffer).to_vec())),
            None => Err(invalid(name, "is neither a string nor a Uint8Array")),
        }
    }

    /// A list of pairs of texts.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(Vec::new());
        };
        let wrong = || invalid(name, "is no array of pairs of strings");
        let pair = |pair: JsValue| {
            let pair = pair.dyn_into::<Array>().map_err(|_| wrong())?;
            match (pair.get(0).as_string(), pair.get(1).as_string()) {
                (Some(key), Some(value)) => Ok((key, value)),
                _ => Err(wrong()),
            }
        };
        let pairs = value.dyn_into::<Array>().map_err(|_| wrong())?;
        pairs.iter().map(pair).collect()
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(Vec::new());
        };
        if !Array::is_array(&value) {
            return Err(invalid(name, "is no array"));
        }
        Array::from(&value)
            .iter()
            .map(|item| {
                item.as_string()
                    .ok_or_else(|| invalid(name, "holds something that is no string"))
            })
            .collect()
    }

    /// A list of anything.
    #[cfg(feature = "mail")]
    pub(crate) fn list(&self, name: &str) -> Result<Vec<JsValue>, Error> {
        let Some(value) = self.value(name)? else {
            return Ok(Vec::new());
        };
        if !Array::is_array(&value) {
            return Err(invalid(name, "is no array"));
        }
        Ok(Array::from(&value).iter().collect())
    }

    /// An object within the object.
    pub(crate) fn value(&self, name: &str) -> Result<Option<JsValue>, Error> {
        if !self.0.is_object() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the options are no object",
            ));
        }
        let value =
            Reflect::get(self.0, &named(name)).map_err(|_| invalid(name, "can't be read"))?;
        Ok((!value.is_undefined() && !value.is_null()).then_some(value))
    }
}

/// An option that can't be right.
pub(crate) fn invalid(name: &str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the option {name} {what}"))
}

/// A plain object.
pub(crate) fn object<const N: usize>(entries: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    for (name, value) in entries {
        set(&object, name, value);
    }
    object
}

/// Sets a property.
pub(crate) fn set(object: &Object, name: &str, value: impl Into<JsValue>) {
    // Only a frozen object or a setter that throws could refuse, and this one has just been made.
    let _ = Reflect::set(object, &named(name), &value.into());
}

/// The name of a property, as JavaScript has it.
fn named(name: &str) -> JsValue {
    let known = NAMES.with_borrow(|names| names.get(name).cloned());
    known.unwrap_or_else(|| {
        let made = JsValue::from_str(name);
        NAMES.with_borrow_mut(|names| {
            if names.len() < MAX_NAMES {
                names.insert(name.into(), made.clone());
            }
        });
        made
    })
}

/// How many names of properties are kept: more than the program has.
const MAX_NAMES: usize = 1000;

thread_local! {
    /// Names of properties: to make one of a text in WebAssembly takes longer than to set a property.
    static NAMES: RefCell<SortedMap<Box<str>, JsValue>> =
        const { RefCell::new(SortedMap::new()) };
    /// What makes errors, of a kind, a message, a place and a cause.
    static ERRORS: OnceCell<Function> = const { OnceCell::new() };
}

/// Takes the function that makes errors, so that they are of the class that pages import.
#[wasm_bindgen(js_name = "setErrors")]
pub fn set_errors(make: Function) {
    ERRORS.with(|errors| {
        // There is one class.
        let _ = errors.set(make);
    });
}

/// An error as pages get it: a `JackfieldError` with a kind, at the place where such a kind arises.
pub(crate) fn error(kind: &str, error: &(dyn StdError + 'static)) -> JsValue {
    make(kind, &JsValue::UNDEFINED, error)
}

/// An error as pages get it, which arose at this place.
pub(crate) fn error_at(kind: &str, place: Place, error: &(dyn StdError + 'static)) -> JsValue {
    make(kind, &self::place(place).into(), error)
}

/// A place, as `where` of errors has it.
pub(crate) fn place(place: Place) -> &'static str {
    match place {
        Place::Policy => "policy",
        Place::Relay => "relay",
        Place::Server => "server",
        _ => "page",
    }
}

fn make(kind: &str, place: &JsValue, error: &(dyn StdError + 'static)) -> JsValue {
    let message = with_causes(error);
    let made = ERRORS.with(|errors| {
        let arguments = Array::of4(&kind.into(), &message.as_str().into(), place, &cause(error));
        let made = errors.get()?.apply(&JsValue::UNDEFINED, &arguments);
        made.ok()?.dyn_into::<Object>().ok()
    });
    let made = made.unwrap_or_else(|| js_sys::Error::new(&message).into());
    #[cfg(feature = "sockets")]
    if let Some(refused) = jackfield_tls::CertificateError::find(error) {
        set(
            &made,
            "certificatePin",
            refused.certificate_pin().to_string(),
        );
        if let Some(pin) = refused.key_pin() {
            set(&made, "keyPin", pin.to_string());
        }
    }
    #[cfg(feature = "sockets")]
    if let Some(code) = jackfield_relay::Reason::find(error).and_then(relay_code) {
        set(&made, "relayCode", code);
    }
    made.into()
}

/// What a relay has refused, or why it has ended; `RelayCode` in the package's .d.ts lists them.
#[cfg(feature = "sockets")]
fn relay_code(reason: &jackfield_relay::Reason) -> Option<&'static str> {
    use jackfield_relay::Code;

    Some(match reason.code() {
        Code::DENIED => "policy",
        Code::LIMIT_EXCEEDED => "limit",
        Code::GOING_AWAY => "going-away",
        Code::ORIGIN_REFUSED => "origin-refused",
        Code::HOST_UNKNOWN => "host-unknown",
        Code::PATH_UNKNOWN => "path-unknown",
        Code::TOKEN_MISSING => "token-missing",
        Code::TOKEN_UNKNOWN => "token-unknown",
        Code::TOKEN_EXPIRED => "token-expired",
        Code::RELAY_FULL => "relay-full",
        Code::TOKEN_FULL => "token-full",
        _ => return None,
    })
}

/// What a function of the page threw, in the words that it is told in, as the cause of an error.
#[cfg(feature = "sockets")]
#[derive(Debug)]
pub(crate) struct Thrown {
    pub(crate) text: String,
    /// One thread runs a page's scripts; the network is told so.
    pub(crate) value: send_wrapper::SendWrapper<JsValue>,
}

#[cfg(feature = "sockets")]
impl std::fmt::Display for Thrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(feature = "sockets")]
impl StdError for Thrown {}

/// The cause of an error, with its own; undefined where there is none that says more.
fn cause(error: &(dyn StdError + 'static)) -> JsValue {
    let text = error.to_string();
    let mut next = error.source();
    while let Some(found) = next {
        #[cfg(feature = "sockets")]
        if let Some(thrown) = found.downcast_ref::<Thrown>() {
            return (*thrown.value).clone();
        }
        let more = found.to_string();
        if more != text {
            let made = js_sys::Error::new(&more);
            set(made.unchecked_ref(), "cause", cause(found));
            return made.into();
        }
        next = found.source();
    }
    JsValue::UNDEFINED
}

/// An error of the socket API, as pages get it.
pub(crate) fn socket_error(failed: &Error) -> JsValue {
    error_at(kind(failed.kind()), failed.place(), failed)
}

/// An error of a store, as pages get it.
#[cfg(any(feature = "coap", feature = "mqtt"))]
pub(crate) fn store_error(failed: &jackfield_store::Error) -> JsValue {
    let kind = match failed.kind() {
        jackfield_store::ErrorKind::InUse => "in-use",
        _ => "storage",
    };
    error(kind, failed)
}

/// What went wrong, and each cause behind it that adds something.
fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// The kinds' names; `ErrorKind` in the package's .d.ts lists them.
pub(crate) fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "invalid-input",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::HostNotFound => "host-not-found",
        ErrorKind::Refused => "refused",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Denied => "denied",
        ErrorKind::TimedOut => "timed-out",
        ErrorKind::Reset => "reset",
        ErrorKind::UnexpectedEof => "unexpected-eof",
        ErrorKind::Closed => "closed",
        ErrorKind::AddressInUse => "address-in-use",
        ErrorKind::AddressNotAvailable => "address-not-available",
        ErrorKind::LimitExceeded => "limit-exceeded",
        ErrorKind::Certificate => "certificate",
        ErrorKind::TlsRefused => "tls-refused",
        ErrorKind::Protocol => "protocol",
        _ => "other",
    }
}
