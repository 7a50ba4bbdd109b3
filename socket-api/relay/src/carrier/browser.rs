//! The page's own WebSocket.
//!
//! `WebSocketStream`, where the browser has it, stalls the relay when the page is slow, and the page
//! when the network is. The plain `WebSocket` does neither: what arrives is bounded by the credit
//! that was given, and by [`MAX_WAITING`] for a relay that doesn't keep to it; what is sent, by
//! looking at `bufferedAmount`.
//!
//! A page learns nothing of why a WebSocket did not open: the status of the handshake is hidden
//! from it. So the relay says what is wrong with a token in the WebSocket itself.

mod plain;
mod stream;

use bytes::BytesMut;
use jackfield_relay_wire::auth;
use jackfield_socket::{Error, ErrorKind, Result};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

use super::{Carrier, Connector};
use crate::RelayConfig;

/// How many bytes of messages may wait for the page's task before the WebSocket is given up: the
/// task takes them as soon as the event is over, so that only a flood comes near.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// Opens WebSockets in the page.
pub(crate) fn connector(config: &RelayConfig) -> Connector {
    let config = config.clone();
    Box::new(move || {
        let config = config.clone();
        Box::pin(SendWrapper::new(async move {
            let protocols = js_sys::Array::new();
            for protocol in config.subprotocols() {
                protocols.push(&protocol.into());
            }
            let carrier: Box<dyn Carrier> = if stream::exists() {
                Box::new(stream::open(&config.url.text, &protocols).await?)
            } else {
                Box::new(plain::open(&config.url.text, &protocols).await?)
            };
            Ok(carrier)
        }))
    })
}

/// The relay must have chosen this wire.
fn check_protocol(selected: &str) -> Result<()> {
    if selected == auth::SUBPROTOCOL {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Protocol,
        format!("what answers there does not speak {}", auth::SUBPROTOCOL),
    ))
}

/// A copy in JavaScript's memory: a view into ours may be overwritten before it is sent.
fn to_js(message: &BytesMut) -> js_sys::Uint8Array {
    js_sys::Uint8Array::from(message.as_ref())
}

fn not_opened() -> Error {
    Error::new(
        ErrorKind::Unreachable,
        "the WebSocket to the relay did not open: the relay is not there, or does not accept this \
         page's origin (a browser doesn't say which)",
    )
}

fn bad_address(error: &JsValue) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "the browser doesn't take the relay's address: {}",
            describe(error)
        ),
    )
}

fn closed(code: u16) -> Error {
    Error::new(
        ErrorKind::Reset,
        format!("the WebSocket to the relay was closed with code {code}"),
    )
}

fn not_binary() -> Error {
    Error::new(ErrorKind::Protocol, "the relay sent a text message")
}

/// The text of a JavaScript error.
fn describe(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}
