//! The handshake: who is let in, who is not, and what the error says.

mod common;

use std::error::Error as _;
use std::sync::Arc;

use common::{Fault, World, host, identity, pipe, roots};
use jackfield_socket::{ByteStream, Error, ErrorKind};
use jackfield_testing::certs::Authority;
use jackfield_tls::{
    Certificates, Identity, TlsAcceptor, TlsConfig, TlsConnector, TlsServerConfig, TlsVersion,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn what_was_agreed_can_be_read() {
    let mut world = World::new();
    world.server = world.server.with_alpn(["other", "irc"]);
    world.client = world.client.with_alpn(["irc"]);
    let (client, server) = world.connect(pipe(4096)).await;
    assert_eq!(client.version(), TlsVersion::Tls13);
    assert!(client.cipher_suite().starts_with("TLS13_"));
    assert_eq!(client.cipher_suite(), server.cipher_suite());
    assert_eq!(client.alpn(), Some(&b"irc"[..]));
    assert_eq!(server.alpn(), Some(&b"irc"[..]));
    assert!(client.peer_certificate().is_some());
    assert_eq!(server.peer_certificate(), None);
    let info = client.info();
    assert!(info.half_close);
    assert!(!info.may_truncate, "the pipe below says that it may");
    assert_eq!(
        info.peer,
        Some("192.0.2.1:1234".parse().expect("an address"))
    );
}

#[tokio::test]
async fn an_address_is_verified_too() {
    let mut world = World::new();
    world.server = TlsServerConfig::new(identity(&world.authority.server(&["127.0.0.1", "::1"])));
    for (name, welcome) in [("127.0.0.1", true), ("::1", true), ("127.0.0.2", false)] {
        let (client, _) = world.try_connect(pipe(4096), name).await;
        assert_eq!(client.is_ok(), welcome, "{name}: {client:?}");
    }
}

#[tokio::test]
async fn a_wrong_name() {
    let mut world = World::new();
    let certificate = world.authority.server(&["a.test", "*.b.test", "192.0.2.7"]);
    world.server = TlsServerConfig::new(identity(&certificate));
    let error = world.client_error().await;
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: its certificate is for another name: \
         a.test, *.b.test, 192.0.2.7"
    );
}

#[tokio::test]
async fn an_expired_certificate() {
    let mut world = World::new();
    let certificate = world.authority.expired_server(&["server.test"]);
    world.server = TlsServerConfig::new(identity(&certificate));
    let error = world.client_error().await;
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: its certificate (or one in its chain) expired on \
         2020-02-01; if it did not, this machine's clock is wrong"
    );
}

#[tokio::test]
async fn an_unknown_issuer() {
    let mut world = World::new();
    let other = rcgen::generate_simple_self_signed(["other.test".to_owned()]).expect("a root");
    let other = Certificates::from_der([other.cert.der().as_ref()]).expect("a root");
    world.client = TlsConfig::new().with_roots(other);
    let (client, server) = world.try_connect(pipe(4096), "server.test").await;
    let error = client.expect_err("another authority");
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: its certificate was not issued by one of the given roots"
    );
    // The server learns of it, too.
    let error = server.expect_err("the client said no");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    assert_eq!(
        error.to_string(),
        "TLS handshake with 192.0.2.1:1234: the peer does not trust the issuer of our certificate \
         (alert UnknownCA)"
    );
}

#[tokio::test]
async fn another_issuer_of_the_same_name() {
    let mut world = World::new();
    world.client = TlsConfig::new().with_roots(roots(&Authority::new()));
    let error = world.client_error().await;
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: its certificate has a wrong signature (does another \
         authority use its issuer's name?)"
    );
}

#[tokio::test]
async fn the_platform_does_not_trust_it() {
    let mut world = World::new();
    world.client = TlsConfig::new();
    // Where the platform trusts nobody at all, there is no connector to test.
    match TlsConnector::new(world.client.clone()) {
        Ok(_) => {
            let error = world.client_error().await;
            assert_eq!(error.kind(), ErrorKind::Certificate);
            assert_eq!(
                error.to_string(),
                "TLS handshake with server.test: its certificate was not issued by an authority \
                 that this system trusts"
            );
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Certificate),
    }
}

#[tokio::test]
async fn an_authority_that_serves() {
    let mut params = rcgen::CertificateParams::new(["server.test".to_owned()]).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let mut world = World::new();
    world.server = TlsServerConfig::new(
        Identity::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).expect("an identity"),
    );
    world.client =
        TlsConfig::new().with_roots(Certificates::from_pem(pem.as_bytes()).expect("a root"));
    let error = world.client_error().await;
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert!(error.to_string().contains("CA:TRUE"), "{error}");
}

#[tokio::test]
async fn a_client_certificate() {
    let mut world = World::new();
    world.server = world
        .server
        .clone()
        .with_client_roots(roots(&world.authority));

    // With TLS 1.3 the client is done before the server has looked: it learns when it reads.
    let (client, server) = world.try_connect(pipe(4096), "server.test").await;
    let error = server.expect_err("no certificate");
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(
        error.to_string(),
        "TLS handshake with 192.0.2.1:1234: it showed no certificate"
    );
    let error = client.expect("not refused yet").read_u8().await;
    let error = Error::from(error.expect_err("refused"));
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(
        error.to_string(),
        "the peer asks for our certificate (alert CertificateRequired)"
    );

    let stranger = Authority::new().client("mallory");
    let trusting = world.client.clone();
    world.client = trusting.clone().with_identity(identity(&stranger));
    let (_, server) = world.try_connect(pipe(4096), "server.test").await;
    let error = server.expect_err("a stranger");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");

    let alice = world.authority.client("alice");
    world.client = trusting.with_identity(identity(&alice));
    let (_, server) = world.connect(pipe(4096)).await;
    assert_eq!(server.peer_certificate(), Some(alice.der()));
}

#[tokio::test]
async fn no_application_protocol_in_common() {
    let mut world = World::new();
    world.server = world.server.with_alpn(["imap"]);
    world.client = world.client.with_alpn(["irc"]);
    let (client, server) = world.try_connect(pipe(4096), "server.test").await;
    let error = client.expect_err("irc is not spoken");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: the peer speaks none of the application protocols (ALPN) \
         that were offered (alert NoApplicationProtocol)"
    );
    let error = server.expect_err("imap is not offered");
    assert!(
        error.to_string().contains("no application protocol"),
        "{error}"
    );

    // A client that offers none is content with none.
    world.client = World::new().client.with_roots(roots(&world.authority));
    let (client, _) = world.connect(pipe(4096)).await;
    assert_eq!(client.alpn(), None);
}

#[tokio::test]
async fn a_name_of_a_protocol_has_a_length() {
    for name in [String::new(), "a".repeat(256)] {
        let config = TlsConfig::new().with_alpn([name]);
        let error = TlsConnector::new(config).expect_err("no such name");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_server_that_is_too_old() {
    let world = World::new();
    let connector = TlsConnector::new(world.client.clone().with_min_version(TlsVersion::Tls13))
        .expect("a connector");
    let (client, server) = pipe(4096);
    let acceptor = tls12_acceptor(&world);
    let name = host("server.test");
    let (client, _) = tokio::join!(connector.connect(client, &name), acceptor.accept(server));
    let error = client.expect_err("TLS 1.2 is not allowed");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: the peer speaks none of the TLS versions that were \
         offered (alert ProtocolVersion)"
    );
}

#[tokio::test]
async fn no_newer_version_is_spoken_than_the_newest() {
    let tls12 = |world: &World| world.client.clone().with_max_version(TlsVersion::Tls12);
    let mut world = World::new();
    world.client = tls12(&world);
    let (client, server) = world.connect(pipe(4096)).await;
    assert_eq!(client.version(), TlsVersion::Tls12);
    assert_eq!(server.version(), TlsVersion::Tls12);

    world.server = world.server.with_min_version(TlsVersion::Tls13);
    assert_eq!(world.client_error().await.kind(), ErrorKind::Protocol);

    let neither = tls12(&world).with_min_version(TlsVersion::Tls13);
    let error = TlsConnector::new(neither).expect_err("no version is left");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn tls_1_2_has_no_half_close_to_rely_on() {
    let world = World::new();
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");
    let (client, server) = pipe(4096);
    let acceptor = tls12_acceptor(&world);
    let name = host("server.test");
    let (client, server) = tokio::join!(connector.connect(client, &name), acceptor.accept(server));
    let mut client = client.expect("TLS 1.2 is allowed");
    assert_eq!(client.version(), TlsVersion::Tls12);
    assert!(!client.info().half_close);

    // It ends in order all the same.
    let mut server = server.expect("connected");
    let serve = async {
        let mut text = String::new();
        server.read_to_string(&mut text).await.expect("an end");
        server.shutdown().await.expect("an end");
        text
    };
    let ask = async {
        client.write_all(b"hello").await.expect("written");
        client.shutdown().await.expect("ended");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("an end");
        rest
    };
    let (text, rest) = tokio::join!(serve, ask);
    assert_eq!(text, "hello");
    assert_eq!(rest, b"");
}

/// A server that speaks nothing newer than TLS 1.2.
fn tls12_acceptor(world: &World) -> tokio_rustls::TlsAcceptor {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    let certificate = world.authority.server(&["server.test"]);
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS12])
    .expect("a version")
    .with_no_client_auth()
    .with_single_cert(
        vec![CertificateDer::from(certificate.der().to_vec())],
        PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).expect("a key"),
    )
    .expect("a certificate");
    Arc::new(config).into()
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls() {
    let connector = TlsConnector::new(World::new().client).expect("a connector");
    let (client, mut server) = pipe(4096);
    server
        .write_all(b"220 mail.test ESMTP\r\n")
        .await
        .expect("the pipe has room");
    let error = connector
        .connect(client, &host("server.test"))
        .await
        .expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: what it sends is not TLS (a port without TLS, or one that \
         wants STARTTLS?)"
    );
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls() {
    let acceptor = TlsAcceptor::new(World::new().server).expect("an acceptor");
    for text in ["GET / HTTP/1.1\r\n\r\n", "NICK alice\r\n"] {
        let (mut client, server) = pipe(4096);
        client
            .write_all(text.as_bytes())
            .await
            .expect("the pipe has room");
        let error = acceptor.accept(server).await.expect_err("no TLS");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("is not TLS"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up() {
    let connector = TlsConnector::new(World::new().client).expect("a connector");
    let (client, server) = pipe(4096);
    drop(server);
    let error = connector
        .connect(client, &host("server.test"))
        .await
        .expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);

    let (client, _server) = pipe(4096);
    client.control().lock().expect("no panic").fault = Some(Fault::Reset(0));
    let error = connector
        .connect(client, &host("server.test"))
        .await
        .expect_err("it is reset at once");
    assert_eq!(error.kind(), ErrorKind::Reset);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: the stream failed"
    );
    assert!(error.source().is_some(), "the pipe's own error");

    let (client, mut server) = pipe(4096);
    server.shutdown().await.expect("an end");
    let error = connector
        .connect(client, &host("server.test"))
        .await
        .expect_err("it ends at once");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(
        error.to_string(),
        "TLS handshake with server.test: the peer hung up half-way"
    );
}

#[tokio::test]
async fn plaintext_after_the_go_ahead_is_refused() {
    let connector = TlsConnector::new(World::new().client).expect("a connector");
    let (client, mut server) = pipe(4096);
    let error = connector
        .upgrade(client, b"* OK injected\r\n", &host("server.test"))
        .await
        .expect_err("an injection");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "server.test sent 15 bytes of plaintext after the server's go-ahead for TLS"
    );
    // Nothing was said to whoever is there.
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.expect("an end");
    assert_eq!(heard, b"");
}

#[tokio::test]
async fn a_stream_is_secured_half_way() {
    let world = World::new();
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let (mut client, mut server) = pipe(4096);
    let ask = async {
        client.write_all(b"STARTTLS\r\n").await.expect("written");
        let mut go_ahead = [0; 4];
        client.read_exact(&mut go_ahead).await.expect("a go-ahead");
        let name = host("server.test");
        let mut client = connector.upgrade(client, b"", &name).await.expect("secure");
        client.write_u8(7).await.expect("written");
        client.flush().await.expect("flushed");
        client
    };
    let serve = async {
        let mut asked = [0; 10];
        server.read_exact(&mut asked).await.expect("asked");
        server.write_all(b"OK\r\n").await.expect("written");
        let mut server = acceptor.accept(server).await.expect("secure");
        assert_eq!(server.read_u8().await.expect("a byte"), 7);
        server
    };
    tokio::join!(ask, serve);
}

#[test]
fn what_is_no_identity_is_refused_and_not_quoted() {
    let certificate = Authority::new().server(&["server.test"]);
    let broken = certificate.key_pem().replace("KEY-----", "KEY");
    let other = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for (chain, key, text) in [
        ("", certificate.key_pem(), "no certificate in the PEM text"),
        (certificate.pem(), "", "no private key in the PEM text"),
        (
            certificate.pem(),
            &broken,
            "the PEM text of the private key can't be read",
        ),
        (
            certificate.pem(),
            other,
            "the certificate or its private key can't be used",
        ),
    ] {
        let error = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), text);
        let everything = format!("{error:?}");
        assert!(!everything.contains("c2VjcmV0"), "{everything}");
    }
    let shown = format!("{:?}", identity(&certificate));
    assert_eq!(shown, "Identity { certificates: 1, .. }");
}

#[test]
fn what_is_no_root_is_refused() {
    let junk = Certificates::from_der([b"junk".as_slice()]).expect("bytes");
    let error = TlsConnector::new(TlsConfig::new().with_roots(junk)).expect_err("no certificate");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "root certificate 1 of 1 is not a certificate"
    );
}
