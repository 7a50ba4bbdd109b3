//! Refusals: how many openings of one bearer may be refused, over all its sessions.
//!
//! Each costs the relay more than asking for it costs the client: an answer, a line in the log, a record. So
//! whoever is refused too often loses the session, and gets no other meanwhile; otherwise to come again would
//! be all that it takes to go on.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Account, Bucket, LimitReached, Limits, Usage, Whose};

/// What may be refused at once is what this time gives.
const MINUTE: Duration = Duration::from_mins(1);

impl Usage {
    /// Counts one refusal.
    ///
    /// # Errors
    /// Where that is one too many.
    pub(crate) fn refuse(&self, limits: &Limits, now: Instant) -> Result<(), LimitReached> {
        let many = limits.refusals_per_minute;
        let bearers = self.bearers();
        let enough = bearers.fold(true, |enough, account| {
            enough & account.refused().take_within(MINUTE, many, now)
        });
        enough.then_some(()).ok_or(reached(limits))
    }

    /// Whether another session may begin, of a bearer that was refused before.
    ///
    /// # Errors
    /// Where it was refused too often.
    pub(crate) fn check_refusals(&self, limits: &Limits, now: Instant) -> Result<(), LimitReached> {
        let many = limits.refusals_per_minute;
        // With none, the first refusal ends a session; but who was never refused comes in.
        let has = |account: &Account| many == 0 || account.refused().has_within(MINUTE, many, now);
        let enough = self.bearers().all(has);
        enough.then_some(()).ok_or(reached(limits))
    }

    fn bearers(&self) -> impl Iterator<Item = &Account> {
        let shares = self.shares.iter();
        let bearers = shares.filter(|share| share.whose == Whose::Bearer);
        bearers.map(|share| &*share.account)
    }
}

impl Account {
    pub(super) fn refused(&self) -> MutexGuard<'_, Bucket> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reached(limits: &Limits) -> LimitReached {
    LimitReached {
        whose: Whose::Bearer,
        name: "refusals_per_minute",
        value: limits.refusals_per_minute.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accounts, Clock, Holder, Quota};
    use super::*;

    #[test]
    fn refusals_count_over_all_sessions_and_pass_with_time() {
        let accounts = Accounts::default();
        let of = |name: &str| {
            let bearer = Holder::Bearer("a".into(), name.into());
            let token = Holder::Token("a".into());
            accounts.usage([(bearer, Quota::default()), (token, Quota::default())])
        };
        let limits = Limits {
            refusals_per_minute: 3,
            ..Limits::default()
        };
        let mut clock = Clock::now();
        let start = clock.now;
        for _ in 0..3 {
            assert!(of("ada").check_refusals(&limits, start).is_ok());
            assert!(of("ada").refuse(&limits, start).is_ok());
        }
        let reached = of("ada").refuse(&limits, start).expect_err("too many");
        assert_eq!(of("ada").check_refusals(&limits, start), Err(reached));
        assert!(of("eve").check_refusals(&limits, start).is_ok());
        // Nothing is held by now, and all the same it isn't forgotten.
        let mut known = accounts.known.lock().expect("no panic");
        known.sweep(clock);
        assert!(!known.accounts.is_empty());
        clock.now = start + MINUTE;
        known.sweep(clock);
        assert!(known.accounts.is_empty());
        drop(known);
        let later = start + MINUTE / 3;
        assert!(of("ada").check_refusals(&limits, later).is_ok());
    }

    #[test]
    fn where_no_refusal_is_allowed_who_was_never_refused_comes_in() {
        let bearer = Holder::Bearer("a".into(), "ada".into());
        let usage = Accounts::default().usage([(bearer, Quota::default())]);
        let limits = Limits {
            refusals_per_minute: 0,
            ..Limits::default()
        };
        let now = Instant::now();
        assert!(usage.check_refusals(&limits, now).is_ok());
        assert!(usage.refuse(&limits, now).is_err());
    }
}
