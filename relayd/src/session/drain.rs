//! Draining: how long a target may take over what a client has ended, and waits for no more.
//!
//! What was accepted and ended is delivered, though its client cuts the stream or is gone. A target
//! that takes it drop by drop would hold its socket and its memory for hours, with nobody left who
//! could be told; so it has a deadline, and a least rate.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::Limits;

/// How long what a target takes is added up before it is looked at: the system's buffers take, and
/// have room again, by leaps.
const PERIOD: Duration = Duration::from_secs(30);

/// A target's time to take what is left.
#[derive(Debug)]
pub(super) struct Draining {
    /// The end, whatever the rate, as long as the token lasts.
    longest: Instant,
    /// The same, and no longer than the token.
    until: Instant,
    /// What is to be taken in a period.
    least: u64,
    /// What was taken in this one.
    taken: u64,
    /// Whether it could have taken more in this one, but for the limits.
    held_back: bool,
    timer: Pin<Box<Sleep>>,
}

impl Draining {
    /// The time that a token's limits give, which ends with the token.
    pub(super) fn new(limits: &Limits, expires: Option<Instant>, now: Instant) -> Self {
        let longest = now
            .checked_add(limits.drain_deadline)
            .unwrap_or(now + PERIOD);
        let until = expires.map_or(longest, |expires| expires.min(longest));
        Self {
            longest,
            until,
            least: u64::from(limits.drain_bytes_per_second) * PERIOD.as_secs(),
            taken: 0,
            held_back: false,
            timer: Box::pin(sleep_until(until.min(now + PERIOD))),
        }
    }

    /// The token ends at another moment.
    pub(super) fn renew(&mut self, expires: Option<Instant>, now: Instant) {
        let until = expires.map_or(self.longest, |expires| expires.min(self.longest));
        let before = std::mem::replace(&mut self.until, until);
        let next = self.timer.deadline();
        if next == before {
            // Which was no whole period.
            self.timer.as_mut().reset(until.min(now + PERIOD));
        } else if until < next {
            self.timer.as_mut().reset(until);
        }
    }

    /// The target has taken so much.
    pub(super) fn took(&mut self, count: usize) {
        self.taken += count as u64;
    }

    /// What there is for the target has to wait.
    pub(super) fn held_back(&mut self) {
        self.held_back = true;
    }

    /// Ready, with the reason, when the target is to be given up.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = self.timer.deadline();
            if now >= self.until {
                return Poll::Ready("drain_seconds have passed, or the token has expired");
            }
            if self.taken < self.least && !self.held_back {
                return Poll::Ready("it takes less than drain_bytes_per_second");
            }
            (self.taken, self.held_back) = (0, false);
            self.timer.as_mut().reset(self.until.min(now + PERIOD));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::sleep;

    use super::*;

    fn limits(seconds: u64, rate: u32) -> Limits {
        Limits {
            drain_deadline: Duration::from_secs(seconds),
            drain_bytes_per_second: rate,
            ..Limits::default()
        }
    }

    /// After how long a target is given up that takes so much every 8 s.
    async fn given_up(limits: &Limits, expires: Option<Duration>, count: usize) -> Duration {
        let begin = Instant::now();
        let expires = expires.map(|expires| begin + expires);
        let mut draining = Draining::new(limits, expires, begin);
        let mut next = Box::pin(sleep(Duration::from_secs(8)));
        poll_fn(|cx| {
            while next.as_mut().poll(cx).is_ready() {
                draining.took(count);
                let at = next.deadline() + Duration::from_secs(8);
                next.as_mut().reset(at);
            }
            draining.poll_given_up(cx)
        })
        .await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_has_a_deadline_and_a_least_rate() {
        let seconds = Duration::from_secs;
        for (total, rate, expires, every_8_s, expected) in [
            (120, 1024, None, 3000, 30),
            (120, 1024, None, 20_000, 120),
            (120, 0, None, 0, 120),
            (10, 1024, None, 20_000, 10),
            (120, 1024, Some(seconds(7)), 20_000, 7),
            (120, 1024, Some(Duration::ZERO), 20_000, 0),
            (0, 1024, None, 20_000, 0),
        ] {
            let after = given_up(&limits(total, rate), expires, every_8_s).await;
            let expected = seconds(expected);
            let late = after.saturating_sub(expected);
            assert!(
                after >= expected && late < seconds(1),
                "{every_8_s} in {total} s at {rate}: after {after:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_has_as_long_as_the_next_token() {
        for (then, expected) in [(Some(40), 40), (Some(3), 3), (None, 120)] {
            let begin = Instant::now();
            let at = |seconds| begin + Duration::from_secs(seconds);
            let mut draining = Draining::new(&limits(120, 0), Some(at(10)), begin);
            draining.renew(then.map(at), begin);
            poll_fn(|cx| draining.poll_given_up(cx)).await;
            assert_eq!(begin.elapsed().as_secs(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_is_not_given_up_for_what_the_limits_hold_back() {
        let begin = Instant::now();
        let mut draining = Draining::new(&limits(120, 1024), None, begin);
        let mut next = Box::pin(sleep(Duration::from_secs(8)));
        poll_fn(|cx| {
            while begin.elapsed() < Duration::from_mins(1) && next.as_mut().poll(cx).is_ready() {
                draining.held_back();
                let at = next.deadline() + Duration::from_secs(8);
                next.as_mut().reset(at);
            }
            draining.poll_given_up(cx)
        })
        .await;
        let after = begin.elapsed();
        assert!((89..=91).contains(&after.as_secs()), "after {after:?}");
    }
}
