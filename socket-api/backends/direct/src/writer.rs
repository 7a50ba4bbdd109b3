//! The writing half of a stream: a queue, and a pump that writes it as the shaper says.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jackfield_socket::ErrorKind;
use jackfield_socket::time::{self, Sleep};
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::bindings::{Reader, Writer};
use crate::error::Failure;
use crate::promise::{ignore, settle};
use crate::reader::wake;
use crate::shaper::{Capacity, Outcome, Shaper, Step};

/// How large a queue's buffer is at first, in bytes; it grows up to the largest chunk.
const FIRST_BUFFER: usize = 4 * 1024;
/// How long a dropped stream goes on sending what was written before.
const LINGER: Duration = Duration::from_secs(10);
/// How long to wait at first before a lost chunk is sent again, and at the most: by then something
/// may have been taken from the full pipe.
const FIRST_RETRY: Duration = Duration::from_millis(1);
const LONGEST_RETRY: Duration = Duration::from_millis(64);
thread_local! {
    /// What the streams of this window or worker have learned.
    static CAPACITY: Cell<Capacity> = Cell::default();
}

/// What is queued to be written; shared with the pump.
#[derive(Debug)]
pub(crate) struct Writing {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug)]
struct Shared {
    queue: Buffer,
    state: State,
    /// Whoever waits for room, or for the end.
    waiting: Option<Waker>,
    /// The pump, while it has nothing to do.
    pump: Option<Waker>,
}

#[derive(Clone, Debug)]
enum State {
    Open,
    /// What is queued is sent, then the writing side is closed.
    Closing,
    Closed,
    Failed(Failure),
}

/// Bytes outside the program's memory: the browser reads them later than they are written, when
/// that memory may have moved.
#[derive(Debug)]
struct Buffer {
    array: Uint8Array,
    len: usize,
}

impl Writing {
    /// Writes, and in the end closes both directions.
    pub(crate) fn new(writer: Writer, reader: Reader) -> Self {
        let shared = Rc::new(RefCell::new(Shared {
            queue: Buffer::default(),
            state: State::Open,
            waiting: None,
            pump: None,
        }));
        spawn_local(pump(writer, reader, shared.clone()));
        Self { shared }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut shared = self.shared.borrow_mut();
        shared.open()?;
        let room = CAPACITY.get().largest_chunk() - shared.queue.len;
        let len = data.len().min(room);
        if len == 0 && !data.is_empty() {
            shared.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        shared.queue.push(&data[..len]);
        let pump = shared.pump.take();
        drop(shared);
        wake(pump);
        Poll::Ready(Ok(len))
    }

    /// Ready at once: the pump sends what is queued without being asked. Were it to wait until the
    /// browser has accepted everything, someone who flushes each small write could never queue as
    /// much as can be sent safely.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match &self.shared.borrow().state {
            State::Failed(failure) => Err(failure.io()),
            _ => Ok(()),
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared.borrow_mut();
        match &shared.state {
            State::Closed => return Poll::Ready(Ok(())),
            State::Failed(failure) => return Poll::Ready(Err(failure.io())),
            State::Open => shared.state = State::Closing,
            State::Closing => {}
        }
        shared.waiting = Some(cx.waker().clone());
        let pump = shared.pump.take();
        drop(shared);
        wake(pump);
        Poll::Pending
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        if matches!(shared.state, State::Open) {
            shared.state = State::Closing;
        }
        shared.waiting = None;
        let pump = shared.pump.take();
        drop(shared);
        wake(pump);
    }
}

impl Shared {
    fn open(&self) -> io::Result<()> {
        match &self.state {
            State::Open => Ok(()),
            State::Failed(failure) => Err(failure.io()),
            State::Closing | State::Closed => {
                let what = "writing was ended by this side";
                Err(Failure::new(ErrorKind::Closed, what).io())
            }
        }
    }
}

/// What the pump does next.
enum Next {
    /// So many bytes of what is queued.
    Send(usize),
    Close,
}

async fn pump(writer: Writer, reader: Reader, shared: Rc<RefCell<Shared>>) {
    let mut shaper = Shaper::default();
    let sent = {
        let mut sending = pin!(send_all(&writer, &mut shaper, &shared));
        // A dropped stream has nobody left but this pump, and gets only so much time.
        let mut linger: Option<Sleep> = None;
        poll_fn(|cx| {
            if let Poll::Ready(result) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if Rc::strong_count(&shared) > 1 {
                return Poll::Pending;
            }
            let linger = linger.get_or_insert_with(|| time::sleep(LINGER));
            Pin::new(linger).poll(cx).map(|()| None)
        })
        .await
    };
    let pause = match sent {
        Some(Ok(())) => shaper.last_pause(),
        _ => Duration::ZERO,
    };
    let state = match sent {
        Some(Ok(())) => State::Closed,
        Some(Err(thrown)) => State::Failed(Failure::of_stream(&thrown)),
        None => {
            ignore(writer.abort());
            State::Closed
        }
    };
    let failed = matches!(state, State::Failed(_));
    let waiting = {
        let mut shared = shared.borrow_mut();
        shared.state = state;
        shared.waiting.take()
    };
    wake(waiting);
    if !failed {
        // With both directions closed, the browser closes the socket, and throws away what hasn't
        // left the pipe.
        time::sleep(pause).await;
        ignore(reader.cancel());
    }
}

/// Sends what is queued until the stream is closed, then closes it.
async fn send_all(
    writer: &Writer,
    shaper: &mut Shaper,
    shared: &RefCell<Shared>,
) -> Result<(), JsValue> {
    let mut chunk = Buffer::default();
    loop {
        let len = match next(shared, shaper).await {
            Next::Close => {
                JsFuture::from(writer.close()).await?;
                return Ok(());
            }
            Next::Send(len) => len,
        };
        {
            let mut shared = shared.borrow_mut();
            std::mem::swap(&mut shared.queue, &mut chunk);
            shared.queue.take_end(&mut chunk, len);
            let waiting = shared.waiting.take();
            drop(shared);
            wake(waiting);
        }
        send(writer, shaper, &chunk).await?;
        chunk.len = 0;
    }
}

/// Waits until there is something to send and the shaper agrees, or the end has come.
async fn next(shared: &RefCell<Shared>, shaper: &mut Shaper) -> Next {
    let mut pause: Option<Sleep> = None;
    poll_fn(|cx| {
        let mut shared = shared.borrow_mut();
        loop {
            if shared.queue.len == 0 {
                if matches!(shared.state, State::Closing) {
                    return Poll::Ready(Next::Close);
                }
                break;
            }
            match shaper.next(shared.queue.len, CAPACITY.get(), time::now()) {
                Step::Write(len) => return Poll::Ready(Next::Send(len)),
                Step::Wait(until) => {
                    let pause = pause.get_or_insert_with(|| time::sleep_until(until));
                    pause.reset(until);
                    if Pin::new(pause).poll(cx).is_pending() {
                        break;
                    }
                }
            }
        }
        shared.pump = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

/// Writes one chunk, again where it was lost.
async fn send(writer: &Writer, shaper: &mut Shaper, chunk: &Buffer) -> Result<(), JsValue> {
    let mut retry = FIRST_RETRY;
    loop {
        let began = time::now();
        // No other write is pending, so this one begins at once.
        let (written, at_once) = settle(writer.write(&chunk.view())).await;
        written?;
        let mut capacity = CAPACITY.get();
        let outcome = shaper.wrote(chunk.len, at_once, (began, time::now()), &mut capacity);
        CAPACITY.set(capacity);
        match outcome {
            Outcome::Accepted => return Ok(()),
            Outcome::Lost => {
                time::sleep(retry).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        }
    }
}

impl Buffer {
    /// Puts bytes at the end; the caller keeps to the largest chunk.
    fn push(&mut self, data: &[u8]) {
        let len = self.len + data.len();
        let capacity = self.array.length() as usize;
        if len > capacity {
            let larger = len.max(2 * capacity).max(FIRST_BUFFER);
            let array = Uint8Array::new_with_length(larger as u32);
            array.set(&self.view(), 0);
            self.array = array;
        }
        self.array
            .subarray(self.len as u32, len as u32)
            .copy_from(data);
        self.len = len;
    }

    /// Takes what another one, of which `len` bytes stay there, holds behind them.
    fn take_end(&mut self, other: &mut Self, len: usize) {
        if len == other.len {
            return;
        }
        let end = other.array.subarray(len as u32, other.len as u32);
        self.push(&end.to_vec());
        other.len = len;
    }

    fn view(&self) -> Uint8Array {
        self.array.subarray(0, self.len as u32)
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            array: Uint8Array::new_with_length(0),
            len: 0,
        }
    }
}
