//! Conformance of a relay: whether what answers at an address keeps to `docs/relay-protocol.md`.
//!
//! Any relay can be asked, in whatever language it is written. A [`Case`] checks one rule of the
//! specification, in a session of its own, by frames of its own making: what a client sees, what a
//! target sees, and what becomes of whoever breaks a rule. The targets are opened by the suite
//! itself, at an [address](Suite::target) that the relay reaches and allows.
//!
//! ```
//! use jackfield_relayd::conformance::Suite;
//! use jackfield_relayd::token::{Credential, Secret};
//! use jackfield_relayd::{Config, Relayd, Token};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut token = Token::new("suite", Credential::Secret(Secret::new("only-for-this-example")?));
//! token.policy.allow = vec!["127.0.0.1:*".parse()?, "127.0.0.1:*/udp".parse()?];
//! let mut config = Config::default();
//! config.listen = vec!["127.0.0.1:0".parse()?];
//! config.allow_without_origin = true;
//! config.tokens = vec![token];
//! let relay = Relayd::bind(config).await?;
//!
//! let mut suite = Suite::new(&format!("ws://{}/", relay.local_addrs()[0]))?;
//! suite.token = Some("only-for-this-example".into());
//! tokio::spawn(relay.run(std::future::pending()));
//! let report = suite.run_all().await;
//! assert!(report.passed(), "{report}");
//! # Ok(())
//! # }
//! ```

mod cases;
pub(crate) mod client;
mod targets;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use jackfield_native::{Native, NativeStream};
use jackfield_socket::{TcpConnect as _, TcpOptions};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector, TlsStream};
use jackfield_websocket::WebSocketUrl;
use tokio::time::timeout;

use self::client::Carrier;

/// Which relay is asked, and what the suite has to ask it.
///
/// The relay lets the suite reach every port of [`target`](Self::target) by TCP and UDP. What it
/// doesn't grant besides (listening, UDP) is skipped, and the report says so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Suite {
    pub(crate) relay: WebSocketUrl,
    tls: TlsConnector,
    /// The token that lets the suite in. Default: none.
    pub token: Option<String>,
    /// The page's origin that the suite says it is of. Default: none, as a program.
    pub origin: Option<String>,
    /// Where the suite listens for what the relay connects to, and where it asks the relay to listen.
    /// Default: 127.0.0.1.
    pub target: IpAddr,
    /// How long one case may take before it counts as failed. Default: 20 s.
    pub deadline: Duration,
}

impl Suite {
    /// For the relay at this address: `ws://` or `wss://`, a host, and perhaps a port and a path.
    ///
    /// # Errors
    /// Where it is no such address, or the platform has no certificates to verify by.
    pub fn new(relay: &str) -> jackfield_socket::Result<Self> {
        Ok(Self {
            relay: relay.parse()?,
            tls: TlsConnector::new(TlsConfig::new())?,
            token: None,
            origin: None,
            target: Ipv4Addr::LOCALHOST.into(),
            deadline: Duration::from_secs(20),
        })
    }

    /// Verifies the relay's certificate by these roots alone, a PEM file.
    ///
    /// # Errors
    /// Where the file can't be read, or holds no certificates.
    pub fn with_roots(mut self, file: &Path) -> std::io::Result<Self> {
        let roots = Certificates::from_pem(&std::fs::read(file)?)?;
        self.tls = TlsConnector::new(TlsConfig::new().with_roots(roots))?;
        Ok(self)
    }

    /// Runs all [`cases`], one after the other. Those that a relay may take for an attack are last.
    ///
    /// # Cancel safety
    /// Dropping the future ends the running case.
    pub async fn run_all(&self) -> Report {
        self.run_these(cases()).await
    }

    /// Runs some of the [`cases`], one after the other.
    ///
    /// # Cancel safety
    /// As [`run_all`](Self::run_all).
    pub async fn run_these(&self, cases: impl IntoIterator<Item = &'static Case>) -> Report {
        let mut report = Report::default();
        for case in cases {
            let verdict = match timeout(self.deadline, (case.run)(self)).await {
                Ok(Ok(())) => Verdict::Passed,
                Ok(Err(Stop::Skipped(why))) => Verdict::Skipped(why.into()),
                Ok(Err(Stop::Failed(what))) => Verdict::Failed(what),
                Err(_) => Verdict::Failed(format!("nothing came of it in {:?}", self.deadline)),
            };
            report.0.push((case, verdict));
        }
        report
    }

    /// A connection to the relay, over TLS where its address says so.
    pub(crate) async fn dial(&self) -> Result<Carrier, Stop> {
        let to = self.relay.endpoint();
        let stream = Native.connect(to, &TcpOptions::default()).await;
        let stream = stream.step("connecting to the relay")?;
        if !self.relay.is_secure() {
            return Ok(Box::new(stream));
        }
        let stream = self.secure(stream).await;
        Ok(Box::new(stream.step("TLS with the relay")?))
    }

    /// The certificate that it has for TLS, in DER.
    pub(crate) async fn certificate(&self) -> jackfield_socket::Result<Vec<u8>> {
        let to = self.relay.endpoint();
        let stream = Native.connect(to, &TcpOptions::default()).await?;
        let stream = self.secure(stream).await?;
        Ok(stream.peer_certificate().unwrap_or_default().to_vec())
    }

    async fn secure(
        &self,
        stream: NativeStream,
    ) -> jackfield_socket::Result<TlsStream<NativeStream>> {
        self.tls.connect(stream, self.relay.endpoint().host()).await
    }
}

/// One rule of the specification, and how it is checked.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    section: &'static str,
    rule: &'static str,
    run: fn(&Suite) -> Running<'_>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;
/// What came of a case.
type Checked = Result<(), Stop>;

impl Case {
    /// Its name, which no other case has.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The section of `docs/relay-protocol.md`.
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// What it checks.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// All cases, in the specification's order, but for those that come last.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    cases::all()
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The relay keeps to the rule.
    Passed,
    /// The relay doesn't let the suite do what the case needs: what that is.
    Skipped(String),
    /// The relay breaks the rule: what was seen.
    Failed(String),
}

/// What came of all of them. Printed, it is a line for each, and one for their number.
#[derive(Clone, Debug, Default)]
pub struct Report(Vec<(&'static Case, Verdict)>);

impl Report {
    /// Whether none has failed.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The names of those that have failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        let failed = |(_, verdict): &&(_, Verdict)| matches!(verdict, Verdict::Failed(_));
        self.0.iter().filter(failed).map(|(case, _)| case.name)
    }

    /// Each case, and what came of it.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static Case, &Verdict)> {
        self.0.iter().map(|(case, verdict)| (*case, verdict))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = [0; 3];
        for (case, verdict) in &self.0 {
            let Case { section, rule, .. } = case;
            let (index, word, why) = match verdict {
                Verdict::Passed => (0, "ok", None),
                Verdict::Failed(why) => (1, "FAILED", Some(why)),
                Verdict::Skipped(why) => (2, "skipped", Some(why)),
            };
            counts[index] += 1;
            writeln!(f, "{word:<8} {section:<4} {rule}")?;
            if let Some(why) = why {
                writeln!(f, "{:13} {}: {why}", "", case.name)?;
            }
        }
        let [passed, failed, skipped] = counts;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Why a case doesn't go on.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    Skipped(&'static str),
}

/// Says at which step something failed.
pub(crate) trait Step<T> {
    fn step(self, what: &str) -> Result<T, Stop>;
}

impl<T, E: fmt::Display> Step<T> for Result<T, E> {
    fn step(self, what: &str) -> Result<T, Stop> {
        self.map_err(|error| Stop::Failed(format!("{what}: {error}")))
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Stop::Failed(format!($($text)+)));
        }
    };
}
pub(crate) use ensure;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let mut seen = BTreeSet::new();
        for case in super::cases() {
            assert!(seen.insert(case.name()), "{} stands twice", case.name());
        }
    }
}
