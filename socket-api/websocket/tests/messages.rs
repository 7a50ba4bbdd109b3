//! Against a server of another's making: what is carried, and every way in which it ends.

use std::future::poll_fn;
use std::io;

use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_native::{Native, NativeStream};
use jackfield_socket::{
    Endpoint, Error, ErrorKind, ListenOptions, TcpConnect as _, TcpListen as _, TcpListener as _,
    TcpOptions,
};
use jackfield_testing::certs::Authority;
use jackfield_tls::{
    Certificates, Identity, Tls, TlsAcceptor, TlsConfig, TlsConnector, TlsServerConfig,
};
use jackfield_websocket::{
    WebSocket, WebSocketNetwork, WebSocketOptions, WebSocketStream, WebSocketUrl,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{CloseCode, Message, ServerBuilder};

type Server = tokio_websockets::WebSocketStream<TcpStream>;

/// Both ends of a WebSocket that carries whole messages.
async fn pair(options: &WebSocketOptions) -> (WebSocket, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let url: WebSocketUrl = format!("ws://{address}/").parse().expect("an address");
    let client = async {
        let stream = dial(url.endpoint()).await;
        WebSocket::over(stream, &url, options).await.expect("open")
    };
    let server = async {
        let (stream, _) = listener.accept().await.expect("a client");
        ServerBuilder::new().accept(stream).await.expect("open").1
    };
    tokio::join!(client, server)
}

async fn dial(to: &Endpoint) -> NativeStream {
    let options = TcpOptions::default();
    Native.connect(to, &options).await.expect("connected")
}

/// The same, carrying a byte stream.
async fn stream_pair() -> (WebSocketStream, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let to = listener.local_addr().expect("address").into();
    let network = WebSocketNetwork::over(Native, WebSocketOptions::new());
    let options = TcpOptions::default();
    let client = async { network.connect(&to, &options).await.expect("open") };
    let server = async {
        let (stream, _) = listener.accept().await.expect("a client");
        ServerBuilder::new().accept(stream).await.expect("open").1
    };
    tokio::join!(client, server)
}

/// Closes it in order, and doesn't wait for the answer.
async fn close(server: &mut Server) {
    let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
    server.send(close).await.expect("sent");
}

#[tokio::test]
async fn messages_keep_their_bounds() {
    let (mut client, mut server) = pair(&WebSocketOptions::new()).await;
    for length in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let message = vec![7; length];
        client.send_message(&message).await.expect("sent");
        let received = server.next().await.expect("open").expect("received");
        assert!(received.is_binary());
        server.send(received).await.expect("sent");
        let back = client.receive().await.expect("received");
        assert_eq!(back.expect("a message"), message);
    }
    close(&mut server).await;
    assert_eq!(client.receive().await.expect("in order"), None);
    assert_eq!(client.receive().await.expect("still so"), None);
}

#[tokio::test]
async fn pings_are_answered_between_messages() {
    let (mut client, mut server) = pair(&WebSocketOptions::new()).await;
    server
        .send(Message::ping("are you there"))
        .await
        .expect("sent");
    server
        .send(Message::binary("a message"))
        .await
        .expect("sent");
    let received = client.receive().await.expect("received");
    assert_eq!(received.expect("a message"), "a message");
    poll_fn(|cx| client.poll_flush(cx)).await.expect("flushed");
    let pong = server.next().await.expect("open").expect("received");
    assert!(pong.is_pong());
    assert_eq!(&**pong.as_payload(), b"are you there");
}

#[tokio::test]
async fn masks_come_from_strong_entropy() {
    // RFC 6455, section 10.3: whoever writes a message must not know how it will look on the wire.
    // A generator with a seed is one that can be known.
    let mut masks = Vec::new();
    for _ in 0..2 {
        let (mut client, server) = pair(&WebSocketOptions::new()).await;
        let mut raw = server.into_inner();
        fastrand::seed(7);
        client.send_message(b"four").await.expect("sent");
        let mut frame = [0; 10];
        raw.read_exact(&mut frame).await.expect("received");
        assert_eq!(frame[..2], [0x82, 0x84], "a binary message of 4 bytes");
        masks.push(frame[2..6].to_vec());
    }
    assert_ne!(masks[0], masks[1]);
}

#[tokio::test]
async fn messages_in_fragments_are_bounded_by_their_sum() {
    let mut options = WebSocketOptions::new();
    options.max_message = 10;
    let (mut client, server) = pair(&options).await;
    let mut raw = server.into_inner();
    // "hello " and "you" (RFC 6455, section 5.4), then nine bytes, and two more of the same message.
    raw.write_all(b"\x02\x06hello \x80\x03you")
        .await
        .expect("sent");
    let message = client.receive().await.expect("received");
    assert_eq!(message.expect("a message"), "hello you");
    raw.write_all(b"\x02\x09hello you\x80\x02, two")
        .await
        .expect("sent");
    let error = client.receive().await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}

#[tokio::test]
async fn bytes_come_whole_however_they_are_cut_into_messages() {
    let (mut client, mut server) = stream_pair().await;
    for part in ["", "a pack", "et and ano", "", "ther"] {
        server.send(Message::binary(part)).await.expect("sent");
    }
    close(&mut server).await;
    let mut text = String::new();
    client.read_to_string(&mut text).await.expect("an end");
    assert_eq!(text, "a packet and another");
}

/// What a byte stream's reader learns after `first` and then this message.
async fn end_after(message: Option<Message>) -> io::Result<usize> {
    let (mut client, mut server) = stream_pair().await;
    server.send(Message::binary("first")).await.expect("sent");
    match message {
        Some(message) => server.send(message).await.expect("sent"),
        // Cut without a close: the end of TCP alone.
        None => server.get_mut().shutdown().await.expect("ended"),
    }
    let mut first = [0; 5];
    client
        .read_exact(&mut first)
        .await
        .expect("what came before");
    let ended = client.read(&mut [0; 16]).await;
    let again = client.read(&mut [0; 16]).await;
    assert_eq!(ended.is_ok(), again.is_ok(), "it stays ended, or failed");
    ended
}

#[tokio::test]
async fn only_a_close_with_code_1000_is_an_end() {
    let close = |code| Some(Message::close(Some(code), "why"));
    let ended = end_after(close(CloseCode::NORMAL_CLOSURE)).await;
    assert_eq!(ended.expect("an end"), 0);
    for cut in [
        close(CloseCode::GOING_AWAY),
        close(CloseCode::INTERNAL_SERVER_ERROR),
        Some(Message::close(None, "")),
        None,
    ] {
        let what = format!("{cut:?}");
        let error = Error::from(end_after(cut).await.expect_err(&what));
        assert_eq!(error.kind(), ErrorKind::Reset, "{what}: {error}");
    }
}

#[tokio::test]
async fn a_text_message_is_an_error() {
    let error = end_after(Some(Message::text("text")))
        .await
        .expect_err("text");
    assert_eq!(Error::from(error).kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn shutting_down_says_so_and_reading_then_tells_that_it_was_us() {
    let (mut client, mut server) = stream_pair().await;
    client.write_all(b"the last words").await.expect("sent");
    client.shutdown().await.expect("closed");
    let last = server.next().await.expect("open").expect("received");
    assert_eq!(&**last.as_payload(), b"the last words");
    let close = server.next().await.expect("open").expect("received");
    let (code, _) = close.as_close().expect("a close");
    assert_eq!(code, CloseCode::NORMAL_CLOSURE);
    assert!(server.next().await.is_none());
    let error = client.read(&mut [0; 16]).await.expect_err("closed here");
    assert_eq!(Error::from(error).kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn the_subprotocol_must_be_chosen_and_refusals_have_kinds() {
    let answers = [
        (
            "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            ErrorKind::Protocol,
        ),
        ("HTTP/1.1 403 Forbidden\r\n", ErrorKind::Denied),
        ("HTTP/1.1 503 Busy\r\n", ErrorKind::LimitExceeded),
        ("HTTP/1.1 200 OK\r\n", ErrorKind::Protocol),
        ("220 mail.example ESMTP\r\n", ErrorKind::Protocol),
    ];
    for (answer, kind) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let to = listener.local_addr().expect("address").into();
        let options = WebSocketOptions::new()
            .with_path("/mqtt?a=b")
            .with_subprotocol("mqtt");
        let network = WebSocketNetwork::over(Native, options);
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.expect("a request"));
            }
            let answer = format!("{answer}Content-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("sent");
            (String::from_utf8(request).expect("text"), stream)
        };
        let options = TcpOptions::default();
        let (opened, (request, _)) = tokio::join!(network.connect(&to, &options), serve);
        let error = opened.expect_err(answer);
        assert_eq!(error.kind(), kind, "{answer}: {error}");
        assert!(
            request.starts_with("GET /mqtt?a=b HTTP/1.1\r\n"),
            "{request}"
        );
        let request = request.to_ascii_lowercase();
        assert!(
            request.contains("\r\nsec-websocket-protocol: mqtt\r\n"),
            "{request}"
        );
        assert!(
            request.contains(&format!("\r\nhost: {to}\r\n")),
            "{request}"
        );
    }
}

#[tokio::test]
async fn over_tls_it_is_wss() {
    let authority = Authority::new();
    let certificate = authority.server(&["localhost"]);
    let (chain, key) = (certificate.pem(), certificate.key_pem());
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    let roots = Certificates::from_pem(authority.pem().as_bytes()).expect("a root");
    let connector = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a connector");

    let at = "127.0.0.1:0".parse().expect("an address");
    let mut listener = Native
        .listen(at, &ListenOptions::default())
        .await
        .expect("listens");
    let port = listener.local_addr().expect("bound").port();
    let serve = async {
        let stream = listener.accept().await.expect("a client");
        let stream = acceptor.accept(stream).await.expect("secure");
        let (_, mut server) = ServerBuilder::new().accept(stream).await.expect("open");
        let message = server.next().await.expect("open").expect("received");
        server.send(message).await.expect("sent");
        server.close().await.expect("closed");
    };
    let network = WebSocketNetwork::over(Tls::new(Native, connector), WebSocketOptions::new());
    let to = format!("localhost:{port}").parse().expect("an endpoint");
    let speak = async {
        let options = TcpOptions::default();
        let mut stream = network.connect(&to, &options).await.expect("open");
        stream.write_all(b"through both").await.expect("sent");
        stream.flush().await.expect("flushed");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an end");
        text
    };
    let ((), text) = tokio::join!(serve, speak);
    assert_eq!(text, "through both");
}
