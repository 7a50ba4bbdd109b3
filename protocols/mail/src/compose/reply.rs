//! Answers: to whom, about what, and what was said before.

use super::write::identifier;
use super::{Draft, Field};
use crate::Address;
use crate::message::Message;

/// How many messages before it an answer names: the first, and the newest of the others. A list has no
/// end in threads that go on for years.
const MAX_REFERENCES: usize = 50;

/// Whom an answer goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyTo {
    /// Who wrote it, or where they want answers (`Reply-To`).
    #[default]
    Sender,
    /// The sender and all other recipients, but for oneself.
    All,
    /// The mailing list that it came by (`List-Post`); everybody, where it came by none.
    List,
}

/// What stands before the subject of an answer, in the languages that are met.
const ANSWERS: &[&str] = &[
    "re", "aw", "antw", "antwort", "sv", "vs", "odp", "rif", "r", "res", "ynt", "vá", "ref",
    "回复", "答复", "回覆",
];
/// And of a message that was passed on.
const FORWARDS: &[&str] = &[
    "fwd", "fw", "wg", "wtr", "vl", "vb", "pd", "enc", "i", "tr", "rv", "ilt", "转发", "轉寄",
];

impl Draft {
    /// An answer. `own` are the addresses of whoever writes it, the preferred one first: they are left out
    /// of the recipients, and it is from the one that the message was sent to.
    ///
    /// Its text is what was said, quoted, with a line above that says by whom, in English; for another
    /// language, set [`text`](Self::text) to what [`quote`] makes.
    pub fn reply(message: &Message, to: ReplyTo, own: &[Address]) -> Self {
        let is_own = |address: &Address| own.iter().any(|own| own.is(&address.address));
        let (from, sent_to, copies) = (message.from(), message.to(), message.cc());
        let is_mine = from.first().is_some_and(is_own);
        let wanted = Some(message.reply_to()).filter(|list| !list.is_empty());
        let sender = wanted.unwrap_or_else(|| from.clone());
        let list = message.list_post().filter(|_| to == ReplyTo::List);

        let mut draft = Self::new(who_am_i(message, own));
        if let Some(list) = list {
            draft.to = vec![list];
        } else {
            // Who goes on in what they wrote themselves means those that they wrote to.
            let first = if is_mine { &sent_to } else { &sender };
            draft.to.extend(first.iter().cloned());
            if to != ReplyTo::Sender {
                draft.to.extend(sent_to);
                draft.cc.extend(copies);
                // An answer only to oneself is none.
                if draft
                    .to
                    .iter()
                    .chain(&draft.cc)
                    .any(|address| !is_own(address))
                {
                    draft.to.retain(|address| !is_own(address));
                    draft.cc.retain(|address| !is_own(address));
                }
            }
        }
        once(&mut draft.to, &[]);
        once(&mut draft.cc, &draft.to);

        draft.subject = prefixed("Re: ", &message.subject().unwrap_or_default(), ANSWERS);
        draft.references = references(message);
        draft.in_reply_to = message
            .message_id()
            .into_iter()
            .filter(|id| is_id(id))
            .collect();
        let who = from
            .first()
            .map(|from| from.name.as_deref().unwrap_or(&from.address).to_owned());
        let who = who.unwrap_or_default();
        let attribution = match message.date() {
            Some(date) => format!("On {date}, {who} wrote:"),
            None => format!("{who} wrote:"),
        };
        draft.text = Some(format!("\n\n{}", quote(message, &attribution)));
        draft
    }
}

/// A message's text, quoted: a line that says who wrote it, and each of its own behind `>`. Its signature
/// is left out.
pub fn quote(message: &Message, attribution: &str) -> String {
    let text = message.text();
    let text = match text.strip_prefix("-- \n") {
        Some(_) => "",
        None => text.split("\n-- \n").next().unwrap_or_default(),
    };
    let mut out = attribution.to_owned();
    out.push('\n');
    for line in text.trim_end().lines() {
        out.push('>');
        if !line.is_empty() && !line.starts_with('>') {
            out.push(' ');
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The own address that a message was sent to, or else the preferred one.
pub(super) fn who_am_i(message: &Message, own: &[Address]) -> Address {
    let fields = ["delivered-to", "x-original-to", "to", "cc", "bcc"];
    let sent_to: Vec<Address> = fields
        .iter()
        .flat_map(|name| message.addresses(name))
        .collect();
    let is_meant = |own: &&Address| sent_to.iter().any(|address| own.is(&address.address));
    own.iter()
        .find(is_meant)
        .or(own.first())
        .cloned()
        .unwrap_or_default()
}

/// The Message-IDs for References (RFC 5322, section 3.6.4).
pub(super) fn references(message: &Message) -> Vec<String> {
    let mut ids = message.references();
    if ids.is_empty() {
        ids = message.in_reply_to();
        ids.truncate(1);
    }
    ids.extend(message.message_id());
    ids.retain(|id| is_id(id));
    if ids.len() > MAX_REFERENCES {
        let newest = ids.len() - MAX_REFERENCES + 1;
        ids.drain(1..newest);
    }
    ids
}

fn is_id(id: &str) -> bool {
    identifier(id, Field::References).is_ok()
}

/// Each address once, and none of those that are named elsewhere.
fn once(list: &mut Vec<Address>, others: &[Address]) {
    let mut known: Vec<String> = others
        .iter()
        .map(|other| other.address.to_lowercase())
        .collect();
    known.sort_unstable();
    list.retain(|address| {
        let address = address.address.trim().to_lowercase();
        match known.binary_search(&address) {
            Ok(_) => false,
            Err(at) => {
                let is_some = !address.is_empty();
                known.insert(at, address);
                is_some
            }
        }
    });
}

/// A subject with one prefix, whatever prefixes of that kind it had.
pub(super) fn prefixed(prefix: &str, subject: &str, known: &[&str]) -> String {
    let mut rest = subject.trim();
    while let Some((before, behind)) = rest.split_once([':', '\u{ff1a}']) {
        // `Re[2]:` and `Re(2):` count.
        let word = before.trim_end_matches(|c: char| c.is_ascii_digit() || "[]()^ ".contains(c));
        if !known.contains(&&*word.to_lowercase()) {
            break;
        }
        rest = behind.trim_start();
    }
    format!("{prefix}{rest}")
}

pub(super) fn forwarded(subject: &str) -> String {
    prefixed("Fwd: ", subject, FORWARDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_prefix() {
        for (subject, answered) in [
            ("Lunch?", "Re: Lunch?"),
            ("Re: Lunch?", "Re: Lunch?"),
            ("RE:Lunch?", "Re: Lunch?"),
            ("Re: AW: Re[2]: Lunch?", "Re: Lunch?"),
            ("\u{56de}\u{590d}\u{ff1a}Lunch?", "Re: Lunch?"),
            ("Fwd: Lunch?", "Re: Fwd: Lunch?"),
            ("Rent: due", "Re: Rent: due"),
            ("", "Re: "),
        ] {
            assert_eq!(prefixed("Re: ", subject, ANSWERS), answered);
        }
        assert_eq!(forwarded("Fw: WG: x"), "Fwd: x");
        assert_eq!(forwarded("Re: x"), "Fwd: Re: x");
    }
}
