//! Sets of UIDs that are small however many are in them, as long as they stand in a row: those that
//! are known, with what is known of their flags, and others.

use std::collections::BTreeMap;

use crate::codec::{Flag, SequenceSet};

/// Flags in short. Two that differ are the same only by a chance of one in 2⁶⁴.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Print(pub(super) u64);

impl Print {
    /// Nothing is known of the flags.
    pub(super) const UNKNOWN: Self = Self(0);

    /// Their order means nothing, nor do capitals; `\Recent` is not the message's but the session's.
    pub(super) fn of(flags: &[Flag]) -> Self {
        let flags = flags.iter().filter(|flag| **flag != Flag::Recent);
        let mut prints: Vec<u64> = flags.map(|flag| print(flag.name())).collect();
        prints.sort_unstable();
        prints.dedup();
        let all = prints.iter().fold(OFFSET, |all, print| mix(all ^ print));
        Self(all.max(1))
    }
}

/// FNV-1a's.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn print(name: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    };
    mix(name.iter().fold(OFFSET, fold))
}

/// `SplitMix64`'s last steps: every bit of the outcome depends on every bit that goes in.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The messages that are known: runs of UIDs with the same flags, by their first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known(BTreeMap<u32, (u32, Print)>);

impl Known {
    pub(super) fn count(&self) -> u64 {
        let runs = self.0.iter();
        runs.map(|(from, (to, _))| u64::from(to - from) + 1).sum()
    }

    /// The lowest and the highest.
    pub(super) fn bounds(&self) -> Option<(u32, u32)> {
        let (first, _) = self.0.first_key_value()?;
        let (_, (last, _)) = self.0.last_key_value()?;
        Some((*first, *last))
    }

    pub(super) fn runs(&self) -> impl DoubleEndedIterator<Item = (u32, u32, Print)> + '_ {
        self.0
            .iter()
            .map(|(from, (to, print))| (*from, *to, *print))
    }

    /// Those from one UID to another, without their flags.
    pub(super) fn ranges(&self, from: u32, to: u32) -> Ranges {
        let before = self.run_of(from).map(|(from, _, _)| from);
        let mut ranges = Ranges::default();
        for (&first, &(last, _)) in self.0.range(before.unwrap_or(from)..=to.max(from)) {
            ranges.push(first.max(from), last.min(to));
        }
        ranges
    }

    pub(super) fn get(&self, uid: u32) -> Option<Print> {
        self.run_of(uid).map(|(_, _, print)| print)
    }

    fn run_of(&self, uid: u32) -> Option<(u32, u32, Print)> {
        let (&from, &(to, print)) = self.0.range(..=uid).next_back()?;
        (uid <= to).then_some((from, to, print))
    }

    pub(super) fn insert(&mut self, uid: u32, print: Print) {
        self.insert_run(uid, uid, print);
    }

    /// None of these is known yet, or it is one.
    pub(super) fn insert_run(&mut self, mut from: u32, mut to: u32, print: Print) {
        if let Some((first, last, old)) = self.run_of(from) {
            if old == print {
                return;
            }
            self.0.remove(&first);
            if first < from {
                self.0.insert(first, (from - 1, old));
            }
            if to < last {
                self.0.insert(to + 1, (last, old));
            }
        }
        if let Some((first, _, _)) = from
            .checked_sub(1)
            .and_then(|before| self.run_of(before))
            .filter(|(_, _, other)| *other == print)
        {
            from = first;
        }
        if let Some((behind, last)) = to
            .checked_add(1)
            .and_then(|behind| Some((behind, self.0.get(&behind)?)))
            .filter(|(_, (_, other))| *other == print)
            .map(|(behind, (last, _))| (behind, *last))
        {
            self.0.remove(&behind);
            to = last;
        }
        self.0.insert(from, (to, print));
    }

    /// Takes out those from one UID to another that are known, and adds them to `gone`.
    pub(super) fn remove(&mut self, from: u32, to: u32, gone: &mut Ranges) {
        let first = self.run_of(from).map_or(from, |(first, _, _)| first);
        while let Some((&begin, &(end, print))) = self
            .0
            .range(first..)
            .find(|(_, (end, _))| from <= *end)
            .filter(|(begin, _)| **begin <= to)
        {
            self.0.remove(&begin);
            if begin < from {
                self.0.insert(begin, (from - 1, print));
            }
            if to < end {
                self.0.insert(to + 1, (end, print));
            }
            gone.insert(begin.max(from), end.min(to));
        }
    }
}

/// A set of UIDs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// The highest.
    pub(super) fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }

    pub(super) fn into_set(self) -> Option<SequenceSet> {
        SequenceSet::of_ranges(self.0)
    }

    /// Adds a range that stands behind all others, or meets the last.
    pub(super) fn push(&mut self, from: u32, to: u32) {
        match self.0.last_mut() {
            Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
            _ => self.0.push((from, to)),
        }
    }

    pub(super) fn insert(&mut self, from: u32, to: u32) {
        let at = |ranges: &[(u32, u32)], is_before: &dyn Fn(&(u32, u32)) -> bool| {
            ranges.partition_point(is_before)
        };
        // Those that it meets become one with it.
        let first = at(&self.0, &|range| range.1.saturating_add(1) < from);
        let behind = at(&self.0, &|range| range.0 <= to.saturating_add(1));
        if first >= behind {
            self.0.insert(first, (from, to));
            return;
        }
        let met = (self.0[first].0.min(from), self.0[behind - 1].1.max(to));
        self.0[first] = met;
        self.0.drain(first + 1..behind);
    }

    pub(super) fn remove(&mut self, from: u32, to: u32) {
        let mut left = Self::default();
        for (first, last) in self.0.drain(..) {
            if first < from {
                left.push(first, last.min(from - 1));
            }
            if to < last {
                left.push(first.max(to + 1), last);
            }
        }
        *self = left;
    }

    /// Those that are not in another set.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = Self::default();
        let mut others = other.0.iter().peekable();
        for &(from, to) in &self.0 {
            let mut next = Some(from);
            while let Some(begin) = next {
                match others.peek() {
                    Some(&&(_, last)) if last < begin => {
                        others.next();
                    }
                    Some(&&(first, last)) if first <= to => {
                        if begin < first {
                            left.push(begin, first - 1);
                        }
                        next = last.checked_add(1).filter(|begin| *begin <= to);
                    }
                    _ => {
                        left.push(begin, to);
                        next = None;
                    }
                }
            }
        }
        left
    }
}

/// A set of UIDs that come in any order, and in any number: adding one takes no time to speak of, and
/// those that come again take no memory.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    sorted: Ranges,
    rest: Vec<(u32, u32)>,
}

/// So many need not be sorted.
const FEW: usize = 1000;

impl Gathering {
    pub(super) fn add(&mut self, from: u32, to: u32) {
        if self.sorted.last().is_none_or(|last| last < from) {
            return self.sorted.push(from, to);
        }
        self.rest.push((from, to));
        if self.rest.len() > self.sorted.0.len().max(FEW) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.rest.append(&mut self.sorted.0);
        self.rest.sort_unstable();
        for (from, to) in self.rest.drain(..) {
            self.sorted.push(from, to);
        }
    }

    pub(super) fn into_ranges(mut self) -> Ranges {
        self.sort();
        self.sorted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn known_messages_are_what_was_put_in_and_not_taken_out() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut known = Known::default();
            let mut model: BTreeMap<u32, Print> = BTreeMap::new();
            for _ in 0..60 {
                let (from, print) = (random.u32(1..40), Print(random.u64(0..3)));
                let to = from + random.u32(0..8);
                if random.u8(..3) > 0 {
                    known.insert(from, print);
                    model.insert(from, print);
                } else {
                    let mut gone = Ranges::default();
                    known.remove(from, to, &mut gone);
                    let taken: Vec<u32> = gone.iter().flat_map(|(from, to)| from..=to).collect();
                    let expected: Vec<u32> = model.range(from..=to).map(|(uid, _)| *uid).collect();
                    assert_eq!(taken, expected);
                    model.retain(|uid, _| *uid < from || to < *uid);
                }
                let runs: Vec<_> = known.runs().collect();
                let told: BTreeMap<u32, Print> = runs
                    .iter()
                    .flat_map(|(from, to, print)| (*from..=*to).map(|uid| (uid, *print)))
                    .collect();
                assert_eq!(told, model);
                // Neighbours with the same flags are one run.
                for two in runs.windows(2) {
                    assert!(two[0].1 + 1 < two[1].0 || two[0].2 != two[1].2, "{runs:?}");
                }
                let within: Vec<u32> = known
                    .ranges(from, to)
                    .iter()
                    .flat_map(|(from, to)| from..=to)
                    .collect();
                let expected: Vec<u32> = model.range(from..=to).map(|(uid, _)| *uid).collect();
                assert_eq!(within, expected);
            }
        }
    }

    #[test]
    fn ranges_are_sets() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut sets, mut models) = ([Ranges::default(), Ranges::default()], [0_u64; 2]);
            for _ in 0..30 {
                let which = random.usize(..2);
                let from = random.u32(1..50);
                let to = from + random.u32(0..10);
                let bits = (from..=to).fold(0, |bits, uid| bits | 1 << uid);
                if random.bool() {
                    sets[which].insert(from, to);
                    models[which] |= bits;
                } else {
                    sets[which].remove(from, to);
                    models[which] &= !bits;
                }
                let bits = |set: &Ranges| {
                    let uids = set.iter().flat_map(|(from, to)| from..=to);
                    uids.fold(0_u64, |bits, uid| bits | 1 << uid)
                };
                assert_eq!(bits(&sets[which]), models[which]);
                assert_eq!(bits(&sets[0].without(&sets[1])), models[0] & !models[1]);
                let parted = |two: &[(u32, u32)]| two[0].1 + 1 < two[1].0;
                assert!(sets[which].0.windows(2).all(parted));
            }
        }
    }

    #[test]
    fn what_is_gathered_is_a_set_in_any_order() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut gathering, mut ranges) = (Gathering::default(), Ranges::default());
            for _ in 0..4 * FEW {
                let from = random.u32(1..20_000);
                let to = from + random.u32(0..3);
                gathering.add(from, to);
                ranges.insert(from, to);
            }
            assert_eq!(gathering.into_ranges(), ranges);
        }
        // Those that go down don't take long, nor do the same ones again take room.
        let mut gathering = Gathering::default();
        for uid in (1..400_000).rev().filter(|uid| uid % 2 == 0) {
            gathering.add(uid, uid);
        }
        for _ in 0..100 * FEW {
            gathering.add(4, 4);
        }
        assert!(gathering.rest.len() <= 200_000 && gathering.sorted.0.len() <= 200_000);
        assert_eq!(gathering.into_ranges().0.len(), 199_999);
    }

    #[test]
    fn flags_are_the_same_in_any_order() {
        let flags = |names: &[&str]| {
            let flags: Vec<Flag> = names.iter().map(|it| it.parse().expect("a flag")).collect();
            Print::of(&flags)
        };
        assert_eq!(
            flags(&["\\Seen", "$Junk"]),
            flags(&["$junk", "\\Recent", "\\Seen"])
        );
        assert_ne!(flags(&["\\Seen"]), flags(&[]));
        assert_ne!(flags(&["\\Seen"]), flags(&["\\Flagged"]));
        assert_ne!(flags(&[]), Print::UNKNOWN);
    }
}
