//! What passes between a client's handle, its events, and its connection.
//!
//! It passes in boxes: a channel makes room for 32 of what it carries when it is made, which would be
//! most of what a client takes that has nothing to do.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

/// Passes actions to a connection. Clones pass them to the same one; when the last is dropped, the
/// client quits.
#[derive(Debug)]
pub struct Actions<A> {
    bounded: mpsc::Sender<Box<A>>,
    posted: mpsc::UnboundedSender<Box<A>>,
}

impl<A> Actions<A> {
    /// Passes an action, once there is room for it.
    ///
    /// # Errors
    /// The action, where the connection is gone.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the action.
    pub async fn send(&self, action: A) -> Result<(), A> {
        let sent = self.bounded.send(Box::new(action)).await;
        sent.map_err(|error| *error.0)
    }

    /// Waits until the connection is gone.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn closed(&self) {
        self.bounded.closed().await;
    }

    /// Another way to the same connection, which does not keep the client running.
    pub fn poster(&self) -> Poster<A> {
        Poster(self.posted.clone())
    }
}

impl<A> Clone for Actions<A> {
    fn clone(&self) -> Self {
        Self {
            bounded: self.bounded.clone(),
            posted: self.posted.clone(),
        }
    }
}

/// Passes actions to a connection at once, past those that wait in [`Actions`].
///
/// Nothing bounds it but what the protocol does: it is for actions that are bounded by something
/// else, such as the acknowledgement of a message that was received.
#[derive(Debug)]
pub struct Poster<A>(mpsc::UnboundedSender<Box<A>>);

impl<A> Poster<A> {
    /// Passes an action. Where the connection is gone, so is the action.
    pub fn post(&self, action: A) {
        let _ = self.0.send(Box::new(action));
    }
}

impl<A> Clone for Poster<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A client's events, in order. After the last one comes the end.
///
/// They wait here until they are read, up to [`Options::event_capacity`](crate::Options). Then the
/// client reads nothing more from its peer. Dropping this discards all further events; the client
/// goes on.
#[derive(Debug)]
pub struct Events<E>(mpsc::Receiver<Box<E>>);

impl<E> Events<E> {
    /// The next event; none when the client has ended.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<E> {
        self.0.recv().await.map(|event| *event)
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<E>> {
        let event = self.0.poll_recv(cx);
        event.map(|event| event.map(|event| *event))
    }
}

/// Takes what a protocol tells; it moves to the [`Events`] when there is room.
///
/// What waits here is what one read from the peer has brought, and no more: nothing is read before
/// it has moved.
#[derive(Debug)]
pub struct Outbox<E> {
    events: mpsc::Sender<Box<E>>,
    waiting: VecDeque<E>,
}

impl<E> Outbox<E> {
    /// Tells something.
    pub fn push(&mut self, event: impl Into<E>) {
        self.waiting.push_back(event.into());
    }

    /// Moves events to where they are read; the loop does, and a protocol need not.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub async fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match (self.events.reserve().await, self.waiting.pop_front()) {
                (Ok(room), Some(event)) => room.send(Box::new(event)),
                // Nobody listens.
                _ => self.waiting.clear(),
            }
        }
    }

    /// [`flush`](Self::flush) for a client that quits: what finds no room is lost.
    pub fn flush_now(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if self.events.try_send(Box::new(event)).is_err() {
                self.waiting.clear();
            }
        }
    }
}

/// The connection's end of [`Actions`] and [`Poster`].
#[derive(Debug)]
pub struct Inbox<A> {
    bounded: mpsc::Receiver<Box<A>>,
    posted: mpsc::UnboundedReceiver<Box<A>>,
}

impl<A> Inbox<A> {
    /// The next action; none when the last handle is gone.
    ///
    /// # Cancel safety
    /// Dropping the future loses no action.
    pub async fn recv(&mut self) -> Option<A> {
        let action = tokio::select! {
            biased;
            Some(action) = self.posted.recv() => Some(action),
            action = self.bounded.recv() => action,
        };
        action.map(|action| *action)
    }
}

/// A way to pass actions, of which so many may wait: for a client whose carrier is no stream, and
/// that has a loop of its own.
pub fn actions<A>(capacity: usize) -> (Actions<A>, Inbox<A>) {
    let (bounded, taken) = mpsc::channel(capacity.max(1));
    let (posted, past) = mpsc::unbounded_channel();
    let inbox = Inbox {
        bounded: taken,
        posted: past,
    };
    (Actions { bounded, posted }, inbox)
}

/// A way to tell events, of which so many may wait to be read; as [`actions`].
pub fn events<E>(capacity: usize) -> (Outbox<E>, Events<E>) {
    let (events, read) = mpsc::channel(capacity.max(1));
    let outbox = Outbox {
        events,
        waiting: VecDeque::new(),
    };
    (outbox, Events(read))
}
