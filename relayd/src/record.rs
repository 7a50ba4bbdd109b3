//! Records: what was decided about each opening and why, and what came of it; a JSON object a line.
//!
//! Each opening has one record, when it is known what becomes of it, and if it came to be, one more when it
//! is over. They say who it was, what was asked for, what was dialled, and which rule decided, as it
//! stands in the configuration. Each new peer of a datagram socket has one as well, each client that is let in
//! or not, each token that follows within a session, each session at its end, each token that is to be minted, and what an
//! administrator has the relay do. No payload, token or password is ever in one.
//!
//! What costs its author nothing can't fill a disk: of what is denied over and over, the first few a minute have
//! a record, and the next one says how many more there were (`more_denied`).
//!
//! Where they are written nothing waits: what can't be written in time is dropped, and the log says how
//! many that were.

mod case;
mod file;
mod lines;
mod strangers;

use std::fmt::{Debug, Display};
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
pub(crate) use self::strangers::{Stranger, Strangers};

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
    /// What came of it: `opened`, or the code that the client was told; at the end, how it ended. Of a
    /// datagram socket's peer, `allowed` or `dropped`.
    pub outcome: String,
    /// More about that, for people; of a refusal, the reason.
    pub why: Option<String>,
    /// What it has carried. At the end only.
    #[serde(flatten)]
    pub carried: Option<Carried>,
    /// Whether its target did not get all that the client had sent and ended. At the end only, and left out
    /// where it isn't so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<bool>,
    /// How many more datagrams of this socket, or connections to this listener, were denied since its last
    /// record, that have none of their own. Of a minute, 16 peers have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_denied: Option<u64>,
}

/// What was carried until something was over, and how long it was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Carried {
    /// Payload from the client, in bytes.
    pub bytes_up: u64,
    /// Payload to the client, in bytes.
    pub bytes_down: u64,
    /// How long it was open, in milliseconds.
    pub open_ms: u64,
}

impl Carried {
    fn since(opened: Instant, bytes_up: u64, bytes_down: u64) -> Self {
        Self {
            bytes_up,
            bytes_down,
            open_ms: milliseconds(opened),
        }
    }
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
    /// Of a client that was let in, and has a session, or that was not ([`SessionRecord`]).
    Enter,
    /// Of another token within a session, which goes on by it, or not.
    Renew,
    /// Of the end of a session.
    Leave,
    /// Of a token that the relay was asked to mint ([`Minting`]).
    Mint,
    /// Of what an administrator has had the relay do ([`Command`]).
    Command,
    /// Of a new peer of a bound datagram socket: whether it may send there. Those that it may not send to
    /// are [told up to a bound](Record::more_denied).
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

/// Whether a client was let in, whether another token of it was taken, and how its session ended: a record with the
/// event `enter`, `renew` or `leave`.
///
/// Of clients that are not let in, the first 20 a minute have one that come from one block of addresses and
/// are denied for one reason. A client that asks for no WebSocket, or is gone before it is answered, has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionRecord {
    /// When, in RFC 3339.
    pub time: String,
    /// [`Event::Enter`], [`Event::Renew`] or [`Event::Leave`].
    pub event: Event,
    /// The session's number, where there is one.
    pub session: Option<u64>,
    /// The token's name, where it has shown one that is signed as it should be, or the secret itself; also where
    /// that has expired, say, or was revoked.
    pub token: Option<String>,
    /// Which of the token's bearers, where that is known.
    pub bearer: Option<String>,
    /// The token's own identifier (`jti`), where it has one. Not at the end: by then it may have got another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The page's origin; of one that isn't let in, its first 256 bytes.
    pub origin: Option<String>,
    /// Where the WebSocket comes from.
    pub peer: SocketAddr,
    /// Whether it was let in, or its token taken.
    pub decision: Decision,
    /// `opened`, `renewed`, or the code that the client was told; of one that admission turns away, which is told
    /// nothing, `turned away`.
    pub outcome: String,
    /// More about that, for people.
    pub why: Option<String>,
    /// What its streams and sockets have carried. At the end only; what they had still to deliver then is in their
    /// records.
    #[serde(flatten)]
    pub carried: Option<Carried>,
    /// How many more clients were not let in since the last record of one, that have none of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_denied: Option<u64>,
}

impl SessionRecord {
    /// Of one that was let in.
    fn of(event: Event, session: Option<u64>, who: &Who) -> Self {
        Self {
            time: now(),
            event,
            session,
            token: Some(who.token.clone()),
            bearer: who.bearer.clone(),
            jti: None,
            origin: who.origin.clone(),
            peer: who.peer,
            decision: Decision::Allow,
            outcome: "opened".into(),
            why: None,
            carried: None,
            more_denied: None,
        }
    }
}

/// A token that the relay was asked to mint, and has minted or not: a record of no session, with the event `mint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Minting {
    /// When, in RFC 3339.
    pub time: String,
    /// [`Event::Mint`].
    pub event: Event,
    /// The token's name in the configuration, or what was asked for in its place.
    pub token: String,
    /// For whom it is (`sub`).
    pub bearer: Option<String>,
    /// What it can be revoked by.
    pub jti: Option<String>,
    /// When it ends, in seconds since 1970.
    pub exp: Option<u64>,
    /// Whether it was minted.
    pub decision: Decision,
    /// Why it was not.
    pub why: Option<String>,
}

impl Minting {
    /// One that was minted.
    pub(crate) fn minted(token: &str, bearer: Option<String>, jti: &str, exp: u64) -> Self {
        Self {
            jti: Some(jti.to_owned()),
            exp: Some(exp),
            decision: Decision::Allow,
            why: None,
            ..Self::denied(token, bearer, "")
        }
    }

    /// One that was not, and why.
    pub(crate) fn denied(token: &str, bearer: Option<String>, why: &str) -> Self {
        Self {
            time: now(),
            event: Event::Mint,
            token: token.to_owned(),
            bearer,
            jti: None,
            exp: None,
            decision: Decision::Deny,
            why: Some(why.to_owned()),
        }
    }
}

/// What an administrator has had the relay do: a record of no session, with the event `command`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Command {
    /// When, in RFC 3339.
    pub time: String,
    /// [`Event::Command`].
    pub event: Event,
    /// What.
    pub command: Commanded,
    /// Of which session, token and bearer, and of which token's `jti`, where it was said.
    pub session: Option<u64>,
    /// The token's name in the configuration.
    pub token: Option<String>,
    /// The bearer (`sub`).
    pub bearer: Option<String>,
    /// The token's `jti`.
    pub jti: Option<String>,
    /// Of what was issued before then, in RFC 3339, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<String>,
    /// `done`, or `failed`: then nothing has changed.
    pub outcome: String,
    /// Why it has failed, or of what was revoked, why that ends with the relay.
    pub why: Option<String>,
}

/// What an administrator may have a relay do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Commanded {
    /// To end sessions.
    Kill,
    /// To revoke tokens.
    Revoke,
    /// To take its configuration again, by whatever means it is told to.
    Reload,
    /// To end, by whatever means it is told to.
    Drain,
}

impl Command {
    /// It was done, or why not.
    pub(crate) fn now(command: Commanded, failed: Option<&dyn Display>) -> Self {
        let outcome = if failed.is_some() { "failed" } else { "done" };
        Self {
            time: now(),
            event: Event::Command,
            command,
            session: None,
            token: None,
            bearer: None,
            jti: None,
            issued_before: None,
            outcome: outcome.into(),
            why: failed.map(ToString::to_string),
        }
    }
}

/// Takes records. It must not block: sessions wait for it.
pub trait Records: Debug + Send + Sync + 'static {
    /// Takes this one.
    fn record(&self, record: &Record);

    /// Takes one of a client that was let in or not, of another token of it, or of the end of its session.
    fn session(&self, _: &SessionRecord) {}

    /// Takes one of a token that was to be minted.
    fn minting(&self, _: &Minting) {}

    /// Takes one of what an administrator has had the relay do.
    fn command(&self, _: &Command) {}

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
