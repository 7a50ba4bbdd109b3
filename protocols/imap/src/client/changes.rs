//! What has changed, and changes that are made only where nobody else has made one (CONDSTORE and
//! QRESYNC, RFC 7162).

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::action::{Action, Answer};
use super::handle::Client;
use super::stream::{Asked, Fetches};
use crate::codec::{ChangedSince, Code, Command, FlagChange, Item, Messages, SequenceSet};
use crate::error::RequestError;

/// Whose flags were changed by [`Client::store_unchanged`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Those whose flags were not changed, since somebody else has changed them in the meantime:
    /// UIDs or numbers, as the messages were named.
    pub modified: Vec<SequenceSet>,
}

impl Stored {
    /// Whether the flags of all were changed.
    pub fn is_whole(&self) -> bool {
        self.modified.is_empty()
    }
}

impl Client {
    /// [`fetch`](Self::fetch), of those messages only that have changed after this change, with its
    /// number where the mailbox counts changes (CONDSTORE). Where QRESYNC is enabled,
    /// [`Fetches::vanished`] tells those that are gone since.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Item, Messages, SequenceSet};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let all = Messages::Uids(SequenceSet::everything());
    /// let mut changed = client.fetch_changed(all, [Item::Flags], 4711).await?;
    /// while let Some(message) = changed.next().await? {
    ///     println!("{:?}: {:?}, by change {:?}", message.uid, message.flags, message.modseq);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without CONDSTORE; all others as [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn fetch_changed(
        &self,
        messages: Messages,
        items: impl IntoIterator<Item = Item>,
        modseq: u64,
    ) -> Result<Fetches, RequestError> {
        self.needs("CONDSTORE")?;
        let has_vanished = self.server().is_some_and(|it| it.enabled.has("QRESYNC"))
            && matches!(messages, Messages::Uids(_));
        let mut since = ChangedSince::new(modseq);
        since.vanished = has_vanished;
        self.fetch_since(messages, items, Some(since)).await
    }

    /// [`store`](Self::store), where nobody has changed the message after this change: what somebody
    /// else did is not undone without knowing it.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Flag, FlagChange, Messages, SequenceSet};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let two = Messages::Uids(SequenceSet::of([7, 9]).expect("two"));
    /// let done = FlagChange::Add(vec![Flag::Answered]);
    /// let stored = client.store_unchanged(two, done, 4711).await?;
    /// for uids in stored.modified {
    ///     println!("somebody else has changed {uids}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without CONDSTORE.
    ///
    /// # Cancel safety
    /// As the [type](Self) says; of very long sets, a part may be done.
    pub async fn store_unchanged(
        &self,
        messages: Messages,
        change: FlagChange,
        modseq: u64,
    ) -> Result<Stored, RequestError> {
        self.needs("CONDSTORE")?;
        if change.is_nothing() {
            return Ok(Stored::default());
        }
        self.store_since(messages, change, Some(modseq)).await
    }

    pub(super) async fn store_since(
        &self,
        messages: Messages,
        change: FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<Stored, RequestError> {
        let mut stored = Stored::default();
        let mut parts = VecDeque::from(self.parts(&messages));
        while let Some(messages) = parts.pop_front() {
            let store = Command::Store {
                messages: messages.clone(),
                change: change.clone(),
                unchanged_since,
            };
            let answer = match self.request(store).await {
                // Some of them are gone, and so were not changed either.
                Err(RequestError::Refused(refusal)) => match refusal.code {
                    Some(Code::Modified(modified)) => {
                        stored.modified.push(modified);
                        continue;
                    }
                    _ => return Err(RequestError::Refused(refusal)),
                },
                answer => answer?,
            };
            if let Some(rest) = answer.rest(&messages)? {
                parts.push_front(rest);
            }
            stored.modified.extend(answer.modified());
        }
        Ok(stored)
    }

    pub(super) async fn fetch_since(
        &self,
        messages: Messages,
        items: impl IntoIterator<Item = Item>,
        changed_since: Option<ChangedSince>,
    ) -> Result<Fetches, RequestError> {
        let mut items: Vec<Item> = items.into_iter().collect();
        if !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        let asked = Asked {
            items,
            changed_since,
        };
        let mut next = VecDeque::from(self.parts(&messages));
        let (sender, parts) = mpsc::channel(self.stream_capacity);
        let current = next.pop_front();
        if let Some(messages) = current.clone() {
            let command = asked.of(messages);
            self.act(Action::Fetch(command, sender)).await?;
        }
        let (capacity, poster) = (self.stream_capacity, self.actions.poster());
        let fetches = Fetches::new(parts, capacity, poster, asked, current, next);
        Ok(fetches)
    }
}

impl Answer {
    fn modified(self) -> Option<SequenceSet> {
        self.codes().find_map(|code| match code {
            Code::Modified(modified) => Some(modified),
            _ => None,
        })
    }
}
