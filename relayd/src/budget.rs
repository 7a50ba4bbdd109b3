//! The relay's budget: what all sessions together may have of the process's descriptors and memory.
//!
//! A limit of a token keeps one bearer from harming others; this keeps all of them from harming the
//! relay. Descriptors are fitted to the system's limit when the relay starts. Of memory, windows
//! bound what a session can make the relay hold, but not how many sessions do so at a time: beyond
//! the budget, nothing new is taken until what is open has moved on, and those who hold more than
//! their part give up what doesn't.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::config::Config;
use crate::limits::{LimitReached, Whose};
use crate::metrics::MAX_SCRAPES;
use crate::registry::MAX_ADMINS;

/// Descriptors for what has no limit of its own: look-ups, health checks, clients that are told why
/// they aren't let in, the runtime, the log.
const RESERVE: u64 = 512;
/// The default of `max_streams` where the system sets no limit.
const NO_LIMIT: u32 = 65_536;

/// What is left for all sessions together.
#[derive(Debug)]
pub(crate) struct Budget {
    max_streams: u32,
    open: AtomicU32,
    max_buffer_bytes: u64,
    held: AtomicU64,
    /// How many sessions hold anything.
    holders: AtomicU64,
}

/// What a session holds beyond its part, while all hold too much together.
#[derive(Debug)]
pub(crate) struct Excess {
    pub(crate) bytes: u64,
    /// It is twice what it may be.
    pub(crate) urgent: bool,
    pub(crate) limit: LimitReached,
}

/// How much is in use, and how much may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Streams, datagram sockets and listeners.
    pub(crate) streams: (u64, u64),
    /// Payload that waits, in bytes.
    pub(crate) bytes: (u64, u64),
}

/// A descriptor of the budget; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Descriptor(Arc<Budget>);

/// What one session holds of the budget's memory; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Default for Budget {
    /// More than anybody can have.
    fn default() -> Self {
        Self {
            max_streams: u32::MAX,
            open: AtomicU32::new(0),
            max_buffer_bytes: u64::MAX,
            held: AtomicU64::new(0),
            holders: AtomicU64::new(0),
        }
    }
}

impl Budget {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max_streams: config.max_streams.unwrap_or(NO_LIMIT),
            max_buffer_bytes: config.max_buffer_bytes,
            ..Self::default()
        }
    }

    /// One for a stream, a datagram socket or a listener.
    pub(crate) fn descriptor(self: &Arc<Self>) -> Result<Descriptor, LimitReached> {
        self.check_memory()?;
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < self.max_streams).then(|| open + 1)
            })
            .map(|_| Descriptor(Arc::clone(self)))
            .map_err(|_| reached("max_streams", self.max_streams.into()))
    }

    /// Refuses what is new while too much is held already.
    pub(crate) fn check_memory(&self) -> Result<(), LimitReached> {
        if self.held.load(Ordering::Relaxed) < self.max_buffer_bytes {
            Ok(())
        } else {
            Err(reached("max_buffer_bytes", self.max_buffer_bytes))
        }
    }

    /// How much of it is in use.
    pub(crate) fn used(&self) -> Used {
        let open = self.open.load(Ordering::Relaxed);
        Used {
            streams: (open.into(), self.max_streams.into()),
            bytes: (self.held.load(Ordering::Relaxed), self.max_buffer_bytes),
        }
    }

    /// For a session, which holds nothing yet.
    pub(crate) fn held(self: &Arc<Self>) -> Held {
        Held {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

fn reached(name: &'static str, value: u64) -> LimitReached {
    LimitReached {
        whose: Whose::Relay,
        name,
        value,
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    /// The session holds so much now.
    pub(crate) fn set(&mut self, bytes: u64) {
        let Budget { held, holders, .. } = &*self.budget;
        match (self.bytes, bytes) {
            (0, 1..) => _ = holders.fetch_add(1, Ordering::Relaxed),
            (1.., 0) => _ = holders.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        if bytes >= self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// As many as were told last.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it has to give up, so that the others have room: all that hold anything have equal parts.
    pub(crate) fn excess(&self) -> Option<Excess> {
        let limit = self.budget.check_memory().err()?;
        let most = self.budget.max_buffer_bytes;
        let part = most / self.budget.holders.load(Ordering::Relaxed).max(1);
        let bytes = self.bytes.checked_sub(part).filter(|bytes| *bytes > 0)?;
        Some(Excess {
            bytes,
            urgent: self.budget.held.load(Ordering::Relaxed) / 2 >= most,
            limit,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Raises the process's soft limit of descriptors to its hard one, and has the configuration's limits
/// fit in it.
///
/// # Errors
/// Where they can't; the text has the numbers.
pub(crate) fn fit(config: &mut Config) -> io::Result<()> {
    fit_in(config, raise_limit())
}

fn fit_in(config: &mut Config, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else {
        return Ok(());
    };
    let full = u64::from(config.admission.handshakes.full());
    let sessions = u64::from(config.max_sessions);
    let scrapes = config.metrics.map_or(0, |_| 1 + MAX_SCRAPES);
    let sockets = config.admin.iter().chain(&config.mint).count();
    let admins = sockets * (1 + MAX_ADMINS);
    let listeners = config.listen.len() + usize::from(config.health.is_some()) + scrapes + admins;
    let listeners = listeners as u64;
    let others = sessions + 2 * full + listeners + RESERVE;
    let streams = config.max_streams.map_or(1, u64::from);
    if others + streams > limit {
        let text = format!(
            "max_sessions ({sessions}), twice the handshakes of admission ({full}), max_streams \
             ({streams}) and what the relay itself needs are {} descriptors together, and the \
             process may have {limit} (ulimit -n)",
            others + streams
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let left = u32::try_from(limit - others).unwrap_or(u32::MAX);
    config.max_streams.get_or_insert(left);
    Ok(())
}

/// The limit of descriptors, after the soft one was raised to the hard one; `None` for none.
#[cfg(unix)]
fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// macOS has more as a hard limit, and takes no more as a soft one (`OPEN_MAX`).
    const ANYWHERE: u64 = 10_240;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it fails, what there is has to do.
    let raised = [maximum, Some(maximum.unwrap_or(u64::MAX).min(ANYWHERE))]
        .into_iter()
        .filter(|wanted| wanted.unwrap_or(u64::MAX) > current.unwrap_or(u64::MAX))
        .find(|&current| setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok());
    raised.unwrap_or(current)
}

#[cfg(not(unix))]
fn raise_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(max_streams: Option<u32>) -> Config {
        Config {
            max_sessions: 100,
            max_streams,
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            ..Config::default()
        }
    }

    #[test]
    fn streams_are_fitted_to_the_descriptors_that_are_left() {
        // Sessions, handshakes in both lanes, a listener, and the reserve.
        let others = 100 + 2 * 512 + 1 + RESERVE;
        let fitted = |max_streams, limit| {
            let mut config = config(max_streams);
            fit_in(&mut config, limit)
                .map(|()| config.max_streams)
                .map_err(|error| error.to_string())
        };
        assert_eq!(fitted(None, Some(others + 7)), Ok(Some(7)));
        assert_eq!(fitted(Some(7), Some(others + 7)), Ok(Some(7)));
        assert_eq!(fitted(Some(7), None), Ok(Some(7)));
        assert_eq!(fitted(None, None), Ok(None));
        assert_eq!(fitted(None, Some(u64::MAX)), Ok(Some(u32::MAX)));
        let error = fitted(Some(8), Some(others + 7)).expect_err("one too many");
        for part in ["max_streams (8)", "max_sessions (100)", "1645", "1644"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(fitted(None, Some(others)).is_err(), "none at all");
    }

    #[test]
    fn descriptors_and_bytes_come_back() {
        let budget = Arc::new(Budget {
            max_streams: 2,
            max_buffer_bytes: 1000,
            ..Budget::default()
        });
        let both = [budget.descriptor(), budget.descriptor()];
        let third = budget.descriptor().expect_err("no third").to_string();
        assert_eq!(third, "the relay's limit max_streams (2) is reached");
        drop(both);
        let (mut one, mut two) = (budget.held(), budget.held());
        one.set(600);
        two.set(399);
        assert!(budget.descriptor().is_ok());
        two.set(400);
        let short = budget
            .descriptor()
            .expect_err("too much is held")
            .to_string();
        assert_eq!(
            short,
            "the relay's limit max_buffer_bytes (1000) is reached"
        );
        assert!(two.excess().is_none(), "it has less than its half");
        let excess = one.excess().expect("it has more");
        assert_eq!((excess.bytes, excess.urgent), (100, false));
        two.set(1400);
        let excess = two.excess().expect("it has more");
        assert_eq!((excess.bytes, excess.urgent), (900, true));
        two.set(0);
        assert!(budget.check_memory().is_ok() && one.excess().is_none());
        one.set(1200);
        assert!(budget.check_memory().is_err());
        drop(one);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
        assert_eq!(budget.open.load(Ordering::Relaxed), 0);
        assert_eq!(budget.holders.load(Ordering::Relaxed), 0);
    }
}
