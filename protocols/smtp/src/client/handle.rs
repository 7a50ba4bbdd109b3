//! The handle of a client: what a program sends with.

use bytes::BytesMut;
use jackfield_client::{Actions, Poster};
use jackfield_socket::Place;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Done, Want};
use super::event::{Status, Statuses};
use crate::codec::{Reply, Text};
use crate::core::{Body, Envelope, Outcome, Piece, RequestId, Server};
use crate::error::{RequestError, SessionError};

/// How much of a source is read at a time, in bytes.
const READ_SIZE: usize = 32 * 1024;

/// Sends; see [`connect`](super::connect). Clones send over the same connection, in the order in which
/// they ask.
///
/// What is asked for waits for a connection, and makes one. Where none can be made, all that waits
/// fails with [`RequestError::NotConnected`], and the next request tries again.
///
/// When the last clone is dropped, the client is closed.
///
/// # Errors
/// Every request may fail with any [`RequestError`]; the methods name only what is particular.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) actions: Actions<Action, Box<Server>, SessionError>,
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

    /// At whose place the last connection was lost, for a request that failed by it: the server's, or
    /// that of a relay on the way. `None` while there is a connection, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        self.actions.lost_at()
    }

    /// Whether the connection stands.
    pub(super) fn is_ready(&self) -> bool {
        self.actions.look(Status::is_ready)
    }

    /// Whether the connection has failed, and another attempt is not to be made now.
    pub(super) fn is_down(&self) -> bool {
        let is_down = |status: &Status| matches!(status, Status::Disconnected { .. });
        self.actions.look(is_down)
    }

    /// Whether there is not to be another attempt.
    pub(super) fn is_over(&self) -> bool {
        self.actions.look(Status::is_final)
    }

    /// Sends a message that is in memory; done when the server has answered for it. It is a success
    /// where one recipient at least was accepted: [`Outcome`] says which.
    ///
    /// Several may be sent at once, and should be where there are many: where the server allows it,
    /// the next leaves before the last one was answered for.
    ///
    /// ```no_run
    /// # use jackfield_smtp::client::{Client, Envelope};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let to = ["grace@example.com".parse()?, "alan@example.net".parse()?];
    /// let envelope = Envelope::new("ada@example.org".parse()?, to);
    /// let outcome = client.send(envelope, "Subject: hello\n\nGood morning.\n").await?;
    /// for (mailbox, reply) in outcome.refused() {
    ///     println!("{mailbox}: {reply}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] where no recipient was accepted; [`RequestError::OutcomeUnknown`]
    /// where it may have been, and nobody said so.
    ///
    /// # Cancel safety
    /// Dropping the future before the connection took the message withdraws it. Afterwards it is sent
    /// all the same, and its outcome is discarded.
    pub async fn send(
        &self,
        envelope: Envelope,
        body: impl Into<Body>,
    ) -> Result<Outcome, RequestError> {
        let body = body.into();
        self.ask(|done| Action::Send(Box::new(envelope), body, done))
            .await
    }

    /// Sends a message that is read from somewhere, 32 KiB at a time: it may be larger than memory.
    /// The size in bytes, where that is known, is compared with what the server takes before anything
    /// is sent.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`RequestError::SourceFailed`] where the source fails. Then the
    /// message is not sent, and the connection is lost with what it had begun.
    ///
    /// # Cancel safety
    /// Dropping the future before the source was read to its end withdraws the message; where some of
    /// it had left, that costs the connection. Afterwards it is sent all the same, and its outcome is
    /// discarded.
    pub async fn send_from(
        &self,
        envelope: Envelope,
        mut source: impl AsyncRead + Unpin,
        size: Option<u64>,
    ) -> Result<Outcome, RequestError> {
        let (done, mut outcome) = oneshot::channel();
        let (reader, wants) = mpsc::channel(2);
        let mut reading = Reading {
            wants,
            id: None,
            poster: self.actions.poster(),
        };
        let send = Action::SendFrom(Box::new(envelope), Body::streamed(size), reader, done);
        let sent = self.actions.send(send).await;
        sent.map_err(|_| RequestError::Closed)?;
        loop {
            let reads = async {
                let id = reading.next().await?;
                let mut piece = BytesMut::with_capacity(READ_SIZE);
                Some((id, source.read_buf(&mut piece).await.map(|_| piece)))
            };
            let (id, read) = tokio::select! {
                biased;
                outcome = &mut outcome => {
                    reading.id = None;
                    return outcome.unwrap_or(Err(RequestError::Closed));
                }
                Some(read) = reads => read,
            };
            let piece = match read {
                Ok(piece) if piece.is_empty() => Piece::End,
                Ok(piece) => Piece::More(piece.freeze()),
                Err(_) => Piece::Failed,
            };
            if !matches!(piece, Piece::More(_)) {
                // From here on it goes without the source.
                reading.id = None;
            }
            reading.poster.post(Action::Piece(id, piece));
        }
    }

    /// Asks whether there is such a mailbox (VRFY). Most servers say neither yes nor no (252).
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn verify(&self, text: Text) -> Result<Reply, RequestError> {
        self.ask(|done| Action::Verify(text, done)).await
    }

    /// Asks for a sign of life (NOOP): connects and logs in, where that is still to be done, and so
    /// tells whether it can be.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn noop(&self) -> Result<Reply, RequestError> {
        self.ask(Action::Noop).await
    }

    /// Leaves; done when the connection is gone. What is on its way has ten seconds to be done, and
    /// what waits fails with [`RequestError::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future after it was polled changes nothing, unless
    /// [`Options::action_capacity`](super::Options::action_capacity) actions wait.
    pub async fn close(&self) {
        // Where it can't be sent, the connection is gone already.
        let _ = self.actions.send(Action::Close).await;
        self.actions.closed().await;
    }

    async fn ask<T>(&self, action: impl FnOnce(Done<T>) -> Action) -> Result<T, RequestError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.actions.send(action(done)).await;
        sent.map_err(|_| RequestError::Closed)?;
        outcome.await.unwrap_or(Err(RequestError::Closed))
    }
}

/// A source that is being read. Dropped before its end, it withdraws its message.
struct Reading {
    wants: mpsc::Receiver<Want>,
    id: Option<RequestId>,
    poster: Poster<Action>,
}

impl Reading {
    /// Waits until a piece is wanted.
    async fn next(&mut self) -> Option<RequestId> {
        loop {
            match self.wants.recv().await? {
                Want::Nothing(id) => self.id = Some(id),
                Want::Piece(id) => return Some(id),
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.wants.close();
        while let Ok(Want::Nothing(id) | Want::Piece(id)) = self.wants.try_recv() {
            self.id = Some(id);
        }
        if let Some(id) = self.id {
            self.poster.post(Action::Piece(id, Piece::Failed));
        }
    }
}
