//! The suite on native sockets, over IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_conformance::{Multicast, Peer, Target, cases, run_all, run_these};
use jackfield_native::{Native, NativeStream};
use jackfield_socket::AnyNetwork;

async fn target(at: IpAddr) -> Target {
    let peer = Peer::open(Native, at, NativeStream::abort)
        .await
        .expect("a peer on loopback");
    let mut target = Target::new(AnyNetwork::new(Native), peer.addresses().clone());
    target.capabilities.listen = Some(at);
    target.capabilities.udp_bound = Some(at);
    if at.is_ipv6() {
        target.capabilities.largest_datagram = 65_527;
    }
    tokio::spawn(peer.run());
    target
}

#[tokio::test]
async fn over_ipv4() {
    let mut target = target(Ipv4Addr::LOCALHOST.into()).await;
    target.name = Some("localhost".parse().expect("a name"));
    // On loopback, so that nothing leaves the machine.
    let group = IpAddr::from([239, 255, 71, 1]);
    let mut multicast = Multicast::new(group, Ipv4Addr::UNSPECIFIED.into());
    multicast.interface = Some(Ipv4Addr::LOCALHOST.into());
    multicast.source = true;
    multicast.loopback_shows = false;
    target.capabilities.multicast = Some(multicast);
    let report = run_all(&target).await;
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn over_ipv6() {
    let target = target(Ipv6Addr::LOCALHOST.into()).await;
    let cases = cases().filter(|case| case.area() != "multicast");
    let report = run_these(cases, &target).await;
    assert!(report.passed(), "{report}");
}

/// Linux's loopback interface takes no IPv6 groups, and hears what was sent without loopback. This
/// runs in a network namespace with a pair of virtual interfaces, which nothing leaves.
#[cfg(target_os = "linux")]
mod multicast_in_a_namespace {
    use jackfield_testing::namespace::{self, V4, V6};

    use super::*;

    #[test]
    fn over_ipv4_and_ipv6() {
        if namespace::enter("multicast_in_a_namespace::over_ipv4_and_ipv6") {
            inside();
        }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn inside() {
        // RFC 2365's local scope, and RFC 4291's link-local one.
        let mut v4 = Multicast::new([239, 255, 71, 1].into(), Ipv4Addr::UNSPECIFIED.into());
        v4.interface = Some(V4.into());
        v4.source = true;
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x4a46);
        let mut v6 = Multicast::new(group.into(), Ipv6Addr::UNSPECIFIED.into());
        v6.interface = Some(V6.into());
        for (at, multicast) in [
            (IpAddr::from(Ipv4Addr::LOCALHOST), v4),
            (Ipv6Addr::LOCALHOST.into(), v6),
        ] {
            let mut target = target(at).await;
            target.capabilities.multicast = Some(multicast);
            let cases = cases().filter(|case| case.area() == "multicast");
            let report = run_these(cases, &target).await;
            assert!(report.passed(), "at {at}: {report}");
        }
    }
}
