//! Memory: an allocator that counts, and a network that is pipes in memory and keeps nothing of what went
//! through it.
//!
//! A test of memory is a binary of its own, which names the allocator:
//!
//! ```
//! use jackfield_testing::memory::{self, Counting};
//!
//! #[global_allocator]
//! static COUNTING: Counting = Counting;
//!
//! let meter = memory::Meter::start();
//! drop(vec![0_u8; 1 << 20]);
//! assert!(meter.most() >= 1 << 20);
//! ```
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe to write, and this one counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use jackfield_socket::{ByteStream, Endpoint, Result, StreamInfo, TcpConnect, TcpOptions};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// How much is allocated, and the most that ever was since this was last set.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// How much a pipe holds in each direction, in bytes.
const PIPE: usize = 64 * 1024;

/// The system's allocator, counting what it gives.
#[derive(Debug)]
pub struct Counting;

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

/// How much is allocated above what was when this was made, in the whole process: only one is of use at a
/// time.
#[derive(Debug)]
pub struct Meter(usize);

impl Meter {
    /// From here on.
    pub fn start() -> Self {
        let idle = NOW.load(Ordering::Relaxed);
        MOST.store(idle, Ordering::Relaxed);
        Self(idle)
    }

    /// The most that ever was, in bytes.
    pub fn most(&self) -> usize {
        MOST.load(Ordering::Relaxed).saturating_sub(self.0)
    }
}

/// How large a message is that may be larger than memory: 64 MiB, and with `JACKFIELD_SOAK`
/// (`cargo xtask test --soak`) 1 GiB.
pub fn large() -> u64 {
    let is_soak = std::env::var("JACKFIELD_SOAK").is_ok_and(|it| !it.is_empty() && it != "0");
    (if is_soak { 1024 } else { 64 }) << 20
}

/// A network of pipes: each connection's other end is given to this function, whatever it was made to.
pub struct Pipes<F>(pub F);

impl<F> fmt::Debug for Pipes<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipes")
    }
}

impl<F: Fn(DuplexStream) + Send + Sync + 'static> TcpConnect for Pipes<F> {
    type Stream = Pipe;

    async fn connect(&self, _to: &Endpoint, _options: &TcpOptions) -> Result<Pipe> {
        let (near, far) = duplex(PIPE);
        (self.0)(far);
        Ok(Pipe(near))
    }
}

/// A connection that is a pipe.
#[derive(Debug)]
pub struct Pipe(DuplexStream);

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
