//! Bytes ↔ types: a stream becomes [`Frame`]s, these become [`Response`]s, and a [`Command`] becomes
//! bytes.
//!
//! What a server sends may be anything: the [`Framer`] bounds it, and what the [`ResponseParser`]
//! can't read is `Unknown`, item by item where that is possible. What a caller passes can't become a
//! command: a [`SequenceSet`], a [`MailboxName`] and a [`Flag`] can't hold what would, and texts are
//! quoted, or sent as literals.

mod acl;
mod capability;
mod code;
mod command;
mod data;
mod date;
mod encode;
mod envelope;
mod error;
mod fetch;
mod flag;
mod framer;
mod input;
mod limits;
mod mailbox;
mod metadata;
mod query;
mod quota;
mod response;
mod section;
#[cfg(any(test, feature = "server"))]
pub mod server;
mod set;
mod special_use;
mod structure;
mod text;
mod token;

pub use acl::{Acl, MyRights, Rights, RightsChange, RightsList};
pub use capability::Capabilities;
pub use code::{Code, Reason};
pub use command::{
    AppendData, AppendMessage, CatenatePart, ChangedSince, Command, Extension, FlagChange, Item,
    ListQuery, ListReturns, MessageUrl, Notify, NotifyEvent, NotifyMailboxes, QResync,
    SearchReturn, Secret, SortBy, SortOrder, StatusItem, Threading, Window,
};
pub use data::{Attribute, Esearch, Listed, MailboxStatus, Namespace, Namespaces, Partial, Thread};
pub use date::{Date, DateTime};
pub use encode::{Dialect, Encoded, Literals};
pub use envelope::{Address, Envelope};
pub use error::InvalidValue;
pub(crate) use fetch::Head;
pub use fetch::{Body, Fetch, Gmail};
pub use flag::{Flag, FlagName};
pub use framer::{Frame, Framer};
pub use limits::{Limit, Limits};
pub use mailbox::MailboxName;
pub use metadata::{Depth, EntryName, Metadata, MetadataCode};
pub use query::Query;
pub use quota::{Quota, QuotaRoot, Resource, Usage};
pub use response::{Response, ResponseParser, Status, StatusKind};
pub use section::Section;
#[cfg(any(test, feature = "server"))]
pub use section::SectionText;
pub use set::{Messages, SequenceSet};
pub use special_use::{SpecialMailbox, SpecialUse, special_mailboxes};
pub use structure::Structure;
pub use text::Text;
pub use token::Data;

impl Command {
    /// Whether it names messages by their numbers, which no message may lose meanwhile.
    pub(crate) fn has_numbers(&self) -> bool {
        match self {
            Self::Fetch { messages, .. }
            | Self::Store { messages, .. }
            | Self::Copy(messages, _)
            | Self::Move(messages, _) => matches!(messages, Messages::Numbers(_)),
            Self::Search { query, uids, .. }
            | Self::Sort { query, uids, .. }
            | Self::Thread { query, uids, .. } => !uids || query.has_numbers(),
            _ => false,
        }
    }
}
