//! The browser's turns: what comes in quick succession is done together.
//!
//! A message costs the browser tens of microseconds, however short it is, and so does each time that
//! a task is woken. So whoever sends a little very often, such as an acknowledgement for each message
//! that comes, has it sent together: what there is when the browser comes round to other things. In
//! the same way who is told of each message that comes is told once of many. Who has done nothing for
//! a moment waits for nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use jackfield_socket::time::{self, Instant};
use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, MessagePort};

/// Who has done something so recently waits for the next turn.
const MOMENT: Duration = Duration::from_millis(1);

/// Says when something that is done again and again is due.
#[derive(Default)]
pub(crate) struct Pace {
    /// When it was done, if that was not long ago.
    last: Option<Instant>,
    /// Since then, a turn was asked for.
    asked: bool,
    /// Made at the first time that it is needed.
    turn: Option<Turn>,
}

impl Pace {
    /// Whether it is due. Otherwise the waker is woken when it is, at the browser's next turn.
    pub(crate) fn is_due(&mut self, waker: &Waker) -> bool {
        if self.is_awaited() {
            self.turn.iter().for_each(|turn| turn.ask(waker.clone()));
            return false;
        }
        if self.asked || !self.is_recent() {
            self.forget();
            return true;
        }
        let Some(turn) = self.turn() else {
            return true;
        };
        turn.ask(waker.clone());
        self.asked = true;
        false
    }

    /// It is done.
    pub(crate) fn done(&mut self) {
        self.last = Some(time::now());
        self.asked = false;
    }

    /// It is due at once, whatever was done before.
    pub(crate) fn forget(&mut self) {
        self.last = None;
        self.asked = false;
    }

    /// The same for waking somebody, which a turn does by itself: the waker, where it is due now.
    pub(crate) fn wake(&mut self, waker: Waker) -> Option<Waker> {
        let recent = self.is_recent();
        self.last = Some(time::now());
        if !recent {
            return Some(waker);
        }
        match self.turn() {
            Some(turn) => {
                turn.ask(waker);
                None
            }
            None => Some(waker),
        }
    }

    fn is_recent(&self) -> bool {
        let recent = |last| time::now().saturating_duration_since(last) < MOMENT;
        self.last.is_some_and(recent)
    }

    fn is_awaited(&self) -> bool {
        self.turn.as_ref().is_some_and(Turn::is_awaited)
    }

    fn turn(&mut self) -> Option<&Turn> {
        if self.turn.is_none() {
            self.turn = Turn::new();
        }
        self.turn.as_ref()
    }
}

/// The browser's next turn: after what it has to do already. Timers would be late, by a millisecond or
/// four.
struct Turn {
    from: MessagePort,
    to: MessagePort,
    /// Who waits for it.
    waker: Rc<RefCell<Option<Waker>>>,
    _handler: Closure<dyn FnMut()>,
}

impl Turn {
    /// `None` where the browser has no message channels.
    fn new() -> Option<Self> {
        let channel = MessageChannel::new().ok()?;
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let waiting = Rc::clone(&waker);
        let handler = Closure::<dyn FnMut()>::new(move || {
            let waker = waiting.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let to = channel.port2();
        to.set_onmessage(Some(handler.as_ref().unchecked_ref()));
        Some(Self {
            from: channel.port1(),
            to,
            waker,
            _handler: handler,
        })
    }

    fn is_awaited(&self) -> bool {
        self.waker.borrow().is_some()
    }

    /// Wakes this one at the next turn, in the place of who was to be woken then.
    fn ask(&self, waker: Waker) {
        let posted = self.is_awaited() || self.from.post_message(&JsValue::NULL).is_ok();
        if posted {
            *self.waker.borrow_mut() = Some(waker);
        } else {
            // Nothing is held back then.
            waker.wake();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.to.set_onmessage(None);
        self.to.close();
    }
}
