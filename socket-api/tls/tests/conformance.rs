//! The suite over TLS: on native sockets, and in the simulation.
//!
//! The peer stands behind a [`TlsListener`] on the same network, and has the suite connect back
//! over TLS too. What TLS has no part in, the datagrams, is left to the networks' own runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_conformance::{Peer, Target, cases, run_these};
use jackfield_native::{Native, NativeStream};
use jackfield_sim::{Link, Network, SimStream};
use jackfield_socket::{
    AnyNetwork, Endpoint, ListenOptions, Result, TcpConnect, TcpListen, TcpOptions, UdpOpen,
    UdpOptions,
};
use jackfield_testing::certs::Authority;
use jackfield_tls::{
    Certificates, Identity, Tls, TlsAcceptor, TlsConfig, TlsConnector, TlsListener,
    TlsServerConfig, TlsStream,
};

/// What every name and address of these tests is certified by.
struct Trust {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Trust {
    fn new(names: &[&str]) -> Self {
        let authority = Authority::new();
        let certificate = authority.server(names);
        let chain = certificate.pem().as_bytes();
        let identity = Identity::from_pem(chain, certificate.key_pem().as_bytes()).expect("a pair");
        let roots = Certificates::from_pem(authority.pem().as_bytes()).expect("a root");
        let client = TlsConfig::new().with_roots(roots);
        Self {
            connector: TlsConnector::new(client).expect("a connector"),
            acceptor: TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor"),
        }
    }

    fn over<N: Clone>(&self, network: N) -> Secured<N> {
        Secured {
            tls: Tls::new(network.clone(), self.connector.clone()),
            acceptor: self.acceptor.clone(),
            network,
        }
    }
}

/// A network whose streams are secured in both roles. Its datagrams are the network's own.
struct Secured<N> {
    tls: Tls<N>,
    acceptor: TlsAcceptor,
    network: N,
}

impl<N: TcpConnect> TcpConnect for Secured<N> {
    type Stream = TlsStream<N::Stream>;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<Self::Stream> {
        self.tls.connect(to, options).await
    }
}

impl<N: TcpListen> TcpListen for Secured<N> {
    type Listener = TlsListener<N::Listener>;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<Self::Listener> {
        let listener = self.network.listen(at, options).await?;
        Ok(TlsListener::new(listener, self.acceptor.clone()))
    }
}

impl<N: UdpOpen> UdpOpen for Secured<N> {
    type Socket = N::Socket;

    async fn open_connected(&self, to: &Endpoint, options: &UdpOptions) -> Result<N::Socket> {
        self.network.open_connected(to, options).await
    }

    async fn open_bound(&self, at: SocketAddr, options: &UdpOptions) -> Result<N::Socket> {
        self.network.open_bound(at, options).await
    }
}

async fn passes(mut target: Target, ours: IpAddr) {
    let capabilities = &mut target.capabilities;
    // TLS 1.3 on both sides.
    capabilities.half_close = true;
    capabilities.may_truncate = false;
    capabilities.listen = Some(ours);
    // A handshake needs both ends, and the listener's goes on while it accepts.
    capabilities.stands_before_accept = false;
    let streams = cases().filter(|case| !["datagram", "multicast"].contains(&case.area()));
    let report = run_these(streams, &target).await;
    assert!(report.passed(), "{report}");
}

async fn on_native_sockets(at: IpAddr, name: Option<&str>) {
    let trust = Trust::new(&["localhost", "127.0.0.1", "::1"]);
    let abort = |stream: TlsStream<NativeStream>| stream.into_inner().abort();
    let peer = Peer::open(trust.over(Native), at, abort)
        .await
        .expect("a peer on loopback");
    let network = AnyNetwork::new(trust.over(Native));
    let mut target = Target::new(network, peer.addresses().clone());
    target.name = name.map(|name| name.parse().expect("a name"));
    tokio::spawn(peer.run());
    passes(target, at).await;
}

#[tokio::test]
async fn on_native_sockets_over_ipv4() {
    on_native_sockets(Ipv4Addr::LOCALHOST.into(), Some("localhost")).await;
}

#[tokio::test]
async fn on_native_sockets_over_ipv6() {
    on_native_sockets(Ipv6Addr::LOCALHOST.into(), None).await;
}

#[tokio::test(start_paused = true)]
async fn in_the_simulation() {
    let network = Network::new(1);
    let ours = IpAddr::from([192, 0, 2, 1]);
    let theirs = IpAddr::from([192, 0, 2, 2]);
    let client = network.host("client.example", [ours]);
    let server = network.host("server.example", [theirs]);
    network.link(&client, &server, Link::default());

    let trust = Trust::new(&["server.example", "192.0.2.1", "192.0.2.2"]);
    let abort = |stream: TlsStream<SimStream>| stream.into_inner().abort();
    let peer = Peer::open(trust.over(server.clone()), theirs, abort)
        .await
        .expect("a peer");
    let network = AnyNetwork::new(trust.over(client));
    let mut target = Target::new(network, peer.addresses().clone());
    target.name = Some(server.name().clone());
    // The simulation's 128 KiB, TLS's own 64 KiB, and what its records add.
    target.capabilities.buffered = 200 * 1024;
    tokio::spawn(peer.run());
    passes(target, ours).await;
}
