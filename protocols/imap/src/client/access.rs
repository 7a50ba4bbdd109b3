//! What a [`Client`] learns and changes of what may be kept, who may do what, and what is noted of a
//! mailbox.

use bytes::Bytes;

use super::handle::Client;
use crate::codec::{
    Acl, Command, Depth, EntryName, MailboxName, Metadata, Quota, Resource, Response, Rights,
    RightsChange, RightsList,
};
use crate::error::RequestError;

impl Client {
    /// How much of what may be kept is used, for each root that limits a mailbox (RFC 9208).
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{MailboxName, Resource};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for quota in client.quotas(MailboxName::inbox()).await? {
    ///     if let Some(storage) = quota.of(&Resource::Storage) {
    ///         println!("{} of {} KiB", storage.used, storage.limit);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without QUOTA.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn quotas(&self, mailbox: MailboxName) -> Result<Vec<Quota>, RequestError> {
        let parts = self.request(Command::GetQuotaRoot(mailbox)).await?.parts;
        let quota = |part| match part {
            Response::Quota(quota) => Some(quota),
            _ => None,
        };
        Ok(parts.into_iter().filter_map(quota).collect())
    }

    /// Limits what may be kept, by the name of a quota's root (RFC 9208, section 4.3.2); for
    /// administrators, as a rule.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without QUOTA.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_quota(
        &self,
        root: impl Into<String>,
        limits: impl IntoIterator<Item = (Resource, u64)>,
    ) -> Result<(), RequestError> {
        let set = Command::SetQuota(root.into(), limits.into_iter().collect());
        self.request(set).await.map(drop)
    }

    /// Who may do what with a mailbox (RFC 4314, section 3.3).
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without ACL; [`RequestError::NoSuchMessage`] where the server says
    /// nothing of it.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn acl(&self, mailbox: MailboxName) -> Result<Acl, RequestError> {
        let get = Command::GetAcl(mailbox);
        let acl = |part| match part {
            Response::Acl(acl) => Some(acl),
            _ => None,
        };
        self.told_of(get, acl).await
    }

    /// Changes what somebody may do with a mailbox (RFC 4314, section 3.1): `anyone`, a user's name, or
    /// another identifier of the server's.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without ACL.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_acl(
        &self,
        mailbox: MailboxName,
        identifier: impl Into<String>,
        change: RightsChange,
    ) -> Result<(), RequestError> {
        let set = Command::SetAcl(mailbox, identifier.into(), change);
        self.request(set).await.map(drop)
    }

    /// Takes somebody from those who may do something with a mailbox (RFC 4314, section 3.2).
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without ACL.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn delete_acl(
        &self,
        mailbox: MailboxName,
        identifier: impl Into<String>,
    ) -> Result<(), RequestError> {
        let delete = Command::DeleteAcl(mailbox, identifier.into());
        self.request(delete).await.map(drop)
    }

    /// What somebody can be allowed to do with a mailbox (RFC 4314, section 3.4).
    ///
    /// # Errors
    /// As [`acl`](Self::acl).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn list_rights(
        &self,
        mailbox: MailboxName,
        identifier: impl Into<String>,
    ) -> Result<RightsList, RequestError> {
        let rights = |part| match part {
            Response::ListRights(list) => Some(list),
            _ => None,
        };
        let list = Command::ListRights(mailbox, identifier.into());
        self.told_of(list, rights).await
    }

    /// What this user may do with a mailbox (RFC 4314, section 3.5).
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{MailboxName, Rights};
    /// # async fn example(client: Client, shared: MailboxName) -> Result<(), Box<dyn std::error::Error>> {
    /// if client.my_rights(shared).await?.contains(Rights::INSERT) {
    ///     println!("messages can be put there");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`acl`](Self::acl).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn my_rights(&self, mailbox: MailboxName) -> Result<Rights, RequestError> {
        let rights = |part| match part {
            Response::MyRights(my) => Some(my.rights),
            _ => None,
        };
        self.told_of(Command::MyRights(mailbox), rights).await
    }

    /// What is kept about a mailbox by these names, or, without one, about the server (RFC 5464). Values
    /// that are larger than [`Limits::max_literal`](crate::codec::Limits::max_literal) are told as
    /// [`Data::Absent`](crate::codec::Data::Absent).
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without METADATA (or METADATA-SERVER, for the server's).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn metadata(
        &self,
        mailbox: Option<MailboxName>,
        entries: impl IntoIterator<Item = EntryName>,
        depth: Depth,
    ) -> Result<Metadata, RequestError> {
        let mut all = Metadata::of(mailbox.clone());
        let get = Command::GetMetadata {
            mailbox,
            entries: entries.into_iter().collect(),
            depth,
            max_size: None,
        };
        for part in self.request(get).await?.parts {
            if let Response::Metadata(told) = part {
                all.entries.extend(told.entries);
            }
        }
        Ok(all)
    }

    /// Keeps values about a mailbox, or, without one, about the server (RFC 5464, section 4.3); `None`
    /// takes one away.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::MailboxName;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let comment = ("/private/comment".parse()?, Some("for the tax office".into()));
    /// client.set_metadata(Some(MailboxName::inbox()), [comment]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata); a refusal has a [`Code::Metadata`](crate::codec::Code::Metadata)
    /// where a value is too large, or there are too many.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_metadata(
        &self,
        mailbox: Option<MailboxName>,
        entries: impl IntoIterator<Item = (EntryName, Option<Bytes>)>,
    ) -> Result<(), RequestError> {
        let entries = entries.into_iter().collect();
        let set = Command::SetMetadata { mailbox, entries };
        self.request(set).await.map(drop)
    }

    /// The one thing that a server says to a command.
    async fn told_of<T>(
        &self,
        command: Command,
        told: impl FnMut(Response) -> Option<T>,
    ) -> Result<T, RequestError> {
        let parts = self.request(command).await?.parts;
        let found = parts.into_iter().find_map(told);
        found.ok_or(RequestError::NoSuchMessage)
    }
}
