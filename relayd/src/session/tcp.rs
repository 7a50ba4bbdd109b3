//! A TCP connection of a client, and the stream that it is carried in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut as _;
use jackfield_native::NativeStream;
use jackfield_relay_wire::{Chunk, Code, Id, MAX_DATA, Mux, Read, Reason};
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;
use tracing::{debug, info};

use super::drain::Draining;
use super::pace::Pace;
use super::{Shared, Turn};
use crate::identity::Grant;
use crate::limits::{Carried, LimitReached, Slot};

/// Chunks shorter than this are copied, and their buffer is used again.
const SMALL: usize = 16 * 1024;

/// Dropping it cuts the connection to the target, unless everything that the client has sent was
/// written, and its end: by an end in order, the target would take what came so far for the whole.
pub(super) struct TcpPump {
    /// There until it is taken leave of.
    stream: Option<NativeStream>,
    /// Whether the target may still send.
    reading: bool,
    /// Whether the client may still send, or something of it has to go to the target.
    writing: bool,
    /// Whether the target has ended its direction.
    ended: bool,
    /// Set when the client is not there any more for whom it goes on.
    draining: Option<Draining>,
    /// Its place among the streams that clients have.
    slot: Option<Slot>,
    /// In its stead, the one among those that drain.
    apart: Option<Slot>,
    /// From the client, and to it.
    up: Pace,
    down: Pace,
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
    /// No more may be carried.
    Over(LimitReached),
}

impl TcpPump {
    pub(super) fn new(stream: NativeStream, slot: Slot) -> Self {
        Self {
            stream: Some(stream),
            reading: true,
            writing: true,
            ended: false,
            draining: None,
            slot: Some(slot),
            apart: None,
            up: Pace::default(),
            down: Pace::default(),
        }
    }

    /// Its client is gone. What that had ended is still written, as long as the limits have it;
    /// false where the stream is to be dropped at once.
    pub(super) fn outlive(&mut self, grant: &Grant, expires: Option<Instant>) -> bool {
        self.drain(grant, expires);
        // Where as many drain as may, one more would take a place from those who have clients.
        !self.writing || self.apart.is_some()
    }

    /// Whether it goes on without a client that hears of it.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// The limits are others from now on, and so is the token's end.
    pub(super) fn renew(&mut self, expires: Option<Instant>) {
        (self.up, self.down) = (Pace::default(), Pace::default());
        if let Some(draining) = &mut self.draining {
            draining.renew(expires, Instant::now());
        }
    }

    /// Nobody hears of the target any more.
    fn drain(&mut self, grant: &Grant, expires: Option<Instant>) {
        self.reading = false;
        if self.draining.is_none() {
            let limits = &grant.token.limits;
            self.draining = Some(Draining::new(limits, expires, Instant::now()));
        }
        match self.slot.take().map(Slot::drain) {
            Some(Ok(apart)) => self.apart = Some(apart),
            Some(Err(slot)) => self.slot = Some(slot),
            None => {}
        }
    }

    /// Moves at most a chunk each way.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Turn {
        let mut worked = false;
        if self.writing {
            match self.write(cx, id, shared) {
                Step::Waiting => {}
                Step::Worked => worked = true,
                Step::Ended => self.writing = false,
                Step::Failed(error) => return fail(id, shared, &error),
                Step::Cut(reason) => return self.cut(id, &reason),
                Step::Over(limit) => return self.end(id, shared, limit),
            }
        }
        if self.reading {
            match self.read(cx, id, shared) {
                Step::Waiting => {}
                Step::Worked => worked = true,
                Step::Ended => (self.reading, self.ended) = (false, true),
                Step::Failed(error) => return fail(id, shared, &error),
                // The client reads no more. What it had sent, and ended, still goes out.
                Step::Cut(_) if self.writing => self.drain(shared.grant, shared.expires),
                Step::Cut(reason) => return self.cut(id, &reason),
                Step::Over(limit) => return self.end(id, shared, limit),
            }
        }
        if !self.reading && !self.writing {
            debug!(%id, "a stream has ended");
            self.leave();
            return Turn::Over;
        }
        if let Some(draining) = &mut self.draining
            && let Poll::Ready(why) = draining.poll_given_up(cx)
        {
            info!(%id, why, "gave a target up that does not take what a client had sent");
            shared.counters.undelivered += 1;
            shared.case.undelivered();
            return Turn::Over;
        }
        if worked { Turn::Worked } else { Turn::Waiting }
    }

    /// The client has cut the stream: so is the connection to the target, unless the client had ended
    /// its own direction before.
    fn cut(&mut self, id: Id, reason: &Reason) -> Turn {
        debug!(%id, %reason, "the client cut a stream");
        self.leave();
        Turn::Over
    }

    /// No more may be carried: the stream is cut, both ways, and its client learns which limit it was.
    fn end(&mut self, id: Id, shared: &mut Shared<'_>, limit: LimitReached) -> Turn {
        let reason = Reason::new(Code::LIMIT_EXCEEDED, &limit.to_string());
        info!(%id, %reason, "ended a stream");
        if self.draining.is_some() {
            shared.counters.undelivered += 1;
            shared.case.undelivered();
        }
        shared.case.ending(&reason);
        shared.mux.reset(id, &reason);
        Turn::Over
    }

    /// Takes leave of a target that has everything, and has not ended: it might have a word to say,
    /// and take a reset for a failure.
    fn leave(&mut self) {
        if self.writing || self.ended {
            return;
        }
        let slot = (self.apart.take()).or_else(|| self.slot.take()?.drain().ok());
        // Where as many drain as may, it is dropped, which does the same for a few of all bearers.
        if let Some(slot) = slot
            && let Some(stream) = self.stream.take()
        {
            tokio::spawn(async move {
                stream.leave().await;
                drop(slot);
            });
        }
    }

    /// From the target to the client.
    fn read(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Step {
        let Some(stream) = &mut self.stream else {
            return Step::Ended;
        };
        let (grant, mux, scratch) = (shared.grant, &mut *shared.mux, &mut *shared.scratch);
        let capacity = match mux.capacity(id) {
            // An end takes no credit.
            Ok(0) => {
                return match stream.poll_ended(cx) {
                    Poll::Pending => Step::Waiting,
                    Poll::Ready(()) => finished(mux, id),
                };
            }
            Ok(capacity) => capacity,
            Err(reason) => return Step::Cut(reason),
        };
        let allowed = match self
            .down
            .poll_turn(cx, &grant.usage, shared.context.metrics())
        {
            Poll::Pending => return Step::Waiting,
            Poll::Ready(Ok(allowed)) => allowed,
            Poll::Ready(Err(limit)) => return Step::Over(limit),
        };
        let mut chunk = scratch
            .chunk
            .take()
            .unwrap_or_else(|| Chunk::with_capacity(MAX_DATA));
        // Straight into what becomes the message, and no more than there is credit for.
        let mut room = chunk.buffer().limit(capacity.min(allowed));
        let read = poll_read_buf(Pin::new(stream), cx, &mut room);
        let sent = match read {
            Poll::Ready(Ok(1..)) => {
                let bytes = chunk.len() as u64;
                shared.counters.bytes_down += bytes;
                self.down
                    .carried(&grant.usage, Carried { bytes, packets: 0 });
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
                    Poll::Ready(Ok(_)) => return finished(mux, id),
                }
            }
        };
        match sent {
            Ok(()) => Step::Worked,
            Err(reason) => Step::Cut(reason),
        }
    }

    /// From the client to the target.
    fn write(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Step {
        let Some(stream) = &mut self.stream else {
            return Step::Ended;
        };
        let (grant, mux) = (shared.grant, &mut *shared.mux);
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
        let allowed = match self
            .up
            .poll_turn(cx, &grant.usage, shared.context.metrics())
        {
            Poll::Pending => {
                // It isn't for the target that it waits.
                if let Some(draining) = &mut self.draining {
                    draining.held_back();
                }
                return Step::Waiting;
            }
            Poll::Ready(Ok(allowed)) => allowed,
            Poll::Ready(Err(limit)) => return Step::Over(limit),
        };
        match Pin::new(stream).poll_write(cx, &data[..data.len().min(allowed)]) {
            Poll::Pending => Step::Waiting,
            Poll::Ready(Ok(written)) => {
                mux.consume(id, written);
                if let Some(draining) = &mut self.draining {
                    draining.took(written);
                }
                let bytes = written as u64;
                shared.counters.bytes_up += bytes;
                self.up.carried(&grant.usage, Carried { bytes, packets: 0 });
                Step::Worked
            }
            Poll::Ready(Err(error)) => Step::Failed(error),
        }
    }
}

/// The target has ended its direction: so does the relay.
fn finished(mux: &mut Mux, id: Id) -> Step {
    match mux.finish(id) {
        Ok(()) => Step::Ended,
        Err(reason) => Step::Cut(reason),
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
    let reason = Reason::new(code, &text);
    shared.case.ending(&reason);
    shared.mux.reset(id, &reason);
    Turn::Over
}
