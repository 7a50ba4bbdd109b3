//! Errors of what a caller passes: values that no command can carry.

use std::fmt;

/// What was passed can't be sent, since a server would take it for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidValue {
    /// A set of numbers is empty, or is no set.
    Set,
    /// A mailbox's name is empty, or holds NUL, CR or LF.
    MailboxName,
    /// A flag is no atom.
    Flag,
    /// Rights are letters and digits.
    Rights,
    /// The name of an entry of metadata is none.
    Entry,
    /// A text holds NUL.
    Text,
    /// A date is none of the calendar's.
    Date,
    /// The bytes are no state of a mailbox.
    SyncState,
    /// A part of a message has no such number, or a header field no such name.
    Section,
    /// A set of messages is too long for one command, and stands where it can't become several.
    TooLong,
    /// A command's tag is letters, digits, `-`, `_` and `.`.
    Tag,
    /// A mechanism's name is letters, digits, `-` and `_`, and its first answer base64.
    Mechanism,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "a set is numbers from 1 on, such as 1:5,8 or 9:*",
            Self::MailboxName => "a mailbox's name is not empty, and holds no NUL, CR and LF",
            Self::Flag => "a flag is letters, digits and signs, but none of ( ) { % * \" \\ ]",
            Self::Rights => "rights are small letters and digits",
            Self::Entry => {
                "an entry is /private/… or /shared/… in ASCII, without * and %, and no / at its end"
            }
            Self::Text => "a text holds no NUL",
            Self::Date => "there is no such date",
            Self::SyncState => "these bytes are not the state of a mailbox",
            Self::Section => "there is no such part of a message",
            Self::TooLong => "a set of messages is too long for one command",
            Self::Tag => "a tag is letters, digits, - _ and .",
            Self::Mechanism => {
                "a mechanism's name is letters, digits, - and _, and its first answer base64"
            }
        })
    }
}

impl std::error::Error for InvalidValue {}
