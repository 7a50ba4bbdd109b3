//! The suite over a guarded network: what the rules allow keeps every promise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_conformance::{Peer, Target, cases, run_these};
use jackfield_native::{Native, NativeStream};
use jackfield_policy::{Guarded, Policy};
use jackfield_socket::AnyNetwork;

#[tokio::test]
async fn over_native_sockets() {
    for at in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let mut policy = Policy::default();
        for transport in ["tcp", "udp"] {
            let rules = |hosts: &[&str]| {
                let rules = hosts.iter().map(|host| format!("{host}:*/{transport}"));
                rules.collect::<Vec<_>>()
            };
            let addresses = rules(&["127.0.0.0/8", "[::1]"]);
            for rule in &addresses {
                policy.listen.push(rule.parse().expect("a rule"));
            }
            // The last is the suite's name that nobody has.
            let names = rules(&["localhost", "*.invalid"]);
            for rule in addresses.iter().chain(&names) {
                policy.allow.push(rule.parse().expect("a rule"));
            }
        }
        let peer = Peer::open(Native, at, NativeStream::abort).await;
        let peer = peer.expect("a peer on loopback");
        let network = AnyNetwork::new(Guarded::new(Native, policy));
        let mut target = Target::new(network, peer.addresses().clone());
        target.capabilities.listen = Some(at);
        target.capabilities.udp_bound = Some(at);
        if at.is_ipv4() {
            target.name = Some("localhost".parse().expect("a name"));
        } else {
            target.capabilities.largest_datagram = 65_527;
        }
        tokio::spawn(peer.run());
        // Groups are destinations, which these rules don't have.
        let cases = cases().filter(|case| case.area() != "multicast");
        let report = run_these(cases, &target).await;
        assert!(report.passed(), "at {at}: {report}");
    }
}
