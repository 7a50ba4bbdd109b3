//! The client over a stream whose other end is written out here, message by message.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_coap::client::{self, Client, ClientConfig, ClientEvent, ConnectionError, Events};
use jackfield_coap::codec::{Code, FrameHeader, Message, OptionNumber};
use jackfield_coap::core::LayerError;
use jackfield_coap::{RequestError, SessionError};
use jackfield_sim::Network;
use jackfield_socket::{ByteStream, ListenOptions, TcpListen, TcpListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The server's end of a stream, message by message.
struct Peer<S> {
    stream: S,
    received: Vec<u8>,
}

impl<S: ByteStream> Peer<S> {
    /// Says what it takes, as each side has to at first, and hears what the client takes.
    async fn of(stream: S) -> Self {
        let received = Vec::new();
        let mut peer = Self { stream, received };
        peer.send(&Message::new(Code::CSM)).await;
        let settings = peer.receive().await.expect("it goes on");
        assert_eq!(settings.code(), Code::CSM);
        peer
    }

    async fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.write_frame(&mut bytes);
        self.stream.write_all(&bytes).await.expect("it is sent");
        self.stream.flush().await.expect("it is sent");
    }

    /// The next message; none at the stream's end.
    async fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(header) = FrameHeader::decode(&self.received)
                && let Some(frame) = self.received.get(..header.frame_len() as usize)
            {
                let message = Message::from_frame(frame).expect("a message");
                self.received.drain(..header.frame_len() as usize);
                return Some(message);
            }
            let read = self.stream.read_buf(&mut self.received).await;
            if read.expect("an end in order") == 0 {
                return None;
            }
        }
    }

    async fn answer(&mut self, request: &Message, text: &str) {
        let mut response = Message::new(Code::CONTENT);
        response.set_token(request.token());
        response.set_payload(text);
        self.send(&response).await;
    }
}

/// A client, and where it connects to.
async fn begin() -> (Client, Events, impl TcpListener) {
    let network = Network::new(14);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("there.example", ["192.0.2.2".parse().expect("an address")]);
    let at: SocketAddr = "192.0.2.2:5683".parse().expect("an address");
    let listener = there.listen(at, &ListenOptions::default()).await;
    let mut config = ClientConfig::default();
    config.requests.response_timeout = Duration::from_mins(5);
    let (client, events, connection) = client::connect_tcp(here, at.into(), config);
    tokio::spawn(connection);
    (client, events, listener.expect("the port is free"))
}

/// Why there is no connection, and when there is to be one again.
async fn lost(events: &mut Events) -> (ConnectionError, Option<Duration>) {
    loop {
        let event = events.next().await.expect("it goes on");
        if let ClientEvent::Disconnected { error, retry_in } = event {
            return (error, retry_in);
        }
    }
}

/// RFC 8323, section 5.5: what was asked is answered, what is asked meanwhile waits for the next
/// connection, and that for as long as the server wants.
#[tokio::test(start_paused = true)]
async fn a_server_that_releases_its_clients_is_left_and_found_again() {
    let (client, mut events, mut listener) = begin().await;
    let ask = |path: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.get(path).await })
    };
    let first = ask("/first");
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    let request = peer.receive().await.expect("it goes on");
    let mut release = Message::new(Code::RELEASE);
    let hold_off = OptionNumber(4);
    let options = release.options_mut();
    options.set(hold_off, &[100]).expect("it fits");
    peer.send(&release).await;
    // It arrives before the next request is made: an answer to a ping says so.
    let mut ping = Message::new(Code::PING);
    ping.set_token("p".parse().expect("a token"));
    peer.send(&ping).await;
    let pong = peer.receive().await.expect("it goes on");
    assert_eq!(pong.code(), Code::PONG);
    let second = ask("/second");
    tokio::time::sleep(Duration::from_secs(5)).await;
    peer.answer(&request, "one").await;
    let released = tokio::time::Instant::now();
    let parting = peer.receive().await.expect("a word");
    assert_eq!(parting.code(), Code::RELEASE);
    assert!(peer.receive().await.is_none(), "there is no end");
    let answer = first.await.expect("no panic").expect("it is answered");
    assert_eq!(answer.text(), Some("one"));

    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    let waited = released.elapsed();
    assert!(waited >= Duration::from_secs(100), "only {waited:?}");
    let request = peer.receive().await.expect("it goes on");
    assert!(request.uri_path().eq(["second"]));
    peer.answer(&request, "two").await;
    let answer = second.await.expect("no panic").expect("it is answered");
    assert_eq!(answer.text(), Some("two"));
    let (error, retry_in) = lost(&mut events).await;
    let is_released = matches!(
        error,
        ConnectionError::Session(SessionError::Released { .. })
    );
    assert!(is_released, "{error:?}");
    assert!(retry_in >= Some(Duration::from_secs(100)), "{retry_in:?}");
}

/// RFC 8323, section 5.6: who sends what is no message is told so; the request fails, and the client
/// begins again.
#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_the_protocol_is_told_why() {
    let (client, mut events, mut listener) = begin().await;
    let asked = tokio::spawn(async move { client.get("/value").await });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    peer.receive().await.expect("a request");
    let malformed = [0x10, Code::CONTENT.to_byte(), 0xff];
    peer.stream.write_all(&malformed).await.expect("it is sent");
    let abort = peer.receive().await.expect("a word");
    assert_eq!(abort.code(), Code::ABORT);
    assert_eq!(
        abort.payload(),
        b"a payload marker without payload, at byte 2"
    );
    let (error, retry_in) = lost(&mut events).await;
    let error_is_typed = matches!(
        &error,
        ConnectionError::Session(SessionError::Layer(LayerError::Malformed(_)))
    );
    assert!(error_is_typed, "{error:?}");
    assert!(retry_in.is_some());
    let outcome = asked.await.expect("no panic");
    assert!(
        matches!(outcome, Err(RequestError::ConnectionLost)),
        "{outcome:?}"
    );
}
