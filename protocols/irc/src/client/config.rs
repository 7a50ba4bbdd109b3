//! What a client is given.

use std::time::Duration;

use jackfield_client::Reconnect;
use jackfield_socket::TcpOptions;

use crate::codec::ChannelName;
use crate::core::Config;

/// How to connect, and what to do when the connection is lost.
///
/// ```
/// use std::time::Duration;
///
/// use jackfield_irc::client::ClientConfig;
/// use jackfield_irc::core::Config;
///
/// let mut config = ClientConfig::new(Config::new("ada".parse()?));
/// config.channels = vec!["#rust".parse()?];
/// config.connect_timeout = Duration::from_secs(10);
/// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How each session registers and behaves.
    pub session: Config,
    /// The channels to enter after registering. Those that are entered and left later come and go
    /// by themselves, so that a client that reconnects is where it was.
    pub channels: Vec<ChannelName>,
    /// How to try again; none for never. Default: [`Reconnect::default`].
    pub reconnect: Option<Reconnect>,
    /// How long opening the stream may take, TLS included. Default: 30 s.
    pub connect_timeout: Duration,
    /// How to open the stream.
    pub tcp: TcpOptions,
    /// How many events may wait to be read, at least 1. When they do, the client stops reading from
    /// the server. Default: 256.
    pub event_capacity: usize,
    /// What the jitter of reconnecting begins with: the same seed gives the same delays. Default:
    /// none, for another one each time.
    pub seed: Option<u64>,
}

impl ClientConfig {
    /// The defaults, with these sessions.
    pub fn new(session: Config) -> Self {
        Self {
            session,
            channels: Vec::new(),
            reconnect: Some(Reconnect::default()),
            connect_timeout: Duration::from_secs(30),
            tcp: TcpOptions::default(),
            event_capacity: 256,
            seed: None,
        }
    }
}

impl From<Config> for ClientConfig {
    fn from(session: Config) -> Self {
        Self::new(session)
    }
}
