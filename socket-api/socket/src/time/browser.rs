//! The page's clock and `setTimeout`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use gloo_timers::future::TimeoutFuture;
use send_wrapper::SendWrapper;

use super::Instant;

/// `setTimeout` takes a signed 32-bit number of milliseconds; a longer wait is made of several.
const LONGEST: u32 = i32::MAX as u32;

pub(super) fn now() -> Instant {
    Instant::now()
}

pub(super) struct Timer {
    deadline: Instant,
    /// Made at the first poll, so that a timer which is reset before costs the page nothing.
    timeout: Option<SendWrapper<TimeoutFuture>>,
}

impl Timer {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            timeout: None,
        }
    }

    pub(super) fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.timeout = None;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(timeout) = &mut self.timeout {
                if Pin::new(&mut **timeout).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.timeout = None;
            }
            let left = self.deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            // Rounded up: waking early would only mean to wait once more.
            let millis = left.subsec_micros().div_ceil(1000);
            let millis = left
                .as_secs()
                .saturating_mul(1000)
                .saturating_add(millis.into());
            let millis = u32::try_from(millis).unwrap_or(LONGEST).min(LONGEST);
            self.timeout = Some(SendWrapper::new(TimeoutFuture::new(millis)));
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
