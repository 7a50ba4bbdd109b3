//! What goes out: commands, in order, as far as their answers can be told apart; their literals,
//! when the server has said so; and the messages that are appended.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use jackfield_socket::time::Instant;

use super::event::{RequestId, SessionEvent};
use super::needs::{denied, missing_state};
use super::pending::{Pending, Purpose, changes_the_wire};
use super::session::{Session, Stage, needs_mailbox};
use crate::codec::{Command, Encoded, SearchReturn, StatusItem};
use crate::error::{RequestError, SessionError};

/// How much of a message goes out at a time.
const MESSAGE_PIECE: usize = 16 * 1024;

/// A command that is not sent whole yet.
#[derive(Debug)]
pub(super) struct Sending {
    tag: u64,
    /// Whose it is, where somebody asked for it.
    id: Option<RequestId>,
    encoded: Encoded,
    /// How much of it has gone out.
    sent: usize,
    /// Which of its waits is next.
    wait: usize,
    /// Which of its messages is next.
    next: usize,
    /// How much of the message has not gone out that is being sent, where one is.
    message: Option<u64>,
    /// What is known of that, and of those behind it.
    pieces: VecDeque<Bytes>,
    /// Whether more of the message was asked for.
    is_wanted: bool,
    /// Whether it was answered already: the server has no use for the rest, but waits for it.
    is_answered: bool,
}

impl Sending {
    fn waits(&self) -> bool {
        self.encoded.waits.get(self.wait) == Some(&self.sent)
    }
}

impl Sending {
    /// Whether there is more of it.
    fn is_on(&self) -> bool {
        self.waits() || self.message.is_some()
    }

    /// A message that stands here is what goes out next.
    fn begin_message(&mut self) {
        let messages = &self.encoded.messages;
        if let Some((_, size)) = messages.get(self.next).filter(|(at, _)| *at == self.sent) {
            self.message = Some(*size);
            self.next += 1;
        }
    }

    /// Up to where it goes out now.
    fn end(&self) -> usize {
        let encoded = &self.encoded;
        let wait = encoded.waits.get(self.wait).copied();
        let message = encoded.messages.get(self.next).map(|(at, _)| *at);
        let ends = [wait, message].into_iter().flatten();
        ends.min().unwrap_or(encoded.bytes.len())
    }
}

impl Session {
    /// Sends what can be sent now.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.sending.is_some() {
            return;
        }
        match self.stage {
            Stage::Ready => self.pump_requests(now),
            Stage::Leaving => self.leave(now),
            _ => {}
        }
    }

    fn pump_requests(&mut self, now: Instant) {
        self.adapt();
        let is_idling = self.is_idling();
        while self.sending.is_none()
            && !is_idling
            && self.unanswered() < self.config.max_in_flight
            && let Some(next) = self
                .waiting
                .pop_front_if(|next| self.in_flight.iter().all(|other| next.may_follow(other)))
        {
            if needs_mailbox(&next.command) && !self.is_open(&next) {
                self.fail(&next, RequestError::NotSelected);
            } else if self.is_uid_only() && next.command.has_numbers() {
                // It has waited for the log-in.
                self.fail(&next, RequestError::UidRequired);
            } else if let Some(error) = denied(&next.command, &self.server) {
                self.fail(&next, error);
            } else {
                self.send(now, next);
            }
            self.adapt();
        }
        if is_idling {
            if !self.waiting.is_empty() || !self.idle.is_wanted {
                self.end_idle(now);
            }
        } else if self.idle.is_wanted && self.in_flight.is_empty() && self.sending.is_none() {
            let has_idle = self.server.can("IDLE") && !self.idle.is_refused;
            if self.mailbox.is_none() {
                return;
            }
            if has_idle {
                self.send(now, Pending::new(Purpose::Idle, Command::Idle, now));
            } else {
                let next = now + self.config.poll_interval;
                self.idle.poll_at.get_or_insert(next);
            }
        }
    }

    /// Whether a mailbox is open, and the one that is meant, where one is.
    fn is_open(&self, pending: &Pending) -> bool {
        self.mailbox.as_ref().is_some_and(|open| {
            let meant = pending.within.as_deref();
            meant.is_none_or(|(name, uids)| open.name == *name && open.uid_validity == *uids)
        })
    }

    /// How many commands are in flight that the server has not said anything final to.
    fn unanswered(&self) -> usize {
        let is_open = |pending: &&Pending| pending.settling.is_none();
        self.in_flight.iter().filter(is_open).count()
    }

    /// Leaves out of the command that is next what the server can't do, and could do without.
    fn adapt(&mut self) {
        let (counts, server) = (self.has_condstore(), &self.server);
        match self.waiting.front_mut().map(|next| &mut next.command) {
            Some(Command::Search { returns, .. })
                if *returns == [SearchReturn::All] && !server.can("ESEARCH") =>
            {
                returns.clear();
            }
            Some(Command::Select { condstore, .. }) => *condstore = counts,
            Some(Command::List(query)) => {
                let is_extended = server.can("LIST-EXTENDED");
                query.returns.special_use &= is_extended && server.can("SPECIAL-USE");
                // LSUB, which does without, is not in IMAP4rev2 any more.
                query.returns.subscribed =
                    is_extended && (query.subscribed || query.returns.subscribed);
                let has_status = server.can("LIST-STATUS");
                let can_tell = |it: &StatusItem| missing_state(*it, server).is_none();
                query.returns.status.retain(|it| has_status && can_tell(it));
            }
            _ => {}
        }
    }

    fn is_idling(&self) -> bool {
        self.in_flight
            .iter()
            .any(|pending| pending.purpose == Purpose::Idle)
    }

    /// Asks the server for news.
    pub(super) fn poll(&mut self, now: Instant) {
        self.idle.poll_at = None;
        if self.stage == Stage::Ready && self.sending.is_none() && self.in_flight.is_empty() {
            self.send(now, Pending::new(Purpose::News, Command::Noop, now));
        }
    }

    /// Ends an IDLE that has begun. One that has not yet can't be ended: the server might take the
    /// word for a command.
    pub(super) fn end_idle(&mut self, now: Instant) {
        if self.idle.until.take().is_some() {
            self.out.extend_from_slice(b"DONE\r\n");
            if let Some(oldest) = self.in_flight.front_mut() {
                oldest.since = now;
            }
        }
    }

    fn leave(&mut self, now: Instant) {
        self.end_idle(now);
        let is_leaving = |pending: &Pending| {
            pending.purpose == Purpose::Logout || changes_the_wire(&pending.command)
        };
        if !self.is_idling() && !self.in_flight.iter().any(is_leaving) {
            self.send(now, Pending::new(Purpose::Logout, Command::Logout, now));
        }
    }

    /// Sends a command of the log-in.
    pub(super) fn step(&mut self, now: Instant, stage: Stage, command: Command) {
        self.stage = stage;
        self.send(now, Pending::new(Purpose::Login, command, now));
    }

    pub(super) fn send(&mut self, now: Instant, mut pending: Pending) {
        self.last_tag += 1;
        pending.tag = self.last_tag;
        let encoded = match pending
            .command
            .encode(&format!("A{}", pending.tag), self.dialect)
        {
            Ok(encoded) => encoded,
            Err(error) => return self.fail(&pending, RequestError::Invalid(error)),
        };
        let mailbox = match &pending.command {
            Command::Select {
                mailbox, read_only, ..
            } => Some((mailbox.clone(), *read_only)),
            _ => None,
        };
        if let Some((name, read_only)) = mailbox {
            // What was open is no longer, whether or not this succeeds.
            self.mailbox = Some(super::mailbox::Selected::new(name, read_only));
        }
        pending.since = now;
        if pending.purpose == Purpose::Idle {
            self.idle.has_begun = false;
        }
        self.sending = Some(Sending {
            tag: pending.tag,
            id: pending.id(),
            encoded,
            sent: 0,
            wait: 0,
            next: 0,
            message: None,
            pieces: std::mem::take(&mut pending.message).into(),
            is_wanted: false,
            is_answered: false,
        });
        self.in_flight.push_back(pending);
        self.go_on(now);
    }

    /// The server's `+` for a literal has come.
    ///
    /// Returns whether one was waited for.
    pub(super) fn granted(&mut self, now: Instant) -> bool {
        let Some(sending) = self.sending.as_mut().filter(|sending| sending.waits()) else {
            return false;
        };
        sending.wait += 1;
        self.go_on(now);
        true
    }

    /// A command was answered, perhaps before it was sent whole. What the server waits for in any
    /// case still has to come.
    pub(super) fn unsent(&mut self, tag: u64) {
        self.sending
            .take_if(|sending| sending.tag == tag && sending.waits());
        if let Some(sending) = self.sending.as_mut().filter(|sending| sending.tag == tag) {
            sending.is_answered = true;
        }
    }

    fn go_on(&mut self, now: Instant) {
        let Some(sending) = &mut self.sending else {
            return;
        };
        if sending.waits() || sending.message.is_some() {
            return;
        }
        let end = sending.end();
        let bytes = &sending.encoded.bytes[sending.sent..end];
        self.out.extend_from_slice(bytes);
        sending.sent = end;
        if sending.waits() {
            // Where it was answered already, the server waits for nothing behind this line.
            self.sending.take_if(|sending| sending.is_answered);
        } else {
            sending.begin_message();
        }
        if self.sending.as_ref().is_some_and(Sending::is_on) {
            return;
        }
        self.sending = None;
        self.pump(now);
    }

    /// Sends of the message that is appended what is known of it, and asks for more.
    pub(super) fn send_message(&mut self, now: Instant, out: &mut Vec<u8>) {
        let Some(sending) = self.sending.as_mut().filter(|sending| !sending.waits()) else {
            return;
        };
        let Some(left) = sending.message else {
            return;
        };
        let mut room = usize::try_from(left).map_or(MESSAGE_PIECE, |left| left.min(MESSAGE_PIECE));
        let before = out.len();
        while room > 0
            && let Some(front) = sending.pieces.front_mut()
        {
            let count = front.len().min(room);
            out.extend_from_slice(&front[..count]);
            front.advance(count);
            if front.is_empty() {
                sending.pieces.pop_front();
            }
            room -= count;
        }
        if sending.is_answered {
            out.resize(out.len() + room, b' ');
        }
        let sent = out.len() - before;
        let left = left - sent as u64;
        sending.message = Some(left);
        if sent > 0
            && let Some(pending) = self.in_flight.iter_mut().find(|it| it.tag == sending.tag)
        {
            pending.since = now;
        }
        if left == 0 {
            sending.message = None;
            self.go_on(now);
            out.append(&mut self.out);
        } else if sending.pieces.is_empty() && !sending.is_wanted && !sending.is_answered {
            sending.is_wanted = true;
            if let Some(id) = sending.id {
                self.tell(SessionEvent::Wanted(id));
            }
        }
    }

    /// Gives a piece of a message that is [`Wanted`](SessionEvent::Wanted). What would make it larger
    /// than was said is left out.
    pub fn message(&mut self, id: RequestId, piece: Bytes) {
        if let Some(sending) = self.sending.as_mut().filter(|it| it.id == Some(id)) {
            sending.is_wanted = false;
            if !piece.is_empty() {
                sending.pieces.push_back(piece);
            }
        }
    }

    /// The rest of a message that is appended will never come. Where the server has been told of it,
    /// the connection ends with [`SessionError::AppendAborted`]: nothing else can be said any more.
    pub fn abort_message(&mut self, now: Instant, id: RequestId) {
        self.withdraw(id);
        let is_it = |sending: &&Sending| sending.id == Some(id) && !sending.is_answered;
        if let Some(sending) = self.sending.as_ref().filter(is_it)
            && !sending.waits()
        {
            self.doomed = Some((now, SessionError::AppendAborted));
        }
    }
}
