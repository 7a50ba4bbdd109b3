//! Relays that share what must hold over all of them, in a real Redis.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime};

use jackfield_relay::{Code, Reason};
use jackfield_relayd::token::{Claims, Secret, SigningKey};
use jackfield_server_tests::LONG;
use jackfield_server_tests::balanced::{Client, Relayd, TOKEN, echo};
use jackfield_socket::{Error, ErrorKind};
use jackfield_testing::certs::Authority;
use jackfield_testing::redis::{self, Redis};
use jackfield_testing::unpacked::is_skipped;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where clients come from: nobody whom the relays trust to speak for others.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const KEY: &str = "the-signing-key-of-all-these-tests";

/// A Redis, and whose certificate it shows.
async fn redis() -> (Redis, Authority) {
    let authority = Authority::new();
    let redis = Redis::start(&authority.server(&["127.0.0.1"])).await;
    (redis.expect("it starts"), authority)
}

/// A relay that shares in this Redis, with more lines in that section and about the token `app`.
async fn relay(redis: &Redis, section: &str, token: &str) -> Relayd {
    let url = format!("redis://:{}@{}", redis::PASSWORD, redis.plain());
    relay_by(&format!("url = '{url}'\n{section}"), token).await
}

async fn relay_by(section: &str, token: &str) -> Relayd {
    let more = format!(
        "metrics = '127.0.0.1:0'\n\
         [admin]\nsocket = 'admin.sock'\n\
         [redis]\n{section}\n\
         [[token]]\nname = 'app'\nsigning_key = '{KEY}'\nallow = ['127.0.0.1/32:*']\n{token}"
    );
    let relay = Relayd::start("proxy", &more).await;
    relay.says("Redis is there").await;
    relay
}

/// A token of somebody with this name.
fn token(subject: &str) -> String {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some(subject.into());
    let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
    let key = key.expect("long enough").with_id("app");
    key.mint(&claims).expect("short")
}

fn client(relay: &Relayd, subject: &str) -> Client {
    Client::straight(HERE, relay, &token(subject))
}

/// What the relay has said.
fn code(error: &Error) -> Code {
    let reason = Reason::find(error);
    reason.unwrap_or_else(|| panic!("{error}")).code()
}

/// Tries until it is well, and what came of it.
async fn until<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            match attempt().await {
                Some(well) => return well,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(LONG, trying).await.expect("in time")
}

/// What stands at `/metrics`.
async fn metrics(relay: &Relayd) -> String {
    let line = relay.says(" answering with metrics ").await;
    let at = line.split_once("address=").expect("an address").1.trim();
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    read.await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_revoked_token_ends_everywhere_within_a_second() {
    if is_skipped(redis::NAME) {
        return;
    }
    let (redis, authority) = redis().await;
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).expect("written");
    let secure = format!(
        "url = 'rediss://:{}@{}'\nroots_file = '{}'\nrevocations_when_gone = 'deny'",
        redis::PASSWORD,
        redis.tls(),
        roots.display()
    );
    // As docs/operating.md has it.
    let user = "ACL SETUSER relay on >staple ~jackfield:* &jackfield:* +@connection +@scripting \
                +subscribe +publish +@sortedset +@keyspace +time";
    let made = redis.ask(&[user]).await.expect("it answers");
    assert!(!made.contains("-ERR"), "{made}");
    let least = format!(
        "url = 'redis://relay:staple@{}'\nrevocations_when_gone = 'allow'",
        redis.plain()
    );
    let relays = [relay_by(&least, "").await, relay_by(&secure, "").await];
    let echo = echo().await;
    let mut adas = Vec::new();
    let mut bobs = Vec::new();
    for relay in &relays {
        for (name, all) in [("ada", &mut adas), ("bob", &mut bobs)] {
            let client = client(relay, name);
            let stream = client.open(echo).await.expect("allowed");
            all.push((client, stream));
        }
    }
    let done = relays[0]
        .ctl(&["revoke", "--token", "app", "--sub", "ada"])
        .await;
    assert_eq!(done, "revoked\n");
    let begun = Instant::now();
    for (_, stream) in &mut adas {
        let read = tokio::time::timeout(LONG, stream.read(&mut [0])).await;
        let error = Error::from(read.expect("in time").expect_err("no end"));
        assert_eq!(code(&error), Code::TOKEN_EXPIRED, "{error}");
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");

    // One that comes later has missed it, and knows it all the same.
    let later = relay(&redis, "revocations_when_gone = 'allow'", "").await;
    for relay in relays.iter().chain([&later]) {
        let error = client(relay, "ada").enter().await.expect_err("revoked");
        assert_eq!(code(&error), Code::TOKEN_EXPIRED, "{error}");
        client(relay, "bob").enter().await.expect("not he");
    }
    for (_, stream) in &mut bobs {
        stream.write_all(b"still").await.expect("open");
        stream.read_exact(&mut [0; 5]).await.expect("open");
    }

    // What was published while a connection was lost is learnt with the next one.
    let told = redis.ask(&[
        r#"ZADD jackfield:revoked 99999999999 "{\"sub\":\"bob\"}""#,
        "CLIENT KILL TYPE pubsub",
    ]);
    let told = told.await.expect("it answers");
    assert!(told.contains(":3\r\n"), "{told}");
    for (_, stream) in &mut bobs {
        let read = tokio::time::timeout(LONG, stream.read(&mut [0])).await;
        let error = Error::from(read.expect("in time").expect_err("no end"));
        assert_eq!(code(&error), Code::TOKEN_EXPIRED, "{error}");
    }
    let shown = metrics(&relays[0]).await;
    for series in [
        "jackfield_redis_connected 1\n",
        "jackfield_redis_operations_total{operation=\"revoke\",result=\"done\"} 1\n",
    ] {
        assert!(shown.contains(series), "{series}: {shown}");
    }
}

#[tokio::test]
async fn while_redis_is_gone_who_may_be_revoked_comes_in_or_not_as_it_is_said() {
    if is_skipped(redis::NAME) {
        return;
    }
    let (mut redis, _) = redis().await;
    let open = relay(&redis, "revocations_when_gone = 'allow'", "").await;
    let closed = relay(&redis, "revocations_when_gone = 'deny'", "").await;
    let echo = echo().await;
    let mut kept = Vec::new();
    for relay in [&open, &closed] {
        // Its address is nobody's to reach, whatever the rules say.
        let client = client(relay, "ada");
        let error = client.open(redis.plain()).await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        let stream = client.open(echo).await.expect("allowed");
        kept.push((client, stream));
    }
    redis.kill().expect("it lived");
    for relay in [&open, &closed] {
        relay.says("Redis is gone").await;
    }
    client(&open, "ada").enter().await.expect("allowed");
    let error = client(&closed, "ada").enter().await.expect_err("denied");
    assert_eq!(code(&error), Code::RELAY_FULL, "{error}");
    // A shared secret can't be revoked.
    let secret = Client::straight(HERE, &closed, TOKEN);
    secret.enter().await.expect("nothing to be known of it");
    // What is open goes on, and opens more.
    for (client, stream) in &mut kept {
        stream.write_all(b"still").await.expect("open");
        stream.read_exact(&mut [0; 5]).await.expect("open");
        client.open(echo).await.expect("allowed");
    }
    assert!(
        metrics(&open)
            .await
            .contains("jackfield_redis_connected 0\n")
    );

    redis.start_again().await.expect("it starts");
    until(async || client(&closed, "ada").enter().await.ok()).await;
}
