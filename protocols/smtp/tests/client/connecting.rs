//! Connecting: who can't be reached, who is not let in, and what is secured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jackfield_client::ConnectionError;
use jackfield_sasl::Credentials;
use jackfield_smtp::client::{ClientConfig, ClientEvent};
use jackfield_smtp::core::{Event, Security};
use jackfield_smtp::{LoginError, RequestError, SessionError, starttls};
use jackfield_socket::{ErrorKind, TcpListener as _};
use jackfield_tls::{StartTls, Tls};
use tokio::io::AsyncWriteExt;

use crate::server::Server;
use crate::{config, envelope, over, tls, world};

fn with_password() -> ClientConfig {
    let mut config = config();
    config.session.security = Security::Tls;
    let credentials = Credentials::password("ada", "correct horse");
    config.session.credentials = Some(credentials.expect("valid"));
    config
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_fails_what_waits_and_no_more() {
    let mut world = world(config()).await;
    drop(world.listener);
    let sent = world.client.send(envelope("one@example.com"), "One.").await;
    let Err(RequestError::NotConnected(error)) = sent else {
        panic!("{sent:?}");
    };
    let ConnectionError::Connect(error) = *error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
    let (_, again) = {
        loop {
            let event = world.events.next().await.expect("it goes on");
            if let ClientEvent::Status(jackfield_client::Status::Disconnected { error, retry_in }) =
                event
            {
                break (error, retry_in.is_some());
            }
        }
    };
    assert!(again);
    let again = world.client.noop().await;
    assert!(
        matches!(again, Err(RequestError::NotConnected(_))),
        "{again:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_does_not_try_again() {
    let (connector, acceptor) = tls();
    let mut world = over(with_password(), |here| Tls::new(here, connector)).await;
    let sent = world.send("one@example.com", "One.");
    let mut server = world.secured(&acceptor, "AUTH PLAIN").await;
    server.hears("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl").await;
    server.say("535 5.7.8 No").await;
    let Err(RequestError::NotConnected(error)) = sent.await.expect("no panic") else {
        panic!("it was not sent");
    };
    let told = format!("{error} {error:?}");
    let ConnectionError::Session(SessionError::Login(LoginError::Refused(reply))) = *error else {
        panic!("{error}");
    };
    assert_eq!(reply.code(), 535);
    let (_, again) = world.disconnected().await;
    assert!(!again, "it would fail in the same way");
    assert!(world.connection.await.expect("no panic").is_err());
    let late = world.client.noop().await;
    assert!(matches!(late, Err(RequestError::Closed)), "{late:?}");
    // Nothing of it is told.
    let told = format!("{told} {:?} {:?}", with_password(), world.client);
    for secret in ["horse", "AGFkYQBjb3JyZWN0IGhvcnNl"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_said_in_plaintext() {
    let mut config = with_password();
    config.session.security = Security::Plaintext;
    let mut world = world(config).await;
    let sent = world.send("one@example.com", "One.");
    let mut server = world.server("AUTH PLAIN").await;
    assert!(server.is_at_end().await, "it said more");
    let error = sent.await.expect("no panic").expect_err("not sent");
    assert!(
        error.to_string().contains("not said to be secured"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_tls_was_asked_for_nothing_is_said_without() {
    for security in [Security::Tls, Security::StartTls] {
        let mut config = with_password();
        config.session.security = security;
        let mut world = world(config).await;
        let sent = world.send("one@example.com", "One.");
        let stream = world.listener.accept().await.expect("a connection");
        let mut server = Server::new(stream);
        server.say("220 mail.example ESMTP").await;
        assert!(server.is_at_end().await, "it said something");
        let error = sent.await.expect("no panic").expect_err("not sent");
        assert!(error.to_string().contains("no encrypted stream"), "{error}");
        let (error, again) = world.disconnected().await;
        let is_it = matches!(error, ConnectionError::Session(SessionError::NotEncrypted));
        assert!(is_it && !again, "{error}");
    }
}

/// A login that is bound to its TLS connection, and what becomes of it.
#[tokio::test(start_paused = true)]
async fn a_bound_login_that_fails_is_tried_once_more_without() {
    // Refused, cut, and refused by the mechanism's own word (`e=channel-bindings-dont-match`).
    for says in [
        "535 5.7.8 No",
        "",
        "334 ZT1jaGFubmVsLWJpbmRpbmdzLWRvbnQtbWF0Y2g=
501 Cancelled",
    ] {
        let (connector, acceptor) = tls();
        let mut world = over(with_password(), |here| Tls::new(here, connector)).await;
        let sent = world.send("one@example.com", "One.");
        let offers = "AUTH PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
        let mut server = world.secured(&acceptor, offers).await;
        // `p=tls-exporter,,n=ada,r=`
        let line = server.line().await;
        let beginning = "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWRhLHI9";
        assert!(line.starts_with(beginning), "{line}");
        server.say(says).await;
        drop(server);
        let mut server = world.secured(&acceptor, offers).await;
        // It says that it can't bind (`n,,n=ada,r=`), and not that the server can't.
        let line = server.line().await;
        let beginning = "AUTH SCRAM-SHA-256 biwsbj1hZGEscj";
        assert!(line.starts_with(beginning), "{line}");
        loop {
            if let ClientEvent::Event(event) = world.events.next().await.expect("it goes on") {
                break assert_eq!(event, Event::LoginNotBound);
            }
        }
        server.say("535 5.7.8 No").await;
        let error = sent.await.expect("no panic").expect_err("not let in");
        assert!(matches!(error, RequestError::NotConnected(_)), "{error}");
        // There is no third.
        assert!(world.connection.await.expect("no panic").is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_nothing_to_do_with_the_binding_does_not_end_it() {
    // The proof is wrong (`e=invalid-proof`), not for now, and a challenge that no server makes.
    for (says, again) in [
        (
            "334 ZT1pbnZhbGlkLXByb29m
501 Cancelled",
            false,
        ),
        ("454 4.7.0 Not now", true),
        (
            "334 eD0x
501 Cancelled",
            false,
        ),
    ] {
        let (connector, acceptor) = tls();
        let mut world = over(with_password(), |here| Tls::new(here, connector)).await;
        let sent = world.send("one@example.com", "One.");
        let offers = "AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
        let mut server = world.secured(&acceptor, offers).await;
        assert!(server.line().await.starts_with("AUTH SCRAM-SHA-256-PLUS "));
        server.say(says).await;
        let error = sent.await.expect("no panic").expect_err("not sent");
        assert!(matches!(error, RequestError::NotConnected(_)), "{error}");
        let (_, retries) = world.disconnected().await;
        assert_eq!(retries, again, "{says}");
        if again {
            drop(server);
            let next = world.send("one@example.com", "One.");
            let mut server = world.secured(&acceptor, offers).await;
            let line = server.line().await;
            assert!(line.starts_with("AUTH SCRAM-SHA-256-PLUS "), "{line}");
            next.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_asked_for_each_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut config = config();
    config.session.security = Security::Tls;
    let counted = Arc::clone(&asked);
    let config = config.renew_with(move |_attempt| {
        let token = format!("token{}", counted.fetch_add(1, Ordering::Relaxed));
        async move { Ok(Credentials::token("ada", &token)?) }
    });
    let (connector, acceptor) = tls();
    let mut world = over(config, |here| Tls::new(here, connector)).await;
    for login in [
        "AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdG9rZW4wAQE=",
        "AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdG9rZW4xAQE=",
    ] {
        let client = world.client.clone();
        let noop = tokio::spawn(async move { client.noop().await });
        let mut server = world.secured(&acceptor, "AUTH XOAUTH2").await;
        server.hears(login).await;
        server.say("235 In").await;
        server.hears("NOOP").await;
        server.say("250 Ok").await;
        noop.await.expect("no panic").expect("a sign of life");
        server.hears("QUIT").await;
        server.say("221 Bye").await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_is_told_of() {
    let mut world = world(config()).await;
    let sent = world.send("one@example.com", "One.");
    let mut server = world.server("").await;
    server.takes().await;
    sent.await.expect("no panic").expect("taken");
    server.say("421 4.4.2 Timeout").await;
    loop {
        let event = world.events.next().await.expect("it goes on");
        if let ClientEvent::Event(Event::Leaving(reply)) = event {
            break assert_eq!(reply.code(), 421);
        }
    }
    let next = world.send("one@example.com", "Two.");
    world.server("").await.takes().await;
    next.await.expect("no panic").expect("taken");
}

#[tokio::test(start_paused = true)]
async fn starttls_wraps_the_network() {
    let (connector, acceptor) = tls();
    let mut config = with_password();
    config.session.security = Security::StartTls;
    let wrap = |here| StartTls::new(here, connector, starttls::opening());
    let mut world = over(config, wrap).await;

    let sent = world.send("one@example.com", "One.");
    let mut stream = world.listener.accept().await.expect("a connection");
    stream
        .write_all(b"220 mail.example\r\n")
        .await
        .expect("room");
    let mut server = Server::new(stream);
    server.hears("EHLO localhost").await;
    // A way to log in that is not there afterwards.
    server
        .say("250-mail.example\n250-AUTH LOGIN\n250 STARTTLS")
        .await;
    server.hears("STARTTLS").await;
    server.say("220 Go ahead").await;
    let stream = acceptor
        .accept(server.0.into_inner())
        .await
        .expect("secured");
    let mut server = Server::new(stream);
    server.hello("AUTH PLAIN").await;
    server.hears("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl").await;
    server.say("235 In").await;
    assert_eq!(server.takes().await, "One.\r\n.\r\n");
    sent.await.expect("no panic").expect("taken");
}
