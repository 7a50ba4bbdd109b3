//! The status of a client's connection: where it stands, and what a client tells.

use std::time::Duration;

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
