//! A server whose certificate is wrong is refused before a byte of the protocol is said.

use jackfield_mqtt::codec::Version;
use jackfield_native::Native;
use jackfield_server_tests::mqtt::{self, Device};
use jackfield_server_tests::{NAMES, trusting};
use jackfield_socket::{Endpoint, ErrorKind, TcpConnect, TcpOptions};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_tls::{CertificateError, Tls, TlsConfig, TlsConnector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What connecting by this name comes to, with a server that shows this certificate.
async fn connect(
    network: &Tls<Native>,
    certificate: &Certificate,
    name: &str,
) -> Result<(), (ErrorKind, String)> {
    let server = Inspircd::start(certificate).await.expect("the server");
    let to = Endpoint::new(
        name.parse::<jackfield_socket::Host>().expect("a host"),
        server.tls().port(),
    );
    let mut stream = network
        .connect(&to, &TcpOptions::default())
        .await
        .map_err(|error| (error.kind(), error.to_string()))?;
    // What was verified is what speaks.
    stream.write_all(b"CAP LS\r\n").await.expect("a question");
    let mut answer = [0; 1];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b":");
    Ok(())
}

#[tokio::test]
async fn a_right_certificate_is_accepted_by_name_and_by_address() {
    let authority = Authority::new();
    let network = trusting(&authority);
    for name in NAMES {
        let result = connect(&network, &authority.server(&NAMES), name).await;
        assert_eq!(result, Ok(()), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_refused() {
    let authority = Authority::new();
    let network = trusting(&authority);
    for (what, certificate) in [
        ("another name", authority.server(&["irc.example.org"])),
        ("an unknown issuer", Authority::new().server(&NAMES)),
        ("a time that is over", authority.expired_server(&NAMES)),
    ] {
        let result = connect(&network, &certificate, "localhost").await;
        let (kind, _) = result.expect_err(what);
        assert_eq!(kind, ErrorKind::Certificate, "{what}");
    }
}

/// A broker at home: its certificate is for another name, by nobody who is known, and long over.
#[tokio::test]
async fn a_broker_is_met_for_the_first_time_and_pinned() {
    let certificate = Authority::new().expired_server(&["printer.local"]);
    let settings = Settings::default();
    let broker = Mosquitto::start(&certificate, &settings).await;
    let broker = broker.expect("the broker");
    let to = mqtt::at(broker.tls());

    let unknown = trusting(&Authority::new());
    let error = unknown.connect(&to, &TcpOptions::default()).await;
    let error = error.expect_err("nobody knows it");
    assert_eq!(error.kind(), ErrorKind::Certificate);
    let refused = CertificateError::find(&error).expect("what was refused");
    assert_eq!(refused.certificate(), certificate.der());

    for pin in [refused.certificate_pin(), refused.key_pin().expect("a key")] {
        let pinned = TlsConnector::new(TlsConfig::new().with_pin(pin)).expect("a connector");
        let config = mqtt::config("device", Version::V5);
        let mut device = Device::start(Tls::new(Native, pinned), &to, config);
        device.connected().await;
        device.quit().await;
    }

    // The client tells it, too, and does not try again.
    let config = mqtt::config("device", Version::V5);
    let mut device = Device::start(unknown, &to, config);
    let error = device.disconnected().await;
    assert!(error.is_permanent(), "{error}");
    let refused = CertificateError::find(&error).expect("what was refused");
    assert_eq!(refused.certificate(), certificate.der());
}
