//! How a session ends: with a last word to its client, and what that had ended for its targets.

use std::future::poll_fn;
use std::task::Poll;

use jackfield_relay_wire::{Code, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tracing::info;

use super::carrier::Carrier;
use super::{CLOSE_DEADLINE, Item, Session};

/// How a session's WebSocket has ended.
pub(super) struct Ended {
    reason: Reason,
    /// Whether the last word was said, and answered, in time.
    closed: bool,
}

impl Session<'_> {
    /// Says the last word, and closes.
    pub(super) async fn end<S>(&mut self, mut carrier: Carrier<S>) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let reason = self.mux.closed().cloned();
        let reason = reason.unwrap_or_else(|| Reason::new(Code::CLOSED, ""));
        // Ahead of the last word, which its client may take its time over. What drains afterwards is in the
        // records of the streams.
        let (up, down) = (self.counters.bytes_up, self.counters.bytes_down);
        self.clerk.left(&reason, self.entered.since, up, down);
        for entry in self.items.values_mut() {
            entry.case.ending(&reason);
        }
        // Everything that is open is cut: its sockets close here. What the client had ended is whole,
        // and was promised, unless an administrator ends the session.
        let (mux, grant, expires) = (&mut self.mux, &self.grant, self.expires);
        let (killed, undelivered) = (self.killed, &mut self.counters.undelivered);
        self.items.retain(|id, entry| match &mut entry.item {
            Item::Stream(pump) if mux.read(*id).is_ok() => {
                let goes_on = !killed && pump.outlive(grant, expires);
                if !goes_on {
                    *undelivered += 1;
                    entry.case.undelivered();
                }
                goes_on
            }
            _ => false,
        });
        let closing = async {
            while let Some(message) = self.mux.transmit() {
                poll_fn(|cx| carrier.poll_ready(cx)).await;
                carrier.send(message);
            }
            carrier.close(&reason).await;
        };
        let closed = timeout(CLOSE_DEADLINE, closing).await.is_ok();
        Ended { reason, closed }
    }

    /// Writes what the client had sent and ended before the connection was over, as far as its targets
    /// take it in the time that they have.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; another goes on.
    pub(super) async fn drain(&mut self) {
        for id in self.items.keys() {
            self.ready.wake(*id);
        }
        poll_fn(|cx| {
            self.ready.register(cx.waker());
            if self.take_turns() {
                cx.waker().wake_by_ref();
            }
            self.publish();
            if self.items.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Cuts what drains.
    pub(super) fn give_up(&mut self) {
        self.counters.undelivered += self.items.len() as u64;
        for (_, mut entry) in self.items.drain() {
            entry.case.undelivered();
        }
    }

    /// Logs what it was.
    pub(super) fn tell(&self, ended: &Ended) {
        info!(
            code = %ended.reason.code(),
            reason = ended.reason.text(),
            closed = ended.closed,
            undelivered = self.counters.undelivered,
            opened = self.counters.opened,
            refused = self.counters.refused,
            bytes_up = self.counters.bytes_up,
            bytes_down = self.counters.bytes_down,
            datagrams_dropped = self.counters.datagrams_dropped,
            "a session ends"
        );
    }
}
