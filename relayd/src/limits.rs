//! Limits of a token, and the counting that keeps them.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What the bearers of one token may use of the relay, all their sessions together where it
/// doesn't say otherwise. What passes a limit gets an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// `sessions`: how many WebSockets at a time. Default: 64.
    pub sessions: u32,
    /// `streams`: how many streams and datagram sockets at a time, those that are being opened
    /// among them. Default: 256.
    pub streams: u32,
    /// `listeners`: how many listening sockets at a time. Default: 4.
    pub listeners: u32,
    /// `dials_per_second`: how many streams, sockets and listeners may be opened in a second; as
    /// many at once. Default: 50.
    pub dials_per_second: u32,
    /// `dial_seconds`: how long a look-up and a connection may take together. Default: 15 s.
    pub dial_deadline: Duration,
    /// `idle_seconds`: how long a session may have nothing open. Default: 600 s.
    pub idle_deadline: Duration,
    /// `buffer_bytes`: how many bytes of payload may wait in the relay for one session, each way;
    /// each stream may have 32 KiB, and each datagram socket 80 KiB, besides. The more is open, the
    /// less of it a new stream gets. Default: 32 MiB.
    pub buffer_bytes: u32,
    /// `session_bytes`: how many bytes of payload one session may carry, both ways together.
    /// Default: no limit.
    pub session_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 64,
            streams: 256,
            listeners: 4,
            dials_per_second: 50,
            dial_deadline: Duration::from_secs(15),
            idle_deadline: Duration::from_mins(10),
            buffer_bytes: 32 * 1024 * 1024,
            session_bytes: None,
        }
    }
}

/// A limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitReached {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the token's limit {} ({}) is reached",
            self.name, self.value
        )
    }
}

impl std::error::Error for LimitReached {}

/// What the bearers of one token use at the moment.
#[derive(Debug)]
pub(crate) struct Usage {
    limits: Limits,
    sessions: Arc<AtomicU32>,
    streams: Arc<AtomicU32>,
    listeners: Arc<AtomicU32>,
    dials: Mutex<Bucket>,
}

/// One of the things that are counted; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicU32>);

impl Usage {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: Arc::default(),
            streams: Arc::default(),
            listeners: Arc::default(),
            dials: Mutex::new(Bucket {
                level: limits.dials_per_second.into(),
                filled: None,
            }),
        }
    }

    pub(crate) fn session(&self) -> Result<Slot, LimitReached> {
        take(&self.sessions, "sessions", self.limits.sessions)
    }

    pub(crate) fn stream(&self) -> Result<Slot, LimitReached> {
        take(&self.streams, "streams", self.limits.streams)
    }

    pub(crate) fn listener(&self) -> Result<Slot, LimitReached> {
        take(&self.listeners, "listeners", self.limits.listeners)
    }

    /// Counts one dial.
    pub(crate) fn dial(&self, now: Instant) -> Result<(), LimitReached> {
        let rate = self.limits.dials_per_second;
        let mut dials = self.dials.lock().unwrap_or_else(PoisonError::into_inner);
        dials
            .take(rate.into(), now)
            .then_some(())
            .ok_or(LimitReached {
                name: "dials_per_second",
                value: rate.into(),
            })
    }
}

fn take(count: &Arc<AtomicU32>, name: &'static str, limit: u32) -> Result<Slot, LimitReached> {
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used < limit).then_some(used + 1)
        })
        .map(|_| Slot(Arc::clone(count)))
        .map_err(|_| LimitReached {
            name,
            value: limit.into(),
        })
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A bucket that fills with time, and of which each dial takes one.
#[derive(Debug)]
struct Bucket {
    level: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn take(&mut self, rate: f64, now: Instant) -> bool {
        let since = self.filled.map_or(Duration::ZERO, |filled| now - filled);
        self.filled = Some(now);
        self.level = (self.level + since.as_secs_f64() * rate).min(rate);
        let enough = self.level >= 1.0;
        if enough {
            self.level -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_when_they_are_dropped() {
        let usage = Usage::new(Limits {
            streams: 2,
            ..Limits::default()
        });
        let first = usage.stream().expect("one of two");
        let second = usage.stream().expect("two of two");
        let third = usage.stream().expect_err("no third");
        assert_eq!(
            third.to_string(),
            "the token's limit streams (2) is reached"
        );
        drop(first);
        let first = usage.stream().expect("one came back");
        drop((first, second));
        assert_eq!(usage.streams.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn dials_fill_up_with_time() {
        let usage = Usage::new(Limits {
            dials_per_second: 2,
            ..Limits::default()
        });
        let start = Instant::now();
        assert!(usage.dial(start).is_ok());
        assert!(usage.dial(start).is_ok());
        let refused = usage.dial(start).expect_err("two at once only");
        assert_eq!(refused.name, "dials_per_second");
        let later = start + Duration::from_millis(501);
        assert!(usage.dial(later).is_ok());
        assert!(usage.dial(later).is_err());
        // However long nothing happened, no more than a second's worth is saved up.
        let much_later = start + Duration::from_mins(1);
        assert!(usage.dial(much_later).is_ok());
        assert!(usage.dial(much_later).is_ok());
        assert!(usage.dial(much_later).is_err());
    }
}
