//! The page's own WebSocket: `WebSocket`, which every browser has.
//!
//! It has no backpressure of its own. What arrives is bounded by the credit that was given, and by
//! [`MAX_WAITING`] for a relay that doesn't keep to it; what is sent, by looking at
//! `bufferedAmount`.
//!
//! `WebSocketStream`, which Chromium alone has, would stall either side by itself, but Chromium's
//! renderer crashes with it (156, at a null pointer of its own, after some dozens of them that came
//! and went); and the credits of the streams bound the same memory, in every browser alike.
//!
//! A page learns nothing of why a WebSocket did not open: the status of the handshake is hidden
//! from it. So the relay says what is wrong with a token in the WebSocket itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_relay_wire::auth;
use jackfield_socket::time::{self, Sleep};
use jackfield_socket::{Error, ErrorKind, Result};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

use super::{Carrier, Connector};
use crate::RelayConfig;

/// How many bytes of messages may wait for the page's task before the WebSocket is given up: the
/// task takes them as soon as the event is over, so that only a flood comes near.
const MAX_WAITING: usize = 64 * 1024 * 1024;
/// While the browser holds this many bytes unsent, it is given no more: what is chosen later
/// passes what was chosen earlier, so this is what a keystroke waits behind.
const HIGH_WATER: u32 = 256 * 1024;
/// How often `bufferedAmount` is looked at while it is above that, as no event tells when it falls.
/// Any message from the relay, credit among them, looks as well.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

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
            let carrier: Box<dyn Carrier> = Box::new(open(&config.url.text, &protocols).await?);
            Ok(carrier)
        }))
    })
}

/// Opens a WebSocket.
async fn open(url: &str, protocols: &js_sys::Array) -> Result<PageCarrier> {
    let socket =
        WebSocket::new_with_str_sequence(url, protocols).map_err(|error| bad_address(&error))?;
    socket.set_binary_type(BinaryType::Arraybuffer);
    let state = Rc::new(RefCell::new(State::default()));
    let carrier = PageCarrier(SendWrapper::new(Inner {
        _handlers: Handlers::new(&socket, &state),
        socket,
        state,
        timer: None,
    }));
    poll_fn(|cx| carrier.0.state.borrow_mut().poll_open(cx)).await?;
    check_protocol(&carrier.0.socket.protocol())?;
    Ok(carrier)
}

/// An open WebSocket. Dropping it closes it.
struct PageCarrier(SendWrapper<Inner>);

struct Inner {
    socket: WebSocket,
    state: Rc<RefCell<State>>,
    _handlers: Handlers,
    timer: Option<Sleep>,
}

/// What the handlers write and the carrier reads.
#[derive(Default)]
struct State {
    open: bool,
    messages: VecDeque<Bytes>,
    waiting: usize,
    /// Why nothing more comes.
    end: Option<End>,
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
enum End {
    Closed(u16),
    Text,
    Flood,
}

/// What the browser calls; kept until it can't be called any more.
struct Handlers {
    _open: Closure<dyn FnMut(Event)>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _close: Closure<dyn FnMut(CloseEvent)>,
}

impl Handlers {
    fn new(socket: &WebSocket, state: &Rc<RefCell<State>>) -> Self {
        let on_open = {
            let state = state.clone();
            Closure::<dyn FnMut(Event)>::new(move |_| {
                State::change(&state, |state| state.open = true);
            })
        };
        let on_message = {
            let state = state.clone();
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                State::change(&state, |state| state.take(&event.data()));
            })
        };
        let on_close = {
            let state = state.clone();
            Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
                State::change(&state, |state| {
                    state.end.get_or_insert(End::Closed(event.code()));
                });
            })
        };
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Self {
            _open: on_open,
            _message: on_message,
            _close: on_close,
        }
    }
}

impl State {
    /// Changes the state, then wakes whoever waits for that.
    fn change(state: &RefCell<Self>, change: impl FnOnce(&mut Self)) {
        let waker = {
            let mut state = state.borrow_mut();
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&mut self, data: &JsValue) {
        if self.end.is_some() {
            return;
        }
        let Some(buffer) = data.dyn_ref::<js_sys::ArrayBuffer>() else {
            self.end = Some(End::Text);
            return;
        };
        let message = js_sys::Uint8Array::new(buffer).to_vec();
        self.waiting += message.len();
        if self.waiting > MAX_WAITING {
            self.messages.clear();
            self.end = Some(End::Flood);
        } else {
            self.messages.push_back(message.into());
        }
    }

    fn poll_open(&mut self, cx: &Context<'_>) -> Poll<Result<()>> {
        if self.end.is_some() {
            Poll::Ready(Err(not_opened()))
        } else if self.open {
            Poll::Ready(Ok(()))
        } else {
            self.waker = Some(cx.waker().clone());
            Poll::Pending
        }
    }
}

impl Carrier for PageCarrier {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let inner = &mut *self.0;
        loop {
            if inner.socket.buffered_amount() < HIGH_WATER {
                inner.timer = None;
                return Poll::Ready(Ok(()));
            }
            let timer = inner.timer.get_or_insert_with(|| time::sleep(LOOK_AGAIN));
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            inner.timer = None;
        }
    }

    fn send(&mut self, message: BytesMut) -> Result<()> {
        // In JavaScript's memory: a view into ours may be overwritten before it is sent.
        let copy = js_sys::Uint8Array::from(message.as_ref());
        self.0
            .socket
            .send_with_array_buffer_view(&copy)
            .map_err(|_| closed(1006))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<()>> {
        // The browser sends by itself.
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        let mut state = self.0.state.borrow_mut();
        if let Some(message) = state.messages.pop_front() {
            state.waiting -= message.len();
            return Poll::Ready(Ok(message));
        }
        match state.end {
            Some(End::Closed(code)) => Poll::Ready(Err(closed(code))),
            Some(End::Text) => Poll::Ready(Err(Error::new(
                ErrorKind::Protocol,
                "the relay sent a text message",
            ))),
            Some(End::Flood) => Poll::Ready(Err(Error::new(
                ErrorKind::LimitExceeded,
                "the relay sent more than 64 MiB that nobody asked for",
            ))),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        // Behind everything that was sent; the browser goes on without us.
        let _ = self.0.socket.close();
        Poll::Ready(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
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

/// The text of a JavaScript error.
fn describe(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}
