//! The registry: which sessions there are, and what each has carried.
//!
//! A session publishes its numbers here when it has had its turn, by plain stores: it is the only one
//! that writes them, so that whoever reads them costs it nothing.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Deref};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::Who;

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
    number: u64,
    who: Arc<Who>,
    counts: Counts,
    /// Whether its client is gone.
    draining: AtomicBool,
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

impl Registry {
    /// Takes a session up.
    pub(crate) fn enter(self: &Arc<Self>, number: u64, who: Arc<Who>) -> Entered {
        let live = Arc::new(Live {
            number,
            who,
            counts: Counts::default(),
            draining: AtomicBool::new(false),
        });
        self.known().live.insert(number, Arc::clone(&live));
        let registry = Arc::clone(self);
        Entered { registry, live }
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
    }
}
