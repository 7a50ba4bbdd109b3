//! A doctor: tries a relay from outside, as its clients do, and says what is wrong and what helps.
//!
//! What a configuration can't show is between the relay and its clients: names, certificates, and
//! proxies that don't forward an upgrade, take a header away, or cut what is silent. The doctor goes
//! the way that a client goes, step by step, and stops at the first that leads nowhere.

mod health;
mod way;

use std::fmt;
use std::time::Duration;

use jackfield_relay_wire::{Code, Frame, MAX_DATA, Reason, Settings, auth};
use jackfield_socket::Endpoint;
use tokio::time::{Instant, timeout, timeout_at};

use crate::conformance::client::{Answer, Client, raw};
use crate::conformance::{Stop, Suite};

/// How long one step may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How many round trips are timed.
const ROUNDS: usize = 9;
/// What a relay never reaches for a client, if its rules were written with care: its own machine, and
/// the addresses at which clouds hand out credentials.
const FORBIDDEN: &[&str] = &[
    "127.0.0.1:22",
    "[::1]:22",
    "169.254.169.254:80",
    "[fd00:ec2::254]:80",
    "10.0.0.1:22",
    "[::ffff:127.0.0.1]:22",
];

/// Who is examined, and how thoroughly.
///
/// ```no_run
/// use jackfield_relayd::conformance::Suite;
/// use jackfield_relayd::doctor::Doctor;
///
/// # async fn examine() -> Result<(), Box<dyn std::error::Error>> {
/// let mut suite = Suite::new("wss://relay.example.org/")?;
/// suite.token = Some("a token of it".into());
/// let mut doctor = Doctor::new(suite);
/// doctor.destinations = vec!["imap.example.org:993".parse()?];
/// let diagnosis = doctor.examine().await;
/// assert!(diagnosis.is_well(), "{diagnosis}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Doctor {
    suite: Suite,
    /// What the token should reach by TCP. Default: nothing.
    pub destinations: Vec<Endpoint>,
    /// For how long the WebSocket is left silent, but for what the relay says by itself: many proxies
    /// cut after 60 s. Zero leaves that out. Default: 75 s.
    pub silence: Duration,
    /// At which port of its addresses the relay's metrics must not be told. Zero leaves that out. Default: 9100,
    /// as the relay's documents have it.
    pub metrics_port: u16,
}

/// What was found, in the order in which it was looked for.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis(Vec<Finding>);

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, and where it isn't well, what helps.
    pub text: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Well,
    /// It works, and may not be what was meant.
    Doubtful,
    /// It doesn't work, or isn't safe.
    Wrong,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        let wrong = |finding: &Finding| finding.severity == Severity::Wrong;
        !self.0.iter().any(wrong)
    }

    /// All that was found.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    fn add(&mut self, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        self.0.push(Finding { severity, text });
    }

    fn well(&mut self, text: impl Into<String>) {
        self.add(Severity::Well, text);
    }

    fn doubtful(&mut self, text: impl Into<String>) {
        self.add(Severity::Doubtful, text);
    }

    fn wrong(&mut self, text: impl Into<String>) {
        self.add(Severity::Wrong, text);
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            let word = match finding.severity {
                Severity::Well => "well",
                Severity::Doubtful => "doubtful",
                Severity::Wrong => "WRONG",
            };
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{word:<9} {}", finding.text)?;
        }
        Ok(())
    }
}

/// That a step led nowhere, which was said: there is no next one.
struct Ended;

impl Doctor {
    /// For the relay that the suite would ask, with its token and as of its origin.
    pub fn new(suite: Suite) -> Self {
        Self {
            suite,
            destinations: Vec::new(),
            silence: Duration::from_secs(75),
            metrics_port: 9100,
        }
    }

    /// Examines the relay.
    ///
    /// # Cancel safety
    /// Dropping the future ends it.
    pub async fn examine(&self) -> Diagnosis {
        let mut diagnosis = Diagnosis::default();
        // What was said by then is all there is.
        let _ = self.go(&mut diagnosis).await;
        diagnosis
    }

    async fn go(&self, found: &mut Diagnosis) -> Result<(), Ended> {
        let addresses = self.way(found).await?;
        self.health(found).await;
        self.metrics(&addresses, found).await;
        self.upgrade(found).await?;
        self.strangers(found).await;
        let mut client = self.welcome(found).await?;
        self.carries(&mut client, found).await?;
        self.forbidden(&mut client, found).await?;
        self.destinations(&mut client, found).await?;
        self.silent(client, found).await
    }

    /// The request for a WebSocket, and what a proxy may have done to it.
    async fn upgrade(&self, found: &mut Diagnosis) -> Result<(), Ended> {
        let answer = match self.step(self.suite.ask(&self.suite.request())).await {
            Ok((_, answer)) => answer,
            Err(why) => {
                found.wrong(format!("asked for a WebSocket: {why}"));
                return Err(Ended);
            }
        };
        if answer.status != 101 {
            found.wrong(format!("asked for a WebSocket, {}", no_websocket(&answer)));
            return Err(Ended);
        }
        let selected = answer.header("Sec-WebSocket-Protocol");
        if selected != Some(auth::SUBPROTOCOL) {
            found.wrong(format!(
                "the WebSocket opens, but with the subprotocol {selected:?}: a proxy takes the header \
                 Sec-WebSocket-Protocol away, or this is another server. The token is in that header"
            ));
            return Err(Ended);
        }
        found.well("a WebSocket is opened, with the subprotocol jackfield.v1");
        Ok(())
    }

    /// Those who shouldn't come in.
    async fn strangers(&self, found: &mut Diagnosis) {
        let foreign = self
            .suite
            .request()
            .set("Origin", "https://no-such-page.invalid");
        match self.step(self.first(&foreign)).await {
            Ok(Frame::GoAway(reason)) if reason.code() == Code::ORIGIN_REFUSED => {
                found.well("a page of another origin is turned away");
            }
            Ok(Frame::Hello(_)) => found.wrong(
                "a page of any origin is let in: every page that somebody visits can use the relay. \
                 List the pages in `origins`",
            ),
            Ok(other) => found.doubtful(format!("a page of another origin is told {other:?}")),
            Err(why) => found.doubtful(format!("as a page of another origin: {why}")),
        }
        if self.suite.token.is_none() {
            return;
        }
        match self.step(self.first(&self.suite.request_with(None))).await {
            Ok(Frame::GoAway(reason)) if reason.code() == Code::TOKEN_MISSING => {
                found.well("who has no token is turned away");
            }
            Ok(Frame::Hello(_)) => {
                found.wrong("who has no token is let in: anybody can use the relay");
            }
            Ok(other) => found.doubtful(format!("who has no token is told {other:?}")),
            Err(why) => found.doubtful(format!("without a token: {why}")),
        }
    }

    /// What the relay says first to whoever asks like this.
    async fn first(&self, request: &crate::conformance::client::Request) -> Result<Frame, Stop> {
        self.suite.upgrade(request).await?.frame().await
    }

    /// Whether the token lets one in.
    async fn welcome(&self, found: &mut Diagnosis) -> Result<Client, Ended> {
        let begun = Instant::now();
        let opening = async {
            let mut client = self.suite.upgrade(&self.suite.request()).await?;
            client.send(&Frame::Hello(Settings::default())).await?;
            let first = client.frame().await?;
            Ok((client, first))
        };
        match self.step(opening).await {
            Ok((client, Frame::Hello(_))) => {
                let took = begun.elapsed().as_millis();
                found.well(format!(
                    "the token lets in, {took} ms from the first packet"
                ));
                Ok(client)
            }
            Ok((_, Frame::GoAway(reason))) => {
                found.wrong(format!(
                    "the relay turns away: {reason}. {}",
                    what_helps(&reason)
                ));
                Err(Ended)
            }
            Ok((_, other)) => {
                found.wrong(format!("{other:?} came first, not HELLO: this is no relay"));
                Err(Ended)
            }
            Err(why) => {
                found.wrong(why);
                Err(Ended)
            }
        }
    }

    /// Round trips, and the longest message.
    async fn carries(&self, client: &mut Client, found: &mut Diagnosis) -> Result<(), Ended> {
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            self.or_end(client.before_now(), "asked for an answer", found)
                .await?;
            times.push(begun.elapsed());
        }
        times.sort();
        let median = times[ROUNDS / 2].as_secs_f64() * 1000.0;
        found.well(format!("a round trip takes {median:.1} ms"));
        // An extension's frame, which nobody acts on.
        let longest = raw(0xff, 0, &vec![0; MAX_DATA]);
        let sent = async {
            client.send_raw(&longest).await?;
            client.before_now().await
        };
        let cut = "sent a message of 64 KiB, the longest there is: a proxy allows less";
        self.or_end(sent, cut, found).await?;
        found.well("a message of 64 KiB passes");
        Ok(())
    }

    /// What nobody should reach through a relay.
    async fn forbidden(&self, client: &mut Client, found: &mut Diagnosis) -> Result<(), Ended> {
        let mut open = Vec::new();
        for text in FORBIDDEN {
            let Ok(to) = text.parse::<Endpoint>() else {
                continue;
            };
            let answer = self.open(client, &to);
            match self
                .or_end(answer, "asked for what is forbidden", found)
                .await?
            {
                Some(reason) if reason.code() == Code::DENIED => {}
                Some(reason) if reason.code() == Code::LIMIT_EXCEEDED => {}
                Some(reason) => open.push(format!("{text} ({reason})")),
                None => open.push(text.to_string()),
            }
        }
        if open.is_empty() {
            found
                .well("the relay's own machine, private networks and metadata services are denied");
        } else {
            found.doubtful(format!(
                "the token may reach {}: addresses that are the relay's own, private, or hand out a cloud's \
                 credentials. If that isn't meant, take the rule away that lists them",
                open.join(", ")
            ));
        }
        Ok(())
    }

    async fn destinations(&self, client: &mut Client, found: &mut Diagnosis) -> Result<(), Ended> {
        for to in &self.destinations {
            let answer = self.open(client, to);
            match self
                .or_end(answer, "asked for a destination", found)
                .await?
            {
                None => found.well(format!("{to} is reached")),
                Some(reason) => found.wrong(format!(
                    "{to} is not reached: {reason}. {}",
                    what_helps(&reason)
                )),
            }
        }
        Ok(())
    }

    /// Opens a stream and closes it; why not.
    async fn open(&self, client: &mut Client, to: &Endpoint) -> Result<Option<Reason>, Stop> {
        let id = client.ask_to_connect(to.clone(), 1).await?;
        let answer = client.answer(id).await?;
        if answer.is_ok() {
            let reason = Reason::new(Code::CLOSED, "");
            client.send(&Frame::Reset { id, reason }).await?;
            // What a server said by itself is on its way, and nobody's concern.
            client.before_now().await?;
        }
        Ok(answer.err())
    }

    /// Whether silence is cut.
    async fn silent(&self, mut client: Client, found: &mut Diagnosis) -> Result<(), Ended> {
        if self.silence.is_zero() {
            return Ok(());
        }
        let begun = Instant::now();
        let until = begun + self.silence;
        // The relay's PINGs are answered meanwhile, as a client does.
        match timeout_at(until, client.frame()).await {
            Err(_) => {}
            Ok(Ok(Frame::GoAway(reason))) => {
                found.doubtful(format!("the relay ends the session: {reason}"));
                return Err(Ended);
            }
            Ok(outcome) => {
                let seen = match outcome {
                    Ok(frame) => format!("{frame:?} came"),
                    Err(stop) => said(stop),
                };
                let after = begun.elapsed().as_secs();
                found.wrong(format!(
                    "after {after} s of silence, {seen}: a proxy cuts sooner than the relay's PING, which \
                     comes every 25 s. Let its time-out be 60 s or more"
                ));
                return Err(Ended);
            }
        }
        self.or_end(client.before_now(), "asked after a silence", found)
            .await?;
        found.well(format!(
            "{} s of silence are not cut",
            self.silence.as_secs()
        ));
        Ok(())
    }

    /// A step that has a deadline; what went wrong, as text.
    async fn step<T>(&self, step: impl Future<Output = Result<T, Stop>>) -> Result<T, String> {
        match timeout(DEADLINE, step).await {
            Ok(done) => done.map_err(said),
            Err(_) => Err(format!("there is no answer in {} s", DEADLINE.as_secs())),
        }
    }

    /// The same where nothing comes after it.
    async fn or_end<T>(
        &self,
        step: impl Future<Output = Result<T, Stop>>,
        what: &str,
        found: &mut Diagnosis,
    ) -> Result<T, Ended> {
        self.step(step).await.map_err(|why| {
            found.wrong(format!("{what}: {why}"));
            Ended
        })
    }
}

fn said(stop: Stop) -> String {
    match stop {
        Stop::Failed(what) => what,
        Stop::Skipped(why) => why.into(),
    }
}

/// What an answer other than 101 means.
fn no_websocket(answer: &Answer) -> String {
    let status = answer.status;
    let why = match status {
        400 | 426 => {
            "the proxy before the relay doesn't forward the upgrade (nginx: proxy_http_version 1.1, and the \
             headers Upgrade and Connection)"
        }
        403 => "a firewall or the proxy refuses it; the relay itself says why in a WebSocket",
        301 | 302 | 303 | 307 | 308 => {
            "WebSockets follow nobody elsewhere. Give the address to which it leads to your clients, with wss:// \
             in the place of https://"
        }
        404 => "there is no relay at this path",
        429 => "this machine's address has asked too often; wait some minutes",
        502..=504 => "the proxy doesn't reach the relay behind it",
        _ => "that is none of the relay's",
    };
    match answer.header("Location") {
        Some(to) => format!("the answer is {status} to {to:?}: {why}"),
        None => format!("the answer is {status}: {why}"),
    }
}

/// What to do about a reason.
fn what_helps(reason: &Reason) -> &'static str {
    match reason.code() {
        Code::ORIGIN_REFUSED => "Add it to `origins`, or allow_without_origin for programs",
        Code::HOST_UNKNOWN => "Add the name in the relay's address to `hosts`",
        Code::PATH_UNKNOWN => "Compare the address with `path`; a proxy may have changed it",
        Code::TOKEN_MISSING => "Give a token",
        Code::TOKEN_UNKNOWN => "Compare it with the configuration, and both clocks",
        Code::TOKEN_EXPIRED => "Make a new one",
        Code::RELAY_FULL | Code::TOKEN_FULL | Code::LIMIT_EXCEEDED => "Wait, or raise the limit",
        Code::GOING_AWAY => "The relay is about to end: try again",
        Code::DENIED => "`jackfield-relayd explain` says which rule decides",
        Code::HOST_NOT_FOUND => "The relay's resolver doesn't know the name",
        Code::REFUSED => "Nothing listens there",
        Code::TIMED_OUT => "A firewall between the relay and it drops packets",
        _ => "The relay's log may say more",
    }
}
