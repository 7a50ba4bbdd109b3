//! What is asked of mailboxes: opened, listed, told of, appended to.

use super::{Asked, ListAsked, Resync, bare_set, mailbox, set};
use crate::codec::command::StatusItem;
use crate::codec::date::DateTime;
use crate::codec::flag::Flag;
use crate::codec::input::{Input, Parsed, WRONG};
use crate::codec::mailbox::MailboxName;
use crate::codec::token::{
    Data, astring, close, keyword, list, literal, number, number64, open, space,
};

pub(super) fn select(i: Input<'_>, read_only: bool) -> Parsed<'_, Asked> {
    let (mut i, mailbox) = mailbox(i)?;
    let (mut condstore, mut resync) = (false, None);
    if let Ok((rest, ())) = space(i) {
        let (rest, _) = list(rest, |i| {
            let (i, name) = keyword(i)?;
            match name.as_bytes() {
                b"CONDSTORE" => {
                    condstore = true;
                    Ok((i, ()))
                }
                b"QRESYNC" => {
                    let (i, found) = space(i).and_then(|(i, ())| known(i))?;
                    resync = Some(found);
                    Ok((i, ()))
                }
                _ => Err(WRONG),
            }
        })?;
        i = rest;
    }
    let select = Asked::Select {
        mailbox,
        read_only,
        condstore,
        resync,
    };
    Ok((i, select))
}

/// `(UIDVALIDITY MODSEQ [known UIDs] [(numbers UIDs)])`; the last only saves bytes.
fn known(i: Input<'_>) -> Parsed<'_, Resync> {
    let outer = i;
    let (i, ()) = open(i)?;
    let (i, uid_validity) = number(i)?;
    let (i, modseq) = space(i).and_then(|(i, ())| number64(i))?;
    let (mut i, mut known) = (i, None);
    if let Ok((rest, found)) = set(i) {
        (i, known) = (rest, Some(found));
    }
    if let Ok((rest, ())) = space(i) {
        let inner = rest;
        let (rest, ()) = open(rest)?;
        let (rest, _) = bare_set(rest)?;
        let (rest, _) = set(rest)?;
        i = close(rest, inner)?.0;
    }
    let (i, ()) = close(i, outer)?;
    let resync = Resync {
        uid_validity,
        modseq,
        known,
    };
    Ok((i, resync))
}

/// A pattern or a reference, in Unicode where it can be.
fn pattern(i: Input<'_>) -> Parsed<'_, String> {
    i.count()?;
    let (i, text) = astring(i)?;
    Ok((i, MailboxName::read(&text.into_bytes(), false).to_string()))
}

pub(super) fn listing(i: Input<'_>, is_lsub: bool) -> Parsed<'_, Asked> {
    let mut asked = ListAsked {
        is_lsub,
        subscribed: is_lsub,
        ..ListAsked::default()
    };
    let (mut i, ()) = space(i)?;
    if i.first() == Some(b'(') && !is_lsub {
        let (rest, _) = list(i, |i| {
            let (i, option) = keyword(i)?;
            match option.as_bytes() {
                b"SUBSCRIBED" => asked.subscribed = true,
                b"SPECIAL-USE" => asked.special_use = true,
                b"REMOTE" | b"RECURSIVEMATCH" => {}
                _ => return Err(WRONG),
            }
            Ok((i, ()))
        })?;
        asked.is_extended = true;
        i = space(rest)?.0;
    }
    let (i, reference) = pattern(i)?;
    asked.reference = reference;
    let (mut i, ()) = space(i)?;
    if i.first() == Some(b'(') {
        let (rest, patterns) = list(i, pattern)?;
        asked.patterns = patterns;
        asked.is_extended = true;
        i = rest;
    } else {
        let (rest, one) = pattern(i)?;
        asked.patterns = vec![one];
        i = rest;
    }
    if let Ok((rest, ())) = space(i) {
        let (rest, word) = keyword(rest)?;
        if word.as_bytes() != b"RETURN" {
            return Err(WRONG);
        }
        asked.is_extended = true;
        let (rest, _) = space(rest).and_then(|(i, ())| {
            list(i, |i| {
                let (i, option) = keyword(i)?;
                if option.as_bytes() != b"STATUS" {
                    return Ok((i, ()));
                }
                let (i, items) = space(i).and_then(|(i, ())| status_items(i))?;
                asked.status = items;
                Ok((i, ()))
            })
        })?;
        i = rest;
    }
    Ok((i, Asked::List(asked)))
}

pub(super) fn status_items(i: Input<'_>) -> Parsed<'_, Vec<StatusItem>> {
    let (i, items) = list(i, |i| {
        let (i, name) = keyword(i)?;
        let item = match name.as_bytes() {
            b"MESSAGES" => StatusItem::Messages,
            b"RECENT" => StatusItem::Recent,
            b"UIDNEXT" => StatusItem::UidNext,
            b"UIDVALIDITY" => StatusItem::UidValidity,
            b"UNSEEN" => StatusItem::Unseen,
            b"DELETED" => StatusItem::Deleted,
            b"SIZE" => StatusItem::Size,
            b"HIGHESTMODSEQ" => StatusItem::HighestModSeq,
            _ => return Ok((i, None)),
        };
        Ok((i, Some(item)))
    })?;
    Ok((i, items.into_iter().flatten().collect()))
}

pub(super) fn append(i: Input<'_>) -> Parsed<'_, Asked> {
    let (i, mailbox) = mailbox(i)?;
    let (mut i, ()) = space(i)?;
    let (mut flags, mut date) = (Vec::new(), None);
    if i.first() == Some(b'(') {
        (i, flags) = list(i, Flag::parse)?;
        (i, ()) = space(i)?;
    }
    if i.first() == Some(b'"') {
        let (rest, found) = DateTime::parse(i)?;
        date = Some(found);
        (i, ()) = space(rest)?;
    }
    let (i, Data::Text(message)) = literal(i)? else {
        return Err(WRONG);
    };
    let append = Asked::Append {
        mailbox,
        flags,
        date,
        message: message.into_bytes(),
    };
    Ok((i, append))
}
