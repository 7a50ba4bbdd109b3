//! The page's own WebSockets: `WebSocket`, which every browser has.
//!
//! It has no backpressure of its own. What arrives is bounded by what the protocol above lets come,
//! and by [`WebSocketOptions::max_waiting`] for a server that doesn't keep to it; what is sent, by
//! looking at `bufferedAmount`.
//!
//! `WebSocketStream`, which Chromium alone has, would stall either side by itself, but Chromium's
//! renderer crashes with it (156, at a null pointer of its own, after some dozens of them that came
//! and went).
//!
//! A page learns nothing of why a WebSocket did not open: the status of the handshake is hidden
//! from it. So [`answers`] asks whether anything is there.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_socket::time::{self, Sleep};
use jackfield_socket::{Error, ErrorKind, Host, Result};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

use crate::socket::closed_with;
use crate::turn::Pace;
use crate::{WebSocketOptions, WebSocketUrl};

/// While the browser holds this many bytes unsent, it is given no more: what is chosen later
/// passes what was chosen earlier, so this is what a keystroke waits behind.
const HIGH_WATER: u32 = 256 * 1024;
/// How often `bufferedAmount` is looked at while it is above that, as no event tells when it falls.
/// Any message from the server looks as well.
const LOOK_AGAIN: Duration = Duration::from_millis(4);
/// How long an answer to [`answers`] is waited for.
const ASKING: Duration = Duration::from_secs(3);
/// What is shorter is sent together with what comes up to the browser's next turn. A longer message
/// costs what its bytes cost.
const SHORT: usize = 1024;
/// The code of a WebSocket that was closed in order (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;
/// The code that stands for no close at all (as above).
const ABNORMAL: u16 = 1006;

/// An open WebSocket. Dropping it closes it.
pub(crate) struct Socket(SendWrapper<Inner>);

struct Inner {
    socket: WebSocket,
    host: Host,
    state: Rc<RefCell<State>>,
    _handlers: Handlers,
    timer: Option<Sleep>,
    sending: Pace,
}

/// What the handlers write and the socket reads.
struct State {
    open: bool,
    messages: VecDeque<Bytes>,
    waiting: usize,
    max_message: usize,
    max_waiting: usize,
    /// Why nothing more comes.
    end: Option<End>,
    /// The code and the reason of the server's close.
    peer_close: Option<(u16, String)>,
    waker: Option<Waker>,
    waking: Pace,
}

#[derive(Clone, Copy)]
enum End {
    /// By the server; with which code is in `peer_close`.
    Closed,
    /// By this side.
    ClosedHere,
    Text,
    TooLong(usize),
    Flood,
}

/// What the browser calls; kept until it can't be called any more.
struct Handlers {
    _open: Closure<dyn FnMut(Event)>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _close: Closure<dyn FnMut(CloseEvent)>,
}

/// Opens a WebSocket.
pub(crate) fn open(
    url: WebSocketUrl,
    options: WebSocketOptions,
) -> SendWrapper<impl Future<Output = Result<Socket>>> {
    SendWrapper::new(async move {
        let host = url.endpoint().host();
        let protocols = js_sys::Array::new();
        for protocol in options.offered()? {
            protocols.push(&protocol.into());
        }
        let socket = WebSocket::new_with_str_sequence(url.as_str(), &protocols)
            .map_err(|error| bad_address(&error))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let state = Rc::new(RefCell::new(State {
            open: false,
            messages: VecDeque::new(),
            waiting: 0,
            max_message: options.max_message,
            max_waiting: options.max_waiting,
            end: None,
            peer_close: None,
            waker: None,
            waking: Pace::default(),
        }));
        let socket = Socket(SendWrapper::new(Inner {
            _handlers: Handlers::new(&socket, &state),
            socket,
            host: host.clone(),
            state,
            timer: None,
            sending: Pace::default(),
        }));
        if !poll_fn(|cx| socket.0.state.borrow_mut().poll_open(cx)).await {
            return Err(not_opened(host, answers(&url).await));
        }
        options.check_chosen(host, &socket.0.socket.protocol())?;
        Ok(socket)
    })
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
            let socket = socket.clone();
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                let waker = {
                    let mut state = state.borrow_mut();
                    state.take(&event.data());
                    if state.end.is_some() {
                        // Whatever was wrong with it, no more of that shall come.
                        let _ = socket.close();
                    }
                    state.due()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            })
        };
        let on_close = {
            let state = state.clone();
            Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
                // A code that stands for an end in order counts only with the whole of it.
                let code = match event.code() {
                    NORMAL if !event.was_clean() => ABNORMAL,
                    code => code,
                };
                State::change(&state, |state| {
                    state.peer_close = Some((code, event.reason()));
                    state.end.get_or_insert(End::Closed);
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
        let buffer = js_sys::Uint8Array::new(buffer);
        let length = buffer.length() as usize;
        if length > self.max_message {
            self.end = Some(End::TooLong(length));
        } else if self.waiting + length > self.max_waiting {
            self.messages.clear();
            self.end = Some(End::Flood);
        } else {
            self.waiting += length;
            self.messages.push_back(buffer.to_vec().into());
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.waiting -= message.len();
        Some(message)
    }

    /// Who is to be woken now for what has come; who was woken a moment ago is at the next turn.
    fn due(&mut self) -> Option<Waker> {
        let waker = self.waker.take()?;
        if self.end.is_some() {
            return Some(waker);
        }
        self.waking.wake(waker)
    }

    /// Whether it has opened, even if it was closed since.
    fn poll_open(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.open || self.end.is_some() {
            Poll::Ready(self.open)
        } else {
            self.waker = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    fn has_closed_in_order(&self) -> bool {
        matches!(self.peer_close, Some((NORMAL, _)))
    }

    /// Fails where nothing can be sent any more: the browser would take it, and drop it.
    fn check_open(&self, host: &Host) -> Result<()> {
        match self.end {
            None => Ok(()),
            Some(end) => Err(self.why(end, host)),
        }
    }

    fn why(&self, end: End, host: &Host) -> Error {
        let (kind, text) = match end {
            End::Closed => {
                let close = self.peer_close.as_ref();
                let (code, reason) = close.map_or((ABNORMAL, ""), |(code, reason)| (*code, reason));
                let closed = match code {
                    ABNORMAL => "cut".into(),
                    code => closed_with(code, reason),
                };
                (
                    ErrorKind::Reset,
                    format!("the WebSocket to {host} was {closed}"),
                )
            }
            End::ClosedHere => (
                ErrorKind::Closed,
                format!("the WebSocket to {host} was closed here"),
            ),
            End::Text => (ErrorKind::Protocol, format!("{host} sent a text message")),
            End::TooLong(length) => (
                ErrorKind::LimitExceeded,
                format!(
                    "{host} sent a message of {length} bytes, where {} are the most",
                    self.max_message
                ),
            ),
            End::Flood => (
                ErrorKind::LimitExceeded,
                format!(
                    "{host} sent more than {} bytes that nobody has read",
                    self.max_waiting
                ),
            ),
        };
        Error::new(kind, text)
    }
}

impl Socket {
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let inner = &mut *self.0;
        loop {
            inner.state.borrow().check_open(&inner.host)?;
            if inner.socket.buffered_amount() < HIGH_WATER {
                inner.timer = None;
                return if inner.sending.is_due(cx.waker()) {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            let timer = inner.timer.get_or_insert_with(|| time::sleep(LOOK_AGAIN));
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            inner.timer = None;
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "natively it is taken")]
    pub(crate) fn send(&mut self, message: BytesMut) -> Result<()> {
        let inner = &mut *self.0;
        inner.state.borrow().check_open(&inner.host)?;
        if message.len() < SHORT {
            inner.sending.done();
        } else {
            inner.sending.forget();
        }
        // In JavaScript's memory: a view into ours may be overwritten before it is sent.
        let copy = js_sys::Uint8Array::from(message.as_ref());
        inner
            .socket
            .send_with_array_buffer_view(&copy)
            .map_err(|_| {
                let state = inner.state.borrow();
                state.why(End::Closed, &inner.host)
            })
    }

    #[expect(clippy::unused_self, reason = "natively it is used")]
    pub(crate) fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<()>> {
        // The browser sends by itself.
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let inner = &*self.0;
        let mut state = inner.state.borrow_mut();
        if let Some(message) = state.next() {
            return Poll::Ready(Ok(Some(message)));
        }
        match state.end {
            Some(End::Closed) if state.has_closed_in_order() => Poll::Ready(Ok(None)),
            Some(end) => Poll::Ready(Err(state.why(end, &inner.host))),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next message, where it has come already.
    pub(crate) fn waiting(&mut self) -> Option<Bytes> {
        self.0.state.borrow_mut().next()
    }

    pub(crate) fn peer_close(&self) -> Option<(u16, String)> {
        self.0.state.borrow().peer_close.clone()
    }

    pub(crate) fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<Result<()>> {
        let inner = &*self.0;
        // The browser drops what comes from now on, so that even a server's close in order doesn't
        // say that everything was received.
        State::change(&inner.state, |state| {
            state.end.get_or_insert(End::ClosedHere);
        });
        // Behind everything that was sent; the browser goes on without us.
        let _ = inner.socket.close_with_code(NORMAL);
        Poll::Ready(Ok(()))
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

fn not_opened(host: &Host, answers: bool) -> Error {
    if answers {
        let text = format!(
            "what answers at {host} opens no such WebSocket for this page: another server, another path, \
             or one that refuses the page (a browser doesn't say which)"
        );
        Error::new(ErrorKind::Protocol, text)
    } else {
        let text = format!("nothing answers at {host}, or its certificate is not accepted");
        Error::new(ErrorKind::Unreachable, text)
    }
}

#[wasm_bindgen]
extern "C" {
    // In a page and in each kind of worker.
    #[wasm_bindgen(js_name = fetch, catch)]
    async fn fetch(url: &str, how: &JsValue) -> Result<JsValue, JsValue>;
}

/// Whether anything answers HTTP at a WebSocket's address. Nothing of the answer can be seen.
async fn answers(url: &WebSocketUrl) -> bool {
    let scheme = if url.is_secure() { "https" } else { "http" };
    let rest = url.as_str().split_once(':').map_or("", |(_, rest)| rest);
    let url = format!("{scheme}:{rest}");
    let how = js_sys::Object::new();
    for (name, value) in [
        ("mode", "no-cors"),
        ("cache", "no-store"),
        ("credentials", "omit"),
        ("referrerPolicy", "no-referrer"),
    ] {
        // A new object refuses nothing.
        let _ = js_sys::Reflect::set(&how, &name.into(), &value.into());
    }
    let asked = SendWrapper::new(async move { fetch(&url, &how).await.is_ok() });
    time::timeout(ASKING, asked).await.unwrap_or(false)
}

fn bad_address(error: &JsValue) -> Error {
    let why = match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    };
    Error::new(
        ErrorKind::InvalidInput,
        format!("the browser doesn't take a WebSocket's address: {why}"),
    )
}
