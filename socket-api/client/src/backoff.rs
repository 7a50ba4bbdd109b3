//! Backoff: how long to wait before the next attempt.

use std::time::Duration;

/// How to try again: after a delay that doubles with each failure in a row, less up to half of it
/// by chance, so that a server that restarts is not met by all its clients at once.
///
/// ```
/// use std::time::Duration;
///
/// use jackfield_client::Reconnect;
///
/// let mut reconnect = Reconnect::default();
/// reconnect.longest_delay = Duration::from_secs(30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// The first delay. Default: 2 s.
    pub first_delay: Duration,
    /// The longest delay. Default: 5 min.
    pub longest_delay: Duration,
    /// How long a session must have lasted for the next delay to be the first one again. Default:
    /// 1 min.
    pub stable_after: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(2),
            longest_delay: Duration::from_mins(5),
            stable_after: Duration::from_mins(1),
        }
    }
}

/// The delays that a [`Reconnect`] describes.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: Reconnect,
    random: fastrand::Rng,
    delay: Duration,
}

impl Backoff {
    /// The delays from the first on; the same seed gives the same ones.
    pub(crate) fn new(policy: Reconnect, seed: Option<u64>) -> Self {
        // Without randomness from the system, the delays are the same everywhere: no reason to fail.
        let seed = seed.or_else(|| getrandom::u64().ok()).unwrap_or_default();
        Self {
            policy,
            random: fastrand::Rng::with_seed(seed),
            delay: policy.first_delay,
        }
    }

    /// The next delay, after a session that lasted this long.
    pub(crate) fn next(&mut self, lasted: Duration) -> Duration {
        if lasted >= self.policy.stable_after {
            self.delay = self.policy.first_delay;
        }
        let delay = self.delay.min(self.policy.longest_delay);
        self.delay = delay.saturating_mul(2);
        delay.mul_f64(1.0 - self.random.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_longest_and_begin_anew() {
        let policy = Reconnect::default();
        let mut backoff = Backoff::new(policy, Some(7));
        let mut again = Backoff::new(policy, Some(7));
        let mut whole = policy.first_delay;
        for _ in 0..20 {
            let delay = backoff.next(Duration::ZERO);
            assert!(
                delay <= whole && delay >= whole / 2,
                "{delay:?} of {whole:?}"
            );
            assert_eq!(delay, again.next(Duration::ZERO));
            whole = (whole * 2).min(policy.longest_delay);
        }
        assert!(backoff.next(policy.stable_after) <= policy.first_delay);
    }
}
