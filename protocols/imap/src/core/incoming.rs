//! What comes in: each response goes to whoever asked for it, or is told as an event.

use jackfield_socket::time::Instant;

use super::config::Config;
use super::event::{Event, RequestId, SessionEvent};
use super::pending::{Pending, Purpose, tag_number};
use super::session::{Session, Stage, bye};
use crate::codec::{Code, Command, Fetch, Reason, Response, Status, StatusKind, Text};
use crate::error::{Refusal, RequestError, SessionError};

impl Session {
    pub(super) fn take(&mut self, now: Instant, response: Response) -> Result<(), SessionError> {
        match response {
            Response::Status(status) if self.stage == Stage::Greeting => self.greeted(now, status),
            _ if self.stage == Stage::Greeting => Err(SessionError::NotImap),
            Response::Continue(text) => {
                self.may_go_on(now, &text);
                Ok(())
            }
            Response::Tagged { tag, status } => self.tagged(now, &tag, status),
            Response::Status(status) => self.status(now, status),
            other => {
                self.data(now, other);
                Ok(())
            }
        }
    }

    /// `+`: whoever waits for it goes on. At most one does, since nothing is sent behind a command
    /// that has to wait.
    fn may_go_on(&mut self, now: Instant, text: &Text) {
        if self.granted(now) || self.sending.is_some() {
            return;
        }
        if self.stage == Stage::Login {
            return self.challenged(text);
        }
        let is_idle = |pending: &Pending| pending.purpose == Purpose::Idle;
        if self.in_flight.iter().any(is_idle) && self.idle.until.is_none() {
            self.idle.has_begun = true;
            self.idle.until = Some(now + self.config.idle_renewal);
            self.pump(now);
        }
    }

    fn tagged(&mut self, now: Instant, tag: &Text, status: Status) -> Result<(), SessionError> {
        let number = tag_number(tag.as_bytes());
        let at = self
            .in_flight
            .iter()
            .position(|pending| Some(pending.tag) == number && pending.settling.is_none());
        let Some(at) = at else {
            // Nobody asked; the session goes on.
            return self.status(now, status);
        };
        if is_not_connected(&status) {
            return Err(SessionError::UserNotConnected(Box::new(Refusal::of(
                status,
            ))));
        }
        if self.settles(now, at, &status) {
            return Ok(());
        }
        let Some(mut pending) = self.in_flight.remove(at) else {
            return Ok(());
        };
        if let Some(oldest) = self.in_flight.front_mut() {
            oldest.since = now;
        }
        self.unsent(pending.tag);
        self.alert(&status);
        #[cfg(feature = "compress")]
        if let (Command::Compress, StatusKind::Ok) = (&pending.command, status.kind) {
            self.compress(now);
        }
        match pending.purpose {
            Purpose::Login => return self.stepped(now, &pending.command, status),
            Purpose::Logout => self.closed(),
            Purpose::Idle => {
                // It ended by itself, or was refused.
                let was_refused = status.kind != StatusKind::Ok;
                self.idle.until = None;
                self.idle.is_refused |= was_refused || !self.idle.has_begun;
            }
            Purpose::News => {}
            Purpose::Settle(tag) => self.settled(tag),
            Purpose::Request(_) => self.answered(&mut pending, status),
        }
        self.pump(now);
        Ok(())
    }

    /// Whether more may come of what is done now: then a NOOP follows it, and until that is answered it goes
    /// on.
    fn settles(&mut self, now: Instant, at: usize, status: &Status) -> bool {
        let is_on = self.config.late_answers && self.stage == Stage::Ready;
        let Some(pending) = self.in_flight.get_mut(at).filter(|_| is_on) else {
            return false;
        };
        let is_fetch = matches!(pending.command, Command::Fetch { .. });
        if !is_fetch || pending.is_abandoned || status.kind != StatusKind::Ok {
            return false;
        }
        pending.settling = Some(status.clone());
        pending.since = now;
        let purpose = Purpose::Settle(pending.tag);
        let noop = Pending::new(purpose, Command::Noop, now);
        self.waiting.push_front(noop);
        self.pump(now);
        true
    }

    /// Nothing more comes of this FETCH.
    pub(super) fn settled(&mut self, tag: u64) {
        let is_it = |pending: &Pending| pending.tag == tag;
        let at = self.in_flight.iter().position(is_it);
        if let Some(mut pending) = at.and_then(|at| self.in_flight.remove(at))
            && let Some(status) = pending.settling.take()
        {
            self.answered(&mut pending, status);
        }
    }

    fn answered(&mut self, pending: &mut Pending, status: Status) {
        let is_ok = status.kind == StatusKind::Ok;
        match &pending.command {
            Command::Select { .. } if is_ok => {
                if let Some(mailbox) = &mut self.mailbox {
                    mailbox.code(status.code.as_ref());
                    self.remembered = Some((mailbox.name.clone(), mailbox.read_only));
                }
            }
            Command::Notify(notify) if is_ok => {
                self.notify = Some(notify.clone()).filter(|notify| !notify.is_none());
            }
            Command::Select { .. } => (self.mailbox, self.remembered) = (None, None),
            Command::Close | Command::Unselect if is_ok => {
                (self.mailbox, self.remembered) = (None, None);
            }
            _ => {}
        }
        if !is_ok {
            let refusal = Refusal::of(status);
            let error = match refusal.retry_after() {
                Some(time) => RequestError::Throttled(time),
                None => RequestError::Refused(Box::new(refusal)),
            };
            return self.fail(pending, error);
        }
        if is_too_large(&self.config, pending) {
            return self.fail(pending, RequestError::TooLarge);
        }
        if let (Some(id), false) = (pending.id(), pending.is_abandoned) {
            // The server could tell no more of these.
            for fetch in pending.kept() {
                let fetch = Response::Fetch(Box::new(fetch));
                self.tell(SessionEvent::Answer(id, Box::new(fetch)));
            }
            let outcome = self.outcome(&pending.command, status);
            self.tell(SessionEvent::Completed(id, Ok(outcome)));
        }
    }

    /// A status that belongs to no command.
    fn status(&mut self, now: Instant, status: Status) -> Result<(), SessionError> {
        if status.kind == StatusKind::Bye {
            // Where leave is taken, it is the answer. Yandex says it until the client goes, and nothing else.
            return if self.stage >= Stage::Leaving {
                if std::mem::replace(&mut self.has_bye, true) && self.stage == Stage::Leaving {
                    self.closed();
                }
                Ok(())
            } else {
                Err(bye(status))
            };
        }
        if let Some(Code::Closed) = status.code
            && let Some(mailbox) = &mut self.mailbox
        {
            // What came before was of the mailbox that was open.
            let fresh = super::mailbox::Selected::new(mailbox.name.clone(), mailbox.read_only);
            *mailbox = fresh;
            self.is_opening();
            return Ok(());
        }
        if let Some(Code::UidValidity(_)) = status.code {
            self.is_opening();
        }
        if let Some(Code::Reason(Reason::NotificationOverflow)) = status.code {
            self.notifies_no_more();
            return Ok(());
        }
        self.alert(&status);
        self.code(status.code.clone());
        let is_alert = matches!(status.code, Some(Code::Alert));
        if let Some(Code::InProgress { tag, .. }) = &status.code {
            self.goes_on(now, tag.as_ref());
        }
        let response = Response::Status(status);
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.take(&response);
        }
        if let Some(Response::Status(status)) = self.answers(now, response)
            && !is_alert
            && !self.is_selecting()
        {
            self.tell(SessionEvent::Event(Event::Notice(status)));
        }
        Ok(())
    }

    /// The server has ended NOTIFY by itself, or does not take it again.
    pub(super) fn notifies_no_more(&mut self) {
        self.notify = None;
        self.tell(SessionEvent::Event(Event::NotificationOverflow));
    }

    fn alert(&mut self, status: &Status) {
        if let Some(Code::Alert) = status.code {
            self.tell(SessionEvent::Event(Event::Alert(status.text.clone())));
        }
    }

    fn data(&mut self, now: Instant, response: Response) {
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.take(&response);
        }
        let Some(response) = self.answers(now, response) else {
            return;
        };
        if let Response::Fetch(fetch) = &response
            && let Some(id) = self.keep(fetch)
        {
            return self.tell(SessionEvent::Answer(id, Box::new(response)));
        }
        let event = match response {
            Response::Capability(capabilities) => {
                self.is_told = true;
                self.server.capabilities = capabilities;
                return;
            }
            Response::Enabled(enabled) => {
                self.dialect.is_utf8 |= enabled.has("UTF8=ACCEPT") || enabled.has("IMAP4REV2");
                self.dialect.names_charset = !enabled.has("UTF8=ACCEPT");
                self.dialect.names_in_utf7 = self.config.names_in_utf7;
                self.parser = self.parser.with_utf8(self.dialect.has_utf8_names());
                self.server.enabled = enabled;
                return;
            }
            // The outcome has all of it.
            Response::Exists(_) | Response::Recent(_) | Response::Flags(_) | Response::List(_)
                if self.is_selecting() =>
            {
                return;
            }
            Response::Exists(count) => Event::Exists(count),
            Response::Recent(count) => Event::Recent(count),
            Response::Expunge(number) => Event::Expunged(number),
            Response::Vanished { earlier, uids } => Event::Vanished { earlier, uids },
            Response::Flags(flags) => Event::Flags(flags),
            Response::Fetch(fetch) => Event::Fetch(fetch),
            Response::List(listed) | Response::Lsub(listed) => Event::Listed(listed),
            Response::MailboxStatus(status) => Event::MailboxStatus(status),
            Response::Metadata(metadata) => Event::Metadata(metadata),
            Response::Unknown { raw, .. } => Event::Unknown(raw),
            // An answer that nobody waits for any more.
            _ => return,
        };
        self.tell(SessionEvent::Event(event));
    }

    /// What comes is of the mailbox that is being opened.
    fn is_opening(&mut self) {
        let selects = |pending: &&mut Pending| matches!(pending.command, Command::Select { .. });
        if let Some(select) = self.in_flight.iter_mut().find(selects) {
            select.is_opening = true;
        }
    }

    fn is_selecting(&self) -> bool {
        let selects = |pending: &Pending| matches!(pending.command, Command::Select { .. });
        self.in_flight.iter().any(selects)
    }

    /// A command takes its time (RFC 9585): the one that is named, or else the oldest.
    fn goes_on(&mut self, now: Instant, tag: Option<&Text>) {
        let number = tag.and_then(|tag| tag_number(tag.as_bytes()));
        let is_it = |pending: &&mut Pending| number.is_none_or(|number| pending.tag == number);
        if let Some(pending) = self.in_flight.iter_mut().find(is_it) {
            pending.since = now;
        }
    }

    /// Keeps what was told of a message that may be all of the answer to a FETCH; where there is no room,
    /// that is what it is taken for, by the request.
    fn keep(&mut self, fetch: &Fetch) -> Option<RequestId> {
        let mut in_flight = self.in_flight.iter_mut();
        let id = |it: &mut Pending| it.keep(fetch).then(|| it.id());
        in_flight.find_map(id).flatten()
    }

    /// Gives a response to whoever asked for it; gives it back where nobody did.
    fn answers(&mut self, now: Instant, response: Response) -> Option<Response> {
        let is_its = |pending: &&mut Pending| pending.is_answered_by(&response);
        let Some(pending) = self.in_flight.iter_mut().find(is_its) else {
            return Some(response);
        };
        pending.answers += 1;
        pending.answer_bytes += self.length;
        pending.since = now;
        pending.is_told(&response);
        if let (Purpose::Login, Response::Id(id)) = (pending.purpose, &response) {
            self.server.id.clone_from(id);
            return None;
        }
        let (id, is_abandoned) = (pending.id(), pending.is_abandoned);
        let is_too_large = is_too_large(&self.config, pending);
        if let (Some(id), false, false) = (id, is_abandoned, is_too_large) {
            self.tell(SessionEvent::Answer(id, Box::new(response)));
        }
        None
    }
}

/// Whether a server has let somebody in and now finds that it can't: so does Exchange Online, and whatever is
/// asked is answered with this.
fn is_not_connected(status: &Status) -> bool {
    const SAYS: &[u8] = b"User is authenticated but not connected";
    let text = status.text.as_bytes();
    let says = text.get(..SAYS.len());
    status.kind == StatusKind::Bad && says.is_some_and(|it| it.eq_ignore_ascii_case(SAYS))
}

/// Whether an answer has more parts than are kept. Those of a FETCH, and of what is asked for together,
/// are given one by one, so that there may be any number.
fn is_too_large(config: &Config, pending: &Pending) -> bool {
    let is_streamed = matches!(pending.command, Command::Fetch { .. }) || pending.group.is_some();
    let is_many = pending.answers > config.max_answers;
    !is_streamed && (is_many || pending.answer_bytes > config.max_answer_bytes)
}
