//! The backend against a relay that echoes: a multiplexer behind a WebSocket, and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig, RelayStream};
use jackfield_relay_wire::{
    Capabilities, Code, Config, Event, Id, Mux, Read, Reason, Role, UdpTarget, auth,
};
use jackfield_socket::{
    DatagramSocket, Endpoint, Error, ErrorKind, ListenOptions, Place, TcpConnect, TcpListen,
    TcpListener, TcpOptions, UdpOpen, UdpOptions, time,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener as SystemListener, TcpSocket};
use tokio_websockets::{Message, ServerBuilder};

const LIMIT: Duration = Duration::from_secs(20);
/// When a relay that goes is there again.
const COME_BACK: Duration = Duration::from_millis(100);

/// Starts a relay that serves connections one after another, and connects to it.
async fn start(cut_after: Option<usize>) -> Relay {
    start_leaving(cut_after, 0).await
}

/// The same; it lets go of the first WebSockets as soon as something is asked for.
async fn start_leaving(cut_after: Option<usize>, leaves: u32) -> Relay {
    let leaves = Arc::new(AtomicU32::new(leaves));
    let listener = SystemListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, cut_after, Arc::clone(&leaves)));
        }
    });
    let config = RelayConfig::new(&format!("ws://{address}/")).expect("config");
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);
    relay
}

/// A relay whose every host echoes. It cuts the WebSocket after so many bytes, if asked to.
async fn serve(stream: tokio::net::TcpStream, cut_after: Option<usize>, leaves: Arc<AtomicU32>) {
    let protocol = http::HeaderValue::from_static(auth::SUBPROTOCOL);
    let (_, mut socket) = ServerBuilder::new()
        .add_header(http::header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .expect("a header that may be added")
        .accept(stream)
        .await
        .expect("handshake");
    let mut config = Config::default();
    config.settings.capabilities = Capabilities::CONNECT;
    let mut mux = Mux::new(Role::Relay, config, time::now());
    let mut echo = Echo {
        leaves,
        ..Echo::default()
    };
    std::future::poll_fn(|cx| {
        loop {
            let mut moved = false;
            if Pin::new(&mut socket).poll_ready(cx).is_ready()
                && let Some(message) = mux.transmit()
            {
                let _ = Pin::new(&mut socket).start_send(Message::binary(message));
                moved = true;
            }
            match Pin::new(&mut socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) if message.is_binary() => {
                    mux.receive(time::now(), message.into_payload().into());
                    moved = true;
                }
                Poll::Ready(Some(Ok(_))) => moved = true,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            while let Some(event) = mux.poll_event() {
                echo.handle(&mut mux, event);
                moved = true;
            }
            if cut_after.is_some_and(|limit| echo.echoed >= limit) {
                return Poll::Ready(());
            }
            let _ = Pin::new(&mut socket).poll_flush(cx);
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
}

#[derive(Default)]
struct Echo {
    echoed: usize,
    leaves: Arc<AtomicU32>,
    sockets: BTreeMap<Id, bool>,
}

impl Echo {
    fn handle(&mut self, mux: &mut Mux, event: Event) {
        let here: SocketAddr = "192.0.2.1:1".parse().expect("address");
        let there: SocketAddr = "192.0.2.2:2".parse().expect("address");
        match event {
            Event::Connect { id, to, .. } if to.port() == 1 => {
                mux.refuse(id, Reason::new(Code::REFUSED, "nothing listens there"));
            }
            Event::Connect { to, .. } if to.port() == 2 => {}
            Event::Connect { id, .. } if self.leaves() => {
                mux.go_away("another will do it", COME_BACK);
                mux.refuse(id, Reason::new(Code::GOING_AWAY, "not here"));
            }
            Event::Connect { id, .. } => {
                mux.accept(id, Some(here), Some(there)).expect("accept");
                self.pump(mux, id);
            }
            Event::Listen { id, at, .. } => {
                mux.accept(id, Some(at), None).expect("accept");
                let stream = mux.inbound(id, at, there).expect("inbound");
                self.pump(mux, stream);
            }
            Event::Udp { id, target, .. } => {
                let bound = matches!(target, UdpTarget::Bound(_));
                mux.accept(id, Some(here), (!bound).then_some(there))
                    .expect("accept");
                self.sockets.insert(id, bound);
                pump_datagrams(mux, id);
            }
            Event::Readable(id) | Event::Writable(id) if self.sockets.contains_key(&id) => {
                pump_datagrams(mux, id);
            }
            Event::Readable(id) | Event::Writable(id) => self.pump(mux, id),
            Event::Reset { id, .. } => mux.close(id),
            _ => {}
        }
    }

    /// Whether this WebSocket is one of those that it lets go of.
    fn leaves(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        (self.leaves)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .is_ok()
    }

    fn pump(&mut self, mux: &mut Mux, id: Id) {
        loop {
            match mux.read(id) {
                Ok(Read::Data(data)) => {
                    let Ok(written @ 1..) = mux.write(id, &data) else {
                        return;
                    };
                    mux.consume(id, written);
                    self.echoed += written;
                }
                Ok(Read::End) => {
                    let _ = mux.finish(id);
                    return mux.close(id);
                }
                Ok(Read::Pending) | Err(_) => return,
            }
        }
    }
}

fn pump_datagrams(mux: &mut Mux, id: Id) {
    while let Ok(Some(datagram)) = mux.receive_datagram(id) {
        let _ = mux.send_datagram(id, datagram.peer, &datagram.data, false);
    }
}

fn host(port: u16) -> Endpoint {
    format!("echo.example:{port}").parse().expect("an endpoint")
}

async fn connect(relay: &Relay) -> RelayStream {
    let (host, options) = (host(7), TcpOptions::default());
    let connecting = relay.connect(&host, &options);
    let connected = time::timeout(LIMIT, connecting).await.expect("in time");
    connected.expect("connected")
}

/// Sends so many bytes and checks that they come back, then the end.
async fn exchange(stream: RelayStream, length: usize) {
    let sent: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut received = Vec::new();
    let write = async {
        writer.write_all(&sent).await.expect("write");
        writer.shutdown().await.expect("shutdown");
    };
    let read = async { reader.read_to_end(&mut received).await.expect("read") };
    time::timeout(LIMIT, async { tokio::join!(write, read) })
        .await
        .expect("in time");
    assert!(
        received == sent,
        "{} bytes came of {length}",
        received.len()
    );
}

#[tokio::test]
async fn bytes_come_back_in_order_and_end() {
    let relay = start(None).await;
    relay.ready().await.expect("ready");
    for length in [0, 1, 65_536, 65_537, 5_000_000] {
        exchange(connect(&relay).await, length).await;
    }
}

#[tokio::test]
async fn many_streams_at_once() {
    let relay = start(None).await;
    let tasks: Vec<_> = (0..100)
        .map(|i| {
            let relay = relay.clone();
            tokio::spawn(async move { exchange(connect(&relay).await, i * 3000).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
}

/// What is asked for while the relay says that it goes is opened elsewhere, unless every relay goes.
#[tokio::test]
async fn an_opening_moves_where_the_relay_goes_away() {
    let relay = start_leaving(None, 2).await;
    let begin = time::now();
    exchange(connect(&relay).await, 1000).await;
    // Not before it was told to.
    assert!(time::now() - begin >= COME_BACK * 2);
    let relay = start_leaving(None, u32::MAX).await;
    let error = relay.connect(&host(7), &TcpOptions::default()).await;
    let error = error.expect_err("nowhere");
    let reason = Reason::find(&error).expect("the relay's word");
    assert_eq!(
        (reason.code(), reason.text()),
        (Code::GOING_AWAY, "not here")
    );
}

#[tokio::test]
async fn a_refusal_says_why() {
    let relay = start(None).await;
    let error = relay
        .connect(&host(1), &TcpOptions::default())
        .await
        .expect_err("refused");
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Refused, Place::Server)
    );
    assert_eq!(error.to_string(), "nothing listens there");
}

#[tokio::test]
async fn a_cancelled_connect_leaves_the_rest_alone() {
    let relay = start(None).await;
    let (silent, options) = (host(2), TcpOptions::default());
    for _ in 0..300 {
        let connecting = relay.connect(&silent, &options);
        let waited = time::timeout(Duration::from_millis(1), connecting).await;
        waited.expect_err("never answered");
    }
    exchange(connect(&relay).await, 1000).await;
}

#[tokio::test]
async fn a_lost_relay_is_an_error_and_the_next_opening_gets_a_fresh_one() {
    let relay = start(Some(100_000)).await;
    let mut stream = connect(&relay).await;
    let mut other = connect(&relay).await;
    let _ = stream.write_all(&vec![1; 200_000]).await;
    let mut buf = vec![0; 1024];
    let error = time::timeout(LIMIT, async {
        loop {
            match other.read(&mut buf).await {
                Ok(0) => panic!("a lost relay looked like an end"),
                Ok(_) => {}
                Err(error) => break error,
            }
        }
    })
    .await
    .expect("in time");
    let error = Error::from(error);
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Reset, Place::Relay)
    );
    let error = Error::from(other.write_all(b"x").await.expect_err("it is gone"));
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Reset, Place::Relay)
    );
    exchange(connect(&relay).await, 1000).await;
}

/// Whoever accepts in a loop goes on after a connection that was lost.
#[tokio::test]
async fn the_end_of_a_listener_is_no_lost_connection() {
    let relay = start(Some(100_000)).await;
    let at = "192.0.2.1:80".parse().expect("address");
    let listener = relay.listen(at, &ListenOptions::default()).await;
    let mut listener = listener.expect("listen");
    let mut stream = connect(&relay).await;
    let _ = stream.write_all(&vec![1; 200_000]).await;
    let error = time::timeout(LIMIT, async {
        loop {
            if let Err(error) = listener.accept().await {
                break error;
            }
        }
    })
    .await
    .expect("in time");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn an_inbound_connection_names_its_peer() {
    let relay = start(None).await;
    let at = "192.0.2.1:80".parse().expect("address");
    let mut listener = relay
        .listen(at, &ListenOptions::default())
        .await
        .expect("listen");
    assert_eq!(listener.local_addr(), Some(at));
    let stream = time::timeout(LIMIT, listener.accept())
        .await
        .expect("in time")
        .expect("accepted");
    let info = jackfield_socket::ByteStream::info(&stream);
    assert_eq!(info.peer, Some("192.0.2.2:2".parse().expect("address")));
    exchange(stream, 100_000).await;
}

#[tokio::test]
async fn datagrams_come_back() {
    let relay = start(None).await;
    let mut connected = relay
        .open_connected(&host(7), &UdpOptions::default())
        .await
        .expect("open");
    let mut buf = vec![0; 70_000];
    for length in [0, 1, 1400, 65_507] {
        connected.send(&vec![7; length], None).await.expect("send");
        let datagram = connected.recv(&mut buf).await.expect("receive");
        assert_eq!(datagram.len, length);
        assert_eq!(datagram.from, connected.peer_addr());
        assert!(!datagram.truncated);
    }
    connected.send(&[1; 100], None).await.expect("send");
    let datagram = connected.recv(&mut buf[..10]).await.expect("receive");
    assert!(datagram.truncated && datagram.len == 10);

    let at = "0.0.0.0:0".parse().expect("address");
    let mut bound = relay
        .open_bound(at, &UdpOptions::default())
        .await
        .expect("open");
    let peer = "[2001:db8::1]:53".parse().ok();
    bound.send(b"question", peer).await.expect("send");
    let datagram = bound.recv(&mut buf).await.expect("receive");
    assert_eq!((datagram.len, datagram.from), (8, peer));
    let error = bound.send(b"x", None).await.expect_err("no address");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn nothing_is_left_when_the_last_handle_is_dropped() {
    let listener = SystemListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, None, Arc::default()));
        }
    });
    let config = RelayConfig::new(&format!("ws://{address}")).expect("config");
    let (relay, connection) = Relay::over(Native, config);
    let connection = tokio::spawn(connection);
    let stream = connect(&relay).await;
    drop(relay);
    exchange(stream, 1000).await;
    time::timeout(LIMIT, connection)
        .await
        .expect("in time")
        .expect("the connection ends");
}

/// A server that says this to each connection once a WebSocket is asked for; to be asked as a relay.
async fn answering<F: Future<Output = ()> + Send>(
    answer: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
) -> Relay {
    let listener = SystemListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answer(stream).await;
        }
    });
    let config = RelayConfig::new(&format!("ws://{address}")).expect("config");
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);
    relay
}

async fn websocket(
    stream: tokio::net::TcpStream,
) -> tokio_websockets::WebSocketStream<tokio::net::TcpStream> {
    let protocol = http::HeaderValue::from_static(auth::SUBPROTOCOL);
    let server = ServerBuilder::new().add_header(http::header::SEC_WEBSOCKET_PROTOCOL, protocol);
    let server = server.expect("a header that may be added");
    server.accept(stream).await.expect("handshake").1
}

#[tokio::test]
async fn a_relay_that_says_no_more_than_a_close_code_is_understood() {
    let relay = answering(|stream| async move {
        let code = Code::TOKEN_EXPIRED.close_code();
        let code = tokio_websockets::CloseCode::try_from(code).expect("a private one");
        let mut socket = websocket(stream).await;
        let close = Message::close(Some(code), "the token has expired\u{1b}");
        let _ = socket.send(close).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let error = relay.ready().await.expect_err("not let in");
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Denied, Place::Relay)
    );
    assert_eq!(error.to_string(), "the token has expired\\u{1b}");
    let reason = Reason::find(&error).expect("the relay's word");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
}

/// An older relay, or a proxy before one, refuses by status.
#[tokio::test]
async fn a_status_is_a_refusal_too() {
    for (status, kind) in [
        ("401 Unauthorized", ErrorKind::Denied),
        ("403 Forbidden", ErrorKind::Denied),
        ("404 Not Found", ErrorKind::Protocol),
        ("503 Service Unavailable", ErrorKind::LimitExceeded),
        ("200 OK", ErrorKind::Protocol),
    ] {
        let relay = answering(move |mut stream: tokio::net::TcpStream| async move {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read(&mut [0; 4096]).await;
        })
        .await;
        let error = relay.ready().await.expect_err("not let in");
        assert_eq!(
            (error.kind(), error.place()),
            (kind, Place::Relay),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.starts_with("the relay at 127.0.0.1: "), "{text}");
        assert!(Reason::find(&error).is_none(), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_relay_is_told_as_that() {
    let relay = answering(|stream| async move {
        let mut socket = websocket(stream).await;
        let _ = socket.send(Message::binary(&b"welcome"[..])).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let error = relay.ready().await.expect_err("no relay");
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Protocol, Place::Relay)
    );
    let text = error.to_string();
    assert!(
        text.starts_with("what answers there is no relay: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_an_error_each_time() {
    // Bound, and deaf.
    let nobody = TcpSocket::new_v4().expect("a socket");
    let any = "127.0.0.1:0".parse().expect("an address");
    nobody.bind(any).expect("a free port");
    let address = nobody.local_addr().expect("address");
    let config = RelayConfig::new(&format!("ws://{address}")).expect("config");
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);
    for _ in 0..3 {
        let error = relay.ready().await.expect_err("nobody there");
        assert_eq!(
            (error.kind(), error.place()),
            (ErrorKind::Refused, Place::Relay),
            "{error}"
        );
        let error = relay
            .connect(&host(7), &TcpOptions::default())
            .await
            .expect_err("nobody there");
        assert_eq!(
            (error.kind(), error.place()),
            (ErrorKind::Refused, Place::Relay),
            "{error}"
        );
    }
}
