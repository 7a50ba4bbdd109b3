//! What SELECT and FETCH are told of what is known already (CONDSTORE and QRESYNC, RFC 7162).

use super::super::encode::Encoder;
use super::SequenceSet;

/// What is known of a mailbox when it is opened (RFC 7162, section 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QResync {
    /// Its UIDVALIDITY. Where it is another one now, nothing is told.
    pub uid_validity: u32,
    /// Changes up to this one are known.
    pub modseq: u64,
    /// The UIDs that are known, of which alone changes are told; all, where there is none.
    pub uids: Option<SequenceSet>,
    /// The numbers of some messages, and their UIDs: what helps a server that does not remember who
    /// is gone.
    pub numbers: Option<(SequenceSet, SequenceSet)>,
}

impl QResync {
    /// Changes up to this one are known.
    pub fn new(uid_validity: u32, modseq: u64) -> Self {
        Self {
            uid_validity,
            modseq,
            uids: None,
            numbers: None,
        }
    }

    pub(super) fn write(&self, out: &mut Encoder<'_>) {
        out.raw(b" (QRESYNC (");
        out.number(self.uid_validity.into());
        out.raw(b" ");
        out.number(self.modseq);
        if let Some(uids) = &self.uids {
            out.raw(b" ");
            out.with(|bytes| uids.encode(bytes));
        }
        if let Some((numbers, uids)) = &self.numbers {
            out.raw(b" (");
            out.with(|bytes| numbers.encode(bytes));
            out.raw(b" ");
            out.with(|bytes| uids.encode(bytes));
            out.raw(b")");
        }
        out.raw(b"))");
    }
}

/// That only what has changed is to be told (RFC 7162, sections 3.1.4.1 and 3.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedSince {
    /// Changes up to this one are known.
    pub modseq: u64,
    /// Whether those that are gone since are told too: with UIDs alone, and only where QRESYNC is
    /// enabled.
    pub vanished: bool,
}

impl ChangedSince {
    /// Since this change.
    pub fn new(modseq: u64) -> Self {
        Self {
            modseq,
            vanished: false,
        }
    }

    /// With those that are gone.
    #[must_use]
    pub fn with_vanished(mut self) -> Self {
        self.vanished = true;
        self
    }

    pub(super) fn write(self, out: &mut Encoder<'_>) {
        out.raw(b" (CHANGEDSINCE ");
        out.number(self.modseq);
        out.raw(if self.vanished { b" VANISHED)" } else { b")" });
    }
}
