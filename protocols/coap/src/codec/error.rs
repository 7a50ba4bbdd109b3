//! Errors of the codec: why bytes are not a message, and a value is not an option's.

use std::fmt;

use super::{Code, MessageId, MessageType, OptionNumber};

/// Bytes that are no message: what is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub(super) kind: DecodeErrorKind,
    pub(super) at: usize,
    pub(super) header: Option<(MessageType, MessageId)>,
}

/// What is wrong with bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Fewer bytes than the header has, or than it announces.
    Truncated,
    /// Another version than 1. It says nothing about the bytes behind it.
    Version(u8),
    /// A token length that is reserved (9 to 15).
    TokenLength(u8),
    /// An Empty message that is not empty: it has a token, options or a payload.
    NotEmpty,
    /// A code of a class that is reserved (1, 6, and 7 where there are no signals).
    ReservedCode(Code),
    /// An option's delta or length is the reserved 15.
    ReservedOption,
    /// An option's number is beyond 65535.
    OptionNumber,
    /// An option is longer than what is there.
    OptionLength,
    /// More than [`MAX_OPTIONS`](super::MAX_OPTIONS) options.
    TooManyOptions,
    /// A payload marker without a payload.
    NoPayload,
    /// A length in a WebSocket message, which has its own (RFC 8323, section 4.2).
    Length,
}

impl DecodeError {
    pub(super) fn new(kind: DecodeErrorKind, at: usize) -> Self {
        Self {
            kind,
            at,
            header: None,
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// Where it was noticed, in bytes from the message's beginning.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Of a datagram, the type and id, where it has come that far: what is rejected is rejected by
    /// its id (RFC 7252, section 4.2).
    pub(crate) fn header(&self) -> Option<(MessageType, MessageId)> {
        self.header
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DecodeErrorKind::Truncated => f.write_str("the message is cut short")?,
            DecodeErrorKind::Version(version) => write!(f, "version {version} is not known")?,
            DecodeErrorKind::TokenLength(length) => {
                write!(f, "the token length {length} is reserved")?;
            }
            DecodeErrorKind::NotEmpty => f.write_str("bytes in an Empty message")?,
            DecodeErrorKind::ReservedCode(code) => write!(f, "the code {code} is reserved")?,
            DecodeErrorKind::ReservedOption => f.write_str("a reserved option delta or length")?,
            DecodeErrorKind::OptionNumber => f.write_str("an option number beyond 65535")?,
            DecodeErrorKind::OptionLength => f.write_str("an option is cut short")?,
            DecodeErrorKind::TooManyOptions => f.write_str("too many options")?,
            DecodeErrorKind::NoPayload => f.write_str("a payload marker without payload")?,
            DecodeErrorKind::Length => f.write_str("a length in a WebSocket message")?,
        }
        write!(f, ", at byte {}", self.at)
    }
}

impl std::error::Error for DecodeError {}

/// A value that its option can't have, or an option too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOption {
    pub(super) number: OptionNumber,
    pub(super) problem: OptionProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionProblem {
    Value,
    Repeated,
    TooMany,
}

impl InvalidOption {
    /// Which option.
    pub fn number(&self) -> OptionNumber {
        self.number
    }
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        match self.problem {
            OptionProblem::Repeated => write!(f, "{number} can't occur twice"),
            OptionProblem::TooMany => write!(f, "no room for {number}: too many options"),
            OptionProblem::Value => match number.definition() {
                Some(definition) => write!(
                    f,
                    "{number} takes {} to {} bytes",
                    definition.length.start(),
                    definition.length.end()
                ),
                None => write!(f, "the value of {number} is too long"),
            },
        }
    }
}

impl std::error::Error for InvalidOption {}
