//! Memory: a message may be larger than it, and costs no more of it than a small one.
//!
//! All that this process allocates counts, the server among it; the network is a pipe in memory, since the
//! simulated one keeps a trace.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use jackfield_smtp::client::{self, Envelope};
use jackfield_smtp::core::Config;
use jackfield_testing::memory::{Counting, Meter, Pipes, large};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadBuf,
};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Lines that begin with a dot, so many bytes of them.
struct Source(u64);

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const LINE: [u8; 64] =
            *b".sixty-four bytes with a bare line feed behind, a dot in front.\n";
        let mut left = buf
            .remaining()
            .min(usize::try_from(self.0).unwrap_or(usize::MAX));
        self.0 -= left as u64;
        while left > 0 {
            let piece = &LINE[..left.min(LINE.len())];
            buf.put_slice(piece);
            left -= piece.len();
        }
        Poll::Ready(Ok(()))
    }
}

/// How many bytes of content have come.
static CAME: AtomicU64 = AtomicU64::new(0);

/// Takes messages.
async fn serve(stream: DuplexStream, capability: &str) {
    let mut server = BufReader::new(stream);
    let _ = server.get_mut().write_all(b"220 mail.example\r\n").await;
    loop {
        let mut line = String::new();
        if !matches!(server.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let ehlo = format!("250-mail.example\r\n250 {capability}\r\n");
        let answer = match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["EHLO", _] => &ehlo,
            ["DATA"] => {
                let _ = server.get_mut().write_all(b"354 Go\r\n").await;
                // A line at a time, so that little is kept here.
                let mut line = Vec::new();
                while line != b".\r\n" {
                    line.clear();
                    let count = server.read_until(b'\n', &mut line).await;
                    CAME.fetch_add(count.expect("content") as u64, Ordering::Relaxed);
                }
                "250 Taken\r\n"
            }
            ["BDAT", count, ..] => {
                let count = count.parse().expect("a number");
                let mut piece = (&mut server).take(count);
                let taken = tokio::io::copy(&mut piece, &mut tokio::io::sink()).await;
                CAME.fetch_add(taken.expect("content"), Ordering::Relaxed);
                "250 Taken\r\n"
            }
            _ => "250 Ok\r\n",
        };
        let _ = server.get_mut().write_all(answer.as_bytes()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_any_size_takes_little() {
    let size = large();
    for capability in ["PIPELINING", "CHUNKING"] {
        let config = Config::new("client.example".parse().expect("a domain"));
        let server = "mail.example:25".parse().expect("an endpoint");
        let network = Pipes(move |far| drop(tokio::spawn(serve(far, capability))));
        let (client, _, connection) = client::connect(network, server, config);
        let connection = tokio::spawn(connection);
        client.noop().await.expect("it stands");

        let meter = Meter::start();
        let to = ["grace@example.com".parse().expect("a mailbox")];
        let envelope = Envelope::new("ada@example.org".parse().expect("a path"), to);
        let sent = client.send_from(envelope, Source(size), Some(size)).await;
        assert!(sent.expect("taken").is_complete());
        let above = meter.most();
        assert!(above < 1 << 20, "{capability}: {above} bytes");

        client.close().await;
        connection.await.expect("no panic").expect("in order");
        assert!(CAME.swap(0, Ordering::Relaxed) > size);
    }
}
