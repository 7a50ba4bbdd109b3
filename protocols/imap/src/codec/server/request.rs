//! Requests: what a client asks for, as a server reads it (RFC 9051, section 6).

use std::fmt;

use bytes::Bytes;

use super::super::command::{FlagChange, Secret, StatusItem};
use super::super::data;
use super::super::date::DateTime;
use super::super::flag::Flag;
use super::super::input::{Counted, Input, Parsed, WRONG};
use super::super::limits::Limits;
use super::super::mailbox::MailboxName;
use super::super::section::Section;
use super::super::set::{Messages, SequenceSet};
use super::super::text::Text;
use super::super::token::{
    Data, Keyword, astring, atom, byte, close, keyword, list, literal, nil, number, number64, open,
    run, space, spaces,
};
use super::search::{Found, Search};

/// A request, and the tag by which it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The tag.
    pub tag: Text,
    /// What is asked for.
    pub asked: Asked,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// CAPABILITY.
    Capability,
    /// NOOP, or CHECK.
    Noop,
    /// LOGOUT.
    Logout,
    /// ID, with what the client says of itself.
    Id(Vec<(Text, Option<Text>)>),
    /// ENABLE, with the extensions' names as they came.
    Enable(Vec<Text>),
    /// LOGIN.
    Login {
        /// The user.
        user: Text,
        /// The password.
        password: Secret,
    },
    /// AUTHENTICATE.
    Authenticate {
        /// The mechanism's name.
        mechanism: Text,
        /// The first answer in base64, where it came at once (RFC 4959); empty for `=`.
        initial: Option<Secret>,
    },
    /// SELECT or EXAMINE.
    Select {
        /// Which mailbox.
        mailbox: MailboxName,
        /// EXAMINE.
        read_only: bool,
        /// Whether changes are to be counted (CONDSTORE).
        condstore: bool,
        /// What the client knows already (QRESYNC).
        resync: Option<Resync>,
    },
    /// CREATE.
    Create(MailboxName),
    /// DELETE.
    Delete(MailboxName),
    /// RENAME.
    Rename(MailboxName, MailboxName),
    /// SUBSCRIBE.
    Subscribe(MailboxName),
    /// UNSUBSCRIBE.
    Unsubscribe(MailboxName),
    /// LIST or LSUB.
    List(ListAsked),
    /// STATUS; items that are not known are left out.
    Status(MailboxName, Vec<StatusItem>),
    /// NAMESPACE.
    Namespace,
    /// APPEND.
    Append {
        /// To which mailbox.
        mailbox: MailboxName,
        /// The flags that it gets.
        flags: Vec<Flag>,
        /// When it arrived, if not now.
        date: Option<DateTime>,
        /// The message.
        message: Bytes,
    },
    /// IDLE.
    Idle,
    /// CLOSE.
    Close,
    /// UNSELECT.
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with its UIDs.
    Expunge(Option<SequenceSet>),
    /// SEARCH.
    Search {
        /// Whether UIDs are to be told.
        uids: bool,
        /// What is to be told in an ESEARCH; `None` for a SEARCH.
        returns: Option<Found>,
        /// The character set, where one is named.
        charset: Option<Text>,
        /// What by.
        search: Search,
    },
    /// FETCH.
    Fetch {
        /// Which messages.
        messages: Messages,
        /// What of them.
        items: Vec<Wanted>,
        /// Only what has changed since (CONDSTORE).
        changed_since: Option<u64>,
        /// Whether those that are gone are told as well (QRESYNC).
        vanished: bool,
    },
    /// STORE.
    Store {
        /// Of which messages.
        messages: Messages,
        /// How.
        change: FlagChange,
        /// Whether the new flags need not be told.
        silent: bool,
        /// Only if they have not changed since (CONDSTORE).
        unchanged_since: Option<u64>,
    },
    /// COPY.
    Copy(Messages, MailboxName),
    /// MOVE.
    Move(Messages, MailboxName),
}

/// What a client knows of the mailbox that it opens (RFC 7162, section 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// The UIDVALIDITY that it knows.
    pub uid_validity: u32,
    /// The last change that it knows.
    pub modseq: u64,
    /// The UIDs that it knows; `None` for all.
    pub known: Option<SequenceSet>,
}

/// Which mailboxes are to be listed, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the grammar's words")]
pub struct ListAsked {
    /// LSUB.
    pub is_lsub: bool,
    /// What the patterns begin below.
    pub reference: String,
    /// The names' patterns, in Unicode.
    pub patterns: Vec<String>,
    /// Only those that are subscribed to.
    pub subscribed: bool,
    /// Only those that are for something (SPECIAL-USE).
    pub special_use: bool,
    /// Whether the answer may have children's data and states: RETURN, or a selection, was there.
    pub is_extended: bool,
    /// The state that is told of each (LIST-STATUS).
    pub status: Vec<StatusItem>,
}

/// What FETCH is to tell of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// UID.
    Uid,
    /// FLAGS.
    Flags,
    /// INTERNALDATE.
    InternalDate,
    /// RFC822.SIZE.
    Size,
    /// ENVELOPE.
    Envelope,
    /// BODYSTRUCTURE, or BODY, which has no extensions.
    Structure {
        /// BODYSTRUCTURE.
        extended: bool,
    },
    /// MODSEQ.
    ModSeq,
    /// A part of the text.
    Body {
        /// Under which of the old names, `RFC822.TEXT` and its like; `None` for `BODY[…]`.
        name: Option<&'static str>,
        /// Which part.
        section: Section,
        /// From which byte on, and how many at the most.
        partial: Option<(u32, u32)>,
        /// Whether the message counts as seen then.
        marks_seen: bool,
    },
}

/// A request that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadRequest {
    /// Its tag, where it has one.
    pub tag: Option<Text>,
    /// Whether the command itself is not known.
    pub is_unknown: bool,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self { tag: None, .. } => "a request begins with a tag",
            Self {
                is_unknown: true, ..
            } => "the command is not known",
            _ => "the arguments can't be read",
        })
    }
}

impl std::error::Error for BadRequest {}

impl Request {
    /// Reads a request, as a [`RequestFramer`](super::RequestFramer) gives it. Of the limits those of
    /// depth and items count.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(bytes: &Bytes, limits: Limits) -> Result<Self, BadRequest> {
        let bad = |tag, is_unknown| BadRequest { tag, is_unknown };
        let counted = Counted::new(bytes, limits);
        let input = Input::new(&counted);
        let is_tag = |byte: u8| {
            byte > b' '
                && byte < 0x7F
                && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+')
        };
        let (i, tag) = run(input, is_tag).map_err(|_| bad(None, false))?;
        let tag = tag.text();
        let named = space(i).and_then(|(i, ())| name(i));
        let (mut i, mut command) = named.map_err(|_| bad(Some(tag.clone()), true))?;
        let uids = command.as_bytes() == b"UID";
        if uids {
            let named = space(i).and_then(|(i, ())| name(i));
            (i, command) = named.map_err(|_| bad(Some(tag.clone()), true))?;
        }
        let asked = if uids {
            with_uids(i, command.as_bytes())
        } else {
            plain(i, command.as_bytes())
        };
        let asked = asked.ok_or_else(|| bad(Some(tag.clone()), true))?;
        match asked {
            Ok((rest, asked)) if rest.is_empty() => Ok(Self { tag, asked }),
            _ => Err(bad(Some(tag), false)),
        }
    }
}

/// A command's name.
fn name(i: Input<'_>) -> Parsed<'_, Keyword> {
    let (i, name) = run(i, |byte| byte.is_ascii_alphabetic())?;
    Ok((i, Keyword::new(name.bytes())))
}

/// What stands behind a command's name; `None` where there is no such command.
fn plain<'a>(i: Input<'a>, command: &[u8]) -> Option<Parsed<'a, Asked>> {
    let alone = |asked| Ok((i, asked));
    Some(match command {
        b"CAPABILITY" => alone(Asked::Capability),
        b"NOOP" | b"CHECK" => alone(Asked::Noop),
        b"LOGOUT" => alone(Asked::Logout),
        b"NAMESPACE" => alone(Asked::Namespace),
        b"IDLE" => alone(Asked::Idle),
        b"CLOSE" => alone(Asked::Close),
        b"UNSELECT" => alone(Asked::Unselect),
        b"EXPUNGE" => alone(Asked::Expunge(None)),
        b"ID" => space(i).and_then(|(i, ())| {
            if let Ok((i, ())) = nil(i) {
                return Ok((i, Asked::Id(Vec::new())));
            }
            into(data::id(i)?, Asked::Id)
        }),
        b"ENABLE" => enable(i),
        b"LOGIN" => login(i),
        b"AUTHENTICATE" => authenticate(i),
        b"SELECT" => select(i, false),
        b"EXAMINE" => select(i, true),
        b"CREATE" => mailbox(i).and_then(|it| into(it, Asked::Create)),
        b"DELETE" => mailbox(i).and_then(|it| into(it, Asked::Delete)),
        b"SUBSCRIBE" => mailbox(i).and_then(|it| into(it, Asked::Subscribe)),
        b"UNSUBSCRIBE" => mailbox(i).and_then(|it| into(it, Asked::Unsubscribe)),
        b"RENAME" => mailbox(i).and_then(|(i, from)| {
            let (i, to) = mailbox(i)?;
            Ok((i, Asked::Rename(from, to)))
        }),
        b"LIST" => listing(i, false),
        b"LSUB" => listing(i, true),
        b"STATUS" => mailbox(i).and_then(|(i, mailbox)| {
            let (i, items) = space(i).and_then(|(i, ())| status_items(i))?;
            Ok((i, Asked::Status(mailbox, items)))
        }),
        b"APPEND" => append(i),
        b"SEARCH" => search(i, false),
        b"FETCH" => fetch(i, Messages::Numbers),
        b"STORE" => store(i, Messages::Numbers),
        b"COPY" => copy(i, Messages::Numbers, Asked::Copy),
        b"MOVE" => copy(i, Messages::Numbers, Asked::Move),
        _ => return None,
    })
}

fn with_uids<'a>(i: Input<'a>, command: &[u8]) -> Option<Parsed<'a, Asked>> {
    Some(match command {
        b"SEARCH" => search(i, true),
        b"FETCH" => fetch(i, Messages::Uids),
        b"STORE" => store(i, Messages::Uids),
        b"COPY" => copy(i, Messages::Uids, Asked::Copy),
        b"MOVE" => copy(i, Messages::Uids, Asked::Move),
        b"EXPUNGE" => set(i).and_then(|it| into(it, |uids| Asked::Expunge(Some(uids)))),
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a parser like the others")]
fn into<T, U>((i, found): (Input<'_>, T), make: impl FnOnce(T) -> U) -> Parsed<'_, U> {
    Ok((i, make(found)))
}

/// A space, and a mailbox's name.
fn mailbox(i: Input<'_>) -> Parsed<'_, MailboxName> {
    let (i, ()) = space(i)?;
    let (i, name) = astring(i)?;
    Ok((i, MailboxName::read(&name.into_bytes(), false)))
}

/// A space, and a set.
fn set(i: Input<'_>) -> Parsed<'_, SequenceSet> {
    let (i, ()) = space(i)?;
    bare_set(i)
}

pub(super) fn bare_set(i: Input<'_>) -> Parsed<'_, SequenceSet> {
    let (set, length) = SequenceSet::read(i.bytes()).ok_or(WRONG)?;
    for _ in 0..set.ranges() {
        i.count_number()?;
    }
    Ok((i.after(length), set))
}

fn secret(text: &Text) -> Result<Secret, nom::Err<()>> {
    let text = std::str::from_utf8(text.as_bytes()).map_err(|_| WRONG)?;
    Ok(Secret::from(text))
}

fn enable(i: Input<'_>) -> Parsed<'_, Asked> {
    let (mut i, mut names) = (i, Vec::new());
    while let Ok((rest, ())) = space(i) {
        i.count()?;
        let (rest, name) = atom(rest)?;
        names.push(name.text());
        i = rest;
    }
    if names.is_empty() {
        return Err(WRONG);
    }
    Ok((i, Asked::Enable(names)))
}

fn login(i: Input<'_>) -> Parsed<'_, Asked> {
    let (i, user) = space(i).and_then(|(i, ())| astring(i))?;
    let (i, password) = space(i).and_then(|(i, ())| astring(i))?;
    let password = secret(&password)?;
    Ok((i, Asked::Login { user, password }))
}

fn authenticate(i: Input<'_>) -> Parsed<'_, Asked> {
    let (i, mechanism) = space(i).and_then(|(i, ())| atom(i))?;
    let mechanism = mechanism.text();
    let Ok((i, ())) = space(i) else {
        let initial = None;
        return Ok((i, Asked::Authenticate { mechanism, initial }));
    };
    let (i, initial) = run(i, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
    })?;
    let initial = match initial.text() {
        text if text == "=" => Text::default(),
        text => text,
    };
    let initial = Some(secret(&initial)?);
    Ok((i, Asked::Authenticate { mechanism, initial }))
}

fn select(i: Input<'_>, read_only: bool) -> Parsed<'_, Asked> {
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

fn listing(i: Input<'_>, is_lsub: bool) -> Parsed<'_, Asked> {
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

fn status_items(i: Input<'_>) -> Parsed<'_, Vec<StatusItem>> {
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

fn append(i: Input<'_>) -> Parsed<'_, Asked> {
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

fn search(i: Input<'_>, uids: bool) -> Parsed<'_, Asked> {
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

fn fetch(i: Input<'_>, make: fn(SequenceSet) -> Messages) -> Parsed<'_, Asked> {
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

fn store(i: Input<'_>, make: fn(SequenceSet) -> Messages) -> Parsed<'_, Asked> {
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

fn copy(
    i: Input<'_>,
    make: fn(SequenceSet) -> Messages,
    asked: fn(Messages, MailboxName) -> Asked,
) -> Parsed<'_, Asked> {
    let (i, messages) = set(i)?;
    let (i, to) = mailbox(i)?;
    let (i, ()) = spaces(i)?;
    Ok((i, asked(make(messages), to)))
}

#[cfg(test)]
mod tests {
    use super::super::{SearchIn, Writer};
    use super::*;

    fn read(text: &str) -> Result<Request, BadRequest> {
        let limits = Limits {
            max_depth: 8,
            ..Limits::default()
        };
        Request::read(&Bytes::copy_from_slice(text.as_bytes()), limits)
    }

    fn asked(text: &str) -> Asked {
        let request = read(&format!("a.1 {text}")).expect(text);
        assert_eq!(request.tag, "a.1");
        request.asked
    }

    #[test]
    fn what_other_clients_say_is_read() {
        let all = [
            "UID FETCH 1:* (FLAGS)",
            "fetch 1,3:5 body.peek[header.fields (\"from\" to)]<0.100>",
            "FETCH 2 (UID RFC822.SIZE BODY.PEEK[1.2.MIME] BODY[TEXT]) (CHANGEDSINCE 5 VANISHED)",
            "FETCH 1 FULL",
            "FETCH 1 RFC822",
            "LIST \"\" *",
            "LIST (SUBSCRIBED) \"\" (\"INBOX\" \"a%\") RETURN (SPECIAL-USE STATUS (MESSAGES))",
            "LSUB \"\" \"*\"",
            "SELECT \"Sent Items\" (QRESYNC (7 20 1:5 (1,3 2,9)))",
            "SELECT INBOX (CONDSTORE)",
            "STORE 1:2 (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Seen $Junk)",
            "STORE 1 FLAGS \\Seen \\Answered",
            "SEARCH RETURN (MIN COUNT) CHARSET utf-8 OR (FROM a SINCE 1-Feb-2020) NOT 4:*",
            "UID SEARCH ALL",
            "SEARCH UID 3 NOT NOT KEYWORD $Junk MODSEQ \"/flags/\\\\Seen\" all 9",
            "APPEND INBOX (\\Seen) \" 1-Feb-2020 10:00:00 +0100\" {3}\r\nabc",
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE PLAIN =",
            "LOGIN {3}\r\nada \"se\\\"cret\"",
            "ID NIL",
            "ID (\"name\" \"x\" \"version\" NIL)",
            "ENABLE CONDSTORE QRESYNC",
            "UID EXPUNGE 4",
            "UID MOVE 1:3 Trash",
            "RENAME a b",
        ];
        for text in all {
            asked(text);
        }
        let password = "AUTHENTICATE PLAIN AGFkYQBzZWNyZXQ=";
        assert!(!format!("{:?}", asked(password)).contains("AGFk"));
        assert_eq!(
            asked("SEARCH from x"),
            Asked::Search {
                uids: false,
                returns: None,
                charset: None,
                search: Search::All(vec![Search::Text(
                    SearchIn::Field(Text::from("From")),
                    Text::from("x")
                )]),
            }
        );
    }

    #[test]
    fn what_is_wrong_has_its_tag() {
        for (text, tag, is_unknown) in [
            ("", None, false),
            ("+ NOOP", None, false),
            ("a", Some("a"), true),
            ("a XYZZY", Some("a"), true),
            ("a UID NOOP", Some("a"), true),
            ("a NOOP x", Some("a"), false),
            ("a FETCH 0 FLAGS", Some("a"), false),
            ("a FETCH 1 ()", Some("a"), false),
            ("a LOGIN ada", Some("a"), false),
            ("a SEARCH", Some("a"), false),
            (
                "a SEARCH NOT NOT NOT NOT NOT NOT NOT NOT NOT ALL",
                Some("a"),
                false,
            ),
            ("a SEARCH SINCE 30-Feb-2020", Some("a"), false),
            ("a APPEND INBOX {9}\r\nabc", Some("a"), false),
        ] {
            let bad = read(text).expect_err(text);
            assert_eq!(bad.tag, tag.map(Text::from), "{text}");
            assert_eq!(bad.is_unknown, is_unknown, "{text}");
        }
    }

    #[test]
    fn strings_are_written_so_that_they_stay_strings() {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).string("a\0ü\r\n".as_bytes());
        assert_eq!(bytes, "{5}\r\naü\r\n".as_bytes());
    }
}
