//! What is gathered of a page's stream before it is sent.
//!
//! A message costs the browser tens of microseconds, however short it is. So whoever writes a little very
//! often, such as an acknowledgement for each message that comes, has it sent together: what was written
//! when the browser comes round to other things. Who has not written for a moment waits for nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use jackfield_socket::time::{self, Instant};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, MessagePort};

/// Who has sent something so recently gathers.
const MOMENT: Duration = Duration::from_millis(1);

/// What waits to be sent as one message.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) bytes: BytesMut,
    sent: Option<Instant>,
    /// Made at the first time that it is needed.
    turn: Option<SendWrapper<Turn>>,
}

impl Gathered {
    /// Ready when what was gathered is to be sent.
    pub(crate) fn poll_due(&mut self, cx: &Context<'_>) -> Poll<()> {
        let now = time::now();
        let recent = |sent| now.saturating_duration_since(sent) < MOMENT;
        if let Some(turn) = &self.turn
            && turn.is_awaited()
        {
            return turn.poll(cx);
        }
        if !self.sent.is_some_and(recent) {
            return Poll::Ready(());
        }
        if self.turn.is_none() {
            self.turn = Turn::new().map(SendWrapper::new);
        }
        let Some(turn) = &self.turn else {
            return Poll::Ready(());
        };
        turn.ask();
        turn.poll(cx)
    }

    /// What was gathered, which is sent now.
    pub(crate) fn take(&mut self) -> BytesMut {
        self.sent = Some(time::now());
        self.bytes.split()
    }
}

/// The browser's next turn: after what it has to do already. Timers would be late, by a millisecond or
/// four.
struct Turn {
    from: MessagePort,
    to: MessagePort,
    state: Rc<RefCell<State>>,
    _handler: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct State {
    awaited: bool,
    come: bool,
    waker: Option<Waker>,
}

impl Turn {
    /// `None` where the browser has no message channels.
    fn new() -> Option<Self> {
        let channel = MessageChannel::new().ok()?;
        let state = Rc::new(RefCell::new(State::default()));
        let told = Rc::clone(&state);
        let handler = Closure::<dyn FnMut()>::new(move || {
            let mut state = told.borrow_mut();
            state.come = true;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let to = channel.port2();
        to.set_onmessage(Some(handler.as_ref().unchecked_ref()));
        Some(Self {
            from: channel.port1(),
            to,
            state,
            _handler: handler,
        })
    }

    fn is_awaited(&self) -> bool {
        self.state.borrow().awaited
    }

    fn ask(&self) {
        let mut state = self.state.borrow_mut();
        state.awaited = true;
        // What can't be posted has come: nothing is held back then.
        state.come = self.from.post_message(&JsValue::NULL).is_err();
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.come {
            *state = State::default();
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.to.set_onmessage(None);
        self.to.close();
    }
}
