//! Actions: what a client's handle asks of its connection, how that answers, and what asks by being
//! dropped.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_client::Poster;
use tokio::sync::oneshot;

use super::latest::Sender;
use crate::codec::Message;
use crate::core::{Reliability, Request};
use crate::error::RequestError;

/// What a handle passes to its connection.
#[derive(Debug)]
pub(super) enum Action {
    /// A request with one response, or, if it is told only, none.
    Request {
        ask: Ask,
        told: bool,
        done: oneshot::Sender<Result<Option<Message>, RequestError>>,
    },
    Observe {
        ask: Ask,
        notices: Sender<Notice>,
    },
    /// A request to a group, whose answers are taken for so long.
    Group {
        ask: Ask,
        to: SocketAddr,
        window: Duration,
        answers: Sender<Answered>,
    },
    Ping(oneshot::Sender<Result<(), RequestError>>),
    /// Nobody waits for this any more.
    Cancel(Key),
    Close,
}

/// What a handle calls what it asked for.
pub(super) type Key = u64;

/// What a notification brings, and whether it is the last.
pub(super) type Notice = Result<(Message, bool), (RequestError, bool)>;

/// Whose answer to a multicast request it is.
pub(super) type Answered = Result<(SocketAddr, Message), RequestError>;

/// What a handle should know about what carries its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carrier {
    /// How many bytes a message may have.
    pub(super) max_message: usize,
    pub(super) bert: bool,
}

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
