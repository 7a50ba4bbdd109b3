//! The backend against a relay that does what it can against its client: a page meets relays that
//! others run. Whatever comes, all that waits ends with an error or goes on, and the next opening gets a
//! WebSocket of its own. The frames are made by hand, after `docs/relay-protocol.md`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig, RelayDatagramSocket, RelayListener, RelayStream};
use jackfield_relay_wire::auth;
use jackfield_socket::{
    DatagramSocket as _, Endpoint, Error, HostName, ListenOptions, TcpConnect as _, TcpListen as _,
    TcpListener as _, TcpOptions, UdpOpen as _, UdpOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener as SystemListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_websockets::{CloseCode, Message, ServerBuilder, WebSocketStream};

/// How long what needs no waiting may take, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The identifiers of what [`Victim`] opens, in its order.
const STREAM: u32 = 1;
const LISTENER: u32 = 3;
const UDP: u32 = 5;
const UNANSWERED: u32 = 7;
/// Of a client, none that has been used.
const UNUSED: u32 = 99;

type Socket = WebSocketStream<TcpStream>;

/// A frame.
fn frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    [&[kind], &id.to_be_bytes()[..], body].concat()
}

/// The relay's HELLO, with all capabilities.
fn hello() -> Vec<u8> {
    frame(1, 0, &[1, 1, 0, 0, 1, 0, 2, 0, 0, 0, 31])
}

/// OPENED, with this credit, between two addresses.
fn opened(id: u32, credit: u32, remote: bool) -> Vec<u8> {
    let mut body = credit.to_be_bytes().to_vec();
    body.extend([1, 192, 0, 2, 1, 0, 9]);
    body.extend(if remote {
        &[1, 192, 0, 2, 2, 0, 7][..]
    } else {
        &[0]
    });
    frame(0x13, id, &body)
}

/// INBOUND, from this listener.
fn inbound(id: u32, listener: u32) -> Vec<u8> {
    let mut body = listener.to_be_bytes().to_vec();
    body.extend(1000_u32.to_be_bytes());
    body.extend([1, 192, 0, 2, 1, 0, 9, 1, 192, 0, 2, 2, 0, 7]);
    frame(0x15, id, &body)
}

/// What a hostile relay does once everything is open.
type Attack = Arc<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>;

/// A relay that serves the first WebSocket with the attack, and the following ones well. It says
async fn start(attack: Attack) -> (Relay, JoinHandle<()>) {
    let listener = SystemListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        let mut attack = Some(attack);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, attack.take()));
        }
    });
    let config = RelayConfig::new(&format!("ws://{address}/")).expect("config");
    let (relay, connection) = Relay::over(Native, config);
    let connection = tokio::spawn(connection);
    (relay, connection)
}

async fn websocket(stream: TcpStream) -> Socket {
    let protocol = http::HeaderValue::from_static(auth::SUBPROTOCOL);
    ServerBuilder::new()
        .add_header(http::header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .expect("a header that may be added")
        .accept(stream)
        .await
        .expect("handshake")
        .1
}

/// Opens what is asked for, with so little credit that the second write waits, and leaves the
/// connection to port 2 unanswered; then comes the attack.
async fn serve(stream: TcpStream, attack: Option<Attack>) {
    let mut socket = websocket(stream).await;
    let _ = socket.send(Message::binary(hello())).await;
    while let Some(Ok(message)) = socket.next().await {
        let message: Bytes = message.into_payload().into();
        let Some((kind, id)) = message.first().zip(message.get(1..5)) else {
            continue;
        };
        let id = u32::from_be_bytes(id.try_into().expect("four bytes"));
        let answer = match (*kind, id) {
            (0x10, UNANSWERED) if attack.is_some() => break,
            (0x10, _) => opened(id, 10, true),
            (0x11, _) => opened(id, 0, false),
            // What 36 bytes cost.
            (0x12, _) => opened(id, 100, true),
            (0x20, _) if attack.is_none() => frame(0x20, id, &message[5..]),
            _ => continue,
        };
        let _ = socket.send(Message::binary(answer)).await;
    }
    let Some(attack) = attack else { return };
    for message in attack() {
        if socket.feed(Message::binary(message)).await.is_err() {
            break;
        }
    }
    let _ = socket.flush().await;
    // It takes whatever is said to it.
    while let Some(Ok(_)) = socket.next().await {}
}

fn host(port: u16) -> Endpoint {
    let name: HostName = "target.example".parse().expect("a name");
    Endpoint::new(name, port)
}

/// Somebody who has one of everything, and waits for each.
struct Victim {
    relay: Relay,
    connection: JoinHandle<()>,
    /// Whatever was accepted, it goes on listening.
    _listener: Arc<Mutex<RelayListener>>,
    waiting: Vec<(&'static str, JoinHandle<Result<String, Error>>)>,
}

impl Victim {
    async fn new(attack: Attack) -> Self {
        let (relay, connection) = start(attack).await;
        let opening = async {
            let stream = relay.connect(&host(1), &TcpOptions::default()).await?;
            let at = "192.0.2.1:9".parse().expect("an address");
            let listener = relay.listen(at, &ListenOptions::default()).await?;
            let udp = relay
                .open_connected(&host(3), &UdpOptions::default())
                .await?;
            Ok::<_, Error>((stream, listener, udp))
        };
        let opened = tokio::time::timeout(SOON, opening).await;
        let (stream, listener, udp) = opened.expect("in time").expect("opened");
        let listener = Arc::new(Mutex::new(listener));
        let mut waiting = all_that_waits(stream, Arc::clone(&listener), udp);
        let connecting = relay.clone();
        waiting.push((
            "connect",
            tokio::spawn(async move {
                let stream = connecting.connect(&host(2), &TcpOptions::default()).await?;
                Ok(format!("{stream:?}"))
            }),
        ));
        Self {
            relay,
            connection,
            _listener: listener,
            waiting,
        }
    }
}

fn all_that_waits(
    stream: RelayStream,
    listener: Arc<Mutex<RelayListener>>,
    udp: RelayDatagramSocket,
) -> Vec<(&'static str, JoinHandle<Result<String, Error>>)> {
    let (mut read, mut write) = tokio::io::split(stream);
    let udp = Arc::new(Mutex::new(udp));
    let receiving = udp.clone();
    vec![
        (
            "read",
            tokio::spawn(async move {
                let count = read.read(&mut [0; 100]).await?;
                Ok(format!("{count} bytes"))
            }),
        ),
        (
            "write",
            tokio::spawn(async move {
                write.write_all(&[7; 1000]).await?;
                write.flush().await?;
                Ok("written".into())
            }),
        ),
        (
            "accept",
            tokio::spawn(async move {
                let accepted = std::future::poll_fn(|cx| {
                    let mut listener = listener.lock().expect("no panic");
                    listener.poll_accept(cx)
                })
                .await?;
                Ok(format!("{accepted:?}"))
            }),
        ),
        (
            "send",
            tokio::spawn(async move {
                for _ in 0..2 {
                    std::future::poll_fn(|cx| {
                        let mut udp = udp.lock().expect("no panic");
                        udp.poll_send(cx, &[7; 36], None)
                    })
                    .await?;
                }
                Ok("sent".into())
            }),
        ),
        (
            "receive",
            tokio::spawn(async move {
                let mut buffer = [0; 100];
                let datagram = std::future::poll_fn(|cx| {
                    let mut udp = receiving.lock().expect("no panic");
                    udp.poll_recv(cx, &mut tokio::io::ReadBuf::new(&mut buffer))
                })
                .await?;
                Ok(format!("{datagram:?}"))
            }),
        ),
    ]
}

/// What a person may be shown.
fn check_text(name: &str, error: &Error) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{name}: {text:?}");
    assert!(text.len() < 1000, "{name}: {} bytes", text.len());
}

/// The relay that answers is one that answers well.
async fn opens_again(name: &str, relay: &Relay) {
    let exchange = async {
        let mut stream = relay.connect(&host(1), &TcpOptions::default()).await?;
        stream.write_all(b"echo").await?;
        let mut back = [0; 4];
        stream.read_exact(&mut back).await?;
        Ok::<_, Error>(back)
    };
    let back = tokio::time::timeout(SOON, exchange).await;
    let back = back.unwrap_or_else(|_| panic!("{name}: the next one waits"));
    assert_eq!(back.expect(name), *b"echo", "{name}");
}

/// All that waits ends with an error of the socket API, and the next opening goes well.
async fn ends_everything(name: &str, attack: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static) {
    ends_with(name, attack, &[]).await;
}

#[tokio::test]
async fn a_frame_that_can_not_be_ends_everything_with_an_error() {
    let long = vec![b'x'; 65_541 - 6];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half an identifier", vec![0x20, 0, 0]),
        ("HELLO twice", hello()),
        ("HELLO of version 2", frame(1, 0, &[2])),
        ("HELLO with half a setting", frame(1, 0, &[1, 1, 0])),
        ("an unknown type", frame(0x26, STREAM, &[])),
        ("type 0", frame(0, 0, &[])),
        ("GOAWAY without a code", frame(2, 0, &[])),
        ("GOAWAY with an identifier", frame(2, 1, &[0])),
        ("GOAWAY with a text too long", frame(2, 0, &long)),
        ("GOAWAY not in UTF-8", frame(2, 0, &[51, 0xff])),
        ("PING too short", frame(3, 0, &[0; 7])),
        ("PING too long", frame(3, 0, &[0; 9])),
        ("a relay that connects", {
            let mut body = vec![0; 18];
            body.extend([1, 192, 0, 2, 1, 0, 9]);
            frame(0x10, 2, &body)
        }),
        ("OPENED twice", opened(STREAM, 10, true)),
        ("OPENED for nothing", opened(UNUSED, 10, true)),
        (
            "OPENED for a name",
            frame(0x13, UNANSWERED, b"\0\0\0\x0a\x03\x01a\0\x07\0"),
        ),
        ("OPENED and more", {
            let mut frame = opened(UNANSWERED, 10, true);
            frame.push(0);
            frame
        }),
        ("REFUSED for what is open", frame(0x14, UDP, &[2])),
        ("REFUSED for nothing", frame(0x14, UNUSED, &[2])),
        (
            "RESET for what was not answered",
            frame(0x23, UNANSWERED, &[32]),
        ),
        ("RESET for nothing", frame(0x23, UNUSED, &[32])),
        ("RESET for nothing of the relay's", frame(0x23, 2, &[32])),
        ("INBOUND from a stream", inbound(2, STREAM)),
        ("INBOUND from an opening", inbound(2, UNANSWERED)),
        ("INBOUND from nothing", inbound(2, UNUSED)),
        ("INBOUND from itself", inbound(2, 2)),
        ("INBOUND with a client's identifier", inbound(9, LISTENER)),
        ("INBOUND with no identifier", inbound(0, LISTENER)),
        (
            "INBOUND from a name",
            frame(
                0x15,
                2,
                b"\0\0\0\x03\0\0\0\x01\x01\x7f\0\0\x01\0\x09\x03\x01a\0\x07",
            ),
        ),
        ("DATA for nothing", frame(0x20, UNUSED, b"x")),
        ("DATA for nothing of the relay's", frame(0x20, 2, b"x")),
        ("DATA without a byte", frame(0x20, STREAM, b"")),
        ("DATA for a listener", frame(0x20, LISTENER, b"x")),
        ("DATA for a socket", frame(0x20, UDP, b"x")),
        ("DATA for an opening", frame(0x20, UNANSWERED, b"x")),
        ("DATA for the connection", frame(0x20, 0, b"x")),
        ("CREDIT of nothing", frame(0x21, STREAM, &[0; 4])),
        (
            "CREDIT for a listener",
            frame(0x21, LISTENER, &[0, 0, 0, 1]),
        ),
        (
            "CREDIT for an opening",
            frame(0x21, UNANSWERED, &[0, 0, 0, 1]),
        ),
        ("FIN for a socket", frame(0x22, UDP, b"")),
        ("FIN with a byte", frame(0x22, STREAM, b"x")),
        ("FIN for an opening", frame(0x22, UNANSWERED, b"")),
        ("DATAGRAM for a stream", frame(0x24, STREAM, b"\0\0x")),
        ("DATAGRAM for an opening", frame(0x24, UNANSWERED, b"\0\0x")),
        (
            "DATAGRAM with an unknown flag",
            frame(0x24, UDP, b"\x80\0x"),
        ),
        (
            "DATAGRAM from a name",
            frame(0x24, UDP, b"\0\x03\x01a\0\x07x"),
        ),
        (
            "DATAGRAM from half an address",
            frame(0x24, UDP, b"\0\x01\x7f"),
        ),
        (
            "DATAGRAM with a scope of 0",
            frame(0x24, UDP, &[&[0, 6][..], &[0; 22]].concat()),
        ),
        ("DATAGRAM too long", frame(0x24, UDP, &vec![0; 2 + 65_508])),
        ("DROPPED for a stream", frame(0x25, STREAM, &[0; 8])),
        ("DROPPED too short", frame(0x25, UDP, &[0; 7])),
        ("UNREACHABLE for a stream", frame(0x80, STREAM, &[4])),
        ("UNREACHABLE for nothing", frame(0x80, UNUSED, &[4])),
        ("COME_BACK with an identifier", frame(0x81, 1, &[0; 4])),
        ("COME_BACK too short", frame(0x81, 0, &[0; 3])),
        ("a message too long", vec![0x90; 65_542]),
        ("a message far too long", vec![0x90; 16 << 20]),
        (
            "going, in colours",
            frame(2, 0, b"\x33\x1b[31mred\x1b]0;title\x07\x9b\r\n\0"),
        ),
        (
            "a breach of ours, in colours",
            frame(2, 0, b"\x30\x1b[31mred\x07\r\n"),
        ),
        ("no reason at all", frame(2, 0, &[0])),
        ("a reason that nobody knows", frame(2, 0, &[255])),
    ];
    for (name, message) in cases {
        let going = name.starts_with("going");
        ends_everything(name, move || {
            let mut messages = vec![message.clone()];
            if going {
                // That alone leaves alone what is open.
                messages.push(frame(2, 0, b"\x33\x1b[31mred"));
                messages.push(vec![]);
            }
            messages
        })
        .await;
    }
}

#[tokio::test]
async fn more_than_was_granted_ends_everything_with_an_error() {
    // What came within the window is had, perhaps.
    let data = || vec![frame(0x20, STREAM, &vec![7; 65_536]); 64];
    ends_with("DATA beyond the window", data, &["read"]).await;
    let data = || (0..300_000).map(|_| frame(0x20, STREAM, b"x")).collect();
    ends_with("DATA beyond the window, by the byte", data, &["read"]).await;
    let data = || vec![frame(0x24, UDP, &vec![0; 2 + 65_507]); 16];
    ends_with("DATAGRAM beyond the window", data, &["receive"]).await;
    let data = || vec![frame(0x24, UDP, &[0, 0]); 5000];
    ends_with("DATAGRAM without a byte, too often", data, &["receive"]).await;
    let data = || (1..=18).map(|nth| inbound(2 * nth, LISTENER)).collect();
    ends_with("INBOUND beyond the window", data, &["accept"]).await;
    // The first is used, in part.
    for (id, what) in [(STREAM, "write"), (UDP, "send")] {
        let credit = move || vec![frame(0x21, id, &[255; 4]); 2];
        ends_with("CREDIT beyond 32 bits", credit, &[what]).await;
    }
    // It reads the answers, so that nothing is wrong with that; what comes behind is.
    let data = || {
        let mut all = vec![frame(3, 0, &[7; 8]); 100_000];
        all.push(vec![]);
        all
    };
    ends_everything("PING, very often", data).await;
}

/// The same, where these may have gone well.
async fn ends_with(
    name: &str,
    attack: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static,
    may: &[&str],
) {
    let victim = Victim::new(Arc::new(attack)).await;
    for (what, task) in victim.waiting {
        let ended = tokio::time::timeout(SOON, task).await;
        let ended = ended.unwrap_or_else(|_| panic!("{name}: {what} still waits"));
        match ended.expect("no panic") {
            Ok(_) if may.contains(&what) => {}
            Ok(result) => panic!("{name}: {what}: {result}"),
            Err(error) => check_text(name, &error),
        }
    }
    opens_again(name, &victim.relay).await;
    drop(victim.relay);
    let gone = tokio::time::timeout(SOON, victim.connection).await;
    gone.unwrap_or_else(|_| panic!("{name}: the connection lives on"))
        .expect("no panic");
}

#[tokio::test]
async fn after_an_end_nothing_comes() {
    let fin = || frame(0x22, STREAM, b"");
    for (name, last) in [
        ("FIN, then DATA", frame(0x20, STREAM, b"x")),
        ("FIN twice", fin()),
        ("FIN, then half a frame", vec![0x20]),
    ] {
        ends_with(
            name,
            move || vec![fin(), last.clone()],
            // The end came in order, before the breach.
            &["read"],
        )
        .await;
    }
}

#[tokio::test]
async fn what_is_of_no_use_ends_nothing() {
    // Extensions, answers to nothing, and the ends of what is over; then something for each that waits.
    let attack = || {
        let mut all = Vec::new();
        for nth in 0..50_000_u32 {
            all.push(frame(0x90 + (nth % 64) as u8, nth, &nth.to_be_bytes()));
            all.push(frame(4, 0, &[7; 8]));
        }
        all.push(inbound(2, LISTENER));
        for _ in 0..10_000 {
            all.push(frame(0x23, 2, b"\x20\x1b[31m"));
            all.push(frame(0x20, 2, b"x"));
        }
        all.push(frame(0x80, UDP, b"\x04\x1b[31m"));
        all.push(frame(0x25, UDP, &[255; 8]));
        all.push(frame(0x24, UDP, b"\0\0datagram"));
        all.push(frame(0x21, UDP, &[0, 0, 1, 0]));
        all.push(frame(0x20, STREAM, b"data"));
        all.push(frame(0x21, STREAM, &[0, 0, 16, 0]));
        all.push(opened(UNANSWERED, 0, true));
        all
    };
    let victim = Victim::new(Arc::new(attack)).await;
    for (what, task) in victim.waiting {
        let ended = tokio::time::timeout(SOON, task).await;
        let ended = ended.unwrap_or_else(|_| panic!("{what} still waits"));
        match (what, ended.expect("no panic")) {
            ("read", Ok(read)) => assert_eq!(read, "4 bytes"),
            // What is told of the peer comes first, or the datagram.
            ("receive", Err(error)) => check_text(what, &error),
            (_, Ok(_)) => {}
            (_, Err(error)) => panic!("{what}: {error}"),
        }
    }
}

/// What a relay does to a WebSocket, below its frames.
#[derive(Clone, Copy, Debug)]
enum Below {
    Text,
    CloseInOrder,
    CloseWith(u16),
    Cut,
    HalfAMessage,
    Reserved,
    Masked,
}

#[tokio::test]
async fn whatever_is_done_to_the_websocket_ends_everything_with_an_error() {
    for below in [
        Below::Text,
        Below::CloseInOrder,
        Below::CloseWith(4_069),
        Below::CloseWith(4_000),
        Below::CloseWith(4_051),
        Below::CloseWith(1_011),
        Below::Cut,
        Below::HalfAMessage,
        Below::Reserved,
        Below::Masked,
    ] {
        let listener = SystemListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let serving = tokio::spawn(async move {
            let mut first = true;
            while let Ok((stream, _)) = listener.accept().await {
                if std::mem::take(&mut first) {
                    tokio::spawn(serve_below(stream, below));
                } else {
                    tokio::spawn(serve(stream, None));
                }
            }
        });
        let config = RelayConfig::new(&format!("ws://{address}/")).expect("config");
        let (relay, connection) = Relay::over(Native, config);
        tokio::spawn(connection);
        let name = format!("{below:?}");
        let options = TcpOptions::default();
        let mut stream = relay.connect(&host(1), &options).await.expect("opened");
        let second = host(2);
        let connecting = relay.connect(&second, &options);
        let reading = async {
            let result = stream.read(&mut [0; 10]).await;
            result.map_err(Error::from)
        };
        let both = async { tokio::join!(reading, connecting) };
        let both = tokio::time::timeout(SOON, both).await;
        let (read, connected) = both.unwrap_or_else(|_| panic!("{name}: it still waits"));
        check_text(&name, &read.expect_err("no end"));
        if let Err(error) = connected {
            check_text(&name, &error);
        }
        opens_again(&name, &relay).await;
        serving.abort();
    }
}

async fn serve_below(stream: TcpStream, below: Below) {
    let mut socket = websocket(stream).await;
    let _ = socket.send(Message::binary(hello())).await;
    let mut opening = 0;
    while opening < 2
        && let Some(Ok(message)) = socket.next().await
    {
        if message.as_payload().first() == Some(&0x10) {
            opening += 1;
            if opening == 1 {
                let _ = socket.send(Message::binary(opened(STREAM, 10, true))).await;
            }
        }
    }
    let close = |code: u16| {
        let code = CloseCode::try_from(code).expect("a code");
        Message::close(Some(code), "\u{1b}[31mred\r\n")
    };
    let raw = match below {
        Below::Text => return finish(socket, Some(Message::text("hello"))).await,
        Below::CloseInOrder => return finish(socket, Some(close(1000))).await,
        Below::CloseWith(code) => return finish(socket, Some(close(code))).await,
        Below::Cut => return,
        Below::HalfAMessage => &b"\x82\x7e\xff\x00half"[..],
        Below::Reserved => b"\xf2\x01x",
        Below::Masked => b"\x82\x81\0\0\0\0x",
    };
    let mut stream = socket.into_inner();
    let _ = stream.write_all(raw).await;
    if matches!(below, Below::HalfAMessage) {
        let _ = stream.shutdown().await;
    }
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

async fn finish(mut socket: Socket, last: Option<Message>) {
    if let Some(last) = last {
        let _ = socket.send(last).await;
    }
    while let Some(Ok(_)) = socket.next().await {}
}
