//! Relays that share what must hold over all of them, in a real Redis.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use jackfield_relay::{Code, Reason, RelayStream};
use jackfield_relayd::token::{Claims, Secret, SigningKey};
use jackfield_server_tests::balanced::{Client, HAPROXY, Relayd, TOKEN, before, echo};
use jackfield_server_tests::{LONG, NAMES, connector};
use jackfield_socket::{Error, ErrorKind};
use jackfield_testing::certs::Authority;
use jackfield_testing::haproxy::{self, Haproxy};
use jackfield_testing::process::free_addresses;
use jackfield_testing::redis::{self, Redis};
use jackfield_testing::unpacked::is_skipped;
use jackfield_tls::TlsConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where clients come from: nobody whom the relays trust to speak for others.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const KEY: &str = "the-signing-key-of-all-these-tests";

/// What a relay of these does while Redis is gone.
const ALLOWS: &str =
    "quotas_when_gone = 'allow'\nrevocations_when_gone = 'allow'\nlease_seconds = 2";
const DENIES: &str =
    "quotas_when_gone = 'deny'\nrevocations_when_gone = 'allow'\nlease_seconds = 2";
/// One that also refuses who comes in, since it doesn't hear of revocations.
const UNHEARD: &str = "quotas_when_gone = 'allow'\nrevocations_when_gone = 'deny'";

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
        "url = 'rediss://:{}@{}'\nroots_file = '{}'\nquotas_when_gone = 'deny'\nrevocations_when_gone = 'deny'",
        redis::PASSWORD,
        redis.tls(),
        roots.display()
    );
    // As docs/operating.md has it.
    let user = "ACL SETUSER relay on >staple ~jackfield:* &jackfield:* +@connection +@scripting \
                +subscribe +publish +@sortedset +@hash +@string +@keyspace +time";
    let made = redis.ask(&[user]).await.expect("it answers");
    assert!(!made.contains("-ERR"), "{made}");
    let least = format!("url = 'redis://relay:staple@{}'\n{ALLOWS}", redis.plain());
    let socket = redis.socket();
    let near = format!(
        "url = 'unix://{}?user=relay&pass=staple'\n{ALLOWS}",
        socket.display()
    );
    let relays = [
        relay_by(&least, "").await,
        relay_by(&secure, "").await,
        relay_by(&near, "").await,
    ];
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
    let later = relay(&redis, ALLOWS, "").await;
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
    assert!(told.contains(":4\r\n"), "{told}");
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
    let open = relay(&redis, ALLOWS, "").await;
    let closed = relay(&redis, UNHEARD, "").await;
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

/// Opens streams until none is given, and why.
async fn fill(client: &Client, echo: SocketAddr) -> (Vec<RelayStream>, Error) {
    let mut all = Vec::new();
    loop {
        match client.open(echo).await {
            Ok(stream) => all.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
                return (all, error);
            }
        }
    }
}

#[tokio::test]
async fn a_quota_holds_over_both_relays_behind_haproxy() {
    if is_skipped(redis::NAME) || is_skipped(haproxy::NAME) {
        return;
    }
    let (redis, authority) = redis().await;
    let limits = "bearer_limits = { sessions = 3, streams = 5 }";
    let relays = [
        relay(&redis, DENIES, limits).await,
        relay(&redis, ALLOWS, limits).await,
    ];
    let [front] = free_addresses().expect("an address");
    let config = before(HAPROXY, front, &relays);
    let haproxy = Haproxy::start(&config, &authority.server(&NAMES), front).await;
    let _haproxy = haproxy.expect("it starts");
    let tls = connector(TlsConfig::new(), &authority);
    let enter = async || {
        let client = Client::through(HERE, front, tls.clone(), &token("ada"));
        client.enter().await.map(|()| client)
    };
    let (mut inside, mut refused) = (Vec::new(), 0);
    for _ in 0..8 {
        match enter().await {
            Ok(client) => inside.push(client),
            Err(error) => {
                assert_eq!(code(&error), Code::TOKEN_FULL, "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!((inside.len(), refused), (3, 5));
    // Whichever relay each is at, they have five streams together.
    let echo = echo().await;
    let mut streams = Vec::new();
    for client in &inside {
        streams.extend(fill(client, echo).await.0);
    }
    assert_eq!(streams.len(), 5);
    let bob = Client::through(HERE, front, tls.clone(), &token("bob"));
    bob.open(echo).await.expect("he has his own");
    // What is given back is there for whoever asks, at either relay.
    drop(streams);
    drop(inside);
    let mut again = Vec::new();
    for _ in 0..3 {
        again.push(until(async || enter().await.ok()).await);
    }
    for client in &again {
        until(async || client.open(echo).await.ok()).await;
    }
}

#[tokio::test]
async fn the_leases_of_a_killed_relay_end_with_their_time() {
    if is_skipped(redis::NAME) {
        return;
    }
    let (redis, _authority) = redis().await;
    let limits = "bearer_limits = { streams = 3 }";
    let mut killed = relay(&redis, DENIES, limits).await;
    let other = relay(&redis, DENIES, limits).await;
    let echo = echo().await;
    let at_killed = client(&killed, "ada");
    let (streams, _) = fill(&at_killed, echo).await;
    assert_eq!(streams.len(), 3);
    let at_other = client(&other, "ada");
    let (none, error) = fill(&at_other, echo).await;
    assert!(
        none.is_empty() && error.to_string().contains("streams (3)"),
        "{error}"
    );
    killed.process().kill().expect("it lived");
    let mut all = Vec::new();
    while all.len() < 3 {
        all.push(until(async || at_other.open(echo).await.ok()).await);
    }
    assert!(fill(&at_other, echo).await.0.is_empty());
}

#[tokio::test]
async fn while_redis_is_gone_quotas_are_each_relays_own_or_what_was_leased() {
    if is_skipped(redis::NAME) {
        return;
    }
    let (mut redis, _authority) = redis().await;
    let limits = "bearer_limits = { streams = 4 }";
    let open = relay(&redis, ALLOWS, limits).await;
    let closed = relay(&redis, DENIES, limits).await;
    let echo = echo().await;
    let ada = client(&open, "ada");
    let bob = client(&closed, "bob");
    let adas = ada.open(echo).await.expect("allowed");
    let mut bobs = bob.open(echo).await.expect("allowed");
    redis.kill().expect("it lived");
    for relay in [&open, &closed] {
        relay.says("Redis is gone").await;
    }
    let (more, error) = fill(&ada, echo).await;
    assert_eq!(more.len(), 3, "as many as one relay gives: {error}");
    let (none, error) = fill(&bob, echo).await;
    assert!(none.is_empty(), "no more than was leased");
    assert!(error.to_string().contains("nobody can tell"), "{error}");
    bobs.write_all(b"still").await.expect("open");
    bobs.read_exact(&mut [0; 5]).await.expect("open");

    // It has forgotten everything, and hears again what is in use.
    redis.start_again().await.expect("it starts");
    until(async || bob.open(echo).await.ok()).await;
    until(async || {
        let keys = redis.ask(&["KEYS jackfield:streams:*"]).await;
        keys.is_ok_and(|keys| keys.contains("ada")).then_some(())
    })
    .await;
    let elsewhere = client(&closed, "ada");
    let (none, error) = fill(&elsewhere, echo).await;
    assert!(
        none.is_empty() && error.to_string().contains("streams (4)"),
        "{error}"
    );
    drop((adas, more));
    until(async || elsewhere.open(echo).await.ok()).await;
}

/// Sends over a stream, to somebody who says everything again, until it is cut: how much went both ways, and why.
async fn carry(stream: &mut RelayStream) -> (u64, Error) {
    let (mut carried, mut back) = (0, vec![0; 8192]);
    loop {
        let round = async {
            stream.write_all(&[7; 8192]).await?;
            stream.read_exact(&mut back).await
        };
        match tokio::time::timeout(LONG, round).await.expect("in time") {
            Ok(_) => carried += 2 * 8192,
            Err(error) => return (carried, Error::from(error)),
        }
    }
}

#[tokio::test]
async fn a_day_is_one_over_both_relays_and_a_restart() {
    const DAY: u64 = 2 * 1024 * 1024;
    if is_skipped(redis::NAME) {
        return;
    }
    let (redis, _authority) = redis().await;
    let limits = format!("bearer_limits = {{ bytes_per_day = {DAY} }}");
    let mut relays = [
        relay(&redis, DENIES, &limits).await,
        relay(&redis, ALLOWS, &limits).await,
    ];
    let echo = echo().await;
    let mut carried = 0;
    // Half of it here, and what is left there.
    let ada = client(&relays[0], "ada");
    let mut stream = ada.open(echo).await.expect("allowed");
    while carried < DAY / 2 {
        stream.write_all(&[7; 8192]).await.expect("open");
        stream.read_exact(&mut [0; 8192]).await.expect("open");
        carried += 2 * 8192;
    }
    let there = client(&relays[1], "ada");
    let mut last = there.open(echo).await.expect("allowed");
    let (more, error) = carry(&mut last).await;
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    carried += more;
    // What one has leased and doesn't use is missing at the other; a round may have been cut in its middle.
    let (leased, round) = (64 * 1024, 2 * 8192);
    assert!(carried <= DAY, "{carried}");
    assert!(carried + 2 * leased + round >= DAY, "{carried}");
    let (more, error) = carry(&mut stream).await;
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(carried + more <= DAY, "{carried} and {more}");
    client(&relays[0], "bob")
        .open(echo)
        .await
        .expect("he has his own");

    drop((ada, there));
    relays[1].process().terminate(LONG).await.expect("it ends");
    relays[1].start_again().await;
    let again = client(&relays[1], "ada");
    let cut = match again.open(echo).await {
        Ok(mut stream) => carry(&mut stream).await.1,
        Err(error) => error,
    };
    assert_eq!(cut.kind(), ErrorKind::LimitExceeded, "{cut}");
    let day = redis
        .ask(&["KEYS jackfield:bytes:*"])
        .await
        .expect("it answers");
    assert!(day.contains(":app/sub ada"), "{day}");
}
