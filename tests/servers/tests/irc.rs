//! The IRC client, natively and over TLS, against real servers and the embedded one.

use jackfield_irc::client::{ClientEvent, ConnectionError, Status};
use jackfield_irc::codec::{ChannelName, Target, Word};
use jackfield_irc::core::Credentials;
use jackfield_irc::server::ServerConfig;
use jackfield_irc::{RefusalCode, RequestError, SessionError, starttls};
use jackfield_native::Native;
use jackfield_server_tests::scenario::{Offers, play};
use jackfield_server_tests::user::{User, config, name};
use jackfield_server_tests::{Embedded, NAMES, connector, trusting, trusting_with_identity};
use jackfield_socket::{Endpoint, HostName, TcpConnect};
use jackfield_testing::atheme::{Account, Atheme};
use jackfield_testing::certs::Authority;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::ngircd::Ngircd;
use jackfield_tls::{StartTls, TlsConfig};

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

/// ngIRCd has no labels, and its refusals name letters, nicknames and nothing at all.
#[tokio::test]
async fn changes_that_ngircd_refuses_are_refused() {
    let authority = Authority::new();
    let server = Ngircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let (network, to) = (trusting(&authority), at(server.tls()));
    let ada = User::register(network.clone(), &to, config("ada")).await;
    let bob = User::register(network, &to, config("bob")).await;
    let channel = ChannelName::new("#jackfield").expect("a name");
    ada.client.join(&channel, None).await.expect("entered");

    let (here, itself) = (Target::from(&channel), Target::from(name("ada")));
    for (target, modes, params, number) in [
        (&here, "+y", &[] as &[&str], 472),
        (&here, "+ty", &[], 472),
        (&here, "+o", &["nobody"], 401),
        (&here, "+v", &["bob"], 441),
        (&itself, "+y", &[], 501),
        (&name("bob").into(), "+i", &[], 502),
    ] {
        let params: Vec<_> = params
            .iter()
            .map(|it| it.parse().expect("a word"))
            .collect();
        let modes = Word::new(modes).expect("a word");
        let outcome = ada.client.set_mode(target, &modes, &params).await;
        assert_eq!(
            refused(outcome),
            Some(number),
            "{target} {modes} {params:?}"
        );
    }
    let secret = Word::new("+s").expect("a word");
    let set = ada.client.set_mode(&here, &secret, &[]).await;
    set.expect("the operator may");

    let absent = ada.client.kick(&channel, &name("bob"), None).await;
    assert_eq!(refused(absent), Some(441));
    let unknown = ada.client.invite(&name("nobody"), &channel).await;
    assert_eq!(refused(unknown), Some(401));
    let present = ada.client.invite(&name("ada"), &channel).await;
    assert_eq!(refused(present), Some(443));
    let long = ada.client.set_nick(&name(&"a".repeat(100))).await;
    assert_eq!(refused(long), Some(432));
    let taken = ada.client.set_nick(&name("bob")).await;
    assert_eq!(refused(taken), Some(433));
    let outside = bob.client.set_topic(&channel, "sockets").await;
    assert_eq!(refused(outside), Some(442));
    let server = Word::new("nowhere.example").expect("a word");
    let _ = bob.client.who(&server).await.expect("an empty answer");
}

/// The number of a refusal.
fn refused<T>(outcome: Result<T, RequestError>) -> Option<u16> {
    match outcome {
        Err(RequestError::Refused(refusal)) => match refusal.code {
            RefusalCode::Numeric(numeric) => Some(numeric.number()),
            _ => None,
        },
        _ => None,
    }
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
    login_refused(&plain, &to, wrong()).await;

    let with_identity = trusting_with_identity(&authority, &known);
    let account = logged_in(&with_identity, &to, Credentials::external()).await;
    assert_eq!(account.as_deref(), Some("alice"));
    login_refused(
        &trusting_with_identity(&authority, &unknown),
        &to,
        Credentials::external(),
    )
    .await;
    login_refused(&plain, &to, Credentials::external()).await;
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
    login_refused(&network, &to, wrong()).await;
}

#[tokio::test]
async fn a_connection_in_plaintext_is_secured_where_inspircd_offers_it() {
    let authority = Authority::new();
    let server = Inspircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let connector = connector(TlsConfig::new(), &authority);
    let network = StartTls::new(Native, connector, starttls::opening());
    let ada = User::register(network, &at(server.plain()), config("ada")).await;
    let whois = ada.client.whois(&name("ada")).await.expect("an answer");
    assert!(
        whois.expect("she is here").secure,
        "the server knows it too"
    );
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

fn right() -> Credentials {
    Credentials::password("alice", PASSWORD).expect("a login")
}

fn wrong() -> Credentials {
    Credentials::password("alice", "another").expect("a login")
}

/// The account that a login leads to.
async fn logged_in<N: TcpConnect + Clone>(
    network: &N,
    server: &Endpoint,
    sasl: Credentials,
) -> Option<String> {
    let mut wanted = config("alice");
    wanted.session.sasl = Some(sasl);
    let mut user = User::start(network.clone(), server, wanted);
    let (_, account) = user.registered().await;
    user.client.close().await;
    user.ended().await.expect("an end in order");
    account
}

/// A refused login is for good: the client doesn't register without it, and doesn't try again.
async fn login_refused<N: TcpConnect + Clone>(network: &N, server: &Endpoint, sasl: Credentials) {
    let error = end(network, server, sasl).await;
    assert!(
        matches!(
            error,
            ConnectionError::Session(SessionError::SaslRefused { .. })
        ),
        "{error:?}"
    );
    assert!(!error.to_string().contains(PASSWORD));
}

async fn end<N: TcpConnect + Clone>(
    network: &N,
    server: &Endpoint,
    sasl: Credentials,
) -> ConnectionError {
    let mut wanted = config("alice");
    wanted.session.sasl = Some(sasl);
    let mut user = User::start(network.clone(), server, wanted);
    let retry = user
        .wait("for the end", |event| match event {
            ClientEvent::Status(Status::Disconnected { retry_in, .. }) => Some(*retry_in),
            _ => None,
        })
        .await;
    assert_eq!(retry, None, "it is not tried again");
    user.ended().await.expect_err("it failed")
}
