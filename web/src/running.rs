//! A client's connection, while it runs.

use std::cell::RefCell;
use std::future::Future;

use jackfield_client::ConnectionError;
use js_sys::Object;
use tokio::sync::oneshot;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::convert;
use crate::event::timed;

/// Closes the connection when dropped, or told to.
#[derive(Debug)]
pub(crate) struct Running(RefCell<Option<oneshot::Sender<()>>>);

impl Running {
    /// Runs a connection until it ends or is closed; what it returns, its events have told.
    pub(crate) fn start(connection: impl Future + 'static) -> Self {
        let (running, closed) = oneshot::channel();
        spawn_local(async move {
            tokio::select! {
                _ = connection => {}
                _ = closed => {}
            }
        });
        Self(RefCell::new(Some(running)))
    }

    /// Closes at once.
    pub(crate) fn close(&self) {
        self.0.take();
    }
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
