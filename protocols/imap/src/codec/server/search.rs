//! Searches, as a server reads them (RFC 9051, section 6.4.4).

use super::super::date::Date;
use super::super::flag::Flag;
use super::super::input::{Input, Parsed, WRONG};
use super::super::set::{Messages, SequenceSet};
use super::super::text::Text;
use super::super::token::{astring, close, keyword, number, number64, open, space};
use super::request::bare_set;

/// What messages are searched by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Search {
    /// All of these are true; where there are none, any message is meant.
    All(Vec<Self>),
    /// One of the two is true.
    Either(Box<Self>, Box<Self>),
    /// It is not true.
    Not(Box<Self>),
    /// It is among these.
    Among(Messages),
    /// It has this flag.
    Has(Flag),
    /// This is in its text.
    Text(SearchIn, Text),
    /// It arrived before this day.
    Before(Date),
    /// It arrived on this day.
    On(Date),
    /// It arrived on this day, or later.
    Since(Date),
    /// Its `Date` is before this day.
    SentBefore(Date),
    /// Its `Date` is this day.
    SentOn(Date),
    /// Its `Date` is this day, or later.
    SentSince(Date),
    /// It has more bytes.
    Larger(u64),
    /// It has less bytes.
    Smaller(u64),
    /// It has changed since, this change included (CONDSTORE).
    ModSeq(u64),
}

/// In which part of a message a text is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchIn {
    /// In the header's field of this name. An empty text is in any.
    Field(Text),
    /// In the text without the header.
    Body,
    /// Everywhere.
    Anywhere,
}

/// What an ESEARCH tells (RFC 4731).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the grammar's words")]
pub struct Found {
    /// The lowest match.
    pub min: bool,
    /// The highest match.
    pub max: bool,
    /// All matches.
    pub all: bool,
    /// How many there are.
    pub count: bool,
}

impl Search {
    /// One key or several.
    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let (mut i, first) = key(i)?;
        let mut keys = vec![first];
        while let Ok((rest, ())) = space(i) {
            if rest.first() == Some(b')') {
                break;
            }
            let (rest, next) = key(rest)?;
            keys.push(next);
            i = rest;
        }
        Ok((i, Self::All(keys)))
    }

    /// Whether changes have to be counted for it.
    pub fn has_modseq(&self) -> bool {
        match self {
            Self::All(keys) => keys.iter().any(Self::has_modseq),
            Self::Either(one, other) => one.has_modseq() || other.has_modseq(),
            Self::Not(key) => key.has_modseq(),
            Self::ModSeq(_) => true,
            _ => false,
        }
    }
}

fn key(i: Input<'_>) -> Parsed<'_, Search> {
    i.count()?;
    let outer = i;
    if i.first() == Some(b'(') {
        let (i, ()) = open(i)?;
        let (i, keys) = Search::parse(i)?;
        return Ok((close(i, outer)?.0, keys));
    }
    if i.first()
        .is_some_and(|byte| byte.is_ascii_digit() || byte == b'*')
    {
        let (i, numbers) = bare_set(i)?;
        return Ok((i, Search::Among(Messages::Numbers(numbers))));
    }
    let (i, name) = keyword(i)?;
    let name = name.as_bytes();
    let not = |key| Search::Not(Box::new(key));
    if let Some(key) = word(name) {
        return Ok((i, key));
    }
    let field = |name: &str| SearchIn::Field(Text::from(name));
    match name {
        b"NOT" => {
            let (i, key) = space(i.deeper()?).and_then(|(i, ())| key(i))?;
            Ok((i.level(outer), not(key)))
        }
        b"OR" => {
            let (i, one) = space(i.deeper()?).and_then(|(i, ())| key(i))?;
            let (i, other) = space(i).and_then(|(i, ())| key(i))?;
            let either = Search::Either(Box::new(one), Box::new(other));
            Ok((i.level(outer), either))
        }
        b"UID" => {
            let (i, uids): (_, SequenceSet) = space(i).and_then(|(i, ())| bare_set(i))?;
            Ok((i, Search::Among(Messages::Uids(uids))))
        }
        b"KEYWORD" | b"UNKEYWORD" => {
            let (i, flag) = space(i).and_then(|(i, ())| Flag::parse(i))?;
            let has = Search::Has(flag);
            let is_without = name == b"UNKEYWORD";
            Ok((i, if is_without { not(has) } else { has }))
        }
        b"FROM" => text(i, field("From")),
        b"TO" => text(i, field("To")),
        b"CC" => text(i, field("Cc")),
        b"BCC" => text(i, field("Bcc")),
        b"SUBJECT" => text(i, field("Subject")),
        b"BODY" => text(i, SearchIn::Body),
        b"TEXT" => text(i, SearchIn::Anywhere),
        b"HEADER" => {
            let (i, name) = space(i).and_then(|(i, ())| astring(i))?;
            text(i, SearchIn::Field(name))
        }
        b"BEFORE" => date(i, Search::Before),
        b"ON" => date(i, Search::On),
        b"SINCE" => date(i, Search::Since),
        b"SENTBEFORE" => date(i, Search::SentBefore),
        b"SENTON" => date(i, Search::SentOn),
        b"SENTSINCE" => date(i, Search::SentSince),
        b"LARGER" | b"SMALLER" => {
            let (i, size) = space(i).and_then(|(i, ())| number(i))?;
            let size = u64::from(size);
            let is_larger = name == b"LARGER";
            let key = if is_larger {
                Search::Larger(size)
            } else {
                Search::Smaller(size)
            };
            Ok((i, key))
        }
        b"MODSEQ" => {
            let (mut i, ()) = space(i)?;
            if i.first() == Some(b'"') {
                // The name of a flag, and of whose it is: all count alike here.
                let (rest, _) = astring(i)?;
                let (rest, _) = space(rest).and_then(|(i, ())| keyword(i))?;
                i = space(rest)?.0;
            }
            let (i, modseq) = number64(i)?;
            Ok((i, Search::ModSeq(modseq)))
        }
        _ => Err(WRONG),
    }
}

/// The keys that are words alone.
fn word(name: &[u8]) -> Option<Search> {
    let has = |flag| Some(Search::Has(flag));
    let not = |flag| Some(Search::Not(Box::new(Search::Has(flag))));
    match name {
        b"ALL" => Some(Search::All(Vec::new())),
        b"ANSWERED" => has(Flag::Answered),
        b"DELETED" => has(Flag::Deleted),
        b"DRAFT" => has(Flag::Draft),
        b"FLAGGED" => has(Flag::Flagged),
        b"SEEN" => has(Flag::Seen),
        b"RECENT" => has(Flag::Recent),
        b"UNANSWERED" => not(Flag::Answered),
        b"UNDELETED" => not(Flag::Deleted),
        b"UNDRAFT" => not(Flag::Draft),
        b"UNFLAGGED" => not(Flag::Flagged),
        b"UNSEEN" => not(Flag::Seen),
        b"OLD" => not(Flag::Recent),
        b"NEW" => Some(Search::All(vec![has(Flag::Recent)?, not(Flag::Seen)?])),
        _ => None,
    }
}

fn text(i: Input<'_>, place: SearchIn) -> Parsed<'_, Search> {
    let (i, text) = space(i).and_then(|(i, ())| astring(i))?;
    Ok((i, Search::Text(place, text)))
}

fn date(i: Input<'_>, make: fn(Date) -> Search) -> Parsed<'_, Search> {
    let (i, date) = space(i).and_then(|(i, ())| astring(i))?;
    let date = Date::read(date.as_bytes()).ok_or(WRONG)?;
    Ok((i, make(date)))
}
