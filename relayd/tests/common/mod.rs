//! A relay in this process, and a client that speaks to it in frames of its own making.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of each test file, which uses a part of it"
)]

pub mod ledger;
pub mod program;
pub mod recorded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_relay_wire::{Code, Frame, Id, MAX_DATA, Reason, Settings, auth};
use jackfield_relayd::record::Records;
use jackfield_relayd::resolve::{Resolve, SystemResolver};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Reloader, Stopper, Token};
use jackfield_socket::{Endpoint, ListenOptions, TcpOptions};
use jackfield_testing::certs::Authority;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

use self::ledger::{Denials, Ledger};
pub use self::recorded::Recorded;

pub const ORIGIN: &str = "http://app.example";
pub const SECRET: &str = "the-secret-of-the-tests";
/// Nothing here takes so long, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Takes connections, keeps them, and reads nothing; where.
pub fn keep(listener: TcpListener) -> String {
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}

/// Whether a refusal says that this limit is reached.
#[track_caller]
pub fn names(reason: &Reason, limit: &str) {
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED, "{reason}");
    assert!(reason.text().contains(limit), "{reason}");
}

/// A token that may reach this machine's loopback addresses, and listen there.
pub fn token() -> Token {
    let secret = Secret::new(SECRET).expect("long enough");
    let mut token = Token::new("tests", Credential::Secret(secret));
    let rules = ["127.0.0.0/8:1024-65535", "127.0.0.0/8:1024-65535/udp"];
    token.policy.allow = rules.map(|rule| rule.parse().expect(rule)).into();
    let rules = ["127.0.0.1:*", "127.0.0.1:*/udp"];
    token.policy.listen = rules.map(|rule| rule.parse().expect(rule)).into();
    token
}

pub fn config(token: Token) -> Config {
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    config.origins = vec![ORIGIN.parse().expect("an origin")];
    config.tokens = vec![token];
    config
}

/// A relay that runs until it is dropped, or [stopped](Self::stop).
pub struct TestRelay {
    pub address: SocketAddr,
    /// Where it answers for its health alone, if the configuration says so.
    pub health: Option<SocketAddr>,
    /// What ends it otherwise.
    pub stopper: Stopper,
    /// What gives it another configuration.
    pub reloader: Reloader,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl TestRelay {
    pub async fn start(config: Config) -> Self {
        Self::start_with(config, SystemResolver).await
    }

    pub async fn start_with(config: Config, resolver: impl Resolve) -> Self {
        // Where it has a file, records go there.
        if config.records.is_some() {
            let relay = Relayd::bind(config).await.expect("a free port");
            return Self::run(relay.with_resolver(resolver));
        }
        Self::start_recording_with(config, (), resolver).await
    }

    /// As [`start`](Self::start), with records for the test.
    pub async fn start_recording(config: Config, records: impl Records) -> Self {
        Self::start_recording_with(config, records, SystemResolver).await
    }

    /// The same, with records to wait for.
    pub async fn start_recorded(config: Config) -> (Self, Recorded) {
        Self::start_recorded_with(config, SystemResolver).await
    }

    /// The same, where names have these addresses.
    pub async fn start_recorded_with(config: Config, resolver: impl Resolve) -> (Self, Recorded) {
        let (told, recorded) = Recorded::new();
        let relay = Self::start_recording_with(config, told, resolver).await;
        (relay, recorded)
    }

    /// With what gives it another configuration.
    pub async fn start_reloadable(config: Config) -> (Self, Reloader) {
        let relay = Self::start(config).await;
        let reloader = relay.reloader.clone();
        (relay, reloader)
    }

    async fn start_recording_with(
        config: Config,
        all: impl Records,
        resolver: impl Resolve,
    ) -> Self {
        let relay = Relayd::bind(config).await.expect("a free port");
        let denials = Arc::default();
        ledger::open(relay.local_addrs()[0].port(), Arc::clone(&denials));
        let relay = relay.with_resolver(resolver);
        Self::run(relay.with_records(Ledger { denials, all }))
    }

    fn run(relay: Relayd) -> Self {
        let (address, health) = (relay.local_addrs()[0], relay.health_addr());
        let (stopper, reloader) = (relay.stopper(), relay.reloader());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            relay
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Self {
            address,
            health,
            stopper,
            reloader,
            stop: Some(stop),
            running,
        }
    }

    /// Tells the relay to end.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits until the relay has ended.
    pub async fn stopped(&mut self) {
        self.stop();
        within(&mut self.running).await.expect("it ends in order");
    }

    /// A client that is let in, and has exchanged `HELLO` with the relay.
    pub async fn client(&self) -> Client {
        Client::open(self.address, ORIGIN, Some(SECRET))
            .await
            .expect("let in")
    }
}

impl Drop for TestRelay {
    fn drop(&mut self) {
        ledger::close(self.address.port());
    }
}

/// Waits, but not for ever.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes too long")
}

/// The headers of a good request.
pub fn headers(host: &str, origin: Option<&str>, token: Option<&str>) -> Vec<(String, String)> {
    let mut protocols = auth::SUBPROTOCOL.to_owned();
    if let Some(token) = token {
        protocols = format!("{protocols}, {}", auth::token_subprotocol(token));
    }
    let mut headers = vec![
        ("Host", host.to_owned()),
        ("Connection", "Upgrade".into()),
        ("Upgrade", "websocket".into()),
        ("Sec-WebSocket-Version", "13".into()),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==".into()),
        ("Sec-WebSocket-Protocol", protocols),
    ];
    if let Some(origin) = origin {
        headers.push(("Origin", origin.to_owned()));
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    headers.into_iter().map(owned).collect()
}

/// Sends a request, and returns the connection with the answer's head (and body, if it was closed).
pub async fn request(
    relay: SocketAddr,
    line: &str,
    headers: &[(String, String)],
) -> (TcpStream, String) {
    let stream = TcpStream::connect(relay).await.expect("the relay listens");
    ask(stream, line, headers).await
}

/// As [`request`], over this connection.
pub async fn ask(
    mut stream: TcpStream,
    line: &str,
    headers: &[(String, String)],
) -> (TcpStream, String) {
    let mut text = format!("{line}\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    // It may have closed the connection by now.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let read = async {
        while !answer.ends_with(b"\r\n\r\n") || !answer.starts_with(b"HTTP/1.1 101") {
            match stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => break,
            }
        }
    };
    within(read).await;
    let answer = String::from_utf8(answer).expect("it answers in text");
    (stream, answer)
}

/// One client, frame by frame.
#[derive(Debug)]
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    pub settings: Settings,
    next: u32,
    /// Of its relay, where that is one of the tests' own and nobody stands between.
    denials: Option<Arc<Denials>>,
}

impl Client {
    /// Goes through the handshake, and waits for the relay's `HELLO`; an error is its answer.
    pub async fn open(
        relay: SocketAddr,
        origin: &str,
        token: Option<&str>,
    ) -> Result<Self, String> {
        let mut client = Self::upgrade(relay, origin, token).await?;
        match client.frame().await {
            Frame::Hello(settings) => client.settings = settings,
            other => panic!("{other:?}"),
        }
        Ok(client)
    }

    /// Goes through the handshake, and says `HELLO`.
    pub async fn upgrade(
        relay: SocketAddr,
        origin: &str,
        token: Option<&str>,
    ) -> Result<Self, String> {
        let headers = headers(&relay.to_string(), Some(origin), token);
        let (stream, answer) = request(relay, "GET / HTTP/1.1", &headers).await;
        if !answer.starts_with("HTTP/1.1 101") {
            return Err(answer);
        }
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: jackfield.v1\r\n"));
        Ok(Self::over(stream).await)
    }

    /// Says `HELLO` where the handshake is done.
    pub async fn over(stream: TcpStream) -> Self {
        let relay = stream.peer_addr().map(|relay| relay.port());
        let denials = relay.ok().and_then(ledger::find);
        let mut socket = ClientBuilder::new()
            .limits(Limits::unlimited())
            .take_over(stream);
        let hello = Frame::Hello(Settings::default()).encode();
        socket.send(Message::binary(hello)).await.expect("open");
        Self {
            socket,
            settings: Settings::default(),
            next: 1,
            denials,
        }
    }

    pub async fn send(&mut self, frame: &Frame) {
        let message = Message::binary(frame.encode());
        within(self.socket.send(message)).await.expect("open");
    }

    pub async fn send_raw(&mut self, message: Vec<u8>) {
        let message = Message::binary(Bytes::from(message));
        within(self.socket.send(message)).await.expect("open");
    }

    /// The next frame, but for pings, which are answered.
    pub async fn frame(&mut self) -> Frame {
        match self.next_frame().await {
            Some(frame) => frame,
            None => panic!("the WebSocket has ended"),
        }
    }

    /// The next frame; `None` when the WebSocket has ended. Of a denial it is looked whether it is recorded.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let message = within(self.socket.next()).await?.ok()?;
            if !message.is_binary() {
                continue;
            }
            let frame = Frame::decode(message.into_payload().into()).expect("a frame");
            match frame {
                Frame::Ping(bytes) => self.send(&Frame::Pong(bytes)).await,
                frame => {
                    self.expect_record(&frame);
                    return Some(frame);
                }
            }
        }
    }

    /// What is refused, and what ends a session, is recorded before its client hears of it.
    #[track_caller]
    fn expect_record(&self, frame: &Frame) {
        let Some(denials) = &self.denials else {
            return;
        };
        match frame {
            Frame::Refused { id, reason } => denials.hear_refusal(*id, reason),
            Frame::GoAway(reason) | Frame::TokenRefused(reason) => denials.hear_end(reason),
            _ => {}
        }
    }

    pub fn new_id(&mut self) -> Id {
        let id = Id::new(self.next).expect("not 0");
        self.next += 2;
        id
    }

    /// Asks for a connection, with so much credit.
    pub async fn ask(&mut self, to: &str, credit: u32) -> Id {
        let id = self.new_id();
        let to: Endpoint = to.parse().expect(to);
        self.send(&Frame::Connect {
            id,
            credit,
            to,
            options: TcpOptions::default(),
        })
        .await;
        id
    }

    /// Asks for a listener that may take so many connections.
    pub async fn ask_to_listen(&mut self, at: &str, credit: u32) -> Id {
        let id = self.new_id();
        self.send(&Frame::Listen {
            id,
            credit,
            stream_credit: 1024,
            at: at.parse().expect(at),
            options: ListenOptions::default(),
        })
        .await;
        id
    }

    /// Opens a connection; with it comes what the relay takes at first.
    pub async fn connect(&mut self, to: &str, credit: u32) -> (Id, u32) {
        let id = self.ask(to, credit).await;
        match self.frame().await {
            Frame::Opened {
                id: opened, credit, ..
            } if opened == id => (id, credit),
            other => panic!("{other:?}"),
        }
    }

    /// Asks for a connection that is refused.
    pub async fn refused(&mut self, to: &str) -> Reason {
        let asked = self.ask(to, 1024).await;
        self.refusal(asked).await
    }

    pub async fn refusal(&mut self, asked: Id) -> Reason {
        match self.frame().await {
            Frame::Refused { id, reason } if id == asked => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Everything that a stream brings from now on, up to its end or reset. Credit that the relay
    /// gives is added to `credit`.
    pub async fn read_to_end(&mut self, stream: Id, credit: &mut u32) -> (Vec<u8>, Option<Reason>) {
        let mut all = Vec::new();
        loop {
            match self.frame().await {
                Frame::Data { id, data } if id == stream => all.extend_from_slice(&data),
                Frame::Credit { id, more } if id == stream => *credit += more,
                Frame::Fin { id } if id == stream => return (all, None),
                Frame::Reset { id, reason } if id == stream => return (all, Some(reason)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads until the WebSocket ends, and returns why it was said to.
    pub async fn last_word(&mut self) -> Option<Reason> {
        let mut last = None;
        while let Some(frame) = self.next_frame().await {
            if let Frame::GoAway(reason) = frame {
                last = Some(reason);
            }
        }
        last
    }
}

/// Listens on loopback, and gives the first connection to `serve`.
pub async fn target<F, T>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<T>)
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let serving = tokio::spawn(async move {
        let (stream, _) = within(listener.accept()).await.expect("a connection");
        serve(stream).await
    });
    (address, serving)
}

/// TLS for a server by the name of `localhost`, and the roots to verify it by.
pub fn acceptor() -> (TlsAcceptor, String) {
    let authority = Authority::new();
    let certificate = authority.server(&["localhost"]);
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("its key");
    (TlsAcceptor::from(Arc::new(tls)), authority.pem().to_owned())
}

/// Listens on loopback, and takes what a connection says to its end; what that was.
pub async fn sink() -> (String, JoinHandle<std::io::Result<Vec<u8>>>) {
    target(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.map(|_| all)
    })
    .await
}

/// Listens on loopback, and sends back to each connection what it says; where.
pub async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    address
}

/// Where a target listens that takes one connection, and reads it only when it is told.
pub async fn stalling() -> (
    String,
    oneshot::Sender<()>,
    JoinHandle<std::io::Result<usize>>,
) {
    let (go, gone) = oneshot::channel();
    let (address, arriving) = target(|mut stream| async move {
        SockRef::from(&stream).set_recv_buffer_size(16_384)?;
        let _ = gone.await;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.map(|_| all.len())
    })
    .await;
    (address, go, arriving)
}

/// Sends what the relay takes at once, which is more than the system takes of it, and ends.
pub async fn send_and_end(client: &mut Client, to: &str) -> (Id, usize) {
    let id = client.new_id();
    let mut options = TcpOptions::default();
    options.send_buffer = 16_384.try_into().ok();
    let to = to.parse().expect(to);
    let credit = 1024;
    let connect = Frame::Connect {
        id,
        credit,
        to,
        options,
    };
    client.send(&connect).await;
    let window = match client.frame().await {
        Frame::Opened { credit, .. } => credit as usize,
        other => panic!("{other:?}"),
    };
    for begin in (0..window).step_by(MAX_DATA) {
        let data = vec![7; MAX_DATA.min(window - begin)].into();
        client.send(&Frame::Data { id, data }).await;
    }
    client.send(&Frame::Fin { id }).await;
    // What was sent before this is there when it is answered.
    client.send(&Frame::Ping([1; 8])).await;
    while client.frame().await != Frame::Pong([1; 8]) {}
    (id, window)
}

/// Bytes that repeat nowhere near.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}
