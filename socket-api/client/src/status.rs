//! The status of a client's connection: where it stands, and what a client tells.

use std::time::Duration;

use tokio::sync::watch;

use crate::{ConnectionError, Failure};

/// Where a client's connection stands; `R` is what is known once the session stands, and `E` is how
/// a session fails.
///
/// Only the newest counts: one that nobody has read when the next comes is never read.
#[derive(Clone, Debug)]
pub enum Status<R, E> {
    /// An attempt to connect begins.
    Connecting {
        /// Which one in a row, from 1.
        attempt: u32,
    },
    /// The stream or socket is open, and the session begins.
    Connected,
    /// The session stands: what is asked for is done now.
    Ready(R),
    /// The connection was lost, or could not be made.
    Disconnected {
        /// Why.
        error: ConnectionError<E>,
        /// When the next attempt begins; `None` for never: it would fail in the same way, or the
        /// configuration forbids it.
        retry_in: Option<Duration>,
    },
}

impl<R, E: Failure> Status<R, E> {
    /// Whether the session stands.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Whether there will be no other attempt.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Disconnected { retry_in: None, .. })
    }
}

/// Where a client's connection stands, each time that it has changed. It is told apart from the
/// [`Events`](crate::Events), which nobody has to read for it; whoever looks seldom sees the newest.
///
/// ```no_run
/// # use jackfield_client::{Failure, Statuses};
/// # async fn example<R: Clone, E: Failure>(mut statuses: Statuses<R, E>) {
/// while let Some(status) = statuses.next().await {
///     println!("{}", if status.is_ready() { "green" } else { "red" });
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Statuses<R, E> {
    status: watch::Receiver<Status<R, E>>,
}

impl<R: Clone, E: Failure> Statuses<R, E> {
    pub(crate) fn new(mut status: watch::Receiver<Status<R, E>>) -> Self {
        // The one that holds now is the first to be told.
        status.mark_changed();
        Self { status }
    }

    /// Where it stands now.
    pub fn now(&self) -> Status<R, E> {
        self.status.borrow().clone()
    }

    /// First where it stands now, then the newest status whenever it has changed; `None` when the
    /// client has ended and the last one was told.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Status<R, E>> {
        self.status.changed().await.ok()?;
        Some(self.status.borrow_and_update().clone())
    }
}

/// What a client tells: of its connection, and of what happens in the session.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is nothing else that a client could tell of"
)]
pub enum ClientEvent<T, R, E> {
    /// Of its connection.
    Status(Status<R, E>),
    /// Of the session: what the protocol has.
    Event(T),
}
