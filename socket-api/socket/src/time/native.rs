//! Tokio's clock and timers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Instant;

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[derive(Debug)]
pub(super) struct Timer(Pin<Box<tokio::time::Sleep>>);

impl Timer {
    pub(super) fn new(deadline: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(deadline.into())))
    }

    pub(super) fn reset(&mut self, deadline: Instant) {
        self.0.as_mut().reset(deadline.into());
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
