//! A relay whose certificate authority is away, or worse. `tests/servers` has one that issues.

#![cfg(feature = "acme")]

mod common;

use std::net::SocketAddr;
use std::path::Path;

use common::{config, keep, token, within};
use jackfield_relayd::{AcmeConfig, Config, Relayd};
use jackfield_testing::certs::Authority;
use jackfield_testing::closed::Closed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A configuration whose authority is there.
fn with_authority(at: SocketAddr, folder: &Path) -> Config {
    let roots = Authority::new();
    let directory = format!("https://{at}/dir");
    let acme = AcmeConfig::new(&directory, Some(roots.pem()), &["localhost"], folder);
    let mut config = config(token());
    config.tls = Some(acme.expect("a configuration").into());
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    (config.health, config.metrics) = (Some(any), Some(any));
    config
}

async fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = within(stream.read_to_string(&mut answer)).await;
    read.expect("an answer");
    answer
}

/// The first message of a client's TLS, with these protocols (ALPN).
fn client_hello(protocols: &[&[u8]]) -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = "localhost".try_into().expect("a name");
    let connection = rustls::ClientConnection::new(config.into(), name);
    let mut hello = Vec::new();
    let written = connection.expect("a client").write_tls(&mut hello);
    assert_eq!(written.expect("written"), hello.len());
    hello
}

#[tokio::test]
async fn a_relay_without_a_certificate_listens_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    // Whoever asks there waits.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = keep(silent).parse().expect("an address");
    let relay = Relayd::bind(with_authority(at, folder.path())).await;
    let relay = relay.expect("it starts");
    let (health, metrics) = (relay.health_addr(), relay.metrics_addr());
    let (health, metrics) = (health.expect("there"), metrics.expect("there"));
    let address = relay.local_addrs()[0];
    let running = tokio::spawn(relay.run(std::future::pending()));

    let ready = get(health, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(ready.ends_with("no certificate yet\n"), "{ready}");
    let healthy = get(health, "/healthz").await;
    assert!(healthy.starts_with("HTTP/1.1 200 "), "{healthy}");
    // Clients, and who asks for challenges that there are none of, are sent away.
    for protocols in [&[&b"http/1.1"[..]][..], &[b"acme-tls/1"], &[]] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let hello = client_hello(protocols);
        stream.write_all(&hello).await.expect("sent");
        let read = within(stream.read(&mut [0; 16])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    let text = get(metrics, "/metrics").await;
    for line in [
        "jackfield_handshakes_total{result=\"tls_failed\"} 3",
        "jackfield_certificate_orders_total{result=\"issued\"} 0",
        "jackfield_certificate_orders_total{result=\"failed\"} 0",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert!(!text.contains("not_after"), "{text}");
    assert!(!running.is_finished());
    running.abort();
}

#[tokio::test]
async fn an_authority_that_is_away_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let closed = Closed::tcp();
    let relay = Relayd::bind(with_authority(closed.address(), folder.path())).await;
    let relay = relay.expect("it starts");
    let metrics = relay.metrics_addr().expect("there");
    let running = tokio::spawn(relay.run(std::future::pending()));
    let counted = async {
        let failed = "jackfield_certificate_orders_total{result=\"failed\"} 1";
        while !get(metrics, "/metrics").await.contains(failed) {
            tokio::task::yield_now().await;
        }
    };
    within(counted).await;
    running.abort();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let config = with_authority("127.0.0.1:1".parse().expect("an address"), &file);
    // Only to look leaves nothing behind.
    config.check().expect("it can't be seen");
    let error = Relayd::bind(config).await.expect_err("it is a file");
    let text = error.to_string();
    assert!(text.contains("tls.acme") && text.contains("file"), "{text}");
}
