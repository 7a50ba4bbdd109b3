//! Byte streams over WebSockets keep the promises of the socket API: the suite, against its peer
//! behind a bridge.

use std::net::Ipv4Addr;

use jackfield_conformance::{Peer, PeerAddresses, Target, cases, run_these};
use jackfield_native::{Native, NativeStream};
use jackfield_socket::AnyNetwork;
use jackfield_testing::websocket::Bridge;
use jackfield_websocket::{WebSocketNetwork, WebSocketOptions};

#[tokio::test]
async fn over_native_sockets() {
    let peer = Peer::open(Native, Ipv4Addr::LOCALHOST.into(), NativeStream::abort)
        .await
        .expect("a peer on loopback");
    let addresses = peer.addresses().clone();
    tokio::spawn(peer.run());
    let bridge = Bridge::start(addresses.tcp, Some("bytes"))
        .await
        .expect("a bridge");

    let options = WebSocketOptions::new().with_subprotocol("bytes");
    let network = WebSocketNetwork::over(Native, options);
    let network = AnyNetwork::default().with_tcp(network);
    let peer = PeerAddresses::new(bridge.address(), addresses.udp);
    let mut target = Target::new(network, peer);
    target.name = Some("localhost".parse().expect("a name"));
    target.capabilities.half_close = false;
    let others = ["listen", "datagram", "multicast"];
    let streams = cases()
        .filter(|case| !others.contains(&case.area()))
        // The bridge has an address of its own.
        .filter(|case| case.name() != "addresses_are_right");
    let report = run_these(streams, &target).await;
    assert!(report.passed(), "{report}");
}
