//! Commands: what a client asks for (RFC 9051, section 6).

use std::fmt;

use super::date::DateTime;
use super::encode::{Dialect, Encoded, Encoder};
use super::error::InvalidValue;
use super::flag::Flag;
use super::mailbox::MailboxName;
use super::query::Query;
use super::section::Section;
use super::set::{Messages, SequenceSet};

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
        /// Whether they may be told as ESEARCH.
        esearch: bool,
    },
    /// Tell of messages.
    Fetch {
        /// Which.
        messages: Messages,
        /// What of them.
        items: Vec<Item>,
        /// Only if they have changed since (CONDSTORE).
        changed_since: Option<u64>,
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
    pub(super) fn as_bytes(&self) -> &[u8] {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// Changes are counted (RFC 7162).
    CondStore,
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
            Self::Utf8Accept => "UTF8=ACCEPT",
            Self::Rev2 => "IMAP4REV2",
        }
    }
}

/// Which mailboxes to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListQuery {
    /// What the pattern begins below, as it stands on the wire. Default: nothing.
    pub reference: String,
    /// The names' pattern, in Unicode: `*` stands for anything, `%` for anything within a level.
    /// Default: nothing, which asks for the separator alone.
    pub pattern: String,
    /// Only those that are subscribed to.
    pub subscribed: bool,
    /// What else is told of each, where the server can (LIST-EXTENDED, SPECIAL-USE, LIST-STATUS).
    pub returns: ListReturns,
}

impl ListQuery {
    /// All mailboxes.
    pub fn all() -> Self {
        Self::matching("*")
    }

    /// Those whose names match a pattern.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            ..Self::default()
        }
    }
}

/// What else LIST tells (RFC 5258).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListReturns {
    /// What a mailbox is for (SPECIAL-USE).
    pub special_use: bool,
    /// Whether it is subscribed to (LIST-EXTENDED).
    pub subscribed: bool,
    /// Its state (LIST-STATUS).
    pub status: Vec<StatusItem>,
}

/// What STATUS tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusItem {
    /// How many messages.
    Messages,
    /// How many with `\Recent`.
    Recent,
    /// The next UID.
    UidNext,
    /// The UIDVALIDITY.
    UidValidity,
    /// How many that were not seen.
    Unseen,
    /// How many with `\Deleted` (rev2).
    Deleted,
    /// How large they are together (STATUS=SIZE).
    Size,
    /// The number of the last change (CONDSTORE).
    HighestModSeq,
    /// The mailbox's identity (OBJECTID).
    MailboxId,
}

impl StatusItem {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Messages => b"MESSAGES",
            Self::Recent => b"RECENT",
            Self::UidNext => b"UIDNEXT",
            Self::UidValidity => b"UIDVALIDITY",
            Self::Unseen => b"UNSEEN",
            Self::Deleted => b"DELETED",
            Self::Size => b"SIZE",
            Self::HighestModSeq => b"HIGHESTMODSEQ",
            Self::MailboxId => b"MAILBOXID",
        }
    }
}

/// What FETCH tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// The UID.
    Uid,
    /// The flags.
    Flags,
    /// When it arrived.
    InternalDate,
    /// How large it is.
    Size,
    /// Its header, in short.
    Envelope,
    /// What it is made of.
    Structure,
    /// The number of its last change (CONDSTORE).
    ModSeq,
    /// Its identity (OBJECTID).
    EmailId,
    /// Its thread's identity (OBJECTID).
    ThreadId,
    /// How it begins (PREVIEW).
    Preview,
    /// When it came into this mailbox (SAVEDATE).
    SaveDate,
    /// Its identity, thread and labels at Gmail (X-GM-EXT-1).
    Gmail,
    /// A part of its text.
    Body {
        /// Which.
        section: Section,
        /// From which byte on, and how many at the most.
        partial: Option<(u32, u32)>,
        /// Whether its transfer encoding is undone (BINARY).
        is_binary: bool,
        /// Whether the message counts as seen then.
        marks_seen: bool,
    },
}

impl Item {
    /// A part of the text, all of it, without marking the message as seen.
    pub fn body(section: Section) -> Self {
        Self::Body {
            section,
            partial: None,
            is_binary: false,
            marks_seen: false,
        }
    }

    fn encode(&self, out: &mut Encoder<'_>) {
        match self {
            Self::Uid => out.raw(b"UID"),
            Self::Flags => out.raw(b"FLAGS"),
            Self::InternalDate => out.raw(b"INTERNALDATE"),
            Self::Size => out.raw(b"RFC822.SIZE"),
            Self::Envelope => out.raw(b"ENVELOPE"),
            Self::Structure => out.raw(b"BODYSTRUCTURE"),
            Self::ModSeq => out.raw(b"MODSEQ"),
            Self::EmailId => out.raw(b"EMAILID"),
            Self::ThreadId => out.raw(b"THREADID"),
            Self::Preview => out.raw(b"PREVIEW"),
            Self::SaveDate => out.raw(b"SAVEDATE"),
            Self::Gmail => out.raw(b"X-GM-MSGID X-GM-THRID X-GM-LABELS"),
            Self::Body {
                section,
                partial,
                is_binary,
                marks_seen,
            } => {
                out.raw(if *is_binary { b"BINARY" } else { b"BODY" });
                out.raw(if *marks_seen { b"" } else { b".PEEK" });
                section.encode(out);
                if let Some((from, count)) = partial {
                    out.raw(b"<");
                    out.number(u64::from(*from));
                    out.raw(b".");
                    out.number(u64::from(*count));
                    out.raw(b">");
                }
            }
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

impl Command {
    /// Writes it, with this tag, for a server that takes this dialect.
    ///
    /// # Errors
    /// [`InvalidValue::Text`], where a text holds NUL.
    pub fn encode(&self, tag: &str, dialect: Dialect) -> Result<Encoded, InvalidValue> {
        let mut bytes = Vec::with_capacity(64);
        let mut out = Encoder::new(&mut bytes, dialect);
        out.raw(tag.as_bytes());
        out.raw(b" ");
        self.write(&mut out);
        if !matches!(self, Self::Append { .. }) {
            out.raw(b"\r\n");
        }
        let waits = out.finish()?;
        Ok(Encoded { bytes, waits })
    }

    fn write(&self, out: &mut Encoder<'_>) {
        match self {
            Self::Capability => out.raw(b"CAPABILITY"),
            Self::Noop => out.raw(b"NOOP"),
            Self::Logout => out.raw(b"LOGOUT"),
            Self::Namespace => out.raw(b"NAMESPACE"),
            Self::Idle => out.raw(b"IDLE"),
            Self::Close => out.raw(b"CLOSE"),
            Self::Unselect => out.raw(b"UNSELECT"),
            Self::Expunge => out.raw(b"EXPUNGE"),
            Self::Id(fields) if fields.is_empty() => out.raw(b"ID NIL"),
            Self::Id(fields) => {
                out.raw(b"ID ");
                out.list(fields, |out, (name, value)| {
                    out.string(name.as_bytes());
                    out.raw(b" ");
                    out.string(value.as_bytes());
                });
            }
            Self::Enable(extensions) => {
                out.raw(b"ENABLE");
                for extension in extensions {
                    out.raw(b" ");
                    out.raw(extension.name().as_bytes());
                }
            }
            Self::Login { user, password } => {
                out.raw(b"LOGIN ");
                out.astring(user.as_bytes());
                out.raw(b" ");
                // An atom would do, but a password such as `{5}` is better seen as a string.
                out.string(password.as_bytes());
            }
            Self::Authenticate { mechanism, initial } => {
                out.raw(b"AUTHENTICATE ");
                out.raw(mechanism.as_bytes());
                if let Some(initial) = initial {
                    out.raw(b" ");
                    out.raw(if initial.as_bytes().is_empty() {
                        b"="
                    } else {
                        initial.as_bytes()
                    });
                }
            }
            Self::Select {
                mailbox,
                read_only,
                condstore,
            } => {
                named(
                    out,
                    if *read_only { b"EXAMINE " } else { b"SELECT " },
                    mailbox,
                );
                if *condstore {
                    out.raw(b" (CONDSTORE)");
                }
            }
            Self::Create(mailbox) => named(out, b"CREATE ", mailbox),
            Self::Delete(mailbox) => named(out, b"DELETE ", mailbox),
            Self::Rename(from, to) => {
                named(out, b"RENAME ", from);
                named(out, b" ", to);
            }
            Self::Subscribe(mailbox) => named(out, b"SUBSCRIBE ", mailbox),
            Self::Unsubscribe(mailbox) => named(out, b"UNSUBSCRIBE ", mailbox),
            Self::List(query) => query.write(out),
            Self::Status(mailbox, items) => {
                named(out, b"STATUS ", mailbox);
                out.raw(b" ");
                out.list(items, |out, item| out.raw(item.name()));
            }
            Self::Append {
                mailbox,
                flags,
                date,
                size,
            } => {
                named(out, b"APPEND ", mailbox);
                out.raw(b" ");
                if !flags.is_empty() {
                    out.list(flags, |out, flag| out.raw(flag.name()));
                    out.raw(b" ");
                }
                if let Some(date) = date {
                    out.with(|bytes| date.encode(bytes));
                    out.raw(b" ");
                }
                out.literal(*size);
            }
            Self::ExpungeUids(uids) => {
                out.raw(b"UID EXPUNGE ");
                out.with(|bytes| uids.encode(bytes));
            }
            Self::Search {
                query,
                uids,
                esearch,
            } => {
                out.raw(if *uids { b"UID SEARCH " } else { b"SEARCH " });
                if *esearch {
                    out.raw(b"RETURN (ALL) ");
                }
                if !query.is_ascii() && !out.dialect().is_utf8 {
                    out.raw(b"CHARSET UTF-8 ");
                }
                query.encode(out);
            }
            Self::Fetch {
                messages,
                items,
                changed_since,
            } => {
                which(out, b"FETCH ", messages);
                out.raw(b" ");
                out.list(items, |out, item| item.encode(out));
                if let Some(modseq) = changed_since {
                    out.raw(b" (CHANGEDSINCE ");
                    out.number(*modseq);
                    out.raw(b")");
                }
            }
            Self::Store {
                messages,
                change,
                unchanged_since,
            } => {
                which(out, b"STORE ", messages);
                if let Some(modseq) = unchanged_since {
                    out.raw(b" (UNCHANGEDSINCE ");
                    out.number(*modseq);
                    out.raw(b")");
                }
                let (name, flags): (&[u8], _) = match change {
                    FlagChange::Add(flags) => (b" +FLAGS ", flags),
                    FlagChange::Remove(flags) => (b" -FLAGS ", flags),
                    FlagChange::Replace(flags) => (b" FLAGS ", flags),
                };
                out.raw(name);
                out.list(flags, |out, flag| out.raw(flag.name()));
            }
            Self::Copy(messages, to) => {
                which(out, b"COPY ", messages);
                named(out, b" ", to);
            }
            Self::Move(messages, to) => {
                which(out, b"MOVE ", messages);
                named(out, b" ", to);
            }
        }
    }
}

fn named(out: &mut Encoder<'_>, name: &[u8], mailbox: &MailboxName) {
    out.raw(name);
    out.mailbox(mailbox);
}

fn which(out: &mut Encoder<'_>, name: &[u8], messages: &Messages) {
    if matches!(messages, Messages::Uids(_)) {
        out.raw(b"UID ");
    }
    out.raw(name);
    out.with(|bytes| messages.set().encode(bytes));
}

impl ListQuery {
    fn write(&self, out: &mut Encoder<'_>) {
        let returns = &self.returns;
        let is_extended = returns.special_use || returns.subscribed || !returns.status.is_empty();
        // RFC 5258 has a selection; LSUB is what servers without it know.
        let selects = self.subscribed && is_extended;
        out.raw(if self.subscribed && !selects {
            b"LSUB "
        } else {
            b"LIST "
        });
        if selects {
            out.raw(b"(SUBSCRIBED) ");
        }
        out.astring(self.reference.as_bytes());
        out.raw(b" ");
        let pattern = if out.dialect().is_utf8 {
            self.pattern.clone().into_bytes()
        } else {
            super::mailbox::encode(&self.pattern)
        };
        out.string(&pattern);
        if !is_extended {
            return;
        }
        let mut options: Vec<&[u8]> = Vec::new();
        if returns.special_use {
            options.push(b"SPECIAL-USE");
        }
        if returns.subscribed {
            options.push(b"SUBSCRIBED");
        }
        out.raw(b" RETURN (");
        for (index, option) in options.iter().enumerate() {
            out.raw(if index > 0 { b" " } else { b"" });
            out.raw(option);
        }
        if !returns.status.is_empty() {
            out.raw(if options.is_empty() {
                b"STATUS "
            } else {
                b" STATUS "
            });
            out.list(&returns.status, |out, item| out.raw(item.name()));
        }
        out.raw(b")");
    }
}
