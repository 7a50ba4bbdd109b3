//! Bearers: each has limits of its own, whoever else has a token by the same key.

mod common;

use std::time::{Duration, SystemTime};

use common::{Client, ORIGIN, SECRET, TestRelay, config, token};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_relayd::Config;
use jackfield_relayd::token::{Claims, Credential, Secret, SigningKey};
use tokio::net::TcpListener;

fn key() -> Secret {
    Secret::new("the-signing-key-of-all-these-tests").expect("long enough")
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
            Frame::Hello(settings) => {
                client.settings = settings;
                sessions.push(client);
            }
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

/// To come again is no way to be refused more often: it would fill the records.
#[tokio::test]
async fn a_bearer_that_is_refused_too_often_has_no_session_for_a_while() {
    let mut config = signed();
    config.tokens[0].limits.refusals_per_minute = 5;
    let relay = TestRelay::start(config).await;
    let often = bearer(1);
    let client = Client::open(relay.address, ORIGIN, Some(&often)).await;
    let mut client = client.expect("let in");
    for _ in 0..5 {
        client.refused("10.0.0.1:80").await;
    }
    client.ask("10.0.0.1:80", 1024).await;
    let text = "the bearer's limit refusals_per_minute (5) is reached";
    let reason = client.last_word().await.expect("a reason");
    assert_eq!((reason.code(), reason.text()), (Code::LIMIT_EXCEEDED, text));
    let full = (Code::TOKEN_FULL, text.to_owned());
    assert_eq!(denied(&relay, ORIGIN, &often).await, full);
    let other = Client::open(relay.address, ORIGIN, Some(&bearer(2))).await;
    other.expect("somebody else");
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
    let (sessions, reason) = fill(&relay, SECRET).await;
    assert_eq!(sessions.len(), 64);
    assert_eq!(reason.text(), "the token's limit sessions (64) is reached");
}

/// Claims of a token that is good for a while.
fn claims(subject: &str) -> Claims {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some(subject.into());
    claims
}

fn mint(claims: &Claims) -> String {
    let key = SigningKey::hs256(&key()).expect("long enough");
    key.mint(claims).expect("short")
}

/// Why a client with this token isn't let in.
async fn denied(relay: &TestRelay, origin: &str, token: &str) -> (Code, String) {
    let client = Client::upgrade(relay.address, origin, Some(token)).await;
    let reason = client.expect("a WebSocket").last_word().await;
    let reason = reason.expect("a reason");
    (reason.code(), reason.text().to_owned())
}

#[tokio::test]
async fn a_bearer_is_who_its_token_says_whichever_token_it_has() {
    let relay = TestRelay::start(signed()).await;
    let token = |subject, id: &str| {
        let mut claims = claims(subject);
        claims.id = Some(id.into());
        mint(&claims)
    };
    let (sessions, reason) = fill(&relay, &token("ada", "1")).await;
    assert_eq!(sessions.len(), 16);
    let ada = token("ada", "2");
    let again = (Code::TOKEN_FULL, reason.text().to_owned());
    assert_eq!(denied(&relay, ORIGIN, &ada).await, again);
    let eve = Client::open(relay.address, ORIGIN, Some(&token("eve", "1"))).await;
    eve.expect("somebody else");
    // What the token itself gives its bearer is less.
    let mut few = claims("bob");
    few.limits.sessions = Some(1);
    few.limits.streams = Some(1000);
    few.limits.listeners = Some(0);
    let (bob, reason) = fill(&relay, &mint(&few)).await;
    assert_eq!(reason.text(), "the bearer's limit sessions (1) is reached");
    assert_eq!(bob[0].settings.max_open, 64, "no more than the relay gives");
}

#[tokio::test]
async fn a_token_narrows_what_its_bearer_reaches() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = listener.local_addr().expect("bound");
    let relay = TestRelay::start(signed()).await;
    let mut narrow = claims("ada");
    narrow.allow = Some(vec![to.to_string().parse().expect("a rule")]);
    let client = Client::open(relay.address, ORIGIN, Some(&mint(&narrow))).await;
    let mut client = client.expect("let in");
    client.connect(&to.to_string(), 1024).await;
    let reason = client.refused("127.0.0.1:2000").await;
    assert_eq!(reason.code(), Code::DENIED);
    assert!(reason.text().contains("the token itself"), "{reason}");
    // It reaches nothing that the relay's rules don't.
    narrow.allow = Some(vec!["*:*".parse().expect("a rule")]);
    let client = Client::open(relay.address, ORIGIN, Some(&mint(&narrow))).await;
    let mut client = client.expect("let in");
    assert_eq!(client.refused("10.0.0.1:80").await.code(), Code::DENIED);
    client.connect(&to.to_string(), 1024).await;
}

#[tokio::test]
async fn a_token_is_for_its_time_relay_and_origins() {
    let mut config = signed();
    config.audience = Some("relay.example".into());
    config
        .origins
        .push("https://other.example".parse().expect("an origin"));
    let relay = TestRelay::start(config).await;
    let mut good = claims("ada");
    good.audience = vec!["relay.example".into()];
    let client = Client::open(relay.address, ORIGIN, Some(&mint(&good))).await;
    client.expect("let in");

    let now = SystemTime::now();
    let change = |change: fn(&mut Claims, SystemTime)| {
        let mut claims = good.clone();
        change(&mut claims, now);
        mint(&claims)
    };
    for (token, code, text) in [
        (
            change(|claims, _| claims.audience = vec!["another.example".into()]),
            Code::TOKEN_UNKNOWN,
            "the token is for another relay",
        ),
        (
            change(|claims, _| claims.audience.clear()),
            Code::TOKEN_UNKNOWN,
            "the token is for another relay",
        ),
        (
            change(|claims, now| claims.not_before = Some(now + Duration::from_mins(2))),
            Code::TOKEN_UNKNOWN,
            "the token is not good before ",
        ),
        (
            change(|claims, now| claims.expires = now - Duration::from_secs(1)),
            Code::TOKEN_EXPIRED,
            "the token has expired at ",
        ),
        (
            change(|claims, _| {
                claims.origins = Some(vec!["https://other.example".parse().expect("an origin")]);
            }),
            Code::ORIGIN_REFUSED,
            "the token is for pages of another origin",
        ),
    ] {
        let (denied, why) = denied(&relay, ORIGIN, &token).await;
        assert_eq!(denied, code, "{why}");
        assert!(why.starts_with(text), "{why}");
    }
    // More than a client may present is not looked at.
    let long = "a".repeat(4097);
    let (code, _) = denied(&relay, ORIGIN, &long).await;
    assert_eq!(code, Code::TOKEN_UNKNOWN);
}
