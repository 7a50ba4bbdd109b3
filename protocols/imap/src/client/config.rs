//! Configuration of a client.

use jackfield_client::Options;
use jackfield_sasl::Credentials;

use crate::core::Config;

/// How to log in, and how to connect.
///
/// ```
/// use jackfield_imap::client::ClientConfig;
/// use jackfield_imap::core::Credentials;
///
/// let mut config = ClientConfig::new(Credentials::password("ada", "correct horse")?);
/// config.connection.connect_timeout = std::time::Duration::from_secs(10);
/// # Ok::<(), jackfield_sasl::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How each session logs in and behaves.
    pub session: Config,
    /// How to connect, and what to do when the connection is lost.
    pub connection: Options,
    /// How many messages, or pieces of a text of up to 16 KiB, may wait to be read by whoever asked
    /// for them. When they do, nothing more is read from the server, for anybody. Default: 16.
    pub stream_capacity: usize,
    /// How long the set of messages in one command may be, in bytes; more become several commands.
    /// Default: 7,500, which all servers but few take; Yahoo wants less than 1,000.
    pub max_set: usize,
}

impl ClientConfig {
    /// The defaults, for this user.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            session: Config::new(credentials),
            connection: Options::default(),
            stream_capacity: 16,
            max_set: 7_500,
        }
    }
}

impl From<Credentials> for ClientConfig {
    fn from(credentials: Credentials) -> Self {
        Self::new(credentials)
    }
}
