//! Commands: what a client asks for (RFC 9051, section 6).

mod append;
mod item;
mod list;
mod notify;
mod search;
mod select;
mod write;

use std::fmt;

use bytes::Bytes;

use super::acl::RightsChange;
use super::date::DateTime;
use super::flag::Flag;
use super::mailbox::MailboxName;
use super::metadata::{Depth, EntryName};
use super::query::Query;
use super::quota::Resource;
use super::set::{Messages, SequenceSet};

pub use append::{AppendData, AppendMessage, CatenatePart, MessageUrl};
pub use item::Item;
pub use list::{ListQuery, ListReturns, StatusItem};
pub use notify::{Notify, NotifyEvent, NotifyMailboxes};
pub use search::{SearchReturn, SortBy, SortOrder, Threading, Window};
pub use select::{ChangedSince, QResync};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// What can the server do?
    Capability,
    /// Nothing, but there may be news.
    Noop,
    /// Leave.
    Logout,
    /// Who is there (RFC 2971)? With what the client says of itself.
    Id(Vec<(String, String)>),
    /// Use extensions (RFC 5161).
    Enable(Vec<Extension>),
    /// Compress what goes over the connection from here on (RFC 4978).
    #[cfg(feature = "compress")]
    Compress,
    /// Log in with a password.
    Login {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Log in through SASL.
    Authenticate {
        /// The mechanism's name.
        mechanism: String,
        /// The first answer, in base64, where the server takes one at once (SASL-IR, RFC 4959).
        initial: Option<Secret>,
    },
    /// Open a mailbox.
    Select {
        /// Which.
        mailbox: MailboxName,
        /// Whether nothing in it is to be changed.
        read_only: bool,
        /// Whether changes are counted (CONDSTORE).
        condstore: bool,
        /// What is known of it already: what has changed since is told with the answer (QRESYNC,
        /// which must have been enabled).
        qresync: Option<Box<QResync>>,
    },
    /// Make a mailbox.
    Create(MailboxName),
    /// Remove a mailbox.
    Delete(MailboxName),
    /// Give a mailbox another name.
    Rename(MailboxName, MailboxName),
    /// Subscribe to a mailbox.
    Subscribe(MailboxName),
    /// No longer subscribe to a mailbox.
    Unsubscribe(MailboxName),
    /// List mailboxes.
    List(ListQuery),
    /// The state of a mailbox.
    Status(MailboxName, Vec<StatusItem>),
    /// Where mailboxes are.
    Namespace,
    /// How much of what a user may keep is used, by the root of a quota (RFC 9208).
    GetQuota(String),
    /// The same, for each root that limits a mailbox.
    GetQuotaRoot(MailboxName),
    /// Limit what may be kept, by the root of a quota.
    SetQuota(String, Vec<(Resource, u64)>),
    /// Who may do what with a mailbox (RFC 4314)?
    GetAcl(MailboxName),
    /// Change what somebody may do with a mailbox.
    SetAcl(MailboxName, String, RightsChange),
    /// Take somebody from those who may do something with a mailbox.
    DeleteAcl(MailboxName, String),
    /// What can somebody be allowed to do with a mailbox?
    ListRights(MailboxName, String),
    /// What may this user do with a mailbox?
    MyRights(MailboxName),
    /// What is kept about a mailbox or the server (RFC 5464)?
    GetMetadata {
        /// About which mailbox; `None` is the server.
        mailbox: Option<MailboxName>,
        /// By which names.
        entries: Vec<EntryName>,
        /// What of that which is below them.
        depth: Depth,
        /// How large values may be that are told, in bytes; `None` is any size.
        max_size: Option<u32>,
    },
    /// Keep something about a mailbox or the server.
    SetMetadata {
        /// About which mailbox; `None` is the server.
        mailbox: Option<MailboxName>,
        /// What, by its names; `None` takes it away.
        entries: Vec<(EntryName, Option<Bytes>)>,
    },
    /// Append a message, which follows.
    Append {
        /// To which mailbox.
        mailbox: MailboxName,
        /// The flags that it gets.
        flags: Vec<Flag>,
        /// When it arrived, if not now.
        date: Option<DateTime>,
        /// How large it is, in bytes.
        size: u64,
    },
    /// Append messages, which follow: all of them, or none (MULTIAPPEND, RFC 3502); or one that is put
    /// together (CATENATE, RFC 4469).
    AppendAll {
        /// To which mailbox.
        mailbox: MailboxName,
        /// The messages; one at the least.
        messages: Vec<AppendMessage>,
    },
    /// Append a message, which follows, and remove another, both or none (REPLACE, RFC 8508).
    Replace {
        /// The UID of the one that is removed, in the mailbox that is open.
        uid: u32,
        /// To which mailbox.
        mailbox: MailboxName,
        /// The message that comes.
        message: AppendMessage,
    },
    /// Tell of these events in these mailboxes as they happen (RFC 5465).
    Notify(Notify),
    /// Tell news as they happen (RFC 2177).
    Idle,
    /// Expunge, and open no mailbox any more.
    Close,
    /// Open no mailbox any more.
    Unselect,
    /// Remove what has `\Deleted`.
    Expunge,
    /// Remove those of these UIDs that have `\Deleted` (UIDPLUS).
    ExpungeUids(SequenceSet),
    /// Search.
    Search {
        /// What by.
        query: Query,
        /// Whether UIDs or numbers are told.
        uids: bool,
        /// What is told of them, as ESEARCH; nothing is all of them, as servers without that tell
        /// it.
        returns: Vec<SearchReturn>,
    },
    /// Search, and sort what matches (RFC 5256).
    Sort {
        /// What it is sorted by.
        by: SortOrder,
        /// What is searched by.
        query: Query,
        /// Whether UIDs or numbers are told.
        uids: bool,
        /// What is told of them, as ESEARCH (ESORT, RFC 5267); nothing is all of them.
        returns: Vec<SearchReturn>,
    },
    /// Search, and tell of conversations (RFC 5256).
    Thread {
        /// How messages become conversations.
        by: Threading,
        /// What is searched by.
        query: Query,
        /// Whether UIDs or numbers are told.
        uids: bool,
    },
    /// Tell of messages.
    Fetch {
        /// Which.
        messages: Messages,
        /// What of them.
        items: Vec<Item>,
        /// Only if they have changed since (CONDSTORE).
        changed_since: Option<ChangedSince>,
    },
    /// Change flags.
    Store {
        /// Of which messages.
        messages: Messages,
        /// How.
        change: FlagChange,
        /// Only if they have not changed since (CONDSTORE).
        unchanged_since: Option<u64>,
    },
    /// Copy messages.
    Copy(Messages, MailboxName),
    /// Move messages (RFC 6851).
    Move(Messages, MailboxName),
}

/// Something that no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.into())
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Extensions that are used only after ENABLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Extension {
    /// Changes are counted (RFC 7162).
    CondStore,
    /// Changes are counted, and told of when a mailbox is opened; from then on messages that are gone
    /// are told by their UIDs ([`Event::Vanished`](crate::core::Event::Vanished)) and no longer by
    /// their numbers (RFC 7162). Where the server has CONDSTORE alone, this is that.
    QResync,
    /// Messages have UIDs and no numbers (RFC 9586). It is used without being asked for where the
    /// server does not do more than so many messages in a command (MESSAGELIMIT): Yahoo shows no
    /// more than these of a mailbox otherwise.
    UidOnly,
    /// UTF-8 in names and strings (RFC 6855).
    Utf8Accept,
    /// IMAP4rev2 (RFC 9051).
    Rev2,
}

impl Extension {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::CondStore => "CONDSTORE",
            Self::QResync => "QRESYNC",
            Self::UidOnly => "UIDONLY",
            Self::Utf8Accept => "UTF8=ACCEPT",
            Self::Rev2 => "IMAP4REV2",
        }
    }
}

/// How flags are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are the RFC's")]
pub enum FlagChange {
    /// These are set.
    Add(Vec<Flag>),
    /// These are taken away.
    Remove(Vec<Flag>),
    /// These are set, and all others taken away.
    Replace(Vec<Flag>),
}

impl FlagChange {
    /// Whether it changes nothing. To replace all flags by none is a change.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Add(flags) | Self::Remove(flags) => flags.is_empty(),
            Self::Replace(_) => false,
        }
    }
}
