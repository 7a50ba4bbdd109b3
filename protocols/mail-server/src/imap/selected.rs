//! The mailbox that is open: as the client knows it, and what it is told of changes.

use bytes::Bytes;
use jackfield_imap::codec::server::{Resync, Writer};
use jackfield_imap::codec::{DateTime, Flag, FlagChange, MailboxName, Messages, SequenceSet};
use jackfield_socket::time::Instant;

use super::answer::Answer;
use super::{FLAGS, Session};
use crate::store::{Message, UserId, changed, merged};

/// The mailbox that is open, as the client knows it.
pub(super) struct Selected {
    /// Which it is, whatever its name is by now.
    pub(super) validity: u32,
    pub(super) read_only: bool,
    /// Its last change that was told.
    modseq: u64,
    /// Its messages, in the order of their numbers.
    messages: Vec<Known>,
}

/// What the client knows of a message.
struct Known {
    uid: u32,
    /// Its last change that was told.
    modseq: u64,
}

impl Selected {
    /// Numbers and UIDs of those that a client names.
    pub(super) fn resolve(&self, messages: &Messages) -> Vec<(u32, u32)> {
        let numbered = || (1_u32..).zip(self.messages.iter().map(|known| known.uid));
        let count = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let highest = self.messages.last().map_or(0, |known| known.uid);
        let (ranges, by_uid) = match messages {
            Messages::Numbers(set) => (merged(set, count), false),
            Messages::Uids(set) => (merged(set, highest), true),
            // SEARCHRES is not offered.
            Messages::Saved => return Vec::new(),
        };
        let is_in = |number: u32| {
            let at = ranges.partition_point(|(_, to)| *to < number);
            ranges.get(at).is_some_and(|(from, _)| *from <= number)
        };
        numbered()
            .filter(|&(number, uid)| is_in(if by_uid { uid } else { number }))
            .collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (1_u32..).zip(self.messages.iter().map(|known| known.uid))
    }

    /// The client knows of a change of the message of this number.
    pub(super) fn knows(&mut self, number: u32, modseq: u64) {
        let at = usize::try_from(number)
            .ok()
            .and_then(|at| at.checked_sub(1));
        if let Some(known) = at.and_then(|at| self.messages.get_mut(at)) {
            known.modseq = known.modseq.max(modseq);
        }
    }
}

impl Session {
    /// SELECT and EXAMINE.
    pub(super) fn select(
        &mut self,
        user: UserId,
        name: &MailboxName,
        read_only: bool,
        resync: Option<&Resync>,
    ) -> Answer {
        let was_open = self.selected.take().is_some();
        if resync.is_some() && !self.has_qresync {
            return Answer::bad("QRESYNC was not enabled");
        }
        if was_open && self.has_qresync {
            self.write().raw("* OK [CLOSED] the other mailbox\r\n");
        }
        let Self {
            store,
            out,
            selected,
            ..
        } = self;
        let mut out = Writer::new(out);
        store.with(|state| {
            let Some(mailbox) = state.mailbox(user, name) else {
                return Answer::no("[NONEXISTENT] there is no such mailbox");
            };
            let mut flags = FLAGS.to_vec();
            flags.extend(mailbox.keywords());
            out.raw("* FLAGS ").flags(&flags).raw("\r\n");
            out.raw("* ").number(mailbox.messages.len() as u64);
            out.raw(" EXISTS\r\n* 0 RECENT\r\n");
            let unseen = |it: &Message| !it.has(&Flag::Seen);
            if let Some(at) = mailbox.messages.iter().position(unseen) {
                out.raw("* OK [UNSEEN ").number(at as u64 + 1);
                out.raw("] the first that was not seen\r\n");
            }
            if read_only {
                flags.clear();
            } else {
                flags.push(Flag::Any);
            }
            out.raw("* OK [PERMANENTFLAGS ").flags(&flags);
            out.raw("] that last\r\n* OK [UIDVALIDITY ");
            out.number(mailbox.uid_validity);
            out.raw("] valid\r\n* OK [UIDNEXT ")
                .number(mailbox.uid_next);
            out.raw("] next\r\n* OK [HIGHESTMODSEQ ")
                .number(mailbox.modseq);
            out.raw("] last change\r\n");
            if let Some(known) = resync.filter(|it| it.uid_validity == mailbox.uid_validity) {
                if let Some(gone) = mailbox.vanished(known.known.as_ref()) {
                    out.raw("* VANISHED (EARLIER) ").set(&gone).raw("\r\n");
                }
                let ranges = known
                    .known
                    .as_ref()
                    .map(|set| merged(set, mailbox.uid_next));
                let is_known = |uid: u32| {
                    let is_in = |(from, to): &(u32, u32)| *from <= uid && uid <= *to;
                    ranges.as_ref().is_none_or(|ranges| {
                        let at = ranges.partition_point(|(_, to)| *to < uid);
                        ranges.get(at).is_some_and(is_in)
                    })
                };
                for (number, message) in (1_u32..).zip(&mailbox.messages) {
                    if message.modseq > known.modseq && is_known(message.uid) {
                        tell(&mut out, number, message, true);
                    }
                }
            }
            let known = |message: &Message| Known {
                uid: message.uid,
                modseq: message.modseq,
            };
            *selected = Some(Selected {
                validity: mailbox.uid_validity,
                read_only,
                modseq: mailbox.modseq,
                messages: mailbox.messages.iter().map(known).collect(),
            });
            Answer::ok(if read_only {
                "[READ-ONLY] open, to look only"
            } else {
                "[READ-WRITE] open"
            })
        })
    }

    /// Tells what has changed in the mailbox that is open: what has gone, whose flags are other ones, and
    /// what is new.
    pub(super) fn tell_news(&mut self) {
        let Self {
            store,
            out,
            selected: Some(selected),
            user: Some(user),
            has_condstore,
            has_qresync,
            ..
        } = self
        else {
            return;
        };
        let mut out = Writer::new(out);
        store.with(|state| {
            let mailbox = state.opened(*user, selected.validity);
            let modseq = mailbox.map_or(u64::MAX, |mailbox| mailbox.modseq);
            if modseq == selected.modseq {
                return;
            }
            selected.modseq = modseq;
            let message = |uid| mailbox.and_then(|mailbox| mailbox.message(uid));
            let (mut gone, mut number) = (Vec::new(), 1_u32);
            selected.messages.retain(|known| {
                let is_here = message(known.uid).is_some();
                if is_here {
                    number += 1;
                } else if *has_qresync {
                    gone.push(known.uid);
                } else {
                    out.raw("* ").number(number).raw(" EXPUNGE\r\n");
                }
                is_here
            });
            if let Some(gone) = SequenceSet::of(gone) {
                out.raw("* VANISHED ").set(&gone).raw("\r\n");
            }
            for (number, known) in (1_u32..).zip(&mut selected.messages) {
                if let Some(message) = message(known.uid).filter(|it| it.modseq > known.modseq) {
                    known.modseq = message.modseq;
                    tell(&mut out, number, message, *has_condstore);
                }
            }
            let last = selected.messages.last().map_or(0, |known| known.uid);
            let all = mailbox.map_or(&[][..], |mailbox| &mailbox.messages);
            let new = &all[all.partition_point(|message| message.uid <= last)..];
            selected.messages.extend(new.iter().map(|message| Known {
                uid: message.uid,
                modseq: message.modseq,
            }));
            if !new.is_empty() {
                let count = selected.messages.len() as u64;
                out.raw("* ").number(count).raw(" EXISTS\r\n");
            }
        });
    }

    /// CLOSE: what has `\Deleted` goes without a word.
    pub(super) fn close(&mut self, user: UserId) {
        if let Some(selected) = self.selected.take().filter(|it| !it.read_only) {
            let is_gone = |message: &Message| message.has(&Flag::Deleted);
            self.store
                .with(|state| state.expunge(user, selected.validity, is_gone));
        }
    }

    /// EXPUNGE and UID EXPUNGE.
    pub(super) fn expunge(&mut self, user: UserId, uids: Option<&SequenceSet>) -> Answer {
        let Some(selected) = self.writable() else {
            return read_only();
        };
        let validity = selected.validity;
        let named = uids.map(|uids| selected.resolve(&Messages::Uids(uids.clone())));
        let is_named = |uid: u32| {
            let is_in =
                |named: &Vec<(u32, u32)>| named.binary_search_by_key(&uid, |(_, uid)| *uid).is_ok();
            named.as_ref().is_none_or(is_in)
        };
        let is_gone = |message: &Message| message.has(&Flag::Deleted) && is_named(message.uid);
        self.store
            .with(|state| state.expunge(user, validity, is_gone));
        Answer::ok("done")
    }

    /// STORE.
    pub(super) fn store_flags(
        &mut self,
        user: UserId,
        messages: &Messages,
        change: &FlagChange,
        silent: bool,
        unchanged_since: Option<u64>,
    ) -> Answer {
        let Some(selected) = self.writable() else {
            return read_only();
        };
        let (validity, rows) = (selected.validity, selected.resolve(messages));
        self.has_condstore |= unchanged_since.is_some();
        let with_modseq = self.has_condstore;
        let by_uid = matches!(messages, Messages::Uids(_));
        let Self {
            store,
            out,
            selected: Some(selected),
            ..
        } = self
        else {
            return read_only();
        };
        let mut out = Writer::new(out);
        store.with(|state| {
            let max_flags = state.limits().max_flags;
            let Some(mailbox) = state.opened(user, validity) else {
                return Answer::no("[NONEXISTENT] the mailbox is gone");
            };
            let (mut uids, mut modified, mut is_full) = (Vec::new(), Vec::new(), false);
            for &(number, uid) in &rows {
                let Some(message) = mailbox.message(uid) else {
                    continue;
                };
                if unchanged_since.is_some_and(|since| message.modseq > since) {
                    modified.push(if by_uid { uid } else { number });
                    continue;
                }
                match changed(&message.flags, change, max_flags) {
                    Some(_) => uids.push(uid),
                    None => is_full = true,
                }
            }
            let change = |message: &Message| changed(&message.flags, change, max_flags);
            state.store(user, validity, &uids, change);
            for (number, uid) in rows {
                let mailbox = state.opened(user, validity);
                let Some(message) = mailbox.and_then(|it| it.message(uid)) else {
                    continue;
                };
                if uids.binary_search(&uid).is_err() {
                    continue;
                }
                selected.knows(number, message.modseq);
                if !silent {
                    tell_of(&mut out, number, message, by_uid, with_modseq);
                } else if with_modseq {
                    out.raw("* ").number(number).raw(" FETCH (UID ");
                    out.number(uid).raw(" MODSEQ (").number(message.modseq);
                    out.raw("))\r\n");
                }
            }
            match SequenceSet::of(modified) {
                Some(modified) => Answer::ok(&format!("[MODIFIED {modified}] not all of them")),
                None if is_full => {
                    Answer::no("[LIMIT] a message has too many flags, or too long ones")
                }
                None => Answer::ok("done"),
            }
        })
    }

    /// COPY and MOVE.
    pub(super) fn copy(
        &mut self,
        user: UserId,
        messages: &Messages,
        to: &MailboxName,
        moves: bool,
    ) -> Answer {
        let selected = if moves {
            self.writable()
        } else {
            self.selected.as_ref()
        };
        let Some(selected) = selected else {
            return read_only();
        };
        let validity = selected.validity;
        let uids: Vec<u32> = selected
            .resolve(messages)
            .into_iter()
            .map(|(_, uid)| uid)
            .collect();
        let copied = self
            .store
            .with(|state| state.copy(user, validity, &uids, to));
        let (target, pairs) = match copied {
            Ok(copied) => copied,
            Err(error) => return Answer::refusal(error, "[TRYCREATE]"),
        };
        let (from, into): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let (Some(old), Some(new)) = (SequenceSet::of(from.clone()), SequenceSet::of(into)) else {
            return Answer::ok("there were none");
        };
        let code = format!("[COPYUID {target} {old} {new}]");
        if !moves {
            return Answer::ok(&format!("{code} copied"));
        }
        self.write().raw("* OK ").raw(&code).raw(" copied\r\n");
        let is_gone = |message: &Message| from.binary_search(&message.uid).is_ok();
        self.store
            .with(|state| state.expunge(user, validity, is_gone));
        Answer::ok("moved")
    }

    /// APPEND.
    pub(super) fn append(
        &mut self,
        now: Instant,
        user: UserId,
        mailbox: &MailboxName,
        flags: &[Flag],
        date: Option<DateTime>,
        message: Bytes,
    ) -> Answer {
        let appended = self.store.with(|state| {
            let date = date.unwrap_or_else(|| state.date(now));
            state.append(user, mailbox, flags, date, message)
        });
        match appended {
            Ok((validity, uid)) => Answer::ok(&format!("[APPENDUID {validity} {uid}] appended")),
            Err(error) => Answer::refusal(error, "[TRYCREATE]"),
        }
    }

    fn writable(&self) -> Option<&Selected> {
        self.selected.as_ref().filter(|it| !it.read_only)
    }
}

fn read_only() -> Answer {
    Answer::no("[READ-ONLY] the mailbox is open to look only")
}

/// Tells a message's flags, of which nobody asked.
fn tell(out: &mut Writer<'_>, number: u32, message: &Message, with_modseq: bool) {
    tell_of(out, number, message, true, with_modseq);
}

fn tell_of(
    out: &mut Writer<'_>,
    number: u32,
    message: &Message,
    with_uid: bool,
    with_modseq: bool,
) {
    out.raw("* ").number(number).raw(" FETCH (");
    if with_uid {
        out.raw("UID ").number(message.uid).raw(" ");
    }
    out.raw("FLAGS ").flags(&message.flags);
    if with_modseq {
        out.raw(" MODSEQ (").number(message.modseq).raw(")");
    }
    out.raw(")\r\n");
}
