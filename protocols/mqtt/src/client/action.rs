//! Actions: what a client's handles ask of its connection, and what asks by being dropped.

use bytes::Bytes;
use jackfield_client::Poster;
use tokio::sync::oneshot;

use super::routes::Sink;
use crate::codec::{Disconnect, PublishReason};
use crate::core::{Message, Reply, SubscribeRequest, UnsubscribeRequest, Unsubscribed};
use crate::error::RequestError;

pub(super) type Done<T> = oneshot::Sender<Result<T, RequestError>>;

/// What a client passes to its connection.
#[derive(Debug)]
pub(super) enum Action {
    Publish {
        message: Message,
        /// Learns that the message is queued.
        queued: Option<Done<()>>,
        done: Done<Reply>,
    },
    /// How many were published so far.
    Published(Done<u64>),
    Subscribe(SubscribeRequest, Done<Reply>),
    Unsubscribe(UnsubscribeRequest, Done<Reply>),
    /// Subscribes, and routes what comes to a subscription of its own.
    Route {
        subscribe: SubscribeRequest,
        sink: Sink,
        done: Done<u64>,
    },
    /// A subscription is no longer read; who wants to know how the server took it is told.
    Unroute(u64, Option<Done<Option<Unsubscribed>>>),
    /// Publishes a request, whose response goes to `response`.
    Call {
        message: Box<Message>,
        response: Done<Message>,
    },
    Acknowledge {
        serial: u64,
        reason: PublishReason,
        done: Option<Done<()>>,
    },
    Authenticate(Option<Bytes>, Done<()>),
    Reauthenticate(Option<Bytes>, Done<Reply>),
    Close(Disconnect, Done<()>),
}

/// What the connection answers, which may be gone.
pub(super) async fn answered<T>(
    outcome: oneshot::Receiver<Result<T, RequestError>>,
) -> Result<T, RequestError> {
    outcome.await.unwrap_or(Err(RequestError::Closed))
}

/// Ends the route when dropped.
#[derive(Debug)]
pub(super) struct Route {
    id: Option<u64>,
    poster: Poster<Action>,
}

impl Route {
    pub(super) fn new(id: u64, poster: Poster<Action>) -> Self {
        let id = Some(id);
        Self { id, poster }
    }

    /// Ends it now; who wants to know how the server took it is told.
    pub(super) fn end(&mut self, done: Option<Done<Option<Unsubscribed>>>) {
        if let Some(id) = self.id.take() {
            self.poster.post(Action::Unroute(id, done));
        }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// Acknowledges a message when the last of those that it was given to has taken it.
///
/// What waits for acknowledgements is bounded by the Receive Maximum that the server was told.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) serial: u64,
    pub(super) poster: Poster<Action>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.poster.post(Action::Acknowledge {
            serial: self.serial,
            reason: PublishReason::Success,
            done: None,
        });
    }
}
