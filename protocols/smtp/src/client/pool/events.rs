//! Events of a pool: what whoever reads them learns of its connections.

use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::client::event::{ClientEvent, Events};

/// What one connection of a pool tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolEvent {
    /// Which connection, as an index into [`Pool::status`](super::Pool::status).
    pub connection: usize,
    /// What it tells.
    pub event: ClientEvent,
}

/// The events of all connections of a pool: in order for each of them. Most programs have no use for them, and
/// drop this; programs that keep a log note [`Event::LoginNotBound`](crate::core::Event::LoginNotBound).
///
/// Each connection has as much room as
/// [`Options::event_capacity`](jackfield_client::Options::event_capacity) says, and its part is as
/// [`Events`]: a connection whose events wait, and have no more room, reads nothing more from the server until
/// they are read. Dropping this discards all further events.
#[derive(Debug)]
pub struct PoolEvents {
    events: Vec<Events>,
    /// Whose turn it is, so that none has to wait for ever.
    next: usize,
}

impl PoolEvents {
    pub(super) fn new(events: Vec<Events>) -> Self {
        Self { events, next: 0 }
    }

    /// The next event or status; `None` when all connections have ended.
    ///
    /// ```no_run
    /// # use jackfield_smtp::client::{ClientEvent, PoolEvents};
    /// # use jackfield_smtp::core::Event;
    /// # async fn example(mut events: PoolEvents) {
    /// while let Some(told) = events.next().await {
    ///     if let ClientEvent::Event(Event::LoginNotBound) = told.event {
    ///         println!("connection {}: the login is not bound to TLS", told.connection);
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<PoolEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<PoolEvent>> {
        let count = self.events.len();
        let mut is_over = true;
        for connection in (self.next..count).chain(0..self.next) {
            match self.events[connection].poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    self.next = (connection + 1) % count;
                    return Poll::Ready(Some(PoolEvent { connection, event }));
                }
                Poll::Ready(None) => {}
                Poll::Pending => is_over = false,
            }
        }
        if is_over {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}
