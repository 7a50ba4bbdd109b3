//! The side of submission: a session as a state machine, bytes and time in, bytes out.

use std::fmt;
use std::time::Duration;

use jackfield_imap::codec::MailboxName;
use jackfield_sasl::base64;
use jackfield_smtp::codec::server::{BadRequest, MailAsked, Request, Stuffed};
use jackfield_smtp::codec::{Mailbox as Address, ReversePath};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use crate::config::Config;
use crate::imap::plain;
use crate::store::{Store, StoreError, UserId};

/// How long a client has to take its last lines and close, once it was told to go.
const LINGER: Duration = Duration::from_secs(5);
/// How often a client may fail to log in.
const MAX_FAILURES: u32 = 5;

/// A client's session, which a [`Driver`](jackfield_socket::driver::Driver) can run.
///
/// Mail for a user of the [`Store`] goes into the INBOX; mail for others is refused, since this server
/// sends nothing.
pub struct Session {
    store: Store,
    config: Config,
    /// The line so far.
    line: Vec<u8>,
    out: Vec<u8>,
    client: Option<String>,
    user: Option<UserId>,
    failures: u32,
    mail: Option<Mail>,
    mode: Mode,
    deadline: Instant,
}

/// A message that has begun.
struct Mail {
    from: ReversePath,
    to: Vec<UserId>,
    content: Vec<u8>,
    /// Why it can't be taken, whatever else comes of it.
    refusal: Option<&'static str>,
    /// BDAT has begun it.
    is_counted: bool,
}

enum Mode {
    Commands,
    Data(Stuffed),
    /// So many bytes of a chunk are to come, the last or not.
    Chunk(u64, bool),
    Plain,
    LoginUser,
    LoginPassword(String),
    Closing,
}

/// The client was told to go, and did not, or it does not read what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overdue;

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client does not read its replies, or did not close in time")
    }
}

impl std::error::Error for Overdue {}

impl Session {
    /// A session with a client that has just come.
    pub fn new(store: Store, now: Instant) -> Self {
        let config = store.config();
        let mut session = Self {
            line: Vec::new(),
            out: Vec::new(),
            client: None,
            user: None,
            failures: 0,
            mail: None,
            mode: Mode::Commands,
            deadline: now + config.login_timeout,
            store,
            config,
        };
        let greeting = format!("220 {} ESMTP for demos and tests", session.config.name);
        session.reply(&greeting);
        session
    }

    fn reply(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn leave(&mut self, now: Instant, reply: &str) {
        self.reply(reply);
        self.mode = Mode::Closing;
        self.deadline = now + LINGER;
    }

    fn take(&mut self, now: Instant, input: &mut &[u8]) {
        let max = self.config.limits.max_message;
        match &mut self.mode {
            Mode::Closing => *input = &[],
            Mode::Data(stuffed) => {
                let Some(mail) = &mut self.mail else {
                    self.mode = Mode::Commands;
                    return;
                };
                let has_ended = stuffed.take(input, &mut mail.content);
                if stuffed.has_bare_line_ends() {
                    mail.refuse("550 5.6.0 a line ends with CR LF and with nothing else");
                }
                mail.bound(max);
                if has_ended {
                    self.mode = Mode::Commands;
                    self.deliver(now);
                }
            }
            Mode::Chunk(left, is_last) => {
                let count =
                    usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                let (piece, rest) = input.split_at(count);
                *input = rest;
                *left -= count as u64;
                let (is_done, is_last) = (*left == 0, *is_last);
                if let Some(mail) = &mut self.mail {
                    mail.content.extend_from_slice(piece);
                    mail.bound(max);
                }
                if is_done {
                    self.mode = Mode::Commands;
                    self.chunk_is_done(now, is_last);
                }
            }
            _ => self.take_line(now, input),
        }
    }

    fn take_line(&mut self, now: Instant, input: &mut &[u8]) {
        let end = memchr::memchr(b'\n', input);
        let piece = &input[..end.unwrap_or(input.len())];
        if self.line.len() + piece.len() > self.config.limits.max_line {
            return self.leave(now, "500 5.5.2 the line is too long");
        }
        *input = input.get(piece.len() + 1..).unwrap_or_default();
        self.line.extend_from_slice(piece);
        if end.is_none() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let Ok(line) = std::str::from_utf8(line) else {
            return self.reply("500 5.5.2 the line is not UTF-8");
        };
        match std::mem::replace(&mut self.mode, Mode::Commands) {
            Mode::Plain => self.plain(now, line),
            Mode::LoginUser => match word(line) {
                Some(user) => {
                    self.reply("334 UGFzc3dvcmQ6");
                    self.mode = Mode::LoginPassword(user);
                }
                None => self.reply("501 5.5.2 the message can't be read"),
            },
            Mode::LoginPassword(user) => match word(line) {
                Some(password) => self.log_in(now, &user, &password),
                None => self.reply("501 5.5.2 the message can't be read"),
            },
            _ => self.command(now, line),
        }
    }

    fn command(&mut self, now: Instant, line: &str) {
        let request = match Request::read(line) {
            Ok(request) => request,
            Err(bad) => {
                let code = match bad {
                    BadRequest::Unknown => "500 5.5.1",
                    BadRequest::Path => "501 5.1.3",
                    BadRequest::Parameter => "555 5.5.4",
                    _ => "501 5.5.4",
                };
                return self.reply(&format!("{code} {bad}"));
            }
        };
        match request {
            Request::Ehlo(client) => self.hello(client, true),
            Request::Helo(client) => self.hello(client, false),
            Request::Noop => self.reply("250 2.0.0 done"),
            Request::Rset => {
                self.mail = None;
                self.reply("250 2.0.0 done");
            }
            Request::Quit => self.leave(now, "221 2.0.0 good bye"),
            Request::Vrfy(_) => self.reply("252 2.0.0 send, and you will see"),
            _ if self.client.is_none() => self.reply("503 5.5.1 say EHLO first"),
            Request::Auth(mechanism, initial) => self.auth(now, &mechanism, initial),
            Request::Mail { from, parameters } => self.begin(from, &parameters),
            Request::Rcpt(to) => self.recipient(&to),
            Request::Data => match &self.mail {
                Some(mail) if mail.is_counted => self.reply("503 5.5.1 go on with BDAT"),
                Some(mail) if !mail.to.is_empty() => {
                    self.mode = Mode::Data(Stuffed::default());
                    self.reply("354 go on, and end with a dot");
                }
                Some(_) => self.reply("554 5.5.1 nobody is to have it"),
                None => self.reply("503 5.5.1 say MAIL first"),
            },
            Request::Bdat(size, is_last) => self.chunk(now, size, is_last),
            _ => self.reply("502 5.5.1 the command is not known"),
        }
    }

    fn hello(&mut self, client: String, is_extended: bool) {
        self.mail = None;
        let name = &self.config.name;
        if !is_extended {
            let reply = format!("250 {name}");
            self.client = Some(client);
            return self.reply(&reply);
        }
        let max = self.config.limits.max_message;
        let replies = format!(
            "250-{name} is for demos and tests\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN\r\n\
             250-CHUNKING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n\
             250-SIZE {max}\r\n250 SMTPUTF8"
        );
        self.client = Some(client);
        self.reply(&replies);
    }

    fn auth(&mut self, now: Instant, mechanism: &str, initial: Option<String>) {
        if self.user.is_some() {
            return self.reply("503 5.5.1 you are logged in already");
        }
        if self.mail.is_some() {
            return self.reply("503 5.5.1 not within a message");
        }
        match (mechanism, initial) {
            ("PLAIN", Some(initial)) => self.plain(now, &initial),
            ("PLAIN", None) => {
                self.mode = Mode::Plain;
                self.reply("334 ");
            }
            ("LOGIN", Some(initial)) => match word(&initial) {
                Some(user) => {
                    self.mode = Mode::LoginPassword(user);
                    self.reply("334 UGFzc3dvcmQ6");
                }
                None => self.reply("501 5.5.2 the message can't be read"),
            },
            ("LOGIN", None) => {
                self.mode = Mode::LoginUser;
                self.reply("334 VXNlcm5hbWU6");
            }
            _ => self.reply("504 5.5.4 the mechanism is not known"),
        }
    }

    fn plain(&mut self, now: Instant, line: &str) {
        match plain(line.trim().as_bytes()) {
            Some((user, password)) => self.log_in(now, &user, &password),
            None => self.reply("501 5.5.2 the message can't be read"),
        }
    }

    fn log_in(&mut self, now: Instant, user: &str, password: &str) {
        self.user = self.store.with(|state| state.log_in(user, password));
        if self.user.is_some() {
            self.deadline = now + self.config.idle_timeout;
            return self.reply("235 2.7.0 welcome");
        }
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            return self.leave(now, "421 4.7.0 too many attempts");
        }
        self.reply("535 5.7.8 user or password is wrong");
    }

    fn begin(&mut self, from: ReversePath, parameters: &MailAsked) {
        let max = self.config.limits.max_message as u64;
        if self.user.is_none() {
            return self.reply("530 5.7.0 log in first");
        }
        if self.mail.is_some() {
            return self.reply("503 5.5.1 there is a message already");
        }
        if parameters.size.is_some_and(|size| size > max) {
            return self.reply("552 5.3.4 the message is too large");
        }
        if !from.as_str().is_ascii() && !parameters.smtp_utf8 {
            return self.reply("553 5.6.7 the address needs SMTPUTF8");
        }
        self.mail = Some(Mail {
            from,
            to: Vec::new(),
            content: Vec::new(),
            refusal: None,
            is_counted: false,
        });
        self.reply("250 2.1.0 go on");
    }

    fn recipient(&mut self, to: &Address) {
        let max = self.config.limits.max_recipients;
        let domain = self.config.domain.as_str();
        let Some(mail) = self.mail.as_mut().filter(|mail| !mail.is_counted) else {
            return self.reply("503 5.5.1 say MAIL first");
        };
        if !to.domain().eq_ignore_ascii_case(domain) {
            return self.reply("550 5.7.1 this server sends nothing to others");
        }
        let Some(user) = self.store.with(|state| state.user(to.as_str())) else {
            return self.reply("550 5.1.1 there is no such user");
        };
        if mail.to.len() >= max {
            return self.reply("452 4.5.3 there are too many recipients");
        }
        if !mail.to.contains(&user) {
            mail.to.push(user);
        }
        self.reply("250 2.1.5 go on");
    }

    fn chunk(&mut self, now: Instant, size: u64, is_last: bool) {
        // The bytes come in any case, and must not be taken for commands.
        self.mode = Mode::Chunk(size, is_last);
        if let Some(mail) = &mut self.mail {
            mail.is_counted = true;
        }
        if size == 0 {
            self.mode = Mode::Commands;
            self.chunk_is_done(now, is_last);
        }
    }

    fn chunk_is_done(&mut self, now: Instant, is_last: bool) {
        match &self.mail {
            None => self.reply("503 5.5.1 say MAIL first"),
            Some(mail) if mail.to.is_empty() => {
                self.mail = None;
                self.reply("554 5.5.1 nobody is to have it");
            }
            Some(_) if is_last => self.deliver(now),
            Some(mail) => match mail.refusal {
                Some(refusal) => {
                    self.mail = None;
                    self.reply(refusal);
                }
                None => self.reply("250 2.0.0 go on"),
            },
        }
    }

    /// The message is there.
    fn deliver(&mut self, now: Instant) {
        let Some(mail) = self.mail.take() else {
            return;
        };
        if let Some(refusal) = mail.refusal {
            return self.reply(refusal);
        }
        let client = self.client.as_deref().unwrap_or_default();
        let client: String = client
            .chars()
            .filter(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '\\'))
            .take(255)
            .collect();
        let name = self.config.name.as_str();
        let delivered = self.store.with(|state| {
            let date = state.date(now);
            let trace = format!(
                "Return-Path: <{}>\r\nReceived: from {client} by {name} with ESMTPA; {}\r\n",
                mail.from.as_str(),
                rfc5322(date)
            );
            let message = [trace.as_bytes(), &mail.content].concat();
            let message = bytes::Bytes::from(message);
            let inbox = MailboxName::inbox();
            let mut failed = None;
            let mut taken = 0;
            for user in mail.to {
                match state.put(user, &inbox, &[], date, message.clone()) {
                    Ok(_) => taken += 1,
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                // The client can't be told of some: it would send the message again.
                Some(error) if taken == 0 => Err(error),
                _ => Ok(()),
            }
        });
        match delivered {
            Ok(()) => self.reply("250 2.0.0 it has arrived"),
            Err(StoreError::TooLarge) => self.reply("552 5.3.4 the message is too large"),
            Err(StoreError::Full) => self.reply("452 4.3.1 the store is full"),
            Err(_) => self.reply("554 5.6.0 the message is not valid"),
        }
    }
}

impl Mail {
    fn refuse(&mut self, reply: &'static str) {
        self.refusal.get_or_insert(reply);
    }

    /// Keeps no more than a message may have.
    fn bound(&mut self, max: usize) {
        if self.content.len() > max {
            self.refuse("552 5.3.4 the message is too large");
        }
        if self.refusal.is_some() {
            self.content = Vec::new();
        }
    }
}

/// A word of the mechanism LOGIN.
fn word(line: &str) -> Option<String> {
    String::from_utf8(base64::decode(line.trim()).ok()?).ok()
}

/// A date as a header has it; the day of the week may be left out (RFC 5322, section 3.3).
fn rfc5322(date: jackfield_imap::codec::DateTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (day, seconds) = (date.date(), date.seconds());
    let month = MONTHS
        .get(usize::from(day.month()) - 1)
        .copied()
        .unwrap_or_default();
    format!(
        "{} {month} {} {:02}:{:02}:{:02} +0000",
        day.day(),
        day.year(),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

impl Core for Session {
    type Event = std::convert::Infallible;
    type Error = Overdue;

    fn poll_event(&mut self) -> Option<Self::Event> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), Overdue> {
        if now < self.deadline {
            return Ok(());
        }
        if matches!(self.mode, Mode::Closing) {
            return Err(Overdue);
        }
        self.leave(now, "421 4.4.2 you were silent for too long");
        Ok(())
    }

    fn is_finished(&self) -> bool {
        matches!(self.mode, Mode::Closing)
    }
}

impl StreamCore for Session {
    fn receive(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), Overdue> {
        // Whoever is not logged in gets no more time by talking.
        if self.user.is_some() && !matches!(self.mode, Mode::Closing) {
            self.deadline = now + self.config.idle_timeout;
        }
        while !bytes.is_empty() {
            self.take(now, &mut bytes);
        }
        if self.out.len() > self.config.limits.max_replies {
            return Err(Overdue);
        }
        Ok(())
    }

    fn receive_end(&mut self, now: Instant) -> Result<(), Overdue> {
        self.mode = Mode::Closing;
        self.deadline = now + LINGER;
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }
}

/// Without what was said.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("has_mail", &self.mail.is_some())
            .finish_non_exhaustive()
    }
}
