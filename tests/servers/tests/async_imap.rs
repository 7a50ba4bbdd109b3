//! `async-imap` over this project's streams, against Dovecot: TLS from the start, and after STARTTLS.

use std::net::SocketAddr;

use async_imap::error::Error;
use async_imap::extensions::idle::IdleResponse;
use async_imap::{Client, Session};
use futures_util::TryStreamExt as _;
use jackfield_native::Native;
use jackfield_server_tests::imap::{MESSAGE, PASSWORD, starttls};
use jackfield_server_tests::{LONG, NAMES, connector, trusting};
use jackfield_socket::{AnyNetwork, TcpConnect, TcpOptions, time};
use jackfield_testing::certs::Authority;
use jackfield_testing::dovecot::Dovecot;
use jackfield_tls::{Tls, TlsConfig};

async fn dovecot(authority: &Authority) -> Dovecot {
    let server = Dovecot::start(&authority.server(&NAMES), "plain").await;
    server.expect("Dovecot")
}

/// Logs in over any network: its streams are taken as they are, without a cover.
async fn log_in<N: TcpConnect>(
    network: &N,
    server: SocketAddr,
    is_greeted: bool,
) -> Session<N::Stream> {
    let stream = network
        .connect(&server.into(), &TcpOptions::default())
        .await;
    let mut client = Client::new(stream.expect("a stream"));
    if is_greeted {
        let greeting = client.read_response().await;
        greeting.expect("it can be read").expect("a greeting");
    }
    let session = client.login("ada", PASSWORD).await;
    session.map_err(|(error, _)| error).expect("logged in")
}

/// Appends a message, reads it back, and waits for another.
async fn play<N: TcpConnect>(network: N, server: SocketAddr, is_greeted: bool) {
    let mut ada = log_in(&network, server, is_greeted).await;
    let mut other = log_in(&network, server, is_greeted).await;

    other
        .append("INBOX", None, None, MESSAGE)
        .await
        .expect("appended");
    let number = ada.select("INBOX").await.expect("open").exists;
    let found = ada.search("SUBJECT \"to all\"").await.expect("found");
    assert!(found.contains(&number), "{found:?}");
    let messages = ada.fetch(number.to_string(), "(UID BODY.PEEK[])").await;
    let messages: Vec<_> = messages.expect("it runs").try_collect().await.expect("all");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body(), Some(MESSAGE.as_bytes()));

    let mut idle = ada.idle();
    idle.init().await.expect("idle");
    let (news, _stop) = idle.wait();
    let appending = async {
        other
            .append("INBOX", None, None, MESSAGE)
            .await
            .expect("appended");
    };
    let (news, ()) = tokio::join!(news, appending);
    assert!(matches!(news, Ok(IdleResponse::NewData(_))), "{news:?}");
    let mut ada = idle.done().await.expect("awake");
    other.logout().await.expect("left");
    ada.logout().await.expect("left");
}

#[tokio::test]
async fn it_speaks_over_tls() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    let played = Box::pin(play(trusting(&authority), server.tls(), true));
    time::timeout(LONG, played).await.expect("in time");
}

#[tokio::test]
async fn it_speaks_after_starttls() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    // What was said before TLS is forgotten, and nothing greets afterwards.
    let played = Box::pin(play(starttls(&authority), server.plain(), false));
    time::timeout(LONG, played).await.expect("in time");
}

#[tokio::test]
async fn it_speaks_over_a_network_that_is_chosen_at_run_time() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    let network = Tls::new(
        AnyNetwork::new(Native),
        connector(TlsConfig::new(), &authority),
    );
    let played = Box::pin(play(network, server.tls(), true));
    time::timeout(LONG, played).await.expect("in time");
}

#[tokio::test]
async fn it_learns_of_a_server_that_goes_away() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    let mut session = log_in(&trusting(&authority), server.tls(), true).await;
    drop(server);
    let lost = time::timeout(LONG, session.noop()).await.expect("in time");
    let lost = lost.expect_err("nobody answers");
    assert!(
        matches!(lost, Error::Io(_) | Error::ConnectionLost),
        "{lost}"
    );
}
