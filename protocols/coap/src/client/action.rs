//! Actions: what a client's handle asks of its connection, and what asks by being dropped.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_client::Poster;
use tokio::sync::oneshot;

use super::mailbox::Slot;
use crate::codec::Message;
use crate::core::{Reliability, Request};
use crate::error::RequestError;

/// What a handle passes to its connection.
#[derive(Debug)]
pub(super) enum Action {
    /// A request with one response, or, if it is told only, none.
    Request(
        Ask,
        bool,
        oneshot::Sender<Result<Option<Message>, RequestError>>,
    ),
    Observe(Ask, Slot<Notice>),
    Group(Ask, SocketAddr, Duration, Slot<Answered>),
    Ping(oneshot::Sender<Result<(), RequestError>>),
    /// Nobody waits for this any more.
    Cancel(Key),
    Close,
}

/// What a handle calls what it asked for.
pub(super) type Key = u64;

/// What a notification brings.
pub(super) type Notice = Result<(Message, bool), (RequestError, bool)>;

/// Whose answer to a multicast request it is.
pub(super) type Answered = Result<(SocketAddr, Message), RequestError>;

/// A request that a handle makes.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) key: Key,
    pub(super) message: Message,
    pub(super) reliability: Reliability,
    pub(super) timeout: Option<Duration>,
}

impl Ask {
    /// One message of a request: all of it, or one that asks for or brings a block.
    pub(super) fn new(key: Key, request: &Request, message: Message) -> Self {
        let reliability = if request.confirmable {
            Reliability::Confirmable
        } else {
            Reliability::NonConfirmable
        };
        Self {
            key,
            message,
            reliability,
            timeout: request.timeout,
        }
    }
}

/// Gives up what was asked for, unless it was disarmed.
#[derive(Debug)]
pub(super) struct Guard {
    key: Key,
    poster: Option<Poster<Action>>,
}

impl Guard {
    pub(super) fn new(key: Key, poster: Poster<Action>) -> Self {
        Self {
            key,
            poster: Some(poster),
        }
    }

    pub(super) fn disarm(&mut self) {
        self.poster = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(poster) = &self.poster {
            poster.post(Action::Cancel(self.key));
        }
    }
}
