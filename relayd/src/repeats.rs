//! Repeats: of events of one kind from one source, the first few a minute are written in full, and
//! the others are counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::source::Source;

/// How long repeats are gathered.
const WINDOW: Duration = Duration::from_mins(1);
/// How many kinds from how many sources are told apart in that time; those of further sources are
/// taken together.
const MAX_KEYS: usize = 1024;
/// How many of them are told one by one at the end of it, those with the most repeats.
const MAX_TOLD: usize = 16;

/// Who repeats what, in the minute that is running.
#[derive(Debug)]
pub(crate) struct Repeats<K> {
    /// How many a minute are written in full.
    limit: u32,
    began: Instant,
    /// By kind and source; `None` is what has none, or came when too many were told apart.
    seen: HashMap<(K, Option<Source>), Seen>,
}

#[derive(Debug)]
struct Seen {
    what: String,
    count: u64,
}

/// What was not written of one kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) what: String,
    pub(crate) more: u64,
    /// Where it came from, if that is one source.
    pub(crate) source: Option<Source>,
}

impl<K: Clone + Eq + Hash> Repeats<K> {
    pub(crate) fn new(limit: u32, now: Instant) -> Self {
        Self {
            limit,
            began: now,
            seen: HashMap::new(),
        }
    }

    /// Takes note of an event; whether to write it in full. `what` says what it is, and is asked for once a key.
    pub(crate) fn note(
        &mut self,
        kind: K,
        source: Option<Source>,
        what: impl FnOnce() -> String,
    ) -> bool {
        let full = self.seen.len() >= MAX_KEYS;
        let source = source.filter(|_| !full || self.seen.contains_key(&(kind.clone(), source)));
        let seen = self.seen.entry((kind, source)).or_insert_with(|| Seen {
            what: what(),
            count: 0,
        });
        seen.count += 1;
        seen.count <= self.limit.into()
    }

    /// Begins a new minute where one has passed: what was not written in it.
    pub(crate) fn next(&mut self, now: Instant) -> Vec<Summary> {
        if now.duration_since(self.began) < WINDOW {
            return Vec::new();
        }
        self.began = now;
        self.end()
    }

    /// What was not written so far.
    pub(crate) fn end(&mut self) -> Vec<Summary> {
        let mut all: Vec<_> = self
            .seen
            .drain()
            .filter_map(|((kind, source), seen)| {
                let more = seen.count.saturating_sub(self.limit.into());
                let what = seen.what;
                (more > 0).then_some((kind, Summary { what, more, source }))
            })
            .collect();
        all.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.more));
        let rest = all.split_off(all.len().min(MAX_TOLD));
        let mut others: HashMap<K, Summary> = HashMap::new();
        for (kind, summary) in rest {
            let other = others.entry(kind).or_insert_with(|| Summary {
                what: summary.what,
                more: 0,
                source: None,
            });
            other.more += summary.more;
        }
        all.into_iter()
            .map(|(_, summary)| summary)
            .chain(others.into_values())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Source {
        Source::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn the_first_few_a_minute_are_written_and_the_others_counted() {
        let start = Instant::now();
        let mut repeats = Repeats::new(3, start);
        let mut written = 0;
        for _ in 0..100 {
            written += u32::from(repeats.note("denied", Some(source(1)), || "denied".into()));
        }
        assert_eq!(written, 3);
        // Another source, and another kind, are another matter.
        assert!(repeats.note("denied", Some(source(2)), || "denied".into()));
        assert!(repeats.note("begins", Some(source(1)), || "begins".into()));
        assert_eq!(repeats.next(start + WINDOW / 2), []);
        let told = repeats.next(start + WINDOW);
        assert_eq!(
            told,
            [Summary {
                what: "denied".into(),
                more: 97,
                source: Some(source(1))
            }]
        );
        // A new minute.
        assert!(repeats.note("denied", Some(source(1)), || "denied".into()));
        assert_eq!(repeats.end(), []);
    }

    #[test]
    fn however_many_sources_there_are_what_is_kept_and_told_is_bounded() {
        const SOURCES: u32 = 100_000;
        let start = Instant::now();
        let mut repeats = Repeats::new(2, start);
        let mut written = 0;
        for number in 0..SOURCES {
            for _ in 0..3 {
                written +=
                    u32::from(repeats.note("denied", Some(source(number)), || "denied".into()));
            }
        }
        let keys = MAX_KEYS as u32 + 1;
        assert_eq!(repeats.seen.len(), MAX_KEYS + 1);
        assert_eq!(written, 2 * keys);
        let told = repeats.next(start + WINDOW);
        assert!(told.len() <= MAX_TOLD + 1, "{}", told.len());
        let more: u64 = told.iter().map(|summary| summary.more).sum();
        assert_eq!(more + u64::from(written), 3 * u64::from(SOURCES));
    }
}
