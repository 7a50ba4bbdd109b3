//! The replay window: which Partial IVs have been seen (section 7.4).

/// How many of the newest numbers are remembered one by one; what is older counts as seen. The
/// RFC's default is 32 (section 3.2.2).
const SIZE: u64 = 64;

/// The anti-replay window of IPsec and DTLS (RFC 6347, section 4.1.2.6).
#[derive(Clone, Debug)]
pub(super) struct ReplayWindow {
    /// Every number below has been seen, or is too old to tell.
    lowest: u64,
    /// From `lowest` on, a bit for each number that has been seen.
    seen: u64,
}

impl ReplayWindow {
    /// Nothing has been seen.
    pub(super) fn new() -> Self {
        Self { lowest: 0, seen: 0 }
    }

    /// Nothing from `number` on has been seen; what is before it counts as seen.
    pub(super) fn starting_at(number: u64) -> Self {
        Self {
            lowest: number,
            seen: 0,
        }
    }

    /// Whether `number` is new.
    pub(super) fn is_new(&self, number: u64) -> bool {
        match number.checked_sub(self.lowest) {
            Some(offset) => offset >= SIZE || self.seen & (1 << offset) == 0,
            None => false,
        }
    }

    /// Marks `number` as seen: only after the message that carries it was verified, or anyone could
    /// make the window jump.
    pub(super) fn accept(&mut self, number: u64) {
        let Some(mut offset) = number.checked_sub(self.lowest) else {
            return;
        };
        if offset >= SIZE {
            let shift = offset - (SIZE - 1);
            self.seen = if shift < SIZE { self.seen >> shift } else { 0 };
            self.lowest += shift;
            offset = SIZE - 1;
        }
        self.seen |= 1 << offset;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_number_is_new_once() {
        let mut window = ReplayWindow::new();
        for number in [0, 1, 3, 2, 70, 7, 69, 133, 134, 1 << 39, (1 << 40) - 1] {
            assert!(window.is_new(number), "{number}");
            window.accept(number);
            assert!(!window.is_new(number), "{number}, again");
        }
        assert!(!window.is_new(4), "too old to tell");
    }

    #[test]
    fn the_last_64_are_told_apart_whatever_their_order() {
        let mut random = fastrand::Rng::with_seed(8613);
        for _ in 0..200 {
            let mut window = ReplayWindow::new();
            let mut seen = BTreeSet::new();
            let mut highest = 0;
            for _ in 0..500 {
                let number = (highest + random.u64(..80)).saturating_sub(random.u64(..80));
                let expected =
                    !seen.contains(&number) && (highest < SIZE || number > highest - SIZE);
                assert_eq!(window.is_new(number), expected, "{number} of {highest}");
                if expected {
                    window.accept(number);
                    seen.insert(number);
                    highest = highest.max(number);
                }
            }
        }
    }

    #[test]
    fn a_window_that_starts_later_takes_nothing_older() {
        let mut window = ReplayWindow::starting_at(100);
        assert!(!window.is_new(99));
        assert!(window.is_new(100));
        window.accept(100);
        assert!(!window.is_new(100));
        assert!(window.is_new(101));
    }
}
