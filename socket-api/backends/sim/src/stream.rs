//! Streams in the world: one side of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use jackfield_socket::time::{self, Instant, Sleep};
use jackfield_socket::{ByteStream, Error, ErrorKind, StreamInfo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Network;
use crate::connection::{Connection, What, wake};

/// A byte stream of a simulated network.
pub struct SimStream {
    network: Network,
    id: u64,
    side: usize,
    info: StreamInfo,
    read_timer: Option<Sleep>,
    write_timer: Option<Sleep>,
}

impl SimStream {
    pub(crate) fn new(network: &Network, id: u64, side: usize, connection: &Connection) -> Self {
        Self {
            network: network.clone(),
            id,
            side,
            info: StreamInfo::new(
                Some(connection.addresses[side]),
                Some(connection.addresses[1 - side]),
            ),
            read_timer: None,
            write_timer: None,
        }
    }

    /// Closes the stream with a reset: the peer sees an error and no end.
    pub fn abort(self) {
        self.network.lock().reset(self.id, self.side, time::now());
    }
}

/// Waits for a point in time; pending for ever where there is none.
fn poll_until(timer: &mut Option<Sleep>, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(at) = at else {
        *timer = None;
        return Poll::Pending;
    };
    let sleep = timer.get_or_insert_with(|| time::sleep_until(at));
    sleep.reset(at);
    ready!(Pin::new(sleep).poll(cx));
    *timer = None;
    Poll::Ready(())
}

fn lost() -> io::Error {
    // Only a stream that lives asks, and those are known.
    io::ErrorKind::NotConnected.into()
}

fn given_up() -> io::Error {
    Error::new(ErrorKind::TimedOut, "no keep-alive probe was answered").into()
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        let mut world = this.network.lock();
        let connection = world.connections.get_mut(&this.id).ok_or_else(lost)?;
        let given_up_at = connection.given_up_at(this.side);
        let pipe = &mut connection.pipes[1 - this.side];
        loop {
            let now = time::now();
            let before = buf.filled().len();
            while let Some(segment) = pipe.queue.front_mut() {
                if buf.remaining() == 0 || segment.at.is_none_or(|at| at > now) {
                    break;
                }
                match &mut segment.what {
                    What::Data { bytes, read } => {
                        let count = buf.remaining().min(bytes.len() - *read);
                        buf.put_slice(&bytes[*read..*read + count]);
                        *read += count;
                        pipe.taken -= count;
                        if *read == bytes.len() {
                            pipe.queue.pop_front();
                        }
                    }
                    What::End | What::Reset if buf.filled().len() > before => break,
                    What::End => return Poll::Ready(Ok(())),
                    What::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                }
            }
            if buf.filled().len() > before {
                wake(&mut pipe.writer);
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
            let next = match pipe.queue.front() {
                Some(segment) => segment.at,
                None if given_up_at.is_some_and(|at| at <= now) => {
                    return Poll::Ready(Err(given_up()));
                }
                None => given_up_at,
            };
            ready!(poll_until(&mut this.read_timer, next, cx));
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mut world = this.network.lock();
        loop {
            let now = time::now();
            let connection = world.connections.get_mut(&this.id).ok_or_else(lost)?;
            let reset_at = connection.reset_at(this.side);
            let given_up_at = connection.given_up_at(this.side);
            let pipe = &mut connection.pipes[this.side];
            if reset_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if pipe.shut {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if given_up_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Err(given_up()));
            }
            let count = data.len().min(pipe.window.saturating_sub(pipe.taken));
            if count > 0 || data.is_empty() {
                world.send(this.id, this.side, now, &data[..count]);
                return Poll::Ready(Ok(count));
            }
            pipe.writer = Some(cx.waker().clone());
            let next = reset_at.or(given_up_at);
            ready!(poll_until(&mut this.write_timer, next, cx));
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.lock().end(self.id, self.side, time::now());
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for SimStream {
    fn info(&self) -> StreamInfo {
        self.info.clone()
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.network
            .lock()
            .drop_side(self.id, self.side, time::now());
    }
}

impl std::fmt::Debug for SimStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimStream")
            .field("local", &self.info.local)
            .field("peer", &self.info.peer)
            .finish_non_exhaustive()
    }
}
