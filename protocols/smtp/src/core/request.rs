//! Requests: what a session is asked for.

use bytes::Bytes;

use super::Envelope;
use crate::codec::{Survey, Text};

/// What a session is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// To send a message.
    Send(Envelope, Body),
    /// Whether there is such a mailbox (VRFY).
    Verify(Text),
    /// For a sign of life (NOOP).
    Noop,
}

/// A request of a session. The later one has the greater number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A message's content: its headers, an empty line, and what comes behind.
///
/// Its lines may end with CR LF, LF or CR, and leave with CR LF.
#[derive(Clone, Debug)]
pub struct Body(pub(super) Content);

#[derive(Clone, Debug)]
pub(super) enum Content {
    Whole(Bytes),
    Streamed(Option<u64>),
}

impl Body {
    /// Content that comes in pieces, when the session asks for them
    /// ([`WantsBody`](super::SessionEvent::WantsBody)); its size in bytes, where that is known, or a
    /// guess: it is what the server compares with its limit beforehand.
    pub fn streamed(size: Option<u64>) -> Self {
        Self(Content::Streamed(size))
    }

    /// What is known of content that is whole.
    pub(super) fn survey(content: &Bytes, keeps_bcc: bool) -> Survey {
        let mut survey = Survey::default();
        if !keeps_bcc {
            survey = survey.without_bcc();
        }
        survey.take(content);
        survey
    }
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self(Content::Whole(content))
    }
}

impl From<Vec<u8>> for Body {
    fn from(content: Vec<u8>) -> Self {
        Bytes::from(content).into()
    }
}

impl From<String> for Body {
    fn from(content: String) -> Self {
        Bytes::from(content).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(content: &'static [u8]) -> Self {
        Bytes::from_static(content).into()
    }
}

impl From<&'static str> for Body {
    fn from(content: &'static str) -> Self {
        content.as_bytes().into()
    }
}

/// A piece of content, and what becomes of the rest.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there are these three")]
pub enum Piece {
    /// More of it.
    More(Bytes),
    /// That was all.
    End,
    /// There is no more to be had: the message is not sent.
    Failed,
}
