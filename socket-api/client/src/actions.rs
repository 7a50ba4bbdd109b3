//! The queue of actions, from a handle to its connection.

use std::sync::{Arc, Mutex, PoisonError};

use jackfield_socket::Place;
use tokio::sync::{Notify, mpsc, watch};

use crate::{Failure, Status, Statuses};

/// Passes actions to a connection. Clones pass them to the same one; when the last is dropped, the
/// client leaves.
#[derive(Debug)]
pub struct Actions<A, R, E> {
    bounded: mpsc::Sender<Box<A>>,
    posted: mpsc::UnboundedSender<Box<A>>,
    status: watch::Receiver<Status<R, E>>,
    shared: Arc<Shared>,
}

/// What both ends know, whatever waits between them.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Somebody does not want to wait for the next attempt.
    pub(crate) hurry: Notify,
    lost_at: Mutex<Option<Place>>,
}

impl Shared {
    /// At whose place the connection was lost; `None` where there is one again.
    pub(crate) fn set_lost_at(&self, place: Option<Place>) {
        *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}

impl<A, R: Clone, E: Failure> Actions<A, R, E> {
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

    /// What one sees who looks at where the connection stands, and keeps nothing of it.
    pub fn look<T>(&self, look: impl FnOnce(&Status<R, E>) -> T) -> T {
        look(&self.status.borrow())
    }

    /// Where the connection stands. Before its first attempt it is as during that.
    pub fn status(&self) -> Status<R, E> {
        self.status.borrow().clone()
    }

    /// Where the connection stands from now on.
    pub fn statuses(&self) -> Statuses<R, E> {
        Statuses::new(self.status.clone())
    }

    /// Ends the wait for the next attempt to connect. Where the client doesn't wait for one, nothing
    /// happens.
    pub fn reconnect_now(&self) {
        // Who begins to wait later waits: no permit is left.
        self.shared.hurry.notify_waiters();
    }

    /// At whose place the last connection was lost, as soon as anything has failed by it; `None` while
    /// there is one, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        *(self.shared.lost_at.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A, R, E> Clone for Actions<A, R, E> {
    fn clone(&self) -> Self {
        Self {
            bounded: self.bounded.clone(),
            posted: self.posted.clone(),
            status: self.status.clone(),
            shared: Arc::clone(&self.shared),
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

/// The connection's end of [`Actions`] and [`Poster`].
#[derive(Debug)]
pub(crate) struct Inbox<A> {
    bounded: mpsc::Receiver<Box<A>>,
    posted: mpsc::UnboundedReceiver<Box<A>>,
    pub(crate) shared: Arc<Shared>,
}

impl<A> Inbox<A> {
    /// The next action; `None` when the last handle is gone.
    ///
    /// # Cancel safety
    /// Dropping the future loses no action.
    pub(crate) async fn recv(&mut self) -> Option<A> {
        let action = tokio::select! {
            biased;
            Some(action) = self.posted.recv() => Some(action),
            action = self.bounded.recv() => action,
        };
        action.map(|action| *action)
    }
}

/// A way to pass actions, of which so many may wait.
pub(crate) fn actions<A, R, E>(
    capacity: usize,
    status: watch::Receiver<Status<R, E>>,
) -> (Actions<A, R, E>, Inbox<A>) {
    let (bounded, taken) = mpsc::channel(capacity.max(1));
    let (posted, past) = mpsc::unbounded_channel();
    let inbox = Inbox {
        bounded: taken,
        posted: past,
        shared: Arc::default(),
    };
    let actions = Actions {
        bounded,
        posted,
        status,
        shared: Arc::clone(&inbox.shared),
    };
    (actions, inbox)
}
