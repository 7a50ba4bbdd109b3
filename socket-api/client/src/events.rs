//! The queue of events, from a connection to whoever reads them, and the status beside it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jackfield_socket::time::{self, Instant};
use tokio::sync::{mpsc, watch};

use crate::{ClientEvent, Failure, Status};

/// What a client tells, in order. After the last comes the end.
///
/// Events wait here until they are read, up to
/// [`Options::event_capacity`](crate::Options::event_capacity). Then the client reads nothing more
/// from its peer: what its handle asks for is still sent, its deadlines are kept, and a connection
/// that is lost is made again. A status waits beside them, and gives way to the next one.
///
/// Dropping this discards all further events; the client goes on. Where events are not wanted, that
/// is the way: `let (client, _, connection) = …`.
#[derive(Debug)]
pub struct Events<T, R, E> {
    queue: mpsc::Receiver<Box<T>>,
    unread: Arc<Unread<T, R, E>>,
    /// How many events were read.
    read: u64,
}

impl<T, R, E> Events<T, R, E> {
    /// The next event or status; `None` when the client has ended.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<ClientEvent<T, R, E>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ClientEvent<T, R, E>>> {
        if let Some(status) = self.unread.take(self.read, Some(cx.waker())) {
            return Poll::Ready(Some(ClientEvent::Status(status)));
        }
        match self.queue.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(event)) => {
                self.read += 1;
                Poll::Ready(Some(ClientEvent::Event(*event)))
            }
            Poll::Ready(None) => {
                if let Some(event) = self.unread.take_left_over() {
                    self.read += 1;
                    return Poll::Ready(Some(ClientEvent::Event(event)));
                }
                // Events that a client had no room for when it left may be missing before it.
                let last = self.unread.take(u64::MAX, None);
                Poll::Ready(last.map(ClientEvent::Status))
            }
        }
    }
}

/// Takes what a protocol tells; it moves to the [`Events`] when there is room.
///
/// What waits here is what one read from the peer has brought, and what deadlines and the handle
/// have caused meanwhile: nothing is read before it has moved.
#[derive(Debug)]
pub struct Outbox<T, R, E> {
    queue: mpsc::Sender<Box<T>>,
    waiting: VecDeque<T>,
    /// How many events were told.
    told: u64,
    unread: Arc<Unread<T, R, E>>,
    status: watch::Sender<Status<R, E>>,
    /// Since when the session stands.
    ready_since: Option<Instant>,
}

impl<T, R: Clone, E: Failure> Outbox<T, R, E> {
    /// Tells something.
    pub fn push(&mut self, event: impl Into<T>) {
        self.told += 1;
        self.waiting.push_back(event.into());
    }

    /// Tells something that its reader may miss: it is dropped while as many wait as the queue
    /// holds. For what the client's own user causes, and nothing else would bound.
    pub fn offer(&mut self, event: impl Into<T>) {
        if self.waiting.len() < self.queue.max_capacity() {
            self.push(event);
        }
    }

    /// Says that the session stands.
    pub fn ready(&mut self, known: R) {
        self.ready_since = Some(time::now());
        self.set(Status::Ready(known));
    }

    /// How long the session stood that has ended; `None` where it never did.
    pub(crate) fn lasted(&mut self) -> Option<Duration> {
        let since = self.ready_since.take()?;
        Some(time::now().saturating_duration_since(since))
    }

    pub(crate) fn set(&mut self, status: Status<R, E>) {
        self.unread.put(self.told, status.clone());
        self.status.send_replace(status);
    }

    /// Whether a session that does not stand yet may be read on for, past events that nobody
    /// reads, to have what it needs to begin with.
    pub(crate) fn has_room_to_begin(&self) -> bool {
        !self.status.borrow().is_ready() && self.waiting.len() < self.queue.max_capacity()
    }

    /// Moves events to where they are read.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub(crate) async fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match (self.queue.reserve().await, self.waiting.pop_front()) {
                (Ok(room), Some(event)) => room.send(Box::new(event)),
                // Nobody listens.
                _ => self.waiting.clear(),
            }
        }
    }

    /// Leaves what finds no room to be read all the same: the client has ended.
    pub(crate) fn hand_over(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) =
                self.queue.try_send(Box::new(event))
            {
                let mut cell = self.unread.lock();
                cell.left_over.push_back(*event);
                cell.left_over.append(&mut self.waiting);
            }
        }
    }

    /// [`flush`](Self::flush) for a client that leaves: what finds no room is lost.
    pub(crate) fn flush_now(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if self.queue.try_send(Box::new(event)).is_err() {
                self.waiting.clear();
            }
        }
    }
}

/// The newest status, until it is read, and the events that were left when the client ended.
#[derive(Debug)]
struct Unread<T, R, E>(Mutex<Cell<T, R, E>>);

#[derive(Debug)]
struct Cell<T, R, E> {
    /// The status, and how many events come before it.
    newest: Option<(u64, Status<R, E>)>,
    reader: Option<Waker>,
    /// What had not moved to the queue when the client ended: it comes after that.
    left_over: VecDeque<T>,
}

impl<T, R, E> Unread<T, R, E> {
    fn put(&self, after: u64, status: Status<R, E>) {
        let mut cell = self.lock();
        cell.newest = Some((after, status));
        let reader = cell.reader.take();
        // Woken outside the lock.
        drop(cell);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The status, where the events before it have been read; else who waits is woken by the next.
    fn take(&self, read: u64, waker: Option<&Waker>) -> Option<Status<R, E>> {
        let mut cell = self.lock();
        let taken = cell.newest.take_if(|(after, _)| *after <= read);
        if taken.is_none() {
            cell.reader = waker.cloned();
        }
        taken.map(|(_, status)| status)
    }

    fn take_left_over(&self) -> Option<T> {
        self.lock().left_over.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Cell<T, R, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to tell events, of which so many may wait to be read, and the status.
pub(crate) fn events<T, R: Clone, E: Failure>(
    capacity: usize,
) -> (
    Outbox<T, R, E>,
    Events<T, R, E>,
    watch::Receiver<Status<R, E>>,
) {
    let (queue, read) = mpsc::channel(capacity.max(1));
    let (status, seen) = watch::channel(Status::Connecting { attempt: 1 });
    let unread = Arc::new(Unread(Mutex::new(Cell {
        newest: None,
        reader: None,
        left_over: VecDeque::new(),
    })));
    let events = Events {
        queue: read,
        unread: Arc::clone(&unread),
        read: 0,
    };
    let outbox = Outbox {
        queue,
        waiting: VecDeque::new(),
        told: 0,
        unread,
        status,
        ready_since: None,
    };
    (outbox, events, seen)
}
