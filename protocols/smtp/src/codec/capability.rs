//! Capabilities: what a server's answer to EHLO says it can do (RFC 5321, section 4.1.1.1).

use super::Reply;

/// How many are kept of one answer. Servers have some twenty.
const MAX_CAPABILITIES: usize = 100;

/// Something that a server can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// It takes commands before it has answered the one before (RFC 2920).
    Pipelining,
    /// It says how large a message may be (RFC 1870), in bytes; `None` where it says no number or 0.
    Size(Option<u64>),
    /// It takes text of eight bits (RFC 6152).
    EightBitMime,
    /// It takes Unicode in addresses and headers (RFC 6531).
    SmtpUtf8,
    /// It takes counted content (RFC 3030).
    Chunking,
    /// It takes binary content (RFC 3030).
    BinaryMime,
    /// It tells of what becomes of a message (RFC 3461).
    Dsn,
    /// Its replies have enhanced status codes (RFC 2034).
    EnhancedStatusCodes,
    /// It would speak TLS (RFC 3207).
    StartTls,
    /// One may log in with these mechanisms (RFC 4954).
    Auth(Vec<String>),
    /// It passes a message on over TLS only, where asked to (RFC 8689).
    RequireTls,
    /// It delivers in time, or says that it could not (RFC 2852); the least that it can do, in
    /// seconds, if it says so.
    DeliverBy(Option<u64>),
    /// It holds a message back (RFC 4865): for so many seconds at the most, and until this time at
    /// the latest.
    FutureRelease {
        /// The longest time, in seconds.
        max_interval: u64,
        /// The latest time, as RFC 3339 writes it.
        max_datetime: String,
    },
    /// It has priorities (RFC 6710), after this policy.
    MtPriority(Option<String>),
    /// It has these limits (RFC 9422).
    Limits(Vec<Limit>),
    /// It has VRFY.
    Verify,
    /// It says what it can do.
    Help,
    /// It has ETRN (RFC 1985).
    Etrn,
    /// Something else: the line as it came.
    Unknown(String),
}

/// A limit (RFC 9422, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// How many messages a session may have.
    Mails(u64),
    /// How many recipients a message may have.
    Recipients(u64),
    /// How many domains the recipients of a message may have.
    RecipientDomains(u64),
    /// Something else, as it came.
    Unknown(String),
}

impl Capability {
    /// A line of the answer.
    fn parse(line: &str) -> Self {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let first = rest.split_whitespace().next();
        let unknown = || Self::Unknown(line.to_owned());
        match &*keyword.to_ascii_uppercase() {
            "PIPELINING" => Self::Pipelining,
            "SIZE" => Self::Size(first.and_then(|it| it.parse().ok()).filter(|it| *it > 0)),
            "8BITMIME" => Self::EightBitMime,
            "SMTPUTF8" => Self::SmtpUtf8,
            "CHUNKING" => Self::Chunking,
            "BINARYMIME" => Self::BinaryMime,
            "DSN" => Self::Dsn,
            "ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            "STARTTLS" => Self::StartTls,
            "AUTH" => Self::Auth(words(rest)),
            "REQUIRETLS" => Self::RequireTls,
            "DELIVERBY" => Self::DeliverBy(first.and_then(|it| it.parse().ok())),
            "FUTURERELEASE" => {
                let mut words = rest.split_whitespace();
                let interval = words.next().and_then(|it| it.parse().ok());
                match (interval, words.next()) {
                    (Some(max_interval), Some(until)) => Self::FutureRelease {
                        max_interval,
                        max_datetime: until.to_owned(),
                    },
                    _ => unknown(),
                }
            }
            "MT-PRIORITY" => Self::MtPriority(first.map(str::to_owned)),
            "LIMITS" => Self::Limits(rest.split_whitespace().map(Limit::parse).collect()),
            "VRFY" => Self::Verify,
            "HELP" => Self::Help,
            "ETRN" => Self::Etrn,
            // Before the standard there was a draft, and servers that follow it are still about.
            keyword if keyword.starts_with("AUTH=") => {
                let mut all = words(&line["AUTH=".len()..]);
                all.retain(|it| !it.is_empty());
                Self::Auth(all)
            }
            _ => unknown(),
        }
    }
}

impl Limit {
    fn parse(word: &str) -> Self {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let Ok(number) = value.parse() else {
            return Self::Unknown(word.to_owned());
        };
        match &*name.to_ascii_uppercase() {
            "MAILMAX" => Self::Mails(number),
            "RCPTMAX" => Self::Recipients(number),
            "RCPTDOMAINMAX" => Self::RecipientDomains(number),
            _ => Self::Unknown(word.to_owned()),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect()
}

/// What a server can do: each line of its answer to EHLO, up to 100.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Capability>);

impl Capabilities {
    /// What an answer to EHLO or LHLO says. Its first line is a greeting.
    pub fn of(reply: &Reply) -> Self {
        let lines = reply.lines().skip(1).filter(|line| !line.is_empty());
        Self(
            lines
                .take(MAX_CAPABILITIES)
                .map(Capability::parse)
                .collect(),
        )
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// Whether this is among them, as it is.
    pub fn has(&self, capability: &Capability) -> bool {
        self.0.contains(capability)
    }

    /// How large a message may be, in bytes; `None` where the server has not said, or has no limit
    /// of its own.
    pub fn size(&self) -> Option<u64> {
        self.0.iter().find_map(|it| match it {
            Capability::Size(size) => *size,
            _ => None,
        })
    }

    /// Whether it knows of sizes.
    pub fn has_size(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Size(_)))
    }

    /// The mechanisms to log in with.
    pub fn mechanisms(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|it| match it {
                Capability::Auth(mechanisms) => Some(mechanisms),
                _ => None,
            })
            .flatten()
            .map(String::as_str)
    }

    /// Its limits.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.0
            .iter()
            .filter_map(|it| match it {
                Capability::Limits(limits) => Some(limits),
                _ => None,
            })
            .flatten()
    }
}
