//! Attacks: whoever stands between before TLS, and servers that say too much.

use std::time::Duration;

use jackfield_client::ConnectionError;
use jackfield_sasl::Credentials;
use jackfield_smtp::codec::ReplyFault;
use jackfield_smtp::core::Security;
use jackfield_smtp::{RequestError, SessionError, starttls};
use jackfield_socket::{TcpListener as _, time};
use jackfield_tls::StartTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{config, over, tls, world};

/// Whatever stands between does before TLS, the client goes no further than the question for it.
#[tokio::test(start_paused = true)]
async fn whoever_stands_between_before_tls_learns_nothing() {
    let greeting = "220 mail.example ESMTP\r\n";
    let offer = "250-mail.example\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n";
    let endless = "x".repeat(100_000);
    let all: &[&[&str]] = &[
        // The offer is taken out, or misspelt.
        &[greeting, "250-mail.example\r\n250 AUTH PLAIN\r\n"],
        &[greeting, "250-AUTH PLAIN\r\n250 XTARTTLS\r\n"],
        &[greeting, "250 mail.example STARTTLS\r\n"],
        // It is refused, in each way.
        &[greeting, offer, "454 4.7.0 Not now\r\n"],
        &[greeting, offer, "502 5.5.1 What?\r\n"],
        &[greeting, offer, "554 No\r\n"],
        // It is answered with something else.
        &[greeting, offer, "250 Ok\r\n"],
        &[greeting, offer, "334 \r\n"],
        &[greeting, offer, "221 Bye\r\n"],
        &[greeting, offer, "* OK go\r\n"],
        &[greeting, offer, "220\r"],
        // Something is said behind the go-ahead.
        &[greeting, offer, "220 Go\r\n250 mail.evil\r\n"],
        &[greeting, offer, "220-Go\r\n220 on\r\n235 In\r\n"],
        &[greeting, offer, "220 Go\r\n\x16\x03\x03"],
        // And before it was asked for.
        &[greeting, "250-STARTTLS\r\n250 STARTTLS\r\n220 Go\r\n"],
        &["220 a\r\n250 STARTTLS\r\n220 Go\r\n"],
        // A greeting that is none, and what never ends.
        &["PREAUTH\r\n"],
        &["235 You are in\r\n"],
        &["220 ", &endless],
        &["220-a\r\n", &"220-a\r\n".repeat(20_000)],
        &[greeting, offer, "220-", &endless],
    ];
    for says in all {
        let mut config = config();
        config.session.security = Security::StartTls;
        let credentials = Credentials::password("ada", "correct horse");
        config.session.credentials = Some(credentials.expect("valid"));
        let (connector, _) = tls();
        let wrap = |here| StartTls::new(here, connector, starttls::opening());
        let mut world = over(config, wrap).await;
        let sent = world.send("grace@example.com", "Subject: secret\n\nsecret");
        let mut stream = world.listener.accept().await.expect("a connection");
        let mut heard = Vec::new();
        for says in *says {
            let _ = stream.write_all(says.as_bytes()).await;
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece);
            let read = time::timeout(Duration::from_secs(5), read).await;
            if let Ok(Ok(count)) = read {
                heard.extend_from_slice(&piece[..count]);
            }
        }
        let _ = stream.shutdown().await;
        let _ = time::timeout(Duration::from_mins(1), stream.read_to_end(&mut heard)).await;
        let error = sent.await.expect("no panic").expect_err("not sent");
        let RequestError::NotConnected(error) = error else {
            panic!("{error}");
        };
        let at = format!("{says:.60?}: {error}");
        assert!(matches!(*error, ConnectionError::Connect(_)), "{at}");
        let heard = String::from_utf8(heard).expect("no TLS");
        assert!(
            "EHLO localhost\r\nSTARTTLS\r\n".starts_with(&heard),
            "{at}: {heard}"
        );
    }
}

/// A server that says too much, or what nobody asked for, is left; no more of it is kept than the limits say.
#[tokio::test(start_paused = true)]
async fn a_server_that_goes_on_and_on_is_left() {
    let endless = |text: &str| text.repeat(300_000 / text.len());
    for (says, expected) in [
        (
            endless("x"),
            SessionError::Malformed(ReplyFault::LineTooLong),
        ),
        (
            format!("220 {}", endless("x")),
            SessionError::Malformed(ReplyFault::LineTooLong),
        ),
        (
            endless("220-more\r\n"),
            SessionError::Malformed(ReplyFault::TooManyLines),
        ),
        (
            format!("220 a\r\n250 b\r\n{}", endless("250 again\r\n")),
            SessionError::Ended,
        ),
    ] {
        let mut world = world(config()).await;
        let sent = world.send("grace@example.com", "Hi.");
        let mut stream = world.listener.accept().await.expect("a connection");
        // Not all of it is taken: the client leaves.
        let _ = stream.write_all(says.as_bytes()).await;
        let (error, _) = world.disconnected().await;
        let ConnectionError::Session(error) = error else {
            panic!("{error}");
        };
        if expected == SessionError::Ended {
            assert!(
                matches!(
                    error,
                    SessionError::Unasked(_) | SessionError::Unexpected(..)
                ),
                "{error}"
            );
        } else {
            assert_eq!(error, expected);
        }
        drop(stream);
        sent.abort();
    }
}
