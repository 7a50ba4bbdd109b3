//! What the tests of the client share: a client on the simulation, and a server in the test's hand.
#![allow(dead_code, reason = "each test uses a part of it")]

use jackfield_imap::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_imap::codec::MailboxName;
use jackfield_imap::core::{Credentials, Event, Security};
use jackfield_sim::{Network, SimHost, SimListener, SimStream};
use jackfield_socket::{ByteStream, ListenOptions, TcpConnect, TcpListen, TcpListener};
use jackfield_testing::certs::Authority;
use jackfield_tls::{
    Certificates, Identity, TlsAcceptor, TlsConfig, TlsConnector, TlsServerConfig,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

pub(crate) const PREAUTH: &str = "* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hello\r\n";

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) connection: JoinHandle<Result<(), client::ConnectionError>>,
    pub(crate) listener: SimListener,
}

pub(crate) fn config() -> ClientConfig {
    let credentials = Credentials::password("ada", "secret").expect("credentials");
    let mut config = ClientConfig::new(credentials);
    config.session.id.clear();
    config.session.security = Security::Plaintext;
    config.session.password_in_the_clear = true;
    config.connection.seed = Some(1);
    config
}

pub(crate) async fn world<N: TcpConnect>(
    config: ClientConfig,
    wrap: impl FnOnce(SimHost) -> N,
) -> World {
    let network = Network::new(7);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("imap.example", ["192.0.2.2".parse().expect("an address")]);
    let server = "imap.example:993".parse().expect("an endpoint");
    let (client, events, connection) = client::connect(wrap(here), server, config);
    let at = "192.0.2.2:993".parse().expect("an address");
    let listener = there.listen(at, &ListenOptions::default()).await;
    World {
        client,
        events,
        connection: tokio::spawn(connection),
        listener: listener.expect("a listener"),
    }
}

/// TLS of both sides.
pub(crate) fn tls() -> (TlsConnector, TlsAcceptor) {
    let authority = Authority::new();
    let roots = Certificates::from_pem(authority.pem().as_bytes()).expect("a root");
    let certificate = authority.server(&["imap.example"]);
    let (pem, key) = (certificate.pem(), certificate.key_pem());
    let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    let connector = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a connector");
    (connector, acceptor)
}

/// A client that is logged in, with its server.
pub(crate) async fn ready(config: ClientConfig, greeting: &str) -> (World, Server<SimStream>) {
    let mut world = world(config, |here| here).await;
    let mut server = world.accept().await;
    server.say(greeting).await;
    world.ready().await;
    (world, server)
}

/// The same, with a mailbox open.
pub(crate) async fn selected(config: ClientConfig, greeting: &str) -> (World, Server<SimStream>) {
    let (world, mut server) = ready(config, greeting).await;
    let client = world.client.clone();
    let select = tokio::spawn(async move { client.select(MailboxName::inbox()).await });
    server.hears("A1 SELECT INBOX").await;
    server
        .say("* 3 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\nA1 OK done\r\n")
        .await;
    let selected = select.await.expect("no panic").expect("it is there");
    assert_eq!((selected.exists, selected.uid_validity), (3, Some(5)));
    (world, server)
}

impl World {
    pub(crate) async fn accept(&mut self) -> Server<SimStream> {
        let stream = self.listener.accept().await.expect("a connection");
        Server(BufReader::new(stream))
    }

    pub(crate) async fn status(&mut self) -> Status {
        loop {
            if let ClientEvent::Status(status) = self.events.next().await.expect("it goes on") {
                return status;
            }
        }
    }

    pub(crate) async fn ready(&mut self) {
        while !self.status().await.is_ready() {}
    }

    pub(crate) async fn event(&mut self) -> Event {
        loop {
            if let ClientEvent::Event(event) = self.events.next().await.expect("it goes on") {
                return event;
            }
        }
    }

    pub(crate) async fn disconnected(&mut self) -> client::ConnectionError {
        loop {
            if let Status::Disconnected { error, .. } = self.status().await {
                return error;
            }
        }
    }

    /// Runs a request beside the test.
    pub(crate) fn ask<T, F>(&self, ask: impl FnOnce(Client) -> F) -> JoinHandle<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        tokio::spawn(ask(self.client.clone()))
    }
}

pub(crate) struct Server<S>(pub(crate) BufReader<S>);

impl<S: ByteStream> Server<S> {
    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("room");
    }

    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("a line");
        line.trim_end_matches("\r\n").to_owned()
    }

    pub(crate) async fn hears(&mut self, expected: &str) {
        assert_eq!(self.line().await, expected);
    }
}
