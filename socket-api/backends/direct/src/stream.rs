//! TCP streams on Direct Sockets.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use jackfield_socket::{ByteStream, StreamInfo};
use send_wrapper::SendWrapper;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bindings::Opened;
use crate::reader::Reading;
use crate::writer::Writing;

/// A TCP connection of the browser's.
///
/// It can't be half-closed, and may lose bytes without an error: see the [crate's](crate) own page.
/// Shutting it down sends all that was written, then ends both directions; reading on gives what had
/// come by then, and fails with [`Closed`](jackfield_socket::ErrorKind::Closed). Dropping it does the
/// same, and gives what was written 10 s to leave: the peer sees an end in either case, since
/// Chrome has no way to reset a connection.
///
/// Up to 4 MiB are read ahead of whoever reads it, and up to 512 KiB wait to be sent. Flushing it is
/// ready at once: what was written is sent without being asked.
pub struct DirectStream {
    halves: SendWrapper<(Reading, Writing)>,
    has_written: SendWrapper<Rc<Cell<bool>>>,
    info: StreamInfo,
}

impl DirectStream {
    /// A connection that has opened; `local` is where it was accepted, which it doesn't know itself.
    pub(crate) fn new(opened: &Opened, local: Option<SocketAddr>) -> Self {
        // First of all, since what arrives unread may be lost.
        let reader = opened.readable().get_reader();
        let has_written = Rc::default();
        let reading = Reading::new(reader.clone(), Rc::clone(&has_written));
        let writing = Writing::new(opened.writable().get_writer(), reader);
        let own = address(opened.local_address(), opened.local_port());
        let peer = address(opened.remote_address(), opened.remote_port());
        let mut info = StreamInfo::new(own.or(local), peer);
        info.half_close = false;
        info.may_truncate = true;
        Self {
            halves: SendWrapper::new((reading, writing)),
            has_written: SendWrapper::new(has_written),
            info,
        }
    }
}

impl ByteStream for DirectStream {
    fn info(&self) -> StreamInfo {
        self.info.clone()
    }
}

impl AsyncRead for DirectStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.halves.0.poll_read(cx, buf)
    }
}

impl AsyncWrite for DirectStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_written.set(true);
        self.halves.1.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.halves.1.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (reading, writing) = &*self.halves;
        let ended = std::task::ready!(writing.poll_shutdown(cx));
        reading.close();
        Poll::Ready(ended)
    }
}

impl fmt::Debug for DirectStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectStream")
            .field("local", &self.info.local)
            .field("peer", &self.info.peer)
            .finish_non_exhaustive()
    }
}

/// An address as the browser writes it: an IPv6 one may name its zone, which is left out.
pub(crate) fn address(host: Option<String>, port: Option<u16>) -> Option<SocketAddr> {
    let (host, port) = (host?, port?);
    let host = host.split('%').next().unwrap_or_default();
    host.parse::<IpAddr>()
        .ok()
        .map(|ip| SocketAddr::new(ip, port))
}
