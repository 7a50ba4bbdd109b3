//! Events of a session: what it tells, and what comes of requests.

use bytes::Bytes;

use super::mailbox::Selected;
use crate::codec::{
    Capabilities, Code, Fetch, Flag, Listed, MailboxStatus, Metadata, Response, SequenceSet,
    Status, Text,
};
use crate::error::RequestError;

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// What a [`Session`](super::Session) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The user is logged in, and requests are sent.
    Ready(Box<Server>),
    /// Something happened that nobody asked for.
    Event(Event),
    /// A part of the answer to a request.
    Answer(RequestId, Box<Response>),
    /// The text that a request reads begins: it has so many bytes.
    Begins(RequestId, u64),
    /// A piece of the text that a request reads.
    Piece(RequestId, Bytes),
    /// The server waits for more of the message that a request appends.
    Wanted(RequestId),
    /// A request is done, or failed.
    Completed(RequestId, Result<Outcome, RequestError>),
    /// Leave was taken.
    Closed,
}

/// What happened in the mailbox that is selected, or at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// So many messages are in the mailbox now.
    Exists(u32),
    /// So many of them have `\Recent`.
    Recent(u32),
    /// The message of this number is gone; all behind it have one less.
    Expunged(u32),
    /// The messages of these UIDs are gone.
    Vanished {
        /// Whether they were gone before.
        earlier: bool,
        /// Their UIDs.
        uids: SequenceSet,
    },
    /// The flags that are used in the mailbox.
    Flags(Vec<Flag>),
    /// Something of a message has changed, its flags most likely.
    Fetch(Box<Fetch>),
    /// A mailbox is new, has another name, or is gone.
    Listed(Listed),
    /// The state of another mailbox.
    MailboxStatus(MailboxStatus),
    /// Something has changed that is kept about a mailbox or the server (RFC 5464).
    Metadata(Metadata),
    /// The server no longer tells of what it was asked to tell of (NOTIFY, RFC 5465): there was too much
    /// of it (section 5.8), or it refused it on a new connection. It can be asked again.
    NotificationOverflow,
    /// A new connection stands, and the mailbox is open again that was open. Its UIDs are the same
    /// only if its UIDVALIDITY is.
    Reselected(Box<Selected>),
    /// A new connection stands, and the mailbox that was open can't be opened any more.
    NotReselected(Box<RequestError>),
    /// A log-in that was bound to its TLS connection has failed, and the next is not bound: who could
    /// stand in the middle of TLS is no longer noticed by it. A client tells this, not a core.
    LoginNotBound,
    /// People must be shown this text.
    Alert(Text),
    /// The server says something on its own.
    Notice(Status),
    /// What this crate doesn't know, or can't read.
    Unknown(Text),
}

/// What is known of a server once the user is logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it says of itself (ID), by names.
    pub id: Vec<(Text, Option<Text>)>,
    /// The extensions that were enabled.
    pub enabled: Capabilities,
    /// Whether mailboxes are opened with their changes counted: it can (CONDSTORE), and
    /// [`Config::extensions`](super::Config::extensions) has that.
    pub condstore: bool,
    /// Whether what goes over the connection is compressed.
    pub is_compressed: bool,
}

/// What IMAP4rev2 has without naming it (RFC 9051, appendix E).
const OF_REV2: [&str; 14] = [
    "BINARY",
    "ENABLE",
    "ESEARCH",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "MOVE",
    "NAMESPACE",
    "SASL-IR",
    "SEARCHRES",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UIDPLUS",
    "UNSELECT",
];

impl Server {
    /// Whether it can do something, by the capability's name in capitals: because it says so, or
    /// because IMAP4rev2, which has it, is in use.
    pub fn can(&self, name: &str) -> bool {
        let is_rev2 = self.enabled.has("IMAP4REV2");
        self.capabilities.has(name) || is_rev2 && OF_REV2.contains(&name)
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What the server says of it to programs.
    pub code: Option<Code>,
    /// What the server says of it to people.
    pub text: Text,
    /// The mailbox that was opened.
    pub selected: Option<Box<Selected>>,
}
