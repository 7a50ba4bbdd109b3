//! Metadata: what is kept about a mailbox or the server, by names (RFC 5464).

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use nom::Parser;

use super::data::Names;
use super::encode::Encoder;
use super::error::InvalidValue;
use super::input::{Input, Parsed};
use super::mailbox::MailboxName;
use super::text::Text;
use super::token::{Data, astring, close, ndata, open, spaces};

/// The name of an entry: `/private/…` is this user's, `/shared/…` everybody's (RFC 5464, section 3.2).
///
/// ```
/// use jackfield_imap::codec::EntryName;
///
/// let comment: EntryName = "/private/comment".parse()?;
/// assert_eq!(comment.to_string(), "/private/comment");
/// assert!("/comment".parse::<EntryName>().is_err());
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntryName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        let has_part = |prefix: &str| {
            let start = name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let is_text = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'*' | b'%');
        let is_name = (has_part("/private/") || has_part("/shared/"))
            && name.bytes().all(is_text)
            && !name.contains("//")
            && !name.ends_with('/');
        is_name
            .then(|| Self(name.into()))
            .ok_or(InvalidValue::Entry)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What is asked for besides entries themselves (RFC 5464, section 4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are the RFC's")]
pub enum Depth {
    /// Nothing.
    #[default]
    Zero,
    /// What is right below them.
    One,
    /// All that is below them.
    Infinity,
}

/// What METADATA tells of a mailbox, or of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Of which mailbox; `None` is the server.
    pub mailbox: Option<MailboxName>,
    /// What is kept, each by its name. What is not there is `None`.
    pub entries: Vec<(Text, Option<Data>)>,
    /// What has changed, by its name, where the server tells that alone.
    pub changed: Vec<Text>,
}

impl Metadata {
    /// Nothing that is kept.
    pub(crate) fn of(mailbox: Option<MailboxName>) -> Self {
        Self {
            mailbox,
            entries: Vec::new(),
            changed: Vec::new(),
        }
    }
}

/// What stood in the way of metadata, in a response code (RFC 5464, sections 4.2.1 and 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataCode {
    /// Entries were left out: the largest has so many bytes.
    LongEntries(u64),
    /// No value may be larger than so many bytes.
    MaxSize(u64),
    /// There are too many entries.
    TooMany,
    /// Nothing private is kept here.
    NoPrivate,
}

/// Behind `METADATA`.
pub(super) fn metadata(names: Names, i: Input<'_>) -> Parsed<'_, Metadata> {
    let (i, name) = astring(i)?;
    let mailbox = (!name.is_empty()).then(|| names.named(&name.into_bytes()));
    let (mut i, ()) = spaces(i)?;
    let mut told = Metadata::of(mailbox);
    if i.first() != Some(b'(') {
        loop {
            (i, ()) = spaces(i)?;
            if i.is_empty() {
                return Ok((i, told));
            }
            i.count()?;
            let (rest, name) = astring(i)?;
            told.changed.push(name);
            i = rest;
        }
    }
    let outer = i;
    (i, ()) = open(i)?;
    loop {
        (i, ()) = spaces(i)?;
        if i.first() == Some(b')') {
            return Ok((close(i, outer)?.0, told));
        }
        i.count()?;
        let (rest, (name, (), value)) = (astring, spaces, ndata).parse(i)?;
        told.entries.push((name, value));
        i = rest;
    }
}

pub(super) fn get(
    out: &mut Encoder<'_>,
    mailbox: Option<&MailboxName>,
    entries: &[EntryName],
    depth: Depth,
    max_size: Option<u32>,
) {
    out.raw(b"GETMETADATA ");
    if depth != Depth::Zero || max_size.is_some() {
        out.raw(b"(");
        if let Some(size) = max_size {
            out.raw(b"MAXSIZE ");
            out.number(size.into());
        }
        out.raw(match depth {
            Depth::Zero => b"",
            Depth::One if max_size.is_some() => b" DEPTH 1",
            Depth::One => b"DEPTH 1",
            Depth::Infinity if max_size.is_some() => b" DEPTH infinity",
            Depth::Infinity => b"DEPTH infinity",
        });
        out.raw(b") ");
    }
    of(out, mailbox);
    out.list(entries, |out, entry| out.astring(entry.0.as_bytes()));
}

pub(super) fn set(
    out: &mut Encoder<'_>,
    mailbox: Option<&MailboxName>,
    entries: &[(EntryName, Option<Bytes>)],
) {
    out.raw(b"SETMETADATA ");
    of(out, mailbox);
    out.list(entries, |out, (entry, value)| {
        out.astring(entry.0.as_bytes());
        out.raw(b" ");
        match value {
            Some(value) => out.binary(value),
            None => out.raw(b"NIL"),
        }
    });
}

fn of(out: &mut Encoder<'_>, mailbox: Option<&MailboxName>) {
    match mailbox {
        Some(mailbox) => out.mailbox(mailbox),
        None => out.raw(b"\"\""),
    }
    out.raw(b" ");
}
