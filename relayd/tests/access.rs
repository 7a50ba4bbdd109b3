//! Access, from end to end: who comes in, and what may be reached.

mod common;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use common::{Client, ORIGIN, SECRET, TestRelay, config, headers, request, token, within};
use futures_util::StreamExt as _;
use jackfield_relay_wire::{Capabilities, Code, Frame, Reason, UdpTarget};
use jackfield_relayd::record::Decision;
use jackfield_relayd::resolve::{Resolve, Resolving};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Token};
use jackfield_socket::{HostName, TcpOptions, UdpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A token with these rules and nothing else.
fn reaching(allow: &[&str], deny: &[&str]) -> Token {
    let mut token = token();
    let rules = |rules: &[&str]| rules.iter().map(|rule| rule.parse().expect(rule)).collect();
    token.policy.allow = rules(allow);
    token.policy.deny = rules(deny);
    token.policy.listen.clear();
    token
}

#[tokio::test]
async fn only_who_has_origin_host_and_token_comes_in() {
    let relay = TestRelay::start(config(token())).await;
    let host = relay.address.to_string();
    let good = Some(SECRET);
    for (line, host, origin, token, status) in [
        ("GET / HTTP/1.1", &*host, Some(ORIGIN), good, "101"),
        ("POST / HTTP/1.1", &host, None, good, "403"),
        ("POST / HTTP/1.1", "evil.example", Some(ORIGIN), good, "403"),
        ("POST /else HTTP/1.1", &host, Some(ORIGIN), good, "404"),
        ("POST / HTTP/1.1", &host, Some(ORIGIN), good, "405"),
        ("\u{7f} HTTP/1.1", &host, Some(ORIGIN), good, "400"),
    ] {
        let (_, answer) = request(relay.address, line, &headers(host, origin, token)).await;
        assert_eq!(&answer[9..12], status, "{line} {host} {origin:?}: {answer}");
        assert!(!answer.contains(SECRET));
        if status != "101" {
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        }
    }
    let plain = [
        ("Host".to_owned(), host),
        ("Origin".to_owned(), ORIGIN.to_owned()),
    ];
    let (_, answer) = request(relay.address, "GET / HTTP/1.1", &plain).await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
        "{answer}"
    );
    let (_, answer) = request(relay.address, "GET /healthz HTTP/1.1", &[]).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"),
        "{answer}"
    );
}

/// Tells the relay what a client tells it at once, and returns the only thing that it answers: twice, as a
/// frame and as the WebSocket's close.
async fn only_word(relay: &TestRelay, token: Option<&str>) -> Reason {
    let client = Client::upgrade(relay.address, ORIGIN, token).await;
    dismissed(client.expect("a WebSocket all the same")).await
}

async fn dismissed(mut client: Client) -> Reason {
    client.ask("127.0.0.1:2000", 1024).await;
    let reason = match client.frame().await {
        Frame::GoAway(reason) => reason,
        other => panic!("{other:?}"),
    };
    let close = within(client.socket.next()).await.expect("a close");
    let close = close.expect("in order");
    let (code, text) = close.as_close().expect("nothing follows but the close");
    assert_eq!(u16::from(code), reason.code().close_code());
    assert_eq!(text, reason.text());
    assert_eq!(client.next_frame().await, None, "nothing follows");
    reason
}

#[tokio::test]
async fn a_page_learns_in_its_websocket_that_it_is_not_let_in() {
    let relay = TestRelay::start(config(token())).await;
    let host = relay.address.to_string();
    let (get, path) = ("GET / HTTP/1.1", "GET /else HTTP/1.1");
    for (line, host, origin, expected) in [
        (
            get,
            &*host,
            Some("https://evil.example"),
            Code::ORIGIN_REFUSED,
        ),
        (get, &host, Some("null"), Code::ORIGIN_REFUSED),
        (get, &host, None, Code::ORIGIN_REFUSED),
        (get, "evil.example", Some(ORIGIN), Code::HOST_UNKNOWN),
        (path, &host, Some(ORIGIN), Code::PATH_UNKNOWN),
    ] {
        let headers = headers(host, origin, Some(SECRET));
        let (stream, answer) = request(relay.address, line, &headers).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let reason = dismissed(Client::over(stream).await).await;
        assert_eq!(reason.code(), expected, "{line} {host} {origin:?}");
    }
}

/// Who isn't let in takes no session from others, however many stay.
#[tokio::test]
async fn who_is_not_let_in_takes_no_place() {
    let mut config = config(token());
    config.max_sessions = 1;
    let relay = TestRelay::start(config).await;
    let mut staying = Vec::new();
    for _ in 0..10 {
        let evil = "https://evil.example";
        let headers = headers(&relay.address.to_string(), Some(evil), Some(SECRET));
        staying.push(request(relay.address, "GET / HTTP/1.1", &headers).await);
    }
    let _session = relay.client().await;
    let reason = only_word(&relay, Some(SECRET)).await;
    assert_eq!(reason.code(), Code::RELAY_FULL);
}

#[tokio::test]
async fn a_client_learns_in_its_websocket_that_its_token_is_not_good() {
    let relay = TestRelay::start(config(token())).await;
    for (token, code, text) in [
        (None, Code::TOKEN_MISSING, "the relay asks for a token"),
        (
            Some("not-this-secret-but-another"),
            Code::TOKEN_UNKNOWN,
            "the token is not accepted",
        ),
    ] {
        let reason = only_word(&relay, token).await;
        assert_eq!((reason.code(), reason.text()), (code, text));
    }
    // From elsewhere, nobody learns even that.
    let stranger = Client::upgrade(relay.address, "https://evil.example", None).await;
    let reason = dismissed(stranger.expect("a WebSocket all the same")).await;
    assert_eq!(reason.code(), Code::ORIGIN_REFUSED);
}

#[tokio::test]
async fn a_client_that_is_denied_and_stays_is_cut() {
    let relay = TestRelay::start(config(token())).await;
    let headers = headers(&relay.address.to_string(), Some(ORIGIN), None);
    let (mut stream, answer) = request(relay.address, "GET / HTTP/1.1", &headers).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // It never answers the close, nor closes.
    let mut rest = Vec::new();
    let began = Instant::now();
    within(stream.read_to_end(&mut rest)).await.expect("an end");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(rest.len() < 100, "GOAWAY and the close: {rest:?}");
}

/// Whoever wants nobody to know why has many denied that stay.
#[tokio::test]
async fn a_client_is_told_why_however_many_stay_that_are_denied() {
    let relay = TestRelay::start(config(token())).await;
    let headers = headers(&relay.address.to_string(), Some(ORIGIN), None);
    let mut staying = Vec::new();
    for _ in 0..100 {
        let (stream, answer) = request(relay.address, "GET / HTTP/1.1", &headers).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        staying.push(stream);
    }
    let mut late = Client::over(staying.pop().expect("many")).await;
    let reason = late.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_MISSING);
}

#[tokio::test]
async fn a_request_that_does_not_come_is_not_waited_for() {
    let mut config = config(token());
    config.handshake_deadline = Duration::from_millis(100);
    let relay = TestRelay::start(config).await;
    let began = Instant::now();
    let mut slow = TcpStream::connect(relay.address).await.expect("it listens");
    let read = within(slow.read(&mut [0])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn nothing_is_reachable_by_default() {
    let secret = Secret::new(SECRET).expect("long enough");
    let bare = Token::new("bare", Credential::Secret(secret));
    let relay = TestRelay::start(config(bare)).await;
    let mut client = relay.client().await;
    assert_eq!(client.settings.capabilities, Capabilities::NONE);
    for to in ["127.0.0.1:80", "8.8.8.8:443", "irc.example.org:6697"] {
        assert_eq!(client.refused(to).await.code(), Code::DENIED, "{to}");
    }
    let mut none = Config::default();
    none.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    let relay = TestRelay::start(none).await;
    let reason = only_word(&relay, Some(SECRET)).await;
    assert_eq!(reason.code(), Code::ORIGIN_REFUSED);
}

#[tokio::test]
async fn no_form_of_an_inner_address_is_reached() {
    // Something listens there, on every address of this host, so that a way in would be found.
    let v4 = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let port = v4.local_addr().expect("bound").port();
    let _v6 = TcpListener::bind(("::", port)).await;
    let everything = ["*:*", "0.0.0.0/0:*", "[::/0]:*", "localhost:*"];
    let (relay, mut recorded) = TestRelay::start_recorded(config(reaching(&everything, &[]))).await;
    let mut client = relay.client().await;
    for host in [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:0.0.0.0]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::1]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let to = format!("{host}:{port}");
        let reason = client.refused(&to).await;
        assert_eq!(reason.code(), Code::DENIED, "{host}: {reason}");
        recorded.denied(&to, None).await;
    }
    for to in ["8.8.8.8:25", "[::ffff:8.8.8.8]:25", "8.8.8.8:0"] {
        let reason = client.refused(to).await;
        assert_eq!(reason.code(), Code::DENIED, "{to}: {reason}");
        assert!(reason.text().contains("port"), "{reason}");
        recorded.denied(to, None).await;
    }
}

/// Names with addresses, and how often each was asked for.
#[derive(Clone, Debug, Default)]
struct Names {
    addresses: HashMap<&'static str, Vec<IpAddr>>,
    asked: Arc<AtomicU32>,
}

impl Names {
    fn new(names: &[(&'static str, &[&str])]) -> Self {
        let ip = |text: &&str| text.parse::<IpAddr>().expect(text);
        Self {
            addresses: names
                .iter()
                .map(|(name, ips)| (*name, ips.iter().map(ip).collect()))
                .collect(),
            asked: Arc::default(),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: &HostName) -> Resolving {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.addresses.get(name.as_str()).cloned();
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

#[tokio::test]
async fn of_a_names_addresses_only_those_that_pass_are_dialled() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let names = Names::new(&[
        (
            "mixed.example",
            &["127.0.0.1", "::1", "10.0.0.1", "127.0.0.2"],
        ),
        ("inner.example", &["127.0.0.1", "::ffff:127.0.0.3"]),
        ("none.example", &[]),
        ("other.test", &["127.0.0.2"]),
    ]);
    let token = reaching(&["*.example:*", "127.0.0.2:*"], &["denied.example:*"]);
    let (relay, mut recorded) = TestRelay::start_recorded_with(config(token), names.clone()).await;
    let mut client = relay.client().await;

    let id = client.ask(&format!("mixed.example:{port}"), 1024).await;
    match client.frame().await {
        Frame::Opened {
            id: opened, remote, ..
        } => {
            assert_eq!(opened, id);
            assert_eq!(remote, Some(([127, 0, 0, 2], port).into()));
        }
        other => panic!("{other:?}"),
    }
    let asked = names.asked.load(Ordering::Relaxed);
    assert_eq!(asked, 2, "once a connection, and the name that is denied");

    let opened = recorded
        .decision(Decision::Allow, Some("127.0.0.2:*"), "opened")
        .await;
    assert_eq!(opened.address, Some(([127, 0, 0, 2], port).into()));

    let inner = format!("inner.example:{port}");
    let reason = client.refused(&inner).await;
    assert_eq!(reason.code(), Code::DENIED);
    recorded.denied(&inner, None).await;
    // What its addresses are is not the client's to know.
    assert!(
        !reason.text().contains("127") && !reason.text().contains("loopback"),
        "{reason}"
    );
    for to in ["none.example:80", "unknown.example:80"] {
        assert_eq!(
            client.refused(to).await.code(),
            Code::HOST_NOT_FOUND,
            "{to}"
        );
        let record = recorded.next().await;
        assert_eq!((&*record.asked, &*record.outcome), (to, "host not found"));
    }
    // The address is listed, so whatever name leads there may be used.
    let (_, _) = client.connect(&format!("other.test:{port}"), 1024).await;
    recorded
        .decision(Decision::Allow, Some("127.0.0.2:*"), "opened")
        .await;

    let before = names.asked.load(Ordering::Relaxed);
    for (to, rule) in [
        ("denied.example:80", Some("denied.example:*")),
        ("mixed.example:25", None),
    ] {
        assert_eq!(client.refused(to).await.code(), Code::DENIED, "{to}");
        recorded.denied(to, rule).await;
    }
    assert_eq!(
        names.asked.load(Ordering::Relaxed),
        before,
        "refused before it is looked up"
    );
}

#[tokio::test]
async fn a_denied_name_is_not_reached_by_its_address_or_another_name() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let names = Names::new(&[
        ("secret.example", &["::1", "127.0.0.2"]),
        ("alias.example", &["127.0.0.2"]),
        ("mixed.example", &["127.0.0.2", "127.0.0.3"]),
    ]);
    let rules = ["127.0.0.0/8:*", "127.0.0.0/8:*/udp", "*:*/udp"];
    let token = reaching(&rules, &["secret.example:*", "gone.example:*"]);
    let (relay, mut recorded) = TestRelay::start_recorded_with(config(token), names.clone()).await;
    let mut client = relay.client().await;
    let rule = Some("secret.example:*");
    for host in [
        "secret.example",
        "127.0.0.2",
        "[::ffff:127.0.0.2]",
        "alias.example",
    ] {
        let asked = format!("{host}:{port}");
        let reason = client.refused(&asked).await;
        assert_eq!(reason.code(), Code::DENIED, "{host}: {reason}");
        recorded.denied(&asked, rule).await;
        let id = client.new_id();
        let to = asked.parse().expect(host);
        client
            .send(&Frame::Udp {
                id,
                credit: 1024,
                target: UdpTarget::Connected(to),
                options: UdpOptions::default(),
            })
            .await;
        let reason = client.refusal(id).await;
        assert_eq!(reason.code(), Code::DENIED, "{host}: {reason}");
        recorded.denied(&asked, rule).await;
    }
    for host in ["127.0.0.1", "mixed.example"] {
        client.connect(&format!("{host}:{port}"), 1024).await;
    }
    assert!(
        names.asked.load(Ordering::Relaxed) < 10,
        "denied names are looked up once for several decisions"
    );
}

#[tokio::test]
async fn a_denied_name_that_cant_be_looked_up_denies_what_it_might_be() {
    #[derive(Debug)]
    struct Broken;
    impl Resolve for Broken {
        fn resolve(&self, _: &HostName) -> Resolving {
            Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let deny = format!("secret.example:{}", at.port());
    let config = config(reaching(&["127.0.0.0/8:*"], &[&deny]));
    let (relay, mut recorded) = TestRelay::start_recorded_with(config, Broken).await;
    let mut client = relay.client().await;
    let reason = client.refused(&at.to_string()).await;
    assert_eq!(reason.code(), Code::DENIED);
    recorded.denied(&at.to_string(), Some(&deny)).await;
    assert!(
        reason.text().contains("can't be found out"),
        "it says why: {reason}"
    );
    // At another port the rule denies nothing.
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = other.local_addr().expect("bound");
    client.connect(&at.to_string(), 1024).await;
}

#[tokio::test]
async fn the_relay_is_not_reached_through_itself() {
    let mut config = config(reaching(&["127.0.0.0/8:*", "localhost:*"], &[]));
    config.health = Some("127.0.0.1:0".parse().expect("an address"));
    let (relay, mut recorded) = TestRelay::start_recorded(config).await;
    let mut client = relay.client().await;
    let health = relay.health.expect("it has one").port();
    for port in [relay.address.port(), health] {
        for host in ["127.0.0.1", "127.0.0.2", "[::ffff:127.0.0.1]", "localhost"] {
            let to = format!("{host}:{port}");
            let reason = client.refused(&to).await;
            assert_eq!(reason.code(), Code::DENIED, "{host}: {reason}");
            recorded.denied(&to, None).await;
        }
    }
}

#[tokio::test]
async fn a_refusal_costs_a_dial_and_too_many_end_the_session() {
    let mut token = token();
    token.limits.dials_per_second = 1;
    token.limits.refusals_per_minute = 5;
    let relay = TestRelay::start(config(token)).await;
    let mut client = relay.client().await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(client.refused("10.0.0.1:80").await.code());
    }
    // The first has taken what there was for this second.
    assert_eq!(codes[0], Code::DENIED);
    assert!(codes.contains(&Code::LIMIT_EXCEEDED), "{codes:?}");
    client.ask("10.0.0.1:80", 1024).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED);
    assert!(
        reason.text().contains("refusals_per_minute (5)"),
        "{reason}"
    );
}

/// Of what came in one piece with the refusal that ends the session, nothing more is refused and recorded.
#[tokio::test]
async fn nothing_is_refused_in_a_session_that_is_over() {
    let mut token = token();
    token.limits.dials_per_second = 1;
    token.limits.refusals_per_minute = 5;
    let mut config = config(token);
    let other = "another secret of the tests".replace(' ', "-");
    let secret = Secret::new(&other).expect("long enough");
    config
        .tokens
        .push(Token::new("other", Credential::Secret(secret)));
    let (relay, mut recorded) = TestRelay::start_recorded(config).await;
    let mut client = relay.client().await;
    let mut asked = Vec::new();
    for _ in 0..16 {
        let ask = Frame::Connect {
            id: client.new_id(),
            credit: 1024,
            to: "10.0.0.1:80".parse().expect("an endpoint"),
            options: TcpOptions::default(),
        };
        let ask = ask.encode();
        // A short binary message, masked by nothing (RFC 6455, section 5.2).
        let length = u8::try_from(ask.len()).expect("short");
        asked.extend([0x82, 0x80 | length, 0, 0, 0, 0]);
        asked.extend(&ask[..]);
    }
    let stream = client.socket.get_mut();
    stream.write_all(&asked).await.expect("open");
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED);
    // Somebody else's is recorded behind all of it.
    let client = Client::open(relay.address, ORIGIN, Some(&other)).await;
    client.expect("let in").refused("10.0.0.1:80").await;
    let mut refused = 0;
    loop {
        let record = recorded.next().await;
        if record.session == 2 {
            break;
        }
        let why = record.why.unwrap_or_default();
        refused += u32::from(why.contains("dials_per_second"));
    }
    assert_eq!(refused, 6, "the sixth is one too many");
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let key = Secret::new("the-signing-key-of-the-tests").expect("long enough");
    let mut signed = token();
    signed.credential = Credential::Key(key.clone());
    let relay = TestRelay::start(config(signed)).await;
    let now = SystemTime::now();

    let old = key.sign("tests", now - Duration::from_secs(5));
    let reason = only_word(&relay, Some(&old)).await;
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    assert!(
        reason.text().starts_with("the token has expired at "),
        "{reason}"
    );

    // Whole seconds stand in it: between one and two from now.
    let short = key.sign("tests", now + Duration::from_secs(2));
    let mut client = Client::open(relay.address, ORIGIN, Some(&short))
        .await
        .expect("still good");
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    assert!(reason.text().contains("expired"), "{reason}");
    assert!(now.elapsed().expect("later") < Duration::from_secs(5));
}
