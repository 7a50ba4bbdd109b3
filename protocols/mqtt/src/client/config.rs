//! Configuration of a client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use jackfield_client::Options;
use jackfield_store::{BoxStore, Store};

use crate::core::{Config, ConnectOptions};

/// How to connect, what to keep, and what to do when the connection is lost.
///
/// ```
/// use jackfield_mqtt::client::ClientConfig;
/// use jackfield_mqtt::core::ConnectOptions;
///
/// let mut connect = ConnectOptions::new("lamp-17".parse()?);
/// connect.session_expiry = Some(3600);
/// let mut config = ClientConfig::new(connect);
/// config.session.limits.queue_capacity = 100;
/// # Ok::<(), jackfield_mqtt::codec::InvalidValue>(())
/// ```
#[non_exhaustive]
pub struct ClientConfig {
    /// What each connection begins with; see [`renew_with`](Self::renew_with).
    pub connect: ConnectOptions,
    /// How the session behaves, over all connections. [`Config::durable`] follows the store.
    pub session: Config,
    /// When a message of QoS 1 or 2 is acknowledged. Default: when it was taken.
    pub acknowledge: Acknowledge,
    /// How to connect, and what to do when the connection is lost.
    pub connection: Options,
    /// How many times in a row a server's reference to another one is followed (MQTT 5, section
    /// 4.11); 0 for never. Beyond, the client begins again with the server that it was given,
    /// after a delay. Default: 3.
    pub redirects: u32,
    /// How many messages may wait to be read in each [`Subscription`](super::Subscription), at least
    /// 1. When they do, the client stops reading from the server, and does all else. Default: 256.
    pub subscription_capacity: usize,
    /// How many [requests](super::Requester) may wait for their responses. Default: 1,000.
    pub call_capacity: usize,
    pub(super) store: Option<BoxStore>,
    pub(super) renew: Option<Renew>,
}

/// When a message of QoS 1 or 2 is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acknowledge {
    /// When it was read from [`Events`](super::Events) or from each
    /// [`Subscription`](super::Subscription) that it came to, or they were dropped. What waits there
    /// unread when the process ends comes again.
    WhenTaken,
    /// With [`Client::acknowledge`](super::Client::acknowledge).
    ByHand,
}

pub(super) type Renewed = Pin<
    Box<
        dyn Future<Output = Result<ConnectOptions, Box<dyn std::error::Error + Send + Sync>>>
            + Send,
    >,
>;
pub(super) type Renew = Box<dyn FnMut(u32, ConnectOptions) -> Renewed + Send>;

impl ClientConfig {
    /// The defaults, with these options for each connection.
    pub fn new(connect: ConnectOptions) -> Self {
        Self {
            connect,
            session: Config::default(),
            acknowledge: Acknowledge::WhenTaken,
            connection: Options::default(),
            redirects: 3,
            subscription_capacity: 256,
            call_capacity: 1000,
            store: None,
            renew: None,
        }
    }

    /// The same with a store for the session: what is in flight or queued when the process or the
    /// tab ends is finished by the next client that is given the same store and name.
    ///
    /// For the server to keep its side, [`ConnectOptions::session_expiry`] must be long enough, and the
    /// name chosen by the client or assigned in the same session.
    ///
    /// ```
    /// use jackfield_mqtt::client::ClientConfig;
    /// use jackfield_mqtt::core::ConnectOptions;
    /// use jackfield_store::MemoryStore;
    ///
    /// let mut connect = ConnectOptions::new("lamp-17".parse()?);
    /// connect.session_expiry = Some(24 * 3600);
    /// let config = ClientConfig::new(connect).with_store(MemoryStore::new());
    /// # Ok::<(), jackfield_mqtt::codec::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn with_store(mut self, store: impl Store) -> Self {
        self.store = Some(BoxStore::new(store));
        self
    }

    /// The same with a function that renews [`connect`](Self::connect) before each attempt: it is
    /// given the attempt's number in a row, from 1, and what the last one had. Where it fails, the
    /// attempt does, and another one follows as [`connection`](Self::connection) says.
    ///
    /// ```
    /// use jackfield_mqtt::client::ClientConfig;
    /// use jackfield_mqtt::codec::Password;
    /// use jackfield_mqtt::core::ConnectOptions;
    ///
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let connect = ConnectOptions::new("lamp-17".parse()?);
    /// let config = ClientConfig::new(connect).renew_with(|_attempt, mut connect| async move {
    ///     connect.password = Some(Password::new(fetch_token().await?)?);
    ///     Ok(connect)
    /// });
    /// # Ok::<(), jackfield_mqtt::codec::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn renew_with<F, R>(mut self, mut renew: F) -> Self
    where
        F: FnMut(u32, ConnectOptions) -> R + Send + 'static,
        R: Future<Output = Result<ConnectOptions, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        self.renew = Some(Box::new(move |attempt, connect| {
            Box::pin(renew(attempt, connect))
        }));
        self
    }
}

impl From<ConnectOptions> for ClientConfig {
    fn from(connect: ConnectOptions) -> Self {
        Self::new(connect)
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("connect", &self.connect)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
