//! A foreign stream as a [`ByteStream`].

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::through::write_through;
use crate::{ByteStream, StreamInfo};

/// Any stream that tokio's traits know, as a [`ByteStream`]: a pipe, a Unix socket, a channel of
/// SSH, what another library has opened.
///
/// Everything goes straight through. Whether it keeps [`ByteStream`]'s promises is up to the stream
/// within; what it doesn't, [`with_info`](Self::with_info) has to say.
///
/// ```
/// use jackfield_socket::driver::{Driver, StreamCore};
/// use jackfield_socket::{ByteStream, Io};
///
/// /// A protocol's core over the two ends of a pipe in memory.
/// fn both<C: StreamCore>(one: C, other: C) -> (Driver<impl ByteStream, C>, Driver<impl ByteStream, C>) {
///     let (left, right) = tokio::io::duplex(4096);
///     (Driver::new(Io::new(left), one), Driver::new(Io::new(right), other))
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Io<T> {
    inner: T,
    info: StreamInfo,
}

impl<T> Io<T> {
    /// This stream, of which no address is known, and whose two directions end each by itself.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            info: StreamInfo::new(None, None),
        }
    }

    /// The same, with this to know about it.
    #[must_use]
    pub fn with_info(mut self, info: StreamInfo) -> Self {
        self.info = info;
        self
    }

    /// The stream within, to look at.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The stream within, to act on.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The stream within.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> ByteStream for Io<T>
where
    T: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug + 'static,
{
    fn info(&self) -> StreamInfo {
        self.info.clone()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Io<T> {
    write_through!(inner);
}
