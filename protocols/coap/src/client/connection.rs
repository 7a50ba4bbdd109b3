//! The connection of a client: CoAP adds to the loop of every client requests that wait for a
//! connection, and observations that outlive it; over streams and over datagrams.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jackfield_client::{
    Again, Flow, Link, OutboxOf, Poster, Protocol, UdpTarget, connect_datagrams,
};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, MulticastOptions, TcpConnect, UdpOpen};
use tokio::sync::watch;

use super::action::{Action, Carrier};
use super::config::ClientConfig;
use super::event::{Connection, ConnectionError, Event, Events};
use super::exchanges::{Exchanges, Settings};
use super::group::Multicast;
use super::handle::Client;
use super::pending::Pending;
use super::security::{SecurityContext, Stores};
use crate::core::{
    Config, DatagramConfig, DatagramLayer, Limits, MessageLayer, Session, SessionEvent,
    StreamConfig, StreamLayer,
};
use crate::error::{RequestError, SessionError};

/// Prepares a client for a server over UDP, or, where the network is `jackfield_dtls`'s, over DTLS.
/// Nothing happens before the [`Connection`] is polled.
///
/// See the [module](super) for an example.
pub fn connect<N: UdpOpen>(
    network: N,
    server: Endpoint,
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    let config = config.into();
    let settings = Settings::new(&config, &server);
    let options = config.connection.clone();
    let (coap, carrier) = Coap::new(UdpTarget::Peer(server), Datagrams::new(&config), config);
    let (actions, events, connection) = connect_datagrams(network, coap, options);
    (
        Client::new(Exchanges::new(settings, actions, carrier)),
        events,
        connection,
    )
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
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    let config = config.into();
    let settings = Settings::new(&config, &server);
    let options = config.connection.clone();
    let streams = Streams(config.streams.clone());
    let (coap, carrier) = Coap::new(server, streams, config);
    let (actions, events, connection) = jackfield_client::connect(network, coap, options);
    (
        Client::new(Exchanges::new(settings, actions, carrier)),
        events,
        connection,
    )
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
///     let (multicast, _, connection) =
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
    config: impl Into<ClientConfig>,
) -> (Multicast, Events, Connection) {
    let config = config.into();
    let answer_capacity = config.requests.limits.max_answers;
    let mut options = config.connection.clone();
    options
        .udp
        .multicast
        .get_or_insert_with(MulticastOptions::default);
    let (coap, _) = Coap::new(UdpTarget::Anyone(local), Datagrams::new(&config), config);
    let (actions, events, connection) = connect_datagrams(network, coap, options);
    let multicast = Multicast {
        actions,
        last_key: Arc::new(AtomicU64::new(0)),
        answer_capacity,
    };
    (multicast, events, connection)
}

/// Makes message layers, a new one for each connection.
trait Layers: Send + 'static {
    type Layer: MessageLayer + Send + 'static;
    type Target: Clone + Send + 'static;

    fn layer(&self, now: Instant) -> Self::Layer;

    /// Whether messages go out as soon as there is a connection. A stream's peer says first what
    /// it can do ([`SessionEvent::Ready`]).
    const READY_AT_ONCE: bool;
}

struct Datagrams {
    config: DatagramConfig,
    limits: Limits,
    seed: Option<u64>,
}

impl Datagrams {
    fn new(config: &ClientConfig) -> Self {
        Self {
            config: config.datagrams.clone(),
            limits: config.requests.limits,
            seed: config.connection.seed,
        }
    }
}

impl Layers for Datagrams {
    type Layer = DatagramLayer;
    type Target = UdpTarget;

    fn layer(&self, _now: Instant) -> DatagramLayer {
        // Message ids need no secrecy: tokens are what can't be guessed.
        let seed = self.seed.or_else(|| getrandom::u64().ok());
        DatagramLayer::new(self.config.clone(), self.limits, seed.unwrap_or_default())
    }

    const READY_AT_ONCE: bool = true;
}

struct Streams(StreamConfig);

impl Layers for Streams {
    type Layer = StreamLayer;
    type Target = Endpoint;

    fn layer(&self, now: Instant) -> StreamLayer {
        StreamLayer::new(now, self.0.clone())
    }

    const READY_AT_ONCE: bool = false;
}

struct Coap<L: Layers> {
    target: L::Target,
    layers: L,
    requests: Config,
    oscore: Option<SecurityContext>,
    stores: Stores,
    reconnects: bool,
    pending: Pending,
}

impl<L: Layers> Coap<L> {
    fn new(
        target: L::Target,
        layers: L,
        config: ClientConfig,
    ) -> (Self, watch::Receiver<Option<Carrier>>) {
        let (carrier, carried) = watch::channel(None);
        let coap = Self {
            target,
            layers,
            requests: config.requests,
            oscore: config.oscore,
            stores: Stores::default(),
            reconnects: config.connection.reconnect.is_some(),
            pending: Pending::new(carrier),
        };
        (coap, carried)
    }
}

impl<L: Layers> Protocol for Coap<L> {
    type Core = Session<L::Layer>;
    type Target = L::Target;
    type Action = Action;
    type Event = Event;
    type Ready = ();
    type Error = SessionError;
    type Prepared = ();

    async fn begin(
        &mut self,
        _poster: Poster<Action>,
    ) -> Result<Session<L::Layer>, ConnectionError> {
        let mut session = Session::new(self.layers.layer(time::now()), self.requests.clone());
        let (mut contexts, stores) = Stores::of(self.oscore.take());
        self.stores = stores;
        if let Some(context) = contexts.pop() {
            session = session.protected(context);
        }
        Ok(session)
    }

    fn prepare(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(L::Target, ()), ConnectionError>> + Send + 'static {
        ready(Ok((self.target.clone(), ())))
    }

    fn opened(
        &mut self,
        core: &mut Session<L::Layer>,
        (): (),
        outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError> {
        let now = time::now();
        core.connected(now, self.layers.layer(now));
        if L::READY_AT_ONCE {
            self.pending.tell_carrier(core.layer());
            outbox.ready(());
        }
        Ok(())
    }

    fn act(&mut self, core: &mut Session<L::Layer>, action: Action, link: Link) -> Flow {
        let now = time::now();
        if self.pending.act(core, action, now, link == Link::Up) {
            return Flow::Continue;
        }
        leave(core, now);
        Flow::Close
    }

    fn abandoned(&mut self, core: &mut Session<L::Layer>, _link: Link) {
        leave(core, time::now());
    }

    async fn take(
        &mut self,
        core: &mut Session<L::Layer>,
        event: SessionEvent,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<Flow, ConnectionError> {
        match event {
            SessionEvent::Store(id, changes) => self.stores.commit(core, id, changes).await,
            SessionEvent::Ready => {
                self.pending.tell_carrier(core.layer());
                outbox.ready(());
            }
            event => self.pending.take(event),
        }
        Ok(Flow::Continue)
    }

    fn ended(&mut self, core: &mut Session<L::Layer>, error: Option<&ConnectionError>) -> Again {
        core.disconnected();
        self.pending.disconnected();
        match error {
            None => core.end(&RequestError::Closed),
            Some(error) if error.is_permanent() || !self.reconnects => {
                core.end(&RequestError::NotConnected);
            }
            Some(_) => {}
        }
        match error {
            Some(ConnectionError::Session(SessionError::Released { hold_off })) => {
                Again::After(*hold_off)
            }
            _ => Again::unless_permanent(error),
        }
    }
}

/// Whatever is under way fails; what waits to be sent still goes out.
fn leave<L: MessageLayer>(core: &mut Session<L>, now: Instant) {
    core.end(&RequestError::Closed);
    core.close(now);
}
