//! Synchronisation of a local copy with a mailbox, over a connection.

use std::task::{Context, Poll, ready};

use jackfield_client::Poster;
use tokio::sync::mpsc;

use super::action::{Action, Part};
use super::handle::Client;
use crate::codec::{Item, MailboxName};
use crate::core::{Change, Selected, SyncPlan, SyncState};
use crate::error::RequestError;

/// Changes that bring a local copy of a mailbox up to date; made by [`Client::sync`].
///
/// They wait here until they are read, up to
/// [`stream_capacity`](super::ClientConfig::stream_capacity) responses; then nothing more is read from
/// the server, for anybody. Dropping this gives the rest up.
#[derive(Debug)]
pub struct Sync {
    client: Client,
    plan: SyncPlan,
    /// Nothing where it has not begun, or everything that was asked is answered.
    parts: Option<mpsc::Receiver<Part>>,
    poster: Poster<Action>,
    is_done: bool,
}

impl Client {
    /// Brings a local copy of a mailbox up to date, of which so much is known: what has changed since.
    /// Of new messages these items are told, with their UIDs and flags in any case. The mailbox is
    /// open then.
    ///
    /// With QRESYNC ([`Extension::QResync`](crate::codec::Extension::QResync) in
    /// [`Config::extensions`](crate::core::Config::extensions)) the server tells what has changed;
    /// with CONDSTORE alone it tells but who is gone, which is searched for; elsewhere the flags of all
    /// messages are read and compared. It takes one round trip in any case, and further ones only for
    /// a mailbox that is new, some 5,000 messages each, the newest first, or where the server does only
    /// so much at once (MESSAGELIMIT).
    ///
    /// After any change [`Sync::state`] is what is known with it. Store both together, as seldom as is
    /// good for the storage: what was cut goes on from the state that was stored last, and nothing is
    /// lost or told twice. What happens while this runs is told by it or by the next.
    ///
    /// To stay up to date, listen when it is over, and begin again when there are news:
    ///
    /// ```no_run
    /// # use jackfield_imap::client::{Client, ClientEvent, Events};
    /// # use jackfield_imap::codec::{Item, MailboxName};
    /// # use jackfield_imap::core::{Change, Event, SyncState};
    /// # struct Copy;
    /// # impl Copy {
    /// #     fn state(&self) -> SyncState { SyncState::new() }
    /// #     fn apply(&mut self, change: Change, state: &SyncState) {}
    /// #     fn save(&mut self, state: &SyncState) {}
    /// # }
    /// # async fn example(client: Client, mut events: Events, mut copy: Copy) -> Result<(), Box<dyn std::error::Error>> {
    /// loop {
    ///     let mut sync = client.sync(MailboxName::inbox(), copy.state(), [Item::Envelope]);
    ///     while let Some(change) = sync.next().await? {
    ///         copy.apply(change, sync.state());
    ///     }
    ///     copy.save(&sync.into_state());
    ///     let _idle = client.idle();
    ///     while let Some(event) = events.next().await {
    ///         use Event::{Exists, Expunged, Fetch, Reselected, Vanished};
    ///         if let ClientEvent::Event(
    ///             Exists(_) | Expunged(_) | Vanished { .. } | Fetch(_) | Reselected(_),
    ///         ) = event
    ///         {
    ///             break;
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// Several events in a row ask for one synchronisation, not for several: wait a moment before it.
    pub fn sync(
        &self,
        mailbox: MailboxName,
        state: SyncState,
        items: impl IntoIterator<Item = Item>,
    ) -> Sync {
        Sync {
            client: self.clone(),
            plan: SyncPlan::new(mailbox, state, items, self.max_set),
            parts: None,
            poster: self.actions.poster(),
            is_done: false,
        }
    }
}

impl Sync {
    /// The next change; `None` when the copy is up to date.
    ///
    /// # Errors
    /// Any [`RequestError`]; nothing comes behind one. What was told before it stays true, and another
    /// [`Client::sync`] with the [`state`](Self::state) goes on from there.
    /// [`RequestError::NotSelected`] where another mailbox was opened before this was over.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change.
    pub async fn next(&mut self) -> Result<Option<Change>, RequestError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    ///
    /// # Errors
    /// As there.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Change>, RequestError>> {
        loop {
            if self.is_done {
                return Poll::Ready(Ok(None));
            }
            let Some(parts) = &mut self.parts else {
                if let Err(error) = self.ask() {
                    return self.failed(error);
                }
                continue;
            };
            let change = match ready!(parts.poll_recv(cx)) {
                Some(Part::Answer(at, response)) => self.plan.take(at, *response),
                Some(Part::Completed(at, outcome)) => {
                    let outcome = outcome.map(|outcome| *outcome);
                    match self.plan.completed(at, outcome) {
                        Ok((change, is_over)) => {
                            if is_over {
                                self.parts = None;
                            }
                            change
                        }
                        Err(error) => return self.failed(error),
                    }
                }
                Some(Part::Done(Err(error))) => return self.failed(error),
                Some(_) => None,
                None => return self.failed(RequestError::Closed),
            };
            if change.is_some() {
                return Poll::Ready(Ok(change));
            }
        }
    }

    fn ask(&mut self) -> Result<(), RequestError> {
        let server = self.client.server();
        let within = self.plan.selected().cloned().map(Box::new);
        let commands = self.plan.commands(server.as_deref())?;
        if commands.is_empty() {
            self.is_done = true;
            return Ok(());
        }
        let (sender, parts) = mpsc::channel(self.client.stream_capacity);
        self.parts = Some(parts);
        self.poster.post(Action::Together(within, commands, sender));
        Ok(())
    }

    fn failed<T>(&mut self, error: RequestError) -> Poll<Result<T, RequestError>> {
        self.is_done = true;
        self.parts = None;
        Poll::Ready(Err(error))
    }

    /// What is known with all changes that were told, to be stored with them.
    pub fn state(&self) -> &SyncState {
        self.plan.state()
    }

    /// What is known, to be stored; that is not before all was told.
    pub fn into_state(self) -> SyncState {
        self.plan.into_state()
    }

    /// The mailbox as it was opened; `None` until it is.
    pub fn selected(&self) -> Option<&Selected> {
        self.plan.selected()
    }
}
