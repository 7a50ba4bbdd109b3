//! A server that does what it can against its client: it leaves a writer waiting, pings and takes no
//! answer, or never comes to the end of its handshake.

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use jackfield_socket::{ErrorKind, Io};
use jackfield_websocket::{WebSocket, WebSocketOptions, WebSocketUrl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::yield_now;
use tokio_websockets::{CloseCode, Message, ServerBuilder};

type Server = tokio_websockets::WebSocketStream<DuplexStream>;

/// How much the pipe between the two holds, each way.
const PIPE: usize = 1024;
/// How long what needs no waiting may take.
const SOON: Duration = Duration::from_secs(20);

fn url() -> WebSocketUrl {
    "ws://server.example/".parse().expect("an address")
}

/// Both ends of a WebSocket over a pipe, which has one waker for each direction.
async fn pair() -> (WebSocket, Server) {
    let (near, far) = tokio::io::duplex(PIPE);
    let (url, options) = (url(), WebSocketOptions::new());
    let client = WebSocket::over(Io::new(near), &url, &options);
    let server = async { ServerBuilder::new().accept(far).await };
    let (client, server) = tokio::join!(client, server);
    (client.expect("open"), server.expect("open").1)
}

#[tokio::test]
async fn a_writer_goes_on_though_a_reader_met_the_end() {
    let (client, mut server) = pair().await;
    let (mut read, mut write) = tokio::io::split(client.into_stream());
    // More than the pipe holds: the writer waits.
    let writing = tokio::spawn(async move {
        write.write_all(&[7; 8 * PIPE]).await?;
        write.flush().await
    });
    yield_now().await;
    assert!(!writing.is_finished());
    let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
    server.send(close).await.expect("sent");
    // The close is answered here, behind what the writer waits with; then the reader has gone.
    let reading = tokio::spawn(async move { read.read(&mut [0; 16]).await });
    let end = tokio::time::timeout(SOON, reading).await;
    let end = end.expect("it was woken").expect("no panic");
    assert_eq!(end.expect("an end in order"), 0);

    let receiving = tokio::spawn(async move {
        let mut received = 0;
        while let Some(Ok(message)) = server.next().await {
            received += if message.is_binary() {
                message.as_payload().len()
            } else {
                0
            };
        }
        received
    });
    let written = tokio::time::timeout(SOON, writing).await;
    let written = written.expect("the writer was woken").expect("no panic");
    written.expect("it was taken");
    let received = tokio::time::timeout(SOON, receiving).await;
    assert_eq!(received.expect("the end came").expect("no panic"), 8 * PIPE);
}

#[tokio::test]
async fn a_reader_and_a_writer_both_hear_when_answers_have_left() {
    let (client, server) = pair().await;
    let mut raw = server.into_inner();
    let (mut read, mut write) = tokio::io::split(client.into_stream());
    let writing = tokio::spawn(async move {
        write.write_all(&[7; 8 * PIPE]).await?;
        write.flush().await
    });
    yield_now().await;
    let reading = tokio::spawn(async move { read.read_u8().await });
    // As many pings as wait to be answered at the most, then a message of one byte.
    for _ in 0..64 {
        raw.write_all(b"\x89\x04ping").await.expect("sent");
        yield_now().await;
    }
    raw.write_all(b"\x82\x01!").await.expect("sent");
    yield_now().await;
    assert!(!writing.is_finished() && !reading.is_finished());

    let taking =
        tokio::spawn(async move { tokio::io::copy(&mut raw, &mut tokio::io::sink()).await });
    let read = tokio::time::timeout(SOON, reading).await;
    let read = read.expect("the reader was woken").expect("no panic");
    assert_eq!(read.expect("a byte"), b'!');
    let written = tokio::time::timeout(SOON, writing).await;
    let written = written.expect("the writer was woken").expect("no panic");
    written.expect("it was taken");
    taking.abort();
}

#[tokio::test]
async fn a_server_that_pings_and_takes_no_answer_is_not_read_for_ever() {
    let (mut client, server) = pair().await;
    let mut raw = server.into_inner();
    let receiving = tokio::spawn(async move { client.receive().await });
    let mut sent = 0_usize;
    // Until the pipe is full: nobody reads any more.
    while sent < 100_000 {
        let ping = [&b"\x89\x7d"[..], &[7; 125]].concat();
        let mut writing = std::pin::pin!(raw.write_all(&ping));
        let mut taken = false;
        for _ in 0..100 {
            if (&mut writing).now_or_never().is_some() {
                taken = true;
                break;
            }
            yield_now().await;
        }
        if !taken {
            break;
        }
        sent += 1;
    }
    // 64 that wait to be answered, and what the pipe and one read hold.
    assert!(sent < 200, "{sent} pings were taken, and none was answered");
    assert!(!receiving.is_finished());
    receiving.abort();
}

#[tokio::test]
async fn a_handshake_without_end_is_not_kept() {
    for line in [&b"X: y\r\n"[..], b"all one line "] {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let flood = async {
            far.write_all(b"HTTP/1.1 101 Switching Protocols\r\n")
                .await?;
            if line.ends_with(b" ") {
                far.write_all(b"X: ").await?;
            }
            loop {
                far.write_all(line).await?;
            }
        };
        let (url, options) = (url(), WebSocketOptions::new());
        let opening = WebSocket::over(Io::new(near), &url, &options);
        let (opened, flooded): (_, std::io::Result<()>) = tokio::join!(opening, flood);
        let error = opened.expect_err("no handshake");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(flooded.is_err(), "it has hung up");
    }
}
