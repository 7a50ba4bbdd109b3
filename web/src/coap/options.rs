//! Options of the CoAP client, as a page passes them: `CoapOptions` and `CoapRequestOptions`.

use jackfield_coap::client::{ClientConfig, SecurityContext};
use jackfield_coap::codec::{BlockSize, Code, ContentFormat, OptionNumber, Scheme, Target, Uri};
use jackfield_coap::core::Request;
use jackfield_coap::oscore::Parameters;
use jackfield_socket::{Error, Result};
use jackfield_store::IndexedDbStore;
use js_sys::{Array, Function, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::convert::{self, Options, invalid, object, socket_error};

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
    payload: Option<Vec<u8>>,
    options: &Options<'_>,
) -> Result<Request> {
    let code = METHODS.iter().find(|(name, _)| *name == method);
    let (_, code) = code.ok_or_else(|| invalid("method", "is not one of CoAP's"))?;
    let mut request = Request::new(*code, target).map_err(|error| invalid("path", error))?;
    if options.0.is_undefined() {
        if let Some(payload) = payload {
            request = request.with_payload(payload, ContentFormat::TEXT_PLAIN);
        }
        return Ok(request);
    }
    if let Some(payload) = payload {
        let format = format("format", options)?.unwrap_or(ContentFormat::TEXT_PLAIN);
        request = request.with_payload(payload, format);
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
    if let Some(etag) = options.bytes("etag")? {
        let validating = request.with_etag(&etag);
        request = validating.map_err(|error| invalid("etag", error))?;
    }
    if let Some(hops) = options.number("hopLimit")? {
        let hops = whole("hopLimit", hops, 255)? as u8;
        let limited = request.with_hop_limit(hops);
        request = limited.map_err(|error| invalid("hopLimit", error))?;
    }
    if let Some(host) = options.text("uriHost")? {
        let named = request.with_uri_host(&host);
        request = named.map_err(|error| invalid("uriHost", error))?;
    }
    if let Some(uri) = options.text("proxyUri")? {
        let uri: Uri = uri.parse().map_err(|error| invalid("proxyUri", error))?;
        let forwarded = request.with_proxy_uri(&uri);
        request = forwarded.map_err(|error| invalid("proxyUri", error))?;
    }
    if let Some(scheme) = options.text("proxyScheme")? {
        let scheme: Scheme = scheme
            .parse()
            .map_err(|error| invalid("proxyScheme", error))?;
        let forwarded = request.with_proxy_scheme(scheme);
        request = forwarded.map_err(|error| invalid("proxyScheme", error))?;
    }
    if let Some(more) = options.value("options")? {
        for option in Array::from(&more) {
            let (number, value) = self::option(&option)?;
            let with = request.with_option(number, &value);
            request = with.map_err(|error| invalid("options", error))?;
        }
    }
    Ok(request)
}

/// A pair of an option's number and its value: text, bytes, or an unsigned integer.
fn option(pair: &JsValue) -> Result<(OptionNumber, Vec<u8>)> {
    const NAME: &str = "options";
    let pair = Array::from(pair);
    let number = pair.get(0).as_f64().unwrap_or(-1.0);
    let number = OptionNumber(whole("number of an option", number, u16::MAX.into())? as u16);
    let value = pair.get(1);
    if let Some(uint) = value.as_f64() {
        let uint = whole(NAME, uint, u32::MAX)?.to_be_bytes();
        // Without leading zeros (RFC 7252, section 3.2).
        let zeros = uint.iter().take_while(|byte| **byte == 0).count();
        return Ok((number, uint.into_iter().skip(zeros).collect()));
    }
    let value = object([(NAME, value)]);
    let value = Options(&value).bytes(NAME)?;
    value
        .map(|value| (number, value))
        .ok_or_else(|| invalid(NAME, "has one without a value"))
}

/// What `CoapOptions` say but for OSCORE.
pub(super) fn configure(config: &mut ClientConfig, options: &Options<'_>) -> Result<()> {
    if options.0.is_undefined() {
        return Ok(());
    }
    if let Some(bytes) = options.number("blockSize")? {
        let bytes = whole("blockSize", bytes, 1024)? as usize;
        let size = BlockSize::ALL
            .into_iter()
            .find(|size| size.bytes() == bytes);
        let wrong = || {
            invalid(
                "blockSize",
                "is not one of 16, 32, 64, 128, 256, 512 and 1024",
            )
        };
        config.block_size = size.ok_or_else(wrong)?;
    }
    if let Some(bytes) = options.number("maxCacheBytes")? {
        let bytes = whole("maxCacheBytes", bytes, u32::MAX)? as usize;
        config.requests.limits.max_cache_bytes = bytes;
    }
    Ok(())
}

fn whole(name: &str, number: f64, greatest: u32) -> Result<u32> {
    if number.fract() == 0.0 && (0.0..=f64::from(greatest)).contains(&number) {
        #[expect(clippy::cast_sign_loss, reason = "it was just seen to be in range")]
        return Ok(number as u32);
    }
    let what = format_args!("is no whole number from 0 to {greatest}");
    Err(invalid(name, what))
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
