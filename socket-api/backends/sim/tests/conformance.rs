//! The suite inside the simulation, in paused time.

use std::net::IpAddr;
use std::time::Duration;

use jackfield_conformance::{Multicast, Peer, Target, run_all};
use jackfield_sim::{Link, Network, SimStream};
use jackfield_socket::AnyNetwork;

/// Runs the suite between two hosts with this link between them.
async fn passes(link: Link, ours: IpAddr, theirs: IpAddr) {
    let network = Network::new(1);
    let client = network.host("client.example", [ours]);
    let server = network.host("server.example", [theirs]);
    network.link(&client, &server, link);
    let peer = Peer::open(server.clone(), theirs, SimStream::abort)
        .await
        .expect("a peer");
    let mut target = Target::new(AnyNetwork::new(client), peer.addresses().clone());
    tokio::spawn(peer.run());
    target.name = Some(server.name().clone());
    let capabilities = &mut target.capabilities;
    capabilities.listen = Some(ours);
    capabilities.udp_bound = Some(ours);
    let any: IpAddr = if ours.is_ipv4() {
        [0; 4].into()
    } else {
        capabilities.largest_datagram = 65_527;
        [0_u16; 8].into()
    };
    let group: IpAddr = if ours.is_ipv4() {
        [239, 255, 71, 1].into()
    } else {
        [0xff02, 0, 0, 0, 0, 0, 0, 0x4a46].into()
    };
    let mut multicast = Multicast::new(group, any);
    multicast.interface = Some(ours);
    multicast.source = true;
    capabilities.multicast = Some(multicast);
    // The window, and what the suite writes at once.
    capabilities.buffered = 128 * 1024;
    let report = run_all(&target).await;
    assert!(report.passed(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn over_ipv4() {
    passes(
        Link::default(),
        [192, 0, 2, 1].into(),
        [192, 0, 2, 2].into(),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn over_ipv6_with_jitter() {
    let mut link = Link::default();
    link.latency = Duration::from_millis(3);
    link.jitter = Duration::from_millis(2);
    let ip = |last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
    passes(link, ip(1), ip(2)).await;
}
