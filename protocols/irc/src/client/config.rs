//! Configuration of a client.

use jackfield_client::Options;

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
/// config.connection.connect_timeout = Duration::from_secs(10);
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
    /// How to connect, and what to do when the connection is lost.
    pub connection: Options,
}

impl ClientConfig {
    /// The defaults, with these sessions.
    pub fn new(session: Config) -> Self {
        Self {
            session,
            channels: Vec::new(),
            connection: Options::default(),
        }
    }
}

impl From<Config> for ClientConfig {
    fn from(session: Config) -> Self {
        Self::new(session)
    }
}
