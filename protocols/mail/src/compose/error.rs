//! Why a draft can't become a message.

use std::error::Error;
use std::fmt;

/// A part of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// `from`.
    From,
    /// `reply_to`.
    ReplyTo,
    /// `to`.
    To,
    /// `cc`.
    Cc,
    /// `bcc`.
    Bcc,
    /// `subject`.
    Subject,
    /// The Message-ID that was given.
    MessageId,
    /// One of `in_reply_to`.
    InReplyTo,
    /// One of `references`.
    References,
    /// One of `fields`: its name.
    FieldName,
    /// One of `fields`: its text.
    FieldText,
    /// An attachment's file name.
    FileName,
    /// An attachment's media type.
    MediaType,
    /// An attachment's Content-ID.
    ContentId,
}

/// Why a draft can't become a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComposeError {
    /// A line's end or another control character stands where none may be.
    ControlCharacter(Field),
    /// It is not written as its kind is.
    Invalid(Field),
    /// It is longer than mail can have it.
    TooLong(Field),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::From => "the sender",
            Self::ReplyTo => "the address for answers",
            Self::To => "a recipient",
            Self::Cc => "a recipient of a copy",
            Self::Bcc => "a recipient of a blind copy",
            Self::Subject => "the subject",
            Self::MessageId => "the message-id",
            Self::InReplyTo => "the message-id of what is answered",
            Self::References => "the message-id of a message before it",
            Self::FieldName => "a field's name",
            Self::FieldText => "a field's text",
            Self::FileName => "a file's name",
            Self::MediaType => "a media type",
            Self::ContentId => "a content-id",
        })
    }
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlCharacter(field) => {
                write!(
                    f,
                    "{field} has a line's end or another control character in it"
                )
            }
            Self::Invalid(field) => write!(f, "{field} is not valid"),
            Self::TooLong(field) => write!(f, "{field} is too long"),
        }
    }
}

impl Error for ComposeError {}
