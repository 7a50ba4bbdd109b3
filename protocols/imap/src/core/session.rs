//! A session: what is asked for waits, goes out and is answered, over one connection or several.

mod driven;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jackfield_sasl::{Channel, Credentials, Exchange};
use jackfield_socket::time::Instant;

use super::config::{Config, Security};
use super::event::{RequestId, Server, SessionEvent};
use super::mailbox::Selected;
use super::needs::denied;
use super::outgoing::Sending;
use super::pending::{Pending, Purpose};
use crate::codec::{
    Capabilities, Command, Dialect, Framer, MailboxName, Notify, ResponseParser, Section, Status,
};
use crate::error::{EndedBy, RequestError, SessionError};

/// After so long without anyone who reads what is told, nobody is left waiting for what may stand
/// behind it.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a response may be before the text that somebody reads, in bytes.
const MAX_HEAD: usize = 2048;
/// So much of a response is a sign of life, though it is not whole.
const LONG_RESPONSE: usize = 64 * 1024;

/// The client's side of IMAP. It outlives its connections: [`opened`](Self::opened) and
/// [`lost`](Self::lost) tell it of them.
pub struct Session {
    pub(super) config: Config,
    framer: Framer,
    pub(super) parser: ResponseParser,
    pub(super) dialect: Dialect,
    pub(super) stage: Stage,
    pub(super) server: Server,
    /// Whether the server has told what it can do since this was last set to `false`.
    pub(super) is_told: bool,
    /// What the log-in may rely on.
    pub(super) channel: Channel,
    pub(super) exchange: Option<Exchange>,
    /// Why the log-in was given up on this side.
    pub(super) sasl_error: Option<jackfield_sasl::Error>,
    /// When the log-in has taken too long.
    login_by: Option<Instant>,
    pub(super) out: Vec<u8>,
    #[cfg(feature = "compress")]
    pub(super) compression: Option<Box<super::compress::Compression>>,
    pub(super) events: VecDeque<SessionEvent>,
    pub(super) waiting: VecDeque<Pending>,
    pub(super) in_flight: VecDeque<Pending>,
    pub(super) sending: Option<Sending>,
    last_id: u64,
    pub(super) last_tag: u64,
    /// The mailbox that is open, or is being opened.
    pub(super) mailbox: Option<Selected>,
    /// The one to open again with the next connection.
    pub(super) remembered: Option<(MailboxName, bool)>,
    /// What to tell of is said again with the next connection.
    pub(super) notify: Option<Notify>,
    /// Who reads the literal that is coming.
    reader: Option<RequestId>,
    pub(super) idle: Idle,
    /// When whoever waits is told that nobody reads; `None` while somebody does.
    pub(super) unread_by: Option<Instant>,
    /// How long the response is that is being taken.
    pub(super) length: usize,
    /// When something last came.
    pub(super) heard: Option<Instant>,
    /// Whether the server has said that it goes, while leave is taken.
    pub(super) has_bye: bool,
    /// Why the connection has to end, and since when that is known.
    pub(super) doomed: Option<(Instant, SessionError)>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// There is none.
    Offline,
    /// The server is to greet.
    Greeting,
    /// The user is being logged in, step by step.
    Capabilities,
    Login,
    CapabilitiesAgain,
    Id,
    Enable,
    Notify,
    #[cfg(feature = "compress")]
    Compress,
    Reselect,
    /// Requests are sent.
    Ready,
    /// Leave is taken.
    Leaving,
    /// Leave was taken.
    Closed,
}

/// Waiting for news.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idle {
    /// Whether somebody wants news.
    pub(super) is_wanted: bool,
    /// Whether the server has begun.
    pub(super) has_begun: bool,
    /// Whether the server does not take IDLE, whatever it says.
    pub(super) is_refused: bool,
    /// When it ends, so that it can begin again; `None` where the server was not told to begin, or
    /// has not begun yet.
    pub(super) until: Option<Instant>,
    /// When the server is asked for news, where it has no IDLE.
    pub(super) poll_at: Option<Instant>,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: Config) -> Self {
        Self {
            framer: Framer::new(config.limits),
            parser: ResponseParser::new(config.limits),
            config,
            dialect: Dialect::default(),
            stage: Stage::Offline,
            server: Server::default(),
            is_told: false,
            channel: Channel::plaintext(),
            exchange: None,
            sasl_error: None,
            login_by: None,
            out: Vec::new(),
            #[cfg(feature = "compress")]
            compression: None,
            events: VecDeque::new(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            sending: None,
            last_id: 0,
            last_tag: 0,
            mailbox: None,
            remembered: None,
            notify: None,
            reader: None,
            idle: Idle::default(),
            unread_by: None,
            length: 0,
            heard: None,
            has_bye: false,
            doomed: None,
        }
    }

    /// Learns of a new connection, and of what is known of it: whether others can read along, and
    /// what a log-in can be bound to.
    pub fn opened(&mut self, now: Instant, channel: Channel) {
        self.framer = Framer::new(self.config.limits);
        self.parser = ResponseParser::new(self.config.limits);
        self.dialect = Dialect::default();
        self.server = Server::default();
        self.is_told = false;
        self.exchange = None;
        self.sasl_error = None;
        self.out.clear();
        #[cfg(feature = "compress")]
        {
            self.compression = None;
        }
        self.sending = None;
        self.mailbox = None;
        self.reader = None;
        self.idle.is_refused = false;
        self.unread_by = None;
        self.heard = None;
        self.has_bye = false;
        self.login_by = Some(now + self.config.login_timeout);
        self.stage = Stage::Greeting;
        if self.config.security != Security::Plaintext && !channel.encrypted {
            self.doomed = Some((now, SessionError::NotEncrypted));
            return;
        }
        self.channel = channel;
        if self.config.security == Security::StartTls {
            // What was said before TLS is forgotten, the greeting too.
            self.step(now, Stage::Capabilities, Command::Capability);
        }
    }

    /// Whether what goes over the connection is compressed.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn is_compressed(&self) -> bool {
        self.server.is_compressed
    }

    /// Logs in with these credentials from the next connection on.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.config.credentials = credentials;
    }

    /// Learns that the connection is gone, and who ended it. What was asked for and not answered
    /// fails.
    pub fn lost(&mut self, by: EndedBy) {
        self.stage = Stage::Offline;
        self.idle.until = None;
        self.idle.poll_at = None;
        self.doomed = None;
        self.unread_by = None;
        self.login_by = None;
        self.exchange = None;
        self.sending = None;
        self.mailbox = None;
        #[cfg(feature = "compress")]
        {
            self.compression = None;
        }
        let in_flight = std::mem::take(&mut self.in_flight);
        for pending in in_flight
            .into_iter()
            .chain(std::mem::take(&mut self.waiting))
        {
            self.fail(&pending, RequestError::ConnectionLost(by));
        }
    }

    /// Asks for something. What needs no mailbox waits for a connection, where there is none.
    ///
    /// # Errors
    /// [`RequestError::TooManyPending`]; [`RequestError::NotConnected`] where it needs a mailbox;
    /// [`RequestError::Unsupported`], where the server has not what it needs, also later, where there is
    /// no connection yet; [`RequestError::Invalid`].
    pub fn request(&mut self, now: Instant, command: Command) -> Result<RequestId, RequestError> {
        self.ask(now, command, None, Vec::new())
    }

    /// Reads a part of a message's text, piece by piece: the command is a FETCH of this section
    /// alone.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn read(
        &mut self,
        now: Instant,
        command: Command,
        section: Section,
    ) -> Result<RequestId, RequestError> {
        self.ask(now, command, Some(section), Vec::new())
    }

    /// Appends a message, or several: the command is [`Append`](Command::Append),
    /// [`AppendAll`](Command::AppendAll) or [`Replace`](Command::Replace). What is not given here is given
    /// later, when it is [`Wanted`](SessionEvent::Wanted), one message behind the other.
    ///
    /// # Errors
    /// As [`request`](Self::request); [`RequestError::MessageTooLarge`].
    pub fn append(
        &mut self,
        now: Instant,
        command: Command,
        message: Option<Bytes>,
    ) -> Result<RequestId, RequestError> {
        self.ask(now, command, None, message.into_iter().collect())
    }

    fn ask(
        &mut self,
        now: Instant,
        command: Command,
        reads: Option<Section>,
        message: Vec<Bytes>,
    ) -> Result<RequestId, RequestError> {
        self.may_ask(&command, 1)?;
        let id = self.next_id();
        let mut pending = Pending::new(Purpose::Request(id), command, now);
        pending.reads = reads;
        pending.message = message;
        self.waiting.push_back(pending);
        self.pump(now);
        Ok(id)
    }

    /// Asks for several things at once, which are sent one behind the other without waiting for an
    /// answer, whatever they are. Only who asks for them can know that the answers can be told apart
    /// (RFC 9051, section 5.5): an answer that may be that to several is told as the first's. Where a
    /// SELECT that is among them fails, so do those behind it.
    ///
    /// # Errors
    /// As [`request`](Self::request); then nothing is asked for.
    pub fn request_together(
        &mut self,
        now: Instant,
        commands: Vec<Command>,
    ) -> Result<Vec<RequestId>, RequestError> {
        self.ask_together(now, None, commands)
    }

    /// The same, of this mailbox alone. Where another one is open when it is their turn, or this one
    /// has other UIDs (UIDVALIDITY), they fail with [`RequestError::NotSelected`]. Where it was opened
    /// again meanwhile, with a new connection perhaps, they go on.
    ///
    /// # Errors
    /// As there.
    pub fn request_within(
        &mut self,
        now: Instant,
        mailbox: &Selected,
        commands: Vec<Command>,
    ) -> Result<Vec<RequestId>, RequestError> {
        let within = (mailbox.name.clone(), mailbox.uid_validity);
        self.ask_together(now, Some(&within), commands)
    }

    fn ask_together(
        &mut self,
        now: Instant,
        within: Option<&(MailboxName, Option<u32>)>,
        commands: Vec<Command>,
    ) -> Result<Vec<RequestId>, RequestError> {
        let selects = matches!(commands.first(), Some(Command::Select { .. }));
        for command in &commands {
            match self.may_ask(command, commands.len()) {
                Err(RequestError::NotConnected) if selects => {}
                other => other?,
            }
        }
        let ids: Vec<RequestId> = commands.iter().map(|_| self.next_id()).collect();
        for (id, command) in ids.iter().zip(commands) {
            let mut pending = Pending::new(Purpose::Request(*id), command, now);
            pending.group = ids.first().copied();
            pending.within = within.cloned().map(Box::new);
            self.waiting.push_back(pending);
        }
        self.pump(now);
        Ok(ids)
    }

    fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    /// Whether something can be asked for, together with others.
    fn may_ask(&self, command: &Command, count: usize) -> Result<(), RequestError> {
        if self.stage >= Stage::Leaving {
            return Err(RequestError::Closed);
        }
        if self.waiting.len() + self.in_flight.len() + count > self.config.request_capacity {
            return Err(RequestError::TooManyPending);
        }
        if self.is_uid_only() && command.has_numbers() {
            return Err(RequestError::UidRequired);
        }
        if self.stage == Stage::Ready
            && let Some(error) = denied(command, &self.server)
        {
            return Err(error);
        }
        // What can't be written is refused now.
        command.encode("A", Dialect::default())?;
        let selects = |pending: &Pending| matches!(pending.command, Command::Select { .. });
        if self.stage < Stage::Ready && needs_mailbox(command) && !self.waiting.iter().any(selects)
        {
            return Err(RequestError::NotConnected);
        }
        Ok(())
    }

    /// Whether messages have UIDs and no numbers.
    pub(super) fn is_uid_only(&self) -> bool {
        self.server.enabled.has("UIDONLY")
    }

    /// Nobody waits for the outcome of a request any more. One that was not sent is not sent then;
    /// what the others bring is dropped.
    pub fn withdraw(&mut self, id: RequestId) {
        self.waiting.retain(|pending| pending.id() != Some(id));
        self.reader.take_if(|reader| *reader == id);
        for pending in &mut self.in_flight {
            if pending.id() == Some(id) {
                pending.is_abandoned = true;
            }
        }
    }

    /// Whether news are wanted: while nothing else is asked for, the server then tells of them.
    pub fn set_idle(&mut self, now: Instant, is_wanted: bool) {
        self.idle.is_wanted = is_wanted;
        self.idle.poll_at = None;
        self.pump(now);
    }

    /// Whether a log-in is under way, or has just failed, that was bound to its TLS connection and might
    /// have gone better without: the server refuses it for no other reason, or says nothing.
    pub fn is_login_bound(&self) -> bool {
        let is_bound = |exchange: &Exchange| exchange.mechanism().is_bound();
        self.exchange.as_ref().is_some_and(is_bound)
    }

    /// Whoever waits for an answer is told that it did not come: nobody reads what may stand before
    /// it.
    fn give_up(&mut self) {
        for pending in std::mem::take(&mut self.waiting) {
            self.fail(&pending, RequestError::TimedOut);
        }
        for at in 0..self.in_flight.len() {
            let pending = &mut self.in_flight[at];
            // Whoever has begun to read a text is the one to read on.
            let is_waiting = !pending.is_abandoned && !pending.has_begun;
            if let (Some(id), true) = (pending.id(), is_waiting) {
                pending.is_abandoned = true;
                self.tell(SessionEvent::Completed(id, Err(RequestError::TimedOut)));
            }
        }
    }

    /// Takes leave: what was not sent is given up, what was sent is still answered.
    pub fn close(&mut self, now: Instant) {
        for pending in std::mem::take(&mut self.waiting) {
            match pending.purpose {
                Purpose::Settle(tag) => self.settled(tag),
                _ => self.fail(&pending, RequestError::Closed),
            }
        }
        if self.stage <= Stage::Greeting {
            self.closed();
        } else if self.stage < Stage::Leaving {
            self.stage = Stage::Leaving;
            self.login_by = None;
            self.pump(now);
        }
    }

    /// The mailbox that is open.
    pub fn selected(&self) -> Option<&Selected> {
        self.mailbox.as_ref()
    }

    /// What is known of the server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What the server can do, as it said last.
    pub fn capabilities(&self) -> &Capabilities {
        &self.server.capabilities
    }

    pub(super) fn closed(&mut self) {
        self.stage = Stage::Closed;
        self.tell(SessionEvent::Closed);
    }

    pub(super) fn tell(&mut self, event: SessionEvent) {
        self.events.push_back(event);
    }

    /// Whoever asked is told that nothing comes of it.
    pub(super) fn fail(&mut self, pending: &Pending, error: RequestError) {
        if let (Some(id), false) = (pending.id(), pending.is_abandoned) {
            self.tell(SessionEvent::Completed(id, Err(error)));
        }
    }

    /// Logging in is over, one way or the other.
    pub(super) fn is_logged_in(&mut self) {
        self.login_by = None;
    }

    /// A literal begins: perhaps somebody reads it.
    fn literal(&mut self, size: u64) {
        // Only a head that is looked at once, and is short, is looked at.
        let reads = self.in_flight.iter().any(|pending| pending.reads.is_some());
        let head = self.framer.head();
        if !reads || head.len() > MAX_HEAD {
            return;
        }
        let Some(head) = crate::codec::Fetch::head(head) else {
            return;
        };
        let reads = |pending: &&mut Pending| pending.reads_at(&head);
        let Some(reader) = self.in_flight.iter_mut().find(reads) else {
            return;
        };
        reader.has_begun = true;
        self.reader = reader.id().filter(|_| !reader.is_abandoned);
        self.framer.stream();
        if let Some(reader) = self.reader {
            self.tell(SessionEvent::Begins(reader, size));
        }
    }

    /// When the oldest command in flight has waited long enough.
    fn answer_by(&self) -> Option<Instant> {
        let oldest = self.in_flight.front()?;
        let is_idling = oldest.purpose == Purpose::Idle && self.idle.until.is_some();
        (self.unread_by.is_none() && !is_idling).then(|| oldest.since + self.config.answer_timeout)
    }

    fn is_heard_of(&mut self, now: Instant, id: RequestId) {
        for pending in &mut self.in_flight {
            if pending.id() == Some(id) {
                pending.since = now;
            }
        }
    }

    fn is_offline(&self) -> bool {
        self.stage == Stage::Offline
    }
}

impl fmt::Debug for Session {
    /// What waits to be sent may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("stage", &self.stage)
            .field("mailbox", &self.mailbox)
            .field("in_flight", &self.in_flight)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// Whether a command means messages of the mailbox that is selected.
pub(super) fn needs_mailbox(command: &Command) -> bool {
    matches!(
        command,
        Command::Close
            | Command::Unselect
            | Command::Expunge
            | Command::ExpungeUids(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy(..)
            | Command::Move(..)
            | Command::Replace { .. }
    )
}

/// What a server said when it ends the session.
pub(super) fn bye(status: Status) -> SessionError {
    SessionError::Bye(Box::new(crate::error::Refusal::of(status)))
}
