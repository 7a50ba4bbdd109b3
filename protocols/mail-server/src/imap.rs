//! The IMAP side: a session as a state machine, bytes and time in, bytes out.

mod answer;
mod fetch;
mod list;
mod search;
mod selected;

use std::fmt;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use jackfield_imap::codec::server::{
    Asked, BadRequest, Request, RequestFrame, RequestFramer, Writer,
};
use jackfield_imap::codec::{Flag, Limit, Limits as Grammar, Text};
use jackfield_sasl::base64;
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use crate::store::{Store, StoreError, UserId};

use answer::Answer;
use fetch::Fetching;
use selected::Selected;

/// While so many bytes wait to be sent, no further request is looked at.
const HIGH_WATER: usize = 64 * 1024;
/// How long a client has to take its last lines and close, once it was told to go.
const LINGER: Duration = Duration::from_secs(5);
/// How often a client may fail to log in.
const MAX_FAILURES: u32 = 5;
/// How many items a request may have, in the grammar's own counting.
const MAX_ITEMS: usize = 20_000;

/// A client's session, which a [`Driver`](jackfield_socket::driver::Driver) can run.
///
/// What waits to be sent is bounded: beyond 64 KiB, and one message, no further request is looked at
/// until some of it was taken. [`SessionEvent::Reading`] says when nothing more is to be read meanwhile.
pub struct Session {
    store: Store,
    id: u64,
    framer: RequestFramer,
    /// What was read and not looked at yet.
    input: Vec<u8>,
    /// How many bytes of literals the request has so far.
    literals: usize,
    out: Vec<u8>,
    user: Option<UserId>,
    selected: Option<Selected>,
    mode: Mode,
    has_condstore: bool,
    has_qresync: bool,
    failures: u32,
    login_timeout: Duration,
    idle_timeout: Duration,
    deadline: Instant,
    /// Whether the driver was told to read.
    is_reading: bool,
}

enum Mode {
    Requests,
    /// The client's answer to AUTHENTICATE PLAIN is to come.
    Plain(Text),
    Idle(Text),
    /// A FETCH that is not done yet.
    Fetching(Box<Fetching>),
    /// The client is to go.
    Closing,
}

/// What a session tells whoever drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Whether more is to be read from the client
    /// ([`Driver::set_reading`](jackfield_socket::driver::Driver::set_reading)).
    Reading(bool),
}

/// The client was told to go, and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overdue;

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client did not close its connection in time")
    }
}

impl std::error::Error for Overdue {}

impl Session {
    /// A session with a client that has just come.
    pub fn new(store: Store, now: Instant) -> Self {
        let (id, config) = store.with(|state| (state.session(), state.config.clone()));
        let mut session = Self {
            id,
            framer: RequestFramer::new(config.limits.max_line),
            input: Vec::new(),
            literals: 0,
            out: Vec::new(),
            user: None,
            selected: None,
            mode: Mode::Requests,
            has_condstore: false,
            has_qresync: false,
            failures: 0,
            login_timeout: config.login_timeout,
            idle_timeout: config.idle_timeout,
            deadline: now + config.login_timeout,
            is_reading: true,
            store,
        };
        let capabilities = session.capabilities();
        session
            .write()
            .raw("* OK [CAPABILITY ")
            .raw(&capabilities)
            .raw("] ")
            .raw(config.name.as_str())
            .raw(" is for demos and tests\r\n");
        session
    }

    /// Has this woken when there may be news for the client: [`Core`]'s methods must be called then.
    pub fn wake_with(&self, waker: &Waker) {
        self.store.with(|state| state.wake(self.id, waker));
    }

    fn write(&mut self) -> Writer<'_> {
        Writer::new(&mut self.out)
    }

    fn capabilities(&self) -> String {
        let max = self.store.with(|state| state.limits().max_message);
        let login = if self.user.is_none() {
            " AUTH=PLAIN SASL-IR"
        } else {
            ""
        };
        format!(
            "IMAP4rev1{login} APPENDLIMIT={max} CHILDREN CONDSTORE ENABLE ESEARCH ID IDLE \
             LIST-EXTENDED LIST-STATUS LITERAL+ MOVE NAMESPACE QRESYNC SPECIAL-USE STATUS=SIZE \
             UIDPLUS UNSELECT"
        )
    }

    /// Whether nothing more is to be read now.
    fn is_busy(&self) -> bool {
        let is_fetching = matches!(self.mode, Mode::Fetching(_));
        is_fetching || !self.input.is_empty() || self.out.len() >= HIGH_WATER
    }

    /// Does what can be done with what has come.
    fn advance(&mut self, now: Instant) {
        let input = std::mem::take(&mut self.input);
        let mut rest: &[u8] = &input;
        while self.out.len() < HIGH_WATER {
            let goes_on = match &mut self.mode {
                Mode::Closing => {
                    rest = &[];
                    false
                }
                Mode::Fetching(_) => {
                    self.fetch_next();
                    true
                }
                _ => self.take(now, &mut rest),
            };
            if !goes_on {
                break;
            }
        }
        self.input.extend_from_slice(rest);
        if matches!(self.mode, Mode::Idle(_)) {
            self.tell_news();
        }
    }

    /// Takes a request, or a part of one; whether there may be another.
    fn take(&mut self, now: Instant, input: &mut &[u8]) -> bool {
        let line = match &self.mode {
            Mode::Requests => {
                return match self.framer.next(input) {
                    Ok(Some(RequestFrame::Request(request))) => {
                        self.literals = 0;
                        self.request(now, &request);
                        true
                    }
                    Ok(Some(RequestFrame::Literal { size, waits })) => {
                        self.literal(size, waits);
                        true
                    }
                    Ok(None) => false,
                    Err(limit) => {
                        self.too_long(limit);
                        false
                    }
                };
            }
            _ => self.framer.next_line(input),
        };
        match line {
            Ok(Some(line)) => {
                match std::mem::replace(&mut self.mode, Mode::Requests) {
                    Mode::Plain(tag) => self.plain(now, &tag, &line),
                    Mode::Idle(tag) => {
                        let answer = if line.trim_ascii().eq_ignore_ascii_case(b"DONE") {
                            Answer::ok("no longer idle")
                        } else {
                            Answer::bad("DONE was expected")
                        };
                        self.finish(&tag, &answer, true);
                    }
                    // These read no lines.
                    mode @ (Mode::Requests | Mode::Fetching(_) | Mode::Closing) => self.mode = mode,
                }
                true
            }
            Ok(None) => false,
            Err(limit) => {
                self.too_long(limit);
                false
            }
        }
    }

    fn too_long(&mut self, _limit: Limit) {
        self.write().raw("* BYE [LIMIT] the line is too long\r\n");
        self.mode = Mode::Closing;
    }

    /// Decides on a literal that was announced.
    fn literal(&mut self, size: u64, waits: bool) {
        let limits = self.store.with(|state| state.limits());
        let mut words = self.framer.head().split(|byte| *byte == b' ');
        let tag = words.next().unwrap_or_default().to_vec();
        let command = words.next().unwrap_or_default();
        let may_append = self.user.is_some() && command.eq_ignore_ascii_case(b"APPEND");
        let (one, all) = if may_append {
            (limits.max_message, limits.max_message + limits.max_literals)
        } else {
            (limits.max_literal, limits.max_literals)
        };
        let left = all.saturating_sub(self.literals).min(one);
        match usize::try_from(size) {
            Ok(size) if size <= left => {
                self.literals += size;
                self.framer.keep();
                if waits {
                    self.write().raw("+ go on\r\n");
                }
            }
            _ => {
                self.literals = 0;
                self.framer.refuse();
                let is_tag = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
                let tag = if is_tag { &tag } else { &b"*"[..] };
                let tag = Text::from(Bytes::copy_from_slice(tag));
                let answer = if may_append {
                    Answer::no("[TOOBIG] the message is too large")
                } else {
                    Answer::no("[LIMIT] the literal is too large")
                };
                self.finish(&tag, &answer, false);
            }
        }
    }

    fn request(&mut self, now: Instant, bytes: &Bytes) {
        let depth = self.store.with(|state| state.limits().max_depth);
        let mut grammar = Grammar::default();
        (grammar.max_depth, grammar.max_items) = (depth, MAX_ITEMS);
        let Request { tag, asked, .. } = match Request::read(bytes, grammar) {
            Ok(request) => request,
            Err(bad) => {
                let answer = Answer::bad(&bad.to_string());
                let BadRequest { tag, .. } = bad;
                return match tag {
                    Some(tag) => self.finish(&tag, &answer, false),
                    None => self.finish(&Text::from("*"), &answer, false),
                };
            }
        };
        match asked {
            Asked::Capability => {
                let capabilities = self.capabilities();
                self.write()
                    .raw("* CAPABILITY ")
                    .raw(&capabilities)
                    .raw("\r\n");
                self.finish(&tag, &Answer::ok("that is all"), true);
            }
            Asked::Noop => self.finish(&tag, &Answer::ok("done"), true),
            Asked::Logout => {
                self.write().raw("* BYE good bye\r\n");
                self.finish(&tag, &Answer::ok("done"), false);
                self.mode = Mode::Closing;
                self.deadline = now + LINGER;
            }
            Asked::Id(_) => {
                let version = env!("CARGO_PKG_VERSION");
                self.write()
                    .raw("* ID (\"name\" \"jackfield-mail-server\" \"version\" ")
                    .string(version.as_bytes())
                    .raw(")\r\n");
                self.finish(&tag, &Answer::ok("that is me"), true);
            }
            Asked::Login { user, password } if self.user.is_none() => {
                let user = user.to_str().into_owned();
                self.log_in(now, &tag, &user, password.reveal());
            }
            Asked::Authenticate { mechanism, initial } if self.user.is_none() => {
                if !mechanism.is("PLAIN") {
                    let answer = Answer::no("[CANNOT] the mechanism is not known");
                    return self.finish(&tag, &answer, false);
                }
                if let Some(initial) = initial {
                    return self.plain(now, &tag, initial.reveal().as_bytes());
                }
                self.write().raw("+ \r\n");
                self.mode = Mode::Plain(tag);
            }
            Asked::Login { .. } | Asked::Authenticate { .. } => {
                self.finish(&tag, &Answer::bad("you are logged in already"), true);
            }
            asked => match self.user {
                Some(user) => self.authenticated(now, user, tag, asked),
                None => self.finish(&tag, &Answer::bad("log in first"), false),
            },
        }
    }

    /// The client's answer to AUTHENTICATE PLAIN (RFC 4616).
    fn plain(&mut self, now: Instant, tag: &Text, line: &[u8]) {
        let line = line.trim_ascii();
        if line == b"*" {
            return self.finish(tag, &Answer::bad("cancelled"), false);
        }
        match plain(line) {
            Some((user, password)) => self.log_in(now, tag, &user, &password),
            None => self.finish(tag, &Answer::bad("the message can't be read"), false),
        }
    }

    fn log_in(&mut self, now: Instant, tag: &Text, user: &str, password: &str) {
        self.user = self.store.with(|state| state.log_in(user, password));
        if self.user.is_some() {
            self.deadline = now + self.idle_timeout;
            let text = format!("[CAPABILITY {}] welcome", self.capabilities());
            return self.finish(tag, &Answer::ok(&text), false);
        }
        self.failures += 1;
        let answer = Answer::no("[AUTHENTICATIONFAILED] user or password is wrong");
        self.finish(tag, &answer, false);
        if self.failures >= MAX_FAILURES {
            self.write().raw("* BYE too many attempts\r\n");
            self.mode = Mode::Closing;
            self.deadline = now + LINGER;
        }
    }

    /// What only a user may ask for.
    fn authenticated(&mut self, now: Instant, user: UserId, tag: Text, asked: Asked) {
        let done = |result: Result<(), StoreError>| Answer::of(result, "done", "[NONEXISTENT]");
        let answer = match asked {
            Asked::Enable(names) => self.enable(&names),
            Asked::Namespace => {
                self.write().raw("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
                Answer::ok("done")
            }
            Asked::Create(name) => done(self.store.with(|state| state.create(user, &name))),
            Asked::Delete(name) => done(self.store.with(|state| state.delete(user, &name))),
            Asked::Rename(from, to) => {
                done(self.store.with(|state| state.rename(user, &from, &to)))
            }
            Asked::Subscribe(name) => self.subscribe(user, &name, true),
            Asked::Unsubscribe(name) => self.subscribe(user, &name, false),
            Asked::List(asked) => self.list(user, &asked),
            Asked::Status(name, items) => self.status(user, &name, &items),
            Asked::Append {
                mailbox,
                flags,
                date,
                message,
            } => self.append(now, user, &mailbox, &flags, date, message),
            Asked::Select {
                mailbox,
                read_only,
                condstore,
                resync,
            } => {
                self.has_condstore |= condstore;
                self.select(user, &mailbox, read_only, resync.as_ref())
            }
            Asked::Idle => {
                self.write().raw("+ idling\r\n");
                self.mode = Mode::Idle(tag);
                return;
            }
            asked => {
                if self.selected.is_none() {
                    let answer = Answer::bad("open a mailbox first");
                    return self.finish(&tag, &answer, true);
                }
                return self.in_mailbox(user, tag, asked);
            }
        };
        self.finish(&tag, &answer, true);
    }

    /// What has to do with the mailbox that is open.
    fn in_mailbox(&mut self, user: UserId, tag: Text, asked: Asked) {
        let (answer, may_tell) = match asked {
            Asked::Close => {
                self.close(user);
                (Answer::ok("closed"), false)
            }
            Asked::Unselect => {
                self.selected = None;
                (Answer::ok("closed"), false)
            }
            Asked::Expunge(uids) => (self.expunge(user, uids.as_ref()), true),
            Asked::Search {
                uids,
                returns,
                charset,
                search,
            } => {
                let answer = self.search(user, &tag, uids, returns, charset.as_ref(), &search);
                (answer, uids)
            }
            Asked::Fetch {
                messages,
                items,
                changed_since,
                vanished,
            } => {
                return self.fetch(user, tag, &messages, items, changed_since, vanished);
            }
            Asked::Store {
                messages,
                change,
                silent,
                unchanged_since,
            } => {
                let may_tell = is_by_uid(&messages);
                let answer = self.store_flags(user, &messages, &change, silent, unchanged_since);
                (answer, may_tell)
            }
            Asked::Copy(messages, to) => (self.copy(user, &messages, &to, false), true),
            Asked::Move(messages, to) => (self.copy(user, &messages, &to, true), true),
            _ => (Answer::bad("the command is not known"), true),
        };
        self.finish(&tag, &answer, may_tell);
    }

    fn enable(&mut self, names: &[Text]) -> Answer {
        let mut enabled = String::new();
        for name in names {
            if name.is("CONDSTORE") {
                self.has_condstore = true;
                enabled.push_str(" CONDSTORE");
            } else if name.is("QRESYNC") {
                (self.has_condstore, self.has_qresync) = (true, true);
                enabled.push_str(" QRESYNC");
            }
        }
        self.write().raw("* ENABLED").raw(&enabled).raw("\r\n");
        Answer::ok("done")
    }

    /// Answers a request, after what else there is to tell where this may be told now: numbers of
    /// messages must not change under a client that has just used them (RFC 9051, section 7.5.1).
    fn finish(&mut self, tag: &Text, answer: &Answer, may_tell: bool) {
        if may_tell {
            self.tell_news();
        }
        self.write().tag(tag).raw(" ").raw(answer.kind());
        self.write().raw(" ").raw(answer.text()).raw("\r\n");
    }
}

/// The user and the password of a message of PLAIN, as base64 carries it.
pub(crate) fn plain(line: &[u8]) -> Option<(String, String)> {
    let message = String::from_utf8(base64::decode(line).ok()?).ok()?;
    let mut parts = message.split('\0');
    let (acts_for, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_all = parts.next().is_none();
    let is_oneself = acts_for.is_empty() || acts_for == user;
    (is_all && is_oneself).then(|| (user.to_owned(), password.to_owned()))
}

fn is_by_uid(messages: &jackfield_imap::codec::Messages) -> bool {
    matches!(messages, jackfield_imap::codec::Messages::Uids(_))
}

/// The flags that every mailbox has.
const FLAGS: [Flag; 5] = [
    Flag::Answered,
    Flag::Flagged,
    Flag::Deleted,
    Flag::Seen,
    Flag::Draft,
];

impl Core for Session {
    type Event = SessionEvent;
    type Error = Overdue;

    fn poll_event(&mut self) -> Option<SessionEvent> {
        let reading = !self.is_busy();
        if reading == self.is_reading {
            return None;
        }
        self.is_reading = reading;
        Some(SessionEvent::Reading(reading))
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), Overdue> {
        if now < self.deadline {
            return Ok(());
        }
        // In the midst of a response nothing else can be said.
        if matches!(self.mode, Mode::Closing | Mode::Fetching(_)) {
            return Err(Overdue);
        }
        self.write().raw("* BYE you were silent for too long\r\n");
        self.mode = Mode::Closing;
        self.deadline = now + LINGER;
        Ok(())
    }

    fn is_finished(&self) -> bool {
        matches!(self.mode, Mode::Closing) && self.out.is_empty()
    }
}

impl StreamCore for Session {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Overdue> {
        if matches!(self.mode, Mode::Closing) {
            return Ok(());
        }
        // Whoever is not logged in gets no more time by talking.
        if self.user.is_some() {
            self.deadline = now + self.idle_timeout;
        }
        self.input.extend_from_slice(bytes);
        self.advance(now);
        if matches!(self.mode, Mode::Closing) {
            self.deadline = now + LINGER;
        }
        Ok(())
    }

    fn receive_end(&mut self, now: Instant) -> Result<(), Overdue> {
        self.mode = Mode::Closing;
        self.deadline = now + LINGER;
        Ok(())
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.advance(now);
        out.append(&mut self.out);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.store.with(|state| state.forget(self.id));
    }
}

/// Without what was said.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("selected", &self.selected.is_some())
            .field("login_timeout", &self.login_timeout)
            .finish_non_exhaustive()
    }
}
