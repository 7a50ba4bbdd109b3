//! ENVELOPE: what a message's header says of who, to whom, when and about what (RFC 9051, section
//! 7.5.2).

use nom::Parser;
use nom::bytes::complete::tag;

use super::input::{Input, Parsed, WRONG};
use super::text::Text;
use super::token::{close, list, nil, nstring, open, spaces};

/// The fields of a message's header that mailboxes are listed by. They are as the header has them:
/// encoded words (RFC 2047) are not decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// `Date`, as the sender wrote it.
    pub date: Option<Text>,
    /// `Subject`.
    pub subject: Option<Text>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`; as `From` where there is none.
    pub sender: Vec<Address>,
    /// `Reply-To`; as `From` where there is none.
    pub reply_to: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Bcc`.
    pub bcc: Vec<Address>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<Text>,
    /// `Message-ID`.
    pub message_id: Option<Text>,
}

/// An address, or the beginning or end of a group of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The name for people.
    pub name: Option<Text>,
    /// The route, which nobody uses any more.
    pub route: Option<Text>,
    /// What stands before the `@`. Without a [host](Self::host) it is the name of a group that
    /// begins; `None` is the end of a group.
    pub mailbox: Option<Text>,
    /// What stands behind the `@`.
    pub host: Option<Text>,
}

impl Envelope {
    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let outer = i;
        let (i, ()) = open(i)?;
        // Domino has it in parentheses twice.
        if i.bytes().starts_with(b"(\"") || i.bytes().starts_with(b"(NIL ") {
            let (i, envelope) = Self::parse(i)?;
            return Ok((close(i, outer)?.0, envelope));
        }
        let (i, date) = field(i, nstring)?;
        let (i, subject) = field(i, nstring)?;
        let (before, ()) = spaces(i)?;
        let (i, from) = field(before, addresses)?;
        // Most messages have one author, whom the server names three times.
        let said = &before.bytes()[..before.bytes().len() - i.bytes().len()];
        let (i, sender) = field(i, |i| again(i, said, &from))?;
        let (i, reply_to) = field(i, |i| again(i, said, &from))?;
        let (i, to) = field(i, addresses)?;
        let (i, cc) = field(i, addresses)?;
        let (i, bcc) = field(i, addresses)?;
        let (i, in_reply_to) = field(i, nstring)?;
        let (i, message_id) = field(i, nstring)?;
        let (i, ()) = close(i, outer)?;
        let envelope = Self {
            date,
            subject,
            from,
            sender,
            reply_to,
            to,
            cc,
            bcc,
            in_reply_to,
            message_id,
        };
        Ok((i, envelope))
    }
}

/// A field, or nothing where the server left the last ones out.
#[inline]
pub(super) fn field<'a, T: Default>(
    i: Input<'a>,
    parse: impl Fn(Input<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, T> {
    let (i, ()) = spaces(i)?;
    if i.first() == Some(b')') {
        return Ok((i, T::default()));
    }
    parse(i)
}

/// Addresses that may be the same as those that were read before.
fn again<'a>(i: Input<'a>, said: &[u8], before: &[Address]) -> Parsed<'a, Vec<Address>> {
    // The parentheses at both ends make them complete.
    if said.len() > 2 && said.ends_with(b")") && i.bytes().starts_with(said) {
        before.iter().try_for_each(|_| i.count())?;
        return Ok((i.after(said.len()), before.to_vec()));
    }
    addresses(i)
}

fn addresses(i: Input<'_>) -> Parsed<'_, Vec<Address>> {
    if i.first() == Some(b'(') {
        return list(i, Address::parse);
    }
    if let Ok((i, _)) = tag::<_, _, ()>("\"\"").parse(i) {
        return Ok((i, Vec::new()));
    }
    let (i, ()) = nil(i)?;
    Ok((i, Vec::new()))
}

impl Address {
    fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let outer = i;
        if i.first() != Some(b'(') {
            return Err(WRONG);
        }
        let (i, ()) = open(i)?;
        let (i, name) = field(i, nstring)?;
        let (i, route) = field(i, nstring)?;
        let (i, mailbox) = field(i, nstring)?;
        let (i, host) = field(i, nstring)?;
        let (i, ()) = close(i, outer)?;
        let address = Self {
            name,
            route,
            mailbox,
            host,
        };
        Ok((i, address))
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::{Response, ResponseParser};

    /// Those that are named again are read as if they were the first.
    #[test]
    fn addresses_that_are_named_again_are_the_same() {
        let ada = r#"(("Ada" NIL "ada" "a.example")(NIL NIL "list" "a.example"))"#;
        let other = r#"(("Ada" NIL "ada" "a.example")(NIL NIL "list" "b.example"))"#;
        let fewer = r#"(("Ada" NIL "ada" "a.example"))"#;
        for (from, sender, reply_to, counts) in [
            (ada, ada, ada, [2, 2, 2]),
            (ada, other, fewer, [2, 2, 1]),
            (fewer, ada, fewer, [1, 2, 1]),
            ("NIL", "NIL", ada, [0, 0, 2]),
            ("()", "()", "()", [0, 0, 0]),
        ] {
            let line = format!("* 1 FETCH (ENVELOPE (NIL NIL {from} {sender} {reply_to}");
            let line = format!("{line} {ada} NIL NIL NIL NIL))");
            let Response::Fetch(fetch) = ResponseParser::default().parse(line.clone().into())
            else {
                panic!("{line}");
            };
            let envelope = fetch.envelope.expect(&line);
            let read = [&envelope.from, &envelope.sender, &envelope.reply_to];
            assert_eq!(read.map(Vec::len), counts, "{line}");
            let host = |text: &str| text.contains("b.example");
            for (said, read) in [from, sender, reply_to].into_iter().zip(read) {
                let is_b = read.iter().any(|it| it.host == Some("b.example".into()));
                assert_eq!(is_b, host(said), "{line}");
            }
        }
    }
}
