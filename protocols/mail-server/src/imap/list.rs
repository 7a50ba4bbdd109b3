//! LIST, LSUB, STATUS and subscriptions.

use jackfield_imap::codec::server::{ListAsked, Writer};
use jackfield_imap::codec::{MailboxName, StatusItem};

use super::Session;
use super::answer::Answer;
use crate::store::{Mailbox, UserId};

/// How many bytes the patterns of a LIST may have.
const MAX_PATTERNS: usize = 2000;

impl Session {
    pub(super) fn list(&mut self, user: UserId, asked: &ListAsked) -> Answer {
        let mut out = Writer::new(&mut self.out);
        let name = if asked.is_lsub {
            "* LSUB ("
        } else {
            "* LIST ("
        };
        if asked.patterns.iter().all(String::is_empty) {
            // What separates levels is asked for.
            out.raw(name).raw("\\Noselect) \"/\" \"\"\r\n");
            return Answer::ok("done");
        }
        let length: usize = asked.patterns.iter().map(String::len).sum();
        if length + asked.reference.len() > MAX_PATTERNS {
            return Answer::no("[LIMIT] the patterns are too long");
        }
        let fits = |name: &str| {
            let mut patterns = asked.patterns.iter();
            patterns.any(|pattern| is_match(&format!("{}{pattern}", asked.reference), name))
        };
        self.store.with(|state| {
            for mailbox in &state.of(user).mailboxes {
                let is_left_out = asked.subscribed && !mailbox.is_subscribed
                    || asked.special_use && mailbox.special_use.is_none();
                if is_left_out || !fits(&mailbox.name.to_string()) {
                    continue;
                }
                let has_children = state.has_children(user, &mailbox.name);
                out.raw(name).raw(if has_children {
                    "\\HasChildren"
                } else {
                    "\\HasNoChildren"
                });
                if asked.subscribed {
                    out.raw(" \\Subscribed");
                }
                if let Some(special_use) = mailbox.special_use.filter(|_| !asked.is_lsub) {
                    out.raw(" ").raw(special_use);
                }
                out.raw(") \"/\" ").mailbox(&mailbox.name).raw("\r\n");
                if !asked.status.is_empty() {
                    status(&mut out, mailbox, &asked.status);
                }
            }
            let gone = state.of(user).subscribed.iter();
            for gone in gone.filter(|it| asked.subscribed && fits(&it.to_string())) {
                let attributes = if asked.is_lsub {
                    "\\Noselect"
                } else {
                    "\\Subscribed \\NonExistent"
                };
                out.raw(name).raw(attributes).raw(") \"/\" ");
                out.mailbox(gone).raw("\r\n");
            }
        });
        Answer::ok("done")
    }

    pub(super) fn status(
        &mut self,
        user: UserId,
        name: &MailboxName,
        items: &[StatusItem],
    ) -> Answer {
        let mut out = Writer::new(&mut self.out);
        self.has_condstore |= items.contains(&StatusItem::HighestModSeq);
        self.store.with(|state| match state.mailbox(user, name) {
            Some(mailbox) => {
                status(&mut out, mailbox, items);
                Answer::ok("done")
            }
            None => Answer::no("[NONEXISTENT] there is no such mailbox"),
        })
    }

    pub(super) fn subscribe(
        &mut self,
        user: UserId,
        name: &MailboxName,
        subscribes: bool,
    ) -> Answer {
        let subscribed = self.store.with(|state| {
            let max_name = state.limits().max_name;
            let room = state.has_room_for_name(user);
            let of = state.of_mut(user);
            if let Some(mailbox) = of.mailboxes.iter_mut().find(|it| it.name == *name) {
                mailbox.is_subscribed = subscribes;
                return Ok(());
            }
            let is_known = of.subscribed.contains(name);
            if !subscribes {
                of.subscribed.retain(|it| it != name);
            } else if !is_known {
                room?;
                if name.to_string().len() > max_name {
                    return Err(crate::StoreError::InvalidName);
                }
                of.subscribed.push(name.clone());
            }
            Ok(())
        });
        Answer::of(subscribed, "done", "[NONEXISTENT]")
    }
}

fn status(out: &mut Writer<'_>, mailbox: &Mailbox, items: &[StatusItem]) {
    out.raw("* STATUS ").mailbox(&mailbox.name).raw(" (");
    for (index, item) in items.iter().enumerate() {
        let (name, number) = match item {
            StatusItem::Messages => ("MESSAGES", mailbox.messages.len() as u64),
            StatusItem::UidNext => ("UIDNEXT", mailbox.uid_next.into()),
            StatusItem::UidValidity => ("UIDVALIDITY", mailbox.uid_validity.into()),
            StatusItem::Unseen => ("UNSEEN", mailbox.unseen() as u64),
            StatusItem::Deleted => ("DELETED", mailbox.deleted() as u64),
            StatusItem::Size => ("SIZE", mailbox.size() as u64),
            StatusItem::HighestModSeq => ("HIGHESTMODSEQ", mailbox.modseq),
            // Nothing is recent here: that is told to one session only, and sessions are alike.
            _ => ("RECENT", 0),
        };
        out.raw(if index > 0 { " " } else { "" });
        out.raw(name).raw(" ").number(number);
    }
    out.raw(")\r\n");
}

/// Whether a name matches a pattern, in which `*` stands for anything, and `%` for anything within a
/// level.
fn is_match(pattern: &str, name: &str) -> bool {
    // Which beginnings of the pattern the name so far matches: no way is tried twice.
    let pattern: Vec<char> = pattern.chars().collect();
    let mut matches = vec![false; pattern.len() + 1];
    matches[0] = true;
    let skip = |matches: &mut Vec<bool>| {
        for (at, c) in pattern.iter().enumerate() {
            if matches[at] && matches!(c, '*' | '%') {
                matches[at + 1] = true;
            }
        }
    };
    skip(&mut matches);
    for c in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (at, wanted) in pattern.iter().enumerate() {
            if !matches[at] {
                continue;
            }
            match wanted {
                '*' => next[at] = true,
                '%' if c != '/' => next[at] = true,
                wanted if *wanted == c => next[at + 1] = true,
                _ => {}
            }
        }
        skip(&mut next);
        matches = next;
    }
    matches[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_rfc_says() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a*c", "a/b/c", true),
            ("a%c", "a/c", false),
            ("INBOX", "INBOX", true),
            ("a", "ab", false),
            ("%/%", "a/b", true),
            ("", "a", false),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
        let long = "*a".repeat(1000);
        assert!(!is_match(&long, &"a".repeat(400)));
    }
}
