//! Items of FETCH: what is told of a message (RFC 9051, section 6.4.5).

use crate::codec::encode::Encoder;
use crate::codec::section::Section;

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

    pub(super) fn encode(&self, out: &mut Encoder<'_>) {
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
