//! The queue for turns: a waker for each item, so that only those that can do something are asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;
use jackfield_relay_wire::Id;

/// The queue for turns. Nobody stands in it twice, so it is as long as there are items at the most.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: Mutex<Vec<Arc<Place>>>,
    session: AtomicWaker,
}

/// One item's place in the queue.
#[derive(Debug)]
pub(super) struct Place {
    id: Id,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// The session's own waker: it is called when somebody queues.
    pub(super) fn register(&self, waker: &Waker) {
        self.session.register(waker);
    }

    /// Everybody in the queue, which is empty afterwards.
    pub(super) fn take(&self) -> Vec<Arc<Place>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *queue);
        for place in &taken {
            // From here on, a wake-up counts for the next turn.
            place.queued.store(false, Ordering::Release);
        }
        taken
    }
}

impl Place {
    pub(super) fn new(id: Id, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self {
            id,
            queued: AtomicBool::new(false),
            ready: Arc::clone(ready),
        })
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// Asks for a turn.
    pub(super) fn queue(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let mut queue = self
                .ready
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            queue.push(Arc::clone(self));
            drop(queue);
            self.ready.session.wake();
        }
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.queue();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
    }
}
