//! A Redis that isn't there. `tests/servers` has one that is.

#![cfg(feature = "redis")]

mod common;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use common::{TestRelay, config, keep, token, within};
use jackfield_relay_wire::{Code, Frame};
use jackfield_relayd::config::{RedisConfig, WhenGone};
use jackfield_relayd::resolve::{Resolve, Resolving};
use jackfield_socket::HostName;
use tokio::net::TcpListener;

/// The address of every name, once there is one.
#[derive(Clone, Debug, Default)]
struct Names(Arc<Mutex<Option<IpAddr>>>);

impl Resolve for Names {
    fn resolve(&self, _: &HostName) -> Resolving {
        let known = *self.0.lock().expect("no panic");
        let none = || io::Error::from(io::ErrorKind::TimedOut);
        Box::pin(async move { known.map(|ip| vec![ip]).ok_or_else(none) })
    }
}

#[tokio::test]
async fn a_redis_that_nobody_has_found_is_at_any_address_with_its_port() {
    let [redis, other] = [
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
    ]
    .map(keep);
    let (_, port) = redis.rsplit_once(':').expect("a port");
    let mut token = token();
    token.limits.dials_per_second = 1_000_000;
    token.limits.refusals_per_minute = 1_000_000;
    let mut config = config(token);
    let url = format!("redis://redis.example:{port}");
    let shared = RedisConfig::new(&url, None, WhenGone::Allow, WhenGone::Allow);
    config.redis = Some(shared.expect("a configuration"));
    let names = Names::default();
    let (relay, mut recorded) = TestRelay::start_recorded_with(config, names.clone()).await;
    let mut client = relay.client().await;
    let reason = client.refused(&redis).await;
    assert_eq!(reason.code(), Code::DENIED, "{reason}");
    recorded.denied(&redis, None).await;
    client.connect(&other, 1024).await;

    // It is elsewhere, and too far away to be asked in the clear.
    *names.0.lock().expect("no panic") = Some([192, 0, 2, 1].into());
    let asking = async {
        loop {
            client.ask(&redis, 1024).await;
            match client.frame().await {
                Frame::Refused { reason, .. } => assert_eq!(reason.code(), Code::DENIED),
                opened => break assert!(matches!(opened, Frame::Opened { .. }), "{opened:?}"),
            }
        }
    };
    within(asking).await;
}
