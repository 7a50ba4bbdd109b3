//! Configuration of the relay: what it allows, and to whom; a TOML file, or the same built in code.
//!
//! `relayd.example.toml` describes every key. Nothing is reachable until the configuration says so:
//! without an origin no page may connect, without a token nobody may, and a token without rules
//! reaches nothing. A key that the relay doesn't know is an error.

mod ask;
mod file;
mod revoked;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use self::file::{position, read, system_time};
use crate::address::special_purpose;
pub use crate::admission::{AdmissionConfig, EarlyDrop};
use crate::ask::Ask;
pub use crate::ending::DrainConfig;
use crate::limits::{Limits, Quota};
use crate::policy::Policy;
use crate::proxy::ProxiesConfig;
use crate::token::{Credential, Revocation};

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
    pub tls: Option<TlsFiles>,
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
    /// nothing new: neither sessions nor streams. Those that are open go on. Default: 1 GiB.
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
    /// Where addresses stand in the file.
    pub(crate) places: Places,
}

/// Where in its file a configuration names addresses to listen at; nowhere, where it was built in code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    path: PathBuf,
    /// The lines of `listen`, from 1.
    listen: Vec<usize>,
}

impl Places {
    /// Where this one of `listen` stands, as the beginning of a sentence that says what is wrong.
    pub(crate) fn listen(&self, index: usize) -> String {
        match self.listen.get(index) {
            Some(line) => format!("{}:{line}: listen[{index}]: ", self.path.display()),
            None => String::new(),
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
            source_limits: Quota::default(),
            max_sessions: 1024,
            max_streams: None,
            max_buffer_bytes: 1024 * 1024 * 1024,
            handshake_deadline: Duration::from_secs(10),
            admission: AdmissionConfig::default(),
            health: None,
            metrics: None,
            admin: None,
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
            bearer_limits: Quota::BEARER,
        }
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
        if host.is_empty() || !host.bytes().all(|b| lower(b) || b"-._:[]".contains(&b)) {
            return wrong(
                "after the scheme comes a host in lower case, perhaps a port, and no path",
            );
        }
        if (scheme == "https" && host.ends_with(":443"))
            || (scheme == "http" && host.ends_with(":80"))
        {
            return wrong("browsers leave out the scheme's own port");
        }
        Ok(Self(text.into()))
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
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
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
        plain.chain(everybody).collect()
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
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        // Of several lines, as TOML's own errors have, one says it.
        write!(f, ": {}", self.message.trim_end().replace('\n', ", "))
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use toml::value::Datetime;

    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("relayd.toml"))
    }

    #[test]
    fn the_example_is_valid_and_says_what_it_does() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("relayd.example.toml");
        let text = std::fs::read_to_string(&path).expect("the example is there");
        let config = Config::parse(&text, &path).expect("the example is valid");
        assert!(!config.tokens.is_empty() && !config.origins.is_empty());
        // What is commented out is valid too: every key, with its default or an example.
        let all: String = text
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        assert_ne!(all, text.trim_end(), "some keys are commented out");
        match Config::parse(&all, &path) {
            Ok(config) => assert!(config.tls.is_some()),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_empty_relay_reaches_nothing() {
        let config = parse("listen = ['127.0.0.1:0']").expect("valid");
        assert!(config.tokens.is_empty() && config.origins.is_empty());
        assert!(!config.allow_without_origin);
    }

    #[test]
    fn an_error_names_file_line_column_and_key_and_no_secret() {
        let token = "listen = ['127.0.0.1:0']\n[[token]]\nname = 'a'\n";
        let asks = |more: &str| {
            format!("{token}secret = '0123456789abcdef'\nask_fails = 'closed'\n{more}")
        };
        for (text, expected) in [
            ("", "relayd.toml:1:1: missing field `listen`"),
            (
                "listen = ['127.0.0.1:0']\nport = 7",
                "relayd.toml:2:1: port: unknown field `port`, expected one of",
            ),
            (
                "listen = ['localhost']",
                "relayd.toml:1:11: listen[0]: \"localhost\" is not an address with a port",
            ),
            ("listen = [\n", "relayd.toml:"),
            (
                "listen = ['127.0.0.1:0']\n\n[limits]\nstreams = 'many'",
                "relayd.toml:4:11: limits.streams: invalid type: string \"many\", expected u32",
            ),
            (
                "listen = []\norigins = ['https://a.example', 'https://a.example/']",
                "relayd.toml:2:33: origins[1]: \"https://a.example/\" is not an origin",
            ),
            (
                "listen = []\n[admission]\nhandshakes = '9:30:5'",
                "relayd.toml:3:14: admission.handshakes: \"9:30:5\" is not START:RATE:FULL",
            ),
            (
                "listen = []\n[admission]\nexempt = ['10.0.0.0/8', '10.0.0.1/8']",
                "relayd.toml:3:25: admission.exempt[1]: \"10.0.0.1/8\" is not a network",
            ),
            (
                "listen = []\n[proxies]\nheader = 'proxy'\ntrusted = ['10.0.0.0/8', 'lb.example']",
                "relayd.toml:4:26: proxies.trusted[1]: \"lb.example\" is not an IP address",
            ),
            (
                "listen = []\n[proxies]\ntrusted = []",
                "relayd.toml:2:1: proxies: missing field `header`",
            ),
            (
                "listen = []\n[proxies]\ntrusted = []\nheader = 'forwarded'",
                "relayd.toml:4:10: proxies.header: unknown variant `forwarded`, expected `proxy` or",
            ),
            (
                "listen = []\n[drain]\ndelay_seconds = 5",
                "relayd.toml:3:17: drain.delay_seconds: what is left is cut after 5 s (cut_seconds)",
            ),
            (
                "listen = []\n[drain]\ncome_back_seconds = 61",
                "relayd.toml:3:21: drain.come_back_seconds: no client waits for longer than 60 s",
            ),
            (
                "listen = []\n[drain]\nspread_seconds = 9\ndelay_seconds = 2\ncut_seconds = 10",
                "relayd.toml:3:18: drain.spread_seconds: what is left is cut after 10 s",
            ),
            (
                "listen = []\nhealth = '9090'",
                "relayd.toml:2:10: health: \"9090\" is not an address with a port",
            ),
            (
                &format!("listen = []\n[admin]\nsocket = '/{}'", "a".repeat(200)),
                "relayd.toml:3:10: admin.socket: ",
            ),
            (
                "listen = []\npath = '/readyz'",
                "relayd.toml:2:8: path: a path begins with '/', and is none for health checks",
            ),
            (
                &format!("{token}secret = 'tooshort'"),
                "relayd.toml:4:10: token[0].secret: a secret has 16 to 512 characters",
            ),
            (
                &format!("{token}secret = 12345"),
                "relayd.toml:4:10: token[0].secret: expected a string",
            ),
            (
                token,
                "relayd.toml:2:1: token[0]: a token has exactly one of secret, ",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\nbearer_limits = {{ streams = 7 }}"),
                "relayd.toml:5:17: token[0].bearer_limits: whoever has a shared secret is the same",
            ),
            (
                &format!("{token}jwks_url = 'http://id.example/keys'"),
                "relayd.toml:4:12: token[0].jwks_url: it begins with https://",
            ),
            (
                &format!("{token}jwks_url = 'https://id.example/'\njwks_roots_file = 'none.pem'"),
                "relayd.toml:5:19: token[0].jwks_roots_file: none.pem can't be read: ",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\njwks_roots_file = 'roots.pem'"),
                "relayd.toml:5:19: token[0].jwks_roots_file: it says whom to trust at jwks_url",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\nask = 'http://127.0.0.1/'"),
                "relayd.toml:5:7: token[0].ask: ask_fails has to say what is done where nobody",
            ),
            (
                &asks("ask = 'http://8.8.8.8/'"),
                "relayd.toml:6:7: token[0].ask: plain http:// goes to a loopback or private address",
            ),
            (
                &asks("ask = 'http://ask.example/'"),
                "relayd.toml:6:7: token[0].ask: plain http:// goes to a loopback or private address",
            ),
            (
                &asks("ask = 'ftp://127.0.0.1/'"),
                "relayd.toml:6:7: token[0].ask: it begins with https:// or http://",
            ),
            (
                &asks("ask = 12345"),
                "relayd.toml:6:7: token[0].ask: expected a string",
            ),
            (
                &asks(""),
                "relayd.toml:5:13: token[0].ask_fails: it is of `ask`, which isn't there",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\nask_fails = 'maybe'"),
                "relayd.toml:5:13: token[0].ask_fails: unknown variant `maybe`, expected `open` or",
            ),
            (
                &asks("ask = 'https://a.example/'\nask_roots_file = 'none.pem'"),
                "relayd.toml:7:18: token[0].ask_roots_file: none.pem can't be read: ",
            ),
            (
                &asks("ask = 'http://[::1]/'\nask_seconds = 15"),
                "relayd.toml:7:15: token[0].ask_seconds: it is at least 1, and less than dial_seconds",
            ),
            (
                &asks("ask = 'http://[::1]/'\nask_at_most = 0"),
                "relayd.toml:7:15: token[0].ask_at_most: nothing could be asked",
            ),
            (
                "listen = []\n[bearer_limits]\nbytes_per_second = 0",
                "relayd.toml:3:20: bearer_limits.bytes_per_second: ",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\nlimits.packets_per_second = 0"),
                "relayd.toml:5:29: token[0].limits.packets_per_second: ",
            ),
            (
                "listen = []\nsource_limits = { idle_seconds = 7 }",
                "relayd.toml:2:19: source_limits.idle_seconds: unknown field `idle_seconds`",
            ),
            (
                &format!("{token}public_key = 'of-no-kind-at-all'"),
                "relayd.toml:4:14: token[0].public_key: there is no public key on Ed25519 or P-256",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\njwks_file = 'not-there'"),
                "relayd.toml:2:1: token[0]: a token has exactly one of secret, ",
            ),
            (
                &format!("{token}secret_file = 'not-there'"),
                "relayd.toml:4:15: token[0].secret_file: not-there can't be read",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\nallow = ['a:1', 'b']"),
                "relayd.toml:5:17: token[0].allow[1]: \"b\" has no port",
            ),
            (
                &format!(
                    "advertise = ['203.0.113.7']\n{token}secret = '0123456789abcdef'\n\
                     listen = ['10.0.0.5:1 as 203.0.113.7', '10.0.0.5:2 as 203.0.113.8']"
                ),
                "relayd.toml:6:40: token[0].listen[1]: 203.0.113.8 is none of `advertise`",
            ),
            (
                &format!("{token}secret = '0123456789abcdef'\nexpires = 2030-01-01"),
                "relayd.toml:5:11: token[0].expires: expected a date and time",
            ),
            (
                &format!(
                    "{token}secret = '0123456789abcdef'\n\
                     [[token]]\nname = 'a'\nsecret = '0123456789abcdef'"
                ),
                "relayd.toml:6:8: token[1].name: another token has this name",
            ),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{error}\nnot: {expected}");
            for secret in ["tooshort", "12345", "0123456789abcdef"] {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }

    #[test]
    fn plain_text_on_a_public_address_is_warned_of() {
        let warnings = |text: &str| parse(text).expect(text).warnings();
        let listen = "listen = ['127.0.0.1:80', '8.8.8.8:80', '10.0.0.1:80', '[::]:80']";
        let told = warnings(listen);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("8.8.8.8:80") && told[1].contains("[::]:80"));
        let tls = "[tls]\ncertificate_file = 'a'\nkey_file = 'b'";
        assert!(warnings(&format!("{listen}\n{tls}")).is_empty());
    }

    #[test]
    fn trust_in_everybody_is_warned_of() {
        let text = "listen = []\n[proxies]\nheader = 'proxy'\ntrusted = ['10.0.0.0/8', '::/0']";
        let told = parse(text).expect(text).warnings();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("proxies.trusted: ::/0 is everybody"),
            "{told:?}"
        );
    }

    #[test]
    fn a_token_takes_the_limits_that_it_has_not_of_its_own() {
        let config = parse(
            "listen = []\n\
             [limits]\nstreams = 7\nsession_bytes = 1000\nbytes_per_second = 7000\n\
             [bearer_limits]\nstreams = 5\nsessions = 2\npackets_per_second = 9\n\
             [source_limits]\nbytes_per_day = 5\n\
             [[token]]\nname = 'a'\nsecret = '0123456789abcdef'\n\
             expires = 2030-01-01T01:00:01+01:00\nlimits = { streams = 3, dial_seconds = 2 }\n\
             [[token]]\nname = 'b'\nsigning_key = '0123456789abcdef'\n\
             bearer_limits = { sessions = 1, bytes_per_day = 8 }\n\
             limits = { bytes_per_second = 5000 }\n",
        )
        .expect("valid");
        let [a, b] = &config.tokens[..] else {
            panic!("two tokens");
        };
        assert_eq!((a.limits.streams, b.limits.streams), (3, 7));
        assert_eq!(a.limits.dial_deadline, Duration::from_secs(2));
        assert_eq!(b.limits.dial_deadline, Limits::default().dial_deadline);
        assert_eq!(a.limits.session_bytes, Some(1000));
        let (a_each, b_each) = (a.bearer_limits, b.bearer_limits);
        assert_eq!((a_each.sessions, b_each.sessions), (Some(2), Some(1)));
        assert_eq!((a_each.streams, b_each.streams), (Some(5), Some(5)));
        assert_eq!(b_each.listeners, Quota::BEARER.listeners);
        let rates = |token: &Token| token.limits.bytes_per_second.map(NonZeroU64::get);
        assert_eq!((rates(a), rates(b)), (Some(7000), Some(5000)));
        assert_eq!(
            (a_each.bytes_per_day, b_each.bytes_per_day),
            (None, Some(8))
        );
        assert_eq!(b_each.packets_per_second, NonZeroU32::new(9));
        let source = Quota {
            bytes_per_day: Some(5),
            ..Quota::default()
        };
        assert_eq!(config.source_limits, source);
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_001);
        assert_eq!((a.expires, b.expires), (Some(expires), None));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn times_are_read_in_every_part_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2024-12-31T23:59:59Z", 1_735_689_599),
            ("2026-03-01T00:00:00-05:30", 1_772_343_000),
        ] {
            let time: Datetime = text.parse().expect(text);
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(system_time(&time), Some(expected), "{text}");
        }
    }

    #[test]
    fn hosts_match_with_and_without_ports() {
        for (rule, host, expected) in [
            ("relay.example", "relay.example", true),
            ("relay.example", "Relay.Example:8443", true),
            ("relay.example", "relay.example:", false),
            ("relay.example", "relay.example:80x", false),
            ("relay.example", "relay.example.evil.test", false),
            ("relay.example", "evil.test", false),
            ("relay.example:8443", "relay.example:8443", true),
            ("relay.example:8443", "relay.example", false),
            ("relay.example:8443", "relay.example:84430", false),
            ("127.0.0.1", "127.0.0.1:80", true),
            ("[::1]", "[::1]:80", true),
            ("[::1]:80", "[::1]:81", false),
        ] {
            let rule: HostHeader = rule.parse().expect(rule);
            assert_eq!(rule.matches(host), expected, "{rule:?} {host}");
        }
        for text in ["", "*", "a/b", "https://a.example", "::1", "a:b"] {
            assert!(text.parse::<HostHeader>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        for good in [
            "https://app.example.org",
            "http://localhost:8000",
            "http://[::1]:8000",
            "isolated-app://aerugqztij5biqquuk3mfwpsaibuegaqcitgfchwuosuofdjabzqaaic",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "https://",
            "https://app.example.org/",
            "https://App.example.org",
            "https://app.example.org:443",
            "http://app.example.org:80",
            "https://*.example.org",
            "https://user@app.example.org",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
