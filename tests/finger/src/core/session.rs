//! A session: which query is asked, which wait, and until when. It outlives its connections.

use std::collections::VecDeque;

use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use super::{Config, Line, SessionEvent};
use crate::codec::{Lines, Query};
use crate::error::{RequestError, SessionError};

/// The client's side of Finger.
#[derive(Debug, Default)]
pub struct Session {
    config: Config,
    /// Queries, and when each has waited long enough. All may wait equally long, so that the first
    /// is also the first to be given up.
    waiting: VecDeque<(Query, Instant)>,
    /// Whether the first of them was asked over this connection.
    is_asked: bool,
    lines: Lines,
    out: Vec<u8>,
    events: VecDeque<SessionEvent>,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Asks something, over the next connection that is free.
    ///
    /// # Errors
    /// [`RequestError::TooManyPending`].
    pub fn request(&mut self, now: Instant, query: Query) -> Result<(), RequestError> {
        if self.waiting.len() >= self.config.query_capacity {
            return Err(RequestError::TooManyPending);
        }
        let by = now + self.config.answer_timeout;
        self.waiting.push_back((query, by));
        Ok(())
    }

    /// Learns of a new connection: it is for the first query that waits.
    pub fn opened(&mut self) {
        self.lines = Lines::default();
        self.out.clear();
        if let Some((query, _)) = self.waiting.front() {
            query.encode(&mut self.out);
            self.is_asked = true;
        }
    }

    /// Learns that the connection is gone. What was asked over it is not asked again: its reader has
    /// a part of the answer already.
    pub fn lost(&mut self) {
        if self.is_asked {
            self.complete(Err(RequestError::ConnectionLost));
        }
    }

    /// Takes leave; what waits is given up.
    pub fn close(&mut self) {
        self.waiting.clear();
        self.is_asked = false;
        self.events.push_back(SessionEvent::Closed);
    }

    fn complete(&mut self, outcome: Result<(), RequestError>) {
        self.waiting.pop_front();
        self.is_asked = false;
        self.events.push_back(SessionEvent::Completed(outcome));
    }
}

impl Core for Session {
    type Event = SessionEvent;
    type Error = SessionError;

    fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, by)| *by)
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), SessionError> {
        let was_asked = self.is_asked;
        while self.deadline().is_some_and(|by| by <= now) {
            self.complete(Err(RequestError::TimedOut));
        }
        // A connection has one answer, which can only be waited for or given up with it.
        if was_asked && !self.is_asked {
            return Err(SessionError::TimedOut);
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        !self.is_asked
    }
}

impl StreamCore for Session {
    fn receive(&mut self, _now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        let Some((query, _)) = self.waiting.front().filter(|_| self.is_asked) else {
            return Ok(());
        };
        let events = &mut self.events;
        self.lines.receive(bytes, |text| {
            let query = query.clone();
            events.push_back(SessionEvent::Line(Line { query, text }));
        })
    }

    /// Nothing but the end of the stream says that an answer is whole, so it counts that no backend
    /// takes a cut for one.
    fn receive_end(&mut self, _now: Instant) -> Result<(), SessionError> {
        if self.lines.is_in_line() {
            return Err(SessionError::Truncated);
        }
        if self.is_asked {
            self.complete(Ok(()));
        }
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }
}
