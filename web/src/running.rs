//! A running client: its connection, and what of it the page learns.

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;

use jackfield_client::{ConnectionError, Failure};
use js_sys::{Date, Object};
use tokio::sync::oneshot;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::convert::{self, object, set};

/// Cuts the connection when dropped, if it has not ended by then.
#[derive(Debug)]
pub(crate) struct Running {
    failure: Rc<OnceCell<JsValue>>,
    _running: oneshot::Sender<()>,
}

impl Running {
    /// Runs a connection to its end; `session` names the kind of a session's error.
    pub(crate) fn start<E: Failure>(
        connection: impl Future<Output = Result<(), ConnectionError<E>>> + 'static,
        session: fn(&E) -> &'static str,
    ) -> Self {
        let (running, dropped) = oneshot::channel();
        let failure = Rc::new(OnceCell::new());
        let told = failure.clone();
        spawn_local(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    let _ = told.set(connection_error(&error, session));
                },
                _ = dropped => {}
            }
        });
        Self {
            failure,
            _running: running,
        }
    }

    /// The error by which the client has ended; undefined while it has not, and after an end in order.
    pub(crate) fn failure(&self) -> JsValue {
        self.failure.get().cloned().unwrap_or_default()
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
pub(crate) fn disconnected<E: Failure>(
    error: &ConnectionError<E>,
    retry_in: Option<std::time::Duration>,
    session: impl FnOnce(&E) -> &'static str,
) -> Object {
    let retry = retry_in.map(|delay| delay.as_secs_f64() * 1000.0);
    timed(
        "disconnected",
        None,
        [
            ("error", connection_error(error, session)),
            ("retryIn", retry.map_or(JsValue::NULL, Into::into)),
        ],
    )
}

/// Why there is no connection, as pages get it; `session` names the kind of a session's error.
pub(crate) fn connection_error<E: Failure>(
    error: &ConnectionError<E>,
    session: impl FnOnce(&E) -> &'static str,
) -> JsValue {
    let kind = match error {
        ConnectionError::Connect(error) | ConnectionError::Stream(error) => {
            convert::kind(error.kind())
        }
        ConnectionError::ConnectTimedOut => "timed-out",
        ConnectionError::Session(error) => session(error),
        _ => "other",
    };
    convert::error_at(kind, error.place(), error)
}
