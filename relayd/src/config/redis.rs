//! Where several relays meet, in Redis or Valkey, and what is done while nobody is there.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jackfield_socket::{Endpoint, Host, HostName};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector};
use redis::{ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo};
use serde::Deserialize;
use toml::Spanned;

use super::file::{Hidden, Wrong};
use crate::files::{self, MAX_FILE, MAX_SECRET_FILE};

/// How long a lease may be, in seconds: long enough to be renewed, and short enough to be waited for.
const LEASES: std::ops::RangeInclusive<u32> = 2..=300;

/// A Redis or Valkey in which several relays share what must hold over all of them: quotas of tokens and their
/// bearers, by leases, and revocations.
///
/// ```
/// use jackfield_relayd::config::{RedisConfig, WhenGone};
///
/// let url = "rediss://relay:secret@redis.example.org/0";
/// let redis = RedisConfig::new(url, None, WhenGone::Allow, WhenGone::Deny)?;
/// assert!(!format!("{redis:?}").contains("secret"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    url: String,
    server: Server,
    roots: Option<String>,
    tls: bool,
    /// What its keys and its channel begin with. Relays with the same one share everything. Default:
    /// `jackfield`.
    pub prefix: String,
    /// What becomes of who needs a further lease while it is gone, of sessions, of streams, or of a day.
    pub quotas: WhenGone,
    /// For how long a relay holds a lease that it doesn't renew. Default: 15 s.
    pub lease: Duration,
    /// What becomes of those who come in while it is gone, and revocations aren't heard of.
    pub revocations: WhenGone,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    At(Endpoint),
    /// A socket on this machine.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What is done about something that only Redis knows, while it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenGone {
    /// The relay goes on by what it knows itself.
    Allow,
    /// It is refused.
    Deny,
}

impl RedisConfig {
    /// The server at this URL: `rediss://USER:PASSWORD@HOST:PORT/DATABASE`, verified against these roots in
    /// PEM or those that the system trusts; or the same with `redis://`, in the clear, where that leads to a
    /// loopback or private address. Everything but the host may be left out. Or a socket on this machine:
    /// `unix:///PATH?user=USER&pass=PASSWORD&db=DATABASE`, of which the path suffices.
    ///
    /// # Errors
    /// Where it is no such URL, or the roots can't be used; without the URL, which may hold a password.
    pub fn new(
        url: &str,
        roots: Option<&str>,
        quotas: WhenGone,
        revocations: WhenGone,
    ) -> Result<Self, String> {
        let (url, tls, server) = if url.starts_with("unix://") {
            let path = socket(url)?;
            (url.to_owned(), false, Server::Unix(path))
        } else {
            let (tls, rest) = match (url.strip_prefix("rediss://"), url.strip_prefix("redis://")) {
                (Some(rest), _) => (true, rest),
                (_, Some(rest)) => (false, rest),
                _ => return Err("it begins with redis://, rediss:// or unix://".into()),
            };
            let url = format!("redis://{rest}");
            let server = endpoint(&url)?;
            (url, tls, Server::At(server))
        };
        let new = Self {
            server,
            url,
            roots: roots.map(str::to_owned),
            tls,
            prefix: "jackfield".into(),
            quotas,
            lease: Duration::from_secs(15),
            revocations,
        };
        match (&new.roots, tls) {
            (Some(_), false) => return Err("only rediss:// has somebody to verify by roots".into()),
            (Some(_), true) => drop(new.tls()?),
            (None, _) => {}
        }
        Ok(new)
    }

    /// Whom to connect to.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// What to verify it by; `None` where it is spoken to in the clear. The system's roots are read anew.
    pub(crate) fn tls(&self) -> Result<Option<TlsConnector>, String> {
        if !self.tls {
            return Ok(None);
        }
        let mut config = TlsConfig::new();
        if let Some(roots) = &self.roots {
            let roots = Certificates::from_pem(roots.as_bytes()).map_err(|e| e.to_string())?;
            config = config.with_roots(roots);
        }
        TlsConnector::new(config)
            .map(Some)
            .map_err(|error| error.to_string())
    }

    /// Who the relay is there, and which database it takes. Pushed messages need the third protocol.
    pub(crate) fn log_in(&self) -> Result<RedisConnectionInfo, String> {
        let info = self.url.as_str().into_connection_info();
        let info = info.map_err(|error| error.to_string())?;
        let log_in = info.redis_settings().clone();
        Ok(log_in.set_protocol(ProtocolVersion::RESP3))
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("RedisConfig")
            .field("server", &self.server)
            .field("tls", &self.tls)
            .field("prefix", &self.prefix)
            .field("quotas", &self.quotas)
            .field("lease", &self.lease)
            .field("revocations", &self.revocations)
            .finish_non_exhaustive()
    }
}

/// The server that a URL with `redis://` names.
fn endpoint(url: &str) -> Result<Endpoint, String> {
    if url.contains(['?', '#']) {
        return Err("it has no query and no fragment".into());
    }
    let info = url.into_connection_info().map_err(|e| e.to_string())?;
    let ConnectionAddr::Tcp(host, port) = info.addr() else {
        return Err("it names no host".into());
    };
    let host = match host.parse::<IpAddr>() {
        Ok(ip) => Host::Ip(ip.to_canonical()),
        Err(_) => Host::Name(host.parse::<HostName>().map_err(|e| e.to_string())?),
    };
    Ok(Endpoint::new(host, *port))
}

/// The socket that a URL with `unix://` names.
fn socket(url: &str) -> Result<PathBuf, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let known = |key: &str| {
        ["user=", "pass=", "db="]
            .iter()
            .any(|it| key.starts_with(it))
    };
    if url.contains('#') || !query.split('&').all(|key| key.is_empty() || known(key)) {
        return Err("its query has user, pass and db, and it has no fragment".into());
    }
    let info = url.into_connection_info().map_err(|e| e.to_string())?;
    match info.addr() {
        ConnectionAddr::Unix(path) if url.starts_with("unix:///") && path.file_name().is_some() => {
            Ok(path.clone())
        }
        _ => Err("behind unix:// stands the path of a socket, from / on".into()),
    }
}

/// The section, as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRedis {
    url: Option<Spanned<Hidden>>,
    url_file: Option<Spanned<PathBuf>>,
    roots_file: Option<Spanned<PathBuf>>,
    prefix: Option<Spanned<String>>,
    quotas_when_gone: WhenGone,
    lease_seconds: Option<Spanned<u32>>,
    revocations_when_gone: WhenGone,
}

impl FileRedis {
    /// Reads what stands there in the file.
    pub(super) fn read(self, whole: Range<usize>, directory: &Path) -> Result<RedisConfig, Wrong> {
        let text = |path: &Spanned<PathBuf>, key: &str, most| {
            let at = directory.join(path.get_ref());
            files::read(&at, most).map_err(|error| {
                let message = format!("{} can't be read: {error}", at.display());
                Wrong::new(path.span(), key, message)
            })
        };
        let (key, (url, place)) = match (self.url, &self.url_file) {
            (Some(url), None) => {
                let place = url.span();
                ("redis.url", (url.into_inner().0, place))
            }
            (None, Some(path)) => {
                let url = text(path, "redis.url_file", MAX_SECRET_FILE)?;
                ("redis.url_file", (url.trim().to_owned(), path.span()))
            }
            _ => {
                let message = "it has exactly one of url and url_file";
                return Err(Wrong::new(whole, "redis", message));
            }
        };
        let roots = match &self.roots_file {
            Some(path) => Some(text(path, "redis.roots_file", MAX_FILE)?),
            None => None,
        };
        let (quotas, revocations) = (self.quotas_when_gone, self.revocations_when_gone);
        let new = RedisConfig::new(&url, roots.as_deref(), quotas, revocations);
        let mut redis = new.map_err(|message| Wrong::new(place, key, message))?;
        if let Some(prefix) = self.prefix {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            let text = prefix.get_ref();
            if text.is_empty() || text.len() > 64 || !text.bytes().all(good) {
                let message = "a prefix has 1 to 64 ASCII letters, digits, '-', '_', '.' or ':'";
                return Err(Wrong::new(prefix.span(), "redis.prefix", message));
            }
            redis.prefix = prefix.into_inner();
        }
        if let Some(seconds) = self.lease_seconds {
            if !LEASES.contains(seconds.get_ref()) {
                let (least, most) = (LEASES.start(), LEASES.end());
                let message = format!("a lease is of {least} to {most} seconds");
                return Err(Wrong::new(seconds.span(), "redis.lease_seconds", message));
            }
            redis.lease = Duration::from_secs((*seconds.get_ref()).into());
        }
        Ok(redis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_it_is_and_keeps_its_password() {
        let new = |url: &str| RedisConfig::new(url, None, WhenGone::Allow, WhenGone::Deny);
        for (url, server) in [
            ("redis://127.0.0.1", "127.0.0.1:6379"),
            ("redis://redis:7000/3", "redis:7000"),
            ("rediss://ada:hid%20den@r.example:1/", "r.example:1"),
            ("redis://:hidden@[::1]:7", "[::1]:7"),
        ] {
            let redis = new(url).expect(url);
            assert_eq!(redis.server().to_string(), server);
            assert_eq!(
                redis.tls().expect("roots").is_some(),
                url.contains("rediss")
            );
            assert!(!format!("{redis:?}").contains("hid"), "{redis:?}");
        }
        let log_in = new("rediss://ada:hid%20den@r.example/7").expect("good");
        let log_in = log_in.log_in().expect("good");
        assert_eq!((log_in.username(), log_in.db()), (Some("ada"), 7));
        assert_eq!(log_in.password(), Some("hid den"));
        let socket = new("unix:///run/re%20dis.sock?user=ada&pass=hid%20den&db=7").expect("good");
        assert_eq!(socket.server(), &Server::Unix("/run/re dis.sock".into()));
        assert!(!format!("{socket:?}").contains("hid"), "{socket:?}");
        let log_in = socket.log_in().expect("good");
        assert_eq!((log_in.username(), log_in.db()), (Some("ada"), 7));
        assert_eq!(log_in.password(), Some("hid den"));
        for wrong in [
            "127.0.0.1:6379",
            "http://r.example/",
            "redis://",
            "redis://r.example/name",
            "rediss://r.example/#insecure",
            "redis+unix:///run/redis",
            "unix://r.example/run/redis",
            "unix://",
            "unix:///",
            "unix:///?db=1",
            "unix:///run/redis?protocol=2",
            "unix:///run/redis?db=one",
            "unix:///run/redis#r.example",
        ] {
            let error = new(wrong).expect_err(wrong);
            assert!(!error.contains("r.example"), "{error}");
        }
        let roots = RedisConfig::new("redis://a", Some(""), WhenGone::Allow, WhenGone::Deny);
        assert!(roots.is_err());
    }
}
