//! A TCP connection of a client, and the stream that it is carried in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut as _;
use jackfield_native::NativeStream;
use jackfield_relay_wire::{Chunk, Code, Id, MAX_DATA, Mux, Read, Reason};
use tokio::io::AsyncWrite as _;
use tokio_util::io::poll_read_buf;
use tracing::debug;

use super::{Scratch, Shared, Turn};
use crate::limits::Slot;

/// Chunks shorter than this are copied, and their buffer is used again.
const SMALL: usize = 16 * 1024;

pub(super) struct TcpPump {
    /// There until it is dropped.
    stream: Option<NativeStream>,
    /// Whether the target may still send.
    reading: bool,
    /// Whether the client may still send.
    writing: bool,
    _slot: Slot,
}

/// What one direction of a turn has come to.
enum Step {
    Waiting,
    Worked,
    /// This direction has ended in order.
    Ended,
    /// The connection to the target is cut.
    Failed(io::Error),
    /// The client has cut the stream.
    Cut(Reason),
}

impl TcpPump {
    pub(super) fn new(stream: NativeStream, slot: Slot) -> Self {
        Self {
            stream: Some(stream),
            reading: true,
            writing: true,
            _slot: slot,
        }
    }

    /// Moves at most a chunk each way.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Turn {
        let mut worked = false;
        if self.writing {
            match self.write(cx, id, shared.mux, &mut shared.counters.bytes_up) {
                Step::Waiting => {}
                Step::Worked => worked = true,
                Step::Ended => self.writing = false,
                Step::Failed(error) => return fail(id, shared, &error),
                Step::Cut(reason) => return cut(id, &reason),
            }
        }
        if self.reading {
            match self.read(
                cx,
                id,
                shared.mux,
                shared.scratch,
                &mut shared.counters.bytes_down,
            ) {
                Step::Waiting => {}
                Step::Worked => worked = true,
                Step::Ended => self.reading = false,
                Step::Failed(error) => return fail(id, shared, &error),
                // The client reads no more. What it had sent, and ended, still goes out.
                Step::Cut(_) if self.writing => self.reading = false,
                Step::Cut(reason) => return cut(id, &reason),
            }
        }
        if !self.reading && !self.writing {
            debug!(%id, "a stream has ended");
            Turn::Over
        } else if worked {
            Turn::Worked
        } else {
            Turn::Waiting
        }
    }

    /// From the target to the client.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        id: Id,
        mux: &mut Mux,
        scratch: &mut Scratch,
        count: &mut u64,
    ) -> Step {
        let Some(stream) = &mut self.stream else {
            return Step::Ended;
        };
        let capacity = match mux.capacity(id) {
            Ok(0) => return Step::Waiting,
            Ok(capacity) => capacity,
            Err(reason) => return Step::Cut(reason),
        };
        let mut chunk = scratch
            .chunk
            .take()
            .unwrap_or_else(|| Chunk::with_capacity(MAX_DATA));
        // Straight into what becomes the message, and no more than there is credit for.
        let mut room = chunk.buffer().limit(capacity);
        let read = poll_read_buf(Pin::new(stream), cx, &mut room);
        let sent = match read {
            Poll::Ready(Ok(1..)) => {
                *count += chunk.len() as u64;
                if chunk.len() < SMALL {
                    let sent = mux.write(id, chunk.bytes()).map(|_| ());
                    let header = chunk.buffer().len() - chunk.len();
                    chunk.buffer().truncate(header);
                    scratch.chunk = Some(chunk);
                    sent
                } else {
                    mux.send(id, chunk)
                }
            }
            nothing => {
                scratch.chunk = Some(chunk);
                match nothing {
                    Poll::Pending => return Step::Waiting,
                    Poll::Ready(Err(error)) => return Step::Failed(error),
                    Poll::Ready(Ok(_)) => {
                        return match mux.finish(id) {
                            Ok(()) => Step::Ended,
                            Err(reason) => Step::Cut(reason),
                        };
                    }
                }
            }
        };
        match sent {
            Ok(()) => Step::Worked,
            Err(reason) => Step::Cut(reason),
        }
    }

    /// From the client to the target.
    fn write(&mut self, cx: &mut Context<'_>, id: Id, mux: &mut Mux, count: &mut u64) -> Step {
        let Some(stream) = &mut self.stream else {
            return Step::Ended;
        };
        let data = match mux.read(id) {
            Ok(Read::Data(data)) => data,
            Ok(Read::Pending) => return Step::Waiting,
            Ok(Read::End) => {
                return match Pin::new(stream).poll_shutdown(cx) {
                    Poll::Pending => Step::Waiting,
                    Poll::Ready(Ok(())) => Step::Ended,
                    // The target has gone already; reading will tell how.
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                        Step::Ended
                    }
                    Poll::Ready(Err(error)) => Step::Failed(error),
                };
            }
            Err(reason) => return Step::Cut(reason),
        };
        match Pin::new(stream).poll_write(cx, &data) {
            Poll::Pending => Step::Waiting,
            Poll::Ready(Ok(written)) => {
                mux.consume(id, written);
                *count += written as u64;
                Step::Worked
            }
            Poll::Ready(Err(error)) => Step::Failed(error),
        }
    }
}

impl Drop for TcpPump {
    /// A connection whose client had not ended its direction is cut: by an end in order, the target
    /// would take what came so far for the whole.
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take().filter(|_| self.writing) {
            stream.abort();
        }
    }
}

/// The connection to the target is cut: so is the stream, which must never look as if it had ended.
fn fail(id: Id, shared: &mut Shared<'_>, error: &io::Error) -> Turn {
    debug!(%id, %error, "a connection was cut");
    let code = match error.kind() {
        io::ErrorKind::TimedOut => Code::TIMED_OUT,
        io::ErrorKind::HostUnreachable => Code::HOST_UNREACHABLE,
        io::ErrorKind::NetworkUnreachable => Code::NETWORK_UNREACHABLE,
        _ => Code::RESET,
    };
    let text = format!("the connection to the target was cut: {code}");
    shared.mux.reset(id, &Reason::new(code, &text));
    Turn::Over
}

/// The client has cut the stream: so is the connection to the target, when it is dropped.
fn cut(id: Id, reason: &Reason) -> Turn {
    debug!(%id, %reason, "the client cut a stream");
    Turn::Over
}
