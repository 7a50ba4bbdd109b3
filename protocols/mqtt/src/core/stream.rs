//! A session on a stream: bytes, time, and what comes out.

use std::time::Duration;

use bytes::BytesMut;
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use super::SessionEvent;
use super::session::{Phase, Session};
use crate::error::SessionError;

/// When a deadline is noticed so late, the program or the machine was asleep. Or it is a page in the
/// background, whose timers run once a minute: it is always late, so that this excuses once.
const LATE: Duration = Duration::from_secs(1);
/// After so long without reading from the server, nobody waits for what it may have said.
const UNREAD: Duration = Duration::from_secs(30);

impl Core for Session {
    type Event = SessionEvent;
    type Error = SessionError;

    fn poll_event(&mut self) -> Option<SessionEvent> {
        if let Some((id, batch)) = self.durable.take() {
            return Some(SessionEvent::Store(id, batch));
        }
        let (after, _) = self.events.front()?;
        if !self.durable.is_reached(*after) {
            return None;
        }
        self.events.pop_front().map(|(_, event)| event)
    }

    fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Done) && self.connection.disconnect.is_none()
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Offline | Phase::ToConnect(_) | Phase::Done => return None,
            Phase::Connecting { until } => Some(until),
            Phase::Connected => {
                let pong = self.awaited_ping().map(|since| self.pong_deadline(since));
                // While one PINGRESP is late, the server wants to hear something all the same.
                pong.into_iter().chain(self.ping_deadline()).min()
            }
        };
        phase.into_iter().chain(self.unread_deadline()).min()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), SessionError> {
        if self
            .unread_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.connection.unread_since = Some(now);
            self.emit_now(SessionEvent::Unread);
        }
        match self.phase {
            Phase::Connecting { until } if until <= now => {
                Err(self.end(SessionError::ConnectTimedOut))
            }
            Phase::Connected => {
                self.silence(now)?;
                if self.ping_deadline().is_some_and(|deadline| deadline <= now) {
                    self.connection.ping.get_or_insert(now);
                    self.connection.ping_due = true;
                    self.connection.last_sent = Some(now);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        self.connection.unread_since = (!reading).then_some(now);
        if reading && let Some(since) = &mut self.connection.ping {
            // The answer has its time from here on.
            *since = now;
        }
    }
}

impl StreamCore for Session {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        self.connection.last_received = Some(now);
        self.connection.is_anew = false;
        self.connection.input.extend_from_slice(bytes);
        while !matches!(self.phase, Phase::Done | Phase::Offline) {
            if let Some(error) = self.older_server() {
                return Err(self.end(error));
            }
            let decoder = self.connection.decoder;
            let packet = match decoder.decode_of_server(&mut self.connection.input) {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => return Err(self.fail(&error)),
            };
            self.take(now, packet)?;
        }
        if self.connection.input.is_empty() || matches!(self.phase, Phase::Done) {
            // An idle connection keeps no buffer.
            self.connection.input = BytesMut::new();
        }
        Ok(())
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), SessionError> {
        match self.phase {
            Phase::Done | Phase::Offline => Ok(()),
            _ if !self.connection.input.is_empty() => Err(self.end(SessionError::Truncated)),
            _ => Err(self.end(SessionError::Ended)),
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        let before = out.len();
        self.send(now, out);
        if out.len() > before {
            self.connection.last_sent = Some(now);
        }
    }
}

impl Session {
    fn silence(&mut self, now: Instant) -> Result<(), SessionError> {
        let Some(since) = self.awaited_ping() else {
            return Ok(());
        };
        let until = self.pong_deadline(since);
        if now < until {
            return Ok(());
        }
        if now - until > LATE && !self.connection.is_anew {
            // Nobody asked for a while: the answer may have come, and just not been read.
            self.connection.ping = Some(now);
            self.connection.is_anew = true;
            return Ok(());
        }
        Err(self.end(SessionError::PingTimedOut))
    }

    /// When there has been nothing to say for as long as may be (MQTT 5, section 3.1.2.10), or
    /// nothing was heard for as long: who only publishes with QoS 0 would never learn that the
    /// server is gone.
    fn ping_deadline(&self) -> Option<Instant> {
        let sent = self.connection.last_sent?;
        let heard = match self.connection.ping {
            None => self.connection.last_received,
            // It was asked already.
            Some(_) => None,
        };
        let quiet_since = heard.map_or(sent, |heard| heard.min(sent));
        Some(quiet_since + self.connection.keep_alive?)
    }

    /// Since when PINGRESP is waited for, where it would be read.
    fn awaited_ping(&self) -> Option<Instant> {
        let ping = self.connection.ping;
        ping.filter(|_| self.connection.unread_since.is_none())
    }

    fn unread_deadline(&self) -> Option<Instant> {
        Some(self.connection.unread_since? + UNREAD)
    }

    /// Any sign of life counts.
    fn pong_deadline(&self, since: Instant) -> Instant {
        let heard = self.connection.last_received.unwrap_or(since);
        since.max(heard) + self.config.ping_timeout.max(Duration::from_millis(1))
    }
}
