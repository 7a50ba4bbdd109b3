//! The queue for turns: a waker for each item, so that only those that can do something are asked.
//!
//! Whoever has something to do after it had nothing goes first, once, unless its last turn was a
//! bulky one: a keystroke passes the bulk transfers, and who comes and goes can't starve them (as
//! the multiplexer's own turns go; the scheme of FQ-CoDel's new and old flows, RFC 8290, section
//! 4.2).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;
use jackfield_relay_wire::Id;

/// The queue for turns. Nobody stands in it twice, so it is as long as there are items at the most.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: Mutex<Queue>,
    session: AtomicWaker,
}

#[derive(Debug, Default)]
struct Queue {
    fresh: VecDeque<Arc<Place>>,
    round: VecDeque<Arc<Place>>,
}

/// One item's place in the queue.
#[derive(Debug)]
pub(super) struct Place {
    id: Id,
    queued: AtomicBool,
    /// Whether it goes first when it queues.
    fresh: AtomicBool,
    /// Whether the last turn that did something was a bulky one.
    bulky: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// The session's own waker: it is called when somebody queues.
    pub(super) fn register(&self, waker: &Waker) {
        self.session.register(waker);
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> Option<Arc<Place>> {
        let mut queue = self.lock();
        let place = queue.fresh.pop_front();
        let place = place.or_else(|| queue.round.pop_front())?;
        place.fresh.store(false, Ordering::Relaxed);
        // From here on, a wake-up counts for the next turn.
        place.queued.store(false, Ordering::Release);
        Some(place)
    }

    /// Whether nobody stands in it.
    pub(super) fn is_empty(&self) -> bool {
        let queue = self.lock();
        queue.fresh.is_empty() && queue.round.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn new(id: Id, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self {
            id,
            queued: AtomicBool::new(false),
            fresh: AtomicBool::new(true),
            bulky: AtomicBool::new(false),
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
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut queue = self.ready.lock();
        let line = if self.fresh.load(Ordering::Relaxed) {
            &mut queue.fresh
        } else {
            &mut queue.round
        };
        line.push_back(Arc::clone(self));
        drop(queue);
        self.ready.session.wake();
    }

    /// Its turn did something: it has another one, at the end of the round, even if nothing is left
    /// to do. So it is not fresh again before the others had theirs.
    pub(super) fn worked(self: &Arc<Self>, bulky: bool) {
        self.bulky.store(bulky, Ordering::Relaxed);
        self.queue();
    }

    /// Its turn had nothing to do.
    pub(super) fn waits(&self) {
        let bulky = self.bulky.load(Ordering::Relaxed);
        self.fresh.store(!bulky, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has turns, in their order, until nobody stands there.
    fn turns(ready: &Ready) -> Vec<u32> {
        std::iter::from_fn(|| ready.next())
            .map(|place| place.id().get())
            .collect()
    }

    fn places<const N: usize>() -> (Arc<Ready>, [Arc<Place>; N]) {
        let ready = Arc::<Ready>::default();
        let place = |index: usize| {
            let id = Id::new(index as u32 + 1).expect("not 0");
            Place::new(id, &ready)
        };
        let places = std::array::from_fn(place);
        (ready, places)
    }

    /// Has the next turn, which carries something.
    fn turn(ready: &Ready, bulky: bool) -> u32 {
        let place = ready.next().expect("somebody's turn");
        place.worked(bulky);
        place.id().get()
    }

    /// Has the next turn, which has nothing to do.
    fn idle_turn(ready: &Ready) -> u32 {
        let place = ready.next().expect("somebody's turn");
        place.waits();
        place.id().get()
    }

    #[test]
    fn a_keystroke_passes_the_bulk() {
        let (ready, [one, two, keystroke]) = places();
        one.queue();
        two.queue();
        assert_eq!([turn(&ready, true), turn(&ready, true)], [1, 2]);
        keystroke.queue();
        assert_eq!(turns(&ready), [3, 1, 2]);
    }

    #[test]
    fn bulk_that_waited_a_moment_stays_behind() {
        let (ready, [bulk, other, keystroke]) = places();
        bulk.queue();
        other.queue();
        assert_eq!([turn(&ready, true), turn(&ready, true)], [1, 2]);
        assert_eq!(idle_turn(&ready), 1);
        // Its socket has more, which its waker tells.
        bulk.waker().wake();
        keystroke.queue();
        assert_eq!(turns(&ready), [3, 2, 1]);
    }

    #[test]
    fn who_always_has_a_little_starves_nobody() {
        let (ready, [bulk, busy]) = places();
        bulk.queue();
        busy.queue();
        for _ in 0..3 {
            assert_eq!(turn(&ready, true), 1);
            let place = ready.next().expect("the other's turn");
            // Woken within its own turn.
            place.queue();
            place.worked(false);
            assert_eq!(place.id().get(), 2);
        }
    }

    #[test]
    fn who_had_nothing_is_fresh_again() {
        let (ready, [bulk, seldom]) = places();
        bulk.queue();
        assert_eq!(turn(&ready, true), 1);
        for _ in 0..3 {
            seldom.queue();
            assert_eq!([turn(&ready, false), turn(&ready, true)], [2, 1]);
            assert_eq!([idle_turn(&ready), turn(&ready, true)], [2, 1]);
        }
    }

    #[test]
    fn nobody_stands_there_twice() {
        let (ready, [one]) = places();
        one.queue();
        one.queue();
        assert_eq!(turns(&ready), [1]);
        assert!(ready.is_empty());
    }
}
