//! Configuration of a session: what it is given when it is made.

use std::time::Duration;

use jackfield_sasl::Credentials;

use crate::codec::{Domain, ReplyLimits};

/// How to introduce oneself and log in, and what to keep to.
///
/// ```
/// use jackfield_sasl::Credentials;
/// use jackfield_smtp::core::{Config, Security};
///
/// let mut config = Config::new("laptop.example.org".parse()?);
/// config.security = Security::Tls;
/// config.credentials = Some(Credentials::password("ada", "correct horse")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What EHLO says: the name of this side, or its address
    /// ([`Domain::literal`]). Servers of mail submission take any, `localhost` too.
    pub name: Domain,
    /// Which protocol is spoken. Default: SMTP.
    pub protocol: Protocol,
    /// What the network that the session runs over gives. Default: plaintext. Where this asks for TLS and the
    /// network's streams are not encrypted, the session fails before anything is said
    /// ([`NotEncrypted`](crate::SessionError::NotEncrypted)).
    pub security: Security,
    /// How to log in. Default: not at all. Where this is given, a server without it is refused.
    pub credentials: Option<Credentials>,
    /// Whether to log in over a stream that is not encrypted all the same, where anyone on the way may
    /// read the password. For a server on the same machine. Default: no.
    pub allow_plaintext_auth: bool,
    /// Whether content is counted (BDAT, RFC 3030) where the server takes that. Default: it is.
    pub chunking: Chunking,
    /// How many messages may be on their way at once, at least 1: where the server takes commands
    /// ahead (PIPELINING), the next begins before the last one's outcome has come. When the connection
    /// is lost, the outcome of so many may be unknown. Default: 8.
    pub pipeline_depth: usize,
    /// How many messages a connection has; then it is left, and another made. The server's own limit
    /// (RFC 9422) counts too. Default: `None`, for any number.
    pub connection_messages: Option<u64>,
    /// How many requests may wait to be begun; one more is refused with
    /// [`RequestError::TooManyPending`](crate::RequestError::TooManyPending). Default: 1,000.
    pub request_capacity: usize,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How much the server may make this side keep.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with this name.
    pub fn new(name: Domain) -> Self {
        Self {
            name,
            protocol: Protocol::Smtp,
            security: Security::Plaintext,
            credentials: None,
            allow_plaintext_auth: false,
            chunking: Chunking::WhereOffered,
            pipeline_depth: 8,
            connection_messages: None,
            request_capacity: 1000,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// To a server that passes messages on (RFC 5321).
    Smtp,
    /// To one that puts them into mailboxes at once, and answers for each recipient (RFC 2033).
    Lmtp,
}

/// What the network gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// Nothing: anyone on the way may read and change what is said.
    Plaintext,
    /// TLS from the first byte, as on port 465.
    Tls,
    /// TLS after [the opening](crate::starttls), as on port 587: the server has greeted before it.
    StartTls,
}

/// Whether content is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunking {
    /// Where the server offers it, and the command DATA elsewhere.
    WhereOffered,
    /// Never, but for what is binary.
    Never,
}

/// How long each step may take; those of RFC 5321, section 4.5.3.2, by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// How long a request may wait for a session that stands, connecting included. Behind others in one
    /// that does, it waits as long as these take. Default: 5 min.
    pub waiting: Duration,
    /// For the greeting. Default: 5 min.
    pub greeting: Duration,
    /// For the reply to EHLO, AUTH, MAIL, RCPT, RSET, VRFY or NOOP. Default: 5 min.
    pub command: Duration,
    /// For the reply to DATA. Default: 2 min.
    pub data: Duration,
    /// For each piece of the content to be taken by the network, or given by its source.
    /// Default: 3 min.
    pub piece: Duration,
    /// For the reply to the end of the content. Default: 10 min.
    pub message: Duration,
    /// For the reply to QUIT. Default: 5 s.
    pub quit: Duration,
    /// How long a connection is kept that has nothing to do. Default: 1 min.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            waiting: Duration::from_mins(5),
            greeting: Duration::from_mins(5),
            command: Duration::from_mins(5),
            data: Duration::from_mins(2),
            piece: Duration::from_mins(3),
            message: Duration::from_mins(10),
            quit: Duration::from_secs(5),
            idle: Duration::from_mins(1),
        }
    }
}

/// How much a session keeps, whatever the server sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long a reply may be.
    pub reply: ReplyLimits,
    /// What the server may ask for while one logs in.
    pub sasl: jackfield_sasl::Limits,
}
