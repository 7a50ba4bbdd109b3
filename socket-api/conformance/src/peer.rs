//! The scripted peer: it does to a backend's sockets what a case asks for.

pub(crate) mod command;
pub(crate) mod datagram;
pub(crate) mod record;
mod stream;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jackfield_socket::{
    Endpoint, Error, ErrorKind, ListenOptions, Result, TcpConnect, TcpListen, TcpListener, UdpOpen,
    UdpOptions, serve,
};

use self::record::Records;
pub(crate) use self::stream::read_line;

/// How many connections are served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// Where a peer is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerAddresses {
    /// For byte streams.
    pub tcp: SocketAddr,
    /// For datagrams.
    pub udp: SocketAddr,
}

impl PeerAddresses {
    /// A peer that is reached there.
    pub fn new(tcp: SocketAddr, udp: SocketAddr) -> Self {
        Self { tcp, udp }
    }
}

/// A server that does what each connection asks of it.
///
/// It is for tests alone: whoever reaches it can have it send, stall, and connect to anywhere.
///
/// ```
/// use std::net::Ipv4Addr;
/// use jackfield_conformance::{Peer, Target};
/// use jackfield_native::{Native, NativeStream};
/// use jackfield_socket::AnyNetwork;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> jackfield_socket::Result<()> {
/// let peer = Peer::open(Native, Ipv4Addr::LOCALHOST.into(), NativeStream::abort).await?;
/// let mut target = Target::new(AnyNetwork::new(Native), peer.addresses().clone());
/// tokio::spawn(peer.run());
///
/// target.name = Some("localhost".parse()?);
/// jackfield_conformance::run("echo", &target).await.expect("native sockets can echo");
/// # Ok(())
/// # }
/// ```
pub struct Peer<N: TcpConnect + TcpListen + UdpOpen> {
    network: N,
    abort: fn(StreamOf<N>),
    listener: N::Listener,
    udp: N::Socket,
    /// Sends what connected sockets must not receive.
    stranger: N::Socket,
    addresses: PeerAddresses,
}

/// The streams that a network's listeners take.
type StreamOf<N> = <<N as TcpListen>::Listener as TcpListener>::Stream;

impl<N: TcpConnect + TcpListen + UdpOpen> Peer<N> {
    /// A peer on this network, at free ports of this address of its own.
    ///
    /// `abort` resets a stream, so that its other side sees an error and no end.
    ///
    /// # Errors
    /// As [`TcpListen::listen`] and [`UdpOpen::open_bound`].
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening.
    pub async fn open(network: N, at: IpAddr, abort: fn(StreamOf<N>)) -> Result<Self> {
        let at = SocketAddr::new(at, 0);
        let listener = network.listen(at, &ListenOptions::default()).await?;
        let udp = network.open_bound(at, &UdpOptions::default()).await?;
        let stranger = network.open_bound(at, &UdpOptions::default()).await?;
        let unknown = || Error::new(ErrorKind::Other, "the peer doesn't know its own address");
        let addresses = PeerAddresses {
            tcp: listener.local_addr().ok_or_else(unknown)?,
            udp: jackfield_socket::DatagramSocket::local_addr(&udp).ok_or_else(unknown)?,
        };
        Ok(Self {
            network,
            abort,
            listener,
            udp,
            stranger,
            addresses,
        })
    }

    /// Where it is reached.
    pub fn addresses(&self) -> &PeerAddresses {
        &self.addresses
    }

    /// Serves until it is dropped.
    ///
    /// # Errors
    /// Where its listener or its UDP socket fails.
    ///
    /// # Cancel safety
    /// Dropping the future closes all connections.
    pub async fn run(self) -> Result<()> {
        let Self {
            network,
            abort,
            listener,
            udp,
            stranger,
            addresses,
        } = self;
        let records = Records::default();
        let tools = stream::Tools {
            network: &network,
            records: &records,
            at: addresses.tcp.ip(),
        };
        let attend = |stream| stream::serve(stream, abort, tools);
        tokio::select! {
            // In this order, so that a simulation is the same each time.
            biased;
            ended = serve(listener, MAX_CONNECTIONS, attend) => ended,
            failed = datagram::serve(udp, stranger) => failed.map_err(Error::from),
        }
    }
}

/// An address of the peer's own that nothing uses now.
async fn closed_address<N: TcpListen>(network: &N, at: IpAddr) -> Result<Option<SocketAddr>> {
    let listener = network
        .listen(SocketAddr::new(at, 0), &ListenOptions::default())
        .await?;
    Ok(listener.local_addr())
}

/// Connects to where a client listens.
async fn connect_back<N: TcpConnect>(network: &N, to: SocketAddr) -> Result<N::Stream> {
    network
        .connect(
            &Endpoint::from(to),
            &jackfield_socket::TcpOptions::default(),
        )
        .await
}

impl<N: TcpConnect + TcpListen + UdpOpen> fmt::Debug for Peer<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
