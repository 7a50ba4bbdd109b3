//! What is asked of messages: found, told of, changed, copied and moved.

use super::{Asked, Wanted, mailbox, set};
use crate::codec::command::FlagChange;
use crate::codec::flag::Flag;
use crate::codec::input::{Input, Parsed, WRONG};
use crate::codec::mailbox::MailboxName;
use crate::codec::section::Section;
use crate::codec::server::search::{Found, Search};
use crate::codec::set::{Messages, SequenceSet};
use crate::codec::token::{
    astring, byte, close, keyword, list, number, number64, open, space, spaces,
};

pub(super) fn search(i: Input<'_>, uids: bool) -> Parsed<'_, Asked> {
    let (mut i, ()) = space(i)?;
    let (mut returns, mut charset) = (None, None);
    if let Ok((rest, word)) = keyword(i)
        && word.as_bytes() == b"RETURN"
    {
        let mut found = Found::default();
        let (rest, options) = space(rest).and_then(|(i, ())| {
            list(i, |i| {
                let (i, option) = keyword(i)?;
                match option.as_bytes() {
                    b"MIN" => found.min = true,
                    b"MAX" => found.max = true,
                    b"ALL" => found.all = true,
                    b"COUNT" => found.count = true,
                    _ => return Err(WRONG),
                }
                Ok((i, ()))
            })
        })?;
        found.all |= options.is_empty();
        returns = Some(found);
        i = space(rest)?.0;
    }
    if let Ok((rest, word)) = keyword(i)
        && word.as_bytes() == b"CHARSET"
    {
        let (rest, name) = space(rest).and_then(|(i, ())| astring(i))?;
        charset = Some(name);
        i = space(rest)?.0;
    }
    let (i, search) = Search::parse(i)?;
    let search = Asked::Search {
        uids,
        returns,
        charset,
        search,
    };
    Ok((i, search))
}

pub(super) fn fetch(i: Input<'_>, make: fn(SequenceSet) -> Messages) -> Parsed<'_, Asked> {
    let (i, messages) = set(i)?;
    let (i, ()) = space(i)?;
    let (mut i, mut items) = if i.first() == Some(b'(') {
        list(i, wanted)?
    } else if let Some((rest, items)) = several(i) {
        (rest, items)
    } else {
        let (i, item) = wanted(i)?;
        (i, vec![item])
    };
    if items.is_empty() {
        return Err(WRONG);
    }
    let (mut changed_since, mut vanished) = (None, false);
    if let Ok((rest, ())) = space(i) {
        (i, _) = list(rest, |i| {
            let (i, name) = keyword(i)?;
            match name.as_bytes() {
                b"CHANGEDSINCE" => {
                    let (i, modseq) = space(i).and_then(|(i, ())| number64(i))?;
                    changed_since = Some(modseq);
                    Ok((i, ()))
                }
                b"VANISHED" => {
                    vanished = true;
                    Ok((i, ()))
                }
                _ => Err(WRONG),
            }
        })?;
    }
    let messages = make(messages);
    if matches!(messages, Messages::Uids(_)) && !items.contains(&Wanted::Uid) {
        items.insert(0, Wanted::Uid);
    }
    let fetch = Asked::Fetch {
        messages,
        items,
        changed_since,
        vanished,
    };
    Ok((i, fetch))
}

/// The macros.
fn several(i: Input<'_>) -> Option<(Input<'_>, Vec<Wanted>)> {
    let (rest, name) = keyword(i).ok()?;
    let mut items = vec![Wanted::Flags, Wanted::InternalDate, Wanted::Size];
    match name.as_bytes() {
        b"FAST" => {}
        b"ALL" => items.push(Wanted::Envelope),
        b"FULL" => {
            items.push(Wanted::Envelope);
            items.push(Wanted::Structure { extended: false });
        }
        _ => return None,
    }
    Some((rest, items))
}

fn wanted(i: Input<'_>) -> Parsed<'_, Wanted> {
    let (i, name) = keyword(i)?;
    let old = |name, section, marks_seen| Wanted::Body {
        name: Some(name),
        section,
        partial: None,
        marks_seen,
    };
    let item = match name.as_bytes() {
        b"BODY" | b"BODY.PEEK" if i.first() == Some(b'[') => {
            let (i, section) = Section::parse(i)?;
            let (mut i, mut partial) = (i, None);
            if i.first() == Some(b'<') {
                let (rest, from) = number(i.after(1))?;
                let (rest, count) = number(byte(rest, b'.')?)?;
                i = byte(rest, b'>')?;
                partial = Some((from, count));
            }
            let body = Wanted::Body {
                name: None,
                section,
                partial,
                marks_seen: name.as_bytes() == b"BODY",
            };
            return Ok((i, body));
        }
        b"UID" => Wanted::Uid,
        b"FLAGS" => Wanted::Flags,
        b"INTERNALDATE" => Wanted::InternalDate,
        b"RFC822.SIZE" => Wanted::Size,
        b"ENVELOPE" => Wanted::Envelope,
        b"BODYSTRUCTURE" => Wanted::Structure { extended: true },
        b"BODY" => Wanted::Structure { extended: false },
        b"MODSEQ" => Wanted::ModSeq,
        b"RFC822" => old("RFC822", Section::all(), true),
        b"RFC822.HEADER" => old("RFC822.HEADER", Section::header(), false),
        b"RFC822.TEXT" => old("RFC822.TEXT", Section::text(), true),
        _ => return Err(WRONG),
    };
    Ok((i, item))
}

pub(super) fn store(i: Input<'_>, make: fn(SequenceSet) -> Messages) -> Parsed<'_, Asked> {
    let (i, messages) = set(i)?;
    let (mut i, ()) = space(i)?;
    let mut unchanged_since = None;
    if i.first() == Some(b'(') {
        let outer = i;
        let (rest, ()) = open(i)?;
        let (rest, name) = keyword(rest)?;
        if name.as_bytes() != b"UNCHANGEDSINCE" {
            return Err(WRONG);
        }
        let (rest, modseq) = space(rest).and_then(|(i, ())| number64(i))?;
        unchanged_since = Some(modseq);
        i = space(close(rest, outer)?.0)?.0;
    }
    let sign = i.first();
    if let Some(b'+' | b'-') = sign {
        i = i.after(1);
    }
    let (i, name) = keyword(i)?;
    let silent = match name.as_bytes() {
        b"FLAGS" => false,
        b"FLAGS.SILENT" => true,
        _ => return Err(WRONG),
    };
    let (i, ()) = space(i)?;
    let (i, flags) = if i.first() == Some(b'(') {
        list(i, Flag::parse)?
    } else {
        let (mut i, first) = Flag::parse(i)?;
        let mut flags = vec![first];
        while let Ok((rest, ())) = space(i) {
            i.count()?;
            let (rest, flag) = Flag::parse(rest)?;
            flags.push(flag);
            i = rest;
        }
        (i, flags)
    };
    let change = match sign {
        Some(b'+') => FlagChange::Add(flags),
        Some(b'-') => FlagChange::Remove(flags),
        _ => FlagChange::Replace(flags),
    };
    let store = Asked::Store {
        messages: make(messages),
        change,
        silent,
        unchanged_since,
    };
    Ok((i, store))
}

pub(super) fn copy(
    i: Input<'_>,
    make: fn(SequenceSet) -> Messages,
    asked: fn(Messages, MailboxName) -> Asked,
) -> Parsed<'_, Asked> {
    let (i, messages) = set(i)?;
    let (i, to) = mailbox(i)?;
    let (i, ()) = spaces(i)?;
    Ok((i, asked(make(messages), to)))
}
