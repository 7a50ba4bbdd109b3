//! FETCH: what a server tells of a message (RFC 9051, section 7.5.2, and what extensions add).

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::opt;

use super::date::DateTime;
use super::envelope::Envelope;
use super::flag::Flag;
use super::input::{Input, Parsed, WRONG};
use super::section::Section;
use super::structure::Structure;
use super::text::Text;
use super::token::{
    Data, Keyword, astring, close, list, ndata, nil, nstring, number, number64, open, run, spaces,
    value,
};

/// What a server tells of one message: what was asked for, or what has changed.
///
/// A server may tell of a message in several of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetch {
    /// The message's number; `None` where the server tells UIDs only (UIDONLY, RFC 9586).
    pub number: Option<u32>,
    /// Its UID.
    pub uid: Option<u32>,
    /// Its flags.
    pub flags: Option<Vec<Flag>>,
    /// When it arrived.
    pub internal_date: Option<DateTime>,
    /// How large it is, in bytes.
    pub size: Option<u64>,
    /// Its header, in short.
    pub envelope: Option<Box<Envelope>>,
    /// What it is made of.
    pub structure: Option<Box<Structure>>,
    /// The number of its last change (CONDSTORE, RFC 7162).
    pub modseq: Option<u64>,
    /// Its identity, whichever mailbox it is in (OBJECTID, RFC 8474).
    pub email_id: Option<Text>,
    /// The identity of its thread (OBJECTID).
    pub thread_id: Option<Text>,
    /// How it begins, in words (PREVIEW, RFC 8970).
    pub preview: Option<Text>,
    /// When it came into this mailbox (SAVEDATE, RFC 8514).
    pub save_date: Option<DateTime>,
    /// What Gmail has of it (X-GM-EXT-1).
    pub gmail: Option<Box<Gmail>>,
    /// Parts of its text.
    pub sections: Vec<Body>,
    /// What this crate can't read: items as they came, with their names.
    pub unknown: Vec<Text>,
}

/// A part of a message's text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Body {
    /// Which part.
    pub section: Section,
    /// Where in it this begins, if not all of it was asked for.
    pub origin: Option<u32>,
    /// Whether its transfer encoding was undone (BINARY, RFC 3516).
    pub is_binary: bool,
    /// What is in it; `None` where there is no such part.
    pub data: Option<Data>,
}

/// What Gmail has of a message (X-GM-EXT-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gmail {
    /// Its identity, whichever mailbox it is in.
    pub message_id: Option<u64>,
    /// The identity of its thread.
    pub thread_id: Option<u64>,
    /// Its labels.
    pub labels: Option<Vec<Text>>,
}

impl Fetch {
    /// Behind `FETCH`, or `UIDFETCH`.
    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let outer = i;
        let (mut i, ()) = open(i)?;
        let mut fetch = Self::default();
        loop {
            (i, ()) = spaces(i)?;
            if i.first() == Some(b')') {
                let (i, ()) = close(i, outer)?;
                return Ok((i, fetch));
            }
            i.count()?;
            i = match fetch.item(i) {
                Ok((rest, ())) => rest,
                Err(_) => fetch.unknown(i)?.0,
            };
        }
    }

    fn item<'a>(&mut self, i: Input<'a>) -> Parsed<'a, ()> {
        let (i, name) = name(i)?;
        let keyword = Keyword::new(name.bytes());
        let (behind, ()) = spaces(i)?;
        let rest = match keyword.as_bytes() {
            b"UID" => into(&mut self.uid, number(behind)?),
            b"FLAGS" => into(&mut self.flags, list(behind, Flag::parse)?),
            b"ENVELOPE" => {
                let (rest, envelope) = Envelope::parse(behind)?;
                self.envelope = Some(Box::new(envelope));
                rest
            }
            b"INTERNALDATE" => into(&mut self.internal_date, DateTime::parse(behind)?),
            b"RFC822.SIZE" => into(&mut self.size, number64(behind)?),
            b"BODYSTRUCTURE" => self.structured(behind)?,
            b"BODY" if i.first() != Some(b'[') => self.structured(behind)?,
            b"BODY" | b"BODY.PEEK" => self.section(i, false)?,
            // pymap answers in the words of the request.
            b"BINARY" | b"BINARY.PEEK" => self.section(i, true)?,
            b"RFC822" => self.whole(behind, Section::all())?,
            b"RFC822.HEADER" => self.whole(behind, Section::header())?,
            b"RFC822.TEXT" => self.whole(behind, Section::text())?,
            b"MODSEQ" => {
                let (rest, modseq) = list(behind, number64)?;
                self.modseq = modseq.first().copied();
                rest
            }
            b"EMAILID" => optional(&mut self.email_id, in_parentheses(behind)?),
            b"THREADID" => optional(&mut self.thread_id, in_parentheses(behind)?),
            b"PREVIEW" => optional(&mut self.preview, nstring(behind)?),
            b"SAVEDATE" => match nil(behind) {
                Ok((rest, ())) => rest,
                Err(_) => into(&mut self.save_date, DateTime::parse(behind)?),
            },
            b"X-GM-MSGID" => into(&mut self.gmail().message_id, number64(behind)?),
            b"X-GM-THRID" => into(&mut self.gmail().thread_id, number64(behind)?),
            b"X-GM-LABELS" => into(&mut self.gmail().labels, list(behind, astring)?),
            _ => return Err(WRONG),
        };
        Ok((rest, ()))
    }

    fn structured<'a>(&mut self, i: Input<'a>) -> Result<Input<'a>, nom::Err<()>> {
        let (rest, structure) = Structure::parse(i)?;
        self.structure = Some(Box::new(structure));
        Ok(rest)
    }

    fn section<'a>(&mut self, i: Input<'a>, is_binary: bool) -> Result<Input<'a>, nom::Err<()>> {
        let (i, section) = Section::parse(i)?;
        let (i, origin) = opt((char('<'), number, char('>'))).parse(i)?;
        let (i, ()) = spaces(i)?;
        let (rest, data) = ndata(i)?;
        self.sections.push(Body {
            section,
            origin: origin.map(|(_, origin, _)| origin),
            is_binary,
            data,
        });
        Ok(rest)
    }

    fn whole<'a>(&mut self, i: Input<'a>, section: Section) -> Result<Input<'a>, nom::Err<()>> {
        let (rest, data) = ndata(i)?;
        self.sections.push(Body {
            section,
            origin: None,
            is_binary: false,
            data,
        });
        Ok(rest)
    }

    fn gmail(&mut self) -> &mut Gmail {
        self.gmail.get_or_insert_default()
    }

    /// An item that can't be read, or is none that is known: its name, and one value if it has one.
    fn unknown<'a>(&mut self, i: Input<'a>) -> Parsed<'a, ()> {
        let (rest, _) = name(i)?;
        let mut rest = rest;
        if rest.first() == Some(b'[') {
            let end = memchr::memchr(b']', rest.bytes()).ok_or(WRONG)?;
            rest = rest.after(end + 1);
        }
        let (behind, ()) = spaces(rest)?;
        if !matches!(behind.first(), Some(b')') | None) {
            rest = value(behind)?.0;
        }
        let length = i.bytes().len() - rest.bytes().len();
        self.unknown.push(i.split(length).0.text());
        Ok((rest, ()))
    }

    /// What a FETCH response says before a literal: the message's number, its UID if that came
    /// already, and the section whose text the literal is.
    pub(crate) fn head(head: &[u8]) -> Option<Head> {
        let text = std::str::from_utf8(head).ok()?;
        let text = text.strip_suffix('~').unwrap_or(text);
        let mut words = text.strip_prefix("* ")?.splitn(3, ' ');
        let number = words.next()?.parse().ok()?;
        let kind = words.next()?;
        let items = words.next()?.trim_start();
        let is_uid = kind.eq_ignore_ascii_case("UIDFETCH");
        if !is_uid && !kind.eq_ignore_ascii_case("FETCH") {
            return None;
        }
        let upper = items.to_ascii_uppercase();
        // Nothing before a section's text has brackets, but for strings that a server may put there:
        // the section is what stands last.
        let names = ["BODY[", "BINARY[", "BODY.PEEK[", "BINARY.PEEK["];
        let begins = names.iter().find_map(|name| upper.rfind(name))?;
        let uid = if is_uid {
            Some(number)
        } else {
            uid(&upper[..begins])
        };
        let section = items[begins..].find('[').map(|at| &items[begins + at..])?;
        Some(Head {
            number,
            uid,
            section: section.trim_end().to_owned(),
        })
    }
}

/// What is known of a message at a literal in its FETCH response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u32,
    pub(crate) uid: Option<u32>,
    /// With its brackets.
    pub(crate) section: String,
}

/// The UID among items that are plain words.
fn uid(items: &str) -> Option<u32> {
    let mut words = items.trim_start_matches('(').split(' ');
    while let Some(word) = words.next() {
        if word == "UID" {
            return words.next()?.trim_end_matches(')').parse().ok();
        }
        // Behind a string nothing is certain.
        if word.contains('"') {
            return None;
        }
    }
    None
}

fn name(i: Input<'_>) -> Parsed<'_, Input<'_>> {
    run(i, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
    })
}

fn into<'a, T>(to: &mut Option<T>, (rest, found): (Input<'a>, T)) -> Input<'a> {
    *to = Some(found);
    rest
}

fn optional<'a, T>(to: &mut Option<T>, (rest, found): (Input<'a>, Option<T>)) -> Input<'a> {
    *to = found;
    rest
}

/// `(ID)`, `NIL`, or nothing in parentheses.
fn in_parentheses(i: Input<'_>) -> Parsed<'_, Option<Text>> {
    if let Ok((i, ())) = nil(i) {
        return Ok((i, None));
    }
    let (i, _) = tag("(").parse(i)?;
    let (i, id) = opt(take_while1(|byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
    }))
    .parse(i)?;
    let (i, _) = tag(")").parse(i)?;
    Ok((i, id.map(Input::text)))
}
