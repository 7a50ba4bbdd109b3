//! The registry: which sessions there are, what each has carried, and how one is reached from outside.
//!
//! A session publishes its numbers here when it has had its turn, by plain stores: it is the only one
//! that writes them, so that whoever reads them costs it nothing. What more there is to know of it, it
//! is asked for ([`Order`]).

use std::collections::BTreeMap;
use std::ops::{AddAssign, Deref};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jackfield_relay_wire::Reason;
use tokio::sync::{Notify, oneshot};

use crate::record::{Shown, Who};

/// How many administrators are answered at a time; beyond it, their connections are closed.
pub(crate) const MAX_ADMINS: usize = 16;
/// How many orders wait for a session; beyond it, it takes none. An administrator waits for one at a time,
/// and kills without waiting.
const ORDERS_CAPACITY: usize = 2 * MAX_ADMINS;

/// All sessions that there are, those among them whose client is gone and that still deliver what it
/// had ended.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    live: BTreeMap<u64, Arc<Live>>,
    /// What those have carried that are over.
    ended: Tally,
}

/// One session, as others see it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) number: u64,
    pub(crate) who: Arc<Who>,
    pub(crate) since: Instant,
    counts: Counts,
    /// Whether its client is gone.
    draining: AtomicBool,
    orders: Mutex<Orders>,
    called: Notify,
}

/// A session's own place in the registry; dropping it takes it out.
#[derive(Debug)]
pub(crate) struct Entered {
    registry: Arc<Registry>,
    live: Arc<Live>,
}

/// What a session has carried, and what is open in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Payload from the client, in bytes.
    pub(crate) bytes_up: u64,
    /// Payload to the client, in bytes.
    pub(crate) bytes_down: u64,
    pub(crate) datagrams_up: u64,
    pub(crate) datagrams_down: u64,
    pub(crate) datagrams_dropped: u64,
    /// How many streams, sockets, listeners and openings there are.
    pub(crate) open: u64,
}

#[derive(Debug, Default)]
struct Counts {
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    datagrams_up: AtomicU64,
    datagrams_down: AtomicU64,
    datagrams_dropped: AtomicU64,
    open: AtomicU64,
}

#[derive(Debug, Default)]
struct Orders {
    waiting: Vec<Order>,
    /// Whether the session is over.
    over: bool,
}

/// What a session is asked from outside.
#[derive(Debug)]
pub(crate) enum Order {
    /// To end, and to tell its client this.
    End(Reason),
    /// To show what is open in it.
    Show {
        /// Of identifiers above this one, the lowest.
        after: u32,
        /// How many at most.
        most: usize,
        reply: oneshot::Sender<Vec<Shown>>,
    },
}

impl Registry {
    /// Takes a session up.
    pub(crate) fn enter(self: &Arc<Self>, number: u64, who: Arc<Who>) -> Entered {
        let live = Arc::new(Live {
            number,
            who,
            since: Instant::now(),
            counts: Counts::default(),
            draining: AtomicBool::new(false),
            orders: Mutex::default(),
            called: Notify::new(),
        });
        self.known().live.insert(number, Arc::clone(&live));
        let registry = Arc::clone(self);
        Entered { registry, live }
    }

    /// The sessions that there are now, by their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.known().live.values().cloned().collect()
    }

    /// The session of this number.
    pub(crate) fn get(&self, number: u64) -> Option<Arc<Live>> {
        self.known().live.get(&number).cloned()
    }

    /// What all sessions have carried since the start, those that are over among them; it never gets
    /// less. And how many sessions there are of each token.
    pub(crate) fn totals(&self) -> (Tally, BTreeMap<String, u64>) {
        // Under one lock, so that no session is missed or counted twice.
        let known = self.known();
        let (mut total, mut of_token) = (known.ended, BTreeMap::new());
        for live in known.live.values() {
            total += live.tally();
            if !live.is_draining() {
                *of_token.entry(live.who.token.clone()).or_default() += 1;
            }
        }
        (total, of_token)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// What it has carried, and what is open.
    pub(crate) fn tally(&self) -> Tally {
        let Counts {
            bytes_up,
            bytes_down,
            datagrams_up,
            datagrams_down,
            datagrams_dropped,
            open,
        } = &self.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            bytes_up: get(bytes_up),
            bytes_down: get(bytes_down),
            datagrams_up: get(datagrams_up),
            datagrams_down: get(datagrams_down),
            datagrams_dropped: get(datagrams_dropped),
            open: get(open),
        }
    }

    /// Whether its client is gone, and it still delivers what that had ended.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Gives it an order; false where it is over, or has as many as it takes. Whoever waits for a reply
    /// gets none where the session ends before.
    pub(crate) fn give(&self, order: Order) -> bool {
        let mut orders = self.orders();
        if orders.over || orders.waiting.len() >= ORDERS_CAPACITY {
            return false;
        }
        orders.waiting.push(order);
        drop(orders);
        self.called.notify_one();
        true
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// What others see from now on.
    pub(crate) fn publish(&self, tally: Tally) {
        let Tally {
            bytes_up,
            bytes_down,
            datagrams_up,
            datagrams_down,
            datagrams_dropped,
            open,
        } = tally;
        let counts = &self.live.counts;
        for (count, value) in [
            (&counts.bytes_up, bytes_up),
            (&counts.bytes_down, bytes_down),
            (&counts.datagrams_up, datagrams_up),
            (&counts.datagrams_down, datagrams_down),
            (&counts.datagrams_dropped, datagrams_dropped),
            (&counts.open, open),
        ] {
            count.store(value, Ordering::Relaxed);
        }
    }

    /// Its client is gone.
    pub(crate) fn drains(&self) {
        self.live.draining.store(true, Ordering::Relaxed);
    }

    /// A handle of its own to what others see.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }
}

impl Live {
    fn next_order(&self) -> Option<Order> {
        let mut orders = self.orders();
        (!orders.waiting.is_empty()).then(|| orders.waiting.remove(0))
    }

    /// The next order, for the session.
    ///
    /// # Cancel safety
    /// No order is lost.
    pub(crate) async fn order(&self) -> Order {
        loop {
            if let Some(order) = self.next_order() {
                return order;
            }
            self.called.notified().await;
        }
    }
}

impl Deref for Entered {
    type Target = Live;

    fn deref(&self) -> &Live {
        &self.live
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut known = self.registry.known();
        known.live.remove(&self.live.number);
        known.ended += Tally {
            open: 0,
            ..self.live.tally()
        };
        drop(known);
        let mut orders = self.live.orders();
        orders.over = true;
        // Whoever waits for a reply hears that there is none.
        orders.waiting.clear();
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.datagrams_up += other.datagrams_up;
        self.datagrams_down += other.datagrams_down;
        self.datagrams_dropped += other.datagrams_dropped;
        self.open += other.open;
    }
}

#[cfg(test)]
mod tests {
    use jackfield_relay_wire::Code;

    use super::*;

    fn who(token: &str) -> Arc<Who> {
        Arc::new(Who {
            token: token.into(),
            bearer: None,
            origin: None,
            peer: ([192, 0, 2, 7], 1000).into(),
        })
    }

    #[test]
    fn totals_only_grow_and_what_is_open_goes() {
        let registry = Arc::new(Registry::default());
        let (one, two) = (registry.enter(1, who("a")), registry.enter(2, who("a")));
        let other = registry.enter(3, who("b"));
        for entered in [&one, &two] {
            entered.publish(Tally {
                bytes_up: 10,
                datagrams_down: 3,
                open: 2,
                ..Tally::default()
            });
        }
        let (total, of_token) = registry.totals();
        assert_eq!((total.bytes_up, total.open), (20, 4));
        assert_eq!(of_token, [("a".into(), 2), ("b".into(), 1)].into());
        two.drains();
        drop((one, other));
        let (total, of_token) = registry.totals();
        assert_eq!(
            (total.bytes_up, total.datagrams_down, total.open),
            (20, 6, 2)
        );
        assert!(of_token.is_empty(), "{of_token:?}");
        assert!(registry.get(1).is_none() && registry.get(2).is_some());
    }

    /// An idle session is to cost little, and there may be many.
    #[test]
    fn a_place_in_the_registry_is_small() {
        assert!(size_of::<Live>() <= 192, "{}", size_of::<Live>());
    }

    #[tokio::test]
    async fn orders_are_bounded_and_a_session_that_is_over_takes_none() {
        let registry = Arc::new(Registry::default());
        let entered = registry.enter(1, who("a"));
        let live = registry.get(1).expect("it is there");
        let end = || Order::End(Reason::new(Code::GOING_AWAY, ""));
        let (reply, answer) = oneshot::channel();
        let show = Order::Show {
            after: 0,
            most: 1,
            reply,
        };
        assert!(live.give(end()) && live.give(show));
        assert!(matches!(entered.order().await, Order::End(_)));
        for _ in 0..ORDERS_CAPACITY - 1 {
            assert!(live.give(end()));
        }
        assert!(!live.give(end()), "one too many");
        drop(entered);
        assert!(answer.await.is_err(), "nobody is left to answer");
        assert!(!live.give(end()));
    }
}
