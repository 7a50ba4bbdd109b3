//! A running client: its connection, and what of it the page learns.
//!
//! A client's life is the same in every protocol, and so are the methods that tell of it: `methods!` makes
//! them for a client with the fields `client` and `running`. `web/js/lib/life.js` is their other side.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::Duration;

use jackfield_client::{
    ConnectionError, Failure, Options as Connecting, Reconnect, Status, Statuses,
};
use jackfield_socket::Error;
use js_sys::{Date, Function, Object, Promise};
use tokio::sync::oneshot;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::convert::{self, Options, invalid, object, set};

/// Cuts the connection when dropped, if it has not ended by then.
#[derive(Debug)]
pub(crate) struct Running {
    life: Rc<Life>,
    cut: RefCell<Option<oneshot::Sender<()>>>,
}

/// Where a client stands, and who is told.
#[derive(Debug)]
struct Life {
    now: RefCell<(&'static str, JsValue)>,
    told: RefCell<Option<Function>>,
}

impl Running {
    /// Runs a connection to its end; `session` names the kind of a session's error.
    pub(crate) fn start<R: Clone + 'static, E: Failure>(
        connection: impl Future<Output = Result<(), ConnectionError<E>>> + 'static,
        mut statuses: Statuses<R, E>,
        session: fn(&E) -> &'static str,
    ) -> Self {
        let (cut, is_cut) = oneshot::channel();
        let life = Rc::new(Life {
            now: RefCell::new(("connecting", JsValue::UNDEFINED)),
            told: RefCell::default(),
        });
        let lives = life.clone();
        spawn_local(async move {
            let follow = async {
                while let Some(status) = statuses.next().await {
                    if let Some(state) = state(&status) {
                        lives.tell(state, &JsValue::UNDEFINED);
                    }
                }
                pending::<()>().await;
            };
            // A state is told before what happened in it can be read.
            let ended = tokio::select! {
                biased;
                ended = connection => ended,
                _ = is_cut => Ok(()),
                () = follow => Ok(()),
            };
            let failure = match ended {
                Ok(()) => JsValue::UNDEFINED,
                Err(error) => connection_error(&error, session),
            };
            lives.tell("closed", &failure);
            // The function knows the page's object, and that knows this one.
            lives.told.take();
        });
        Self {
            life,
            cut: RefCell::new(Some(cut)),
        }
    }

    /// Tells the state, now and whenever it has changed; with the last one, `closed`, why it ended, where that
    /// was not in order.
    pub(crate) fn watch(&self, told: Function) {
        self.life.told.replace(Some(told));
        let (state, failure) = self.life.now.borrow().clone();
        self.life.tell(state, &failure);
    }

    /// The error by which the client has ended; undefined while it has not, and after an end in order.
    pub(crate) fn failure(&self) -> JsValue {
        self.life.now.borrow().1.clone()
    }

    /// As dropping it, where something else still needs the client.
    pub(crate) fn cut(&self) {
        self.cut.take();
    }
}

impl Life {
    fn tell(&self, state: &'static str, failure: &JsValue) {
        self.now.replace((state, failure.clone()));
        let told = self.told.borrow().clone();
        if let Some(told) = told {
            // What it throws nobody could do anything about.
            let _ = told.call2(&JsValue::UNDEFINED, &state.into(), failure);
        }
    }
}

/// Does the work, unless the page gives it up first: the promise `aborted` fails then, with the reason.
pub(crate) async fn unless<T>(
    aborted: Option<Promise>,
    work: impl Future<Output = T>,
) -> Result<T, JsValue> {
    let Some(aborted) = aborted else {
        return Ok(work.await);
    };
    tokio::select! {
        done = work => Ok(done),
        reason = JsFuture::from(aborted) => Err(reason.unwrap_or_else(|reason| reason)),
    }
}

/// The state of a client, as pages know it. The last one is told when the client has ended.
fn state<R, E: Failure>(status: &Status<R, E>) -> Option<&'static str> {
    match status {
        Status::Connecting { .. } | Status::Connected => Some("connecting"),
        Status::Ready(_) => Some("connected"),
        Status::Disconnected { .. } => (!status.is_final()).then_some("waiting"),
    }
}

/// The methods by which a page's script follows a client's life.
macro_rules! methods {
    ($client:ident) => {
        #[wasm_bindgen]
        impl $client {
            /// Tells this function the state, now and whenever it changes; with the last one, why it ended.
            pub fn watch(&self, told: js_sys::Function) {
                self.running.watch(told);
            }

            /// Ends the wait for the next attempt.
            #[wasm_bindgen(js_name = "reconnectNow")]
            pub fn reconnect_now(&self) {
                self.client.reconnect_now();
            }

            /// At whose place the last connection was lost; undefined while there is one.
            #[wasm_bindgen(js_name = "lostAt")]
            pub fn lost_at(&self) -> wasm_bindgen::JsValue {
                let place = self.client.lost_at();
                place.map_or(wasm_bindgen::JsValue::UNDEFINED, |place| {
                    crate::convert::place(place).into()
                })
            }

            /// Ends it at once: its page's object is gone.
            pub fn cut(&self) {
                self.running.cut();
            }
        }
    };
}
pub(crate) use methods;

/// The option `reconnect`: `false`, or the delays in milliseconds.
pub(crate) fn reconnect(options: &Options<'_>, connecting: &mut Connecting) -> Result<(), Error> {
    let Some(given) = options.value("reconnect")? else {
        return Ok(());
    };
    if given.as_bool() == Some(false) {
        connecting.reconnect = None;
        return Ok(());
    }
    let given = Options(&given);
    let mut reconnect = Reconnect::default();
    for (name, delay) in [
        ("first", &mut reconnect.first_delay),
        ("longest", &mut reconnect.longest_delay),
    ] {
        if let Some(millis) = given.number(name)? {
            *delay = Duration::from_millis(whole_millis(name, millis)?);
        }
    }
    connecting.reconnect = Some(reconnect);
    Ok(())
}

/// At least one: without any, a server that is down would be asked without a pause.
fn whole_millis(name: &str, millis: f64) -> Result<u64, Error> {
    if millis.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&millis) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was just seen to be in range"
        )]
        return Ok(millis as u64);
    }
    let what = format_args!("is no whole number from 1 to {}", u32::MAX);
    Err(invalid(&format!("reconnect.{name}"), what))
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
    retry_in: Option<Duration>,
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
