//! A stream of which a handshake reads no more than it may: the library below keeps what has come until
//! it understands it, however much that is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use jackfield_socket::{AnyStream, Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes a server answers the handshake with, at the most; whatever it sends right behind is
/// read with them.
pub(crate) const MAX_RESPONSE: usize = 64 * 1024;

/// The stream below a WebSocket.
pub(crate) struct Bounded {
    stream: AnyStream,
    /// How many bytes may still be read, where there is a bound.
    left: Option<usize>,
}

impl Bounded {
    /// During a handshake whose answer is read.
    pub(crate) fn new(stream: AnyStream) -> Self {
        Self {
            stream,
            left: Some(MAX_RESPONSE),
        }
    }

    /// Without a bound, which is then somebody else's.
    pub(crate) fn unbounded(stream: AnyStream) -> Self {
        Self { stream, left: None }
    }

    /// The handshake is done.
    pub(crate) fn lift(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            let error = Error::new(ErrorKind::LimitExceeded, "a handshake is too long");
            return Poll::Ready(Err(error.into()));
        }
        let before = buf.remaining();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let count = before - buf.remaining();
        self.left = self.left.map(|left| left.saturating_sub(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
