//! Actions: what a client's handle passes to its connection.

use tokio::sync::{mpsc, oneshot};

use crate::codec::{Reply, Text};
use crate::core::{Body, Envelope, Outcome, Piece, RequestId};
use crate::error::RequestError;

pub(super) type Done<T> = oneshot::Sender<Result<T, RequestError>>;

#[derive(Debug)]
pub(super) enum Action {
    Send(Box<Envelope>, Body, Done<Outcome>),
    /// A message that is read from somewhere.
    SendFrom(Box<Envelope>, Body, Reader, Done<Outcome>),
    /// A piece of one.
    Piece(RequestId, Piece),
    Verify(Text, Done<Reply>),
    Noop(Done<Reply>),
    Close,
}

/// The way to whoever reads a message.
pub(super) type Reader = mpsc::Sender<Want>;

/// What is wanted of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// Nothing yet: this is the request's number.
    Nothing(RequestId),
    /// The next piece.
    Piece(RequestId),
}
