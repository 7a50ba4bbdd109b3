//! Who has something to do: a waker for each item, so that only those that can do something are asked,
//! and a fair queue, in which a keystroke passes the bulk transfers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;
use jackfield_relay_wire::{FairQueue, Id};

/// Whoever has something to do, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: Mutex<FairQueue<Id>>,
    session: AtomicWaker,
}

/// One item's waker: it asks for a turn.
#[derive(Debug)]
struct Turnstile {
    id: Id,
    ready: Arc<Ready>,
}

impl Ready {
    /// The session's own waker: it is called when somebody asks for a turn.
    pub(super) fn register(&self, waker: &Waker) {
        self.session.register(waker);
    }

    /// What asks for a turn of this item's.
    pub(super) fn waker(self: &Arc<Self>, id: Id) -> Waker {
        let ready = Arc::clone(self);
        Arc::new(Turnstile { id, ready }).into()
    }

    /// This item has something to do.
    pub(super) fn wake(&self, id: Id) {
        self.lock().wake(id);
        self.session.wake();
    }

    /// Whose turn it is. To be woken from here on counts for another one.
    pub(super) fn next(&self) -> Option<Id> {
        self.lock().next()
    }

    /// Its turn has cost so much, and it has another one.
    pub(super) fn again(&self, id: Id, cost: u32) {
        let mut queue = self.lock();
        queue.charge(id, cost);
        queue.wake(id);
    }

    /// The item is gone, though its waker may not be.
    pub(super) fn remove(&self, id: Id) {
        self.lock().remove(id);
    }

    /// Whether nobody asks for a turn.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<Id>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Turnstile {
    fn wake(self: Arc<Self>) {
        self.ready.wake(self.id);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.wake(self.id);
    }
}
