//! The ledger: what a relay of the tests has recorded of what it denies.
//!
//! Whatever a test's client is refused, and whatever a session ends for, has to have its record. The client looks
//! for it by itself, so that no test can forget to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use jackfield_relay_wire::{Code, Id, Reason};
use jackfield_relayd::record::{Command, Decision, Event, Minting, Record, Records, SessionRecord};

/// How many denials are kept that no client has heard of. Beyond it, the oldest go.
const MAX_UNHEARD: usize = 100_000;
/// How many that aren't let in have a record in a minute; the others are counted.
const STRANGERS_A_MINUTE: usize = 20;
/// What sessions are told that go on.
const LEAVING: &str = "the relay is shutting down";

/// Those of all relays that run in this process, by their ports.
static LEDGERS: LazyLock<Mutex<HashMap<u16, Arc<Denials>>>> = LazyLock::new(Mutex::default);

/// Denials of a relay of which no client has heard yet.
#[derive(Debug, Default)]
pub struct Denials(Mutex<Unheard>);

#[derive(Debug, Default)]
struct Unheard {
    openings: VecDeque<Record>,
    sessions: VecDeque<SessionRecord>,
    /// How many clients weren't let in, by what they were told.
    strangers: HashMap<String, usize>,
}

/// A relay's records: it keeps what is denied, and gives all to the test's own.
#[derive(Debug)]
pub struct Ledger<R> {
    pub denials: Arc<Denials>,
    pub all: R,
}

impl<R: Records> Records for Ledger<R> {
    fn record(&self, record: &Record) {
        if record.event == Event::Open && record.outcome != "opened" {
            keep(&mut self.denials.unheard().openings, record);
        }
        self.all.record(record);
    }

    fn session(&self, record: &SessionRecord) {
        let denied = record.decision == Decision::Deny;
        if record.event == Event::Leave || denied {
            let mut unheard = self.denials.unheard();
            keep(&mut unheard.sessions, record);
            if denied {
                let count = unheard.strangers.entry(record.outcome.clone());
                *count.or_default() += 1;
            }
        }
        self.all.session(record);
    }

    fn minting(&self, minting: &Minting) {
        self.all.minting(minting);
    }

    fn command(&self, command: &Command) {
        self.all.command(command);
    }

    fn dropped(&self) -> u64 {
        self.all.dropped()
    }

    fn reopen(&self) -> std::io::Result<()> {
        self.all.reopen()
    }
}

fn keep<T: Clone>(all: &mut VecDeque<T>, one: &T) {
    if all.len() >= MAX_UNHEARD {
        all.pop_front();
    }
    all.push_back(one.clone());
}

/// Takes up a relay at this port.
pub fn open(port: u16, denials: Arc<Denials>) {
    let mut all = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(port, denials);
}

/// The one of the relay at this port, if it is one of this process.
pub fn find(port: u16) -> Option<Arc<Denials>> {
    let all = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(&port).cloned()
}

/// The relay at this port is over.
pub fn close(port: u16) {
    let mut all = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.remove(&port);
}

impl Denials {
    fn unheard(&self) -> MutexGuard<'_, Unheard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client has heard that something can't be opened: that is recorded by then.
    #[track_caller]
    pub fn hear_refusal(&self, id: Id, reason: &Reason) {
        let (id, outcome) = (id.get(), reason.code().to_string());
        let mut unheard = self.unheard();
        let at = (unheard.openings.iter()).position(|it| it.id == id && it.outcome == outcome);
        let record = at.and_then(|at| unheard.openings.remove(at));
        let record = record.unwrap_or_else(|| panic!("{id} has no record: {reason}"));
        assert!(record.why.is_some(), "{record:?}");
        if matches!(reason.code(), Code::DENIED | Code::LIMIT_EXCEEDED) {
            assert_eq!(record.basis.decision, Decision::Deny, "{record:?}");
        }
    }

    /// A client has heard why it isn't let in, or why its session ends: that is recorded by then.
    #[track_caller]
    pub fn hear_end(&self, reason: &Reason) {
        if reason.text() == LEAVING {
            return;
        }
        let outcome = reason.code().to_string();
        let mut unheard = self.unheard();
        let at = (unheard.sessions.iter()).position(|it| it.outcome == outcome);
        let record = at.and_then(|at| unheard.sessions.remove(at));
        let Some(record) = record else {
            let recorded = unheard.strangers.get(&outcome).copied();
            assert!(recorded >= Some(STRANGERS_A_MINUTE), "no record: {reason}");
            return;
        };
        assert_eq!(record.why.as_deref(), Some(reason.text()), "{record:?}");
    }
}
