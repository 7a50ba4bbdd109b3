//! Messages that are appended: what goes with one, and where it comes from.

use bytes::Bytes;
use jackfield_client::Poster;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Answer, answered};
use super::handle::Client;
use crate::codec::{
    AppendMessage, Command, DateTime, Flag, FlagChange, MailboxName, Messages, SequenceSet,
};
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

    /// The command that puts it in the place of another.
    fn replacing(self, uid: u32, size: u64) -> Command {
        let mut message = AppendMessage::new(size);
        (message.flags, message.date) = (self.flags, self.date);
        Command::Replace {
            uid,
            mailbox: self.mailbox,
            message,
        }
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

/// A message that was appended, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The UIDVALIDITY of its mailbox, and its UID there, where the server tells (UIDPLUS); of several,
    /// all UIDs in their order.
    pub uid: Option<(u32, SequenceSet)>,
}

/// A message that took the place of another; made by [`Client::replace`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// The message that is there now.
    pub appended: Appended,
    /// What has become of the other one.
    pub former: Former,
}

/// What has become of a message that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Former {
    /// It is gone.
    Gone,
    /// It is still there, with `\Deleted`: a server without REPLACE and without UIDPLUS can't remove
    /// it without removing others.
    Deleted,
    /// It is still there, beside the new one, and why.
    Kept(RequestError),
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
        self.give(command, message).await.map(Answer::appended)
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
        message: impl AsyncRead + Unpin,
    ) -> Result<Appended, RequestError> {
        let answer = self.upload(append.command(size), [(size, message)]).await;
        answer.map(Answer::appended)
    }

    /// Appends messages, all or none of them (MULTIAPPEND, RFC 3502), each with where it is read from
    /// as the server takes it; what is in memory is `&[u8]`. One alone may be put together of parts
    /// (CATENATE, RFC 4469): those that don't lie at the server are read, one behind the other.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{AppendMessage, CatenatePart, MailboxName, MessageUrl, Section};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let (one, two) = (&b"Subject: one\r\n\r\n"[..], &b"Subject: two\r\n\r\n"[..]);
    /// let both = [one, two].map(|text| (AppendMessage::new(text.len() as u64), text));
    /// client.append_all("Archive".parse()?, both).await?;
    ///
    /// // A draft with another header, whose text does not travel again.
    /// let header = &b"Subject: three\r\n\r\n"[..];
    /// let text = MessageUrl::new(&MailboxName::inbox(), 385759045, 20).section(&Section::text());
    /// let parts = [CatenatePart::Text(header.len() as u64), CatenatePart::Url(text)];
    /// client.append_all("Drafts".parse()?, [(AppendMessage::catenate(parts), header)]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without MULTIAPPEND for several, or without CATENATE: append
    /// them one by one then, which is not all or none. [`RequestError::MessageTooLarge`] and
    /// [`RequestError::Source`] as [`append_from`](Self::append_from).
    ///
    /// # Cancel safety
    /// As [`append_from`](Self::append_from); no message is then appended.
    pub async fn append_all<R: AsyncRead + Unpin>(
        &self,
        mailbox: MailboxName,
        messages: impl IntoIterator<Item = (AppendMessage, R)>,
    ) -> Result<Appended, RequestError> {
        let (messages, sources): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        if messages.is_empty() {
            return Ok(Appended { uid: None });
        }
        let sizes: Vec<u64> = messages.iter().map(AppendMessage::size).collect();
        let sources = sizes.into_iter().zip(sources);
        let command = Command::AppendAll { mailbox, messages };
        self.upload(command, sources).await.map(Answer::appended)
    }

    /// Puts a message in the place of the one of this UID in the mailbox that is open, as a draft is
    /// saved again. A server with REPLACE (RFC 8508) does both or none. With any other, the new one is
    /// appended first, and the former one is removed only then: should that fail, both are there.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::{Append, Client};
    /// # use jackfield_imap::codec::{Flag, MailboxName};
    /// # async fn example(client: Client, drafts: MailboxName) -> Result<(), Box<dyn std::error::Error>> {
    /// client.select(drafts.clone()).await?;
    /// let append = Append::to(drafts).flag(Flag::Draft);
    /// let saved = client.replace(17, append, "Subject: plans\r\n\r\nLonger\r\n").await?;
    /// println!("it is {:?} now", saved.appended.uid);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`append`](Self::append): the former message is then still there, and the new one is not. That
    /// the former one can't be removed is no error, but told in [`Replaced::former`].
    ///
    /// # Cancel safety
    /// As the [type](Self) says; both messages may be there, but never none.
    pub async fn replace(
        &self,
        uid: u32,
        append: Append,
        message: impl Into<Bytes>,
    ) -> Result<Replaced, RequestError> {
        let message = message.into();
        let size = message.len() as u64;
        if self.has_replace()? {
            let answer = self.give(append.replacing(uid, size), message).await?;
            return Ok(answer.replaced());
        }
        let appended = self.append(append, message).await?;
        Ok(self.remove_former(uid, appended).await)
    }

    /// The same, with a message of this size in bytes, which is read as the server takes it.
    ///
    /// # Errors
    /// As [`append_from`](Self::append_from), and as [`replace`](Self::replace).
    ///
    /// # Cancel safety
    /// As [`append_from`](Self::append_from), and as [`replace`](Self::replace).
    pub async fn replace_from(
        &self,
        uid: u32,
        append: Append,
        size: u64,
        message: impl AsyncRead + Unpin,
    ) -> Result<Replaced, RequestError> {
        if self.has_replace()? {
            let command = append.replacing(uid, size);
            let answer = self.upload(command, [(size, message)]).await?;
            return Ok(answer.replaced());
        }
        let appended = self.append_from(append, size, message).await?;
        Ok(self.remove_former(uid, appended).await)
    }

    fn has_replace(&self) -> Result<bool, RequestError> {
        let server = self.server().ok_or(RequestError::NotConnected)?;
        Ok(server.can("REPLACE"))
    }

    /// The new message is there; the former one goes, and no other.
    async fn remove_former(&self, uid: u32, appended: Appended) -> Replaced {
        let remove = async {
            let uids = SequenceSet::of([uid]).ok_or(RequestError::NoSuchMessage)?;
            let deleted = FlagChange::Add(vec![Flag::Deleted]);
            let store = Command::Store {
                messages: Messages::Uids(uids.clone()),
                change: deleted,
                unchanged_since: None,
            };
            self.request(store).await?;
            let server = self.server().ok_or(RequestError::NotConnected)?;
            if !server.can("UIDPLUS") {
                return Ok(Former::Deleted);
            }
            self.request(Command::ExpungeUids(uids)).await?;
            Ok(Former::Gone)
        };
        let former = remove.await.unwrap_or_else(Former::Kept);
        Replaced { appended, former }
    }

    /// Appends what is known already.
    async fn give(&self, command: Command, message: Bytes) -> Result<Answer, RequestError> {
        let (done, outcome) = oneshot::channel();
        self.act(Action::Append {
            command,
            message: Some(message),
            wanted: mpsc::channel(1).0,
            done,
        })
        .await?;
        answered(outcome).await
    }

    /// Appends what is read as it goes.
    async fn upload<R: AsyncRead + Unpin>(
        &self,
        command: Command,
        messages: impl IntoIterator<Item = (u64, R)>,
    ) -> Result<Answer, RequestError> {
        let (done, outcome) = oneshot::channel();
        let (sender, wanted) = mpsc::channel(1);
        self.act(Action::Append {
            command,
            message: None,
            wanted: sender,
            done,
        })
        .await?;
        let mut upload = Upload {
            wanted,
            poster: self.actions.poster(),
            begun: None,
        };
        for (size, mut message) in messages {
            upload.run(size, &mut message).await?;
        }
        // Whatever comes of it now, it was given whole.
        upload.begun = None;
        answered(outcome).await
    }
}

/// Gives a message to the connection, a piece whenever more is wanted. Dropping it in the middle
/// ends the connection.
struct Upload {
    wanted: mpsc::Receiver<RequestId>,
    poster: Poster<Action>,
    begun: Option<RequestId>,
}

impl Upload {
    /// Until all was given, or the request is over.
    async fn run(
        &mut self,
        mut left: u64,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), RequestError> {
        while left > 0 {
            let Some(id) = self.wanted.recv().await else {
                // It is over, and its outcome says how.
                self.begun = None;
                return Ok(());
            };
            self.begun = Some(id);
            let room = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = vec![0; room];
            let count = source.read(&mut piece).await;
            let count = count.map_err(|_| RequestError::Source)?;
            if count == 0 {
                return Err(RequestError::Source);
            }
            piece.truncate(count);
            left -= count as u64;
            self.poster.post(Action::Piece(id, Bytes::from(piece)));
        }
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
