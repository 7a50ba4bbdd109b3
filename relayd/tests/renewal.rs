//! Another token within a session: what goes on by it, what doesn't, and what each side is told.

mod common;

use std::time::{Duration, SystemTime};

use common::{Client, ORIGIN, Recorded, SECRET, TestRelay, config, echo, keep, names, token};
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_relay_wire::auth::Token as Text;
use jackfield_relay_wire::{Code, Frame, Id, Reason};
use jackfield_relayd::Config;
use jackfield_relayd::record::{Decision, Event, SessionRecord};
use jackfield_relayd::token::{Claims, Credential, Revocation, Secret, SigningKey};
use jackfield_socket::{TcpConnect as _, TcpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

fn mint(change: impl FnOnce(&mut Claims)) -> String {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some("ada".into());
    change(&mut claims);
    let key = SigningKey::hs256(&key()).expect("long enough");
    key.mint(&claims).expect("short")
}

/// Ada's, with this number.
fn numbered(id: &str) -> String {
    mint(|claims| claims.id = Some(id.into()))
}

/// Ada's, for so many seconds, or not quite.
fn lasting(seconds: u64) -> String {
    mint(|claims| claims.expires = SystemTime::now() + Duration::from_secs(seconds))
}

async fn open(relay: &TestRelay, token: &str) -> Client {
    let client = Client::open(relay.address, ORIGIN, Some(token)).await;
    client.expect("let in")
}

/// What the relay answers to another token.
async fn renew(client: &mut Client, token: &str) -> Result<Duration, Reason> {
    let token = Text::new(token).expect("short");
    client.send(&Frame::Token(token)).await;
    match client.frame().await {
        Frame::TokenLeft(left) => Ok(left),
        Frame::TokenRefused(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

/// That a stream to the echo is alive.
async fn echoes(client: &mut Client, id: Id) {
    let data = &b"still here"[..];
    client
        .send(&Frame::Data {
            id,
            data: data.into(),
        })
        .await;
    match client.frame().await {
        Frame::Data { id: of, data: back } => assert_eq!((of, &back[..]), (id, data)),
        other => panic!("{other:?}"),
    }
}

/// The next record of a session, which is of this.
async fn recorded(recorded: &mut Recorded, event: Event, outcome: &str) -> SessionRecord {
    let record = recorded.session().await;
    assert_eq!(
        (record.event, &*record.outcome),
        (event, outcome),
        "{record:?}"
    );
    assert_eq!(record.bearer.as_deref(), Some("ada"));
    record
}

#[tokio::test]
async fn a_stream_outlives_its_token() {
    let (relay, mut records) = TestRelay::start_recorded(signed()).await;
    let first = lasting(5);
    let mut client = open(&relay, &first).await;
    let left = client.settings.token_left.expect("it says so");
    assert!(left <= Duration::from_secs(5), "{left:?}");
    let (stream, _) = client.connect(&echo().await, 1024).await;
    // As a client does that knows nothing of all this.
    let mut other = open(&relay, &first).await;
    let left = renew(&mut client, &lasting(9)).await.expect("taken");
    assert!(left <= Duration::from_secs(9), "{left:?}");
    for event in [Event::Enter, Event::Enter, Event::Renew] {
        let outcome = if event == Event::Renew {
            "renewed"
        } else {
            "opened"
        };
        let record = recorded(&mut records, event, outcome).await;
        assert_eq!((record.decision, record.why), (Decision::Allow, None));
    }
    // The first token is over when it is for the other client.
    let reason = other.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    recorded(&mut records, Event::Leave, "token expired").await;
    echoes(&mut client, stream).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    recorded(&mut records, Event::Leave, "token expired").await;
}

#[tokio::test]
async fn a_token_that_is_refused_changes_nothing() {
    let mut config = signed();
    config
        .origins
        .push("https://other.example".parse().expect("an origin"));
    let mut revoked = Revocation::default();
    revoked.token = Some("tests".into());
    revoked.id = Some("lost".into());
    config.revoked = vec![revoked];
    let (relay, mut records) = TestRelay::start_recorded(config).await;
    let mut client = open(&relay, &mint(|_| {})).await;
    recorded(&mut records, Event::Enter, "opened").await;
    let (stream, _) = client.connect(&echo().await, 1024).await;
    let other_origin = |claims: &mut Claims| {
        claims.origins = Some(vec!["https://other.example".parse().expect("an origin")]);
    };
    for (token, code, text) in [
        ("no token".into(), Code::TOKEN_UNKNOWN, "is not accepted"),
        (
            mint(|claims| claims.expires = SystemTime::now() - Duration::from_secs(1)),
            Code::TOKEN_EXPIRED,
            "has expired",
        ),
        (numbered("lost"), Code::TOKEN_EXPIRED, "was revoked"),
        (mint(other_origin), Code::ORIGIN_REFUSED, "another origin"),
        (
            mint(|claims| claims.audience = vec!["another".into()]),
            Code::TOKEN_UNKNOWN,
            "another relay",
        ),
        (
            mint(|claims| claims.subject = Some("eve".into())),
            Code::DENIED,
            "not of the bearer",
        ),
        // Nobody says whose it is.
        (
            mint(|claims| claims.subject = None),
            Code::DENIED,
            "not of the bearer",
        ),
        (
            key().sign("tests", SystemTime::now() + Duration::from_secs(1000)),
            Code::DENIED,
            "not of the bearer",
        ),
    ] {
        let reason = renew(&mut client, &token).await.expect_err("refused");
        assert_eq!(reason.code(), code, "{reason}");
        assert!(reason.text().contains(text), "{reason}");
        let record = recorded(&mut records, Event::Renew, &code.to_string()).await;
        assert_eq!(record.decision, Decision::Deny);
        assert_eq!(record.why.as_deref(), Some(reason.text()));
        echoes(&mut client, stream).await;
    }
    renew(&mut client, &mint(|_| {})).await.expect("taken");
    recorded(&mut records, Event::Renew, "renewed").await;
}

/// `jti` this is taken back.
fn without(id: &str) -> Config {
    let mut revoked = Revocation::default();
    revoked.token = Some("tests".into());
    revoked.id = Some(id.into());
    let mut config = signed();
    config.revoked = vec![revoked];
    config
}

/// What can be taken back is the token by which a session goes on, and no longer the one by which it began.
#[tokio::test]
async fn the_new_token_can_be_revoked() {
    let relay = TestRelay::start(signed()).await;
    let (mut client, mut other) = (
        open(&relay, &numbered("1")).await,
        open(&relay, &numbered("1")).await,
    );
    let (stream, _) = client.connect(&echo().await, 1024).await;
    renew(&mut client, &numbered("2")).await.expect("taken");
    let revoked = (Code::TOKEN_EXPIRED, "the token was revoked");
    relay.reloader.reload(&without("1")).await.expect("valid");
    let reason = other.last_word().await.expect("a reason");
    assert_eq!((reason.code(), reason.text()), revoked);
    echoes(&mut client, stream).await;
    relay.reloader.reload(&without("2")).await.expect("valid");
    let reason = client.last_word().await.expect("a reason");
    assert_eq!((reason.code(), reason.text()), revoked);
}

#[tokio::test]
async fn a_session_goes_on_by_what_the_new_token_allows() {
    let (one, other) = (listener().await, listener().await);
    let allow = |rules: &[&String], streams| {
        mint(|claims| {
            let rules = rules.iter().map(|rule| rule.parse().expect("a rule"));
            claims.allow = Some(rules.collect());
            claims.limits.streams = streams;
        })
    };
    let (relay, mut records) = TestRelay::start_recorded(signed()).await;
    let mut client = open(&relay, &allow(&[&one], None)).await;
    recorded(&mut records, Event::Enter, "opened").await;
    client.connect(&one, 1024).await;
    assert_eq!(client.refused(&other).await.code(), Code::DENIED);
    let more = allow(&[&one, &other], Some(2));
    renew(&mut client, &more).await.expect("taken");
    recorded(&mut records, Event::Renew, "renewed").await;
    client.connect(&other, 1024).await;
    // The one that was open before counts.
    names(&client.refused(&other).await, "streams (2)");
    // What allows less ends the session, as where the configuration allows less.
    let less = Text::new(&allow(&[&other], None)).expect("short");
    client.send(&Frame::Token(less)).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY);
    assert_eq!(
        reason.text(),
        "the new token allows less than the one before"
    );
    recorded(&mut records, Event::Renew, "renewed").await;
    let left = recorded(&mut records, Event::Leave, "going away").await;
    assert_eq!(left.why.as_deref(), Some(reason.text()));
}

async fn listener() -> String {
    keep(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
}

#[tokio::test]
async fn too_many_tokens_end_a_session() {
    let (relay, mut records) = TestRelay::start_recorded(signed()).await;
    let mut client = open(&relay, &numbered("1")).await;
    recorded(&mut records, Event::Enter, "opened").await;
    for _ in 0..16 {
        renew(&mut client, &numbered("2")).await.expect("taken");
        recorded(&mut records, Event::Renew, "renewed").await;
    }
    client
        .send(&Frame::Token(Text::new(&numbered("3")).expect("short")))
        .await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED);
    assert_eq!(reason.text(), "more than 16 tokens came in a minute");
    recorded(&mut records, Event::Leave, "limit exceeded").await;
}

/// A token that is refused is a refusal like others, which count over all sessions of a bearer.
#[tokio::test]
async fn a_bearer_whose_tokens_are_refused_too_often_loses_its_session() {
    let mut config = signed();
    config.tokens[0].limits.refusals_per_minute = 2;
    let relay = TestRelay::start(config).await;
    let mut client = open(&relay, &numbered("1")).await;
    for _ in 0..2 {
        let reason = renew(&mut client, "a guess").await.expect_err("refused");
        assert_eq!(reason.code(), Code::TOKEN_UNKNOWN);
    }
    client
        .send(&Frame::Token(Text::new("a guess").expect("short")))
        .await;
    let reason = client.last_word().await.expect("a reason");
    names(&reason, "refusals_per_minute (2)");
    let other = Client::upgrade(relay.address, ORIGIN, Some(&numbered("2"))).await;
    let reason = other.expect("a WebSocket").last_word().await;
    assert_eq!(reason.expect("a reason").code(), Code::TOKEN_FULL);
}

/// No other can follow one that has no end, or doesn't say whose it is.
#[tokio::test]
async fn where_none_can_follow_the_relay_takes_none() {
    let plain = key().sign("tests", SystemTime::now() + Duration::from_secs(1000));
    let nameless = mint(|claims| claims.subject = None);
    for (config, shown) in [
        (config(token()), SECRET),
        (signed(), &*plain),
        (signed(), &*nameless),
    ] {
        let relay = TestRelay::start(config).await;
        let mut client = open(&relay, shown).await;
        assert_eq!(client.settings.token_left, None);
        client
            .send(&Frame::Token(Text::new(shown).expect("short")))
            .await;
        let reason = client.last_word().await.expect("a reason");
        assert_eq!(reason.code(), Code::PROTOCOL_ERROR, "{reason}");
    }
}

/// The client of ours, with a function for its token.
#[tokio::test]
async fn a_client_renews_by_itself() {
    let mut config = signed();
    config.allow_without_origin = true;
    let (relay, mut records) = TestRelay::start_recorded(config).await;
    let config = RelayConfig::new(&format!("ws://{}/", relay.address)).expect("an address");
    let config = config.with_token_from(async || Ok(lasting(8)));
    let (network, connection) = Relay::over(Native, config);
    let connection = tokio::spawn(connection);
    let to = echo().await.parse().expect("an endpoint");
    let stream = network.connect(&to, &TcpOptions::default()).await;
    let mut stream = stream.expect("connected");
    recorded(&mut records, Event::Enter, "opened").await;
    // By the second, the first token is over.
    for _ in 0..2 {
        recorded(&mut records, Event::Renew, "renewed").await;
    }
    stream.write_all(b"hello").await.expect("alive");
    stream.flush().await.expect("alive");
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.expect("alive");
    assert_eq!(&back, b"hello");
    drop((stream, network));
    connection.await.expect("it ends");
}
