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
    use std::process::Command;

    use super::*;

    const INSIDE: &str = "JACKFIELD_TEST_NAMESPACE";
    const V4: Ipv4Addr = Ipv4Addr::new(10, 71, 0, 1);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x71, 0, 0, 0, 0, 0, 1);

    #[test]
    fn over_ipv4_and_ipv6() {
        if std::env::var_os(INSIDE).is_some() {
            return inside();
        }
        let unshare = |arguments: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--net"]).args(arguments);
            command
        };
        let set_up = format!(
            "ip link set lo up && ip link add v0 type veth peer name v1 \
             && ip link set v1 up && ip link set v0 up \
             && ip addr add {V4}/24 dev v0 && ip -6 addr add {V6}/64 dev v0 nodad"
        );
        let tried = unshare(&["sh", "-c", &set_up]).output();
        if !tried.is_ok_and(|output| output.status.success()) {
            assert!(
                std::env::var_os("CI").is_none(),
                "network namespaces and virtual interfaces are needed here"
            );
            eprintln!("SKIPPED: this system allows no network namespace with interfaces");
            return;
        }
        let test = std::env::current_exe().expect("this test's path");
        let output = unshare(&["sh", "-c", &format!("{set_up} && exec \"$0\" \"$@\"")])
            .arg(test)
            .args(["--exact", "multicast_in_a_namespace::over_ipv4_and_ipv6"])
            .arg("--nocapture")
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
