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

/// On Linux, loopback has no route to IPv6 groups: this runs in a network namespace that has one.
#[cfg(target_os = "linux")]
mod multicast_over_ipv6 {
    use std::process::Command;

    use super::*;

    const INSIDE: &str = "JACKFIELD_TEST_NAMESPACE";
    const SET_UP: &str = "ip link set lo up && ip link set lo multicast on \
         && ip -6 route add multicast ff00::/8 dev lo table local && exec \"$0\" \"$@\"";

    #[test]
    fn in_a_namespace() {
        if std::env::var_os(INSIDE).is_some() {
            return inside();
        }
        let unshare = |arguments: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--net"]).args(arguments);
            command
        };
        if !unshare(&["true"])
            .output()
            .is_ok_and(|o| o.status.success())
        {
            assert!(
                std::env::var_os("CI").is_none(),
                "network namespaces are needed here"
            );
            eprintln!("SKIPPED: this system allows no network namespaces");
            return;
        }
        let test = std::env::current_exe().expect("this test's path");
        let output = unshare(&["sh", "-c", SET_UP])
            .arg(test)
            .args([
                "--exact",
                "multicast_over_ipv6::in_a_namespace",
                "--nocapture",
            ])
            .env(INSIDE, "1")
            .output()
            .expect("unshare runs");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[tokio::main(flavor = "current_thread")]
    async fn inside() {
        let mut target = target(Ipv6Addr::LOCALHOST.into()).await;
        // Of this host alone (RFC 4291, section 2.7).
        let group = IpAddr::from([0xff01, 0, 0, 0, 0, 0, 0, 0x4a46]);
        let mut multicast = Multicast::new(group, Ipv6Addr::UNSPECIFIED.into());
        multicast.interface = Some(Ipv6Addr::LOCALHOST.into());
        multicast.loopback_shows = false;
        target.capabilities.multicast = Some(multicast);
        let cases = cases().filter(|case| case.area() == "multicast");
        let report = run_these(cases, &target).await;
        assert!(report.passed(), "{report}");
    }
}
