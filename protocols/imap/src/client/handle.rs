//! The handle of a client: what a program opens, reads, searches and changes with.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jackfield_client::{Actions, Poster};
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Answer, answered};
use super::append::{Append, Appended, Upload};
use super::event::Status;
use super::stream::{Body, Fetches};
use crate::codec::{
    Code, Command, Flag, FlagChange, Item, ListQuery, Listed, MailboxName, MailboxStatus, Messages,
    Namespaces, Query, Response, Section, SequenceSet, StatusItem,
};
use crate::core::{Outcome, Selected, Server};
use crate::error::{RequestError, SessionError};

/// How many messages a search may find.
const MAX_FOUND: u64 = 1 << 20;

/// Acts on a connection; see [`connect`](super::connect). Clones act on the same one.
///
/// Requests are sent in the order in which they were asked for, many at a time where the server's
/// answers can be told apart (RFC 9051, section 5.5). Without a connection those wait that need no
/// mailbox, and the others fail with [`RequestError::NotConnected`]. What a lost connection leaves
/// unanswered fails with [`RequestError::ConnectionLost`], and is not asked again: whether it was
/// done is not known. The mailbox that was open is opened again.
///
/// When the last clone is dropped, the client is closed.
///
/// # Cancel safety
/// Dropping the future of a request before the connection took it withdraws it. Afterwards it is
/// done all the same, and its outcome is discarded.
///
/// # Errors
/// Every request may fail with any [`RequestError`]; the methods name only what is particular.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) actions: Actions<Action, Arc<Server>, SessionError>,
    pub(super) stream_capacity: usize,
    pub(super) max_set: usize,
}

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

/// While this exists, the server tells of news, in the [`Events`](super::Events); made by
/// [`Client::idle`].
#[derive(Debug)]
pub struct Idle(Poster<Action>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.post(Action::Idle(false));
    }
}

impl Client {
    /// Where the connection stands now, whether or not the events are read.
    pub fn status(&self) -> Status {
        self.actions.status()
    }

    /// What is known of the server; `None` while nobody is logged in.
    pub fn server(&self) -> Option<Arc<Server>> {
        match self.actions.status() {
            Status::Ready(server) => Some(server),
            _ => None,
        }
    }

    /// Opens a mailbox. What was open before is no longer, even where this fails.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn select(&self, mailbox: MailboxName) -> Result<Selected, RequestError> {
        self.open(mailbox, false).await
    }

    /// Opens a mailbox, to look only.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn examine(&self, mailbox: MailboxName) -> Result<Selected, RequestError> {
        self.open(mailbox, true).await
    }

    async fn open(&self, mailbox: MailboxName, read_only: bool) -> Result<Selected, RequestError> {
        let select = Command::Select {
            mailbox,
            read_only,
            condstore: false,
        };
        let selected = self.request(select).await?.outcome.selected;
        selected.map_or(Err(RequestError::NotSelected), |selected| Ok(*selected))
    }

    /// Opens no mailbox any more. A server without UNSELECT would expunge what has `\Deleted`; it is
    /// not asked.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without UNSELECT.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn unselect(&self) -> Result<(), RequestError> {
        self.needs("UNSELECT")?;
        self.request(Command::Unselect).await.map(drop)
    }

    /// The UIDs of the messages that match, in the server's order: at most a million.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::Query;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let new = client.search(Query::new().unseen().subject("grüße")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn search(&self, query: Query) -> Result<Vec<u32>, RequestError> {
        let search = Command::Search {
            query,
            uids: true,
            esearch: true,
        };
        let mut found = Vec::new();
        for part in self.request(search).await?.parts {
            match part {
                Response::Search { numbers, .. } | Response::Sort { numbers, .. } => {
                    found.extend(numbers);
                }
                Response::Esearch(esearch) => {
                    // A few bytes can stand for billions.
                    if esearch
                        .all
                        .as_ref()
                        .is_some_and(|all| all.count() > MAX_FOUND)
                    {
                        return Err(RequestError::TooLarge);
                    }
                    found.extend(esearch.numbers());
                }
                _ => {}
            }
        }
        Ok(found)
    }

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
    /// A server may tell of one message several times. Texts that are larger than
    /// [`Limits::max_literal`](crate::codec::Limits::max_literal) are left out:
    /// [`read`](Self::read) reads them.
    ///
    /// # Errors
    /// [`RequestError::Closed`]; all others the stream tells.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn fetch(
        &self,
        messages: Messages,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Fetches, RequestError> {
        let mut items: Vec<Item> = items.into_iter().collect();
        if !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        let command = |messages| Command::Fetch {
            messages,
            items: items.clone(),
            changed_since: None,
        };
        let parts = self.parts(&messages);
        let mut commands: VecDeque<Command> = parts.into_iter().map(command).collect();
        let (sender, parts) = mpsc::channel(self.stream_capacity);
        if let Some(first) = commands.pop_front() {
            self.act(Action::Fetch(first, sender)).await?;
        }
        let (capacity, poster) = (self.stream_capacity, self.actions.poster());
        Ok(Fetches::new(parts, capacity, poster, commands))
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
        for messages in self.parts(&messages) {
            let store = Command::Store {
                messages,
                change: change.clone(),
                unchanged_since: None,
            };
            self.request(store).await?;
        }
        Ok(())
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
        for messages in self.parts(&messages) {
            let answer = self.request(Command::Copy(messages, to.clone())).await?;
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
        for messages in self.parts(&messages) {
            if has_move {
                let answer = self.request(Command::Move(messages, to.clone())).await?;
                moved.uids.extend(answer.copied());
                continue;
            }
            let Messages::Uids(uids) = &messages else {
                return Err(RequestError::Unsupported("MOVE"));
            };
            let copy = Command::Copy(messages.clone(), to.clone());
            let copied = self.request(copy).await?.copied();
            // Where the server tells which it has copied, no other is touched.
            let gone = match &copied {
                Some((_, from, _)) => from.clone(),
                None => uids.clone(),
            };
            let deleted = FlagChange::Add(vec![Flag::Deleted]);
            self.store(Messages::Uids(gone.clone()), deleted).await?;
            if has_uids {
                self.request(Command::ExpungeUids(gone)).await?;
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
        for uids in uids.split(self.max_set) {
            self.request(Command::ExpungeUids(uids)).await?;
        }
        Ok(())
    }

    /// The mailboxes that match, with the state of those that were asked for it and could be told.
    ///
    /// # Errors
    /// [`RequestError::TooLarge`], with more than
    /// [`Config::max_answers`](crate::core::Config::max_answers).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn list(
        &self,
        query: ListQuery,
    ) -> Result<(Vec<Listed>, Vec<MailboxStatus>), RequestError> {
        let (mut mailboxes, mut states) = (Vec::new(), Vec::new());
        for part in self.request(Command::List(query)).await?.parts {
            match part {
                Response::List(mailbox) | Response::Lsub(mailbox) => mailboxes.push(mailbox),
                Response::MailboxStatus(state) => states.push(state),
                _ => {}
            }
        }
        Ok((mailboxes, states))
    }

    /// The state of a mailbox, which had better not be the one that is open.
    ///
    /// # Errors
    /// [`RequestError::NoSuchMessage`] where the server says nothing of it.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn mailbox_status(
        &self,
        mailbox: MailboxName,
        items: impl IntoIterator<Item = StatusItem>,
    ) -> Result<MailboxStatus, RequestError> {
        let command = Command::Status(mailbox, items.into_iter().collect());
        let parts = self.request(command).await?.parts;
        let state = |part| match part {
            Response::MailboxStatus(state) => Some(state),
            _ => None,
        };
        let found = parts.into_iter().rev().find_map(state);
        found.ok_or(RequestError::NoSuchMessage)
    }

    /// Where mailboxes are.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without NAMESPACE.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn namespaces(&self) -> Result<Namespaces, RequestError> {
        if self.server().is_none() {
            // Until somebody is logged in, nothing is known of the server.
            self.noop().await?;
        }
        self.needs("NAMESPACE")?;
        let parts = self.request(Command::Namespace).await?.parts;
        let found = parts.into_iter().find_map(|part| match part {
            Response::Namespace(namespaces) => Some(namespaces),
            _ => None,
        });
        Ok(found.unwrap_or_default())
    }

    /// Makes a mailbox.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn create(&self, mailbox: MailboxName) -> Result<(), RequestError> {
        self.request(Command::Create(mailbox)).await.map(drop)
    }

    /// Removes a mailbox and the messages in it.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn delete(&self, mailbox: MailboxName) -> Result<(), RequestError> {
        self.request(Command::Delete(mailbox)).await.map(drop)
    }

    /// Gives a mailbox another name.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn rename(&self, from: MailboxName, to: MailboxName) -> Result<(), RequestError> {
        self.request(Command::Rename(from, to)).await.map(drop)
    }

    /// Subscribes to a mailbox.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn subscribe(&self, mailbox: MailboxName) -> Result<(), RequestError> {
        self.request(Command::Subscribe(mailbox)).await.map(drop)
    }

    /// No longer subscribes to a mailbox.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn unsubscribe(&self, mailbox: MailboxName) -> Result<(), RequestError> {
        self.request(Command::Unsubscribe(mailbox)).await.map(drop)
    }

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

    /// Lets the server tell of news while nothing else is asked for and a mailbox is open, until what
    /// this gives is dropped. Where the server has no IDLE, it is asked from time to time.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::{Client, Events};
    /// # async fn example(client: Client, mut events: Events) {
    /// let _idle = client.idle();
    /// while let Some(event) = events.next().await {
    ///     println!("{event:?}");
    /// }
    /// # }
    /// ```
    #[must_use = "when it is dropped, the server is no longer listened to"]
    pub fn idle(&self) -> Idle {
        let poster = self.actions.poster();
        poster.post(Action::Idle(true));
        Idle(poster)
    }

    /// Gives the server an opportunity to tell of news.
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn noop(&self) -> Result<(), RequestError> {
        self.request(Command::Noop).await.map(drop)
    }

    /// Leaves; done when the connection is gone. What was sent is still answered; what was not fails
    /// with [`RequestError::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future after it was polled changes nothing, unless
    /// [`Options::action_capacity`](jackfield_client::Options::action_capacity) actions wait.
    pub async fn close(&self) {
        // Where it can't be sent, the connection is gone already.
        let _ = self.actions.send(Action::Close).await;
        self.actions.closed().await;
    }

    fn needs(&self, name: &'static str) -> Result<(), RequestError> {
        let server = self.server().ok_or(RequestError::NotConnected)?;
        if server.can(name) {
            return Ok(());
        }
        Err(RequestError::Unsupported(name))
    }

    /// In as many parts as are needed for commands that servers take.
    fn parts(&self, messages: &Messages) -> Vec<Messages> {
        let sets = messages.set().split(self.max_set);
        let part = |set| match messages {
            Messages::Uids(_) => Messages::Uids(set),
            Messages::Numbers(_) => Messages::Numbers(set),
        };
        sets.into_iter().map(part).collect()
    }

    async fn request(&self, command: Command) -> Result<Answer, RequestError> {
        let (done, outcome) = oneshot::channel();
        self.act(Action::Request(command, done)).await?;
        answered(outcome).await
    }

    async fn act(&self, action: Action) -> Result<(), RequestError> {
        let sent = self.actions.send(action).await;
        sent.map_err(|_| RequestError::Closed)
    }
}

impl Answer {
    /// What status responses say to programs, the last one first.
    fn codes(self) -> impl Iterator<Item = Code> {
        let Outcome { code, .. } = self.outcome;
        let untagged = self.parts.into_iter().filter_map(|part| match part {
            Response::Status(status) => status.code,
            _ => None,
        });
        code.into_iter().chain(untagged)
    }

    fn copied(self) -> Option<(u32, SequenceSet, SequenceSet)> {
        self.codes().find_map(|code| match code {
            Code::CopyUid {
                uid_validity,
                from,
                to,
            } => Some((uid_validity, from, to)),
            _ => None,
        })
    }

    fn appended(self) -> Appended {
        let uid = self.codes().find_map(|code| match code {
            Code::AppendUid { uid_validity, uids } => Some((uid_validity, uids)),
            _ => None,
        });
        Appended { uid }
    }
}
