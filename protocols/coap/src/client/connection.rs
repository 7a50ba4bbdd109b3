//! Making a client: a handle, its events, and the future that does the work.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use jackfield_client as shared;
use jackfield_socket::{Endpoint, MulticastOptions, TcpConnect, UdpOpen};
use tokio::sync::watch;

use super::ClientConfig;
use super::datagram::{To, Worker};
use super::desk::{Carrier, Desk};
use super::event::{ClientEvent, ConnectionError, Events};
use super::group::Multicast;
use super::handle::Client;
use super::inner::Settings;
use super::security::Stores;
use super::stream::Stream;

/// Actions that wait for the connection future to take them; further ones wait to be passed on.
pub(super) const ACTION_CAPACITY: usize = 64;

/// Prepares a client for a server over UDP, or, where the network is `jackfield_dtls`'s, over DTLS.
/// Nothing happens before the [`Connection`] is polled.
///
/// See the [module](super) for an example.
pub fn connect<N: UdpOpen>(
    network: N,
    server: Endpoint,
    config: ClientConfig,
) -> (Client, Events, Connection) {
    let settings = Settings::new(&config, &server);
    let options = config.udp.clone();
    let (actions, inbox) = shared::actions(ACTION_CAPACITY);
    let (outbox, events) = shared::events::<ClientEvent>(config.event_capacity);
    let (carrier, carried) = watch::channel(Carrier::UNKNOWN);
    let worker = Worker {
        network,
        to: To::Server(server),
        config,
        options,
        inbox,
        outbox,
        desk: Desk::new(carrier),
        stores: Stores::default(),
    };
    let client = Client::new(actions, settings, carried);
    (client, events, Connection(Box::pin(worker.run())))
}

/// Prepares a client for a server over TCP (RFC 8323), or, where the network is `jackfield_tls`'s,
/// over TLS. Nothing happens before the [`Connection`] is polled. A connection that is lost is made
/// again; requests that were under way fail, those that are made meanwhile wait, and observations go
/// on. A server that releases the client (RFC 8323, section 5.5) still answers what it was asked; then
/// the client leaves, and comes back when the server wants it to.
///
/// ```no_run
/// use jackfield_coap::client::{self, ClientConfig};
/// use jackfield_socket::TcpConnect;
///
/// async fn read(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
///     let server = "sensors.example.org:5683".parse()?;
///     let (client, _, connection) =
///         client::connect_tcp(network, server, ClientConfig::default());
///     tokio::spawn(connection);
///     println!("{}", client.get("/temperature").await?.text().unwrap_or("?"));
///     Ok(())
/// }
/// # fn main() {}
/// ```
pub fn connect_tcp<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: ClientConfig,
) -> (Client, Events, Connection) {
    let settings = Settings::new(&config, &server);
    let (carrier, carried) = watch::channel(Carrier::UNKNOWN);
    let mut options = shared::Options::default();
    options.reconnect = config.reconnect;
    options.connect_timeout = config.connect_timeout;
    options.tcp = config.tcp;
    options.action_capacity = ACTION_CAPACITY;
    options.event_capacity = config.event_capacity;
    options.seed = config.seed;
    let stream = Stream {
        server,
        requests: config.requests,
        config: config.streams,
        oscore: config.oscore,
        stores: Stores::default(),
        reconnects: config.reconnect.is_some(),
        desk: Desk::new(carrier),
        opened: None,
    };
    let (actions, events, connection) = shared::connect(network, stream, options);
    let client = Client::new(actions, settings, carried);
    (client, events, Connection(Box::pin(connection)))
}

/// Prepares to ask groups by UDP multicast, from a local address: port 0 takes a free one, and the
/// address's family is that of the groups. Nothing happens before the [`Connection`] is polled.
///
/// ```no_run
/// use std::time::Duration;
///
/// use jackfield_coap::client::{self, ALL_COAP_NODES_V4, ClientConfig};
/// use jackfield_socket::UdpOpen;
///
/// async fn who_is_there(network: impl UdpOpen) -> Result<(), Box<dyn std::error::Error>> {
///     let here = "0.0.0.0:0".parse()?;
///     let (multicast, _events, connection) =
///         client::multicast(network, here, ClientConfig::default());
///     tokio::spawn(connection);
///     let mut answers = multicast.discover(ALL_COAP_NODES_V4, Duration::from_secs(10)).await?;
///     while let Some(answer) = answers.next().await {
///         println!("{}", answer?.0);
///     }
///     Ok(())
/// }
/// # fn main() {}
/// ```
pub fn multicast<N: UdpOpen>(
    network: N,
    local: SocketAddr,
    config: ClientConfig,
) -> (Multicast, Events, Connection) {
    let mut options = config.udp.clone();
    options
        .multicast
        .get_or_insert_with(MulticastOptions::default);
    let (actions, inbox) = shared::actions(ACTION_CAPACITY);
    let (outbox, events) = shared::events::<ClientEvent>(config.event_capacity);
    let (carrier, _) = watch::channel(Carrier::UNKNOWN);
    let multicast = Multicast {
        actions,
        last_key: Arc::new(AtomicU64::new(0)),
        answer_capacity: config.requests.max_answers,
    };
    let worker = Worker {
        network,
        to: To::Anyone(local),
        config,
        options,
        inbox,
        outbox,
        desk: Desk::new(carrier),
        stores: Stores::default(),
    };
    (multicast, events, Connection(Box::pin(worker.run())))
}

/// A client's work. It ends when the client is closed, or when it has lost its connection for good.
///
/// Dropping it closes the connection; the handle's requests then fail with
/// [`RequestError::Closed`](crate::RequestError::Closed), and the events end.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection(pub(super) Pin<Box<dyn Future<Output = Result<(), ConnectionError>> + Send>>);

impl Future for Connection {
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
