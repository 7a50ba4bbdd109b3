//! OSCORE against aiocoap: message by message, and with the client.

use std::time::Duration;

use jackfield_coap::RequestError;
use jackfield_coap::client::{self, ClientConfig, SecurityContext};
use jackfield_coap::codec::{
    Code, ContentFormat, Datagram, Message, MessageId, MessageType, OptionNumber, Token,
};
use jackfield_coap::oscore::{ClientExchange, Context, ErrorKind, Parameters};
use jackfield_native::{Native, NativeDatagramSocket};
use jackfield_socket::{DatagramSocket, UdpOpen, UdpOptions};
use jackfield_store::MemoryStore;
use jackfield_testing::aiocoap::{Aiocoap, Oscore};
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

fn shared() -> Oscore {
    Oscore {
        secret: (1..=16).collect(),
        salt: vec![0x9e, 0x7c, 0xa9, 0x22],
        server_id: vec![1],
        client_id: vec![],
    }
}

fn context(oscore: &Oscore) -> Context {
    let parameters = Parameters::new(&oscore.secret, &oscore.client_id, &oscore.server_id)
        .expect("parameters")
        .with_master_salt(&oscore.salt);
    Context::ephemeral(&parameters)
}

/// A client of one request at a time. Loopback loses nothing.
struct Client {
    socket: NativeDatagramSocket,
    context: Context,
    last: u16,
}

impl Client {
    async fn new(server: &Aiocoap, context: Context) -> Self {
        let socket = Native
            .open_connected(&server.plain().into(), &UdpOptions::default())
            .await;
        Self {
            socket: socket.expect("a socket"),
            context,
            last: 0,
        }
    }

    /// Protects and sends a request.
    async fn send(&mut self, mut request: Message) -> ClientExchange {
        self.last += 1;
        request.set_token(Token::new(&self.last.to_be_bytes()).expect("a token"));
        let (protected, exchange) = self.context.protect_request(&request).expect("a number");
        self.send_as_it_is(protected).await;
        exchange
    }

    async fn send_as_it_is(&mut self, message: Message) {
        let datagram = Datagram::new(MessageType::Confirmable, MessageId(self.last), message);
        self.socket
            .send(&datagram.to_bytes(), None)
            .await
            .expect("sent");
    }

    /// The next message that is not empty; a confirmable one is acknowledged.
    async fn receive(&mut self) -> Message {
        loop {
            let mut buffer = [0; 2048];
            let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
            let received = received.expect("in time").expect("a datagram");
            let datagram = Datagram::decode(&buffer[..received.len]).expect("a message");
            if datagram.message_type == MessageType::Confirmable {
                let empty = Datagram::new(
                    MessageType::Acknowledgement,
                    datagram.id,
                    Message::new(Code::EMPTY),
                );
                self.socket
                    .send(&empty.to_bytes(), None)
                    .await
                    .expect("sent");
            }
            if datagram.message.code() != Code::EMPTY {
                return datagram.message;
            }
        }
    }

    async fn ask(&mut self, request: Message) -> Message {
        let mut exchange = self.send(request).await;
        let response = self.receive().await;
        self.context
            .unprotect_response(&mut exchange, &response)
            .expect("it is the server's")
    }
}

fn request(code: Code, path: &str) -> Message {
    let mut request = Message::new(code);
    let options = request.options_mut();
    options
        .add_text(OptionNumber::URI_PATH, path)
        .expect("a path");
    request
}

#[tokio::test]
async fn requests_and_responses_of_all_kinds() {
    let server = Aiocoap::start(&[shared()]).await.expect("the server");
    let mut client = Client::new(&server, context(&shared())).await;
    let hello = client.ask(request(Code::GET, "hello")).await;
    assert_eq!(
        (hello.code(), &hello.payload[..]),
        (Code::CONTENT, &b"hello"[..])
    );
    for (code, name) in [
        (Code::POST, "POST"),
        (Code::FETCH, "FETCH"),
        (Code::IPATCH, "iPATCH"),
    ] {
        let mut request = request(code, "echo");
        request.payload = "this".into();
        let answer = client.ask(request).await;
        assert_eq!(answer.payload, format!("{name} this"));
    }
    let refused = client.ask(request(Code::GET, "forbidden")).await;
    assert_eq!(refused.code(), Code::FORBIDDEN);
    let slow = client.ask(request(Code::GET, "slow")).await;
    assert_eq!(slow.payload, "at last");
}

#[tokio::test]
async fn a_body_in_blocks_inside() {
    let server = Aiocoap::start(&[shared()]).await.expect("the server");
    let mut client = Client::new(&server, context(&shared())).await;
    let mut body = Vec::new();
    for number in 0.. {
        let mut request = request(Code::GET, "large");
        // RFC 7959, section 2.2: blocks of 1024 bytes.
        let wanted = request
            .options_mut()
            .set_uint(OptionNumber::BLOCK2, number << 4 | 6);
        wanted.expect("it fits");
        let response = client.ask(request).await;
        body.extend_from_slice(&response.payload);
        let block = response.options().uint(OptionNumber::BLOCK2);
        if block.expect("a block") & 8 == 0 {
            break;
        }
    }
    let expected: Vec<u8> = (0..1_u32 << 20).map(|index| (index % 251) as u8).collect();
    assert!(body == expected, "{} bytes that are others", body.len());
}

#[tokio::test]
async fn notifications_in_their_order() {
    let server = Aiocoap::start(&[shared()]).await.expect("the server");
    let mut client = Client::new(&server, context(&shared())).await;
    let mut observe = request(Code::GET, "ticks");
    let registers = observe.options_mut().set_uint(OptionNumber::OBSERVE, 0);
    registers.expect("it fits");
    let mut exchange = client.send(observe).await;
    let mut order = 0;
    let mut tick = None;
    for _ in 0..5 {
        let received = client.receive().await;
        let notification = client
            .context
            .unprotect_response(&mut exchange, &received)
            .expect("it is the server's");
        let again = client.context.unprotect_response(&mut exchange, &received);
        assert_eq!(
            again.expect_err("it was there before").kind(),
            ErrorKind::Replay
        );
        let place = notification.options().uint(OptionNumber::OBSERVE);
        assert!(place > Some(order));
        order = place.expect("a notification");
        let text = str::from_utf8(&notification.payload).expect("text");
        let now: u32 = text.parse().expect("a number");
        assert!(Some(now) > tick, "{now} after {tick:?}");
        tick = Some(now);
    }
}

#[tokio::test]
async fn what_the_server_can_not_verify_it_refuses() {
    let server = Aiocoap::start(&[shared()]).await.expect("the server");
    let mut others = shared();
    others.secret[0] ^= 1;
    let mut client = Client::new(&server, context(&others)).await;
    let mut exchange = client.send(request(Code::GET, "hello")).await;
    let response = client.receive().await;
    assert_eq!(response.code(), Code::BAD_REQUEST);
    let error = client.context.unprotect_response(&mut exchange, &response);
    assert_eq!(
        error.expect_err("nobody's word").kind(),
        ErrorKind::Unprotected
    );

    let mut client = Client::new(&server, context(&shared())).await;
    let (protected, _) = client
        .context
        .protect_request(&request(Code::GET, "hello"))
        .expect("a number");
    // Sent twice: the second time it is a replay, though its Message ID is new.
    client.send_as_it_is(protected.clone()).await;
    assert_eq!(client.receive().await.code(), Code::CHANGED);
    client.last += 1;
    client.send_as_it_is(protected).await;
    assert_eq!(client.receive().await.code(), Code::UNAUTHORIZED);
}

/// A client over UDP, protected by a context whose numbers are kept in this store.
async fn connect(server: &Aiocoap, disk: &MemoryStore) -> client::Client {
    let oscore = shared();
    let parameters = Parameters::new(&oscore.secret, &oscore.client_id, &oscore.server_id)
        .expect("parameters")
        .with_master_salt(&oscore.salt);
    let context = SecurityContext::open(&parameters, disk.clone()).await;
    let mut config = ClientConfig::default();
    config.oscore = Some(context.expect("it opens"));
    let (client, mut events, connection) = client::connect(Native, server.plain().into(), config);
    tokio::spawn(connection);
    tokio::spawn(async move { while events.next().await.is_some() {} });
    client
}

#[tokio::test]
async fn the_client_does_all_of_it_and_goes_on_after_a_restart() {
    let server = Aiocoap::start(&[shared()]).await.expect("the server");
    let disk = MemoryStore::new();
    for _ in 0..3 {
        // Were a number used again, the server would take it for a replay.
        let client = connect(&server, &disk).await;
        let hello = client.get("/hello").await.expect("a response");
        assert_eq!(hello.text(), Some("hello"));
        let refused = client.get("/forbidden").await.expect_err("forbidden");
        assert!(
            matches!(refused, RequestError::Refused(refusal) if refusal.code() == Code::FORBIDDEN)
        );
        client.close().await;
    }
    let client = connect(&server, &disk).await;

    // Blocks, inside, both ways.
    let large = client.get("/large").await.expect("a response");
    assert_eq!(large.payload.len(), 1 << 20);
    let body: Vec<u8> = (0..50_000_u32).map(|index| (index % 253) as u8).collect();
    client
        .put("/large", body.clone(), ContentFormat::OCTET_STREAM)
        .await
        .expect("it is stored");
    let large = client.get("/large").await.expect("a response");
    assert!(large.payload == body);

    let mut ticks = client.observe("/ticks").await.expect("an observation");
    let mut before = None;
    for _ in 0..5 {
        let tick = timeout(PATIENCE, ticks.next()).await.expect("in time");
        let tick = tick.expect("it goes on").expect("a notification");
        let tick: u32 = tick.text().expect("text").parse().expect("a number");
        assert!(Some(tick) > before);
        before = Some(tick);
    }
    client.close().await;
}

/// A server that has lost count of what it has accepted asks whether the request is fresh, and the
/// client says so (RFC 8613, appendix B.1.2; RFC 9175, section 2.2).
#[tokio::test]
async fn a_server_that_starts_again_is_told_that_the_request_is_fresh() {
    let mut server = Aiocoap::start(&[shared()]).await.expect("the server");
    let mut plain = Client::new(&server, context(&shared())).await;
    let hello = plain.ask(request(Code::GET, "hello")).await;
    assert_eq!(hello.payload, "hello");
    server.restart().await.expect("it starts again");
    let challenge = plain.ask(request(Code::GET, "hello")).await;
    assert_eq!(challenge.code(), Code::UNAUTHORIZED);
    let echo = challenge.options().get(OptionNumber::ECHO);
    let mut fresh = request(Code::GET, "hello");
    let echo = echo.expect("a question");
    fresh
        .options_mut()
        .set(OptionNumber::ECHO, echo)
        .expect("it was an option's value");
    let hello = plain.ask(fresh).await;
    assert_eq!(hello.payload, "hello");

    // The client does that by itself.
    let mut server = Aiocoap::start(&[shared()]).await.expect("the server");
    let client = connect(&server, &MemoryStore::new()).await;
    for _ in 0..3 {
        let hello = timeout(PATIENCE, client.get("/hello")).await;
        let hello = hello.expect("in time").expect("a response");
        assert_eq!(hello.text(), Some("hello"));
        server.restart().await.expect("it starts again");
    }
    client.close().await;
}

#[tokio::test]
async fn a_client_with_other_keys_is_told_so_at_once() {
    let mut others = shared();
    others.secret[0] ^= 1;
    let server = Aiocoap::start(&[others]).await.expect("the server");
    let client = connect(&server, &MemoryStore::new()).await;
    let answer = timeout(PATIENCE, client.get("/hello")).await;
    let error = answer.expect("at once").expect_err("nobody's word");
    assert!(matches!(error, RequestError::Security(_)), "{error}");
}
