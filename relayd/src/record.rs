//! Records: what was decided about each opening and why, and what came of it; a JSON object a line.
//!
//! Each opening has one record, when it is known what becomes of it, and if it came to be, one more when it
//! is over. They say who it was, what was asked for, what was dialled, and which rule decided, as it
//! stands in the configuration. No payload, token or password is ever in one.
//!
//! Where they are written nothing waits: what can't be written in time is dropped, and the log says how
//! many that were.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jackfield_relay_wire::{Id, Reason};
use serde::{Serialize, Serializer};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::metrics::Metrics;
use crate::policy::{Allowed, ListenRule, Refusal, Rule, Transport};
use crate::sink::Sink;

/// How long it is waited for the last records to be written.
const FLUSH: Duration = Duration::from_millis(500);

/// What was decided about an opening, or what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// When, in RFC 3339.
    pub time: String,
    /// Which of them it is.
    pub event: Event,
    /// The session's number, which the log has too.
    pub session: u64,
    /// The stream's, listener's or socket's identifier in its session.
    pub id: u32,
    /// Who asked.
    #[serde(flatten)]
    pub who: Arc<Who>,
    /// What was asked for.
    pub action: Action,
    /// What carries the bytes.
    #[serde(serialize_with = "written")]
    pub transport: Transport,
    /// The host and port as asked for; of what a listener took, who it was.
    pub asked: String,
    /// The address that was dialled, or that is listened at.
    pub address: Option<SocketAddr>,
    /// What was decided.
    #[serde(flatten)]
    pub basis: Basis,
    /// What came of it: `opened`, or the code that the client was told; at the end, how it ended.
    pub outcome: String,
    /// More about that, for people; of a refusal, the reason.
    pub why: Option<String>,
    /// Payload from the client, in bytes. At the end only, as what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_up: Option<u64>,
    /// Payload to the client, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_down: Option<u64>,
    /// How long it was open, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_ms: Option<u64>,
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Event {
    /// Of a decision, and whether it was opened.
    Open,
    /// Of the end of what was opened.
    Close,
    /// Of a token that the relay has minted.
    Mint,
    /// Of the first datagrams that a socket may not send; there are no more such records of it.
    Datagrams,
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// To connect.
    Connect,
    /// To listen.
    Listen,
    /// It was asked by one who connected to its listener.
    Accept,
    /// To bind a datagram socket.
    Bind,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Listen => "listen",
            Self::Accept => "accept",
            Self::Bind => "bind",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Who {
    /// The token's name.
    pub token: String,
    /// Which of its bearers, where that is known.
    pub bearer: Option<String>,
    /// The page's origin.
    pub origin: Option<String>,
    /// Where the WebSocket comes from.
    pub peer: SocketAddr,
}

/// What a decision rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Basis {
    /// What was decided.
    pub decision: Decision,
    /// The rule that decided, as it was written.
    pub rule: Option<String>,
    /// Its line in the configuration file.
    pub line: Option<usize>,
    /// Why it would have been denied, where the token's `report` has it allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_deny: Option<String>,
    /// What whom the token [asks](crate::ask) has said to it, where it came to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
}

/// What came of a question whether to open something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answered {
    /// The answer allows it.
    Allowed,
    /// The answer denies it.
    Denied,
    /// There was no answer, and it is opened as the configuration has it.
    FailedOpen,
    /// There was no answer, and it is refused as the configuration has it.
    FailedClosed,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is allowed.
    Allow,
    /// It is not.
    Deny,
    /// It came to no decision: the name has no address, say, or the client has withdrawn it.
    #[default]
    None,
}

/// A token that the relay has minted: a record of no session, with the event `mint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Minting {
    /// When, in RFC 3339.
    pub time: String,
    /// [`Event::Mint`].
    pub event: Event,
    /// The token's name in the configuration.
    pub token: String,
    /// For whom it is (`sub`).
    pub bearer: Option<String>,
    /// What it can be revoked by.
    pub jti: String,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
}

impl Minting {
    pub(crate) fn now(token: &str, bearer: Option<String>, jti: &str, exp: u64) -> Self {
        Self {
            time: now(),
            event: Event::Mint,
            token: token.to_owned(),
            bearer,
            jti: jti.to_owned(),
            exp,
        }
    }
}

/// Takes records. It must not block: sessions wait for it.
pub trait Records: Debug + Send + Sync + 'static {
    /// Takes this one.
    fn record(&self, record: &Record);

    /// Takes one of a token that was minted.
    fn minting(&self, _: &Minting) {}

    /// How many it had to drop so far.
    fn dropped(&self) -> u64 {
        0
    }

    /// The configuration is read again: what comes from now on may go elsewhere, as to a new file of the
    /// same name.
    ///
    /// # Errors
    /// Where it can't. Then the configuration isn't taken, and records go where they went.
    fn reopen(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Nobody wants records.
impl Records for () {
    fn record(&self, _: &Record) {}
}

/// Records as lines of JSON, which a thread of its own writes. Dropping it waits for half a second at
/// most until all are written.
#[derive(Debug)]
pub struct JsonLines {
    sink: Sink,
    /// None for standard output.
    file: Option<(PathBuf, Next)>,
}

/// The file that is written to next, in place of the one that is.
type Next = Arc<Mutex<Option<File>>>;

impl JsonLines {
    /// Appends to this file, which is made if it isn't there; to standard output where its name is `-`.
    /// [Reopened](Records::reopen), it makes the file anew where somebody has moved it away, as `logrotate`
    /// does; lines that wait by then go into either.
    ///
    /// # Errors
    /// Where the file can't be opened; the text names it.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            let sink = Sink::start("records", io::stdout(), || {})?;
            return Ok(Self { sink, file: None });
        }
        let next = Next::default();
        let writer = Following {
            current: append(path)?,
            next: Arc::clone(&next),
        };
        Ok(Self {
            sink: Sink::start("records", writer, || {})?,
            file: Some((path.into(), next)),
        })
    }
}

fn append(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map_err(|error| {
        let text = format!("{} can't be written to: {error}", path.display());
        io::Error::new(error.kind(), text)
    })
}

/// Writes to the file that was opened last. A line is written at once, and so to one file.
struct Following {
    current: File,
    next: Next,
}

impl Write for Following {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.current.write(bytes)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let next = (self.next.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(next) = next {
            self.current = next;
        }
        self.current.write_all(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.flush()
    }
}

impl JsonLines {
    fn put(&self, record: &impl Serialize) {
        // Nothing in it can't be written as JSON.
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            self.sink.put(&line);
        }
    }
}

impl Records for JsonLines {
    fn record(&self, record: &Record) {
        self.put(record);
    }

    fn minting(&self, minting: &Minting) {
        self.put(minting);
    }

    fn dropped(&self) -> u64 {
        self.sink.dropped()
    }

    fn reopen(&self) -> io::Result<()> {
        if let Some((path, next)) = &self.file {
            let file = append(path)?;
            *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
        Ok(())
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        self.sink.flush(FLUSH);
    }
}

impl From<&Allowed<'_>> for Basis {
    fn from(allowed: &Allowed<'_>) -> Self {
        Self {
            decision: Decision::Allow,
            rule: allowed.rule.map(ToString::to_string),
            line: allowed.rule.and_then(Rule::line),
            would_deny: allowed.would_deny.as_ref().map(ToString::to_string),
            answer: None,
        }
    }
}

impl From<&ListenRule> for Basis {
    fn from(rule: &ListenRule) -> Self {
        Self {
            decision: Decision::Allow,
            rule: Some(rule.to_string()),
            line: rule.line(),
            would_deny: None,
            answer: None,
        }
    }
}

impl From<&Refusal> for Basis {
    fn from(refusal: &Refusal) -> Self {
        let mut basis = Self::denied();
        if let Some(rule) = refusal.rule() {
            basis.rule = Some(rule.to_string());
            basis.line = rule.line();
        }
        basis
    }
}

impl Basis {
    /// Denied by what is no rule.
    pub(crate) fn denied() -> Self {
        Self {
            decision: Decision::Deny,
            ..Self::default()
        }
    }

    /// The same, with what was answered.
    pub(crate) fn answered(mut self, answer: Option<Answered>) -> Self {
        self.answer = answer;
        self
    }
}

/// Who makes records of one session.
#[derive(Clone, Debug)]
pub(crate) struct Clerk {
    pub(crate) session: u64,
    pub(crate) who: Arc<Who>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What hangs on a session, as it is shown to an administrator.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: u32,
    action: Action,
    #[serde(serialize_with = "written")]
    transport: Transport,
    asked: String,
    address: Option<SocketAddr>,
    /// How long it has been open, in milliseconds; of an opening, nothing.
    open_ms: Option<u64>,
    bytes_up: u64,
    bytes_down: u64,
}

/// The case of one opening: it gives a record when it is decided, and one when it is over. Where it is
/// dropped before, it was withdrawn or cut.
#[derive(Debug)]
pub(crate) struct Case {
    clerk: Clerk,
    record: Record,
    /// Since when it is open.
    opened: Option<Instant>,
    decided: bool,
    bytes_up: u64,
    bytes_down: u64,
}

impl Clerk {
    pub(crate) fn case(
        &self,
        id: Id,
        action: Action,
        transport: Transport,
        asked: &dyn ToString,
    ) -> Case {
        Case {
            clerk: self.clone(),
            record: Record {
                time: String::new(),
                event: Event::Open,
                session: self.session,
                id: id.get(),
                who: Arc::clone(&self.who),
                action,
                transport,
                asked: asked.to_string(),
                address: None,
                basis: Basis::default(),
                outcome: "cancelled".into(),
                why: None,
                bytes_up: None,
                bytes_down: None,
                open_ms: None,
            },
            opened: None,
            decided: false,
            bytes_up: 0,
            bytes_down: 0,
        }
    }
}

impl Case {
    /// It is open.
    pub(crate) fn open(&mut self, address: Option<SocketAddr>, basis: Basis) {
        self.record.address = address;
        self.record.basis = basis;
        self.decide("opened", None);
        self.opened = Some(Instant::now());
        // Unless somebody says otherwise until then.
        self.record.outcome = "closed".into();
    }

    /// It can't be; then there is nothing to end.
    pub(crate) fn refuse(mut self, reason: &Reason, basis: Basis, why: &str) {
        self.record.basis = basis;
        self.decide(&reason.code().to_string(), Some(why));
    }

    /// What an administrator is shown of it.
    pub(crate) fn shown(&self) -> Shown {
        let record = &self.record;
        Shown {
            id: record.id,
            action: record.action,
            transport: record.transport,
            asked: record.asked.clone(),
            address: record.address,
            open_ms: self.opened.map(milliseconds),
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
        }
    }

    /// Who asks.
    pub(crate) fn who(&self) -> &Arc<Who> {
        &self.clerk.who
    }

    /// What was decided.
    pub(crate) fn basis(&self) -> &Basis {
        &self.record.basis
    }

    /// What it has carried besides.
    pub(crate) fn carried(&mut self, up: u64, down: u64) {
        self.bytes_up += up;
        self.bytes_down += down;
    }

    /// How it is ending. The first word counts.
    pub(crate) fn ending(&mut self, reason: &Reason) {
        if self.record.why.is_none() {
            self.record.outcome = reason.code().to_string();
            self.record.why = Some(reason.text().into());
        }
    }

    /// Datagrams to there are refused.
    pub(crate) fn datagrams(&self, to: SocketAddr, basis: Basis, why: &str) {
        let mut record = self.record.clone();
        record.event = Event::Datagrams;
        record.asked = to.to_string();
        record.address = None;
        record.basis = basis;
        record.outcome = "dropped".into();
        record.why = Some(why.into());
        self.write(record);
    }

    fn decide(&mut self, outcome: &str, why: Option<&str>) {
        self.decided = true;
        let mut record = self.record.clone();
        record.outcome = outcome.into();
        record.why = why.map(Into::into);
        self.write(record);
    }

    fn write(&self, mut record: Record) {
        record.time = now();
        self.clerk.metrics.recorded(&record);
        self.clerk.records.record(&record);
    }
}

/// The time, in RFC 3339.
fn now() -> String {
    let mut text = String::new();
    // It fails for a year that nobody can write, which this isn't.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

impl Drop for Case {
    fn drop(&mut self) {
        let mut record = self.record.clone();
        if let Some(opened) = self.opened {
            record.event = Event::Close;
            record.bytes_up = Some(self.bytes_up);
            record.bytes_down = Some(self.bytes_down);
            record.open_ms = Some(milliseconds(opened));
        } else if self.decided {
            return;
        }
        self.write(record);
    }
}

/// How long ago that was.
pub(crate) fn milliseconds(since: Instant) -> u64 {
    since.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it serialises by reference"
)]
pub(crate) fn written<S: Serializer>(transport: &Transport, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(transport)
}
