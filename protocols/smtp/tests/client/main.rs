//! The client against a server in the test's hand, on the simulation, under a clock that stands still.

mod attacks;
mod connecting;
mod cut;
mod pool;
mod sending;
mod server;
mod streaming;

use jackfield_sim::{Network, SimHost, SimListener};
use jackfield_smtp::RequestError;
use jackfield_smtp::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_smtp::core::{Config, Envelope, Outcome, Recipient};
use jackfield_socket::{ByteStream, ListenOptions, TcpConnect, TcpListen, TcpListener};
use jackfield_testing::certs::Authority;
use jackfield_tls::{
    Certificates, Identity, TlsAcceptor, TlsConfig, TlsConnector, TlsServerConfig,
};
use server::Server;
use tokio::task::JoinHandle;

struct World {
    client: Client,
    events: Events,
    connection: JoinHandle<Result<(), client::ConnectionError>>,
    listener: SimListener,
}

fn config() -> ClientConfig {
    let mut config = ClientConfig::new(Config::new("client.example".parse().expect("a domain")));
    config.connection.seed = Some(1);
    config
}

async fn world(config: ClientConfig) -> World {
    over(config, |here| here).await
}

/// TLS of both sides.
fn tls() -> (TlsConnector, TlsAcceptor) {
    let authority = Authority::new();
    let roots = Certificates::from_pem(authority.pem().as_bytes()).expect("a root");
    let certificate = authority.server(&["mail.example"]);
    let (pem, key) = (certificate.pem(), certificate.key_pem());
    let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    let connector = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a connector");
    (connector, acceptor)
}

async fn over<N: TcpConnect>(config: ClientConfig, wrap: impl FnOnce(SimHost) -> N) -> World {
    let network = Network::new(7);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("mail.example", ["192.0.2.2".parse().expect("an address")]);
    let server = "mail.example:25".parse().expect("an endpoint");
    let (client, events, connection) = client::connect(wrap(here), server, config);
    let at = "192.0.2.2:25".parse().expect("an address");
    let listener = there.listen(at, &ListenOptions::default()).await;
    World {
        client,
        events,
        connection: tokio::spawn(connection),
        listener: listener.expect("a listener"),
    }
}

impl World {
    /// Accepts a connection, up to the first command behind EHLO.
    async fn server(&mut self, capabilities: &str) -> Server<impl ByteStream + use<>> {
        let stream = self.listener.accept().await.expect("a connection");
        let mut server = Server::new(stream);
        server.greet(capabilities).await;
        server
    }

    /// The same over TLS.
    async fn secured(
        &mut self,
        acceptor: &TlsAcceptor,
        capabilities: &str,
    ) -> Server<impl ByteStream + use<>> {
        let stream = self.listener.accept().await.expect("a connection");
        let stream = acceptor.accept(stream).await.expect("secured");
        let mut server = Server::new(stream);
        server.greet(capabilities).await;
        server
    }

    fn send(&self, to: &str, content: &'static str) -> JoinHandle<Result<Outcome, RequestError>> {
        let (client, envelope) = (self.client.clone(), envelope(to));
        tokio::spawn(async move { client.send(envelope, content).await })
    }

    async fn disconnected(&mut self) -> (client::ConnectionError, bool) {
        loop {
            let event = self.events.next().await.expect("it goes on");
            if let ClientEvent::Status(Status::Disconnected { error, retry_in }) = event {
                return (error, retry_in.is_some());
            }
        }
    }
}

fn envelope(to: &str) -> Envelope {
    let from = "ada@example.org".parse().expect("a path");
    let to: Result<Vec<Recipient>, _> = to.split(',').map(str::parse).collect();
    Envelope::new(from, to.expect("mailboxes"))
}
