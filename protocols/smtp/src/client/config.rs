//! Configuration of a client.

use std::fmt;
use std::future::Future;

use jackfield_client::Options;
use jackfield_sasl::{Credentials, Renewal};

use crate::core::Config;

/// How to introduce oneself and log in, how to connect, and what to do when the connection is lost.
///
/// ```
/// use std::time::Duration;
///
/// use jackfield_smtp::client::ClientConfig;
/// use jackfield_smtp::core::Config;
///
/// let mut config = ClientConfig::new(Config::new("localhost".parse()?));
/// config.session.timeouts.idle = Duration::from_secs(10);
/// config.connection.connect_timeout = Duration::from_secs(10);
/// # Ok::<(), jackfield_smtp::codec::InvalidValue>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How the session behaves, over all connections.
    pub session: Config,
    /// How to connect, and what to do when the connection is lost.
    pub connection: Options,
    pub(super) renew: Option<Renewal>,
}

impl ClientConfig {
    /// The defaults, with this session.
    pub fn new(session: Config) -> Self {
        Self {
            session,
            connection: Options::default(),
            renew: None,
        }
    }

    /// The same with a function that gives the credentials for each attempt to connect, such as a
    /// token that is still good: it is given the attempt's number in a row, from 1. Where it fails,
    /// the attempt does.
    ///
    /// ```
    /// use jackfield_sasl::Credentials;
    /// use jackfield_smtp::client::ClientConfig;
    /// use jackfield_smtp::core::Config;
    ///
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let config = ClientConfig::new(Config::new("localhost".parse()?));
    /// let config = config.renew_with(|_attempt| async {
    ///     Ok(Credentials::token("ada@example.org", &fetch_token().await?)?)
    /// });
    /// # drop(config);
    /// # Ok::<(), jackfield_smtp::codec::InvalidValue>(())
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

impl From<Config> for ClientConfig {
    fn from(session: Config) -> Self {
        Self::new(session)
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("session", &self.session)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
