//! Buckets: how often something may be done in a while, as dials and refusals are counted.

use std::time::Duration;

use tokio::time::Instant;

/// What may be dialled at once is what this time gives.
const BURST: Duration = Duration::from_secs(1);

/// A bucket that fills with time, and of which each dial takes one. It knows no rate, since limits may
/// differ among those that take from it, and change.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When it will be full again.
    full_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn take(&mut self, rate: u32, now: Instant) -> bool {
        self.take_within(BURST, rate, now)
    }

    /// As [`take`](Self::take), where it fills within `time` with so many.
    pub(super) fn take_within(&mut self, time: Duration, many: u32, now: Instant) -> bool {
        let Some(one) = time.checked_div(many) else {
            return false;
        };
        let full_at = self.with(one, now);
        let enough = full_at - now <= time;
        if enough {
            self.full_at = Some(full_at);
        }
        enough
    }

    /// Whether there is one left, where it fills within `time` with so many.
    pub(super) fn has_within(&self, time: Duration, many: u32, now: Instant) -> bool {
        let one = time.checked_div(many);
        one.is_some_and(|one| self.with(one, now) - now <= time)
    }

    /// When it would be full again if this were taken.
    fn with(&self, taken: Duration, now: Instant) -> Instant {
        self.full_at.map_or(now, |at| at.max(now)) + taken
    }

    pub(super) fn give_back(&mut self, rate: u32) {
        let one = BURST.checked_div(rate).unwrap_or_default();
        self.full_at = self.full_at.and_then(|at| at.checked_sub(one));
    }

    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}
