//! Bearers: each has limits of its own, whoever else has a token by the same key.

mod common;

use std::time::{Duration, SystemTime};

use common::{Client, ORIGIN, TestRelay, config, token};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_relayd::Config;
use jackfield_relayd::token::{Credential, Secret};
use tokio::net::TcpListener;

fn key() -> Secret {
    Secret::new("the-signing-key-of-the-tests").expect("long enough")
}

/// A relay's configuration with one signing key.
fn signed() -> Config {
    let mut token = token();
    token.credential = Credential::Key(key());
    config(token)
}

/// A token that no other bearer has: it ends at a second of its own.
fn bearer(number: u64) -> String {
    let end = SystemTime::now() + Duration::from_secs(1000 + number);
    key().sign("tests", end)
}

/// Opens sessions until one is not let in, and why.
async fn fill(relay: &TestRelay, token: &str) -> (Vec<Client>, Reason) {
    let mut sessions = Vec::new();
    loop {
        let client = Client::upgrade(relay.address, ORIGIN, Some(token)).await;
        let mut client = client.expect("a WebSocket");
        match client.frame().await {
            Frame::Hello(_) => sessions.push(client),
            Frame::GoAway(reason) => return (sessions, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_bearer_does_not_lock_the_others_out() {
    let relay = TestRelay::start(signed()).await;
    let greedy = bearer(1);
    let (_sessions, reason) = fill(&relay, &greedy).await;
    assert_eq!(
        (reason.code(), reason.text()),
        (
            Code::TOKEN_FULL,
            "the bearer's limit sessions (16) is reached"
        )
    );
    let other = Client::open(relay.address, ORIGIN, Some(&bearer(2))).await;
    other.expect("a place is left");
}

/// What one opens, over however many sessions, leaves the others theirs; and comes back as it ends.
#[tokio::test]
async fn each_bearer_has_streams_and_dials_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = listener.local_addr().expect("bound").to_string();
    let mut config = signed();
    config.tokens[0].bearer_limits.streams = Some(3);
    config.tokens[0].bearer_limits.dials_per_second = Some(5);
    let relay = TestRelay::start(config).await;
    let open = async |token: &str| {
        let client = Client::open(relay.address, ORIGIN, Some(token)).await;
        client.expect("let in")
    };
    let greedy = bearer(1);
    let (mut first, mut second) = (open(&greedy).await, open(&greedy).await);
    first.connect(&to, 1024).await;
    first.connect(&to, 1024).await;
    second.connect(&to, 1024).await;
    for client in [&mut first, &mut second] {
        let reason = client.refused(&to).await;
        assert_eq!(reason.code(), Code::LIMIT_EXCEEDED);
        assert_eq!(reason.text(), "the bearer's limit streams (3) is reached");
    }
    let mut other = open(&bearer(2)).await;
    for _ in 0..3 {
        other.connect(&to, 1024).await;
    }
    drop(first);
    // Its end is seen by the relay when it is: until then, the dials of a third are counted.
    let mut third = open(&bearer(3)).await;
    for _ in 0..5 {
        third.refused("127.0.0.1:1").await;
    }
    let reason = third.refused("127.0.0.1:1").await;
    assert_eq!(
        reason.text(),
        "the bearer's limit dials_per_second (5) is reached"
    );
}

#[tokio::test]
async fn all_clients_of_an_address_have_limits_where_they_are_set() {
    let mut config = signed();
    config.source_limits.sessions = Some(2);
    let relay = TestRelay::start(config).await;
    let mut sessions = Vec::new();
    for number in 0..2 {
        let client = Client::open(relay.address, ORIGIN, Some(&bearer(number))).await;
        sessions.push(client.expect("let in"));
    }
    let (none, reason) = fill(&relay, &bearer(3)).await;
    assert!(none.is_empty());
    assert_eq!(
        (reason.code(), reason.text()),
        (
            Code::RELAY_FULL,
            "the limit of one network address, sessions (2) is reached"
        )
    );
}

/// Whoever has a shared secret is the same to the relay: the token's limits are its own.
#[tokio::test]
async fn a_shared_secret_has_the_limits_of_its_token() {
    let relay = TestRelay::start(config(token())).await;
    let (sessions, reason) = fill(&relay, common::SECRET).await;
    assert_eq!(sessions.len(), 64);
    assert_eq!(reason.text(), "the token's limit sessions (64) is reached");
}
