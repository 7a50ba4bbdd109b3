//! The client over a stream whose other end is written out here, message by message.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_coap::client::{
    self, Client, ClientConfig, ClientEvent, ConnectionError, Events, Status,
};
use jackfield_coap::codec::{Code, ContentFormat, FrameHeader, Message, OptionNumber};
use jackfield_coap::core::{BlockError, LayerError, Request};
use jackfield_coap::{RequestError, SessionError};
use jackfield_sim::Network;
use jackfield_socket::{ByteStream, ListenOptions, TcpListen, TcpListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a block option says (RFC 7959, section 2.2): which block, whether more follow, and the
/// exponent of its size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block(u32, bool, u32);

/// Of 16 and of 64 bytes.
const B16: u32 = 0;
const B64: u32 = 2;

impl Block {
    fn of(message: &Message, number: OptionNumber) -> Option<Self> {
        let value = message.options().uint(number)?;
        Some(Self(value >> 4, value & 8 != 0, value & 7))
    }

    fn set(self, message: &mut Message, number: OptionNumber) {
        let Self(index, more, size) = self;
        let options = message.options_mut();
        let done = options.set_uint(number, index << 4 | u32::from(more) << 3 | size);
        done.expect("it fits");
    }

    fn offset(self) -> u64 {
        u64::from(self.0) * (16 << self.2)
    }
}

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

    /// The next message; `None` at the stream's end.
    async fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(header) = FrameHeader::decode(&self.received)
                && let Some(frame) = self.received.get(..header.frame_len() as usize)
            {
                let message = Message::from_frame(frame).expect("a message");
                self.received.drain(..header.frame_len() as usize);
                return Some(message);
            }
            let read = self.stream.read_buf(&mut self.received);
            let read = tokio::time::timeout(Duration::from_hours(1), read).await;
            if read.expect("in time").expect("an end in order") == 0 {
                return None;
            }
        }
    }

    /// Takes a request, and answers it with a block of 16 bytes of a body with this entity-tag.
    async fn answer_block(&mut self, number: u32, more: bool, etag: &str) -> Message {
        let request = self.receive().await.expect("a request");
        let mut response = Message::new(Code::CONTENT);
        response.set_token(request.token());
        let options = response.options_mut();
        options.add_text(OptionNumber::ETAG, etag).expect("a tag");
        Block(number, more, B16).set(&mut response, OptionNumber::BLOCK2);
        response.payload = vec![b'0' + number as u8; 16].into();
        self.send(&response).await;
        request
    }

    /// Takes a request, and answers it with this code and text.
    async fn answer_with(&mut self, code: Code, text: &str) -> Message {
        let request = self.receive().await.expect("a request");
        let mut response = Message::new(code);
        response.set_token(request.token());
        response.payload = text.to_owned().into();
        self.send(&response).await;
        request
    }

    async fn answer(&mut self, request: &Message, text: &str) {
        let mut response = Message::new(Code::CONTENT);
        response.set_token(request.token());
        response.payload = text.to_owned().into();
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
        if let ClientEvent::Status(Status::Disconnected { error, retry_in }) = event {
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
    let (error, retry_in) = lost(&mut events).await;
    let is_released = matches!(
        error,
        ConnectionError::Session(SessionError::Released { .. })
    );
    assert!(is_released, "{error:?}");
    assert!(retry_in >= Some(Duration::from_secs(100)), "{retry_in:?}");

    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    let waited = released.elapsed();
    assert!(waited >= Duration::from_secs(100), "only {waited:?}");
    let request = peer.receive().await.expect("it goes on");
    assert!(request.uri_path().eq(["second"]));
    peer.answer(&request, "two").await;
    let answer = second.await.expect("no panic").expect("it is answered");
    assert_eq!(answer.text(), Some("two"));
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
    assert_eq!(abort.payload, "a payload marker without payload, at byte 2");
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

/// What a request has done is done: its answer can't be had again by making it again, and least of
/// all without its body.
#[tokio::test(start_paused = true)]
async fn nothing_but_get_and_fetch_is_made_again_when_its_answer_changes() {
    let methods = [
        Code::PUT,
        Code::POST,
        Code::DELETE,
        Code::PATCH,
        Code::IPATCH,
    ];
    for method in methods {
        for vanishes in [false, true] {
            let (client, _events, mut listener) = begin().await;
            let asked = tokio::spawn(async move {
                let request = Request::new(method, "/value").expect("a target");
                let request = request.with_payload("precious", ContentFormat::TEXT_PLAIN);
                let outcome = client.request(request).await;
                // What comes next, comes after whatever the client does about it.
                let _ = client.get("/next").await;
                outcome
            });
            let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
            let first = peer.answer_block(0, true, "a").await;
            assert_eq!(first.payload, "precious");
            let second = if vanishes {
                peer.answer_with(Code::CHANGED, "all").await
            } else {
                peer.answer_block(1, true, "b").await
            };
            assert_eq!(second.code(), method);
            let next = peer.answer_with(Code::CONTENT, "next").await;
            assert!(next.uri_path().eq(["next"]), "{method:?}: {next:?}");
            let outcome = asked.await.expect("no panic");
            assert!(
                matches!(outcome, Err(RequestError::Blocks(BlockError::Changed))),
                "{method:?}: {outcome:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_whose_answer_changes_is_made_again_with_its_body() {
    let (client, _events, mut listener) = begin().await;
    let asked = "what ".repeat(1000);
    let body = asked.clone();
    let text = ContentFormat::TEXT_PLAIN;
    let fetched = tokio::spawn(async move { client.fetch("/value", body, text).await });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    for etag in ["a", "b"] {
        let mut body = Vec::new();
        let last = loop {
            let request = peer.receive().await.expect("a request");
            body.extend_from_slice(&request.payload);
            let block = Block::of(&request, OptionNumber::BLOCK1).expect("it is large");
            if !block.1 {
                break request;
            }
            let mut response = Message::new(Code::CONTINUE);
            response.set_token(request.token());
            block.set(&mut response, OptionNumber::BLOCK1);
            peer.send(&response).await;
        };
        assert!(body == asked.as_bytes(), "{} bytes came", body.len());
        let mut response = Message::new(Code::CONTENT);
        response.set_token(last.token());
        let block = Block::of(&last, OptionNumber::BLOCK1).expect("it is large");
        block.set(&mut response, OptionNumber::BLOCK1);
        Block(0, true, B16).set(&mut response, OptionNumber::BLOCK2);
        let options = response.options_mut();
        options.add_text(OptionNumber::ETAG, etag).expect("a tag");
        response.payload = vec![b'0'; 16].into();
        peer.send(&response).await;
        // As it was in the first phase, without Block1 (RFC 7959, section 2.7).
        let further = peer.answer_block(1, false, "b").await;
        let kept = |number| (last.options().get(number), further.options().get(number));
        for number in [OptionNumber::CONTENT_FORMAT, OptionNumber::REQUEST_TAG] {
            let (before, now) = kept(number);
            assert!(before.is_some() && before == now, "{number}: {further:?}");
        }
        assert_eq!(Block::of(&further, OptionNumber::BLOCK1), None);
    }
    let fetched = fetched.await.expect("no panic").expect("an answer");
    assert_eq!(fetched.text(), Some("00000000000000001111111111111111"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_middle_is_no_part_of_the_body() {
    let (client, _events, mut listener) = begin().await;
    let read = tokio::spawn(async move {
        let mut download = client.download("/value").await.expect("it is there");
        let first = download.next().await.expect("a part").expect("a part");
        assert_eq!(first, [b'0'; 16]);
        let refused = download.next().await;
        let again = download.next().await.expect("it is there again");
        assert_eq!(again.as_deref(), Some(&[b'1'; 16][..]));
        assert_eq!(download.next().await.expect("an end"), None);
        assert_eq!(download.received(), 32);
        refused
    });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    peer.answer_block(0, true, "a").await;
    peer.answer_with(Code::NOT_FOUND, "gone").await;
    peer.answer_block(1, false, "a").await;
    match read.await.expect("no panic") {
        Err(RequestError::Refused(refusal)) => {
            assert_eq!(refusal.code(), Code::NOT_FOUND);
            assert_eq!(refusal.diagnostic(), Some("gone"));
        }
        other => panic!("{other:?}"),
    }
}

/// RFC 7959, section 2.9.1: it asks for more of a request's body, and there is none.
#[tokio::test(start_paused = true)]
async fn continue_answers_no_request() {
    let (client, _events, mut listener) = begin().await;
    let asked = tokio::spawn(async move { client.get("/value").await });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    peer.answer_with(Code::CONTINUE, "").await;
    let outcome = asked.await.expect("no panic");
    assert!(
        matches!(outcome, Err(RequestError::Blocks(BlockError::TooMuchAsked))),
        "{outcome:?}"
    );
}

/// RFC 8323, section 5.5: who releases its clients may never answer what it was asked.
#[tokio::test(start_paused = true)]
async fn a_server_that_releases_its_clients_and_says_no_more_is_left() {
    let (client, mut events, mut listener) = begin().await;
    let asked = tokio::spawn(async move { client.get("/value").await });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    peer.receive().await.expect("a request");
    peer.send(&Message::new(Code::RELEASE)).await;
    // It is there still, as it says whenever it is asked.
    let parting = loop {
        let message = peer.receive().await.expect("a word");
        if message.code() != Code::PING {
            break message;
        }
        let mut pong = Message::new(Code::PONG);
        pong.set_token(message.token());
        peer.send(&pong).await;
    };
    assert_eq!(parting.code(), Code::RELEASE);
    let outcome = asked.await.expect("no panic");
    assert!(
        matches!(outcome, Err(RequestError::TimedOut)),
        "{outcome:?}"
    );
    let (error, _) = lost(&mut events).await;
    let is_released = matches!(
        error,
        ConnectionError::Session(SessionError::Released { .. })
    );
    assert!(is_released, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_waits_for_the_connection_as_everything_does() {
    let (client, _events, mut listener) = begin().await;
    let pinged = tokio::spawn(async move { client.ping().await });
    // Long enough that it would have failed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    let ping = peer.receive().await.expect("it goes on");
    assert_eq!(ping.code(), Code::PING);
    let mut pong = Message::new(Code::PONG);
    pong.set_token(ping.token());
    peer.send(&pong).await;
    pinged.await.expect("no panic").expect("it is there");
}

/// RFC 7959, section 2.9.3.
#[tokio::test(start_paused = true)]
async fn a_server_may_want_smaller_blocks_at_any_time() {
    let (client, _events, mut listener) = begin().await;
    let body: Vec<u8> = (0..3000_u32).map(|at| at as u8).collect();
    let sent = body.clone();
    let put = tokio::spawn(async move {
        let request = Request::put("/value").expect("a target");
        let mut told = Vec::new();
        let size = Some(sent.len() as u64);
        let outcome = client.upload(request, &sent[..], size, |progress| {
            told.push(progress.sent);
        });
        (outcome.await, told)
    });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    let mut taken = Vec::new();
    let told = loop {
        let request = peer.receive().await.expect("a request");
        let block = Block::of(&request, OptionNumber::BLOCK1).expect("in blocks");
        assert_eq!(block.offset(), taken.len() as u64);
        let is_too_large = block.0 > 0 && block.2 > B64;
        let code = match (is_too_large, block.1) {
            (true, _) => Code::REQUEST_ENTITY_TOO_LARGE,
            (false, true) => Code::CONTINUE,
            (false, false) => Code::CHANGED,
        };
        let mut response = Message::new(code);
        response.set_token(request.token());
        if is_too_large {
            let smaller = Block(block.0, block.1, B64);
            smaller.set(&mut response, OptionNumber::BLOCK1);
        } else {
            taken.extend_from_slice(&request.payload);
            block.set(&mut response, OptionNumber::BLOCK1);
        }
        peer.send(&response).await;
        if code == Code::CHANGED {
            let (outcome, told) = put.await.expect("no panic");
            outcome.expect("it is taken");
            break told;
        }
    };
    assert!(taken == body, "what arrived is not what was sent");
    assert_eq!(told.first(), Some(&1024));
    assert!(told.is_sorted_by(|one, next| one < next), "{told:?}");
    assert_eq!(told.last(), Some(&3000));
}

/// What fits into a message is one exchange, which says nothing of blocks.
#[tokio::test(start_paused = true)]
async fn what_is_small_is_one_exchange() {
    let (client, _events, mut listener) = begin().await;
    let asked = tokio::spawn(async move {
        let read = client.get("/value").await?;
        let format = ContentFormat::TEXT_PLAIN;
        client.put("/value", read.payload, format).await?;
        client.fetch("/value", "this", format).await?;
        client.delete("/value").await
    });
    let mut peer = Peer::of(listener.accept().await.expect("a connection")).await;
    for (method, code, payload) in [
        (Code::GET, Code::CONTENT, ""),
        (Code::PUT, Code::CHANGED, "0.01"),
        (Code::FETCH, Code::CONTENT, "this"),
        (Code::DELETE, Code::DELETED, ""),
    ] {
        let request = peer.answer_with(code, &method.to_string()).await;
        assert_eq!(request.code(), method);
        assert_eq!(request.payload, payload.as_bytes());
        for number in [
            OptionNumber::BLOCK1,
            OptionNumber::BLOCK2,
            OptionNumber::SIZE1,
            OptionNumber::REQUEST_TAG,
        ] {
            assert!(!request.options().contains(number), "{request:?}");
        }
    }
    let outcome = asked.await.expect("no panic");
    assert!(outcome.is_ok(), "{outcome:?}");
}
