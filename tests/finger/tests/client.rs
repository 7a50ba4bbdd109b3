//! The client against a server in the test's hand, on the simulation.

use std::time::Duration;

use jackfield_client::ConnectionError;
use jackfield_finger::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_finger::error::{RequestError, SessionError};
use jackfield_sim::{Network, SimHost, SimListener};
use jackfield_socket::opening::{Dialogue, Lines, Turn};
use jackfield_socket::{
    ByteStream, ListenOptions, Result, TcpConnect, TcpListen, TcpListener, time,
};
use jackfield_testing::certs::Authority;
use jackfield_tls::{
    Certificates, Identity, StartTls, TlsAcceptor, TlsConfig, TlsConnector, TlsServerConfig,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

struct World {
    client: Client,
    events: Events,
    connection: JoinHandle<std::result::Result<(), client::ConnectionError>>,
    listener: SimListener,
}

async fn world<N: TcpConnect>(wrap: impl FnOnce(SimHost) -> N) -> World {
    let network = Network::new(7);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("there.example", ["192.0.2.2".parse().expect("an address")]);
    let mut config = ClientConfig::default();
    config.connection.seed = Some(1);
    config.connection.event_capacity = 1;
    let server = "there.example:79".parse().expect("an endpoint");
    let (client, events, connection) = client::connect(wrap(here), server, config);
    let at = "192.0.2.2:79".parse().expect("an address");
    let listener = there.listen(at, &ListenOptions::default()).await;
    World {
        client,
        events,
        connection: tokio::spawn(connection),
        listener: listener.expect("a listener"),
    }
}

impl World {
    fn finger(&self, query: &str) -> JoinHandle<std::result::Result<(), RequestError>> {
        let (client, query) = (self.client.clone(), query.parse().expect("a query"));
        tokio::spawn(async move { client.finger(query).await })
    }

    /// Accepts a connection, and reads its query.
    async fn asked(&mut self) -> (String, impl ByteStream + use<>) {
        let stream = self.listener.accept().await.expect("a connection");
        heard(stream).await
    }

    async fn line(&mut self) -> String {
        loop {
            if let ClientEvent::Event(line) = self.events.next().await.expect("it goes on") {
                return line.text;
            }
        }
    }

    async fn disconnected(&mut self) -> (client::ConnectionError, Option<Duration>) {
        loop {
            let event = self.events.next().await.expect("it goes on");
            if let ClientEvent::Status(Status::Disconnected { error, retry_in }) = event {
                return (error, retry_in);
            }
        }
    }
}

async fn heard<S: ByteStream>(stream: S) -> (String, S) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a line");
    (line.trim_end().to_owned(), stream.into_inner())
}

async fn answer(mut stream: impl ByteStream, lines: &str) {
    stream.write_all(lines.as_bytes()).await.expect("room");
    stream.shutdown().await.expect("an end");
}

#[tokio::test(start_paused = true)]
async fn each_query_has_its_answer() {
    let mut world = world(|here| here).await;
    for user in ["ada", "grace"] {
        let idle = time::timeout(Duration::from_hours(1), world.listener.accept()).await;
        assert!(idle.is_err(), "nobody asked");
        let outcome = world.finger(user);
        let (query, stream) = world.asked().await;
        assert_eq!(query, user);
        answer(stream, "one\r\ntwo\r\n").await;
        assert_eq!(world.line().await, "one");
        assert_eq!(world.line().await, "two");
        assert_eq!(outcome.await.expect("no panic"), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_fails_its_query_and_the_next_has_another_connection() {
    let mut world = world(|here| here).await;
    let (lost, next) = (world.finger("ada"), world.finger("ada"));
    let (_, mut stream) = world.asked().await;
    stream.write_all(b"one\r\n").await.expect("room");
    assert_eq!(world.line().await, "one");
    drop(stream);
    let lost = lost.await.expect("no panic");
    assert_eq!(lost, Err(RequestError::ConnectionLost));
    let (error, retry_in) = world.disconnected().await;
    assert!(matches!(error, ConnectionError::Stream(_)), "{error}");
    assert!(retry_in.is_some_and(|delay| !delay.is_zero()));
    let (_, stream) = world.asked().await;
    answer(stream, "").await;
    assert_eq!(next.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_nothing_learns_so_in_time() {
    let mut world = world(|here| here).await;
    let outcome = world.finger("ada");
    let (_, mut stream) = world.asked().await;
    for line in 0..8 {
        let line = format!("{line}\r\n");
        stream.write_all(line.as_bytes()).await.expect("room");
    }
    let outcome = outcome.await.expect("no panic");
    assert_eq!(outcome, Err(RequestError::TimedOut));
    // What came before the client stopped reading can be read, and then why it left.
    assert_eq!(world.line().await, "0");
    let (error, _) = world.disconnected().await;
    assert!(
        matches!(error, ConnectionError::Session(SessionError::TimedOut)),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_ends_all_that_waits() {
    for is_asked in [false, true] {
        let mut world = world(|here| here).await;
        let outcome = is_asked.then(|| world.finger("ada"));
        let stream = if is_asked {
            Some(world.asked().await)
        } else {
            None
        };
        world.client.close().await;
        if let Some(outcome) = outcome {
            let outcome = outcome.await.expect("no panic");
            assert_eq!(outcome, Err(RequestError::Closed));
        }
        drop(stream);
        world.connection.await.expect("no panic").expect("in order");
        let late = world.client.finger("ada".parse().expect("a query")).await;
        assert_eq!(late, Err(RequestError::Closed));
        while world.events.next().await.is_some() {}
    }
}

/// Finger has no STARTTLS; if it had, this would be all of it.
#[derive(Clone)]
struct Made;

impl Dialogue for Made {
    fn line(&mut self, line: &str) -> Result<Turn> {
        Ok(match line {
            "hello" => Turn::Ask("STARTTLS\r\n".into()),
            _ => Turn::GoAhead,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn starttls_wraps_the_network_and_the_client_never_knows() {
    let authority = Authority::new();
    let roots = Certificates::from_pem(authority.pem().as_bytes()).expect("a root");
    let certificate = authority.server(&["there.example"]);
    let (pem, key) = (certificate.pem(), certificate.key_pem());
    let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    let connector = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a connector");
    let mut world = world(|here| StartTls::new(here, connector, Lines::new(Made))).await;

    let outcome = world.finger("ada");
    let mut stream = world.listener.accept().await.expect("a connection");
    stream.write_all(b"hello\r\n").await.expect("room");
    let (asked, mut stream) = heard(stream).await;
    assert_eq!(asked, "STARTTLS");
    stream.write_all(b"go ahead\r\n").await.expect("room");
    let (query, stream) = heard(acceptor.accept(stream).await.expect("secured")).await;
    assert_eq!(query, "ada");
    answer(stream, "in private\r\n").await;
    assert_eq!(world.line().await, "in private");
    assert_eq!(outcome.await.expect("no panic"), Ok(()));
}
