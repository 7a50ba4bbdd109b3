//! Configuration of a session: what it is given when it is made.

use std::fmt;
use std::time::Duration;

use jackfield_sasl::Credentials;

use crate::codec::{Nickname, Text, Word};

/// How to register, and what to keep to.
///
/// ```
/// use jackfield_irc::core::{Config, Credentials};
///
/// let mut config = Config::new("ada".parse()?);
/// config.alternatives = vec!["ada_".parse()?];
/// config.sasl = Some(Credentials::password("ada", "correct horse")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The nickname.
    pub nick: Nickname,
    /// What to try when it is taken, in order. After them, `_` is appended, a few times.
    pub alternatives: Vec<Nickname>,
    /// Whether to take the nickname as soon as it is free, where it was taken at registration. Until
    /// then it is watched: in the channels, with MONITOR, or by asking. Another nickname that is
    /// asked for ends that. Default: no; a [client](crate::client) that comes back does so for the
    /// nickname it had, since who holds it then is most likely its own former connection.
    pub regain_nick: bool,
    /// How often the server is asked whether the nickname is free, where it doesn't tell by itself.
    /// Default: 30 s.
    pub regain_interval: Duration,
    /// The user name. Default: the nickname.
    pub user: Word,
    /// The real name, which anyone may read. Default: the nickname.
    pub real_name: Text,
    /// The connection's password (`PASS`): not the account's, which SASL takes.
    pub password: Option<Password>,
    /// How to log in to an account: the strongest mechanism is taken that the server offers and these
    /// suit, SCRAM before PLAIN, and the latter only over TLS. Where this is given, a server without
    /// SASL is refused.
    pub sasl: Option<Credentials>,
    /// What a server may ask of this side at the login.
    pub sasl_limits: jackfield_sasl::Limits,
    /// How long the registration may take, SASL included. Default: 60 s.
    pub registration_timeout: Duration,
    /// How long SASL may take, from the moment it begins. Default: 30 s.
    pub sasl_timeout: Duration,
    /// How often the server is asked for a sign of life, which also measures the lag.
    /// Default: 60 s.
    pub ping_interval: Duration,
    /// How long that sign may take: any line is one, once the server has said all of its welcome.
    /// Default: 60 s.
    pub ping_timeout: Duration,
    /// How long the answer to a request may take, once it was sent. Default: 60 s.
    pub request_timeout: Duration,
    /// How fast lines are sent.
    pub flood: Flood,
    /// Lines that wait to be sent; more are refused with
    /// [`RequestError::QueueFull`](crate::RequestError::QueueFull). Default: 100.
    pub line_capacity: usize,
    /// Requests that wait for an answer; more are refused with
    /// [`RequestError::TooManyPending`](crate::RequestError::TooManyPending). Default: 100.
    pub request_capacity: usize,
    /// How much the server may make this side keep.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with this nickname.
    pub fn new(nick: Nickname) -> Self {
        Self {
            user: Word::from(&nick),
            real_name: Text::from(&nick),
            nick,
            alternatives: Vec::new(),
            regain_nick: false,
            regain_interval: Duration::from_secs(30),
            password: None,
            sasl: None,
            sasl_limits: jackfield_sasl::Limits::default(),
            registration_timeout: Duration::from_mins(1),
            sasl_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_mins(1),
            ping_timeout: Duration::from_mins(1),
            request_timeout: Duration::from_mins(1),
            flood: Flood::default(),
            line_capacity: 100,
            request_capacity: 100,
            limits: Limits::default(),
        }
    }
}

/// A password: any text without CR, LF and NUL, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Text);

impl Password {
    /// Checks a password.
    ///
    /// # Errors
    /// Where it holds CR, LF or NUL.
    pub fn new(password: &str) -> Result<Self, crate::codec::InvalidValue> {
        Text::new(password).map(Self)
    }

    pub(super) fn text(&self) -> &Text {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// How fast lines are sent, so that the server does not take them for a flood.
///
/// The default is what RFC 1459, section 8.10, allows: a few lines at once, then one every 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flood {
    /// How many lines may go at once after a pause. Default: 5.
    pub burst: u32,
    /// How long one line takes beyond that. Default: 2 s.
    pub interval: Duration,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            burst: 5,
            interval: Duration::from_secs(2),
        }
    }
}

/// How much a session keeps, whatever the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Channels whose state is kept; what happens in further ones comes as [`Event::Other`].
    /// Default: 500.
    ///
    /// [`Event::Other`]: super::Event::Other
    pub max_channels: usize,
    /// Members kept, in all channels together; further ones are not listed. Default: 50,000.
    pub max_members: usize,
    /// Entries in one answer; a larger one fails with
    /// [`RequestError::ReplyTooLarge`](crate::RequestError::ReplyTooLarge). Default: 10,000.
    pub max_reply_items: usize,
    /// Channels that the server sends in one answer to `LIST`, in place of the limit above: large networks
    /// have tens of thousands, of some 200 bytes each. Default: 50,000.
    pub max_list_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_channels: 500,
            max_members: 50_000,
            max_reply_items: 10_000,
            max_list_entries: 50_000,
        }
    }
}
