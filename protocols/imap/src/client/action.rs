//! Actions: what a client's handle passes to its connection.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::limit::Limited;
use crate::codec::{Command, Fetch, Response, Section, SequenceSet};
use crate::core::{Outcome, RequestId, Selected};
use crate::error::RequestError;

/// Where an outcome goes.
pub(super) type Done<T> = oneshot::Sender<Result<T, RequestError>>;

#[derive(Debug)]
pub(super) enum Action {
    /// Something whose answer is given as a whole.
    Request(Command, Done<Answer>),
    /// A FETCH whose answer is given message by message.
    Fetch(Command, mpsc::Sender<Part>),
    /// Several that are sent together, of this mailbox alone where one is named, whose answers are
    /// given response by response.
    Together(Option<Box<Selected>>, Vec<Command>, mpsc::Sender<Part>),
    /// A FETCH of one text, which is given piece by piece.
    Read(Command, Section, mpsc::Sender<Part>),
    /// A message to append, and who gives it where it is not given here.
    Append {
        command: Command,
        message: Option<Bytes>,
        wanted: mpsc::Sender<RequestId>,
        done: Done<Answer>,
    },
    /// A piece of a message that is appended.
    Piece(RequestId, Bytes),
    /// The rest of it will never come.
    Abort(RequestId),
    /// News are wanted by one more, or one less.
    Idle(bool),
    Close,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) parts: Vec<Response>,
}

/// A part of an answer that is given as it comes.
#[derive(Debug)]
pub(super) enum Part {
    Message(Box<Fetch>),
    /// Messages are gone.
    Vanished(SequenceSet),
    /// Only so many messages were worked on.
    Limited(Limited),
    /// A response to one of several, by its place among them.
    Answer(usize, Box<Response>),
    /// One of several is done, by its place among them.
    Completed(usize, Result<Box<Outcome>, RequestError>),
    /// The text begins, and has so many bytes.
    Begins(u64),
    Piece(Bytes),
    /// There is no more.
    Done(Result<(), RequestError>),
}

/// What the connection answers, which may be gone.
pub(super) async fn answered<T>(
    outcome: oneshot::Receiver<Result<T, RequestError>>,
) -> Result<T, RequestError> {
    outcome.await.unwrap_or(Err(RequestError::Closed))
}
