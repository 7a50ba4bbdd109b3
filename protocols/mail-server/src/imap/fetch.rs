//! FETCH: message by message, as the client takes them.

use std::collections::VecDeque;

use jackfield_imap::codec::server::{Wanted, Writer};
use jackfield_imap::codec::{Flag, FlagChange, Messages, Text};

use super::answer::Answer;
use super::{Mode, Session, is_by_uid};
use crate::message::{Part, envelope, structure};
use crate::store::{Message, UserId, changed};

/// A FETCH that is not done yet.
pub(super) struct Fetching {
    user: UserId,
    tag: Text,
    items: Vec<Wanted>,
    changed_since: Option<u64>,
    /// Numbers and UIDs of those that are left.
    rows: VecDeque<(u32, u32)>,
    by_uid: bool,
    current: Option<Current>,
}

/// The message that is told of.
struct Current {
    number: u32,
    message: Message,
    part: Option<Part>,
    /// How many of the items were told.
    items: usize,
    /// Whether it counts as seen since this FETCH.
    is_newly_seen: bool,
}

impl Session {
    /// Begins a FETCH.
    pub(super) fn fetch(
        &mut self,
        user: UserId,
        tag: Text,
        messages: &Messages,
        mut items: Vec<Wanted>,
        changed_since: Option<u64>,
        vanished: bool,
    ) {
        let by_uid = is_by_uid(messages);
        let wants_modseq = changed_since.is_some() || items.contains(&Wanted::ModSeq);
        self.has_condstore |= wants_modseq;
        if changed_since.is_some() && !items.contains(&Wanted::ModSeq) {
            items.push(Wanted::ModSeq);
        }
        if vanished && !(self.has_qresync && by_uid && changed_since.is_some()) {
            let answer = Answer::bad("VANISHED needs QRESYNC, UIDs and CHANGEDSINCE");
            return self.finish(&tag, &answer, false);
        }
        let Self {
            store,
            out,
            selected: Some(selected),
            ..
        } = self
        else {
            return;
        };
        let validity = selected.validity;
        let gone = store.with(|state| {
            let mailbox = state.opened(user, validity).filter(|_| vanished)?;
            mailbox.vanished(messages.set())
        });
        if let Some(gone) = gone {
            let mut out = Writer::new(out);
            out.raw("* VANISHED (EARLIER) ").set(&gone).raw("\r\n");
        }
        let rows = selected.resolve(messages).into();
        self.mode = Mode::Fetching(Box::new(Fetching {
            user,
            tag,
            items,
            changed_since,
            rows,
            by_uid,
            current: None,
        }));
    }

    /// Tells of the next item, or that this was all: no more than one is written at once, however many
    /// texts of a message are asked for.
    pub(super) fn fetch_next(&mut self) {
        let Mode::Fetching(mut fetching) = std::mem::replace(&mut self.mode, Mode::Requests) else {
            return;
        };
        if fetching.current.is_none() {
            let Some((number, uid)) = fetching.rows.pop_front() else {
                let Fetching { tag, by_uid, .. } = *fetching;
                return self.finish(&tag, &Answer::ok("that is all"), by_uid);
            };
            fetching.current = self.begin(&fetching, number, uid);
        } else if let Some(current) = &mut fetching.current {
            let is_done = match fetching.items.get(current.items) {
                Some(item) => {
                    let mut out = Writer::new(&mut self.out);
                    out.raw(if current.items > 0 { " " } else { "" });
                    write(&mut out, item, &current.message, current.part.as_ref());
                    current.items += 1;
                    false
                }
                None => true,
            };
            if is_done {
                self.end(&fetching);
                fetching.current = None;
            }
        }
        self.mode = Mode::Fetching(fetching);
    }

    fn begin(&mut self, fetching: &Fetching, number: u32, uid: u32) -> Option<Current> {
        let selected = self.selected.as_ref()?;
        let marks = |item: &Wanted| {
            matches!(
                item,
                Wanted::Body {
                    marks_seen: true,
                    ..
                }
            )
        };
        let marks_seen = !selected.read_only && fetching.items.iter().any(marks);
        let (user, validity) = (fetching.user, selected.validity);
        let (message, is_newly_seen) = self.store.with(|state| {
            let message = state.opened(user, validity)?.message(uid)?.clone();
            let since = fetching.changed_since;
            if since.is_some_and(|since| message.modseq <= since) {
                return None;
            }
            if !marks_seen || message.has(&Flag::Seen) {
                return Some((message, false));
            }
            let max = state.limits().max_flags;
            let seen = FlagChange::Add(vec![Flag::Seen]);
            state.store(user, validity, &[uid], |it| changed(&it.flags, &seen, max));
            let message = state.opened(user, validity)?.message(uid)?.clone();
            let is_seen = message.has(&Flag::Seen);
            Some((message, is_seen))
        })?;
        let mut out = Writer::new(&mut self.out);
        out.raw("* ").number(number).raw(" FETCH (");
        // Only what needs it takes the message apart.
        let part = needs_parts(&fetching.items).then(|| Part::of(&message.bytes));
        Some(Current {
            number,
            message,
            part,
            items: 0,
            is_newly_seen,
        })
    }

    fn end(&mut self, fetching: &Fetching) {
        let (Some(current), Some(selected)) = (&fetching.current, &mut self.selected) else {
            return;
        };
        let mut out = Writer::new(&mut self.out);
        let message = &current.message;
        let tells_flags = fetching.items.contains(&Wanted::Flags);
        if current.is_newly_seen && !tells_flags {
            out.raw(" FLAGS ").flags(&message.flags);
        }
        let tells_modseq = fetching.items.contains(&Wanted::ModSeq);
        if current.is_newly_seen && self.has_condstore && !tells_modseq {
            out.raw(" MODSEQ (").number(message.modseq).raw(")");
        }
        out.raw(")\r\n");
        if tells_flags || current.is_newly_seen {
            selected.knows(current.number, message.modseq);
        }
    }
}

fn needs_parts(items: &[Wanted]) -> bool {
    let needs = |item: &Wanted| {
        matches!(
            item,
            Wanted::Envelope | Wanted::Structure { .. } | Wanted::Body { .. }
        )
    };
    items.iter().any(needs)
}

fn write(out: &mut Writer<'_>, item: &Wanted, message: &Message, part: Option<&Part>) {
    match (item, part) {
        (Wanted::Flags, _) => out.raw("FLAGS ").flags(&message.flags),
        (Wanted::InternalDate, _) => out.raw("INTERNALDATE ").date(message.arrived),
        (Wanted::Size, _) => out.raw("RFC822.SIZE ").number(message.bytes.len() as u64),
        (Wanted::ModSeq, _) => out.raw("MODSEQ (").number(message.modseq).raw(")"),
        (Wanted::Envelope, Some(part)) => out
            .raw("ENVELOPE ")
            .envelope(&envelope(&message.bytes, part)),
        (&Wanted::Structure { extended }, Some(part)) => {
            out.raw(if extended { "BODYSTRUCTURE " } else { "BODY " });
            out.structure(&structure(&message.bytes, part), extended)
        }
        (
            Wanted::Body {
                name,
                section,
                partial,
                ..
            },
            Some(part),
        ) => {
            match name {
                Some(name) => out.raw(name),
                None => out.raw("BODY").section(section),
            };
            if let Some((from, _)) = partial {
                out.raw("<").number(*from).raw(">");
            }
            out.raw(" ");
            match part.section(&message.bytes, section) {
                Some(bytes) => out.literal(piece(&bytes, *partial)),
                None => out.raw("NIL"),
            }
        }
        // What this server has no item for is told as this one.
        _ => out.raw("UID ").number(message.uid),
    };
}

/// The bytes that were asked for; none beyond the end.
fn piece(bytes: &[u8], partial: Option<(u32, u32)>) -> &[u8] {
    let Some((from, count)) = partial else {
        return bytes;
    };
    let from = usize::try_from(from).map_or(bytes.len(), |from| from.min(bytes.len()));
    let rest = &bytes[from..];
    let count = usize::try_from(count).map_or(rest.len(), |count| count.min(rest.len()));
    &rest[..count]
}
