//! A session: what waits, over which connection it is sent, and what became of it.

use std::collections::VecDeque;
use std::fmt;

use jackfield_sasl::{Channel, Credentials};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use super::stream::{Job, Stream, Task};
use super::transaction::Transaction;
use super::{Config, Piece, Request, RequestId, SessionEvent};
use crate::error::{RequestError, SessionError};

/// The client's side of SMTP or LMTP. It outlives its connections.
///
/// What is asked for waits for a connection, and is done in order. When a connection is lost, a
/// message whose end had left has an unknown outcome
/// ([`OutcomeUnknown`](RequestError::OutcomeUnknown)) and is never sent again. One whose end had not
/// left was not sent; it is begun again, once, where the connection had served before and may have been
/// dead when it was used again, or where it was only queued up behind another.
pub struct Session {
    config: Config,
    waiting: VecDeque<Job>,
    stream: Option<Stream>,
    events: VecDeque<SessionEvent>,
    last_id: u64,
    is_closing: bool,
    /// When the last session ended that had stood.
    stood: Option<Instant>,
    /// Why the last connection failed, where the session knows.
    has_timed_out: bool,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            stream: None,
            events: VecDeque::new(),
            last_id: 0,
            is_closing: false,
            stood: None,
            has_timed_out: false,
        }
    }

    /// Asks for something, over this connection or the next.
    ///
    /// # Errors
    /// [`RequestError::TooManyPending`], and what shows without asking a server:
    /// [`NoRecipients`](RequestError::NoRecipients), [`Nul`](RequestError::Nul),
    /// [`Closed`](RequestError::Closed).
    pub fn request(&mut self, now: Instant, request: Request) -> Result<RequestId, RequestError> {
        if self.is_closing {
            return Err(RequestError::Closed);
        }
        if self.waiting.len() >= self.config.request_capacity {
            return Err(RequestError::TooManyPending);
        }
        let task = match request {
            Request::Send(envelope, body) => {
                Task::Send(Box::new(Transaction::new(envelope, body)?))
            }
            Request::Verify(text) => Task::Verify(text),
            Request::Noop => Task::Noop,
        };
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.waiting.push_back(Job {
            id,
            since: now,
            was_lost: false,
            task,
        });
        Ok(id)
    }

    /// Gives a piece of a message's content, after [`SessionEvent::WantsBody`].
    ///
    /// [`Piece::Failed`] may be given at any time: the message is not sent. Where some of its content
    /// has left already, that costs the connection.
    pub fn body(&mut self, now: Instant, id: RequestId, piece: Piece) {
        if let Piece::Failed = piece
            && let Some(at) = self.waiting.iter().position(|job| job.id == id)
        {
            self.waiting.remove(at);
            let failed = Err(RequestError::SourceFailed);
            self.events.push_back(SessionEvent::Completed(id, failed));
            return;
        }
        let Some(stream) = &mut self.stream else {
            return;
        };
        let Some(message) = stream.message(id) else {
            return;
        };
        let given = match piece {
            Piece::More(piece) => message.take_piece(Some(piece)),
            Piece::End => message.take_piece(None),
            Piece::Failed => Err(RequestError::SourceFailed),
        };
        if let Err(error) = given {
            if message.fail(error) {
                stream.break_off(now, SessionError::SourceFailed);
            }
            stream.settle(&mut self.events);
        }
    }

    /// Logs in with these from now on.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.config.credentials = Some(credentials);
    }

    /// Learns of a new connection, and of what is known of it: whether others can read along, and what a
    /// login can be bound to. Where others can, and [`Config::security`] says otherwise, the session fails
    /// with [`SessionError::NotEncrypted`] before anything is said.
    pub fn opened(&mut self, now: Instant, channel: Channel) {
        self.has_timed_out = false;
        self.stream = Some(Stream::new(now, &self.config, channel));
    }

    /// Whether a login is under way, or has just failed, that is bound to its TLS connection and might have
    /// done better without: a server may offer to bind and not be able to.
    pub fn is_bound_in_vain(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_bound_in_vain)
    }

    /// Learns that the connection is gone.
    pub fn lost(&mut self, now: Instant) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        if stream.has_stood() {
            self.stood = Some(now);
        }
        let otherwise = match (self.is_closing, self.has_timed_out) {
            (true, _) => RequestError::Closed,
            (false, true) => RequestError::TimedOut,
            (false, false) => RequestError::ConnectionLost,
        };
        stream.lost(
            &otherwise,
            !self.is_closing,
            &mut self.waiting,
            &mut self.events,
        );
    }

    /// Gives up all that waits: there is no connection for it, for this reason.
    pub fn give_up(&mut self, reason: &RequestError) {
        for job in self.waiting.drain(..) {
            let outcome = Err(reason.clone());
            self.events
                .push_back(SessionEvent::Completed(job.id, outcome));
        }
    }

    /// Takes leave: what was begun is finished, what waits is given up.
    pub fn close(&mut self) {
        self.is_closing = true;
        self.give_up(&RequestError::Closed);
        let stands = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.is_ready() || stream.is_leaving());
        if !stands {
            self.events.push_back(SessionEvent::Closed);
        }
    }

    /// Whether something waits, or is on its way.
    pub fn is_needed(&self) -> bool {
        !self.waiting.is_empty() || self.stream.as_ref().is_some_and(Stream::is_busy)
    }

    /// Whether the connection has done something.
    pub fn was_of_use(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::was_of_use)
    }

    /// When the first that waits has waited long enough for a session that stands. While one does,
    /// each step of those before it has its own time.
    fn waiting_until(&self) -> Option<Instant> {
        let first = self.waiting.front()?;
        if self.stream.as_ref().is_some_and(Stream::has_stood) {
            return None;
        }
        let since = self
            .stood
            .map_or(first.since, |stood| first.since.max(stood));
        Some(since + self.config.timeouts.waiting)
    }

    /// After leave was taken.
    fn left(&mut self) -> Result<(), SessionError> {
        if !self.stream.as_ref().is_some_and(Stream::has_left) {
            return Ok(());
        }
        if self.is_closing {
            self.events.push_back(SessionEvent::Closed);
            return Ok(());
        }
        Err(SessionError::Idle)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("waiting", &self.waiting.len())
            .field("has_stream", &self.stream.is_some())
            .finish_non_exhaustive()
    }
}

impl Core for Session {
    type Event = SessionEvent;
    type Error = SessionError;

    fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let stream = self.stream.as_ref();
        let stream = stream.and_then(|stream| stream.deadline(&self.config));
        stream.into_iter().chain(self.waiting_until()).min()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), SessionError> {
        while self.waiting_until().is_some_and(|by| by <= now)
            && let Some(job) = self.waiting.pop_front()
        {
            let outcome = Err(RequestError::TimedOut);
            self.events
                .push_back(SessionEvent::Completed(job.id, outcome));
        }
        if let Some(stream) = &mut self.stream {
            let handled = stream.handle_deadline(now, &self.config);
            if let Err(error) = handled {
                self.has_timed_out = matches!(error, SessionError::TimedOut(_));
                stream.break_off(now, error.clone());
                return Err(error);
            }
            return self.left();
        }
        Ok(())
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        if let Some(stream) = &mut self.stream {
            stream.set_reading(now, reading);
        }
    }

    fn is_finished(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::has_left)
    }
}

impl StreamCore for Session {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let had_left = stream.has_left();
        let received = stream.receive(now, &self.config, bytes, &mut self.events);
        if let Err(error) = received {
            // Nothing more is said.
            stream.break_off(now, error.clone());
            return Err(error);
        }
        if had_left { Ok(()) } else { self.left() }
    }

    fn receive_end(&mut self, now: Instant) -> Result<(), SessionError> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        if stream.is_leaving() {
            stream.leave();
            return self.left();
        }
        if stream.has_left() {
            return Ok(());
        }
        let error = if stream.is_in_reply() {
            SessionError::Truncated
        } else {
            SessionError::Ended
        };
        stream.break_off(now, error.clone());
        Err(error)
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        if self.is_closing && stream.is_idle() {
            stream.quit(now);
        }
        let (config, events) = (&self.config, &mut self.events);
        stream.write(now, config, &mut self.waiting, events, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use jackfield_socket::time;

    use crate::core::Security;

    #[test]
    fn what_is_about_to_be_said_is_not_shown() {
        let mut config = Config::new("client.example".parse().expect("a domain"));
        config.security = Security::Tls;
        config.credentials = Credentials::password("ada", "correct horse").ok();
        let (mut session, now) = (Session::new(config), time::now());
        session.opened(now, Channel::encrypted());
        session
            .receive(now, b"220 a\r\n250-a\r\n250 AUTH PLAIN\r\n")
            .expect("taken");
        let shown = format!("{session:?}");
        let mut said = Vec::new();
        session.transmit(now, &mut said);
        assert!(said.ends_with(b"AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl\r\n"));
        // As text, or as the numbers of its bytes.
        for secret in ["horse", "AGFkYQ", "65, 71, 70"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
