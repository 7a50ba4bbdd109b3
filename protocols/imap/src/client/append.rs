//! Messages that are appended: what goes with one, and where it comes from.

use bytes::Bytes;
use jackfield_client::Poster;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use super::action::Action;
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

    pub(super) fn command(self, size: u64) -> Command {
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

/// Gives a message to the connection, a piece whenever more is wanted. Dropping it in the middle
/// ends the connection.
pub(super) struct Upload {
    pub(super) wanted: mpsc::Receiver<RequestId>,
    pub(super) poster: Poster<Action>,
    pub(super) left: u64,
    pub(super) begun: Option<RequestId>,
}

impl Upload {
    /// Until all was given, or the request is over.
    pub(super) async fn run(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), RequestError> {
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
