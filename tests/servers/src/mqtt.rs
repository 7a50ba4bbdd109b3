//! Parts that the tests of the MQTT client share.

pub mod scenario;
pub mod second;

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_mqtt::client::{
    self, Client, ClientConfig, ClientEvent, Connection, ConnectionError, Reconnect, Status,
};
use jackfield_mqtt::codec::Version;
use jackfield_mqtt::core::{ConnectOptions, Delivery, Event, Server};
use jackfield_socket::{Endpoint, HostName, TcpConnect};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::LONG;
use crate::kept::{Kept, Source};

/// Where the proofs of exactly once publish: from our client, and to it.
pub const FROM: &str = "from/device";
/// See [`FROM`].
pub const TO: &str = "to/device";
/// How many of those messages are under way at a time.
pub const UNDER_WAY: usize = 20;

/// Our client, running, and what has happened to it.
#[derive(Debug)]
pub struct Device {
    /// What acts.
    pub client: Client,
    events: Kept<ClientEvent>,
    connection: JoinHandle<<Connection as Future>::Output>,
}

/// A configuration for tests: a session that lasts, and quick attempts.
pub fn config(id: &str, version: Version) -> ClientConfig {
    let mut connect = ConnectOptions::new(id.parse().expect("a name"));
    connect.session_expiry = Some(3600);
    let mut config = ClientConfig::new(connect);
    config.session.version = version;
    let mut reconnect = Reconnect::default();
    reconnect.first_delay = Duration::from_millis(10);
    reconnect.longest_delay = Duration::from_millis(50);
    config.connection.reconnect = Some(reconnect);
    config
}

/// The endpoint of this address, by the name that is in its certificate.
pub fn at(address: SocketAddr) -> Endpoint {
    let name: HostName = "localhost".parse().expect("a name");
    Endpoint::new(name, address.port())
}

impl Device {
    /// Starts a client.
    pub fn start(
        network: impl TcpConnect,
        server: &Endpoint,
        config: impl Into<ClientConfig>,
    ) -> Self {
        let (client, events, connection) = client::connect(network, server.clone(), config);
        Self {
            client,
            events: Kept::of(events),
            connection: tokio::spawn(connection),
        }
    }

    /// Waits until the server has let it in, and gives what it said.
    pub async fn connected(&mut self) -> Server {
        self.wait("to be let in", |event| match event {
            ClientEvent::Status(Status::Ready(server)) => Some((**server).clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the connection is lost.
    pub async fn disconnected(&mut self) -> ConnectionError {
        self.wait("for the connection's end", |event| match event {
            ClientEvent::Status(Status::Disconnected { error, .. }) => Some(error.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a message that comes as an event.
    pub async fn message(&mut self) -> Delivery {
        self.wait("for a message", |event| match event {
            ClientEvent::Event(Event::Message(delivery)) => Some(delivery.clone()),
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

    /// Takes leave, and waits until that is done.
    pub async fn quit(self) {
        self.client.close().await;
        self.ended().await.expect("an end in order");
    }

    /// Waits until the client has ended, and says how.
    ///
    /// # Errors
    /// Why the client gave up.
    pub async fn ended(self) -> Result<(), ConnectionError> {
        let ended = timeout(LONG, self.connection).await;
        ended.expect("it ends in time").expect("it does not panic")
    }

    /// Ends as a process does that is killed: the server learns nothing but the stream's end.
    pub fn vanish(self) {
        self.connection.abort();
    }
}

impl Source for client::Events {
    type Event = ClientEvent;

    async fn next(&mut self) -> Option<ClientEvent> {
        self.next().await
    }
}
