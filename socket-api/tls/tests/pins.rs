//! Certificates and keys that are pinned, and what a refusal tells of those that are not.

mod common;

use std::error::Error as _;
use std::sync::Arc;

use common::{Pipe, World, host, identity, pipe};
use jackfield_socket::{ByteStream, Error, ErrorKind, Result};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{
    CertificateError, CertificateProblem, Pin, TlsConfig, TlsConnector, TlsServerConfig, TlsStream,
    TlsVersion,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate of X.509 version 1, as `openssl x509 -req -signkey` makes them, which was valid for
/// one day; and its key.
const VERSION_1: (&str, &str) = (
    "-----BEGIN CERTIFICATE-----
MIIBHjCBxQIURAsqplJiJis3RB0YY7RrSMb6EpwwCgYIKoZIzj0EAwIwEjEQMA4G
A1UEAwwHcHJpbnRlcjAeFw0yNjExMjgyMDMyMDhaFw0yNjExMjkyMDMyMDhaMBIx
EDAOBgNVBAMMB3ByaW50ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATWet3Z
PEvuqiiw+PIW0BfjFyBM8L6Rx87bXtLGdEtSvr85UWyxKyvzy/6TlxhWgVSy/zud
QN7zTBVYkC8MLRj8MAoGCCqGSM49BAMCA0gAMEUCIQC/yBQMtQeMm1s3giamsSc6
m6yKQARwk+bTInK2LwCc4AIgD+h58INHMVvIw4kxtnk6dWaGY/DRJXZ9OvIVFjDT
jTs=
-----END CERTIFICATE-----
",
    "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOXk5gXWYZ3RGcqeN
y3+n8uh8T+phpsOOVkWo3IuJKZChRANCAATWet3ZPEvuqiiw+PIW0BfjFyBM8L6R
x87bXtLGdEtSvr85UWyxKyvzy/6TlxhWgVSy/zudQN7zTBVYkC8MLRj8
-----END PRIVATE KEY-----
",
);

const VERSIONS: [&[&rustls::SupportedProtocolVersion]; 2] =
    [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

/// A server that shows this certificate and signs with this key, whether or not the two belong
/// together.
fn server(
    certificate: &str,
    key: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> tokio_rustls::TlsAcceptor {
    let provider = rustls::crypto::ring::default_provider();
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    Arc::new(config).into()
}

async fn connect(
    connector: &TlsConnector,
    acceptor: &tokio_rustls::TlsAcceptor,
) -> (Result<TlsStream<Pipe>>, Option<rustls::HandshakeKind>) {
    let (ours, theirs) = pipe(100_000);
    let name = host("nas.local");
    let (stream, accepted) = tokio::join!(connector.connect(ours, &name), acceptor.accept(theirs));
    let kind = accepted.ok().and_then(|it| it.get_ref().1.handshake_kind());
    (stream, kind)
}

fn pinned(pins: impl IntoIterator<Item = Pin>) -> TlsConnector {
    let config = pins.into_iter().fold(TlsConfig::new(), TlsConfig::with_pin);
    TlsConnector::new(config).expect("a connector")
}

fn refusal(error: &Error) -> &CertificateError {
    CertificateError::find(error).expect("a certificate that was refused")
}

fn der(pem: &str) -> Vec<u8> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    der.to_vec()
}

fn self_signed(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let params = rcgen::CertificateParams::new(names).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_pin_stands_for_issuer_and_name_and_time() {
    let expired = Authority::new().expired_server(&["other.test"]);
    let sorts = [
        self_signed(&["other.test"], &rcgen::PKCS_ECDSA_P256_SHA256),
        self_signed(&["other.test"], &rcgen::PKCS_ECDSA_P384_SHA384),
        self_signed(&["other.test"], &rcgen::PKCS_ED25519),
        (expired.pem().to_owned(), expired.key_pem().to_owned()),
        (VERSION_1.0.to_owned(), VERSION_1.1.to_owned()),
    ];
    let other = Pin::of_certificate(b"another");
    for (certificate, key) in &sorts {
        let der = der(certificate);
        for versions in VERSIONS {
            let acceptor = server(certificate, key, versions);
            for pin in [Pin::of_certificate(&der), Pin::of_key(&der).expect("a key")] {
                // One of several is enough.
                let (stream, _) = connect(&pinned([other, pin]), &acceptor).await;
                let stream = stream.unwrap_or_else(|error| panic!("{pin}: {error:?}"));
                assert_eq!(stream.peer_certificate(), Some(&der[..]));
                assert_eq!(stream.peer_certificates().count(), 1);
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_pinned_is_refused_and_in_the_error() {
    let (certificate, key) = self_signed(&["nas.local"], &rcgen::PKCS_ECDSA_P256_SHA256);
    let der = der(&certificate);
    for versions in VERSIONS {
        let acceptor = server(&certificate, &key, versions);
        let connector = pinned([
            // The hashes are right, but of the other thing.
            Pin::key(*Pin::of_certificate(&der).sha256()),
            Pin::certificate(*Pin::of_key(&der).expect("a key").sha256()),
        ]);
        let (stream, _) = connect(&connector, &acceptor).await;
        let error = stream.expect_err("not pinned");
        assert_eq!(error.kind(), ErrorKind::Certificate);
        assert_eq!(
            error.to_string(),
            "TLS handshake with nas.local: its certificate is none of those pinned, nor is its key"
        );
        let refused = refusal(&error);
        assert_eq!(refused.reason(), CertificateProblem::NotPinned);
        assert_eq!(refused.certificate(), der);
        assert_eq!(refused.chain().len(), 1);

        // First use: what was refused is pinned.
        for pin in [refused.certificate_pin(), refused.key_pin().expect("a key")] {
            let told = error.source().expect("the refusal").to_string();
            assert!(told.contains(&pin.to_string()), "{told}");
            let (stream, _) = connect(&pinned([pin]), &acceptor).await;
            stream.expect("pinned");
        }
    }
}

/// Whoever stands between has the certificate, which is no secret, but not its key.
#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_refused() {
    let authority = Authority::new();
    let real = authority.server(&["nas.local"]);
    let (_, other_key) = self_signed(&["nas.local"], &rcgen::PKCS_ECDSA_P256_SHA256);
    let roots = common::roots(&authority);
    for versions in VERSIONS {
        let acceptor = server(real.pem(), &other_key, versions);
        for connector in [
            pinned([Pin::of_certificate(real.der())]),
            pinned([Pin::of_key(real.der()).expect("a key")]),
            TlsConnector::new(TlsConfig::new().with_roots(roots.clone())).expect("a connector"),
        ] {
            let (stream, _) = connect(&connector, &acceptor).await;
            let error = stream.expect_err("not its key");
            assert_eq!(error.kind(), ErrorKind::Certificate);
            assert_eq!(
                error.to_string(),
                "TLS handshake with nas.local: it does not hold the key of the certificate it \
                 showed"
            );
            // It is not to be pinned by anyone.
            assert_eq!(CertificateError::find(&error), None);
        }
    }
}

/// A certificate further up the chain is not the server's, even if its key is pinned.
#[tokio::test]
async fn an_issuer_that_is_pinned_vouches_for_nobody() {
    let authority = Authority::new();
    let made = authority.server(&["nas.local"]);
    let chain = format!("{}{}", made.pem(), authority.pem());
    for versions in VERSIONS {
        let acceptor = server(&chain, made.key_pem(), versions);
        let connector = pinned([
            Pin::of_certificate(authority.der()),
            Pin::of_key(authority.der()).expect("a key"),
        ]);
        let (stream, _) = connect(&connector, &acceptor).await;
        let error = stream.expect_err("not the server's");
        let shown: Vec<&[u8]> = refusal(&error).chain().collect();
        assert_eq!(shown, [made.der(), authority.der()]);
    }
}

#[tokio::test]
async fn each_refusal_has_its_reason_and_its_own_certificate() {
    let authority = Authority::new();
    let refused = async |certificate: &Certificate| {
        let mut world = World::new();
        world.client = TlsConfig::new().with_roots(common::roots(&authority));
        world.server = TlsServerConfig::new(identity(certificate));
        world.client_error().await
    };
    let wrong_name = authority.server(&["other.test"]);
    let expired = authority.expired_server(&["server.test"]);
    let stranger = Authority::new().server(&["server.test"]);
    // Side by side, in one task.
    let (one, two, three) =
        tokio::join!(refused(&wrong_name), refused(&expired), refused(&stranger));
    for (error, certificate, reason) in [
        (one, wrong_name, CertificateProblem::WrongName),
        (two, expired, CertificateProblem::Expired),
        // The authorities' names are the same.
        (three, stranger, CertificateProblem::Unusable),
    ] {
        let refused = refusal(&error);
        assert_eq!(refused.reason(), reason);
        assert_eq!(refused.certificate(), certificate.der());
    }

    let (certificate, key) = self_signed(&["nas.local"], &rcgen::PKCS_ED25519);
    let roots = common::roots(&authority);
    let connector = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a connector");
    let acceptor = server(&certificate, &key, VERSIONS[1]);
    let error = connect(&connector, &acceptor).await.0.expect_err("unknown");
    assert_eq!(refusal(&error).reason(), CertificateProblem::UnknownIssuer);
    // It is found below other errors, too.
    let above = Error::new(ErrorKind::Other, "no mail").with_source(error);
    assert_eq!(refusal(&above).certificate(), der(&certificate));
    let failed = std::io::Error::from(above);
    assert!(CertificateError::find(&failed).is_some());
}

#[test]
fn roots_and_pins_exclude_each_other() {
    let config = TlsConfig::new()
        .with_roots(common::roots(&Authority::new()))
        .with_pin(Pin::key([0; 32]));
    let error = TlsConnector::new(config).expect_err("which of them?");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn sessions_are_still_resumed() {
    use tokio::io::AsyncReadExt;

    let authority = Authority::new();
    let made = authority.server(&["nas.local"]);
    let acceptor = server(made.pem(), made.key_pem(), VERSIONS[1]);
    for connector in [
        pinned([Pin::of_certificate(made.der())]),
        TlsConnector::new(TlsConfig::new().with_roots(common::roots(&authority))).expect("a root"),
    ] {
        let (stream, kind) = connect(&connector, &acceptor).await;
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
        // The tickets come with what is read.
        let mut stream = stream.expect("connected");
        stream.read_u8().await.expect_err("the server is gone");
        let (_, kind) = connect(&connector, &acceptor).await;
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
    }
}

#[tokio::test]
async fn keying_material_is_the_same_at_both_ends() {
    let world = World::new();
    let (client, server) = world.connect(pipe(4096)).await;
    let binding = client.tls_exporter().expect("TLS 1.3");
    assert_eq!(server.tls_exporter(), Some(binding));
    let info = client.info();
    assert!(info.encrypted && !client.get_ref().info().encrypted);
    assert_eq!(info.tls_exporter, Some(binding));
    let (other, _) = world.connect(pipe(4096)).await;
    assert_ne!(other.tls_exporter(), Some(binding));

    let export = |stream: &TlsStream<Pipe>, label: &[u8], context| {
        let mut out = [0; 40];
        stream
            .export_keying_material(&mut out, label, context)
            .expect("exported");
        out
    };
    let ours = export(&client, b"EXPERIMENTAL one", None);
    assert_eq!(ours, export(&server, b"EXPERIMENTAL one", None));
    assert_ne!(ours, export(&client, b"EXPERIMENTAL two", None));
    assert_ne!(ours, export(&client, b"EXPERIMENTAL one", Some(b"context")));

    for (label, context, len) in [
        (&b""[..], None, 1),
        (&[b'x'; 250], None, 1),
        (b"x", Some(&vec![0; 65_536][..]), 1),
        (b"x", None, 0),
        (b"x", None, 8_161),
    ] {
        let mut out = vec![0; len];
        let error = client
            .export_keying_material(&mut out, label, context)
            .expect_err("out of range");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    client
        .export_keying_material(&mut [0; 8_160], &[b'x'; 249], Some(&vec![0; 65_535]))
        .expect("the largest");
}

#[tokio::test]
async fn tls_1_2_exports_but_binds_no_login() {
    let made = Authority::new().server(&["nas.local"]);
    let acceptor = server(made.pem(), made.key_pem(), VERSIONS[0]);
    let connector = pinned([Pin::of_certificate(made.der())]);
    let (ours, theirs) = pipe(100_000);
    let name = host("nas.local");
    let (client, server) = tokio::join!(connector.connect(ours, &name), acceptor.accept(theirs));
    let (client, server) = (client.expect("connected"), server.expect("connected"));
    assert_eq!(client.version(), TlsVersion::Tls12);
    assert_eq!(client.tls_exporter(), None);
    let info = client.info();
    assert!(info.encrypted && info.tls_exporter.is_none());
    let mut out = [0; 40];
    client
        .export_keying_material(&mut out, b"EXPERIMENTAL", Some(b""))
        .expect("exported");
    let theirs = server.get_ref().1;
    let expected = theirs.export_keying_material([0; 40], b"EXPERIMENTAL", Some(b""));
    assert_eq!(out, expected.expect("exported"));
    client
        .export_keying_material(&mut [0; 8_160], &[b'x'; 249], Some(&vec![0; 65_535]))
        .expect("the largest");
}

#[tokio::test]
async fn the_stream_below_can_be_looked_at() {
    let (ours, theirs) = pipe(4096);
    let control = ours.control();
    let (client, _server) = World::new().connect((ours, theirs)).await;
    assert!(Arc::ptr_eq(&client.get_ref().control(), &control));
}
