//! Strangers: which of the clients that aren't let in have a record, since anybody may come as often as he likes.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jackfield_relay_wire::{Code, Reason};

use super::{Decision, Event, Records, SessionRecord, now};
use crate::identity::Grant;
use crate::repeats::Repeats;
use crate::source::Source;

/// How many have a record in a minute that come from one source and are denied for one reason.
const A_MINUTE: u32 = 20;
/// How many bytes of an origin are kept that nobody has allowed.
const MAX_ORIGIN: usize = 256;

/// Whoever isn't let in.
pub(crate) struct Stranger<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) origin: Option<&'a str>,
    /// What its token gives, where that is good.
    pub(crate) grant: Option<&'a Grant>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Strangers(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    repeats: Repeats<Code>,
    /// How many there were since the last record that have none.
    more: u64,
}

impl Default for Strangers {
    fn default() -> Self {
        let repeats = Repeats::new(A_MINUTE, Instant::now());
        Self(Mutex::new(Counted { repeats, more: 0 }))
    }
}

impl Strangers {
    /// Records that this one isn't let in, or counts it.
    pub(crate) fn record(&self, records: &dyn Records, stranger: &Stranger<'_>, reason: &Reason) {
        let Some(more) = self.count(reason.code(), stranger.peer, Instant::now()) else {
            return;
        };
        let Stranger {
            peer,
            origin,
            grant,
        } = *stranger;
        let cut = |origin: &str| origin[..origin.floor_char_boundary(MAX_ORIGIN)].to_owned();
        records.session(&SessionRecord {
            time: now(),
            event: Event::Enter,
            session: None,
            token: grant.map(|grant| grant.token.name.clone()),
            bearer: grant.and_then(|grant| grant.bearer.clone()),
            origin: origin.map(cut),
            peer,
            decision: Decision::Deny,
            outcome: reason.code().to_string(),
            why: Some(reason.text().into()),
            bytes_up: None,
            bytes_down: None,
            open_ms: None,
            more_denied: Some(more).filter(|more| *more > 0),
        });
    }

    /// How many had no record since the last one, where this one has one.
    fn count(&self, code: Code, peer: SocketAddr, now: Instant) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The log tells from where they came.
        drop(counted.repeats.next(now));
        let source = Some(Source::of(peer.ip()));
        if counted.repeats.note(code, source, String::new) {
            return Some(std::mem::take(&mut counted.more));
        }
        counted.more += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_few_a_minute_have_a_record_and_the_next_counts_the_others() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let peer = |number: u8| SocketAddr::from(([192, 0, 2, number], 1000));
        let count = |code, number, now| strangers.count(code, peer(number), now);
        let recorded = (0..100).filter_map(|_| count(Code::TOKEN_UNKNOWN, 1, start));
        assert_eq!(recorded.collect::<Vec<_>>(), [0; A_MINUTE as usize]);
        // Another reason, and another source, are another matter.
        assert_eq!(count(Code::ORIGIN_REFUSED, 1, start), Some(80));
        assert_eq!(count(Code::TOKEN_UNKNOWN, 2, start), Some(0));
        assert_eq!(count(Code::TOKEN_UNKNOWN, 1, start), None);
        let later = start + Duration::from_mins(2);
        assert_eq!(count(Code::TOKEN_UNKNOWN, 1, later), Some(1));
    }
}
