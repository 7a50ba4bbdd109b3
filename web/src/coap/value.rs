//! Answers and links as plain objects; the package's scripts give them their methods.

use jackfield_coap::RequestError;
use jackfield_coap::codec::Link;
use jackfield_coap::core::Response;
use js_sys::{Array, Date, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::convert::object;

/// `CoapResponse`, without its methods.
pub(super) fn response(response: &Response) -> Object {
    let code = response.code();
    let mut reason = code.name().unwrap_or_default().to_owned();
    if !code.is_success()
        && response.content_format().is_none()
        && let Some(text) = response.text().filter(|text| !text.is_empty())
    {
        reason.push_str(": ");
        reason.push_str(text);
    }
    let options = response.options().iter();
    let options = options
        .map(|(number, value)| Array::of2(&number.0.into(), &Uint8Array::from(value).into()))
        .collect::<Array>();
    let location = response.location().map(|location| location.to_string());
    object([
        ("ok", code.is_success().into()),
        ("code", code.to_string().into()),
        ("reason", reason.into()),
        ("payload", Uint8Array::from(&response.payload[..]).into()),
        (
            "format",
            or_null(response.content_format().map(|format| format.0)),
        ),
        ("maxAge", response.max_age().into()),
        ("etag", or_null(response.etag().map(Uint8Array::from))),
        ("location", or_null(location)),
        ("options", options.into()),
        ("time", Date::now().into()),
    ])
}

/// `CoapLink`.
pub(super) fn link(link: &Link) -> JsValue {
    let attributes: Array = link
        .attributes()
        .map(|(name, value)| Array::of2(&name.into(), &value.unwrap_or_default().into()))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "no resource has 2^53 bytes")]
    let size = link.size().map(|size| size as f64);
    object([
        ("href", link.target().into()),
        ("types", list(link.resource_types())),
        ("interfaces", list(link.interfaces())),
        ("formats", list(link.content_formats())),
        ("title", or_null(link.title())),
        ("observable", link.is_observable().into()),
        ("size", or_null(size)),
        ("attributes", attributes.into()),
    ])
    .into()
}

/// As `ErrorKind` has it.
pub(super) fn error_kind(error: &RequestError) -> &'static str {
    match error {
        RequestError::TimedOut => "timed-out",
        RequestError::Rejected
        | RequestError::Blocks(_)
        | RequestError::BadOption(_)
        | RequestError::BadLinks(_)
        | RequestError::Security(_) => "protocol",
        RequestError::NotConnected | RequestError::Closed => "closed",
        RequestError::ConnectionLost => "reset",
        RequestError::TooManyPending | RequestError::TooLarge { .. } => "limit-exceeded",
        RequestError::InvalidTarget(_)
        | RequestError::InvalidOption(_)
        | RequestError::InvalidRequest(_) => "invalid-input",
        RequestError::Unsendable(_) => "unreachable",
        _ => "other",
    }
}

fn list(items: impl Iterator<Item = impl Into<JsValue>>) -> JsValue {
    items.map(Into::into).collect::<Array>().into()
}

fn or_null(value: Option<impl Into<JsValue>>) -> JsValue {
    value.map_or(JsValue::NULL, Into::into)
}
