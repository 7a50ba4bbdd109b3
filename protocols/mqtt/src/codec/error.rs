//! Errors of the codec: how reading and writing packets fails.

use std::fmt;

use super::{InvalidValue, ReasonCode};

/// Bytes that are no packet, or one that must not be. The connection they came over is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    reason: ReasonCode,
    text: &'static str,
}

impl DecodeError {
    pub(crate) const fn new(reason: ReasonCode, text: &'static str) -> Self {
        Self { reason, text }
    }

    /// What the specification calls it: the reason to give in DISCONNECT (MQTT 5, section 4.13).
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What was wrong, in words.
    pub fn text(&self) -> &'static str {
        self.text
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.reason)
    }
}

impl std::error::Error for DecodeError {}

/// A packet that can't be written; nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// It is larger than the receiver takes, or than MQTT can carry.
    TooLarge {
        /// How many bytes a packet may have.
        limit: u32,
    },
    /// It holds what a packet of this kind or version can't.
    Invalid(InvalidValue),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "the packet is larger than {limit} bytes"),
            Self::Invalid(invalid) => invalid.fmt(f),
        }
    }
}

impl std::error::Error for EncodeError {}
