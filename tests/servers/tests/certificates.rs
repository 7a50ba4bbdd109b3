//! A server whose certificate is wrong is refused before a byte of the protocol is said.

use jackfield_native::Native;
use jackfield_server_tests::{NAMES, trusting};
use jackfield_socket::{Endpoint, ErrorKind, TcpConnect, TcpOptions};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_testing::inspircd::Inspircd;
use jackfield_tls::Tls;
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
