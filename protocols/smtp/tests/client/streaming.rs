//! Messages that are read from somewhere.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use jackfield_smtp::RequestError;
use jackfield_socket::TcpListener as _;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::server::Server;
use crate::{config, envelope, world};

/// Lines that begin with a dot, so many bytes of them, and then an end or an error.
struct Source {
    left: usize,
    fails: bool,
    at: usize,
}

const LINE: &[u8] = b".a line\n";

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 && self.fails {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = self.left.min(buf.remaining());
        for _ in 0..count {
            buf.put_slice(&LINE[self.at..=self.at]);
            self.at = (self.at + 1) % LINE.len();
        }
        self.left -= count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_may_be_larger_than_memory() {
    const SIZE: usize = 4 * 1024 * 1024;
    for capabilities in ["", "PIPELINING", "PIPELINING,CHUNKING,SIZE 10000000"] {
        let mut world = world(config()).await;
        let source = Source {
            left: SIZE,
            fails: false,
            at: 0,
        };
        let client = world.client.clone();
        let to = envelope("grace@example.com");
        let size = Some(SIZE as u64);
        let sent = tokio::spawn(async move { client.send_from(to, source, size).await });
        let mut server = world.server(capabilities).await;
        let mut lines = 0;
        let is_counted = capabilities.contains("CHUNKING");
        loop {
            let line = server.line().await;
            let Some(count) = line.strip_prefix("BDAT ") else {
                if line == "DATA" {
                    server.say("354 Go").await;
                    break;
                }
                assert!(!is_counted || !line.starts_with("MAIL") || line.contains("SIZE="));
                server.say("250 Ok").await;
                continue;
            };
            let is_last = count.ends_with(" LAST");
            let count: usize = count.trim_end_matches(" LAST").parse().expect("a number");
            let mut chunk = vec![0; count];
            server.0.read_exact(&mut chunk).await.expect("a chunk");
            lines += chunk.split(|it| *it == b'\n').count() - 1;
            server.say("250 Ok").await;
            if is_last {
                break;
            }
        }
        if !is_counted {
            loop {
                let line = server.line().await;
                if line == "." {
                    break;
                }
                assert_eq!(line, "..a line");
                lines += 1;
            }
            server.say("250 Taken").await;
        }
        sent.await.expect("no panic").expect("taken");
        assert_eq!(lines, SIZE / LINE.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_sends_nothing() {
    let mut world = world(config()).await;
    let source = Source {
        left: 100_000,
        fails: true,
        at: 0,
    };
    let client = world.client.clone();
    let to = envelope("grace@example.com");
    let sent = tokio::spawn(async move { client.send_from(to, source, None).await });
    let mut server = world.server("").await;
    while server.line().await != "DATA" {
        server.say("250 Ok").await;
    }
    server.say("354 Go").await;
    let error = sent.await.expect("no panic").expect_err("it failed");
    assert!(matches!(error, RequestError::SourceFailed), "{error}");
    let mut content = Vec::new();
    let _ = server.0.read_to_end(&mut content).await;
    assert!(!content.ends_with(b"\r\n.\r\n"));
    // The next one has another connection.
    let next = world.send("grace@example.com", "Next.");
    world.server("").await.takes().await;
    next.await.expect("no panic").expect("taken");
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_withdraws_the_message() {
    let mut world = world(config()).await;
    // Before a connection is there, and in the middle of the content.
    for begun in [false, true] {
        let (_feed, source) = tokio::io::duplex(64);
        let client = world.client.clone();
        let to = envelope("grace@example.com");
        let sent = tokio::spawn(async move { client.send_from(to, source, None).await });
        if begun {
            let mut server = world.server("").await;
            while server.line().await != "DATA" {
                server.say("250 Ok").await;
            }
            server.say("354 Go").await;
            tokio::task::yield_now().await;
            sent.abort();
            let _ = sent.await;
            let mut content = Vec::new();
            let _ = server.0.read_to_end(&mut content).await;
            assert_eq!(content, b"");
        } else {
            tokio::task::yield_now().await;
            sent.abort();
            let _ = sent.await;
        }
    }
    let next = world.send("grace@example.com", "Next.");
    loop {
        // One connection was begun for the message that was withdrawn first.
        let stream = world.listener.accept().await.expect("a connection");
        let mut server = Server::new(stream);
        server.greet("").await;
        let line = server.line().await;
        if line.starts_with("MAIL") {
            server.say("250 Ok").await;
            assert_eq!(server.takes().await, "Next.\r\n.\r\n");
            break;
        }
    }
    next.await.expect("no panic").expect("taken");
}
