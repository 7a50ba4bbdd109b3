//! The mailbox that is selected, as the server tells of it.

use crate::codec::{Code, Flag, MailboxName, Response, StatusKind, Text};

/// A mailbox that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selected {
    /// Its name.
    pub name: MailboxName,
    /// Whether nothing in it can be changed.
    pub read_only: bool,
    /// How many messages are in it.
    pub exists: u32,
    /// How many of them have `\Recent`.
    pub recent: u32,
    /// While this stays the same, so do the UIDs; `None` where the server has none that last.
    pub uid_validity: Option<u32>,
    /// The UID that the next message will have, at the least.
    pub uid_next: Option<u32>,
    /// The number of the last change (CONDSTORE).
    pub highest_modseq: Option<u64>,
    /// The flags that are used in it.
    pub flags: Vec<Flag>,
    /// Those that can be changed for good; [`Flag::Any`] among them where keywords can be made up.
    /// `None` is all of them.
    pub permanent_flags: Option<Vec<Flag>>,
    /// Its identity (OBJECTID).
    pub mailbox_id: Option<Text>,
}

impl Selected {
    pub(super) fn new(name: MailboxName, read_only: bool) -> Self {
        Self {
            name,
            read_only,
            exists: 0,
            recent: 0,
            uid_validity: None,
            uid_next: None,
            highest_modseq: None,
            flags: Vec::new(),
            permanent_flags: None,
            mailbox_id: None,
        }
    }

    /// Takes what a response says of it.
    pub(super) fn take(&mut self, response: &Response) {
        match response {
            Response::Exists(count) => self.exists = *count,
            Response::Recent(count) => self.recent = *count,
            Response::Expunge(_) => self.exists = self.exists.saturating_sub(1),
            Response::Vanished {
                earlier: false,
                uids,
            } => {
                let count = u32::try_from(uids.count()).unwrap_or(u32::MAX);
                self.exists = self.exists.saturating_sub(count);
            }
            Response::Flags(flags) => self.flags.clone_from(flags),
            Response::Status(status) if status.kind == StatusKind::Ok => {
                self.code(status.code.as_ref());
            }
            _ => {}
        }
    }

    pub(super) fn code(&mut self, code: Option<&Code>) {
        match code {
            Some(Code::UidValidity(number)) => self.uid_validity = Some(*number),
            Some(Code::UidNext(number)) => self.uid_next = Some(*number),
            Some(Code::HighestModSeq(number)) => self.highest_modseq = Some(*number),
            Some(Code::NoModSeq) => self.highest_modseq = None,
            Some(Code::PermanentFlags(flags)) => self.permanent_flags = Some(flags.clone()),
            Some(Code::MailboxId(id)) => self.mailbox_id = Some(id.clone()),
            Some(Code::ReadOnly) => self.read_only = true,
            Some(Code::ReadWrite) => self.read_only = false,
            _ => {}
        }
    }
}
