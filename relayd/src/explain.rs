//! Explaining: whether a configuration lets somebody reach a destination, and which rule decides.
//!
//! It is the relay's own code that decides, by what its machine and resolver say at the moment.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use httpdate::HttpDate;
use jackfield_socket::{Endpoint, Host, HostName};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::ask::{Ask, Fails};
use crate::config::{Config, Token};
use crate::identity::{Client, Grant, Identity};
use crate::jwks::{self, NoKeys};
use crate::machine::Machine;
use crate::policy::{Rule, Transport};
use crate::session::Context;
use crate::token::Shown;

/// What came of it: a line for each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    lines: Vec<String>,
    /// Whether it isn't let in at all.
    shut_out: bool,
    /// Whether an address is allowed.
    reached: bool,
}

impl Explanation {
    /// Whether it would be reached: whoever asks is let in, and an address is allowed.
    pub fn is_allowed(&self) -> bool {
        self.reached && !self.shut_out
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Explains whether the bearer of the token of this name, on a page of this origin, may reach a
/// destination: `HOST:PORT`, and `/udp` behind it for datagrams.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::path::Path;
/// use jackfield_relayd::{Config, explain::explain};
///
/// let text = "listen = ['127.0.0.1:0']\norigins = ['https://a.example']\n[[token]]\nname = 'demo'\n\
///             secret = '0123456789abcdef'\nallow = ['*:443']";
/// let config = Config::parse(text, Path::new("relayd.toml"))?;
/// let why = explain(&config, Some("https://a.example"), "demo", "9.9.9.9:443").await?;
/// assert!(why.is_allowed());
/// assert!(why.to_string().contains("9.9.9.9:443: allowed by *:443 (line 6)"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where there is no such token, it is no destination, or the machine doesn't say what it has.
///
/// # Cancel safety
/// Dropping the future ends the look-up.
pub async fn explain(
    config: &Config,
    origin: Option<&str>,
    token: &str,
    destination: &str,
) -> io::Result<Explanation> {
    let token = (config.tokens.iter())
        .find(|known| known.name == token)
        .ok_or_else(|| invalid(format!("the configuration has no token {token:?}")))?;
    let mut told = Explanation::default();
    told.origin(config, origin);
    told.reach(config, token, destination).await?;
    Ok(told)
}

/// The same of whoever presents this, which may be a JWT: what it says narrows what may be reached, and where
/// the relay would let nobody in with it, that is said. Keys at a URL are fetched.
///
/// # Errors
/// Where it is no destination, keys can't be fetched, or the machine doesn't say what it has.
///
/// # Cancel safety
/// Dropping the future ends the look-up, and what is fetched.
pub async fn explain_presented(
    config: &Config,
    origin: Option<&str>,
    presented: &str,
    destination: &str,
) -> io::Result<Explanation> {
    let shown = Shown::Token(presented.to_owned());
    explain_shown(config, origin, &shown, destination).await
}

/// The same of a program that shows this certificate in TLS, in PEM, perhaps with those that lead to its authority
/// behind it. That it has the key is taken for granted; it names no origin, since who does needs a token.
///
/// # Errors
/// Where there is no certificate in PEM, and as [`explain_presented`].
///
/// # Cancel safety
/// As [`explain_presented`].
pub async fn explain_certificate(
    config: &Config,
    pem: &str,
    destination: &str,
) -> io::Result<Explanation> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| invalid(format!("that is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(invalid("there is no CERTIFICATE in PEM".into()));
    }
    explain_shown(config, None, &Shown::Certificate(chain), destination).await
}

async fn explain_shown(
    config: &Config,
    origin: Option<&str>,
    shown: &Shown,
    destination: &str,
) -> io::Result<Explanation> {
    let mut config = config.clone();
    let keys = jwks::fetch_all(&mut config, &[]).await;
    keys.map_err(|NoKeys { token, why }| io::Error::other(config.places.wrong_keys(token, why)))?;
    let identity = Identity::new(&config, Arc::default());
    let mut told = Explanation::default();
    told.origin(&config, origin);
    let client = Client {
        origin,
        from: Ipv4Addr::UNSPECIFIED.into(),
    };
    match identity.admit(shown, client, SystemTime::now()) {
        Err(error) => {
            told.lines.push(format!("it is not let in: {error}"));
            told.shut_out = true;
        }
        Ok(grant) => {
            told.bearer(&grant);
            told.reach(&config, &grant.token, destination).await?;
        }
    }
    Ok(told)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

impl Explanation {
    fn origin(&mut self, config: &Config, origin: Option<&str>) {
        let (who, may) = match origin {
            Some(origin) => (
                format!("the origin {origin}"),
                config.origins.iter().any(|known| known.as_str() == origin),
            ),
            None => ("who names no origin".into(), config.allow_without_origin),
        };
        let verb = if may { "may" } else { "may not" };
        self.lines.push(format!("{who} {verb} connect"));
        self.shut_out |= !may;
    }

    /// Whose token it is.
    fn bearer(&mut self, grant: &Grant) {
        let bearer = grant.bearer.as_ref();
        let bearer = bearer.map(|bearer| format!(", of the bearer {bearer:?}"));
        let until = (grant.expires).map(|end| format!(", until {}", HttpDate::from(end)));
        self.lines.push(format!(
            "it is good for the token {:?}{}{}",
            grant.token.name,
            bearer.unwrap_or_default(),
            until.unwrap_or_default()
        ));
    }

    /// What it reaches.
    async fn reach(&mut self, config: &Config, token: &Token, destination: &str) -> io::Result<()> {
        let (to, transport) = match destination.strip_suffix("/udp") {
            Some(to) => (to, Transport::Udp),
            None => (
                destination.strip_suffix("/tcp").unwrap_or(destination),
                Transport::Tcp,
            ),
        };
        let to = to.parse::<Endpoint>();
        let to = to.map_err(|error| invalid(error.to_string()))?;
        let lanes = config.health.iter().chain(&config.metrics);
        let listening: Vec<_> = config.listen.iter().chain(lanes).copied().collect();
        let machine = Machine::new(&listening, &config.advertise)?;
        // Nothing is recorded: nobody does it.
        let mut config = config.clone();
        config.records = None;
        let context = Context::new(&config, machine)?;
        self.destination(&context, token, transport, &to).await;
        if let Some(ask) = token.ask.as_ref().filter(|_| self.reached) {
            self.asks(ask);
        }
        Ok(())
    }

    async fn destination(
        &mut self,
        context: &Context,
        token: &Token,
        transport: Transport,
        to: &Endpoint,
    ) {
        let (policy, port) = (&token.policy, to.port());
        let name = match to.host() {
            Host::Ip(ip) => {
                context.learn(policy, transport, Some(port)).await;
                return self.address(context, token, transport, None, SocketAddr::new(*ip, port));
            }
            Host::Name(name) => name,
        };
        if let Err(refusal) = policy.check_name(transport, name, port) {
            let line = at(refusal.rule());
            return self.lines.push(format!("{to}: refused: {refusal}{line}"));
        }
        context.learn(policy, transport, Some(port)).await;
        match context.resolve(name).await {
            Ok(found) => {
                for ip in found {
                    let address = SocketAddr::new(ip, port);
                    self.address(context, token, transport, Some(name), address);
                }
            }
            Err(error) => self.lines.push(format!("{to}: no address: {error}")),
        }
    }

    fn address(
        &mut self,
        context: &Context,
        token: &Token,
        transport: Transport,
        name: Option<&HostName>,
        address: SocketAddr,
    ) {
        let decided = token.policy.check(context, transport, name, address);
        let said = match &decided {
            Ok(allowed) => match (allowed.rule, &allowed.would_deny) {
                (Some(rule), _) => format!("allowed by {rule}{}", at(Some(rule))),
                (None, Some(refusal)) => {
                    let line = at(refusal.rule());
                    format!("allowed, since the token only reports: {refusal}{line}")
                }
                (None, None) => "allowed".into(),
            },
            Err(refusal) => format!("refused: {refusal}{}", at(refusal.rule())),
        };
        self.reached |= decided.is_ok();
        self.lines.push(format!("{address}: {said}"));
    }

    /// Who decides besides: it isn't asked here, since nothing is opened.
    fn asks(&mut self, ask: &Ask) {
        let server = ask.server();
        let else_ = match ask.fails() {
            Fails::Open => "allowed",
            Fails::Closed => "refused",
        };
        self.lines.push(format!(
            "before it is opened {server} is asked, and may deny it; without an answer it is {else_}"
        ));
    }
}

fn at(rule: Option<&Rule>) -> String {
    let line = rule.and_then(Rule::line);
    line.map(|line| format!(" (line {line})"))
        .unwrap_or_default()
}
