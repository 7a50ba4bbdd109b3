//! Configuration of a client.

use std::fmt;
use std::future::Future;

use jackfield_client::Options;
use jackfield_sasl::{Credentials, Renewal};

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
#[derive(Clone)]
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
    pub(super) renew: Option<Renewal>,
}

impl ClientConfig {
    /// The defaults, for this user.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            session: Config::new(credentials),
            connection: Options::default(),
            stream_capacity: 16,
            max_set: 7_500,
            renew: None,
        }
    }

    /// The same with a function that gives the credentials for each attempt to connect, such as a
    /// token that is still good: it is given the attempt's number in a row, from 1. Where it fails,
    /// the attempt does.
    ///
    /// ```
    /// use jackfield_imap::client::ClientConfig;
    /// use jackfield_imap::core::Credentials;
    ///
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let config = ClientConfig::new(Credentials::token("ada@example.org", "ya29")?);
    /// let config = config.renew_with(|_attempt| async {
    ///     Ok(Credentials::token("ada@example.org", &fetch_token().await?)?)
    /// });
    /// # drop(config);
    /// # Ok::<(), jackfield_sasl::Error>(())
    /// ```
    #[must_use]
    pub fn renew_with<F, R>(mut self, renew: F) -> Self
    where
        F: FnMut(u32) -> R + Send + 'static,
        R: Future<Output = Result<Credentials, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        self.renew = Some(Renewal::new(renew));
        self
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("session", &self.session)
            .field("connection", &self.connection)
            .field("stream_capacity", &self.stream_capacity)
            .field("max_set", &self.max_set)
            .finish_non_exhaustive()
    }
}

impl From<Credentials> for ClientConfig {
    fn from(credentials: Credentials) -> Self {
        Self::new(credentials)
    }
}
