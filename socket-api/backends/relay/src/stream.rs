//! Streams and listeners through a relay.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use jackfield_relay_wire::Read;
use jackfield_socket::{ByteStream, Error, ErrorKind, Result, StreamInfo, TcpListener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::{Addresses, Open, Side};

/// A TCP connection that the relay holds.
///
/// Where the WebSocket to the relay is lost, reading and writing fail with
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset); the stream never seems to have ended. Of one
/// that was shut down, the relay still delivers what it has, whatever becomes of this side, as long
/// as its own limits let it.
pub struct RelayStream {
    open: Open,
    addresses: Addresses,
}

/// A socket that listens at the relay.
pub struct RelayListener {
    open: Open,
    local: Option<SocketAddr>,
}

impl RelayStream {
    pub(crate) fn new(open: Open, addresses: Addresses) -> Self {
        Self { open, addresses }
    }
}

impl RelayListener {
    pub(crate) fn new(open: Open, local: Option<SocketAddr>) -> Self {
        Self { open, local }
    }
}

impl ByteStream for RelayStream {
    fn info(&self) -> StreamInfo {
        StreamInfo::new(self.addresses.local, self.addresses.remote)
    }
}

impl AsyncRead for RelayStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.open.act(|state, id| {
            let before = buf.remaining();
            while buf.remaining() > 0 {
                match state.mux.read(id) {
                    Ok(Read::Data(data)) => {
                        let count = data.len().min(buf.remaining());
                        buf.put_slice(&data[..count]);
                        drop(data);
                        state.mux.consume(id, count);
                    }
                    // What was read so far goes out first; the rest shows at the next call.
                    _ if buf.remaining() < before => break,
                    Ok(Read::End) => break,
                    Ok(Read::Pending) => {
                        state.wait(id, Side::Read, cx);
                        return Poll::Pending;
                    }
                    Err(reason) => return Poll::Ready(Err(state.stream_error(&reason).into())),
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for RelayStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open.act(|state, id| match state.mux.write(id, data) {
            Ok(0) if !data.is_empty() => {
                state.wait(id, Side::Write, cx);
                Poll::Pending
            }
            Ok(count) => Poll::Ready(Ok(count)),
            Err(reason) => Poll::Ready(Err(state.write_error(&reason).into())),
        })
    }

    /// Ready when everything written was given to the WebSocket.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open.act(|state, id| match state.mux.flushed(id) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                state.wait(id, Side::Write, cx);
                Poll::Pending
            }
            Err(reason) => Poll::Ready(Err(state.write_error(&reason).into())),
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let finished = self.open.act(|state, id| {
            let finished = state.mux.finish(id);
            finished.map_err(|reason| state.write_error(&reason))
        });
        match finished {
            Ok(()) => self.poll_flush(cx),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl TcpListener for RelayListener {
    type Stream = RelayStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<RelayStream>> {
        let taken = self.open.act(|state, id| {
            if let Some((stream, addresses)) = state.take_inbound(id) {
                state.mux.accepted(id);
                return Poll::Ready(Ok((stream, addresses)));
            }
            match state.mux.listening(id) {
                Ok(()) => {
                    state.wait(id, Side::Read, cx);
                    Poll::Pending
                }
                Err(reason) => Poll::Ready(Err(over(&state.stream_error(&reason)))),
            }
        });
        let (id, addresses) = ready!(taken)?;
        let session = self.open.session.clone();
        Poll::Ready(Ok(RelayStream::new(Open { session, id }, addresses)))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

/// The end of a listener, which must not look like a connection that was lost: whoever accepts goes on after those.
fn over(error: &Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::Reset | ErrorKind::LimitExceeded => ErrorKind::Unreachable,
        kind => kind,
    };
    Error::new(kind, error.to_string()).at(error.place())
}

impl fmt::Debug for RelayStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayStream")
            .field("id", &self.open)
            .field("local", &self.addresses.local)
            .field("peer", &self.addresses.remote)
            .finish()
    }
}

impl fmt::Debug for RelayListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayListener")
            .field("id", &self.open)
            .field("local", &self.local)
            .finish()
    }
}
