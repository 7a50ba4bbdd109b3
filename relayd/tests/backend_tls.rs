//! `wss://`, natively: the relay's certificate is checked before anything is asked of it.

use std::net::SocketAddr;

use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, TlsFiles, Token};
use jackfield_socket::{ErrorKind, TcpConnect, TcpOptions};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "the-secret-of-the-tests";

/// Starts a relay with this certificate.
async fn start(certificate: &Certificate) -> SocketAddr {
    let directory = tempfile::tempdir().expect("a directory");
    let files = certificate
        .write_to(directory.path(), "relay")
        .expect("both files");
    let secret = Secret::new(SECRET).expect("long enough");
    let mut token = Token::new("tests", Credential::Secret(secret));
    token.policy.allow = vec!["127.0.0.0/8:*".parse().expect("a rule")];
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    config.hosts = vec!["localhost".parse().expect("a host")];
    config.allow_without_origin = true;
    config.tokens = vec![token];
    config.tls = Some(TlsFiles::new(files.certificate, files.key).into());
    let relay = Relayd::bind(config).await.expect("a free port");
    let address = relay.local_addrs()[0];
    tokio::spawn(relay.run(std::future::pending()));
    address
}

/// A client of it that trusts this authority alone.
fn client(relay: SocketAddr, trusted: &Authority) -> Relay {
    let roots = Certificates::from_pem(trusted.pem().as_bytes()).expect("a certificate");
    let tls = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a connector");
    let config = RelayConfig::new(&format!("wss://localhost:{}/", relay.port()))
        .and_then(|config| config.with_token(SECRET))
        .expect("a good configuration");
    let (relay, connection) = Relay::over(Native, config.with_tls(tls));
    tokio::spawn(connection);
    relay
}

#[tokio::test]
async fn streams_go_through_a_relay_that_is_who_it_says() {
    let authority = Authority::new();
    let relay = start(&authority.server(&["localhost"])).await;
    let relay = client(relay, &authority);
    relay.ready().await.expect("trusted");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = listener.local_addr().expect("bound").into();
    let echo = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await
    };
    let speak = async {
        let options = TcpOptions::default();
        let mut stream = relay.connect(&to, &options).await.expect("reached");
        stream.write_all(b"through TLS").await.expect("sent");
        stream.shutdown().await.expect("ended");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an end");
        answer
    };
    let (echoed, answer) = tokio::join!(echo, speak);
    assert_eq!((echoed.expect("an end"), &*answer), (11, "through TLS"));
}

#[tokio::test]
async fn a_relay_with_a_wrong_certificate_gets_nothing() {
    let authority = Authority::new();
    for (certificate, trusted) in [
        (authority.server(&["localhost"]), &Authority::new()),
        (authority.server(&["relay.example"]), &authority),
        (authority.expired_server(&["localhost"]), &authority),
    ] {
        let relay = client(start(&certificate).await, trusted);
        let error = relay.ready().await.expect_err("not trusted");
        assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
        let to = "127.0.0.1:9".parse().expect("an endpoint");
        let error = relay
            .connect(&to, &TcpOptions::default())
            .await
            .expect_err("not trusted");
        assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    }
}
