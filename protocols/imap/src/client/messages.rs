//! What a [`Client`] does with the messages of the mailbox that is open.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::action::Action;
use super::handle::Client;
use super::limit::halves;
use super::stream::{Body, Fetches};
use crate::codec::{Command, Flag, FlagChange, Item, MailboxName, Messages, Section, SequenceSet};
use crate::error::RequestError;

/// Where messages went that were copied or moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The UIDVALIDITY of the mailbox that they went to, their UIDs where they were, and, in the
    /// same order, those where they went: where the server tells (UIDPLUS), for each command that it
    /// took.
    pub uids: Vec<(u32, SequenceSet, SequenceSet)>,
    /// Whether those that were to be moved are still there, with `\Deleted`: a server without MOVE
    /// and without UIDPLUS can't remove them without removing others.
    pub is_left_behind: bool,
}

impl Client {
    /// Tells of messages, one by one. The UID is told in any case.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Item, Messages, SequenceSet};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let all = Messages::Uids(SequenceSet::everything());
    /// let mut messages = client.fetch(all, [Item::Flags, Item::Envelope]).await?;
    /// while let Some(message) = messages.next().await? {
    ///     let subject = message.envelope.and_then(|envelope| envelope.subject);
    ///     println!("{:?}: {}", message.uid, subject.unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Whoever waits for something else before all was read waits for what may stand behind it, and
    /// gets [`RequestError::TimedOut`] within a minute: read on, take [`all`](Fetches::all), or ask from
    /// another task.
    ///
    /// A server may tell of one message several times, or leave out what it can't tell: what is missing is
    /// `None`. A message of which it has told flags alone, where more was asked for, comes at the end. Texts that are larger than
    /// [`Limits::max_literal`](crate::codec::Limits::max_literal) are left out:
    /// [`read`](Self::read) reads them.
    ///
    /// # Errors
    /// [`RequestError::Closed`]; all others the stream tells: [`RequestError::Unsupported`] where an item
    /// is an extension's that the server has not, since many servers would refuse all of it then.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn fetch(
        &self,
        messages: Messages,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Fetches, RequestError> {
        self.fetch_since(messages, items, None).await
    }

    /// Reads a message's text, or a part of it, as it comes; the message does not count as seen by
    /// it.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::Section;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut message = client.read(17, Section::all()).await?;
    /// let mut file = Vec::new();
    /// tokio::io::copy(&mut message, &mut file).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::NoSuchMessage`], also where the message has no such part.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn read(&self, uid: u32, section: Section) -> Result<Body, RequestError> {
        let uids = SequenceSet::of([uid]).ok_or(RequestError::NoSuchMessage)?;
        let command = Command::Fetch {
            messages: Messages::Uids(uids),
            items: vec![Item::Uid, Item::body(section.clone())],
            changed_since: None,
        };
        let (sender, parts) = mpsc::channel(self.stream_capacity);
        self.act(Action::Read(command, section, sender)).await?;
        Body::begin(parts).await
    }

    /// Changes flags; the new ones come as events. Where nothing would change, nothing is sent.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says; of very long sets, a part may be done.
    pub async fn store(&self, messages: Messages, change: FlagChange) -> Result<(), RequestError> {
        if change.is_nothing() {
            return Ok(());
        }
        self.store_since(messages, change, None).await.map(drop)
    }

    /// Copies messages to another mailbox.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says; of very long sets, a part may be done.
    pub async fn copy(&self, messages: Messages, to: MailboxName) -> Result<Copied, RequestError> {
        let mut copied = Copied::default();
        let mut parts = VecDeque::from(self.parts(&messages));
        while let Some(messages) = parts.pop_front() {
            let copy = Command::Copy(messages.clone(), to.clone());
            let answer = match self.request(copy).await {
                Err(RequestError::Refused(refusal)) => match halves(&messages, &refusal) {
                    Some((taken, left)) => {
                        parts.push_front(left);
                        parts.push_front(taken);
                        continue;
                    }
                    None => return Err(RequestError::Refused(refusal)),
                },
                answer => answer?,
            };
            copied.uids.extend(answer.copied());
        }
        Ok(copied)
    }

    /// Moves messages to another mailbox. Where the server has no MOVE, they are copied, and only
    /// those are marked as deleted, and removed, whose copy succeeded; without UIDPLUS they stay
    /// behind with `\Deleted`.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] where the server has no MOVE and messages are named by their
    /// numbers.
    ///
    /// # Cancel safety
    /// As the [type](Self) says; a part may be done, but no message is ever lost.
    pub async fn move_to(
        &self,
        messages: Messages,
        to: MailboxName,
    ) -> Result<Copied, RequestError> {
        let server = self.server().ok_or(RequestError::NotConnected)?;
        let (has_move, has_uids) = (server.can("MOVE"), server.can("UIDPLUS"));
        let mut moved = Copied {
            is_left_behind: !has_move && !has_uids,
            ..Copied::default()
        };
        let mut parts = VecDeque::from(self.parts(&messages));
        while let Some(messages) = parts.pop_front() {
            if has_move {
                let command = Command::Move(messages.clone(), to.clone());
                let answer = self.request(command).await?;
                if let Some(rest) = answer.rest(&messages)? {
                    parts.push_front(rest);
                }
                moved.uids.extend(answer.copied());
                continue;
            }
            let Messages::Uids(uids) = &messages else {
                return Err(RequestError::Unsupported("MOVE"));
            };
            let copy = Command::Copy(messages.clone(), to.clone());
            let copied = match self.request(copy).await {
                Err(RequestError::Refused(refusal)) => match halves(&messages, &refusal) {
                    Some((taken, left)) => {
                        parts.push_front(left);
                        parts.push_front(taken);
                        continue;
                    }
                    None => return Err(RequestError::Refused(refusal)),
                },
                answer => answer?.copied(),
            };
            // Where the server tells which it has copied, no other is touched.
            let gone = match &copied {
                Some((_, from, _)) => from.clone(),
                None => uids.clone(),
            };
            let deleted = FlagChange::Add(vec![Flag::Deleted]);
            self.store(Messages::Uids(gone.clone()), deleted).await?;
            if has_uids {
                self.expunge_uids(gone).await?;
            }
            moved.uids.extend(copied);
        }
        Ok(moved)
    }

    /// Removes all messages that have `\Deleted`, whoever gave it to them.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn expunge(&self) -> Result<(), RequestError> {
        self.request(Command::Expunge).await.map(drop)
    }

    /// Removes those of these messages that have `\Deleted`, and no other.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without UIDPLUS.
    ///
    /// # Cancel safety
    /// As the [type](Self) says; of very long sets, a part may be done.
    pub async fn expunge_uids(&self, uids: SequenceSet) -> Result<(), RequestError> {
        self.needs("UIDPLUS")?;
        let mut parts = VecDeque::from(uids.split(self.max_set));
        while let Some(uids) = parts.pop_front() {
            let answer = self.request(Command::ExpungeUids(uids.clone())).await?;
            if let Some(Messages::Uids(rest)) = answer.rest(&Messages::Uids(uids))? {
                parts.push_front(rest);
            }
        }
        Ok(())
    }
}
