//! The door: whoever holds it shut, others come in, and health is told.

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{
    Client, ORIGIN, Recorded, SECRET, TestRelay, config, headers, request, token, within,
};
use jackfield_relay_wire::Code;
use jackfield_relayd::config::Config;
use jackfield_relayd::record::{Decision, Event, SessionRecord};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How many connections are opened to say nothing.
const SILENT: u32 = 1500;
/// Where clients come from who want no more than to come in.
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9));

/// A relay that treats this machine's addresses as it treats strangers, and waits for ever.
fn strict() -> Config {
    let mut config = config(token());
    config.admission.exempt.clear();
    config.handshake_deadline = Duration::from_hours(1);
    config.health = Some("127.0.0.1:0".parse().expect("an address"));
    config
}

async fn connect_from(source: IpAddr, relay: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((source, 0).into()).expect("one of loopback's");
    within(socket.connect(relay)).await.expect("it listens")
}

/// Tries once to come in; what the relay answers.
async fn knock(source: IpAddr, relay: SocketAddr, token: &str) -> (TcpStream, String) {
    let stream = connect_from(source, relay).await;
    let headers = headers(&relay.to_string(), Some(ORIGIN), Some(token));
    common::ask(stream, "GET / HTTP/1.1", &headers).await
}

/// Tries once to come in; whether that went well, to the relay's `HELLO`.
async fn comes_in(source: IpAddr, relay: SocketAddr) -> bool {
    let (stream, answer) = knock(source, relay, SECRET).await;
    if !answer.starts_with("HTTP/1.1 101 ") {
        assert_eq!(answer, "", "closed without a word");
        return false;
    }
    let mut client = Client::over(stream).await;
    matches!(client.frame().await, jackfield_relay_wire::Frame::Hello(_))
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(within(stream.read(&mut [0])).await, Ok(0) | Err(_))
}

/// The next record of a client that admission turns away.
async fn turned_away(recorded: &mut Recorded) -> SessionRecord {
    loop {
        let record = recorded.session().await;
        if record.outcome == "turned away" {
            assert_eq!(
                (record.event, record.decision),
                (Event::Enter, Decision::Deny)
            );
            assert_eq!(
                (record.session, &record.token, &record.origin),
                (None, &None, &None)
            );
            return record;
        }
    }
}

/// What a health check gets, as a load balancer asks.
async fn probed(at: SocketAddr, line: &str) -> String {
    let (_, answer) = request(at, line, &[]).await;
    answer
}

#[tokio::test]
async fn silent_connections_of_one_source_keep_nobody_else_out() {
    let (relay, mut recorded) = TestRelay::start_recorded(strict()).await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(connect_from(Ipv4Addr::LOCALHOST.into(), relay.address).await);
    }
    assert!(
        comes_in(HONEST, relay.address).await,
        "at the first attempt"
    );
    let health = relay.health.expect("it has one");
    let answer = probed(health, "GET /healthz HTTP/1.0").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // The source's first connections may take their time; those beyond its bound are closed.
    assert!(is_closed(silent.last_mut().expect("many")).await);
    // Of those, the first few have a record; the next one, whoever it is of, counts the others.
    for _ in 0..20 {
        let record = turned_away(&mut recorded).await;
        assert_eq!(record.peer.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let why = "too many handshakes of its source are unfinished";
        assert_eq!(
            (record.why.as_deref(), record.more_denied),
            (Some(why), None)
        );
    }
    let (stream, _) = knock(HONEST, relay.address, "a-token-of-nobody").await;
    Client::over(stream).await.last_word().await;
    let unknown = within(async {
        loop {
            let record = recorded.session().await;
            if record.decision == Decision::Deny {
                break record;
            }
        }
    })
    .await;
    assert_eq!(unknown.outcome, "token unknown");
    let all = Config::default().admission.handshakes_per_source;
    assert_eq!(unknown.more_denied, Some(u64::from(SILENT - all - 20)));
    let headers = headers(&relay.address.to_string(), Some(ORIGIN), Some(SECRET));
    let (_, answer) = common::ask(silent.remove(0), "GET / HTTP/1.1", &headers).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[tokio::test]
async fn silent_connections_from_everywhere_are_dropped_at_random() {
    let (relay, mut recorded) = TestRelay::start_recorded(strict()).await;
    let mut silent = Vec::new();
    for number in 0..SILENT {
        let source = Ipv4Addr::from_bits(0x7f01_0000 + number);
        silent.push(connect_from(source.into(), relay.address).await);
    }
    // Each more has one closed, by lot: seldom the one that says something at once.
    let mut came_in = 0;
    for number in SILENT..SILENT + 20 {
        came_in += u32::from(comes_in(HONEST, relay.address).await);
        let source = Ipv4Addr::from_bits(0x7f01_0000 + number);
        silent.push(connect_from(source.into(), relay.address).await);
    }
    assert!(came_in > 15, "{came_in} of 20");
    let record = turned_away(&mut recorded).await;
    let why = "too many handshakes are unfinished";
    assert_eq!(record.why.as_deref(), Some(why));
    let health = relay.health.expect("it has one");
    let answer = probed(health, "GET /readyz HTTP/1.1").await;
    assert!(answer.ends_with("\r\n\r\nready\n"), "{answer}");
    drop(silent);
}

/// A proxy's clients all have its address.
#[tokio::test]
async fn a_proxy_is_not_kept_out_by_strangers() {
    let mut config = strict();
    config.admission.exempt = vec!["127.9.9.9".parse().expect("an address")];
    config.admission.handshakes = "8:100:8".parse().expect("valid");
    let (relay, mut recorded) = TestRelay::start_recorded(config).await;
    let mut silent = Vec::new();
    for number in 0..20 {
        let source = Ipv4Addr::from_bits(0x7f01_0000 + number);
        silent.push(connect_from(source.into(), relay.address).await);
    }
    let record = turned_away(&mut recorded).await;
    assert_eq!(
        record.why.as_deref(),
        Some("too many handshakes are unfinished")
    );
    for _ in 0..20 {
        assert!(comes_in(HONEST, relay.address).await);
    }
}

#[tokio::test]
async fn a_source_that_fails_too_often_is_refused_and_others_are_not() {
    let second = Duration::from_secs(1);
    for fault in ["late", "request", "token"] {
        let mut config = strict();
        config.admission.refuse_after = second * 9;
        config.admission.refuse_at_most = second * 3600;
        config.admission.late_penalty = second * 5;
        config.admission.request_penalty = second * 5;
        config.admission.token_penalty = second * 5;
        if fault == "late" {
            config.handshake_deadline = Duration::from_millis(200);
        }
        let (relay, mut recorded) = TestRelay::start_recorded(config).await;
        let hostile = Ipv4Addr::LOCALHOST.into();
        for _ in 0..2 {
            assert!(comes_in(hostile, relay.address).await, "{fault}: not yet");
            match fault {
                "late" => {
                    let mut slow = connect_from(hostile, relay.address).await;
                    slow.write_all(b"GET / HT").await.expect("it reads");
                    assert!(is_closed(&mut slow).await);
                }
                "request" => {
                    let mut garbage = connect_from(hostile, relay.address).await;
                    let sent = garbage.write_all(b"GET / HTTP/1.1\n").await;
                    sent.expect("it reads");
                    let mut answer = String::new();
                    let read = within(garbage.read_to_string(&mut answer)).await;
                    read.expect("an answer");
                    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
                }
                _ => {
                    let (stream, _) = knock(hostile, relay.address, "a-token-of-nobody").await;
                    let reason = Client::over(stream).await.last_word().await;
                    assert_eq!(reason.expect("a reason").code(), Code::TOKEN_UNKNOWN);
                }
            }
        }
        assert!(!comes_in(hostile, relay.address).await, "{fault}: refused");
        let record = turned_away(&mut recorded).await;
        let why = "its source has failed too often";
        assert_eq!(
            (record.peer.ip(), record.why.as_deref()),
            (hostile, Some(why))
        );
        assert!(comes_in(HONEST, relay.address).await, "{fault}: another");
    }
}

/// What a page can make the browsers of its visitors do does not shut them out.
#[tokio::test]
async fn what_a_foreign_page_can_do_earns_no_penalty() {
    let mut config = strict();
    config.admission.refuse_after = Duration::ZERO;
    let relay = TestRelay::start(config).await;
    let host = relay.address.to_string();
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let form = [named("Host", &host), named("Content-Length", "3")];
    let long = format!("GET /{} HTTP/1.1", "a".repeat(20_000));
    for (line, headers) in [
        (
            "GET / HTTP/1.1",
            headers(&host, Some("https://evil.example"), None),
        ),
        (
            "GET / HTTP/1.1",
            headers(&host, Some("https://evil.example"), Some("guessed")),
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\na=b", Vec::new()),
        ("POST / HTTP/1.1", form.into()),
        ("GET /favicon.ico HTTP/1.1", vec![named("Host", &host)]),
        (&*long, vec![named("Host", &host)]),
    ] {
        let (stream, answer) = request(relay.address, line, &headers).await;
        assert!(!answer.starts_with("HTTP/1.1 400 "), "{answer}");
        drop(stream);
    }
    // Browsers speak TLS (wss:), and STUN (turn: in WebRTC), to whatever port a page names.
    for other in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n"[..],
        b"\0\x03\0\x08\x21\x12\xa4\x42",
    ] {
        let mut stream = connect_from(Ipv4Addr::LOCALHOST.into(), relay.address).await;
        stream.write_all(other).await.expect("it reads");
        let mut answer = String::new();
        let read = within(stream.read_to_string(&mut answer)).await;
        read.expect("an answer, and not after a deadline");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert!(comes_in(Ipv4Addr::LOCALHOST.into(), relay.address).await);
}

/// They do so unasked, and a page may have them do so anywhere (`rel=preconnect`).
#[tokio::test]
async fn a_connection_that_a_browser_opens_ahead_earns_no_penalty() {
    let mut config = strict();
    config.admission.refuse_after = Duration::ZERO;
    config.handshake_deadline = Duration::from_secs(1);
    let relay = TestRelay::start(config).await;
    let mut ahead = Vec::new();
    for _ in 0..3 {
        ahead.push(connect_from(HONEST, relay.address).await);
    }
    for ahead in &mut ahead {
        assert!(is_closed(ahead).await);
    }
    assert!(comes_in(HONEST, relay.address).await);
}

/// Who is told why it isn't let in holds nobody's place, however slowly it reads.
#[tokio::test]
async fn who_is_denied_takes_no_handshake() {
    let mut config = strict();
    config.admission.handshakes = "2:100:2".parse().expect("valid");
    let relay = TestRelay::start(config).await;
    let mut staying = Vec::new();
    for _ in 0..5 {
        staying.push(knock(HONEST, relay.address, "a-token-of-nobody").await);
    }
    assert!(comes_in(HONEST, relay.address).await);
}

#[tokio::test]
async fn health_is_told_in_any_http_and_readiness_until_the_end() {
    let mut relay = TestRelay::start(strict()).await;
    let health = relay.health.expect("it has one");
    for at in [relay.address, health] {
        for (path, text) in [("/healthz", "ok\n"), ("/readyz?a=b", "ready\n")] {
            for version in ["HTTP/1.0", "HTTP/1.1"] {
                let answer = probed(at, &format!("GET {path} {version}")).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                assert!(answer.ends_with(&format!("\r\n\r\n{text}")), "{answer}");
                let head = probed(at, &format!("HEAD {path} {version}\r\nHost: any")).await;
                assert_eq!(Some(&*head), answer.strip_suffix(text));
            }
        }
    }
    let answer = probed(health, "GET / HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");

    // Something is open, so that the end takes a while.
    let (target, _) = common::target(|mut stream| async move {
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let mut client = relay.client().await;
    client.connect(&target, 1024).await;
    relay.stop();
    while !matches!(client.frame().await, jackfield_relay_wire::Frame::GoAway(_)) {}
    let answer = probed(health, "GET /readyz HTTP/1.0").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let answer = probed(health, "GET /healthz HTTP/1.0").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(client);
    relay.stopped().await;
}

#[tokio::test]
async fn requests_that_others_might_read_otherwise_are_refused() {
    let relay = TestRelay::start(config(token())).await;
    let host = relay.address.to_string();
    let good = headers(&host, Some(ORIGIN), Some(SECRET));
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.retain(|(known, _)| known != name);
        headers.push((name.into(), value.into()));
        headers
    };
    for (headers, status) in [
        (with("Content-Length", "0"), "400"),
        (with("Transfer-Encoding", "chunked"), "400"),
        (with("X", "a\nUpgrade: websocket"), "400"),
        (with("X", "a\rb"), "400"),
        (with("X ", "a"), "400"),
        (with("X", "a\r\n folded"), "400"),
        (with("Upgrade", "\u{2003}websocket"), "426"),
        (with("Sec-WebSocket-Version", "13\u{a0}"), "426"),
    ] {
        let (_, answer) = request(relay.address, "GET / HTTP/1.1", &headers).await;
        assert_eq!(&answer[9..12], status, "{headers:?}: {answer}");
    }
}

#[tokio::test]
async fn what_is_answered_is_for_no_frame_no_cache_and_no_guess() {
    let relay = TestRelay::start(config(token())).await;
    for line in ["GET /healthz HTTP/1.1", "GET / HTTP/1.1", "garbage"] {
        let (_, answer) = request(relay.address, line, &[]).await;
        for header in [
            "Cache-Control: no-store",
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options: nosniff",
            "X-Frame-Options: DENY",
        ] {
            assert!(
                answer.contains(&format!("\r\n{header}\r\n")),
                "{line}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_proxy_that_keeps_the_upgrade_is_told_so() {
    let relay = TestRelay::start(config(token())).await;
    let mut headers = headers("127.0.0.1:1", Some(ORIGIN), Some(SECRET));
    headers.retain(|(name, _)| !["Upgrade", "Connection"].contains(&&**name));
    let (_, answer) = request(relay.address, "GET / HTTP/1.0", &headers).await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("your proxy does not forward the upgrade"),
        "{answer}"
    );
}
