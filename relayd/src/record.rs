//! Records: what was decided about each opening and why, and what came of it; a JSON object a line.
//!
//! Each opening has one record, when it is known what becomes of it, and if it came to be, one more when it
//! is over. They say who it was, what was asked for, what was dialled, and which rule decided, as it
//! stands in the configuration. No payload, token or password is ever in one.
//!
//! Where they are written nothing waits: what can't be written in time is dropped, and the log says how
//! many that were.

mod case;
mod lines;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde::{Serialize, Serializer};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::policy::{Allowed, ListenRule, Refusal, Rule, Transport};

pub(crate) use self::case::{Case, Clerk, Shown};
pub use self::lines::JsonLines;

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

/// The time, in RFC 3339.
fn now() -> String {
    let mut text = String::new();
    // It fails for a year that nobody can write, which this isn't.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
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
