//! `jackfield mqtt` on a broker in this process: messages come and go, and what fails is told.

mod common;

use std::net::SocketAddr;

use common::{command, listener, run, start};
use jackfield_socket::TcpListener as _;
use jackfield_testing::certs::Authority;
use jackfield_testing::mqtt_broker::Broker;
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// A command, with where the broker is.
fn mqtt(verb: &str, at: SocketAddr, args: &[&str]) -> Command {
    let port = at.port().to_string();
    let all = [&["mqtt", verb, "-h", "127.0.0.1", "-p", &port], args].concat();
    let mut command = command(&all);
    command.env_remove("JACKFIELD_PASSWORD");
    command
}

/// Subscribes, and returns when the broker has agreed.
async fn subscribed(at: SocketAddr, args: &[&str]) -> common::Running {
    let mut running = start(mqtt("sub", at, &[&["-d"], args].concat()));
    running.said("jackfield: subscribed").await;
    running
}

async fn published(at: SocketAddr, args: &[&str], input: &[u8]) {
    let outcome = start(mqtt("pub", at, args)).finish(input).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(outcome.output.is_empty());
}

#[tokio::test]
async fn messages_come_and_go() {
    let broker = Broker::start().await.expect("a broker");
    let at = broker.tcp();
    for version in ["5", "311"] {
        for qos in ["0", "1", "2"] {
            let version_and_qos = ["-V", version, "-q", qos];
            let with = |args: &[&'static str]| [&version_and_qos[..], args].concat();
            let sub = with(&["-t", "a/+", "-t", "b", "-v", "-C", "3"]);
            let sub = subscribed(at, &sub).await;
            published(at, &with(&["-t", "a/one", "-m", "first"]), b"").await;
            published(at, &with(&["-t", "b", "-l"]), b"second\nthird\r\n").await;
            let outcome = sub.finish(b"").await;
            assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
            let output = String::from_utf8_lossy(&outcome.output);
            assert_eq!(output, "a/one first\nb second\nb third\n");
        }
    }
}

#[tokio::test]
async fn what_is_kept_is_formatted_and_removed() {
    let broker = Broker::start().await.expect("a broker");
    let at = broker.tcp();
    published(at, &["-t", "kept", "-q", "1", "-r", "-s"], b"all\nof it").await;
    let format = ["-t", "kept", "-C", "1", "-N", "-F", r"%t|%l|%x|%r\n"];
    let outcome = start(mqtt("sub", at, &format)).finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let output = String::from_utf8_lossy(&outcome.output);
    assert_eq!(output, "kept|9|616c6c0a6f66206974|1\n");
    published(at, &["-t", "kept", "-q", "1", "-r", "-n"], b"").await;
    let outcome = start(mqtt("sub", at, &["-t", "kept", "-W", "0.5"]))
        .finish(b"")
        .await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(outcome.output.is_empty());
}

#[tokio::test]
async fn over_websocket() {
    let broker = Broker::start().await.expect("a broker");
    let at = broker.websocket();
    let sub = subscribed(at, &["--websocket", "-t", "#", "-C", "1"]).await;
    published(at, &["--websocket=/mqtt", "-t", "a", "-m", "hello"], b"").await;
    let outcome = sub.finish(b"").await;
    assert_eq!(outcome.output, b"hello\n", "{}", outcome.errors);
}

#[tokio::test]
async fn one_string_says_where_the_broker_is() {
    let broker = Broker::start().await.expect("a broker");
    for url in [
        format!("mqtt://{}", broker.tcp()),
        format!("ws://{}", broker.websocket()),
    ] {
        let publish = [
            "mqtt", "pub", "--url", &url, "-t", "a", "-m", "x", "-q", "1",
        ];
        let outcome = run(&publish, b"").await;
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    }
    for args in [
        &["--url", "http://localhost"][..],
        &["--url", "mqtt://ada:secret@localhost"],
        &["--url", "mqtt://localhost", "-p", "1883"],
        &["--url", "mqtt://localhost", "--ca", "none.pem"],
    ] {
        let all = [&["mqtt", "sub", "-t", "a"], args].concat();
        let outcome = run(&all, b"").await;
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.errors);
    }
}

#[tokio::test]
async fn a_will_is_published_when_it_is_killed() {
    let broker = Broker::start().await.expect("a broker");
    let at = broker.tcp();
    let watching = subscribed(at, &["-t", "gone", "-C", "1"]).await;
    let will = ["--will-topic", "gone", "--will-payload", "ada", "-t", "x"];
    drop(subscribed(at, &will).await);
    let outcome = watching.finish(b"").await;
    assert_eq!(outcome.output, b"ada\n", "{}", outcome.errors);
}

#[tokio::test]
async fn what_came_while_it_was_away_comes_later() {
    let broker = Broker::start().await.expect("a broker");
    let at = broker.tcp();
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("session");
    let store = store.to_str().expect("text");
    let session = ["-i", "ada", "-x", "60", "--store", store, "-q", "1"];
    let sub = |args: &[&'static str]| [&session[..], &["-t", "news"], args].concat();
    drop(subscribed(at, &sub(&[])).await);
    for message in ["one", "two", "three"] {
        published(at, &["-t", "news", "-q", "1", "-m", message], b"").await;
    }
    // Each once: what was not written is still there, and what was is not.
    for (count, expected) in [("1", "one\n"), ("2", "two\nthree\n")] {
        let outcome = start(mqtt("sub", at, &sub(&["-C", count])))
            .finish(b"")
            .await;
        let output = String::from_utf8_lossy(&outcome.output);
        assert_eq!(output, expected, "{}", outcome.errors);
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_refused() {
    let (listener, at) = listener().await;
    let authority = Authority::new();
    let certificate = authority.server(&["127.0.0.1"]);
    let chain = certificate.pem().as_bytes();
    let identity = Identity::from_pem(chain, certificate.key_pem().as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    tokio::spawn(async move {
        let mut listener = TlsListener::new(listener, acceptor);
        let _ = listener.accept().await;
    });
    let directory = tempfile::tempdir().expect("a directory");
    let ca = directory.path().join("another.pem");
    std::fs::write(&ca, Authority::new().pem()).expect("written");
    let ca = ca.to_str().expect("text");
    let publish = ["--tls", "--ca", ca, "-t", "a", "-m", "x"];
    let outcome = start(mqtt("pub", at, &publish)).finish(b"").await;
    assert_eq!(outcome.code, Some(5), "{}", outcome.errors);
    assert!(outcome.errors.contains("certificate"), "{}", outcome.errors);
}

/// A broker that answers each CONNECT, one a connection, as one of MQTT 3.1.1 answers one of 5 (the
/// eighth byte of the packet is the version).
async fn older_broker() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let (mut listener, at) = listener().await;
    let asked = tokio::spawn(async move {
        let mut versions = Vec::new();
        while let Ok(mut stream) = listener.accept().await {
            let mut bytes = [0; 256];
            let count = stream.read(&mut bytes).await.unwrap_or(0);
            let Some(&version) = bytes[..count].get(8) else {
                break;
            };
            versions.push(version);
            if version == 4 {
                stream
                    .write_all(b"\x20\x02\x00\x00")
                    .await
                    .expect("it reads");
                while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
                break;
            }
            stream
                .write_all(b"\x20\x02\x00\x01")
                .await
                .expect("it reads");
        }
        versions
    });
    (at, asked)
}

#[tokio::test]
async fn a_broker_of_3_1_1_is_told_as_one() {
    let (at, asked) = older_broker().await;
    for verb in [&["pub", "-m", "x"][..], &["sub"]] {
        let args = [&verb[1..], &["-t", "a"]].concat();
        let outcome = start(mqtt(verb[0], at, &args)).finish(b"").await;
        assert_eq!(outcome.code, Some(2), "{verb:?}: {}", outcome.errors);
        let expected = format!("jackfield: talking to {at}: the server speaks MQTT 3.1.1 only\n");
        assert_eq!(outcome.errors, expected, "{verb:?}");
    }
    published(at, &["--fall-back", "-t", "a", "-m", "x"], b"").await;
    assert_eq!(asked.await.expect("no panic"), [5, 5, 5, 4]);
}

#[tokio::test]
async fn a_wrong_login_is_refused() {
    // Several times: which of the outcomes is seen first is a matter of chance.
    for _ in 0..10 {
        for verb in [&["pub", "-m", "x"][..], &["sub"]] {
            let (mut listener, at) = listener().await;
            tokio::spawn(async move {
                let mut stream = listener.accept().await.expect("a connection");
                let mut bytes = [0; 256];
                let _ = stream.read(&mut bytes).await;
                let not_authorized = b"\x20\x03\x00\x87\x00";
                stream.write_all(not_authorized).await.expect("it reads");
            });
            let args = [&verb[1..], &["-t", "a", "-u", "ada"]].concat();
            let outcome = start(mqtt(verb[0], at, &args)).finish(b"").await;
            assert_eq!(outcome.code, Some(6), "{verb:?}: {}", outcome.errors);
            let expected = "the server refused the connection: not authorized (0x87)";
            assert!(outcome.errors.contains(expected), "{}", outcome.errors);
        }
    }
}

/// A broker that lets one client in, and answers what it subscribes to with these reasons.
async fn choosy_broker(reasons: &'static [u8]) -> SocketAddr {
    let (mut listener, at) = listener().await;
    tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("a connection");
        let mut bytes = [0; 256];
        let _ = stream.read(&mut bytes).await;
        stream.write_all(b"\x20\x03\0\0\0").await.expect("it reads");
        let count = stream.read(&mut bytes).await.expect("a packet");
        assert!(count > 4 && bytes[0] == 0x82, "{:?}", &bytes[..count]);
        let length = 3 + u8::try_from(reasons.len()).expect("a few");
        let answer = [&[0x90, length, bytes[2], bytes[3], 0], reasons].concat();
        stream.write_all(&answer).await.expect("it reads");
        while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    });
    at
}

#[tokio::test]
async fn each_filter_that_is_refused_is_told_once() {
    let told = |filter: &str| {
        format!("jackfield: subscribing to {filter}: refused: not authorized (0x87)\n")
    };
    let at = choosy_broker(&[0x87, 0x87]).await;
    let sub = ["-t", "a", "-t", "b"];
    let outcome = start(mqtt("sub", at, &sub)).finish(b"").await;
    assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
    assert_eq!(outcome.errors, told("a") + &told("b"));

    // Whoever gets one of them goes on.
    let at = choosy_broker(&[0x87, 0]).await;
    let sub = ["-t", "a", "-t", "b", "-W", "0.5"];
    let outcome = start(mqtt("sub", at, &sub)).finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(outcome.errors, told("a"));
}

#[tokio::test]
async fn what_fails_is_told() {
    let (silent, at) = listener().await;
    drop(silent);
    let outcome = start(mqtt("pub", at, &["-t", "a", "-m", "x"]))
        .finish(b"")
        .await;
    assert_eq!(outcome.code, Some(4), "{}", outcome.errors);
    let expected = format!("jackfield: connecting to {at}: ");
    assert!(outcome.errors.starts_with(&expected), "{}", outcome.errors);

    for args in [
        &["pub", "-t", "a/#", "-m", "x"][..],
        &["pub", "-t", "a"],
        &["sub", "-t", "a/#/b"],
        &["sub", "-t", "a", "-q", "3"],
        &["sub", "-t", "a", "-x", "60"],
    ] {
        let outcome = run(&[&["mqtt"], args].concat(), b"").await;
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.errors);
    }
}
