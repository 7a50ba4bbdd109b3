//! Options of the CoAP client, as a page passes them: `CoapOptions` and `CoapRequestOptions`.

use jackfield_coap::client::SecurityContext;
use jackfield_coap::codec::{Code, ContentFormat, Target};
use jackfield_coap::core::Request;
use jackfield_coap::oscore::Parameters;
use jackfield_socket::{Error, Result};
use jackfield_store::IndexedDbStore;
use js_sys::{Function, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::convert::{self, Options, invalid, socket_error};

const METHODS: [(&str, Code); 7] = [
    ("GET", Code::GET),
    ("POST", Code::POST),
    ("PUT", Code::PUT),
    ("DELETE", Code::DELETE),
    ("FETCH", Code::FETCH),
    ("PATCH", Code::PATCH),
    ("iPATCH", Code::IPATCH),
];

/// A page's function that is told how far a transfer is.
#[derive(Debug)]
pub(super) struct Progress(SendWrapper<Function>);

/// A request; with a payload, its format is among the options.
pub(super) fn request(
    method: &str,
    target: Target,
    payload: bool,
    options: &Options<'_>,
) -> Result<Request> {
    let code = METHODS.iter().find(|(name, _)| *name == method);
    let (_, code) = code.ok_or_else(|| invalid("method", "is not one of CoAP's"))?;
    let mut request = Request::new(*code, target).map_err(|error| invalid("path", error))?;
    if options.0.is_undefined() {
        if payload {
            request = request.with_payload([], ContentFormat::TEXT_PLAIN);
        }
        return Ok(request);
    }
    if payload {
        let format = format("format", options)?.unwrap_or(ContentFormat::TEXT_PLAIN);
        request = request.with_payload([], format);
    }
    if let Some(format) = format("accept", options)? {
        request = request.with_accept(format);
    }
    if let Some(etag) = options.bytes("ifMatch")? {
        let matched = request.with_if_match(&etag);
        request = matched.map_err(|error| invalid("ifMatch", error))?;
    }
    if options.flag("ifNoneMatch")?.unwrap_or(false) {
        let matched = request.with_if_none_match();
        request = matched.map_err(|error| invalid("ifNoneMatch", error))?;
    }
    if !options.flag("confirmable")?.unwrap_or(true) {
        request = request.non_confirmable();
    }
    Ok(request)
}

/// `progress`.
pub(super) fn progress(options: &Options<'_>) -> Result<Option<Progress>> {
    let function = function("progress", options)?;
    Ok(function.map(|function| Progress(SendWrapper::new(function))))
}

/// A page's function.
pub(super) fn function(name: &str, options: &Options<'_>) -> Result<Option<Function>> {
    if options.0.is_undefined() {
        return Ok(None);
    }
    let Some(value) = options.value(name)? else {
        return Ok(None);
    };
    let function = value.dyn_into();
    function
        .map(Some)
        .map_err(|_| invalid(name, "is no function"))
}

/// `aborted`, the promise that the package's scripts make of a signal.
pub(super) fn aborted(options: &Options<'_>) -> Result<Option<Promise>> {
    if options.0.is_undefined() {
        return Ok(None);
    }
    let aborted = options.value("aborted")?;
    Ok(aborted.map(|aborted| Promise::resolve(&aborted)))
}

/// `oscore`, with its numbers from the store.
pub(super) async fn oscore(options: &Options<'_>) -> Result<Option<SecurityContext>, JsValue> {
    let read = || {
        let Some(value) = options.value("oscore")? else {
            return Ok(None);
        };
        let options = Options(&value);
        Ok(Some((parameters(&options)?, options.required("store")?)))
    };
    let Some((parameters, store)) = read().map_err(|error| socket_error(&error))? else {
        return Ok(None);
    };
    let store = IndexedDbStore::open(store).await;
    let store = store.map_err(|error| convert::store_error(&error))?;
    let context = SecurityContext::open(&parameters, store).await;
    context
        .map(Some)
        .map_err(|error| convert::error("storage", &error))
}

fn parameters(options: &Options<'_>) -> Result<Parameters> {
    let needed = |name| {
        let bytes = options.bytes(name)?;
        bytes.ok_or_else(|| invalid(name, "is missing"))
    };
    let unfit = |error| invalid("oscore", format_args!("can't be used: {error}"));
    let parameters = Parameters::new(
        &needed("masterSecret")?,
        &needed("senderId")?,
        &needed("recipientId")?,
    );
    let mut parameters = parameters.map_err(|error| unfit(error.to_string()))?;
    if let Some(salt) = options.bytes("masterSalt")? {
        parameters = parameters.with_master_salt(&salt);
    }
    if let Some(context) = options.bytes("idContext")? {
        let with = parameters.with_id_context(&context);
        parameters = with.map_err(|error| unfit(error.to_string()))?;
    }
    Ok(parameters)
}

/// A Content-Format, by number or media type.
fn format(name: &str, options: &Options<'_>) -> Result<Option<ContentFormat>> {
    let Some(value) = options.value(name)? else {
        return Ok(None);
    };
    if let Some(text) = value.as_string() {
        let format = ContentFormat::from_media_type(&text);
        let unknown = || invalid(name, format_args!("has no number that is known: {text}"));
        return format.map(Some).ok_or_else(unknown);
    }
    match value.as_f64() {
        #[expect(clippy::cast_sign_loss, reason = "it was just seen to be in range")]
        Some(number) if number.fract() == 0.0 && (0.0..=65535.0).contains(&number) => {
            Ok(Some(ContentFormat(number as u16)))
        }
        _ => Err(wrong_format(name)),
    }
}

fn wrong_format(name: &str) -> Error {
    invalid(name, "is neither a media type nor a number from 0 to 65535")
}

impl Progress {
    pub(super) fn report(&self, done: u64, total: Option<u64>) {
        #[expect(clippy::cast_precision_loss, reason = "no body has 2^53 bytes")]
        let total = total.map_or(JsValue::NULL, |total| (total as f64).into());
        #[expect(clippy::cast_precision_loss, reason = "no body has 2^53 bytes")]
        let done = (done as f64).into();
        // What a page's function throws is the page's affair.
        let _ = self.0.call2(&JsValue::UNDEFINED, &done, &total);
    }
}
