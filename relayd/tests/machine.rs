//! The machine's own public addresses, which no firewall stands before. In a network namespace, where
//! any address can be had.

#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::{TestRelay, config, token};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_testing::namespace;
use tokio::net::TcpListener;

/// Has the machine take one more address.
fn add(address: &str) {
    let added = Command::new("ip")
        .args(["address", "add", address, "dev", namespace::INTERFACE])
        .args(address.contains(':').then_some("nodad"))
        .status();
    assert!(added.expect("ip runs").success(), "{address}");
}

#[test]
fn own_public_addresses_are_special_as_they_come_and_the_relay_is_never_reached() {
    if !namespace::enter(
        "own_public_addresses_are_special_as_they_come_and_the_relay_is_never_reached",
    ) {
        return;
    }
    for address in ["9.9.9.9/32", "2606:4700::9/128"] {
        add(address);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let target = TcpListener::bind("[::]:0").await.expect("a free port");
        let port = target.local_addr().expect("bound").port();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok(stream) = target.accept().await {
                taken.push(stream);
            }
        });
        let mut token = token();
        token.limits.dials_per_second = 1_000_000;
        let rules = ["*:*", "9.9.9.0/24:*", "[2606::/16]:*", "8.8.8.8:*"];
        token.policy.allow = rules.map(|rule| rule.parse().expect(rule)).into();
        let mut config = config(token);
        config.listen = vec!["0.0.0.0:0".parse().expect("an address")];
        config.hosts = vec!["127.0.0.1".parse().expect("a host")];
        config.advertise = vec!["8.8.8.7".parse().expect("an address")];
        let mut relay = TestRelay::start(config).await;
        let own = relay.address.port();
        relay.address.set_ip([127, 0, 0, 1].into());
        let mut client = relay.client().await;
        for host in ["9.9.9.9", "[::ffff:9.9.9.9]", "[2606:4700::9]", "8.8.8.7"] {
            let reason = client.refused(&format!("{host}:{port}")).await;
            assert_eq!(reason.code(), Code::DENIED, "{host}: {reason}");
            assert!(reason.text().contains("own machine"), "{reason}");
        }

        // It comes while the relay runs: at first nothing is there.
        add("8.8.8.6/32");
        loop {
            let id = client.ask(&format!("8.8.8.6:{port}"), 1024).await;
            match client.frame().await {
                Frame::Refused { reason, .. } => {
                    assert_eq!(reason.code(), Code::DENIED, "{reason}");
                    break;
                }
                opened => {
                    assert!(matches!(opened, Frame::Opened { .. }), "{opened:?}");
                    let reason = Reason::new(Code::CANCELLED, "");
                    client.send(&Frame::Reset { id, reason }).await;
                }
            }
        }

        // No interface has this one, but what is for it ends here.
        let route = ["route", "add", "local", "8.8.4.0/24", "dev", "lo"];
        let added = Command::new("ip").args(route).status();
        assert!(added.expect("ip runs").success());
        let reason = client.refused(&format!("8.8.4.4:{port}")).await;
        assert!(reason.text().contains("own machine"), "{reason}");
        let reason = client.refused(&format!("8.8.4.4:{own}")).await;
        assert!(reason.text().contains("the relay itself"), "{reason}");

        // Where a rule lists one by itself, it is reached. The relay isn't.
        add("8.8.8.8/32");
        client.connect(&format!("8.8.8.8:{port}"), 1024).await;
        for host in ["8.8.8.8", "9.9.9.9", "8.8.8.7", "[::ffff:8.8.8.8]"] {
            let reason = client.refused(&format!("{host}:{own}")).await;
            assert!(reason.text().contains("the relay itself"), "{reason}");
        }
    });
}
