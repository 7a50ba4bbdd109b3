//! The reading half of a stream: a pump that always has a read pending.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use jackfield_socket::ErrorKind;
use js_sys::Uint8Array;
use tokio::io::ReadBuf;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::bindings::{ReadResult, Reader};
use crate::error::Failure;
use crate::promise::settle;

/// How many bytes are read ahead of whoever reads this stream. When so many wait, the pump stops
/// until all of them are taken, and the peer is stalled by TCP.
///
/// Chrome throws away what is in its pipe, 64 KiB at the most, when the peer ends the stream while
/// the pump stands. So it stands rarely: a stream of up to this size is never hurt, however slow its
/// reader; a longer one fails at its end in at most one of 64 cases, where its reader is slower than the
/// network, and never in silence.
const READ_AHEAD: usize = 4 * 1024 * 1024;
/// Smaller pieces are put together: each has a cost of its own.
const SMALL_PIECE: usize = 4 * 1024;
/// How large a piece becomes that is put together.
const GATHERED_PIECE: usize = 64 * 1024;

/// What has been read ahead; shared with the pump.
#[derive(Debug)]
pub(crate) struct Reading {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    pieces: VecDeque<Piece>,
    buffered: usize,
    /// Why no more will come.
    end: Option<End>,
    /// Whoever waits for bytes.
    reading: Option<Waker>,
    /// The pump, while it stands.
    pump: Option<Waker>,
}

#[derive(Debug)]
enum Piece {
    /// As the browser gave it, and how much of it is taken.
    Script(Uint8Array, usize),
    /// Small ones, put together, and how much of them is taken.
    Gathered(Vec<u8>, usize),
}

#[derive(Clone, Debug)]
enum End {
    InOrder,
    Failed(Failure),
}

impl Reading {
    /// `has_written` says whether this side has ever said anything.
    pub(crate) fn new(reader: Reader, has_written: Rc<Cell<bool>>) -> Self {
        let shared = Rc::new(RefCell::new(Shared::default()));
        spawn_local(pump(reader, shared.clone(), has_written));
        Self { shared }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut shared = self.shared.borrow_mut();
        if shared.buffered > 0 {
            shared.take(buf);
            return Poll::Ready(Ok(()));
        }
        match &shared.end {
            Some(End::InOrder) => Poll::Ready(Ok(())),
            Some(End::Failed(failure)) => Poll::Ready(Err(failure.io())),
            None => {
                shared.reading = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ends this direction for its reader, who can still take what was read ahead. The writing half
    /// closes it for the peer, when what was written has left.
    pub(crate) fn close(&self) {
        let mut shared = self.shared.borrow_mut();
        if shared.end.is_some() {
            return;
        }
        shared.end = Some(End::Failed(Failure::new(
            ErrorKind::Closed,
            "this side has shut the stream down, and Direct Sockets close both directions",
        )));
        let (reading, pump) = (shared.reading.take(), shared.pump.take());
        drop(shared);
        wake(reading);
        wake(pump);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.close();
        self.shared.borrow_mut().pieces.clear();
    }
}

impl Shared {
    fn put(&mut self, array: Uint8Array) {
        let len = array.length() as usize;
        self.buffered += len;
        if len >= SMALL_PIECE {
            self.pieces.push_back(Piece::Script(array, 0));
            return;
        }
        if let Some(Piece::Gathered(bytes, _)) = self.pieces.back_mut()
            && bytes.len() + len <= GATHERED_PIECE
        {
            let start = bytes.len();
            bytes.resize(start + len, 0);
            array.copy_to(&mut bytes[start..]);
            return;
        }
        self.pieces.push_back(Piece::Gathered(array.to_vec(), 0));
    }

    /// Fills `buf` as far as what is there goes.
    fn take(&mut self, buf: &mut ReadBuf<'_>) {
        while buf.remaining() > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                break;
            };
            let left = match piece {
                Piece::Script(array, taken) => {
                    let len = (array.length() as usize - *taken).min(buf.remaining());
                    let part = array.subarray(*taken as u32, (*taken + len) as u32);
                    part.copy_to(buf.initialize_unfilled_to(len));
                    buf.advance(len);
                    self.buffered -= len;
                    *taken += len;
                    array.length() as usize - *taken
                }
                Piece::Gathered(bytes, taken) => {
                    let rest = &bytes[*taken..];
                    let len = rest.len().min(buf.remaining());
                    buf.put_slice(&rest[..len]);
                    self.buffered -= len;
                    *taken += len;
                    rest.len() - len
                }
            };
            if left == 0 {
                self.pieces.pop_front();
            }
        }
        if self.buffered == 0 {
            wake(self.pump.take());
        }
    }
}

async fn pump(reader: Reader, shared: Rc<RefCell<Shared>>, has_written: Rc<Cell<bool>>) {
    let mut first = true;
    let mut silent = true;
    let end = loop {
        let stood = first | wait_for_room(&shared).await;
        let (result, at_once) = if stood {
            settle(reader.read()).await
        } else {
            (JsFuture::from(reader.read()).await, false)
        };
        first = false;
        let mut now = shared.borrow_mut();
        if now.end.is_some() {
            // Closed meanwhile: the peer must not be stalled by what nobody reads.
            match result {
                Ok(result) if !result.unchecked_ref::<ReadResult>().done() => continue,
                _ => return,
            }
        }
        match result {
            Err(thrown) => break End::Failed(Failure::of_stream(&thrown)),
            Ok(result) => {
                let result = result.unchecked_into::<ReadResult>();
                if result.done() {
                    // An end at once came before the read: whether something was in the pipe
                    // then can't be known. And where neither side has said a word, what the
                    // peer said first has often been overtaken by its end.
                    break if at_once || (silent && !has_written.get()) {
                        End::Failed(Failure::new(
                            ErrorKind::UnexpectedEof,
                            "the peer ended the stream when the browser may have had bytes of it \
                             that it then threw away",
                        ))
                    } else {
                        End::InOrder
                    };
                }
                silent = false;
                now.put(result.value().unchecked_into());
                let reading = now.reading.take();
                drop(now);
                wake(reading);
            }
        }
    };
    let mut shared = shared.borrow_mut();
    shared.end = Some(end);
    let reading = shared.reading.take();
    drop(shared);
    wake(reading);
}

/// Waits while too much is unread, and says whether it had to.
async fn wait_for_room(shared: &RefCell<Shared>) -> bool {
    let mut stood = false;
    poll_fn(|cx| {
        let mut shared = shared.borrow_mut();
        let full = if stood {
            shared.buffered > 0
        } else {
            shared.buffered >= READ_AHEAD
        };
        if full && shared.end.is_none() {
            stood = true;
            shared.pump = Some(cx.waker().clone());
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    stood
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
