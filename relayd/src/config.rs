//! Configuration of the relay: what it allows, and to whom; a TOML file, or the same built in code.
//!
//! `relayd.example.toml` describes every key. Nothing is reachable until the configuration says so:
//! without an origin no page may connect, without a token nobody may, and a token without rules
//! reaches nothing. A key that the relay doesn't know is an error.

mod ask;
mod file;
mod limits;
mod private_key;
#[cfg(feature = "redis")]
mod redis;
mod revoked;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod token;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use self::file::{position, read, system_time};
#[cfg(feature = "redis")]
pub(crate) use self::redis::Server as RedisServer;
#[cfg(feature = "redis")]
pub use self::redis::{RedisConfig, WhenGone};
pub(crate) use self::revoked::{append as append_revocation, can_revoke};
#[cfg(feature = "acme")]
use crate::acme::AcmeConfig;
use crate::address::special_purpose;
pub use crate::admission::{AdmissionConfig, EarlyDrop};
use crate::ask::Ask;
use crate::crl;
pub use crate::ending::DrainConfig;
use crate::files::{self, MAX_FILE};
use crate::limits::{Limits, Quota};
use crate::policy::Policy;
use crate::proxy::ProxiesConfig;
use crate::token::{Credential, Revocation, SigningKey};

/// Answers with 200 while the relay runs; for load balancers, so whatever `Host` says. No WebSocket
/// has this path, nor the next.
pub(crate) const HEALTH_PATH: &str = "/healthz";
/// Answers with 200 while the relay takes new clients, and with 503 when it is about to end.
pub(crate) const READY_PATH: &str = "/readyz";

/// A whole configuration.
///
/// ```
/// use jackfield_relayd::{Config, Token, token::{Credential, Secret}};
///
/// let secret = Secret::new("only-for-this-example")?;
/// let mut token = Token::new("demo", Credential::Secret(secret));
/// token.policy.allow = vec!["irc.example.org:6697".parse()?];
///
/// let mut config = Config::default();
/// config.listen = vec!["127.0.0.1:0".parse()?];
/// config.origins = vec!["http://localhost:8000".parse()?];
/// config.tokens = vec![token];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen for WebSockets.
    pub listen: Vec<SocketAddr>,
    /// Addresses that lead to the relay's machine from outside, before a NAT. Like the machine's own
    /// they are reached only where a rule lists them by themselves, and the relay's ports there never.
    pub advertise: Vec<IpAddr>,
    /// The certificate for `wss`. Without it the relay speaks plain `ws`, which is for loopback and
    /// for standing behind a server that terminates TLS.
    pub tls: Option<Tls>,
    /// The path of the WebSocket. Default: `/`.
    pub path: String,
    /// The origins whose pages may connect.
    pub origins: Vec<Origin>,
    /// Whether a client that names no origin may connect: programs, not pages. Default: false.
    pub allow_without_origin: bool,
    /// Who may speak for others: the proxies and load balancers before the relay.
    pub proxies: ProxiesConfig,
    /// The names that the relay goes by (`Host`). Empty: the addresses that it listens at.
    pub hosts: Vec<HostHeader>,
    /// Who may use the relay.
    pub tokens: Vec<Token>,
    /// What JWTs name this relay by, in their `aud`. With it, only those are taken that do; without it, only
    /// those that have no `aud`.
    pub audience: Option<String>,
    /// Tokens that are good no longer.
    pub revoked: Vec<Revocation>,
    /// The file that [they](Self::revoked) were read from, to which what an administrator revokes is appended.
    /// Default: none; then that counts until the relay ends.
    pub revoked_file: Option<PathBuf>,
    /// What all clients of one block of addresses (an IPv4 address, an IPv6 /64) have together, of whatever
    /// tokens. Default: no limits, since behind a proxy that isn't [trusted](Self::proxies) everybody has its
    /// address.
    pub source_limits: Quota,
    /// How many sessions there may be at a time, of all tokens. Default: 1024.
    pub max_sessions: u32,
    /// How many streams, datagram sockets and listeners there may be at a time, of all tokens. Default:
    /// as many as the process may have descriptors, besides those for the rest.
    pub max_streams: Option<u32>,
    /// How many bytes of payload may wait in the relay, of all sessions together, before it takes
    /// nothing new: neither sessions nor streams. Those that are open go on; but a session that holds more than
    /// its equal part then ends what wouldn't be gone in 5 s, and whatever holds most, where it is twice as much.
    /// Default: 1 GiB.
    pub max_buffer_bytes: u64,
    /// How long a client may take for TLS and the request together. Default: 10 s.
    pub handshake_deadline: Duration,
    /// Whose handshakes may begin, and how many at a time.
    pub admission: AdmissionConfig,
    /// Where to answer nothing but `/healthz` and `/readyz`, in plain HTTP: a listener of its own,
    /// which no flood of clients reaches. Default: none; the same is answered where clients come in.
    pub health: Option<SocketAddr>,
    /// Where to answer `GET /metrics` in plain HTTP, for Prometheus: a listener of its own. Clients
    /// never reach it through the relay. Default: none.
    pub metrics: Option<SocketAddr>,
    /// The Unix socket at which the relay's administrator asks it (`jackfield-relayd ctl`). Its file is
    /// for its owner alone. Default: none.
    pub admin: Option<PathBuf>,
    /// The Unix socket at which an application's back end has tokens minted, and asks nothing else. Its file
    /// is for its owner and its group. Default: none; the [administrator](Self::admin) may have them minted.
    pub mint: Option<PathBuf>,
    /// Where the relay shares with others what must hold over all of them (feature `redis`). Default: it is
    /// alone.
    #[cfg(feature = "redis")]
    pub redis: Option<RedisConfig>,
    /// How the relay ends.
    pub drain: DrainConfig,
    /// How names are looked up.
    pub resolver: Resolver,
    /// How many names may be looked up at a time, for all clients together. Each takes two descriptors,
    /// or a thread where the system's own resolver is asked. Default: 256.
    pub max_look_ups: u32,
    /// How the log is written.
    pub log: LogConfig,
    /// The file that this was read from, which an administrator has the relay read again.
    pub file: Option<PathBuf>,
    /// The file to which [records](crate::record) are appended; `-` is standard output. Default: none.
    pub records: Option<PathBuf>,
    /// Where things stand in the file.
    pub(crate) places: Places,
}

/// Where things stand in a configuration's file of which only the relay finds out what is wrong with them;
/// nowhere, where it was built in code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    path: PathBuf,
    /// The lines of `listen`, from 1.
    listen: Vec<usize>,
    /// Of each token, the line and column of its `jwks_url`.
    jwks_urls: Vec<Option<(usize, usize)>>,
    /// The line and column of each key that leads to a file, a socket or an address of the machine's.
    keys: Vec<(&'static str, (usize, usize))>,
}

impl Places {
    /// Where this one of `listen` stands, as the beginning of a sentence that says what is wrong.
    pub(crate) fn listen(&self, index: usize) -> String {
        match self.listen.get(index) {
            Some(line) => format!("{}:{line}: listen[{index}]: ", self.path.display()),
            None => String::new(),
        }
    }

    /// What is wrong with where this key leads.
    pub(crate) fn wrong(&self, key: &'static str, error: &io::Error) -> io::Error {
        let mut keys = self.keys.iter();
        let wrong = ConfigError {
            path: self.path.clone(),
            position: keys.find(|(known, _)| *known == key).map(|(_, at)| *at),
            key: key.into(),
            message: error.to_string(),
        };
        io::Error::new(error.kind(), wrong)
    }

    /// What is wrong with what this one of the tokens has at its `jwks_url`.
    pub(crate) fn wrong_keys(&self, token: usize, message: String) -> ConfigError {
        ConfigError {
            path: self.path.clone(),
            position: self.jwks_urls.get(token).copied().flatten(),
            key: format!("token[{token}].jwks_url"),
            message,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            advertise: Vec::new(),
            tls: None,
            path: "/".into(),
            origins: Vec::new(),
            allow_without_origin: false,
            proxies: ProxiesConfig::default(),
            hosts: Vec::new(),
            tokens: Vec::new(),
            audience: None,
            revoked: Vec::new(),
            revoked_file: None,
            source_limits: Quota::default(),
            max_sessions: 1024,
            max_streams: None,
            max_buffer_bytes: 1024 * 1024 * 1024,
            handshake_deadline: Duration::from_secs(10),
            admission: AdmissionConfig::default(),
            health: None,
            metrics: None,
            admin: None,
            mint: None,
            #[cfg(feature = "redis")]
            redis: None,
            drain: DrainConfig::default(),
            resolver: Resolver::default(),
            max_look_ups: 256,
            log: LogConfig::default(),
            file: None,
            records: None,
            places: Places::default(),
        }
    }
}

/// A token, and what its bearer may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Token {
    /// What the log calls it; no secret.
    pub name: String,
    /// How it is told from a forged one.
    pub credential: Credential,
    /// When it ends; its sessions end with it.
    pub expires: Option<SystemTime>,
    /// What may be reached, and where the bearer may listen.
    pub policy: Policy,
    /// Whom to ask before anything is opened that the rules allow. Default: nobody.
    pub ask: Option<Ask>,
    /// Whether a bound datagram socket hears everybody. Otherwise it hears those it has sent to in
    /// the last five minutes, as TURN has it (RFC 8656, section 9). Default: false.
    pub udp_open: bool,
    /// What its bearers may use of the relay, all together.
    pub limits: Limits,
    /// For how long a token is good at most that the relay itself mints ([`mint`](Config::mint)), with the
    /// `signing_key` or the [`mint_key`](Self::mint_key). Default: it mints none.
    pub mint_at_most: Option<Duration>,
    /// The private key that it mints with, where the credential is [public keys](Credential::PublicKeys), of which
    /// this is one's. Default: none.
    pub mint_key: Option<SigningKey>,
    /// What each of its bearers may use of that, where they can be told apart: by their signed tokens. A
    /// shared secret has one bearer, whoever has it. Default: [`Quota::BEARER`].
    pub bearer_limits: Quota,
}

impl Token {
    /// A token that may do nothing yet, with the default limits.
    pub fn new(name: impl Into<String>, credential: Credential) -> Self {
        Self {
            name: name.into(),
            credential,
            expires: None,
            policy: Policy::default(),
            ask: None,
            udp_open: false,
            limits: Limits::default(),
            mint_at_most: None,
            mint_key: None,
            bearer_limits: Quota::BEARER,
        }
    }
}

/// Where the relay's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls {
    /// From files.
    Files(TlsFiles),
    /// From a certificate authority, by the relay itself.
    #[cfg(feature = "acme")]
    Acme(AcmeConfig),
}

impl From<TlsFiles> for Tls {
    fn from(files: TlsFiles) -> Self {
        Self::Files(files)
    }
}

#[cfg(feature = "acme")]
impl From<AcmeConfig> for Tls {
    fn from(acme: AcmeConfig) -> Self {
        Self::Acme(acme)
    }
}

/// The files of a certificate, in PEM. They are read again on SIGHUP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// These files.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }
}

/// How names are looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Resolver {
    /// By asking the name servers of the system's configuration, after `/etc/hosts`; names are whole. See
    /// [`DnsResolver`](crate::resolve::DnsResolver).
    #[default]
    Dns,
    /// As the system's own programs do; each look-up takes a thread. See
    /// [`SystemResolver`](crate::resolve::SystemResolver).
    System,
}

/// How the log is written, to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogConfig {
    /// A line of text, or a JSON object a line.
    pub format: LogFormat,
    /// The least that is logged.
    pub level: LogLevel,
    /// How many events of one kind from one source (an IPv4 address, or the first 64 bits of an IPv6
    /// address) are written in a minute; how many more there were is written at its end. 0: all of
    /// them. Events of the level `debug` are not counted. Default: 20.
    pub repeats: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: LogLevel::default(),
            repeats: 20,
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What stops the relay from working.
    Error,
    /// What an administrator should look at.
    Warn,
    /// Sessions, and what was refused.
    #[default]
    Info,
    /// Every stream besides.
    Debug,
}

/// The origin of a page, exactly as a browser sends it: `https://app.example.org`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: &str| {
            Err(format!(
                "{text:?} is not an origin: {what}; expected for example \"https://app.example.org\""
            ))
        };
        let Some((scheme, host)) = text.split_once("://") else {
            return wrong("it has no scheme");
        };
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if scheme.is_empty() || !scheme.bytes().all(|byte| lower(byte) || byte == b'-') {
            return wrong("its scheme is not in lower case");
        }
        let (name, port) = split_port(host);
        if name.is_empty() || !name.bytes().all(|b| lower(b) || b"-._:[]".contains(&b)) {
            return wrong(
                "after the scheme comes a host in lower case, perhaps a port, and no path",
            );
        }
        let address = (name.strip_prefix('[')).and_then(|rest| rest.strip_suffix(']'));
        if name.contains([':', '[', ']'])
            && address.is_none_or(|it| it.parse::<Ipv6Addr>().is_err())
        {
            return wrong("that is no host: only an IPv6 address has a ':', in brackets");
        }
        if let Some(port) = port {
            // As browsers write it: no sign, no zeros before it.
            let known = port.parse::<NonZeroU16>();
            let known = known.ok().filter(|number| number.to_string() == port);
            match (scheme, known.map(NonZeroU16::get)) {
                (_, None) => return wrong("a port is a number from 1 to 65535"),
                ("https", Some(443)) | ("http", Some(80)) => {
                    return wrong("browsers leave out the scheme's own port");
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }
}

/// A host, and the text of a port behind it.
fn split_port(host: &str) -> (&str, Option<&str>) {
    // The colons of an IPv6 address stand in brackets.
    let after = host.rfind(']').map_or(0, |end| end + 1);
    match host[after..].find(':') {
        None => (host, None),
        Some(at) => (&host[..after + at], Some(&host[after + at + 1..])),
    }
}

/// A name that the relay goes by, with a port, or without one for any port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostHeader(String);

impl HostHeader {
    /// Whether a request's `Host` names this.
    pub fn matches(&self, host: &str) -> bool {
        host.get(..self.0.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(&self.0))
            && match &host[self.0.len()..] {
                "" => true,
                rest => {
                    !self.has_port()
                        && rest.strip_prefix(':').is_some_and(|port| {
                            !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
                        })
                }
            }
    }

    fn has_port(&self) -> bool {
        let after_address = self.0.rsplit_once(']').map_or(&*self.0, |(_, rest)| rest);
        after_address.contains(':')
    }
}

impl FromStr for HostHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = Self(text.to_ascii_lowercase());
        let with_port = if host.has_port() {
            text.to_owned()
        } else {
            format!("{text}:1")
        };
        with_port
            .parse::<jackfield_socket::Endpoint>()
            .map_err(|_| {
                format!(
                    "{text:?} is not a host: expected a name or an address, perhaps with a port"
                )
            })?;
        Ok(host)
    }
}

impl From<SocketAddr> for HostHeader {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl Config {
    /// Reads a file, and the files with secrets that it names, relative to itself.
    ///
    /// # Errors
    /// Says where in the file, at which key, and what is wrong there; never shows a secret.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = files::read(path, MAX_FILE).map_err(|error| ConfigError {
            path: path.into(),
            position: None,
            key: String::new(),
            message: format!("can't be read: {error}"),
        })?;
        let mut config = Self::parse(&text, path)?;
        config.file = Some(path.into());
        Ok(config)
    }

    /// What is allowed, and hardly meant: each a sentence for the administrator.
    pub fn warnings(&self) -> Vec<String> {
        let open = |address: &&SocketAddr| {
            address.ip().is_unspecified() || special_purpose(address.ip()).is_none()
        };
        let plain = self.listen.iter().filter(open).map(|address| {
            format!(
                "listen: {address} is reached from everywhere and speaks plain ws, so that tokens can \
                 be read on the way: add [tls], or listen where only your proxy gets"
            )
        });
        let trusted = self.proxies.trusted.iter();
        let everybody = trusted.filter(|net| net.is_everything()).map(|net| {
            format!(
                "proxies.trusted: {net} is everybody, who may then say of himself that he comes from \
                 anywhere: list your proxies"
            )
        });
        let plain = plain.filter(|_| self.tls.is_none());
        let now = SystemTime::now();
        let outdated = self.tokens.iter().filter_map(|token| {
            let due = token.credential.list_due().filter(|due| *due <= now)?;
            Some(crl::complaint(&token.name, due))
        });
        let passed_over = self.tokens.iter().filter_map(|token| {
            let Credential::PublicKeys(keys) = &token.credential else {
                return None;
            };
            let what = keys.passed_over()?;
            let name = &token.name;
            Some(format!("token {name:?}: of its set of keys, {what}"))
        });
        let all = plain.chain(everybody).chain(outdated);
        all.chain(passed_over).collect()
    }

    /// As [`load`](Self::load), for a file's text.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let read = read(text, path.parent().unwrap_or(Path::new("")));
        let placed = read.map(|mut config| {
            config.places.path = path.into();
            config
        });
        placed.map_err(|wrong| {
            let (path, text) = match &wrong.elsewhere {
                Some((path, text)) => (&**path, &**text),
                None => (path, text),
            };
            ConfigError {
                path: path.into(),
                position: wrong.span.map(|span| position(text, span.start)),
                key: wrong.key,
                message: wrong.message,
            }
        })
    }
}

/// A date and time with its offset from UTC, as in `2030-01-31T12:00:00Z`.
pub(crate) fn point_in_time(text: &str) -> Option<SystemTime> {
    system_time(&text.parse().ok()?)
}

/// What is wrong with a configuration file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: PathBuf,
    position: Option<(usize, usize)>,
    key: String,
    message: String,
}

impl ConfigError {
    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.position.map(|(line, _)| line)
    }

    /// The key, with those above it: `token[0].allow[2]`. Empty for the file as a whole.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was built in code has no file.
        if !self.path.as_os_str().is_empty() {
            write!(f, "{}", self.path.display())?;
            if let Some((line, column)) = self.position {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        // Of several lines, as TOML's own errors have, one says it.
        f.write_str(&self.message.trim_end().replace('\n', ", "))
    }
}

impl std::error::Error for ConfigError {}
