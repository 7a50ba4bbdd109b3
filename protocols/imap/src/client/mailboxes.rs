//! What a [`Client`] does with mailboxes, whichever is open.

use super::handle::Client;
use crate::codec::{
    Command, ListQuery, Listed, MailboxName, MailboxStatus, Namespaces, Notify, Response,
    SpecialMailbox, StatusItem, special_mailboxes,
};
use crate::error::RequestError;

impl Client {
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

    /// The mailboxes for drafts, sent mail, trash and so on: as the server says (SPECIAL-USE, RFC 6154),
    /// and, where it names none, by their names in some twenty languages, marked as a guess.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::SpecialUse;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let special = client.special_mailboxes().await?;
    /// let sent = special.iter().find(|it| it.special_use == SpecialUse::Sent);
    /// println!("{:?}", sent.map(|sent| (&sent.mailbox.name, sent.is_guess)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`list`](Self::list).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn special_mailboxes(&self) -> Result<Vec<SpecialMailbox>, RequestError> {
        let mut query = ListQuery::all();
        query.returns.special_use = true;
        let (mailboxes, _) = self.list(query).await?;
        Ok(special_mailboxes(&mailboxes))
    }

    /// The state of a mailbox, which had better not be the one that is open.
    ///
    /// # Errors
    /// [`RequestError::NoSuchMessage`] where the server says nothing of it;
    /// [`RequestError::Unsupported`] where an item is an extension's that the server has not.
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

    /// Asks the server to tell of these events in these mailboxes as they happen, in the place of what was
    /// asked for before (RFC 5465), also on the connections to come. What happens elsewhere than in the
    /// mailbox that is open comes as [`Event::MailboxStatus`](crate::core::Event::MailboxStatus) and
    /// [`Event::Listed`](crate::core::Event::Listed); where it becomes too much for the server,
    /// [`Event::NotificationOverflow`](crate::core::Event::NotificationOverflow) tells so. With nothing to
    /// watch, the server tells of nothing without being asked, not even of the mailbox that is open.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Notify, NotifyEvent, NotifyMailboxes};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let messages = [NotifyEvent::MessageNew(Vec::new()), NotifyEvent::MessageExpunge];
    /// let notify = Notify::new()
    ///     .watch(NotifyMailboxes::SelectedDelayed, messages.clone())
    ///     .watch(NotifyMailboxes::Personal, messages);
    /// client.notify(notify).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without NOTIFY; a refusal with
    /// [`Code::BadEvent`](crate::codec::Code::BadEvent), where the server can't tell of some events.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn notify(&self, notify: Notify) -> Result<(), RequestError> {
        self.request(Command::Notify(notify)).await.map(drop)
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
}
