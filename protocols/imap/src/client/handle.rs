//! The handle of a client: what a program opens mailboxes with, and all else is asked through.

use std::sync::Arc;

use jackfield_client::{Actions, Poster};
use jackfield_socket::Place;
use tokio::sync::oneshot;

use super::action::{Action, Answer, answered};
use super::append::{Appended, Former, Replaced};
use super::event::{Status, Statuses};
use crate::codec::{Code, Command, MailboxName, Messages, Response, SequenceSet};
use crate::core::{Outcome, Selected, Server};
use crate::error::{RequestError, SessionError};

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
            qresync: None,
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

    pub(super) fn needs(&self, name: &'static str) -> Result<(), RequestError> {
        let server = self.server().ok_or(RequestError::NotConnected)?;
        if server.can(name) {
            return Ok(());
        }
        Err(RequestError::Unsupported(name))
    }

    /// In as many parts as are needed for commands that servers take.
    pub(super) fn parts(&self, messages: &Messages) -> Vec<Messages> {
        let Some(set) = messages.set() else {
            return vec![messages.clone()];
        };
        let sets = set.split(self.max_set).into_iter();
        sets.map(|set| messages.with(set)).collect()
    }

    pub(super) async fn request(&self, command: Command) -> Result<Answer, RequestError> {
        let (done, outcome) = oneshot::channel();
        self.act(Action::Request(command, done)).await?;
        answered(outcome).await
    }

    pub(super) async fn act(&self, action: Action) -> Result<(), RequestError> {
        let sent = self.actions.send(action).await;
        sent.map_err(|_| RequestError::Closed)
    }
}

impl Answer {
    /// What status responses say to programs, the last one first.
    pub(super) fn codes(self) -> impl Iterator<Item = Code> {
        let Outcome { code, .. } = self.outcome;
        let untagged = self.parts.into_iter().filter_map(|part| match part {
            Response::Status(status) => status.code,
            _ => None,
        });
        code.into_iter().chain(untagged)
    }

    pub(super) fn copied(self) -> Option<(u32, SequenceSet, SequenceSet)> {
        self.codes().find_map(|code| match code {
            Code::CopyUid {
                uid_validity,
                from,
                to,
            } => Some((uid_validity, from, to)),
            _ => None,
        })
    }

    pub(super) fn appended(self) -> Appended {
        let uid = self.codes().find_map(|code| match code {
            Code::AppendUid { uid_validity, uids } => Some((uid_validity, uids)),
            _ => None,
        });
        Appended { uid }
    }

    pub(super) fn replaced(self) -> Replaced {
        Replaced {
            appended: self.appended(),
            former: Former::Gone,
        }
    }
}
