//! Strangers: which of the clients that aren't let in have a record, since anybody may come as often as he likes.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jackfield_relay_wire::{Code, Reason};

use super::{Decision, Event, Records, SessionRecord, now};
use crate::admission::Turned;
use crate::identity::Signed;
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
    /// Whose its token is, where that is signed as it should be.
    pub(crate) of: Option<Signed>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Strangers(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    repeats: Repeats<Kind>,
    /// How many there were since the last record that have none.
    more: u64,
}

/// For what they aren't let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// They are told so.
    Denied(Code),
    /// Their handshake may not even begin.
    TurnedAway(Turned),
}

impl Default for Strangers {
    fn default() -> Self {
        let repeats = Repeats::new(A_MINUTE, Instant::now());
        Self(Mutex::new(Counted { repeats, more: 0 }))
    }
}

impl Strangers {
    /// Records that this one is denied for that reason, or counts it.
    pub(crate) fn denied(&self, records: &dyn Records, stranger: Stranger<'_>, reason: &Reason) {
        let kind = Kind::Denied(reason.code());
        let Some(more) = self.count(kind, stranger.peer, Instant::now()) else {
            return;
        };
        let (outcome, why) = (reason.code().to_string(), reason.text());
        records.session(&stranger.record(outcome, why, more));
    }

    /// Records that whoever comes from there is turned away by admission, or counts it. All that is known of him
    /// is from where he comes; he is told nothing, so that there is no code.
    pub(crate) fn turned_away(&self, records: &dyn Records, peer: SocketAddr, turned: Turned) {
        let Some(more) = self.count(Kind::TurnedAway(turned), peer, Instant::now()) else {
            return;
        };
        let stranger = Stranger {
            peer,
            origin: None,
            of: None,
        };
        records.session(&stranger.record("turned away".into(), turned.text(), more));
    }

    /// How many had no record since the last one, where this one has one.
    fn count(&self, kind: Kind, peer: SocketAddr, now: Instant) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The log tells from where they came.
        drop(counted.repeats.next(now));
        let source = Some(Source::of(peer.ip()));
        if counted.repeats.note(kind, source, String::new) {
            return Some(std::mem::take(&mut counted.more));
        }
        counted.more += 1;
        None
    }
}

impl Stranger<'_> {
    fn record(self, outcome: String, why: &str, more: u64) -> SessionRecord {
        let cut = |origin: &str| origin[..origin.floor_char_boundary(MAX_ORIGIN)].to_owned();
        let (token, bearer, jti) = self
            .of
            .map_or((None, None, None), |of| (Some(of.token), of.bearer, of.id));
        SessionRecord {
            time: now(),
            event: Event::Enter,
            session: None,
            token,
            bearer,
            jti,
            origin: self.origin.map(cut),
            peer: self.peer,
            decision: Decision::Deny,
            outcome,
            why: Some(why.into()),
            carried: None,
            more_denied: Some(more).filter(|more| *more > 0),
        }
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
        let of = |kind, number, now| strangers.count(kind, peer(number), now);
        let count = |code, number, now| of(Kind::Denied(code), number, now);
        let recorded = (0..100).filter_map(|_| count(Code::TOKEN_UNKNOWN, 1, start));
        assert_eq!(recorded.collect::<Vec<_>>(), [0; A_MINUTE as usize]);
        // Another reason, and another source, are another matter.
        assert_eq!(count(Code::ORIGIN_REFUSED, 1, start), Some(80));
        assert_eq!(count(Code::TOKEN_UNKNOWN, 2, start), Some(0));
        assert_eq!(count(Code::TOKEN_UNKNOWN, 1, start), None);
        assert_eq!(of(Kind::TurnedAway(Turned::Early), 1, start), Some(1));
        assert_eq!(count(Code::TOKEN_UNKNOWN, 1, start), None);
        let later = start + Duration::from_mins(2);
        assert_eq!(count(Code::TOKEN_UNKNOWN, 1, later), Some(1));
    }
}
