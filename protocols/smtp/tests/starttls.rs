//! The opening, on a network in memory: what it says, and what it lets through.

use jackfield_sim::Network;
use jackfield_smtp::starttls;
use jackfield_socket::{
    ErrorKind, ListenOptions, Result, TcpConnect, TcpListen, TcpListener, TcpOptions, opening,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Speaks the opening with a server that says these, one at the beginning and one after each line that
/// it hears; the outcome, and what the client said.
async fn speak(says: &[&str]) -> (Result<()>, String) {
    let network = Network::new(1);
    let page = network.host("page.example", ["192.0.2.1".parse().expect("an address")]);
    let server = network.host("mail.example", ["192.0.2.2".parse().expect("an address")]);
    let at = "192.0.2.2:587".parse().expect("an address");
    let listener = server.listen(at, &ListenOptions::default()).await;
    let mut listener = listener.expect("the port is free");
    let serve = async {
        let stream = listener.accept().await.expect("a client");
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        for says in says {
            if stream.get_mut().write_all(says.as_bytes()).await.is_err() {
                break;
            }
            if !matches!(stream.read_line(&mut heard).await, Ok(1..)) {
                break;
            }
        }
        let _ = stream.read_to_string(&mut heard).await;
        heard
    };
    let ask = async {
        let to = "mail.example:587".parse().expect("an endpoint");
        let stream = page.connect(&to, &TcpOptions::default()).await;
        let mut stream = stream.expect("the server listens");
        // Until what was said before has arrived.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let outcome = opening::speak(&mut stream, &mut starttls::opening()).await;
        let _ = stream.shutdown().await;
        outcome
    };
    let (heard, outcome) = tokio::join!(serve, ask);
    (outcome, heard)
}

const ALL: &str = "EHLO localhost\r\nSTARTTLS\r\n";

#[tokio::test(start_paused = true)]
async fn a_server_that_is_ready_is_told_nothing_more_in_plaintext() {
    let (outcome, heard) = speak(&[
        "220-mail.example\r\n220 ESMTP\r\n",
        "250-mail.example\r\n250-SIZE 1000\r\n250-starttls\r\n250 AUTH PLAIN\r\n",
        "220 2.0.0 Ready to start TLS\r\n",
    ])
    .await;
    outcome.expect("the go-ahead");
    assert_eq!(heard, ALL);
}

#[tokio::test(start_paused = true)]
async fn anything_else_ends_it() {
    let greeting = "220 mail.example\r\n";
    let offer = "250-mail.example\r\n250 STARTTLS\r\n";
    for (says, kind) in [
        (&["554 No\r\n"][..], ErrorKind::Protocol),
        (&["* OK IMAP4rev1\r\n"], ErrorKind::Protocol),
        // It was taken out on the way, or hidden where nobody offers.
        (
            &[greeting, "250-mail.example\r\n250 SIZE\r\n"],
            ErrorKind::TlsRefused,
        ),
        (
            &["220 STARTTLS\r\n", "250 mail.example\r\n"],
            ErrorKind::TlsRefused,
        ),
        (&[greeting, "500 What?\r\n"], ErrorKind::Protocol),
        (&[greeting, offer, "554 No\r\n"], ErrorKind::TlsRefused),
        (&[greeting, offer, "454 Not now\r\n"], ErrorKind::Protocol),
        (&[greeting, offer, "250 Ok\r\n"], ErrorKind::TlsRefused),
        // What was said in plaintext would be taken for what the server says over TLS.
        (
            &[greeting, offer, "220 Go\r\n250 mail.evil\r\n"],
            ErrorKind::Protocol,
        ),
        // Answers that came before their questions.
        (&["220 a\r\n250 STARTTLS\r\n"], ErrorKind::Protocol),
        (
            &[greeting, "250 STARTTLS\r\n220 Go\r\n"],
            ErrorKind::Protocol,
        ),
    ] {
        let (outcome, heard) = speak(says).await;
        let error = outcome.expect_err("no go-ahead");
        assert_eq!(error.kind(), kind, "{says:?}: {error}");
        assert!(ALL.starts_with(&heard), "{heard:?}");
    }
}
