//! LIST and STATUS: which mailboxes, and what is told of them (RFC 9051, sections 6.3.9 and 6.3.11).

use crate::codec::encode::Encoder;

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
    /// How large a message may be that is appended (APPENDLIMIT).
    AppendLimit,
}

impl StatusItem {
    pub(super) fn name(self) -> &'static [u8] {
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
            Self::AppendLimit => b"APPENDLIMIT",
        }
    }
}

impl ListQuery {
    pub(super) fn write(&self, out: &mut Encoder<'_>) {
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
        let pattern = if out.dialect().has_utf8_names() {
            self.pattern.clone().into_bytes()
        } else {
            crate::codec::mailbox::encode(&self.pattern)
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
