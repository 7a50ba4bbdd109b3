//! Data of a server: what it tells of mailboxes and of searches (RFC 9051, sections 7.2 and 7.3).

use bytes::Bytes;
use nom::Parser;
use nom::bytes::complete::tag_no_case;
use nom::character::complete::char;
use nom::combinator::{map, opt};

use super::code::set;
use super::command::Window;
use super::input::{Input, Parsed, WRONG};
use super::mailbox::MailboxName;
use super::set::SequenceSet;
use super::text::Text;
use super::token::{
    Keyword, astring, close, keyword, list, nil, nstring, number, number64, open, space, spaces,
    value,
};

/// A mailbox that LIST or LSUB tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub name: MailboxName,
    /// What separates the levels of its name; `None` where there are none.
    pub separator: Option<char>,
    /// What it is.
    pub attributes: Vec<Attribute>,
    /// Further data (RFC 5258), each by its name, as it came.
    pub extended: Vec<(Text, Text)>,
}

impl Listed {
    /// Whether it has an attribute.
    pub fn is(&self, attribute: &Attribute) -> bool {
        self.attributes.contains(attribute)
    }
}

macro_rules! attributes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// What a mailbox is (RFC 9051, section 7.3.1; RFC 6154).
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Attribute {
            $($(#[doc = $doc])* $name,)*
            /// One that this crate doesn't know.
            Other(Text),
        }

        impl Attribute {
            fn of(name: Text) -> Self {
                match () {
                    $(() if name.is($text) => Self::$name,)*
                    () => Self::Other(name),
                }
            }
        }
    };
}

attributes! {
    /// No mailbox, but a level of names.
    NoSelect = "\\Noselect",
    /// No mailbox: it is not there, or not for this user.
    NonExistent = "\\NonExistent",
    /// Nothing can be below it.
    NoInferiors = "\\Noinferiors",
    /// Something is below it.
    HasChildren = "\\HasChildren",
    /// Nothing is below it.
    HasNoChildren = "\\HasNoChildren",
    /// There may be something new.
    Marked = "\\Marked",
    /// There is nothing new.
    Unmarked = "\\Unmarked",
    /// It is subscribed to.
    Subscribed = "\\Subscribed",
    /// It is on another server.
    Remote = "\\Remote",
    /// All messages.
    All = "\\All",
    /// What was archived.
    Archive = "\\Archive",
    /// Drafts.
    Drafts = "\\Drafts",
    /// Flagged messages.
    Flagged = "\\Flagged",
    /// Important messages (RFC 8457).
    Important = "\\Important",
    /// Junk.
    Junk = "\\Junk",
    /// What was sent.
    Sent = "\\Sent",
    /// What was thrown away.
    Trash = "\\Trash",
}

/// What STATUS tells of a mailbox (RFC 9051, section 7.3.2). What was not asked for, or is not
/// known to the server, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxStatus {
    /// Which.
    pub name: MailboxName,
    /// How many messages are in it.
    pub messages: Option<u32>,
    /// How many of them have `\Recent`.
    pub recent: Option<u32>,
    /// The UID that the next one will have, at the least.
    pub uid_next: Option<u32>,
    /// While this stays the same, so do the UIDs.
    pub uid_validity: Option<u32>,
    /// How many were not seen.
    pub unseen: Option<u32>,
    /// How many have `\Deleted`.
    pub deleted: Option<u32>,
    /// How large all are together, in bytes.
    pub size: Option<u64>,
    /// The number of the last change (CONDSTORE).
    pub highest_modseq: Option<u64>,
    /// Its identity (OBJECTID).
    pub mailbox_id: Option<Text>,
    /// How large a message may be that is appended to it, in bytes; also `None` where there is no limit
    /// (APPENDLIMIT, RFC 7889).
    pub append_limit: Option<u64>,
    /// Items that this crate can't read, as they came.
    pub unknown: Vec<Text>,
}

/// What NAMESPACE tells (RFC 2342).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespaces {
    /// The user's own mailboxes.
    pub personal: Vec<Namespace>,
    /// Those of other users.
    pub other_users: Vec<Namespace>,
    /// Those that are shared.
    pub shared: Vec<Namespace>,
}

/// A place for mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// What the names in it begin with, as it stands on the wire.
    pub prefix: Text,
    /// What separates the levels of a name.
    pub separator: Option<char>,
}

/// What ESEARCH tells (RFC 4731).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Esearch {
    /// The command that it answers.
    pub tag: Option<Text>,
    /// Whether its numbers are UIDs.
    pub is_uid: bool,
    /// The lowest match.
    pub min: Option<u32>,
    /// The highest match.
    pub max: Option<u32>,
    /// How many match.
    pub count: Option<u32>,
    /// All that match; `None` where none does, or they were not asked for.
    pub all: Option<SequenceSet>,
    /// Those in the places that were asked for (PARTIAL, RFC 9394).
    pub partial: Option<Partial>,
    /// The highest number of a change among those that match (CONDSTORE).
    pub modseq: Option<u64>,
    /// Further data, each by its name, as it came.
    pub unknown: Vec<(Text, Text)>,
}

/// Messages in some places among those that match (RFC 9394).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// Which places.
    pub window: Window,
    /// The messages in them, in the server's order; `None` where there are none. A set is short however
    /// many are in it: see [`SequenceSet::count`] first.
    pub numbers: Option<SequenceSet>,
}

impl Esearch {
    /// All that match, in ascending order as a rule. A set is short however many are in it: see
    /// [`SequenceSet::count`] first.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.all.iter().flat_map(SequenceSet::iter)
    }
}

/// A conversation, or a branch of one, as THREAD tells (RFC 5256).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thread {
    /// Messages, each of which answers the one before it. There is none where a conversation's
    /// beginning is not among those that were searched.
    pub numbers: Vec<u32>,
    /// What answers the last of them, where there are several answers.
    pub branches: Vec<Self>,
}

impl Thread {
    /// All its messages, each before those that answer it.
    pub fn messages(&self) -> Vec<u32> {
        let mut messages = Vec::new();
        self.collect(&mut messages);
        messages
    }

    fn collect(&self, messages: &mut Vec<u32>) {
        messages.extend_from_slice(&self.numbers);
        for branch in &self.branches {
            branch.collect(messages);
        }
    }
}

/// How names are written, which the session knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names {
    pub(super) is_utf8: bool,
}

impl Names {
    pub(super) fn mailbox(self, i: Input<'_>) -> Parsed<'_, MailboxName> {
        let (i, name) = astring(i)?;
        Ok((i, self.named(&name.into_bytes())))
    }

    pub(super) fn named(self, name: &Bytes) -> MailboxName {
        MailboxName::read(name, self.is_utf8)
    }

    /// Behind `LIST` or `LSUB`.
    pub(super) fn listed(self, i: Input<'_>) -> Parsed<'_, Listed> {
        let (i, attributes) = list(i, |i| {
            let is_part = |byte: u8| !matches!(byte, b' ' | b')' | b'(');
            let length = i.bytes().iter().take_while(|byte| is_part(**byte)).count();
            if length == 0 {
                return Err(WRONG);
            }
            let (name, rest) = i.split(length);
            Ok((rest, Attribute::of(name.text())))
        })?;
        let (i, ((), separator, ())) = (spaces, separator, spaces).parse(i)?;
        let (i, name) = self.mailbox(i)?;
        let (i, ()) = spaces(i)?;
        let mut extended = Vec::new();
        let i = if i.first() == Some(b'(') {
            let outer = i;
            let (mut i, ()) = open(i)?;
            loop {
                (i, ()) = spaces(i)?;
                if i.first() == Some(b')') {
                    break close(i, outer)?.0;
                }
                i.count()?;
                let (rest, (name, (), data)) = (astring, spaces, value).parse(i)?;
                extended.push((name, data.text()));
                i = rest;
            }
        } else {
            i
        };
        let listed = Listed {
            name,
            separator,
            attributes,
            extended,
        };
        Ok((i, listed))
    }

    /// Behind `STATUS`.
    pub(super) fn status(self, i: Input<'_>) -> Parsed<'_, MailboxStatus> {
        let (i, name) = self.mailbox(i)?;
        let (i, ()) = spaces(i)?;
        let mut status = MailboxStatus {
            name,
            messages: None,
            recent: None,
            uid_next: None,
            uid_validity: None,
            unseen: None,
            deleted: None,
            size: None,
            highest_modseq: None,
            mailbox_id: None,
            append_limit: None,
            unknown: Vec::new(),
        };
        let outer = i;
        let (mut i, ()) = open(i)?;
        loop {
            (i, ()) = spaces(i)?;
            if i.first() == Some(b')') {
                return Ok((close(i, outer)?.0, status));
            }
            i.count()?;
            i = match status.item(i) {
                Ok((rest, ())) => rest,
                Err(_) => status.unknown(i),
            };
            if i.is_empty() {
                return Ok((i, status));
            }
        }
    }
}

impl MailboxStatus {
    fn item<'a>(&mut self, i: Input<'a>) -> Parsed<'a, ()> {
        let (i, (name, ())) = (keyword, spaces).parse(i)?;
        let to = match name.as_bytes() {
            b"MESSAGES" => &mut self.messages,
            b"RECENT" => &mut self.recent,
            b"UIDNEXT" => &mut self.uid_next,
            b"UIDVALIDITY" => &mut self.uid_validity,
            b"UNSEEN" => &mut self.unseen,
            b"DELETED" => &mut self.deleted,
            b"SIZE" => return large(&mut self.size, i),
            b"HIGHESTMODSEQ" => return large(&mut self.highest_modseq, i),
            b"APPENDLIMIT" => {
                return match nil(i) {
                    Ok(none) => Ok(none),
                    Err(_) => large(&mut self.append_limit, i),
                };
            }
            b"MAILBOXID" => {
                let (i, ids) = list(i, object_id)?;
                self.mailbox_id = Some(ids.into_iter().next().ok_or(WRONG)?);
                return Ok((i, ()));
            }
            _ => return Err(WRONG),
        };
        let (i, found) = number(i)?;
        *to = Some(found);
        Ok((i, ()))
    }

    /// An item that can't be read: its name and its value. Where not even these can be told apart, all that
    /// is left: Cyrus sends freed memory for MAILBOXID, which may hold a parenthesis or the line's end, and
    /// what was said before it is still true.
    fn unknown<'a>(&mut self, i: Input<'a>) -> Input<'a> {
        let named = (keyword, spaces, value).parse(i);
        let rest = named.map_or(i.after(usize::MAX), |(rest, _)| rest);
        let length = i.bytes().len() - rest.bytes().len();
        self.unknown.push(i.split(length).0.text());
        rest
    }
}

fn large<'a>(to: &mut Option<u64>, i: Input<'a>) -> Parsed<'a, ()> {
    let (i, found) = number64(i)?;
    *to = Some(found);
    Ok((i, ()))
}

fn object_id(i: Input<'_>) -> Parsed<'_, Text> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = i.bytes().iter().take_while(is_part).count();
    if length == 0 {
        return Err(WRONG);
    }
    let (id, rest) = i.split(length);
    Ok((rest, id.text()))
}

fn separator(i: Input<'_>) -> Parsed<'_, Option<char>> {
    let (i, text) = nstring(i)?;
    Ok((i, text.and_then(|text| text.to_str().chars().next())))
}

/// Behind `NAMESPACE`.
pub(super) fn namespaces(i: Input<'_>) -> Parsed<'_, Namespaces> {
    let one = |i| {
        let outer = i;
        let (i, ()) = open(i)?;
        let (i, (prefix, (), separator)) = (astring, spaces, separator).parse(i)?;
        let (mut i, ()) = spaces(i)?;
        while i.first() != Some(b')') {
            i = spaces(value(i)?.0)?.0;
        }
        let (i, ()) = close(i, outer)?;
        Ok((i, Namespace { prefix, separator }))
    };
    let some = |i| match nil(i) {
        Ok((i, ())) => Ok((i, Vec::new())),
        Err(_) => list(i, one),
    };
    let (i, (personal, (), other_users, (), shared)) =
        (some, spaces, some, spaces, some).parse(i)?;
    let namespaces = Namespaces {
        personal,
        other_users,
        shared,
    };
    Ok((i, namespaces))
}

/// Behind `ID` (RFC 2971): what the server says of itself.
pub(super) fn id(i: Input<'_>) -> Parsed<'_, Vec<(Text, Option<Text>)>> {
    if let Ok((i, ())) = nil(i) {
        return Ok((i, Vec::new()));
    }
    list(i, |i| {
        let (i, (name, (), value)) = (astring, spaces, nstring).parse(i)?;
        Ok((i, (name, value)))
    })
}

/// Behind `SEARCH` or `SORT`: the numbers in the server's order, and the highest number of a change.
pub(super) fn found(mut i: Input<'_>) -> Parsed<'_, (Vec<u32>, Option<u64>)> {
    // As many as there are where each has seven digits. It is less than what has come.
    let mut numbers = Vec::with_capacity(i.bytes().len() / 8);
    loop {
        (i, ()) = spaces(i)?;
        match i.first() {
            None => return Ok((i, (numbers, None))),
            Some(b'(') => {
                let (i, _) = (char('('), tag_no_case("MODSEQ"), space).parse(i)?;
                let (i, (modseq, _, ())) = (number64, char(')'), spaces).parse(i)?;
                return Ok((i, (numbers, Some(modseq))));
            }
            Some(_) => {
                i.count_number()?;
                let (rest, number) = number(i)?;
                numbers.push(number);
                i = rest;
            }
        }
    }
}

/// Behind `ESEARCH`.
pub(super) fn esearch(i: Input<'_>) -> Parsed<'_, Esearch> {
    let mut found = Esearch::default();
    let tag = (char('('), tag_no_case("TAG"), space, astring, char(')'));
    let (i, tag) = opt(tag).parse(i)?;
    found.tag = tag.map(|(_, _, (), tag, _)| tag);
    let (i, ((), uid)) = (spaces, opt(tag_no_case("UID"))).parse(i)?;
    found.is_uid = uid.is_some();
    let mut i = i;
    loop {
        (i, ()) = spaces(i)?;
        if i.is_empty() {
            return Ok((i, found));
        }
        i.count()?;
        let (rest, (name, ())) = (astring, spaces).parse(i)?;
        i = match Keyword::new(name.as_bytes()).as_bytes() {
            b"MIN" => into(&mut found.min, number(rest)?),
            b"MAX" => into(&mut found.max, number(rest)?),
            b"COUNT" => into(&mut found.count, number(rest)?),
            b"ALL" => into(&mut found.all, set(rest)?),
            b"PARTIAL" => into(&mut found.partial, partial(rest)?),
            b"MODSEQ" => into(&mut found.modseq, number64(rest)?),
            _ => {
                let (rest, data) = value(rest)?;
                found.unknown.push((name, data.text()));
                rest
            }
        };
    }
}

/// `(1:50 8,17,30:35)`, or `NIL` in place of the numbers.
fn partial(i: Input<'_>) -> Parsed<'_, Partial> {
    let outer = i;
    let (i, ((), ())) = (open, spaces).parse(i)?;
    let place = |i| {
        let (i, sign) = opt(char('-')).parse(i)?;
        let (i, place) = number(i)?;
        Ok((i, (sign.is_some(), place)))
    };
    let (i, ((is_from_the_end, from), _, (_, to), ())) =
        (place, char(':'), place, spaces).parse(i)?;
    let window = Window::of(from, to).ok_or(WRONG)?;
    let (i, numbers) = if let Ok((i, ())) = nil(i) {
        (i, None)
    } else {
        map(set, Some).parse(i)?
    };
    let window = if is_from_the_end {
        window.from_the_end()
    } else {
        window
    };
    Ok((close(i, outer)?.0, Partial { window, numbers }))
}

fn into<'a, T>(to: &mut Option<T>, (rest, found): (Input<'a>, T)) -> Input<'a> {
    *to = Some(found);
    rest
}

/// Behind `THREAD`.
pub(super) fn threads(mut i: Input<'_>) -> Parsed<'_, Vec<Thread>> {
    let mut threads = Vec::new();
    loop {
        (i, ()) = spaces(i)?;
        if i.is_empty() {
            return Ok((i, threads));
        }
        let (rest, thread) = thread(i)?;
        threads.push(thread);
        i = rest;
    }
}

/// `(3 6 (4 23)(44 7 96))`: 6 answers 3, and 4 and 44 answer 6.
fn thread(i: Input<'_>) -> Parsed<'_, Thread> {
    let outer = i;
    let (mut i, ()) = open(i)?;
    let mut thread = Thread::default();
    loop {
        (i, ()) = spaces(i)?;
        i = match i.first() {
            Some(b')') => return Ok((close(i, outer)?.0, thread)),
            Some(b'(') => {
                i.count()?;
                let (rest, branch) = self::thread(i)?;
                thread.branches.push(branch);
                rest
            }
            _ if thread.branches.is_empty() => {
                i.count_number()?;
                let (rest, number) = number(i)?;
                thread.numbers.push(number);
                rest
            }
            _ => return Err(WRONG),
        };
    }
}
