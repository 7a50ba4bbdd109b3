//! A running client: its connection, and what of it the page learns.

use std::future::Future;

use jackfield_client::ConnectionError;
use js_sys::{Date, Object};
use tokio::sync::oneshot;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::convert::{self, object, set};

/// Cuts the connection when dropped, if it has not ended by then.
#[derive(Debug)]
pub(crate) struct Running {
    _running: oneshot::Sender<()>,
}

impl Running {
    /// Runs a connection to its end; what it returns, its events have told.
    pub(crate) fn start(connection: impl Future + 'static) -> Self {
        let (running, dropped) = oneshot::channel();
        spawn_local(async move {
            tokio::select! {
                _ = connection => {}
                _ = dropped => {}
            }
        });
        Self { _running: running }
    }
}

/// An event of this type, with the time when it happened, in milliseconds since 1970: now, unless it
/// is known better.
pub(crate) fn timed<const N: usize>(
    kind: &str,
    millis: Option<f64>,
    entries: [(&str, JsValue); N],
) -> Object {
    let event = object(entries);
    set(&event, "type", kind);
    set(&event, "time", millis.unwrap_or_else(Date::now));
    event
}

/// A `disconnected` event; `session` names the kind of a session's error.
pub(crate) fn disconnected<E: std::error::Error + 'static>(
    error: &ConnectionError<E>,
    retry_in: Option<std::time::Duration>,
    session: impl FnOnce(&E) -> &'static str,
) -> Object {
    let kind = connection_kind(error, session);
    let retry = retry_in.map(|delay| delay.as_secs_f64() * 1000.0);
    timed(
        "disconnected",
        None,
        [
            ("error", convert::error(kind, error)),
            ("retryIn", retry.map_or(JsValue::NULL, Into::into)),
        ],
    )
}

/// Why there is no connection, as `ErrorKind` has it.
pub(crate) fn connection_kind<E>(
    error: &ConnectionError<E>,
    session: impl FnOnce(&E) -> &'static str,
) -> &'static str {
    match error {
        ConnectionError::Connect(error) | ConnectionError::Stream(error) => {
            convert::kind(error.kind())
        }
        ConnectionError::ConnectTimedOut => "timed-out",
        ConnectionError::Session(error) => session(error),
        _ => "other",
    }
}
