//! The IRC client, natively and over TLS, against real servers and the embedded one.

use jackfield_irc::SessionError;
use jackfield_irc::client::{ClientEvent, ConnectionError};
use jackfield_irc::core::Sasl;
use jackfield_irc::server::ServerConfig;
use jackfield_server_tests::scenario::{Offers, play};
use jackfield_server_tests::user::{User, config};
use jackfield_server_tests::{Embedded, NAMES, trusting, trusting_with_identity};
use jackfield_socket::{Endpoint, HostName, TcpConnect};
use jackfield_testing::atheme::{Account, Atheme};
use jackfield_testing::certs::Authority;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::ngircd::Ngircd;

const PASSWORD: &str = "Ein-Passwort,mit:Zeichen";

fn at(address: std::net::SocketAddr) -> Endpoint {
    let name: HostName = "localhost".parse().expect("a name");
    Endpoint::new(name, address.port())
}

#[tokio::test]
async fn a_life_on_inspircd() {
    let authority = Authority::new();
    let server = Inspircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let offers = Offers { server_time: true };
    play(&trusting(&authority), &at(server.tls()), offers).await;
}

#[tokio::test]
async fn a_life_on_ngircd() {
    let authority = Authority::new();
    let server = Ngircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let offers = Offers { server_time: false };
    play(&trusting(&authority), &at(server.tls()), offers).await;
}

#[tokio::test]
async fn a_life_on_the_embedded_server() {
    let authority = Authority::new();
    let server = Embedded::start(&authority.server(&NAMES), ServerConfig::new()).await;
    let offers = Offers { server_time: true };
    play(&trusting(&authority), &at(server.address()), offers).await;
}

#[tokio::test]
async fn sasl_with_services() {
    let authority = Authority::new();
    let server = Inspircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let (known, unknown) = (authority.client("alice"), authority.client("alice"));
    let account = Account {
        name: "alice".into(),
        password: PASSWORD.into(),
        fingerprint: Some(known.fingerprint()),
    };
    let _services = Atheme::start(&server, &[account]).await.expect("services");
    let to = at(server.tls());

    let plain = trusting(&authority);
    assert_eq!(
        logged_in(&plain, &to, right()).await.as_deref(),
        Some("alice")
    );
    refused(&plain, &to, wrong()).await;

    let with_identity = trusting_with_identity(&authority, &known);
    let account = logged_in(&with_identity, &to, Sasl::External).await;
    assert_eq!(account.as_deref(), Some("alice"));
    refused(
        &trusting_with_identity(&authority, &unknown),
        &to,
        Sasl::External,
    )
    .await;
    refused(&plain, &to, Sasl::External).await;
}

#[tokio::test]
async fn sasl_with_the_embedded_server() {
    let authority = Authority::new();
    let mut accounts = ServerConfig::new();
    accounts.add_account("alice", PASSWORD);
    let server = Embedded::start(&authority.server(&NAMES), accounts).await;
    let (network, to) = (trusting(&authority), at(server.address()));
    assert_eq!(
        logged_in(&network, &to, right()).await.as_deref(),
        Some("alice")
    );
    refused(&network, &to, wrong()).await;
}

#[tokio::test]
async fn a_login_that_the_server_does_not_know_is_not_given_up_in_silence() {
    let authority = Authority::new();
    let server = Ngircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let error = end(&trusting(&authority), &at(server.tls()), right()).await;
    assert!(
        matches!(
            error,
            ConnectionError::Session(SessionError::SaslUnavailable)
        ),
        "{error:?}"
    );
}

fn right() -> Sasl {
    Sasl::plain("alice", PASSWORD).expect("a login")
}

fn wrong() -> Sasl {
    Sasl::plain("alice", "another").expect("a login")
}

/// The account that a login leads to.
async fn logged_in<N: TcpConnect + Clone>(
    network: &N,
    server: &Endpoint,
    sasl: Sasl,
) -> Option<String> {
    let mut wanted = config("alice");
    wanted.session.sasl = Some(sasl);
    let mut user = User::start(network.clone(), server, wanted);
    let (_, account) = user.registered().await;
    user.client.quit(None).await;
    user.ended().await.expect("an end in order");
    account
}

/// A refused login is for good: the client doesn't register without it, and doesn't try again.
async fn refused<N: TcpConnect + Clone>(network: &N, server: &Endpoint, sasl: Sasl) {
    let error = end(network, server, sasl).await;
    assert!(
        matches!(
            error,
            ConnectionError::Session(SessionError::SaslRefused(_))
        ),
        "{error:?}"
    );
    assert!(!error.to_string().contains(PASSWORD));
}

async fn end<N: TcpConnect + Clone>(network: &N, server: &Endpoint, sasl: Sasl) -> ConnectionError {
    let mut wanted = config("alice");
    wanted.session.sasl = Some(sasl);
    let mut user = User::start(network.clone(), server, wanted);
    let retry = user
        .wait("for the end", |event| match event {
            ClientEvent::Disconnected { retry_in, .. } => Some(*retry_in),
            _ => None,
        })
        .await;
    assert_eq!(retry, None, "it is not tried again");
    user.ended().await.expect_err("it failed")
}
