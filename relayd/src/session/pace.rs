//! Pace: how one direction of a stream keeps to what a second may carry, and when it has its turn.
//!
//! Whatever waits here is not taken from where it is. What the client sends stays in its window, for
//! which it gets no new credit, and what a target sends stays in the system's buffer: a connection's
//! sender is held back, and a datagram socket loses what comes when the buffer is full.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::limits::{Carried, Clock, LimitReached, Usage};
use crate::metrics::{Counted, Metrics};

/// How long to wait where other relays are being asked what a day has left.
const ASKED_AGAIN: Duration = Duration::from_millis(5);

/// One direction's.
#[derive(Debug, Default)]
pub(super) struct Pace {
    state: State,
    /// There while something is to be carried and may not be yet.
    held_back: Option<Counted>,
}

#[derive(Debug, Default)]
enum State {
    /// It has been silent, or never had to wait.
    #[default]
    Free,
    /// For its turn.
    Waiting(Pin<Box<Sleep>>),
    /// It has waited, and has not carried anything since.
    Turn,
}

impl Pace {
    /// Ready with how many bytes may be carried now, at the most; an error where it is none any more
    /// today.
    pub(super) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        usage: &Usage,
        metrics: &Metrics,
    ) -> Poll<Result<usize, LimitReached>> {
        if !usage.is_metered() {
            return Poll::Ready(Ok(usize::MAX));
        }
        let turn = self.state.poll_turn(cx, usage);
        if turn.is_ready() {
            self.held_back = None;
        } else {
            self.held_back
                .get_or_insert_with(|| metrics.held_back(usage.slowest(Clock::now())));
        }
        turn
    }

    /// Counts what was carried.
    pub(super) fn carried(&mut self, usage: &Usage, carried: Carried) {
        if !usage.is_metered() {
            return;
        }
        let clock = Clock::now();
        let wait = usage.count(carried, clock);
        self.state = if wait.is_zero() {
            State::Free
        } else {
            State::wait(clock, wait)
        };
    }
}

impl State {
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        usage: &Usage,
    ) -> Poll<Result<usize, LimitReached>> {
        loop {
            if let Self::Waiting(timer) = self {
                ready!(timer.as_mut().poll(cx));
                *self = Self::Turn;
            }
            let clock = Clock::now();
            let (bytes, mut wait) = usage.turn(clock)?;
            if bytes == 0 {
                wait = wait.max(ASKED_AGAIN);
            } else if matches!(self, Self::Turn) || wait.is_zero() {
                return Poll::Ready(Ok(bytes));
            }
            *self = Self::wait(clock, wait);
        }
    }

    fn wait(clock: Clock, time: Duration) -> Self {
        Self::Waiting(Box::pin(sleep_until(clock.now + time)))
    }
}
