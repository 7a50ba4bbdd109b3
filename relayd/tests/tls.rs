//! `wss`: the relay's own TLS.

mod common;

use std::net::SocketAddr;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::program::{Program, configuration};
use common::{SECRET, config, headers, request, token, within};
use jackfield_relayd::{Relayd, TlsFiles};
use jackfield_testing::certs::Authority;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

/// Writes a certificate for `localhost` and its key, and returns the certificate.
fn new_certificate(files: &TlsFiles) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    std::fs::write(&files.certificate, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    made.cert.der().clone()
}

/// Trusts this certificate alone.
fn connector(trusted: &CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The head of the relay's answer to a WebSocket's request over TLS; an error where its certificate
/// is another one.
async fn answer(relay: SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    answer_after(b"", relay, trusted).await
}

/// The same, with bytes before TLS.
async fn answer_after(
    before: &[u8],
    relay: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(relay).await?;
    stream.write_all(before).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = within(connector(trusted).connect(name, stream)).await?;
    let mut request = "GET / HTTP/1.1\r\n".to_owned();
    let origin = Some(common::ORIGIN);
    for (name, value) in headers(&format!("localhost:{}", relay.port()), origin, Some(SECRET)) {
        request.extend([&*name, ": ", &*value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await?);
    }
    Ok(String::from_utf8(head).expect("text"))
}

#[tokio::test]
async fn a_proxy_speaks_before_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name| directory.path().join(name);
    let files = TlsFiles::new(file("relay.crt"), file("relay.key"));
    let certificate = new_certificate(&files);
    let mut config = config(token());
    config.tls = Some(files.into());
    config.hosts = vec!["localhost".parse().expect("a host")];
    config.proxies.trusted = vec!["127.0.0.1".parse().expect("an address")];
    let relay = common::TestRelay::start(config).await;
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    let head = answer_after(line, relay.address, &certificate).await;
    let head = head.expect("what follows is TLS");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let silent = answer(relay.address, &certificate).await;
    silent.expect_err("a trusted proxy has to tell");
}

#[tokio::test]
async fn a_websocket_opens_over_tls_and_certificates_can_be_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name| directory.path().join(name);
    let files = TlsFiles::new(file("relay.crt"), file("relay.key"));
    let first = new_certificate(&files);
    let mut config = config(token());
    config.tls = Some(files.clone().into());
    config.hosts = vec!["localhost".parse().expect("a host")];
    let relay = Relayd::bind(config).await.expect("a free port");
    let address = relay.local_addrs()[0];
    let reload = relay.reload_certificate();
    let running = tokio::spawn(relay.run(std::future::pending()));

    let head = answer(address, &first).await.expect("trusted");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");

    let second = new_certificate(&files);
    assert!(answer(address, &second).await.is_err(), "not in use yet");
    reload();
    assert!(
        answer(address, &first).await.is_err(),
        "not in use any more"
    );
    answer(address, &second).await.expect("trusted");

    // Files that can't be used change nothing.
    std::fs::write(&files.certificate, "no certificate").expect("written");
    reload();
    answer(address, &second).await.expect("still in use");
    running.abort();
}

/// Each by itself would be in time.
#[tokio::test]
async fn one_deadline_is_over_tls_and_the_request() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name| directory.path().join(name);
    let files = TlsFiles::new(file("relay.crt"), file("relay.key"));
    let trusted = new_certificate(&files);
    let mut config = config(token());
    config.tls = Some(files.into());
    config.handshake_deadline = Duration::from_secs(3);
    let relay = Relayd::bind(config).await.expect("a free port");
    let address = relay.local_addrs()[0];
    let running = tokio::spawn(relay.run(std::future::pending()));

    let begun = Instant::now();
    let stream = TcpStream::connect(address).await.expect("it listens");
    sleep(Duration::from_millis(2500)).await;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = within(connector(&trusted).connect(name, stream))
        .await
        .expect("in time");
    let read = within(stream.read(&mut [0])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    // With a deadline for each it would be 5.5 s.
    assert!(begun.elapsed() < Duration::from_secs(5));
    running.abort();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name);
    let files = TlsFiles::new(file("relay.crt"), file("relay.key"));
    let start = |files: &TlsFiles| {
        let mut config = config(token());
        config.tls = Some(files.clone().into());
        async move {
            let error = Relayd::bind(config).await.expect_err("it can't");
            error.to_string()
        }
    };
    let named = |error: &str, path: &Path| error.contains(&*path.to_string_lossy());
    let error = start(&files).await;
    assert!(named(&error, &files.certificate), "{error}");
    new_certificate(&files);
    std::fs::write(&files.certificate, "").expect("written");
    let error = start(&files).await;
    assert!(named(&error, &files.certificate), "{error}");
    new_certificate(&files);
    std::fs::write(&files.key, "").expect("written");
    let error = start(&files).await;
    assert!(named(&error, &files.key), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_certificate_that_has_ended_is_told_until_there_is_another() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().expect("a directory");
    let ended = authority.expired_server(&["localhost"]);
    ended.write_to(directory.path(), "relay").expect("written");
    let text = configuration(
        "health = '127.0.0.1:0'\nmetrics = '127.0.0.1:0'",
        "[tls]\ncertificate_file = 'relay.pem'\nkey_file = 'relay.key'",
    );
    let program = Program::start_in(directory, &text).await;
    let said = program.says("the certificate has ended").await;
    assert!(said.contains("Sat, 01 Feb 2020 00:00:00 GMT"), "{said}");
    let health = program.address_of("answering for health").await;
    let ready = async || request(health, "GET /readyz HTTP/1.0", &[]).await.1;
    let answer = ready().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("the certificate has ended\n"), "{answer}");
    let metrics = program.address_of("answering with metrics").await;
    let metrics = request(metrics, "GET /metrics HTTP/1.0", &[]).await.1;
    let line = "jackfield_certificate_not_after_seconds 1580515200";
    assert!(metrics.contains(line), "{metrics}");

    let another = authority.server(&["localhost"]);
    let written = another.write_to(program.directory(), "relay");
    written.expect("written");
    let pid = program.process.id().to_string();
    let told = Command::new("kill").args(["-HUP", &pid]).status();
    assert!(told.expect("kill runs").success());
    program.says("reloaded the configuration").await;
    let answer = ready().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
