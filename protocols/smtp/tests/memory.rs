//! Memory: a message may be larger than it, and costs no more of it than a small one.
//!
//! The message has 64 MiB, and with `JACKFIELD_SOAK` (`cargo xtask test --soak`) 1 GiB. All that this process
//! allocates counts, the server among it; the network is a pipe in memory, since the simulated one keeps a trace.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe to write, and this one counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use jackfield_smtp::client::{self, Envelope};
use jackfield_smtp::core::Config;
use jackfield_socket::{ByteStream, Endpoint, Result, StreamInfo, TcpConnect, TcpOptions};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream,
    ReadBuf, duplex,
};

/// How much is allocated, and the most that ever was since this was last set.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: the system's allocator does all that is promised; this counts what it gave.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps to what `GlobalAlloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// A network that is a pipe to a server.
struct Pipes(&'static str);

#[derive(Debug)]
struct Pipe(DuplexStream);

impl TcpConnect for Pipes {
    type Stream = Pipe;

    async fn connect(&self, _to: &Endpoint, _options: &TcpOptions) -> Result<Pipe> {
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(serve(far, self.0));
        Ok(Pipe(near))
    }
}

impl ByteStream for Pipe {
    fn info(&self) -> StreamInfo {
        StreamInfo::new(None, None)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

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
    const MIB: u64 = 1024 * 1024;
    let is_soak = std::env::var("JACKFIELD_SOAK").is_ok_and(|it| !it.is_empty() && it != "0");
    let size = if is_soak { 1024 * MIB } else { 64 * MIB };
    for capability in ["PIPELINING", "CHUNKING"] {
        let config = Config::new("client.example".parse().expect("a domain"));
        let server = "mail.example:25".parse().expect("an endpoint");
        let (client, _, connection) = client::connect(Pipes(capability), server, config);
        let connection = tokio::spawn(connection);
        client.noop().await.expect("it stands");

        let idle = NOW.load(Ordering::Relaxed);
        MOST.store(idle, Ordering::Relaxed);
        let to = ["grace@example.com".parse().expect("a mailbox")];
        let envelope = Envelope::new("ada@example.org".parse().expect("a path"), to);
        let sent = client.send_from(envelope, Source(size), Some(size)).await;
        assert!(sent.expect("taken").is_complete());
        let above = (MOST.load(Ordering::Relaxed) - idle) as u64;
        assert!(above < MIB, "{capability}: {above} bytes");

        client.close().await;
        connection.await.expect("no panic").expect("in order");
        assert!(CAME.swap(0, Ordering::Relaxed) > size);
    }
}
