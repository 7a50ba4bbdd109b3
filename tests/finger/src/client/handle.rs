//! The handle of a client: what a program asks with.

use jackfield_client::Actions;
use jackfield_socket::Place;
use tokio::sync::oneshot;

use super::action::Action;
use super::event::{Status, Statuses};
use crate::codec::Query;
use crate::error::{RequestError, SessionError};

/// Asks; see [`connect`](super::connect). When the last clone is dropped, the client is closed.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) actions: Actions<Action, (), SessionError>,
}

impl Client {
    /// Where the connection stands now, whether or not the events are read.
    pub fn status(&self) -> Status {
        self.actions.status()
    }

    /// Where it stands now, and whenever that changes.
    pub fn statuses(&self) -> Statuses {
        self.actions.statuses()
    }

    /// Ends the wait for the next attempt to connect, as when the network is known to be back. Where
    /// the client is connected, connecting or closed, nothing happens.
    pub fn reconnect_now(&self) {
        self.actions.reconnect_now();
    }

    /// At whose place the last connection was lost; `None` while there is one, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        self.actions.lost_at()
    }

    /// Asks; done when the answer is whole. Its lines are among the
    /// [`Events`](super::Events), and have to be read.
    ///
    /// # Errors
    /// Any [`RequestError`].
    ///
    /// # Cancel safety
    /// Dropping the future before the connection took the query withdraws it. Afterwards it is
    /// asked all the same, and its outcome is discarded.
    pub async fn finger(&self, query: Query) -> Result<(), RequestError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.actions.send(Action::Request(query, done)).await;
        sent.map_err(|_| RequestError::Closed)?;
        outcome.await.unwrap_or(Err(RequestError::Closed))
    }

    /// Leaves; done when the connection is gone. What waits fails with [`RequestError::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future after it was polled changes nothing, unless
    /// [`Options::action_capacity`](jackfield_client::Options::action_capacity) actions wait.
    pub async fn close(&self) {
        // Where it can't be sent, the connection is gone already.
        let _ = self.actions.send(Action::Close).await;
        self.actions.closed().await;
    }
}
