//! The peer's record of its connections, for those who ask.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many records are kept; the oldest is forgotten first.
const MAX_RECORDS: usize = 4096;

/// What the peer has seen of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// How many bytes went in the direction that was watched.
    pub(crate) bytes: u64,
    /// The first place where they were not as they should be.
    pub(crate) wrong: Option<u64>,
    pub(crate) state: State,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Open,
    /// Its peer ended it in order.
    Ended,
    /// It was cut.
    Failed,
}

impl From<&io::Result<()>> for State {
    fn from(result: &io::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Ended,
            Err(_) => Self::Failed,
        }
    }
}

/// All records of a peer.
#[derive(Debug, Default)]
pub(crate) struct Records {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    records: BTreeMap<u64, (Record, Released)>,
    silent: usize,
}

/// How often it was let go on.
type Released = u32;

impl Records {
    pub(crate) fn ticket(&self) -> u64 {
        let mut inner = self.lock();
        inner.last += 1;
        let ticket = inner.last;
        inner.records.insert(ticket, Default::default());
        if inner.records.len() > MAX_RECORDS {
            inner.records.pop_first();
        }
        ticket
    }

    pub(crate) fn get(&self, ticket: u64) -> Record {
        self.lock()
            .records
            .get(&ticket)
            .map(|(record, _)| *record)
            .unwrap_or_default()
    }

    pub(crate) fn update(&self, ticket: u64, change: impl FnOnce(&mut Record)) {
        if let Some((record, _)) = self.lock().records.get_mut(&ticket) {
            change(record);
        }
        self.changed.notify_waiters();
    }

    pub(crate) fn release(&self, ticket: u64) {
        if let Some((_, released)) = self.lock().records.get_mut(&ticket) {
            *released += 1;
        }
        self.changed.notify_waiters();
    }

    /// Counts a connection as silent for as long as the result lives.
    pub(crate) fn silent(&self) -> Silent<'_> {
        self.lock().silent += 1;
        Silent(self)
    }

    pub(crate) async fn until_over(&self, ticket: u64) -> Record {
        self.until(|inner| match inner.records.get(&ticket) {
            Some((record, _)) => (record.state != State::Open).then_some(*record),
            None => Some(Record::default()),
        })
        .await
    }

    /// Waits until it was released so often.
    pub(crate) async fn until_released(&self, ticket: u64, times: Released) {
        self.until(|inner| match inner.records.get(&ticket) {
            Some((_, released)) => (*released >= times).then_some(()),
            None => Some(()),
        })
        .await;
    }

    pub(crate) async fn until_none_silent(&self) {
        self.until(|inner| (inner.silent == 0).then_some(())).await;
    }

    async fn until<T>(&self, check: impl Fn(&Inner) -> Option<T>) -> T {
        loop {
            // Made before the check: what changes in between wakes it.
            let changed = self.changed.notified();
            if let Some(value) = check(&self.lock()) {
                return value;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that hasn't said what it wants.
pub(crate) struct Silent<'a>(&'a Records);

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        self.0.lock().silent -= 1;
        self.0.changed.notify_waiters();
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Open => "open",
            State::Ended => "ended",
            State::Failed => "failed",
        };
        write!(f, "{state} {}", self.bytes)?;
        match self.wrong {
            Some(place) => write!(f, " {place}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Record {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("the peer answered {line:?}");
        let mut words = line.split(' ');
        let state = match words.next() {
            Some("open") => State::Open,
            Some("ended") => State::Ended,
            Some("failed") => State::Failed,
            _ => return Err(wrong()),
        };
        let mut number = || words.next().map(|word| word.parse().map_err(|_| wrong()));
        Ok(Self {
            bytes: number().ok_or_else(wrong)??,
            wrong: number().transpose()?,
            state,
        })
    }
}
