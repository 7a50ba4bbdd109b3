//! What drives a [`Session`]: bytes that come and go, deadlines, and the end of a stream.

use bytes::Bytes;
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use super::{LONG_RESPONSE, Session, Stage, UNREAD};
use crate::codec::Frame;
use crate::core::event::SessionEvent;
use crate::error::{RequestError, SessionError};

impl Core for Session {
    type Event = SessionEvent;
    type Error = SessionError;

    fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let waited = self.waiting.front().filter(|_| self.is_offline());
        let waited = waited.map(|pending| pending.since + self.config.answer_timeout);
        let news = [self.idle.until, self.idle.poll_at];
        let doomed = self.doomed.as_ref().map(|(since, _)| *since);
        #[cfg(feature = "compress")]
        let inflate = self.inflate_at();
        #[cfg(not(feature = "compress"))]
        let inflate = None;
        let deadlines = [
            self.login_by,
            self.answer_by(),
            waited,
            doomed,
            inflate,
            self.unread_by,
        ];
        deadlines.into_iter().chain(news).flatten().min()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), SessionError> {
        if let Some((_, error)) = self.doomed.take() {
            return Err(error);
        }
        #[cfg(feature = "compress")]
        if self.inflate_at().is_some_and(|at| at <= now) {
            self.inflate(now, &[])?;
            self.received(now);
        }
        if self.unread_by.is_some_and(|by| by <= now) {
            self.unread_by = Some(now + UNREAD);
            self.give_up();
        }
        if self.login_by.is_some_and(|by| by <= now) {
            self.login_by = None;
            return Err(SessionError::LoginTimedOut);
        }
        while self.is_offline()
            && let Some(pending) = self
                .waiting
                .pop_front_if(|pending| pending.since + self.config.answer_timeout <= now)
        {
            self.fail(&pending, RequestError::TimedOut);
        }
        if self.answer_by().is_some_and(|by| by <= now) {
            // It may just be slow where it has said something since; where it hasn't, it is gone.
            let silence = self.config.answer_timeout;
            let is_gone = self.heard.is_none_or(|heard| heard + silence <= now);
            let Some(oldest) = self.in_flight.front_mut() else {
                return Ok(());
            };
            oldest.since = now;
            if let (Some(id), false) = (oldest.id(), oldest.is_abandoned) {
                oldest.is_abandoned = true;
                self.tell(SessionEvent::Completed(id, Err(RequestError::TimedOut)));
            }
            if is_gone {
                return Err(SessionError::TimedOut);
            }
        }
        if self.idle.until.is_some_and(|until| until <= now) {
            self.end_idle(now);
        }
        if self.idle.poll_at.is_some_and(|at| at <= now) {
            self.poll(now);
        }
        self.pump(now);
        Ok(())
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        self.unread_by = (!reading).then(|| now + UNREAD);
        if let (true, Some(oldest)) = (reading, self.in_flight.front_mut()) {
            oldest.since = now;
        }
    }

    fn is_finished(&self) -> bool {
        self.stage == Stage::Closed
    }
}

impl StreamCore for Session {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        if let Some((_, error)) = self.doomed.take() {
            return Err(error);
        }
        self.heard = Some(now);
        let mut input = bytes;
        if !self.server.is_compressed {
            self.frames(now, &mut input)?;
        }
        #[cfg(feature = "compress")]
        self.inflate(now, input)?;
        self.received(now);
        Ok(())
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), SessionError> {
        match self.stage {
            Stage::Closed => Ok(()),
            Stage::Leaving => {
                self.closed();
                Ok(())
            }
            _ if self.framer.is_between() => Err(SessionError::Ended),
            _ => Err(SessionError::Truncated),
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        #[cfg(feature = "compress")]
        if self.compression.is_some() {
            return self.transmit_deflated(now, out);
        }
        out.append(&mut self.out);
        self.send_message(now, out);
    }
}

impl Session {
    /// Takes what comes, as it is before it may be compressed: up to its end, or to where compression
    /// begins.
    pub(in crate::core) fn frames(
        &mut self,
        now: Instant,
        input: &mut &[u8],
    ) -> Result<(), SessionError> {
        let was_compressed = self.server.is_compressed;
        while let Some(frame) = self
            .framer
            .next(input)
            .map_err(SessionError::LimitExceeded)?
        {
            match frame {
                Frame::Response(response) => {
                    self.length = response.len();
                    let response = self.parser.parse(response);
                    self.take(now, response)?;
                    if self.server.is_compressed != was_compressed {
                        break;
                    }
                }
                Frame::Literal(size) => self.literal(size),
                Frame::Piece(piece) => {
                    if let Some(reader) = self.reader {
                        self.is_heard_of(now, reader);
                        let piece = Bytes::copy_from_slice(piece);
                        self.tell(SessionEvent::Piece(reader, piece));
                    }
                }
                Frame::LiteralEnd => self.reader = None,
            }
        }
        Ok(())
    }

    /// Something has come, and was taken.
    fn received(&mut self, now: Instant) {
        let is_long = self.framer.head().len() >= LONG_RESPONSE;
        if let (true, Some(oldest)) = (is_long, self.in_flight.front_mut()) {
            // It takes its time to arrive.
            oldest.since = now;
        }
        self.pump(now);
    }
}
