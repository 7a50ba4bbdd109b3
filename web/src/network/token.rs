//! The token for the relay: a text, or the page's function that gives one.

use jackfield_relay::RelayConfig;
use jackfield_socket::{Error, ErrorKind, Place, Result};
use js_sys::{Function, Promise, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::convert::{Options, Thrown, invalid};

/// The configuration with the token that the page has given, if it has.
pub(super) fn given(options: &Options<'_>, config: RelayConfig) -> Result<RelayConfig> {
    let Some(token) = options.value("token")? else {
        return Ok(config);
    };
    if let Some(token) = token.as_string() {
        return match token.as_str() {
            "" => Ok(config),
            token => config.with_token(token),
        };
    }
    let ask = token
        .dyn_into::<Function>()
        .map_err(|_| invalid("token", "is neither a string nor a function"))?;
    // One thread runs a page's scripts; the network is told so.
    let ask = SendWrapper::new(ask);
    Ok(config.with_token_from(move || SendWrapper::new(asked((*ask).clone()))))
}

/// What the function gives, as `lib/token.js` has made it: a promise of a text, or of why there is none.
async fn asked(ask: Function) -> Result<String> {
    let promise = ask.call0(&JsValue::UNDEFINED);
    let given = match promise {
        Ok(promise) => JsFuture::from(Promise::resolve(&promise)).await,
        Err(thrown) => Err(thrown),
    };
    // It is one by then.
    given
        .map(|token| token.as_string().unwrap_or_default())
        .map_err(|thrown| failed(&thrown))
}

fn failed(error: &JsValue) -> Error {
    let field = |name: &str| Reflect::get(error, &name.into()).unwrap_or_default();
    let text = field("message").as_string().unwrap_or_default();
    let kind = match field("kind").as_string().as_deref() {
        Some("denied") => ErrorKind::Denied,
        Some("invalid-input") => return Error::new(ErrorKind::InvalidInput, text),
        _ => ErrorKind::Other,
    };
    let value = SendWrapper::new(field("cause"));
    // As the relay is whoever gave its token.
    Error::new(kind, text.clone())
        .at(Place::Relay)
        .with_source(Thrown { text, value })
}
