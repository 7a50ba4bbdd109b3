//! Parts that the tests of the CoAP client share.

pub mod scenario;

use std::fmt;
use std::net::SocketAddr;

use jackfield_coap::client::{
    self, Client, ClientConfig, ClientEvent, Connection, ConnectionError, Events, Reconnect, Status,
};
use jackfield_socket::{Endpoint, TcpConnect, UdpOpen};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::LONG;
use crate::kept::{Kept, Source};

type Connecting = dyn Fn(SocketAddr, ClientConfig) -> (Client, Events, Connection);

/// How our client comes to a server.
pub struct Carrier {
    connect: Box<Connecting>,
    is_stream: bool,
}

impl Carrier {
    /// By datagrams.
    pub fn udp<N: UdpOpen + Clone>(network: N) -> Self {
        let connect = move |to: SocketAddr, config| {
            client::connect(network.clone(), Endpoint::from(to), config)
        };
        Self {
            connect: Box::new(connect),
            is_stream: false,
        }
    }

    /// By a stream.
    pub fn tcp<N: TcpConnect + Clone>(network: N) -> Self {
        let connect = move |to: SocketAddr, config| {
            client::connect_tcp(network.clone(), Endpoint::from(to), config)
        };
        Self {
            connect: Box::new(connect),
            is_stream: true,
        }
    }

    /// Whether there is a connection, which can be lost.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("is_stream", &self.is_stream)
            .finish_non_exhaustive()
    }
}

/// Our client, running, and what has happened to it.
#[derive(Debug)]
pub struct Device {
    /// What asks.
    pub client: Client,
    events: Kept<ClientEvent>,
    connection: JoinHandle<<Connection as Future>::Output>,
}

/// A configuration for tests: quick attempts.
pub fn config() -> ClientConfig {
    let mut config = ClientConfig::default();
    let mut reconnect = Reconnect::default();
    reconnect.first_delay = std::time::Duration::from_millis(10);
    reconnect.longest_delay = std::time::Duration::from_millis(50);
    config.connection.reconnect = Some(reconnect);
    config
}

impl Device {
    /// Starts a client.
    pub fn start(carrier: &Carrier, server: SocketAddr, config: ClientConfig) -> Self {
        let (client, events, connection) = (carrier.connect)(server, config);
        Self {
            client,
            events: Kept::of(events),
            connection: tokio::spawn(connection),
        }
    }

    /// Waits until there is a connection.
    pub async fn connected(&mut self) {
        self.wait("for a connection", |event| {
            matches!(
                event,
                ClientEvent::Status(Status::Connected | Status::Ready(()))
            )
            .then_some(())
        })
        .await;
    }

    /// Waits until the connection is lost.
    pub async fn disconnected(&mut self) -> ConnectionError {
        self.wait("for the connection's end", |event| match event {
            ClientEvent::Status(Status::Disconnected { error, .. }) => Some(error.clone()),
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
    pub async fn close(self) {
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
}

impl Source for Events {
    type Event = ClientEvent;

    async fn next(&mut self) -> Option<ClientEvent> {
        self.next().await
    }
}
