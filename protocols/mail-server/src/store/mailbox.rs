//! Mailboxes, and the messages in them.

use bytes::Bytes;
use jackfield_imap::codec::{DateTime, Flag, FlagChange, MailboxName, SequenceSet};

/// A message in a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) uid: u32,
    /// The number of its last change.
    pub(crate) modseq: u64,
    pub(crate) flags: Vec<Flag>,
    pub(crate) arrived: DateTime,
    pub(crate) bytes: Bytes,
}

impl Message {
    pub(crate) fn has(&self, flag: &Flag) -> bool {
        self.flags.iter().any(|it| same(it, flag))
    }
}

/// A mailbox of a user.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) name: MailboxName,
    /// What it is for, as LIST tells it (RFC 6154).
    pub(crate) special_use: Option<&'static str>,
    pub(crate) is_subscribed: bool,
    /// It stays the same while the mailbox exists, whatever its name, and no two have the same.
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    /// The number of the last change.
    pub(crate) modseq: u64,
    /// By UID.
    pub(crate) messages: Vec<Message>,
}

impl Mailbox {
    pub(super) fn new(name: MailboxName, uid_validity: u32) -> Self {
        Self {
            name,
            special_use: None,
            is_subscribed: false,
            uid_validity,
            uid_next: 1,
            modseq: 1,
            messages: Vec::new(),
        }
    }

    pub(crate) fn message(&self, uid: u32) -> Option<&Message> {
        let at = self.messages.binary_search_by_key(&uid, |it| it.uid).ok()?;
        self.messages.get(at)
    }

    pub(crate) fn message_mut(&mut self, uid: u32) -> Option<&mut Message> {
        let at = self.messages.binary_search_by_key(&uid, |it| it.uid).ok()?;
        self.messages.get_mut(at)
    }

    /// Adds a message, and gives its UID; `None` where there is none left.
    pub(super) fn add(&mut self, flags: Vec<Flag>, arrived: DateTime, bytes: Bytes) -> Option<u32> {
        let uid = self.uid_next;
        self.uid_next = uid.checked_add(1)?;
        self.modseq += 1;
        self.messages.push(Message {
            uid,
            modseq: self.modseq,
            flags,
            arrived,
            bytes,
        });
        Some(uid)
    }

    /// Takes out those of which it is true, as one change.
    pub(super) fn remove(&mut self, is_gone: impl Fn(&Message) -> bool) -> Vec<Message> {
        let (gone, kept) = std::mem::take(&mut self.messages)
            .into_iter()
            .partition(|it| is_gone(it));
        self.messages = kept;
        let gone: Vec<Message> = gone;
        self.modseq += u64::from(!gone.is_empty());
        gone
    }

    pub(crate) fn unseen(&self) -> usize {
        let unseen = self.messages.iter().filter(|it| !it.has(&Flag::Seen));
        unseen.count()
    }

    pub(crate) fn deleted(&self) -> usize {
        let deleted = self.messages.iter().filter(|it| it.has(&Flag::Deleted));
        deleted.count()
    }

    pub(crate) fn size(&self) -> usize {
        self.messages.iter().map(|it| it.bytes.len()).sum()
    }

    /// The keywords that its messages have.
    pub(crate) fn keywords(&self) -> Vec<Flag> {
        let mut keywords: Vec<Flag> = Vec::new();
        for flag in self.messages.iter().flat_map(|it| &it.flags) {
            let is_known = keywords.iter().any(|known| same(known, flag));
            if matches!(flag, Flag::Other(_)) && !is_known && keywords.len() < 100 {
                keywords.push(flag.clone());
            }
        }
        keywords
    }

    /// Those of a client's UIDs that are not here any more (RFC 7162, section 3.2.5.2).
    pub(crate) fn vanished(&self, known: Option<&SequenceSet>) -> Option<SequenceSet> {
        let last = self.uid_next - 1;
        let ranges = match known {
            Some(known) => merged(known, last),
            None => vec![(1, last)],
        };
        let is_here = |uid: &u32| self.message(*uid).is_some();
        let gone = ranges
            .into_iter()
            .flat_map(|(from, to)| from..=to.min(last))
            .filter(|uid| !is_here(uid));
        SequenceSet::of(gone.take(MAX_VANISHED))
    }
}

/// The ranges of a set in ascending order, none of which touch: what a client says twice is looked at
/// once. Where `*` would be 0, there is nothing.
pub(crate) fn merged(set: &SequenceSet, highest: u32) -> Vec<(u32, u32)> {
    if highest == 0 {
        return Vec::new();
    }
    let mut ranges: Vec<(u32, u32)> = set.up_to(highest).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (from, to) in ranges {
        match merged.last_mut() {
            Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// How many UIDs a client is told that have vanished; it notices the others when it looks.
const MAX_VANISHED: usize = 1 << 20;

/// The flags that come of a change; `None` where there would be too many.
pub(crate) fn changed(flags: &[Flag], change: &FlagChange, max: usize) -> Option<Vec<Flag>> {
    let is_in = |flag: &Flag, flags: &[Flag]| flags.iter().any(|it| same(it, flag));
    let mut changed = match change {
        FlagChange::Replace(_) => Vec::new(),
        FlagChange::Add(_) => flags.to_vec(),
        FlagChange::Remove(removed) => {
            let kept = flags.iter().filter(|flag| !is_in(flag, removed));
            return Some(kept.cloned().collect());
        }
    };
    if let FlagChange::Replace(added) | FlagChange::Add(added) = change {
        for flag in added {
            // Nobody can set these.
            let is_settable = !matches!(flag, Flag::Recent | Flag::Any);
            if is_settable && !is_in(flag, &changed) {
                changed.push(flag.clone());
            }
        }
    }
    let is_short = |flag: &Flag| flag.name().len() <= 200;
    (changed.len() <= max && changed.iter().all(is_short)).then_some(changed)
}

/// Flags have no case.
fn same(one: &Flag, other: &Flag) -> bool {
    one.name().eq_ignore_ascii_case(other.name())
}
