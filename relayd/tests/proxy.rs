//! Behind proxies: who is believed when it speaks for others, and what is counted where.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{Client, ORIGIN, SECRET, TestRelay, ask, config, headers, keep, token, within};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_relayd::Config;
use jackfield_relayd::proxy::ToldBy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A proxy that is trusted.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 7);
const ANYBODY: Ipv4Addr = Ipv4Addr::LOCALHOST;
const CLIENT: &str = "192.0.2.7";

/// Trusts [`PROXY`], and treats this machine's addresses as it treats strangers.
fn behind(header: ToldBy) -> Config {
    let mut config = config(token());
    config.proxies.trusted = vec!["127.7.7.0/24".parse().expect("a network")];
    config.proxies.header = header;
    config.admission.exempt.clear();
    config
}

async fn connect_from(source: Ipv4Addr, relay: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((source, 0).into()).expect("one of loopback's");
    within(socket.connect(relay)).await.expect("it listens")
}

/// Asks to come in, from an address, with bytes before the request and headers in it.
async fn knock(
    relay: SocketAddr,
    source: Ipv4Addr,
    before: &[u8],
    more: &[(&str, &str)],
) -> (TcpStream, String) {
    knock_with(relay, source, before, more, SECRET).await
}

async fn knock_with(
    relay: SocketAddr,
    source: Ipv4Addr,
    before: &[u8],
    more: &[(&str, &str)],
    token: &str,
) -> (TcpStream, String) {
    let mut stream = connect_from(source, relay).await;
    // It may have closed the connection by now.
    let _ = stream.write_all(before).await;
    let mut headers = headers(&relay.to_string(), Some(ORIGIN), Some(token));
    headers.extend(
        more.iter()
            .map(|(name, value)| ((*name).into(), (*value).into())),
    );
    ask(stream, "GET / HTTP/1.1", &headers).await
}

fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n").into_bytes()
}

/// Version 2, with a field that nobody knows.
fn binary(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".to_vec();
    header.extend(client);
    header.extend([198, 51, 100, 1, 0x12, 0x67, 1, 0xbb, 0xee, 0, 0]);
    header
}

#[tokio::test]
async fn the_client_of_a_trusted_proxy_is_who_is_recorded() {
    let address = keep(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    let forwarded = [("X-Forwarded-For", "203.0.113.9, 192.0.2.7, 127.7.7.8")];
    for (header, before, more, peer) in [
        (ToldBy::Proxy, line(CLIENT), &[][..], "192.0.2.7:4711"),
        (
            ToldBy::Proxy,
            binary([192, 0, 2, 7]),
            &forwarded[..],
            "192.0.2.7:4711",
        ),
        (
            ToldBy::XForwardedFor,
            Vec::new(),
            &forwarded[..],
            "192.0.2.7:0",
        ),
    ] {
        let (relay, mut recorded) = TestRelay::start_recorded(behind(header)).await;
        let (stream, answer) = knock(relay.address, PROXY, &before, more).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let mut client = Client::over(stream).await;
        assert!(matches!(client.frame().await, Frame::Hello(_)));
        client.connect(&address, 1024).await;
        let record = recorded.next().await;
        assert_eq!(record.who.peer.to_string(), peer, "{header:?}");
    }
}

#[tokio::test]
async fn from_nobody_else_it_is_believed() {
    // Of a PROXY header nobody can tell what its sender would have meant without it.
    for header in [ToldBy::Proxy, ToldBy::XForwardedFor] {
        let relay = TestRelay::start(behind(header)).await;
        for before in [line(CLIENT), binary([192, 0, 2, 7])] {
            let (_, answer) = knock(relay.address, ANYBODY, &before, &[]).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert!(
                answer.contains("a PROXY header is taken from none but trusted"),
                "{answer}"
            );
        }
    }
    // X-Forwarded-For any page's browser may have been given by a proxy of its own.
    let address = keep(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    for (header, source, before) in [
        (ToldBy::XForwardedFor, ANYBODY, Vec::new()),
        (ToldBy::Proxy, ANYBODY, Vec::new()),
        // And a proxy that has the other way passes on what its client wrote.
        (ToldBy::Proxy, PROXY, line("127.0.0.1")),
    ] {
        let (relay, mut recorded) = TestRelay::start_recorded(behind(header)).await;
        let forwarded = [("X-Forwarded-For", CLIENT)];
        let (stream, answer) = knock(relay.address, source, &before, &forwarded).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let mut client = Client::over(stream).await;
        assert!(matches!(client.frame().await, Frame::Hello(_)));
        client.connect(&address, 1024).await;
        let record = recorded.next().await;
        assert_eq!(record.who.peer.ip(), ANYBODY, "{header:?}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_has_to_tell() {
    let mut config = behind(ToldBy::Proxy);
    config.handshake_deadline = Duration::from_millis(300);
    let relay = TestRelay::start(config).await;
    let (_, answer) = knock(relay.address, PROXY, &[], &[("X-Forwarded-For", CLIENT)]).await;
    assert_eq!(answer, "", "closed without a word");
    for before in [&b""[..], b"PROXY ", b"\r\n\r\n\0"] {
        let mut silent = connect_from(PROXY, relay.address).await;
        silent.write_all(before).await.expect("it reads");
        let read = within(silent.read(&mut [0])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    // Of its own accord: a health check.
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for before in [&local[..], b"PROXY UNKNOWN\r\n"] {
        let mut stream = connect_from(PROXY, relay.address).await;
        stream.write_all(before).await.expect("it reads");
        let (_, answer) = ask(stream, "HEAD /readyz HTTP/1.0", &[]).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    let relay = TestRelay::start(behind(ToldBy::XForwardedFor)).await;
    let (_, answer) = ask(
        connect_from(PROXY, relay.address).await,
        "GET /readyz HTTP/1.1",
        &[("Host".into(), "balancer".into())],
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for (list, status) in [
        ("unknown", "400"),
        ("192.0.2.7, unknown", "400"),
        ("a, 192.0.2.7", "101"),
    ] {
        let (_, answer) = knock(relay.address, PROXY, &[], &[("X-Forwarded-For", list)]).await;
        assert_eq!(&answer[9..12], status, "{list}: {answer}");
    }
}

/// Whoever is behind a proxy has limits of his own, and so have those beside him.
#[tokio::test]
async fn limits_are_those_of_the_client() {
    for header in [ToldBy::Proxy, ToldBy::XForwardedFor] {
        let mut config = behind(header);
        config.source_limits.sessions = Some(1);
        let relay = TestRelay::start(config).await;
        let enter = async |client: &str| {
            let (before, more) = told(header, client);
            let more: Vec<_> = more.iter().map(|(name, value)| (*name, &**value)).collect();
            let (stream, answer) = knock(relay.address, PROXY, &before, &more).await;
            assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
            let mut client = Client::over(stream).await;
            match client.frame().await {
                Frame::Hello(_) => Ok(client),
                Frame::GoAway(reason) => Err(reason),
                other => panic!("{other:?}"),
            }
        };
        let first = enter("192.0.2.7").await.expect("one");
        let reason: Reason = enter("192.0.2.7").await.expect_err("and no more");
        assert_eq!(reason.code(), Code::RELAY_FULL, "{reason}");
        let second = enter("192.0.2.8").await.expect("another client");
        drop((first, second));
    }
}

/// How the proxy tells of a client: what comes before the request, and what in it.
fn told(header: ToldBy, client: &str) -> (Vec<u8>, Vec<(&'static str, String)>) {
    match header {
        ToldBy::XForwardedFor => (Vec::new(), vec![("X-Forwarded-For", client.into())]),
        _ => (line(client), Vec::new()),
    }
}

#[tokio::test]
async fn penalties_are_for_the_client_and_not_for_its_proxy() {
    for header in [ToldBy::Proxy, ToldBy::XForwardedFor] {
        let mut config = behind(header);
        config.admission.refuse_after = Duration::from_secs(9);
        config.admission.refuse_at_most = Duration::from_hours(1);
        config.admission.token_penalty = Duration::from_secs(5);
        let relay = TestRelay::start(config).await;
        let enter = async |client: &str, token: &str| {
            let (before, more) = told(header, client);
            let more: Vec<_> = more.iter().map(|(name, value)| (*name, &**value)).collect();
            let (_, answer) = knock_with(relay.address, PROXY, &before, &more, token).await;
            answer
        };
        for _ in 0..2 {
            let answer = enter("192.0.2.7", "a-token-that-nobody-made").await;
            assert!(answer.starts_with("HTTP/1.1 101 "), "told why: {answer}");
        }
        // A proxy would take silence for a fault of the relay, where it reads the answer.
        let answer = enter("192.0.2.7", SECRET).await;
        match header {
            ToldBy::XForwardedFor => assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}"),
            _ => assert_eq!(answer, ""),
        }
        for client in ["192.0.2.8", "127.7.7.7"] {
            let answer = enter(client, SECRET).await;
            assert!(answer.starts_with("HTTP/1.1 101 "), "{client}: {answer}");
        }
    }
}

/// Silent clients of a proxy hold each his own source's places, and none of the proxy's.
#[tokio::test]
async fn handshakes_are_counted_where_the_client_comes_from() {
    let mut config = behind(ToldBy::Proxy);
    config.handshake_deadline = Duration::from_hours(1);
    config.admission.handshakes = "8:100:8".parse().expect("valid");
    config.admission.handshakes_per_source = 4;
    let relay = TestRelay::start(config).await;
    let mut silent = JoinSet::new();
    for _ in 0..6 {
        let mut stream = connect_from(PROXY, relay.address).await;
        stream
            .write_all(&line("192.0.2.66"))
            .await
            .expect("it reads");
        silent.spawn(async move { stream.read(&mut [0]).await });
    }
    // Four may be silent.
    for _ in 0..2 {
        let closed = within(silent.join_next()).await.expect("one of six");
        assert!(matches!(closed.expect("it reads"), Ok(0) | Err(_)));
    }
    for _ in 0..20 {
        let (_, answer) = knock(relay.address, PROXY, &line(CLIENT), &[]).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    }
    // Those of whom nothing is told have a lane of their own, as wide.
    let mut untold = JoinSet::new();
    for _ in 0..9 {
        let mut stream = connect_from(PROXY, relay.address).await;
        untold.spawn(async move { stream.read(&mut [0]).await });
    }
    let closed = within(untold.join_next()).await.expect("one of nine");
    let closed = closed.expect("it reads");
    assert!(matches!(closed, Ok(0) | Err(_)), "eight of them");
    let (_, answer) = knock(relay.address, ANYBODY, &[], &[]).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}
