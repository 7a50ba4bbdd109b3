//! The server's side, against clients of another's making and our own.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header};
use jackfield_native::{Native, NativeListener, NativeStream};
use jackfield_socket::{
    AnyStream, ErrorKind, ListenOptions, Prefixed, Result, TcpConnect as _, TcpListen as _,
    TcpListener as _, TcpOptions, serve,
};
use jackfield_websocket::{WebSocket, WebSocketNetwork, WebSocketOptions, WebSocketRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, CloseCode, Message};

async fn listener() -> (NativeListener, SocketAddr) {
    let at = "127.0.0.1:0".parse().expect("an address");
    let listener = Native.listen(at, &ListenOptions::default()).await;
    let listener = listener.expect("a free port");
    let at = listener.local_addr().expect("bound");
    (listener, at)
}

async fn request(listener: &mut NativeListener) -> Result<WebSocketRequest<NativeStream>> {
    let stream = listener.accept().await.expect("a client");
    WebSocketRequest::read(stream).await
}

/// What of a stream's bytes is wanted, whatever carries them.
async fn carried(stream: NativeStream) -> Result<AnyStream> {
    let mut stream = Prefixed::new(Vec::new(), stream);
    if !stream.peek(4).await?.starts_with(b"GET ") {
        return Ok(AnyStream::new(stream));
    }
    let request = WebSocketRequest::read(stream).await?;
    let options = WebSocketOptions::new().with_subprotocol("binary");
    let socket = request.accept(&options).await?;
    Ok(AnyStream::new(socket.into_stream()))
}

#[tokio::test]
async fn one_port_serves_tcp_and_websocket_clients() {
    let (listener, at) = listener().await;
    let served = serve(listener, 10, |stream| async {
        if let Ok(stream) = carried(stream).await {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
            let _ = writer.shutdown().await;
        }
    });
    let served = tokio::spawn(served);
    let options = WebSocketOptions::new().with_subprotocol("binary");
    let network = WebSocketNetwork::over(Native, options);
    let (to, tcp) = (at.into(), TcpOptions::default());
    let in_websocket = network.connect(&to, &tcp).await.expect("open");
    let plain = Native.connect(&to, &tcp).await.expect("connected");
    let mut streams = [AnyStream::new(in_websocket), AnyStream::new(plain)];
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    for bytes in [&b"{\"method\":\"logon\"}\r\n"[..], &bytes] {
        for stream in &mut streams {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let mut back = vec![0; bytes.len()];
            let write = async {
                writer.write_all(bytes).await?;
                writer.flush().await
            };
            let (sent, read) = tokio::join!(write, reader.read_exact(&mut back));
            sent.expect("sent");
            read.expect("echoed");
            assert!(back == bytes, "not what was sent");
        }
    }
    served.abort();
}

#[tokio::test]
async fn a_request_is_looked_at_and_then_accepted() {
    let (mut listener, at) = listener().await;
    let uri = format!("ws://{at}/chat?room=1");
    let header = |name, value| (name, HeaderValue::from_static(value));
    let mut builder = ClientBuilder::new().uri(&uri).expect("a URI");
    for (name, value) in [
        header(header::ORIGIN, "https://chat.example.org"),
        header(header::SEC_WEBSOCKET_PROTOCOL, "v2.chat, token.s3cret,chat"),
    ] {
        builder = builder.add_header(name, value).expect("a header");
    }
    let client = async {
        let stream = TcpStream::connect(at).await.expect("connected");
        builder.connect_on(stream).await.expect("open")
    };
    let server = async {
        let request = request(&mut listener).await.expect("a request");
        assert_eq!(request.path(), "/chat?room=1");
        assert_eq!(request.host(), Some(at.to_string().as_str()));
        assert_eq!(request.origin(), Some("https://chat.example.org"));
        assert_eq!(request.subprotocols(), ["v2.chat", "token.s3cret", "chat"]);
        assert!(!format!("{request:?}").contains("s3cret"));
        let mut options = WebSocketOptions::new().with_subprotocol("chat");
        options.max_message = 10;
        request.accept(&options).await.expect("open")
    };
    let ((mut client, response), mut server) = tokio::join!(client, server);
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    assert_eq!(chosen.expect("one was chosen"), "chat");
    let peer = server.info().peer.expect("it knows who that is");
    assert_eq!(client.get_ref().local_addr().ok(), Some(peer));

    client.send(Message::binary("hello")).await.expect("sent");
    let received = server.receive().await.expect("received");
    assert_eq!(received.expect("a message"), "hello");
    server.send_message(b"hello you").await.expect("sent");
    let received = client.next().await.expect("open").expect("received");
    assert_eq!(&**received.as_payload(), b"hello you");
    client
        .send(Message::binary("eleven byte"))
        .await
        .expect("sent");
    let error = server.receive().await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}

#[tokio::test]
async fn both_sides_close_in_order() {
    let (mut listener, at) = listener().await;
    let server = async {
        let request = request(&mut listener).await.expect("a request");
        let accepted = request.accept(&WebSocketOptions::new()).await;
        accepted.expect("open")
    };
    let open = async {
        let url = format!("ws://{at}/").parse().expect("an address");
        let to = at.into();
        let stream = Native.connect(&to, &TcpOptions::default()).await;
        let stream = stream.expect("connected");
        WebSocket::over(stream, &url, &WebSocketOptions::new()).await
    };
    let (client, mut server) = tokio::join!(open, server);
    let mut client = client.expect("open");
    client.close().await.expect("closed");
    assert_eq!(server.receive().await.expect("in order"), None);
    server.close().await.expect("closed");
    let error = client.receive().await.expect_err("closed here");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

#[tokio::test]
async fn what_is_refused_has_its_status() {
    let (mut listener, at) = listener().await;
    let network = WebSocketNetwork::over(Native, WebSocketOptions::new());
    for (status, kind) in [
        (403, ErrorKind::Denied),
        (404, ErrorKind::Protocol),
        (503, ErrorKind::LimitExceeded),
    ] {
        let refuse = async {
            let request = request(&mut listener).await.expect("a request");
            request.refuse(status).await.expect("told");
        };
        let (to, options) = (at.into(), TcpOptions::default());
        let (opened, ()) = tokio::join!(network.connect(&to, &options), refuse);
        let error = opened.expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
    }
    // A subprotocol that nobody offered may not be chosen.
    let choose = async {
        let request = request(&mut listener).await.expect("a request");
        let options = WebSocketOptions::new().with_subprotocol("chat");
        request.accept(&options).await.expect_err("not offered")
    };
    let (to, options) = (at.into(), TcpOptions::default());
    let (opened, error) = tokio::join!(network.connect(&to, &options), choose);
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    opened.expect_err("status 400");
    let not_a_refusal = async {
        let request = request(&mut listener).await.expect("a request");
        request.refuse(200).await.expect_err("200 refuses nothing")
    };
    let (_, error) = tokio::join!(network.connect(&to, &options), not_a_refusal);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn what_is_no_request_is_told_and_bounded() {
    let (mut listener, at) = listener().await;
    let long = format!("{REQUEST}X: {}\r\n\r\n", "y".repeat(20_000));
    let no_version = REQUEST.replace("Sec-WebSocket-Version: 13\r\n", "") + "\r\n";
    for (sent, status, kind) in [
        ("POST / HTTP/1.1\r\n\r\n", "400", ErrorKind::Protocol),
        ("\x16\x03\x01 hello\r\n\r\n", "400", ErrorKind::Protocol),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "426",
            ErrorKind::Protocol,
        ),
        (&no_version, "400", ErrorKind::Protocol),
        (&long, "431", ErrorKind::LimitExceeded),
        ("GET / HTTP/1.1\r\n", "", ErrorKind::UnexpectedEof),
    ] {
        let speak = async {
            let mut stream = TcpStream::connect(at).await.expect("connected");
            let _ = stream.write_all(sent.as_bytes()).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            // What was too long was not read whole, so that the end may be a reset.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8(answer).expect("text")
        };
        let answer = async {
            let request = request(&mut listener).await?;
            request.accept(&WebSocketOptions::new()).await
        };
        let (told, opened) = tokio::join!(speak, answer);
        let error = opened.expect_err(sent);
        assert_eq!(error.kind(), kind, "{sent:?}: {error}");
        let status = if status.is_empty() {
            String::new()
        } else {
            format!("HTTP/1.1 {status} ")
        };
        assert!(told.starts_with(&status), "{sent:?}: {told}");
    }
}

#[tokio::test]
async fn what_stands_right_behind_the_request_is_not_lost() {
    let (mut listener, at) = listener().await;
    let mut stream = TcpStream::connect(at).await.expect("connected");
    // A binary message, masked with zeroes, and a close with code 1000.
    let frames = b"\x82\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8";
    let sent = [format!("{REQUEST}\r\n").as_bytes(), frames].concat();
    stream.write_all(&sent).await.expect("sent");
    let request = request(&mut listener).await.expect("a request");
    let accepted = request.accept(&WebSocketOptions::new()).await;
    let mut text = String::new();
    let mut server = accepted.expect("open").into_stream();
    server.read_to_string(&mut text).await.expect("an end");
    assert_eq!(text, "hello");
    server.shutdown().await.expect("closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an end");
    // The example of RFC 6455, section 1.3.
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    assert_eq!(u16::from(CloseCode::NORMAL_CLOSURE), 1000);
}
