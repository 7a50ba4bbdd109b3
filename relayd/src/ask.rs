//! Asking: before something is opened that a token's rules allow, a program of its owner's decides (often
//! called forward-auth).
//!
//! The rules come first: what they deny isn't asked about. Until the answer is there no name is looked up,
//! and no packet leaves for the target. What is asked is a small JSON object by HTTP; the answer is its status:
//! 200 or 204 allow, 403 denies, and everything else is no answer.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use jackfield_native::Native;
use jackfield_socket::{Endpoint, Host, TcpConnect as _, TcpOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::http_client::{Answer, Resource};
use crate::limits::{LimitReached, Whose};
use crate::policy::Transport;
use crate::record::{Answered, Who, written};
use crate::session::Context;

/// How much of a denial is read for its text, in bytes.
const MAX_BODY: usize = 4096;
/// How much of that its client is told, in characters.
const MAX_TEXT: usize = 200;

/// Whom the relay asks before it opens what a token's rules allow, and what it does where nobody answers.
///
/// There is a connection for each question, which nobody keeps. Clones share the bound on how many there are
/// at a time.
///
/// ```
/// use jackfield_relayd::ask::{Ask, Fails};
///
/// let ask = Ask::new("http://127.0.0.1:9000/decide", None, Fails::Closed)?;
/// assert!(Ask::new("http://192.0.2.1/decide", None, Fails::Closed).is_err(), "in the clear");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ask {
    resource: Arc<Resource>,
    fails: Fails,
    deadline: Duration,
    at_most: u32,
    questions: Arc<Semaphore>,
    of_bearers: Arc<Mutex<HashMap<String, u32>>>,
}

/// One question of a bearer's share; dropping it gives it back.
struct OfBearer<'a> {
    all: &'a Mutex<HashMap<String, u32>>,
    bearer: &'a str,
}

/// What becomes of an opening where the question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fails {
    /// It goes on, as if it were allowed.
    Open,
    /// It is refused.
    Closed,
}

/// What is asked about.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Question {
    action: Doing,
    #[serde(serialize_with = "written")]
    transport: Transport,
    /// As the client asks for it: a name, or an address without brackets.
    host: String,
    port: u16,
}

/// What a client is about to do.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Doing {
    Connect,
    Listen,
    Bind,
    /// A datagram socket that is being bound, a group.
    Join,
    /// A bound datagram socket, to a new peer.
    Send,
}

/// Why something isn't opened.
#[derive(Debug)]
pub(crate) enum No {
    /// The answer, and its text.
    Denied(String),
    /// There is none, and why.
    Failed(String),
    /// It can't be asked now.
    Limit(LimitReached),
}

impl Ask {
    /// How long an answer may take, unless it is [said](Self::with_deadline).
    pub const DEADLINE: Duration = Duration::from_secs(5);
    /// How many questions there are at a time, unless it is [said](Self::with_at_most).
    pub const AT_MOST: u32 = 64;

    /// Asks at this URL: `https`, whose server is verified against these roots in PEM, or against those that
    /// the system trusts; or plain `http` at a loopback or private address.
    ///
    /// # Errors
    /// Where it is another URL, or names a user or a fragment, or the roots can't be used.
    pub fn new(url: &str, roots: Option<&str>, fails: Fails) -> Result<Self, String> {
        Ok(Self {
            resource: Arc::new(Resource::secure_or_near(url, roots)?),
            fails,
            deadline: Self::DEADLINE,
            at_most: Self::AT_MOST,
            questions: Arc::new(Semaphore::new(Self::AT_MOST as usize)),
            of_bearers: Arc::default(),
        })
    }

    /// Waits so long for an answer. It is a part of the time that an opening has.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks so many questions at a time, and a quarter of that, rounded up, for each bearer of signed tokens
    /// (`sub`), so that none takes them all. What would be one more is refused, whatever [`Fails`] says:
    /// otherwise asking much would be a way past the answer.
    #[must_use]
    pub fn with_at_most(mut self, at_most: u32) -> Self {
        self.at_most = at_most;
        self.questions = Arc::new(Semaphore::new(at_most as usize));
        self
    }

    /// Who is asked.
    pub(crate) fn server(&self) -> &Endpoint {
        self.resource.server()
    }

    pub(crate) fn fails(&self) -> Fails {
        self.fails
    }

    /// Whether whatever was opened by what another said would be by this too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.resource == other.resource && (self.fails == other.fails || self.fails == Fails::Open)
    }

    /// Asks, and waits for the answer: that it is allowed, or why it isn't.
    ///
    /// # Cancel safety
    /// Dropping the future ends the question, and makes room for another.
    pub(crate) async fn ask(
        &self,
        context: &Context,
        who: &Who,
        question: &Question,
    ) -> Result<Answered, No> {
        let answered = self.put(context, who, question).await;
        context.metrics().asked(&answered);
        answered
    }

    async fn put(&self, context: &Context, who: &Who, question: &Question) -> Result<Answered, No> {
        let reached = |whose, value: u32| {
            No::Limit(LimitReached {
                whose,
                name: "ask_at_most",
                value: value.into(),
            })
        };
        let share = self.at_most.div_ceil(4);
        let of_bearer = who.bearer.as_deref().map(|bearer| self.take(bearer, share));
        if let Some(None) = of_bearer {
            return Err(reached(Whose::Bearer, share));
        }
        let _one =
            (self.questions.try_acquire()).map_err(|_| reached(Whose::Token, self.at_most))?;
        let deadline = Instant::now() + self.deadline;
        let late = |_| format!("there is no answer after {} ms", self.deadline.as_millis());
        let answer = timeout_at(deadline, self.exchange(context, who, question)).await;
        let failure = match answer.map_err(late).flatten() {
            Ok(answer) => match answer.status() {
                StatusCode::OK | StatusCode::NO_CONTENT => return Ok(Answered::Allowed),
                StatusCode::FORBIDDEN => {
                    // It is denied by now; its text may be missing.
                    let text = timeout_at(deadline, answer.read(MAX_BODY)).await;
                    let (text, _) = text.ok().and_then(Result::ok).unwrap_or_default();
                    return Err(No::Denied(printable(&text)));
                }
                other => format!("the answer is {other}"),
            },
            Err(error) => error,
        };
        let token = &who.token;
        warn!(token, server = %self.server(), error = failure, "can't ask whether to open something");
        match self.fails {
            Fails::Open => Ok(Answered::FailedOpen),
            Fails::Closed => Err(No::Failed(failure)),
        }
    }

    /// One question of a bearer who may have so many; none where he has. Who asks nothing isn't kept.
    fn take<'a>(&'a self, bearer: &'a str, share: u32) -> Option<OfBearer<'a>> {
        let all = &*self.of_bearers;
        let mut asking = all.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.get(bearer).is_some_and(|count| *count >= share) {
            return None;
        }
        *asking.entry(bearer.to_owned()).or_default() += 1;
        Some(OfBearer { all, bearer })
    }

    async fn exchange(
        &self,
        context: &Context,
        who: &Who,
        question: &Question,
    ) -> Result<Answer, String> {
        #[derive(Serialize)]
        struct Asked<'a> {
            #[serde(flatten)]
            who: &'a Who,
            #[serde(flatten)]
            question: &'a Question,
        }
        let body = serde_json::to_string(&Asked { who, question }).map_err(|e| e.to_string())?;
        let (server, options) = (self.server(), TcpOptions::default());
        let stream = match server.host() {
            Host::Ip(_) => Native.connect(server, &options).await,
            Host::Name(name) => {
                let found = context.resolve(name).await.map_err(|e| e.to_string())?;
                let at = |ip| SocketAddr::new(ip, server.port());
                let found = found.into_iter().map(at).collect();
                Native.connect_resolved(server, found, &options).await
            }
        };
        let stream = stream.map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/json");
        self.resource.exchange(stream, request, body).await
    }
}

impl Drop for OfBearer<'_> {
    fn drop(&mut self) {
        let mut asking = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = asking.get_mut(self.bearer) {
            *count -= 1;
            if *count == 0 {
                asking.remove(self.bearer);
            }
        }
    }
}

impl Question {
    pub(crate) fn new(doing: Doing, transport: Transport, to: &Endpoint) -> Self {
        let host = match to.host() {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.to_string(),
        };
        Self {
            action: doing,
            transport,
            host,
            port: to.port(),
        }
    }
}

impl No {
    /// What the record has of it.
    pub(crate) fn answered(&self) -> Option<Answered> {
        match self {
            Self::Denied(_) => Some(Answered::Denied),
            Self::Failed(_) => Some(Answered::FailedClosed),
            Self::Limit(_) => None,
        }
    }
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(text) if text.is_empty() => f.write_str("the answer denies it"),
            Self::Denied(text) => write!(f, "the answer denies it: {text}"),
            Self::Failed(error) => write!(f, "it can't be asked: {error}"),
            Self::Limit(reached) => reached.fmt(f),
        }
    }
}

/// What people may be shown of a text: its first characters that can be printed, on one line.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    // What isn't escaped for a debugger is there to be seen; these are, for their meaning in literals.
    let visible = |c: &char| matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
    let spaced = text.trim().chars().map(|c| match c {
        '\n' | '\t' => ' ',
        other => other,
    });
    spaced.filter(visible).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_told_as_one_line_of_what_can_be_seen() {
        for (text, told) in [
            (&b"not on Sundays"[..], "not on Sundays"),
            (b" two\nlines\r\n", "two lines"),
            (b"\x1b[31mred\x07\0", "[31mred"),
            (
                "it's \"so\" – für \u{202e}dich\u{200b}".as_bytes(),
                "it's \"so\" – für dich",
            ),
            (b"", ""),
        ] {
            assert_eq!(printable(text), told);
        }
        assert_eq!(printable(&[b'x'; 5000]).len(), MAX_TEXT);
        assert_eq!(printable(&[0xff; 5000]).chars().count(), MAX_TEXT);
    }

    #[test]
    fn another_to_ask_does_not_cover_what_was_answered() {
        let ask = |url, fails| Ask::new(url, None, fails).expect("near");
        let old = ask("http://127.0.0.1/", Fails::Open);
        assert!(ask("http://127.0.0.1/", Fails::Open).covers(&old));
        assert!(!ask("http://127.0.0.1/", Fails::Closed).covers(&old));
        assert!(!ask("http://127.0.0.1/a", Fails::Open).covers(&old));
        let old = old.with_at_most(1).with_deadline(Duration::ZERO);
        assert!(ask("http://127.0.0.1/", Fails::Open).covers(&old));
        let closed = ask("http://127.0.0.1/", Fails::Closed);
        assert!(old.covers(&closed));
    }
}
