//! Drivers: they run any sans-IO core over any byte stream or datagram socket.
//!
//! A [`StreamCore`] is a protocol without clock and socket: bytes and `now` go in; bytes, events
//! and the next deadline come out. [`Driver`] does the rest, and is the one place where reading,
//! writing, timers and cancellation meet, so that no protocol has to get them right again.
//! [`DatagramCore`] and [`DatagramDriver`] are the same for datagrams.
//!
//! ```
//! use jackfield_socket::driver::{Core, Driver, StreamCore};
//! use jackfield_socket::time::Instant;
//! # use jackfield_socket::ByteStream;
//!
//! /// RFC 862, as a core: sends back what it receives.
//! #[derive(Default)]
//! struct Echo(Vec<u8>);
//!
//! impl Core for Echo {
//!     type Event = std::convert::Infallible;
//!     type Error = std::convert::Infallible;
//!     fn poll_event(&mut self) -> Option<Self::Event> {
//!         None
//!     }
//! }
//!
//! impl StreamCore for Echo {
//!     fn receive(&mut self, _now: Instant, bytes: &[u8]) -> Result<(), Self::Error> {
//!         self.0.extend_from_slice(bytes);
//!         Ok(())
//!     }
//!     fn receive_end(&mut self, _now: Instant) -> Result<(), Self::Error> {
//!         Ok(())
//!     }
//!     fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
//!         out.append(&mut self.0);
//!     }
//! }
//!
//! async fn serve(stream: impl ByteStream) {
//!     let mut driver = Driver::new(stream, Echo::default());
//!     while let Ok(Some(event)) = driver.next().await {
//!         match event {}
//!     }
//! }
//! # fn main() {}
//! ```

mod core;
mod datagram;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::ByteStream;
use crate::time::{self, Instant, Sleep};

pub use core::Core;
pub use datagram::{DatagramCore, DatagramDriver, Peer};

/// How many bytes one read takes at the most.
const READ_SIZE: usize = 16 * 1024;
/// And how many until one has taken so many: most connections never have much to read, and are idle
/// for most of the time.
const FIRST_READ_SIZE: usize = 1024;
/// While this many bytes wait to be written, the core is not asked for more.
const WRITE_HIGH_WATER: usize = 64 * 1024;

/// A [`Core`] over a byte stream.
pub trait StreamCore: Core {
    /// Takes bytes from the peer; whatever of a message is incomplete, the core keeps.
    ///
    /// # Errors
    /// Where the peer broke the protocol in a way that ends the connection.
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Learns that the peer has ended its direction in order.
    ///
    /// # Errors
    /// Where the protocol was in the middle of something.
    fn receive_end(&mut self, now: Instant) -> Result<(), Self::Error>;

    /// Appends what is to be sent now to `out`.
    ///
    /// While the peer does not read and 64 KiB wait for it already, this is not called.
    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>);
}

/// A core, a stream, and what moves between them.
#[derive(Debug)]
pub struct Driver<S, C> {
    stream: S,
    core: C,
    timer: Option<Sleep>,
    /// What the core gave and the stream has not taken yet: `out[written..]`.
    out: Vec<u8>,
    written: usize,
    flushed: bool,
    read_buf: Box<[u8]>,
    write_side: WriteSide,
    read_side: ReadSide,
}

#[derive(Debug)]
enum WriteSide {
    Open,
    /// The stream refused a write. Reading goes on, since the peer may have said why before it
    /// closed; when it ends, this is what the user learns.
    Failed(io::Error),
    Shut,
}

#[derive(Debug, PartialEq, Eq)]
enum ReadSide {
    Open,
    /// Nothing is read for now, and so nothing of a peer that has gone is noticed but by writing.
    Paused,
    /// Nothing more will be read: the peer ended, or something failed.
    Done,
}

impl<S: ByteStream, C: StreamCore> Driver<S, C> {
    /// Joins a core to a stream.
    pub fn new(stream: S, core: C) -> Self {
        Self {
            stream,
            core,
            timer: None,
            out: Vec::new(),
            written: 0,
            flushed: true,
            read_buf: vec![0; FIRST_READ_SIZE].into(),
            write_side: WriteSide::Open,
            read_side: ReadSide::Open,
        }
    }

    /// The core, to look at.
    pub fn core(&self) -> &C {
        &self.core
    }

    /// The core, to act on: what it then has to send goes out with the next call of
    /// [`next`](Self::next) or [`poll_next`](Self::poll_next), which must follow from the same task.
    pub fn core_mut(&mut self) -> &mut C {
        &mut self.core
    }

    /// The stream, to look at.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Takes the driver apart, for a protocol that hands its stream on (STARTTLS): the stream, the
    /// core, and what was taken from the core but not written yet.
    pub fn into_parts(mut self) -> (S, C, Vec<u8>) {
        self.out.drain(..self.written);
        (self.stream, self.core, self.out)
    }

    /// The next event; `None` when the peer has ended the connection in order.
    ///
    /// Events end only when both sides are done: after `None` or an error, only the same comes
    /// again (an error as `None`).
    ///
    /// # Errors
    /// [`DriverError::Core`] where the core says that the connection is over,
    /// [`DriverError::Io`] where the stream does.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<C::Event>, DriverError<C::Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    ///
    /// # Errors
    /// As there.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<C::Event>, DriverError<C::Error>>> {
        loop {
            self.poll_write(cx);
            if let Some(event) = self.core.poll_event() {
                return Poll::Ready(Ok(Some(event)));
            }
            if self.read_side == ReadSide::Done {
                return Poll::Ready(self.take_write_error());
            }
            let moved = match self.poll_deadline(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending if self.read_side == ReadSide::Paused => match self.write_side {
                    WriteSide::Failed(_) => {
                        self.read_side = ReadSide::Done;
                        continue;
                    }
                    WriteSide::Open | WriteSide::Shut => Poll::Pending,
                },
                Poll::Pending => self.poll_read(cx),
            };
            if let Err(error) = ready!(moved) {
                self.read_side = ReadSide::Done;
                // One more attempt to write: the core's last word may name the reason.
                self.poll_write(cx);
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Whether [`next`](Self::next) is to read from the peer, as it does at first. While it does
    /// not, it writes, keeps the core's deadlines and gives its events: for who has no room for what
    /// the peer may say next. A stream that can't be written any more then ends the connection at
    /// once, since nothing that the peer said before it closed would be read.
    pub fn set_reading(&mut self, reading: bool) {
        let side = if reading {
            ReadSide::Open
        } else {
            ReadSide::Paused
        };
        if self.read_side != ReadSide::Done && self.read_side != side {
            self.read_side = side;
            self.core.set_reading(time::now(), reading);
        }
    }

    /// Moves what it can from the core to the stream. A failure is kept, not returned.
    fn poll_write(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.write_side, WriteSide::Open) {
            // What the core still says has nowhere to go.
            self.out.clear();
            self.written = 0;
            return;
        }
        if let Poll::Ready(Err(error)) = self.try_write(cx) {
            self.write_side = WriteSide::Failed(error);
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.out.len() - self.written < WRITE_HIGH_WATER {
                self.out.drain(..self.written);
                self.written = 0;
                self.core.transmit(time::now(), &mut self.out);
            }
            if self.out.is_empty() {
                break;
            }
            self.flushed = false;
            let count =
                ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        if self.core.is_finished() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.write_side = WriteSide::Shut;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DriverError<C::Error>>> {
        let now = ready!(poll_timer(&mut self.timer, self.core.deadline(), cx));
        let handled = self.core.handle_deadline(now).map_err(DriverError::Core);
        debug_assert!(
            handled.is_err() || self.core.deadline().is_none_or(|next| next > now),
            "after `handle_deadline` the core's deadline still does not lie in the future"
        );
        Poll::Ready(handled)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DriverError<C::Error>>> {
        let mut buf = ReadBuf::new(&mut self.read_buf);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)).map_err(DriverError::Io)?;
        let bytes = buf.filled();
        let now = time::now();
        let result = if bytes.is_empty() {
            self.read_side = ReadSide::Done;
            self.core.receive_end(now)
        } else {
            self.core.receive(now, bytes)
        };
        if buf.remaining() == 0 && self.read_buf.len() < READ_SIZE {
            self.read_buf = vec![0; READ_SIZE].into();
        }
        Poll::Ready(result.map_err(DriverError::Core))
    }

    fn take_write_error(&mut self) -> Result<Option<C::Event>, DriverError<C::Error>> {
        match std::mem::replace(&mut self.write_side, WriteSide::Shut) {
            WriteSide::Failed(error) => Err(DriverError::Io(error)),
            WriteSide::Open | WriteSide::Shut => Ok(None),
        }
    }
}

/// Waits for a deadline, if there is one; ready with the time at which it has come.
///
/// Deadlines move with each packet, mostly to later. The timer is moved only to an earlier one, and
/// otherwise when it has come: setting it may cost as much as a packet. So a task is woken once more
/// now and then than it has to be.
fn poll_timer(
    timer: &mut Option<Sleep>,
    deadline: Option<Instant>,
    cx: &mut Context<'_>,
) -> Poll<Instant> {
    let Some(deadline) = deadline else {
        return Poll::Pending;
    };
    let sleep = timer.get_or_insert_with(|| time::sleep_until(deadline));
    if deadline < sleep.deadline() {
        sleep.reset(deadline);
    }
    loop {
        ready!(Pin::new(&mut *sleep).poll(cx));
        if sleep.deadline() == deadline {
            break;
        }
        sleep.reset(deadline);
    }
    *timer = None;
    Poll::Ready(time::now().max(deadline))
}

/// How a [`Driver`] or a [`DatagramDriver`] fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverError<E> {
    /// The stream or the socket failed.
    Io(io::Error),
    /// The core says that it is over.
    Core(E),
}

impl<E: fmt::Display> fmt::Display for DriverError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Core(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for DriverError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Transparent: its text is the inner error's, so its cause is the inner error's cause.
        match self {
            Self::Io(error) => error.source(),
            Self::Core(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::StreamInfo;

    impl ByteStream for DuplexStream {
        fn info(&self) -> StreamInfo {
            StreamInfo::new(None, None)
        }
    }

    /// Lines in, lines out; a `tick` every second; `quit` finishes, `fail` fails.
    #[derive(Default)]
    struct Lines {
        partial: Vec<u8>,
        events: Vec<String>,
        send: Vec<u8>,
        tick: Option<Instant>,
        finished: bool,
    }

    impl Core for Lines {
        type Event = String;
        type Error = &'static str;

        fn poll_event(&mut self) -> Option<String> {
            (!self.events.is_empty()).then(|| self.events.remove(0))
        }

        fn deadline(&self) -> Option<Instant> {
            self.tick
        }

        fn handle_deadline(&mut self, now: Instant) -> Result<(), Self::Error> {
            self.tick = Some(now + Duration::from_secs(1));
            self.events.push("tick".into());
            Ok(())
        }

        fn is_finished(&self) -> bool {
            self.finished
        }
    }

    impl StreamCore for Lines {
        fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Self::Error> {
            self.tick.get_or_insert(now + Duration::from_secs(1));
            self.partial.extend_from_slice(bytes);
            while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                match line.as_str() {
                    "quit" => self.finished = true,
                    "fail" => {
                        self.send.extend_from_slice(b"reason\n");
                        return Err("asked to fail");
                    }
                    _ => self.events.push(line),
                }
            }
            Ok(())
        }

        fn receive_end(&mut self, _now: Instant) -> Result<(), Self::Error> {
            if self.partial.is_empty() {
                Ok(())
            } else {
                Err("in the middle of a line")
            }
        }

        fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
            out.append(&mut self.send);
        }
    }

    fn pair() -> (DuplexStream, Driver<DuplexStream, Lines>) {
        let (peer, stream) = tokio::io::duplex(64);
        (peer, Driver::new(stream, Lines::default()))
    }

    #[tokio::test]
    async fn events_come_before_the_end() {
        let (mut peer, mut driver) = pair();
        peer.write_all(b"one\ntwo\n")
            .await
            .expect("the pipe has room");
        drop(peer);
        assert_eq!(driver.next().await.expect("a line").as_deref(), Some("one"));
        assert_eq!(driver.next().await.expect("a line").as_deref(), Some("two"));
        assert_eq!(driver.next().await.expect("an end"), None);
        assert_eq!(driver.next().await.expect("an end, again"), None);
    }

    #[tokio::test]
    async fn an_end_inside_a_message_is_the_cores_to_judge() {
        let (mut peer, mut driver) = pair();
        peer.write_all(b"half").await.expect("the pipe has room");
        drop(peer);
        let error = driver.next().await.expect_err("the line is not complete");
        assert_eq!(error.to_string(), "in the middle of a line");
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_pass_while_nothing_arrives() {
        let (mut peer, mut driver) = pair();
        peer.write_all(b"x\n").await.expect("the pipe has room");
        assert_eq!(driver.next().await.expect("a line").as_deref(), Some("x"));
        let before = time::now();
        assert_eq!(
            driver.next().await.expect("a tick").as_deref(),
            Some("tick")
        );
        assert!(time::now() >= before + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn what_is_sent_is_larger_than_the_pipe() {
        let (mut peer, mut driver) = pair();
        let long = vec![b'a'; 200_000];
        driver.core_mut().send.clone_from(&long);
        let mut got = vec![0; long.len()];
        tokio::select! {
            _ = driver.next() => panic!("nothing was sent to the driver"),
            read = peer.read_exact(&mut got) => { read.expect("all of it"); }
        }
        assert_eq!(got, long);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_writes_and_keeps_deadlines() {
        let (mut peer, mut driver) = pair();
        driver.core_mut().tick = Some(time::now() + Duration::from_secs(1));
        driver.set_reading(false);
        peer.write_all(b"one\n").await.expect("the pipe has room");
        driver.core_mut().send.extend_from_slice(b"hello\n");
        assert_eq!(
            driver.next().await.expect("a tick").as_deref(),
            Some("tick")
        );
        let mut got = [0; 6];
        peer.read_exact(&mut got).await.expect("what was said");
        assert_eq!(&got, b"hello\n");
        driver.set_reading(true);
        assert_eq!(driver.next().await.expect("a line").as_deref(), Some("one"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_learns_of_the_end_by_writing() {
        let (peer, mut driver) = pair();
        driver.set_reading(false);
        drop(peer);
        let still = time::timeout(Duration::from_mins(1), driver.next()).await;
        assert!(still.is_err(), "nothing was read or written");
        driver.core_mut().send.extend_from_slice(b"hello\n");
        let error = driver.next().await.expect_err("nobody takes it");
        assert!(matches!(error, DriverError::Io(_)));
        assert_eq!(driver.next().await.expect("the end"), None);
    }

    #[tokio::test]
    async fn the_last_word_goes_out_and_the_end_follows() {
        let (mut peer, mut driver) = pair();
        peer.write_all(b"fail\n").await.expect("the pipe has room");
        driver.next().await.expect_err("asked to fail");
        assert_eq!(driver.next().await.expect("the end"), None);
        let mut got = [0; 7];
        peer.read_exact(&mut got).await.expect("the last word");
        assert_eq!(&got, b"reason\n");
    }

    #[tokio::test]
    async fn a_finished_core_ends_its_direction() {
        let (mut peer, mut driver) = pair();
        peer.write_all(b"quit\n").await.expect("the pipe has room");
        let mut rest = Vec::new();
        tokio::select! {
            _ = driver.next() => panic!("the peer has not ended"),
            read = peer.read_to_end(&mut rest) => { read.expect("an end"); }
        }
        drop(peer);
        assert_eq!(driver.next().await.expect("the end"), None);
    }

    /// Says something every second; with `waits`, only [`StreamCore::transmit`] moves the deadline.
    struct Paced {
        next: Instant,
        may_go: u32,
        waits: bool,
    }

    impl Core for Paced {
        type Event = std::convert::Infallible;
        type Error = std::convert::Infallible;

        fn poll_event(&mut self) -> Option<Self::Event> {
            None
        }

        fn deadline(&self) -> Option<Instant> {
            Some(self.next)
        }

        fn handle_deadline(&mut self, now: Instant) -> Result<(), Self::Error> {
            if !self.waits {
                self.next = now + Duration::from_secs(1);
                self.may_go += 1;
            }
            Ok(())
        }
    }

    impl StreamCore for Paced {
        fn receive(&mut self, _now: Instant, _bytes: &[u8]) -> Result<(), Self::Error> {
            Ok(())
        }

        fn receive_end(&mut self, _now: Instant) -> Result<(), Self::Error> {
            Ok(())
        }

        fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
            if self.waits && self.next <= now {
                self.next = now + Duration::from_secs(1);
                self.may_go += 1;
            }
            out.resize(out.len() + WRITE_HIGH_WATER * self.may_go as usize, b'a');
            self.may_go = 0;
        }
    }

    async fn pace_a_peer_that_stalls(waits: bool) {
        let (_peer, stream) = tokio::io::duplex(64);
        let core = Paced {
            next: time::now() + Duration::from_secs(1),
            may_go: 0,
            waits,
        };
        let mut driver = Driver::new(stream, core);
        let minute = tokio::time::timeout(Duration::from_mins(1), driver.next());
        minute.await.expect_err("the peer says nothing");
        // The first was taken and did not fit; the others wait in the core.
        assert_eq!(driver.core().may_go, 58);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stalls_stops_no_clock() {
        pace_a_peer_that_stalls(false).await;
    }

    #[cfg(debug_assertions)]
    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "deadline still does not lie in the future")]
    async fn a_deadline_that_stays_is_a_mistake() {
        pace_a_peer_that_stalls(true).await;
    }
}
