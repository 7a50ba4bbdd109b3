//! What is being opened, is open, or is gone.
//!
//! Whoever waits asks again at each change, so that nothing hangs when the page gives up what it has opened.

use std::cell::{Ref, RefCell};
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use jackfield_socket::Error;
use tokio::sync::{Notify, oneshot};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::convert::socket_error;

/// What methods that a page calls give.
pub(super) type Outcome<T, E = JsValue> = Result<T, E>;

/// Where something stands.
#[derive(Debug)]
pub(super) enum Phase<T> {
    Opening,
    Open(T),
    /// What everything fails with from now on.
    Gone(JsValue),
}

/// A phase that changes, and all that wait.
#[derive(Debug)]
pub(super) struct Shared<T> {
    phase: RefCell<Phase<T>>,
    /// Told of each change of phase.
    changed: Notify,
    /// Ends the work of opening, when dropped.
    opening: RefCell<Option<oneshot::Sender<()>>>,
}

impl<T: Debug + 'static> Shared<T> {
    /// What this work opens. The work ends when nobody wants it any longer.
    pub(super) fn opening(work: impl Future<Output = Outcome<T>> + 'static) -> Rc<Self> {
        let (opening, given_up) = oneshot::channel();
        let shared = Rc::new(Self {
            phase: RefCell::new(Phase::Opening),
            changed: Notify::new(),
            opening: RefCell::new(Some(opening)),
        });
        let told = Rc::downgrade(&shared);
        spawn_local(async move {
            let opened = tokio::select! {
                biased;
                _ = given_up => return,
                opened = work => opened,
            };
            if let Some(shared) = told.upgrade() {
                shared.set(opened.map_or_else(Phase::Gone, Phase::Open));
            }
        });
        shared
    }

    /// Asks whenever there may be an answer, until there is one. Before it is open, that is waited for.
    pub(super) async fn polled<R, E: Into<Error>>(
        &self,
        mut poll: impl FnMut(&mut T, &mut Context<'_>) -> Poll<Result<R, E>>,
    ) -> Outcome<R> {
        loop {
            let changed = self.changed.notified();
            let answered = poll_fn(|cx| match &mut *self.phase.borrow_mut() {
                Phase::Opening => Poll::Pending,
                Phase::Open(open) => {
                    let answer = ready!(poll(open, cx));
                    Poll::Ready(answer.map_err(|error| socket_error(&error.into())))
                }
                Phase::Gone(reason) => Poll::Ready(Err(reason.clone())),
            });
            tokio::select! {
                biased;
                answer = answered => return answer,
                () = changed => {}
            }
        }
    }

    /// Where it stands now.
    pub(super) fn phase(&self) -> Ref<'_, Phase<T>> {
        self.phase.borrow()
    }

    /// Lets all that wait ask again.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Ends it; everything fails with `reason` from now on, unless it has failed before. Gives what it was.
    pub(super) fn end(&self, reason: JsValue) -> Phase<T> {
        self.opening.take();
        let before = self.phase.replace(Phase::Opening);
        let after = match &before {
            Phase::Gone(reason) => reason.clone(),
            Phase::Opening | Phase::Open(_) => reason,
        };
        self.set(Phase::Gone(after));
        before
    }

    fn set(&self, phase: Phase<T>) {
        // What was there is dropped when nothing is borrowed any more.
        let _before = self.phase.replace(phase);
        self.wake();
    }
}
