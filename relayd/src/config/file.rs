//! The configuration file: how one is written, and what is wrong with one.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jackfield_relay_wire::Mux;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::limits::{FileLimits, FileQuota};
#[cfg(feature = "redis")]
use super::redis::FileRedis;
use super::revoked;
use super::table::Table;
use super::tls::{self, FileTls};
use super::token::{self, Defaults, FileToken};
use super::{
    AdmissionConfig, Config, DrainConfig, HEALTH_PATH, HostHeader, LogConfig, Origin, READY_PATH,
    Resolver,
};
use crate::limits::{Limits, Quota};
use crate::proxy::{ProxiesConfig, ToldBy};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    advertise: Vec<Spanned<String>>,
    tls: Option<Spanned<Table<FileTls>>>,
    proxies: Option<Table<FileProxies>>,
    path: Option<Spanned<String>>,
    #[serde(default)]
    origins: Vec<Spanned<String>>,
    #[serde(default)]
    allow_without_origin: bool,
    #[serde(default)]
    hosts: Vec<Spanned<String>>,
    audience: Option<Spanned<String>>,
    #[serde(rename = "revoked_file")]
    revoked: Option<Spanned<PathBuf>>,
    max_sessions: Option<NonZeroU32>,
    max_streams: Option<NonZeroU32>,
    max_buffer_bytes: Option<NonZeroU64>,
    handshake_seconds: Option<NonZeroU32>,
    #[serde(default)]
    admission: Table<FileAdmission>,
    health: Option<Spanned<String>>,
    metrics: Option<Spanned<String>>,
    admin: Option<Table<FileSocket>>,
    mint: Option<Table<FileSocket>>,
    #[serde(default)]
    drain: Table<FileDrain>,
    #[serde(default)]
    resolver: Resolver,
    max_look_ups: Option<NonZeroU32>,
    #[serde(default)]
    log: Table<LogConfig>,
    records: Option<Table<FileRecords>>,
    #[cfg(feature = "redis")]
    redis: Option<Spanned<Table<FileRedis>>>,
    #[cfg(not(feature = "redis"))]
    redis: Option<Spanned<serde::de::IgnoredAny>>,
    #[serde(default)]
    limits: Table<FileLimits>,
    #[serde(default)]
    bearer_limits: Table<FileQuota>,
    #[serde(default)]
    source_limits: Table<FileQuota>,
    #[serde(default)]
    token: Vec<Spanned<Table<FileToken>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileAdmission {
    handshakes: Option<Spanned<String>>,
    handshakes_per_source: Option<NonZeroU32>,
    exempt: Option<Vec<Spanned<String>>>,
    refuse_after_seconds: Option<u32>,
    refuse_at_most_seconds: Option<u32>,
    late_penalty_seconds: Option<u32>,
    request_penalty_seconds: Option<u32>,
    token_penalty_seconds: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileDrain {
    #[serde(rename = "delay_seconds")]
    delay: Option<Spanned<u32>>,
    #[serde(rename = "spread_seconds")]
    spread: Option<Spanned<u32>>,
    #[serde(rename = "cut_seconds")]
    cut: Option<u32>,
    #[serde(rename = "come_back_seconds")]
    come_back: Option<Spanned<u32>>,
}

/// Both are asked for: what a proxy sends nobody can guess, and what it doesn't write its clients do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProxies {
    trusted: Vec<Spanned<String>>,
    header: ToldBy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSocket {
    socket: Spanned<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRecords {
    file: Spanned<PathBuf>,
}

/// A string that no error message repeats.
pub(super) struct Hidden(pub(super) String);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The deserializer's own complaint would show the value.
        match toml::Value::deserialize(deserializer) {
            Ok(toml::Value::String(text)) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("expected a string")),
        }
    }
}

/// What is wrong, at which byte and key.
pub(super) struct Wrong {
    pub(super) span: Option<Range<usize>>,
    pub(super) key: String,
    pub(super) message: String,
    /// The file where that is, and its text, where it is another one.
    pub(super) elsewhere: Option<(PathBuf, String)>,
}

impl Wrong {
    pub(super) fn new(
        span: Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            span: Some(span),
            key: key.into(),
            message: message.into(),
            elsewhere: None,
        }
    }
}

/// Reads a TOML file's text.
pub(super) fn deserialize<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let plain = |error: &toml::de::Error, key: String| Wrong {
        span: error.span(),
        key,
        message: error.message().into(),
        elsewhere: None,
    };
    let file = toml::Deserializer::parse(text).map_err(|error| plain(&error, String::new()))?;
    serde_path_to_error::deserialize(file).map_err(|error| {
        let key = key_of(error.path());
        plain(error.inner(), key)
    })
}

pub(super) fn read(text: &str, directory: &Path) -> Result<Config, Wrong> {
    let file: File = deserialize(text)?;

    if file.listen.get_ref().is_empty() {
        let message = "nobody could come in: it names no address";
        return Err(Wrong::new(file.listen.span(), "listen", message));
    }
    let mut config = Config {
        listen: parse_all(file.listen.get_ref(), "listen", address)?,
        advertise: parse_all(&file.advertise, "advertise", |text| {
            text.parse::<IpAddr>()
                .map(|address| address.to_canonical())
                .map_err(|_| format!("{text:?} is not an IP address"))
        })?,
        origins: parse_all(&file.origins, "origins", str::parse::<Origin>)?,
        allow_without_origin: file.allow_without_origin,
        hosts: parse_all(&file.hosts, "hosts", str::parse::<HostHeader>)?,
        log: file.log.0,
        ..Config::default()
    };
    let mut keys = Vec::new();
    if let Some(tls) = file.tls {
        keys.extend(tls::places(tls.get_ref()));
        config.tls = Some(tls::read(tls, directory)?);
    }
    if let Some(Table(proxies)) = &file.proxies {
        config.proxies = ProxiesConfig {
            trusted: parse_all(&proxies.trusted, "proxies.trusted", str::parse)?,
            header: proxies.header,
        };
    }
    if let Some(path) = file.path {
        let taken = [HEALTH_PATH, READY_PATH].contains(&&**path.get_ref());
        if !path.get_ref().starts_with('/') || taken {
            let message = "a path begins with '/', and is none for health checks";
            return Err(Wrong::new(path.span(), "path", message));
        }
        config.path = path.into_inner();
    }
    if let Some(audience) = file.audience {
        if audience.get_ref().is_empty() {
            return Err(Wrong::new(audience.span(), "audience", "it is empty"));
        }
        config.audience = Some(audience.into_inner());
    }
    config.resolver = file.resolver;
    if let Some(Table(records)) = file.records {
        keys.push(("records.file", records.file.span()));
        let path = records.file.into_inner();
        let to_stdout = path == Path::new("-");
        config.records = Some(if to_stdout {
            path
        } else {
            directory.join(path)
        });
    }
    if let Some(look_ups) = file.max_look_ups {
        config.max_look_ups = look_ups.get();
    }
    if let Some(sessions) = file.max_sessions {
        config.max_sessions = sessions.get();
    }
    config.max_streams = file.max_streams.map(NonZeroU32::get);
    if let Some(bytes) = file.max_buffer_bytes {
        config.max_buffer_bytes = bytes.get();
    }
    if let Some(seconds) = file.handshake_seconds {
        config.handshake_deadline = Duration::from_secs(seconds.get().into());
    }
    config.admission = file.admission.0.read()?;
    if let Some(text) = &file.health {
        keys.push(("health", text.span()));
        config.health = Some(parse_one(text, "health", address)?);
    }
    if let Some(text) = &file.metrics {
        keys.push(("metrics", text.span()));
        config.metrics = Some(parse_one(text, "metrics", address)?);
    }
    if let Some(redis) = file.redis {
        #[cfg(feature = "redis")]
        {
            let whole = redis.span();
            config.redis = Some(redis.into_inner().0.read(whole, directory)?);
        }
        #[cfg(not(feature = "redis"))]
        {
            let message = "this relay was built without the feature redis, which it takes to share \
                           anything (cargo install --path relayd --features redis)";
            return Err(Wrong::new(redis.span(), "redis", message));
        }
    }
    config.drain = file.drain.0.read()?;
    if let Some(Table(admin)) = file.admin {
        keys.push(("admin.socket", admin.socket.span()));
        config.admin = Some(read_socket(&admin.socket, "admin.socket", directory)?);
    }
    if let Some(Table(mint)) = file.mint {
        keys.push(("mint.socket", mint.socket.span()));
        config.mint = Some(read_socket(&mint.socket, "mint.socket", directory)?);
        if config.mint == config.admin {
            let message = "the administrator's socket is another one";
            return Err(Wrong::new(mint.socket.span(), "mint.socket", message));
        }
    }
    let line = |address: &Spanned<String>| position(text, address.span().start).0;
    let place = |(key, span): (_, Range<usize>)| (key, position(text, span.start));
    config.places.keys = keys.into_iter().map(place).collect();
    config.places.listen = file.listen.get_ref().iter().map(line).collect();
    config.source_limits = file.source_limits.0.over(Quota::default());
    let defaults = Defaults {
        limits: file.limits.0.over(Limits::default()),
        bearer_limits: file.bearer_limits.0.over(Quota::BEARER),
        programs: match (&config.tls, config.allow_without_origin) {
            (None, _) => Err("a certificate is shown in TLS, and there is no [tls]"),
            (_, false) => Err("programs send no Origin, and allow_without_origin is false"),
            (Some(_), true) => Ok(()),
        },
        advertise: config.advertise.clone(),
    };
    let keys_at = |token: &Spanned<Table<FileToken>>| {
        let url = token.get_ref().0.jwks_url.as_ref();
        url.map(|url| position(text, url.span().start))
    };
    config.places.jwks_urls = file.token.iter().map(keys_at).collect();
    for (index, token) in file.token.into_iter().enumerate() {
        let token = token::read(index, token, &defaults, (text, directory), &config.tokens)?;
        config.tokens.push(token);
    }
    if let Some(path) = file.revoked {
        config.revoked = revoked::read(&path, directory, &config.tokens)?;
        config.revoked_file = Some(directory.join(path.get_ref()));
    }
    Ok(config)
}

/// The path of a Unix socket, which the system bounds.
#[cfg(unix)]
fn read_socket(path: &Spanned<PathBuf>, key: &str, directory: &Path) -> Result<PathBuf, Wrong> {
    let whole = directory.join(path.get_ref());
    match std::os::unix::net::SocketAddr::from_pathname(&whole) {
        Ok(_) => Ok(whole),
        Err(error) => {
            let text = format!("{} can't be a socket's path: {error}", whole.display());
            Err(Wrong::new(path.span(), key, text))
        }
    }
}

#[cfg(not(unix))]
fn read_socket(path: &Spanned<PathBuf>, key: &str, _: &Path) -> Result<PathBuf, Wrong> {
    let text = "this system has no Unix sockets for it";
    Err(Wrong::new(path.span(), key, text))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an address with a port"))
}

impl FileAdmission {
    fn read(self) -> Result<AdmissionConfig, Wrong> {
        let defaults = AdmissionConfig::default();
        Ok(AdmissionConfig {
            handshakes: match &self.handshakes {
                Some(text) => parse_one(text, "admission.handshakes", str::parse)?,
                None => defaults.handshakes,
            },
            handshakes_per_source: self
                .handshakes_per_source
                .map_or(defaults.handshakes_per_source, NonZeroU32::get),
            exempt: match &self.exempt {
                Some(texts) => parse_all(texts, "admission.exempt", str::parse)?,
                None => defaults.exempt,
            },
            refuse_after: seconds(self.refuse_after_seconds, defaults.refuse_after),
            refuse_at_most: seconds(self.refuse_at_most_seconds, defaults.refuse_at_most),
            late_penalty: seconds(self.late_penalty_seconds, defaults.late_penalty),
            request_penalty: seconds(self.request_penalty_seconds, defaults.request_penalty),
            token_penalty: seconds(self.token_penalty_seconds, defaults.token_penalty),
        })
    }
}

impl FileDrain {
    fn read(self) -> Result<DrainConfig, Wrong> {
        let defaults = DrainConfig::default();
        let given = |text: &Option<Spanned<u32>>| text.as_ref().map(|text| *text.get_ref());
        let delay = seconds(given(&self.delay), defaults.delay);
        let spread = seconds(given(&self.spread), defaults.spread);
        let cut = seconds(self.cut, defaults.cut);
        // Sessions that are cut before they are told would have no time to go elsewhere.
        for (key, value, end) in [
            ("delay_seconds", &self.delay, delay),
            ("spread_seconds", &self.spread, delay + spread),
        ] {
            if let Some(value) = value
                && end >= cut
            {
                let message = format!(
                    "what is left is cut after {} s (cut_seconds), and sessions are told before",
                    cut.as_secs()
                );
                return Err(Wrong::new(value.span(), format!("drain.{key}"), message));
            }
        }
        if let Some(seconds) = &self.come_back
            && *seconds.get_ref() > Mux::MAX_COME_BACK.as_secs() as u32
        {
            let message = "no client waits for longer than 60 s";
            let key = "drain.come_back_seconds";
            return Err(Wrong::new(seconds.span(), key, message));
        }
        let come_back = seconds(given(&self.come_back), defaults.come_back);
        Ok(DrainConfig {
            delay,
            spread,
            cut,
            come_back,
        })
    }
}

pub(super) fn seconds(given: Option<u32>, default: Duration) -> Duration {
    given.map_or(default, |seconds| Duration::from_secs(seconds.into()))
}

/// Parses a text, and says where it stands if it is wrong.
fn parse_one<T>(
    text: &Spanned<String>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Wrong> {
    parse(text.get_ref()).map_err(|message| Wrong::new(text.span(), key, message))
}

/// Parses each text of an array, and says of which one is wrong where it stands.
fn parse_all<T>(
    texts: &[Spanned<String>],
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Wrong> {
    let one = |(index, text): (usize, &Spanned<String>)| {
        parse_one(text, &format!("{key}[{index}]"), &parse)
    };
    texts.iter().enumerate().map(one).collect()
}

/// As [`parse_all`], for what knows in which line it stands.
pub(super) fn lined<T: FromStr<Err = String>>(
    texts: &[Spanned<String>],
    key: &str,
    file: &str,
    at_line: impl Fn(T, usize) -> T,
) -> Result<Vec<T>, Wrong> {
    let all = parse_all(texts, key, str::parse::<T>)?;
    let line = |text: &Spanned<String>| position(file, text.span().start).0;
    let lines = texts.iter().map(line);
    Ok(all
        .into_iter()
        .zip(lines)
        .map(|(one, line)| at_line(one, line))
        .collect())
}

/// The path of a key, without the steps that only [`Spanned`] takes.
fn key_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut key = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(key, "[{index}]");
            }
            Segment::Map { key: name } if !name.starts_with("$__") => {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(name);
            }
            _ => {}
        }
    }
    key
}

/// The line and column of a byte, both from 1.
pub(super) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// A date and time that has an offset from UTC, as a point in time.
pub(super) fn system_time(time: &Datetime) -> Option<SystemTime> {
    let (date, clock) = (time.date?, time.time?);
    let offset_minutes = match time.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    // The days since 1970-01-01, counting years from March so that the leap day comes last.
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = year * 365 + year / 4 - year / 100
        + year / 400
        + (month * 153 + 2) / 5
        + i64::from(date.day)
        - 719_469;
    let minutes = days * 24 * 60 + i64::from(clock.hour) * 60 + i64::from(clock.minute);
    let seconds = (minutes - offset_minutes) * 60 + i64::from(clock.second.unwrap_or(0));
    let seconds = u64::try_from(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
