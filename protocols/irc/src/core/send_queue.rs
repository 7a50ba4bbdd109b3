//! The send queue: what waits to be sent, and when it may go.

use std::collections::VecDeque;
use std::time::Duration;

use jackfield_socket::time::Instant;

use super::{Event, Flood, RequestId};
use crate::codec::Message;

/// Lines that a server provoked and that are kept while it doesn't read. More are dropped: one that
/// asks more often than it reads needs no more answers than that.
const MAX_PROVOKED: usize = 64;

/// A token bucket with a queue in front of it, and a lane past both for what can't wait.
#[derive(Debug)]
pub(super) struct SendQueue {
    flood: Flood,
    limit: usize,
    urgent: VecDeque<Message>,
    lines: VecDeque<Queued>,
    /// Those whose turn has come.
    released: VecDeque<Queued>,
    /// When the bucket will be full again: each line moves this by `flood.interval`. A line may go
    /// while it is less than `burst - 1` intervals ahead (the generic cell rate algorithm).
    full_at: Option<Instant>,
}

/// A line that waits.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) line: Message,
    /// The request whose last line this is.
    pub(super) request: Option<RequestId>,
    /// What to show once it is sent, where the server will not echo it.
    pub(super) echo: Option<Event>,
}

impl SendQueue {
    pub(super) fn new(flood: Flood, limit: usize) -> Self {
        Self {
            flood,
            limit,
            urgent: VecDeque::new(),
            lines: VecDeque::new(),
            released: VecDeque::new(),
            full_at: None,
        }
    }

    /// Whether this many lines more may wait.
    pub(super) fn has_room(&self, lines: usize) -> bool {
        let waiting = self.lines.len() + self.released.len();
        waiting.saturating_add(lines) <= self.limit
    }

    /// Adds a line at the end. [`has_room`](Self::has_room) was asked before.
    pub(super) fn push(&mut self, queued: Queued) {
        self.lines.push_back(queued);
    }

    /// Adds a line that goes at once. Who calls this bounds how often.
    pub(super) fn push_urgent(&mut self, line: Message) {
        self.urgent.push_back(line);
    }

    /// Adds a line that answers the server and goes at once, unless too many wait.
    pub(super) fn push_answer(&mut self, line: Message) {
        if self.urgent.len() < MAX_PROVOKED {
            self.urgent.push_back(line);
        }
    }

    /// The next urgent line.
    pub(super) fn pop_urgent(&mut self) -> Option<Message> {
        self.urgent.pop_front()
    }

    /// Lets go what may go now.
    pub(super) fn release(&mut self, now: Instant) {
        while now >= self.next_at(now) {
            let Some(line) = self.lines.pop_front() else {
                return;
            };
            self.released.push_back(line);
            let full_at = self.full_at.unwrap_or(now).max(now);
            self.full_at = Some(full_at + self.flood.interval);
        }
    }

    /// The next line that was let go.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        self.released.pop_front()
    }

    /// When the next line may go.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.lines.is_empty() {
            return None;
        }
        let full_at = self.full_at?;
        full_at.checked_sub(self.ahead())
    }

    /// Forgets everything that waits.
    pub(super) fn clear(&mut self) {
        self.urgent.clear();
        self.lines.clear();
        self.released.clear();
    }

    fn next_at(&self, now: Instant) -> Instant {
        self.full_at
            .and_then(|full_at| full_at.checked_sub(self.ahead()))
            .unwrap_or(now)
    }

    fn ahead(&self) -> Duration {
        let burst = self.flood.burst.max(1);
        self.flood.interval.saturating_mul(burst - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Command;

    fn push(queue: &mut SendQueue) {
        let line = Message::builder(Command::Away).build();
        queue.push(Queued {
            line,
            request: None,
            echo: None,
        });
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_in_step() {
        let start = Instant::now();
        let mut queue = SendQueue::new(Flood::default(), 100);
        for _ in 0..10 {
            push(&mut queue);
        }
        let mut sent = Vec::new();
        let mut now = start;
        loop {
            queue.release(now);
            while queue.pop().is_some() {
                sent.push(now.duration_since(start).as_secs());
            }
            match queue.deadline() {
                Some(next) => {
                    assert!(next > now, "a deadline lies ahead");
                    now = next;
                }
                None => break,
            }
        }
        assert_eq!(sent, [0, 0, 0, 0, 0, 2, 4, 6, 8, 10]);

        // After a pause of a burst's length, a whole burst may go again, and no more.
        now += Duration::from_hours(1);
        for _ in 0..10 {
            push(&mut queue);
        }
        queue.release(now);
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 5);
    }

    #[test]
    fn answers_are_bounded() {
        let mut queue = SendQueue::new(Flood::default(), 100);
        for _ in 0..1000 {
            queue.push_answer(Message::builder(Command::Pong).build());
        }
        assert_eq!(
            std::iter::from_fn(|| queue.pop_urgent()).count(),
            MAX_PROVOKED
        );
    }
}
