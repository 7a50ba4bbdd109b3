//! Messages that are appended: what goes with one, and where it comes from.

use bytes::Bytes;
use jackfield_client::Poster;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Answer, answered};
use super::handle::Client;
use crate::codec::{Command, DateTime, Flag, MailboxName, SequenceSet};
use crate::core::RequestId;
use crate::error::RequestError;

/// How much is read of a message at a time.
const PIECE: usize = 16 * 1024;

/// Where a message is appended, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Append {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The flags that it gets. Default: none.
    pub flags: Vec<Flag>,
    /// When it arrived. Default: now.
    pub date: Option<DateTime>,
}

impl Append {
    /// To this mailbox, without flags, now.
    pub fn to(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            flags: Vec::new(),
            date: None,
        }
    }

    /// With this flag.
    #[must_use]
    pub fn flag(mut self, flag: Flag) -> Self {
        self.flags.push(flag);
        self
    }

    fn command(self, size: u64) -> Command {
        Command::Append {
            mailbox: self.mailbox,
            flags: self.flags,
            date: self.date,
            size,
        }
    }
}

/// A message that was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The UIDVALIDITY of its mailbox, and its UID there, where the server tells (UIDPLUS).
    pub uid: Option<(u32, SequenceSet)>,
}

impl Client {
    /// Appends a message, which must be whole: header, empty line, and text, with CRLF line ends.
    ///
    /// # Errors
    /// [`RequestError::MessageTooLarge`], where the server has said how large one may be.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn append(
        &self,
        append: Append,
        message: impl Into<Bytes>,
    ) -> Result<Appended, RequestError> {
        let message = message.into();
        let command = append.command(message.len() as u64);
        let (done, outcome) = oneshot::channel();
        self.act(Action::Append {
            command,
            message: Some(message),
            wanted: mpsc::channel(1).0,
            done,
        })
        .await?;
        answered(outcome).await.map(Answer::appended)
    }

    /// Appends a message of this size in bytes, which is read as the server takes it, and need not
    /// fit into memory.
    ///
    /// # Errors
    /// [`RequestError::MessageTooLarge`] as [`append`](Self::append); [`RequestError::Source`] where
    /// the message can't be read, or ends too early: the connection is then made anew.
    ///
    /// # Cancel safety
    /// Dropping the future in the middle of the message ends the connection, since nothing can take
    /// back what was sent; the client connects again. Before and after that it is as the
    /// [type](Self) says.
    pub async fn append_from(
        &self,
        append: Append,
        size: u64,
        mut message: impl AsyncRead + Unpin,
    ) -> Result<Appended, RequestError> {
        let (done, outcome) = oneshot::channel();
        let (sender, wanted) = mpsc::channel(1);
        self.act(Action::Append {
            command: append.command(size),
            message: None,
            wanted: sender,
            done,
        })
        .await?;
        let mut upload = Upload {
            wanted,
            poster: self.actions.poster(),
            left: size,
            begun: None,
        };
        upload.run(&mut message).await?;
        answered(outcome).await.map(Answer::appended)
    }
}

/// Gives a message to the connection, a piece whenever more is wanted. Dropping it in the middle
/// ends the connection.
struct Upload {
    wanted: mpsc::Receiver<RequestId>,
    poster: Poster<Action>,
    left: u64,
    begun: Option<RequestId>,
}

impl Upload {
    /// Until all was given, or the request is over.
    async fn run(&mut self, source: &mut (impl AsyncRead + Unpin)) -> Result<(), RequestError> {
        while self.left > 0 {
            let Some(id) = self.wanted.recv().await else {
                // It is over, and its outcome says how.
                self.begun = None;
                return Ok(());
            };
            self.begun = Some(id);
            let room = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = vec![0; room];
            let count = source.read(&mut piece).await;
            let count = count.map_err(|_| RequestError::Source)?;
            if count == 0 {
                return Err(RequestError::Source);
            }
            piece.truncate(count);
            self.left -= count as u64;
            self.poster.post(Action::Piece(id, Bytes::from(piece)));
        }
        self.begun = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(id) = self.begun {
            self.poster.post(Action::Abort(id));
        }
    }
}
