//! An IRC client in a test's hand: everything that happens to it is kept, and can be waited for.

use jackfield_irc::client::{self, Client, ClientConfig, ClientEvent, ConnectionError, Status};
use jackfield_irc::codec::Nickname;
use jackfield_irc::core::{Config, Event, Flood};
use jackfield_socket::{Endpoint, TcpConnect};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::LONG;
use crate::kept::{Kept, Source};

/// A client that runs, and what has happened to it.
#[derive(Debug)]
pub struct User {
    /// What acts.
    pub client: Client,
    events: Kept<ClientEvent>,
    connection: JoinHandle<Result<(), ConnectionError>>,
}

/// A configuration for tests: as the default, but for the pause between lines, which no server here
/// asks for.
pub fn config(nick: &str) -> ClientConfig {
    let mut session = Config::new(name(nick));
    let mut flood = Flood::default();
    flood.burst = 100;
    session.flood = flood;
    ClientConfig::new(session)
}

/// A nickname.
pub fn name(nick: &str) -> Nickname {
    Nickname::new(nick).expect("a nickname")
}

impl User {
    /// Starts a client.
    pub fn start(network: impl TcpConnect, server: &Endpoint, config: ClientConfig) -> Self {
        let (client, events, connection) = client::connect(network, server.clone(), config);
        Self {
            client,
            events: Kept::of(events),
            connection: tokio::spawn(connection),
        }
    }

    /// Starts a client, and waits until it is registered.
    pub async fn register(
        network: impl TcpConnect,
        server: &Endpoint,
        config: ClientConfig,
    ) -> Self {
        let mut user = Self::start(network, server, config);
        user.registered().await;
        user
    }

    /// Waits until it is registered; gives its nickname and account.
    pub async fn registered(&mut self) -> (Nickname, Option<String>) {
        self.wait("to be registered", |event| match event {
            ClientEvent::Status(Status::Ready(registered)) => {
                Some((registered.nick.clone(), registered.account.clone()))
            }
            _ => None,
        })
        .await
    }

    /// Waits for an event that was not looked at yet; those before it are passed over.
    ///
    /// # Panics
    /// When it doesn't come; shows what came instead.
    pub async fn wait<T>(&mut self, what: &str, pick: impl FnMut(&ClientEvent) -> Option<T>) -> T {
        self.events.wait(what, pick).await
    }

    /// The same for an event of the session.
    pub async fn wait_irc<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        self.wait(what, |event| match event {
            ClientEvent::Event(event) => pick(event),
            ClientEvent::Status(_) => None,
        })
        .await
    }

    /// Everything that has happened so far.
    pub fn events(&self) -> Vec<ClientEvent> {
        self.events.events()
    }

    /// Waits until the client has ended, and says how.
    ///
    /// # Errors
    /// Why the client gave up.
    pub async fn ended(self) -> Result<(), ConnectionError> {
        let ended = timeout(LONG, self.connection).await;
        ended.expect("it ends in time").expect("it does not panic")
    }
}

impl Source for client::Events {
    type Event = ClientEvent;

    async fn next(&mut self) -> Option<ClientEvent> {
        self.next().await
    }
}
