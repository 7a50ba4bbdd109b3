//! The servers, and what each of them has.

use jackfield_imap::codec::MailboxName;
use jackfield_imap::core::Server;

use super::name;

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Kind {
    Dovecot,
    Dovecot24,
    Cyrus,
    Courier,
    Pymap,
}

use Kind::{Courier, Cyrus, Dovecot, Dovecot24, Pymap};

const NOBODY: &[Kind] = &[];
const MOST: &[Kind] = &[Dovecot, Dovecot24, Cyrus];
const ALL: &[Kind] = &[Dovecot, Dovecot24, Cyrus, Courier, Pymap];

/// What the scenario uses of what not every server has, and who has it: there it is used, and
/// everywhere else denied.
const EXTENSIONS: [(&str, &[Kind]); 38] = [
    ("ACL", &[Dovecot, Cyrus, Courier]),
    ("BINARY", &[Dovecot, Dovecot24, Cyrus, Pymap]),
    ("CATENATE", MOST),
    ("COMPRESS=DEFLATE", MOST),
    ("CONDSTORE", MOST),
    ("CONTEXT=SEARCH", &[Dovecot, Dovecot24]),
    ("CONTEXT=SORT", NOBODY),
    ("ESEARCH", MOST),
    ("ESORT", MOST),
    ("ID", &[Dovecot, Dovecot24, Cyrus, Pymap]),
    ("IDLE", ALL),
    ("IMAP4REV2", &[Cyrus]),
    ("INPROGRESS", &[Dovecot24]),
    ("LIST-EXTENDED", MOST),
    ("LIST-STATUS", MOST),
    ("METADATA", MOST),
    ("METADATA-SERVER", NOBODY),
    ("MOVE", &[Dovecot, Dovecot24, Cyrus, Pymap]),
    ("MULTIAPPEND", &[Dovecot, Dovecot24, Cyrus, Pymap]),
    ("NAMESPACE", &[Dovecot, Dovecot24, Cyrus, Courier]),
    ("NOTIFY", MOST),
    ("OBJECTID", &[Cyrus, Pymap]),
    ("PARTIAL", NOBODY),
    ("PREVIEW", MOST),
    ("QUOTA", &[Dovecot, Dovecot24, Cyrus, Courier]),
    ("QUOTA=RES-MESSAGE", &[Cyrus]),
    ("REPLACE", &[Dovecot24, Cyrus]),
    ("SAVEDATE", MOST),
    ("SEARCHRES", MOST),
    ("SORT", &[Dovecot, Dovecot24, Cyrus, Courier]),
    ("SORT=DISPLAY", MOST),
    ("SPECIAL-USE", MOST),
    ("STATUS=SIZE", MOST),
    (
        "THREAD=ORDEREDSUBJECT",
        &[Dovecot, Dovecot24, Cyrus, Courier],
    ),
    ("THREAD=REFERENCES", &[Dovecot, Dovecot24, Cyrus, Courier]),
    ("UIDPLUS", ALL),
    ("UNSELECT", MOST),
    ("X-GM-EXT-1", NOBODY),
];

impl Kind {
    /// Whether it has an extension, which is among those that are asked for.
    pub(super) fn has(self, name: &str) -> bool {
        let row = EXTENSIONS.iter().find(|(it, _)| *it == name);
        let (_, who) = row.unwrap_or_else(|| panic!("{name} is not among them"));
        who.contains(&self)
    }

    /// What the names of the user's mailboxes begin with.
    pub(super) fn prefix(self) -> &'static str {
        if self == Courier { "INBOX." } else { "" }
    }

    /// What separates the levels of a name.
    pub(super) fn separator(self) -> char {
        if self == Courier { '.' } else { '/' }
    }

    /// Whether it says what it is, where it has ID.
    fn has_name(self) -> bool {
        MOST.contains(&self)
    }

    /// A mailbox of the user's.
    pub(super) fn mailbox(self, text: &str) -> MailboxName {
        name(&format!("{}{text}", self.prefix()))
    }

    /// It has what it is known for, and nothing else of what is asked for.
    pub(super) fn is(self, server: &Server) {
        let names = EXTENSIONS.iter().map(|(name, _)| *name);
        let has: Vec<&str> = names.clone().filter(|it| server.can(it)).collect();
        let should: Vec<&str> = names.filter(|it| self.has(it)).collect();
        assert_eq!(has, should, "{self:?}: {:?}", server.capabilities);
        assert_eq!(!server.id.is_empty(), self.has_name(), "{:?}", server.id);
    }
}
