//! Tokens of the grammar (RFC 9051, section 9): atoms, numbers, strings, and what holds lists
//! together. Servers are forgiven what can't be misunderstood.

use bytes::Bytes;
use memchr::memchr2;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::map;

use super::input::{Input, Parsed, WRONG};
use super::text::Text;

/// A string: what is in it, or how large a literal was that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is nothing else a string could be"
)]
pub enum Data {
    /// What is in it.
    Text(Text),
    /// A literal of so many bytes, which [`Limits`](super::Limits) did not allow to be kept, or
    /// which was read as it came.
    Absent(u64),
}

impl Data {
    /// What is in it, where it is there.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent(_) => None,
        }
    }
}

/// A byte of an atom (`ATOM-CHAR`), and `]`, which may be one of an astring.
pub(super) fn is_atom_char(byte: u8) -> bool {
    byte > b' ' && byte < 0x7F && !matches!(byte, b'(' | b')' | b'{' | b'"' | b'\\' | b'%' | b'*')
}

/// What ends no atom: some servers leave strings unquoted that they should not.
fn is_loose(byte: u8) -> bool {
    !matches!(byte, b' ' | b'(' | b')' | b'"' | b'{' | b'\r' | b'\n')
}

/// Spaces, or none. Like all that follows of which there is much, it is written without combinators.
#[expect(clippy::unnecessary_wraps, reason = "a parser like the others")]
#[inline]
pub(super) fn spaces(i: Input<'_>) -> Parsed<'_, ()> {
    let mut i = i;
    while i.first() == Some(b' ') {
        i = i.after(1);
    }
    Ok((i, ()))
}

/// A space, or more.
#[inline]
pub(super) fn space(i: Input<'_>) -> Parsed<'_, ()> {
    spaces(byte(i, b' ')?)
}

/// One byte.
#[inline]
pub(super) fn byte(i: Input<'_>, wanted: u8) -> Result<Input<'_>, nom::Err<()>> {
    if i.first() == Some(wanted) {
        Ok(i.after(1))
    } else {
        Err(WRONG)
    }
}

/// `(`, and one level deeper.
#[inline]
pub(super) fn open(i: Input<'_>) -> Parsed<'_, ()> {
    Ok((byte(i, b'(')?.deeper()?, ()))
}

/// `)`, at the level of `outer`.
#[inline]
pub(super) fn close<'a>(i: Input<'a>, outer: Input<'a>) -> Parsed<'a, ()> {
    let (i, ()) = spaces(i)?;
    Ok((byte(i, b')')?.level(outer), ()))
}

/// Items in parentheses, with spaces between them, or without.
pub(super) fn list<'a, T>(
    i: Input<'a>,
    mut item: impl FnMut(Input<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, Vec<T>> {
    let outer = i;
    let (mut i, ()) = open(i)?;
    // Most have one.
    let mut items = Vec::with_capacity(1);
    loop {
        (i, ()) = spaces(i)?;
        if i.first() == Some(b')') {
            return Ok((close(i, outer)?.0, items));
        }
        i.count()?;
        let (rest, found) = item(i)?;
        items.push(found);
        i = rest;
    }
}

/// `NIL`, not as the beginning of something longer.
#[inline]
pub(super) fn nil(i: Input<'_>) -> Parsed<'_, ()> {
    let bytes = i.bytes();
    let is_nil = bytes
        .get(..3)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"NIL"));
    if !is_nil || bytes.get(3).is_some_and(|byte| is_atom_char(*byte)) {
        return Err(WRONG);
    }
    Ok((i.after(3), ()))
}

pub(super) fn number64(i: Input<'_>) -> Parsed<'_, u64> {
    let mut number: u64 = 0;
    let mut count = 0;
    for byte in i.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = if count < 19 {
            number * 10 + u64::from(digit)
        } else {
            let more = number.checked_mul(10);
            more.and_then(|it| it.checked_add(u64::from(digit)))
                .ok_or(WRONG)?
        };
        count += 1;
    }
    if count == 0 {
        return Err(WRONG);
    }
    Ok((i.after(count), number))
}

pub(super) fn number(i: Input<'_>) -> Parsed<'_, u32> {
    let (i, number) = number64(i)?;
    Ok((i, u32::try_from(number).map_err(|_| WRONG)?))
}

pub(super) fn atom(i: Input<'_>) -> Parsed<'_, Input<'_>> {
    run(i, is_atom_char)
}

/// Bytes of a kind, at least one.
#[inline]
pub(super) fn run(i: Input<'_>, is_it: impl Fn(u8) -> bool) -> Parsed<'_, Input<'_>> {
    let bytes = i.bytes();
    let end = bytes.iter().position(|byte| !is_it(*byte));
    let (taken, rest) = i.split(end.unwrap_or(bytes.len()));
    if taken.is_empty() {
        return Err(WRONG);
    }
    Ok((rest, taken))
}

/// A name to decide by, in capitals.
pub(super) struct Keyword {
    bytes: [u8; 24],
    length: usize,
}

impl Keyword {
    pub(super) fn new(name: &[u8]) -> Self {
        let mut bytes = [0; 24];
        // One that is longer is none that is known.
        let length = if name.len() > bytes.len() {
            0
        } else {
            name.len()
        };
        bytes[..length].copy_from_slice(&name[..length]);
        bytes.make_ascii_uppercase();
        Self { bytes, length }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A name: letters, digits, and what else is in those that are known.
pub(super) fn keyword(i: Input<'_>) -> Parsed<'_, Keyword> {
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'=');
    let (i, name) = run(i, is_name)?;
    Ok((i, Keyword::new(name.bytes())))
}

/// A quoted string.
#[inline]
pub(super) fn quoted(i: Input<'_>) -> Parsed<'_, Text> {
    let i = byte(i, b'"')?;
    let bytes = i.bytes();
    let first = memchr2(b'"', b'\\', bytes).ok_or(WRONG)?;
    if bytes[first] == b'"' {
        let (text, rest) = i.split_text(first);
        return Ok((rest.after(1), text));
    }
    let mut text = Vec::with_capacity(first + 16);
    let mut at = 0;
    loop {
        let found = at + memchr2(b'"', b'\\', &bytes[at..]).ok_or(WRONG)?;
        text.extend_from_slice(&bytes[at..found]);
        if bytes[found] == b'"' {
            return Ok((i.after(found + 1), Text::from(Bytes::from(text))));
        }
        text.push(*bytes.get(found + 1).ok_or(WRONG)?);
        at = found + 2;
    }
}

/// A literal, as the framer left it.
pub(super) fn literal(i: Input<'_>) -> Parsed<'_, Data> {
    let (i, _) = alt((tag("~{"), tag("{"))).parse(i)?;
    if i.first() == Some(b'-') {
        let (i, size) = number64(i.after(1))?;
        let (i, _) = tag("}\r\n").parse(i)?;
        return Ok((i, Data::Absent(size)));
    }
    let (i, size) = number64(i)?;
    let (i, _) = tag("}\r\n").parse(i)?;
    let size = usize::try_from(size).map_err(|_| WRONG)?;
    if size > i.bytes().len() {
        return Err(WRONG);
    }
    let (text, rest) = i.split_text(size);
    Ok((rest, Data::Text(text)))
}

/// A string of either kind.
pub(super) fn data(i: Input<'_>) -> Parsed<'_, Data> {
    match i.first() {
        Some(b'"') => map(quoted, Data::Text).parse(i),
        _ => literal(i),
    }
}

fn string(i: Input<'_>) -> Parsed<'_, Text> {
    let (i, data) = data(i)?;
    match data {
        Data::Text(text) => Ok((i, text)),
        Data::Absent(_) => Ok((i, Text::default())),
    }
}

/// A string, or `NIL`. What stands there without quotes is taken as it is.
pub(super) fn nstring(i: Input<'_>) -> Parsed<'_, Option<Text>> {
    match i.first() {
        Some(b'"') => {
            let (i, text) = quoted(i)?;
            Ok((i, Some(text)))
        }
        Some(b'{' | b'~') => {
            let (i, text) = string(i)?;
            Ok((i, Some(text)))
        }
        _ => {
            if let Ok((rest, ())) = nil(i) {
                return Ok((rest, None));
            }
            let (i, text) = run(i, is_loose)?;
            Ok((i, Some(text.text())))
        }
    }
}

/// The same where the string may be large.
pub(super) fn ndata(i: Input<'_>) -> Parsed<'_, Option<Data>> {
    if let Ok((rest, data)) = data(i) {
        return Ok((rest, Some(data)));
    }
    map(nstring, |text| text.map(Data::Text)).parse(i)
}

/// An atom or a string.
pub(super) fn astring(i: Input<'_>) -> Parsed<'_, Text> {
    if let Some(b'"' | b'{') = i.first() {
        string(i)
    } else {
        let (i, text) = run(i, is_loose)?;
        Ok((i, text.text()))
    }
}

/// Anything that stands as one item, whatever it means: an atom, a string, or a list of such.
pub(super) fn value(i: Input<'_>) -> Parsed<'_, Input<'_>> {
    let mut depth = 0_usize;
    let mut at = i;
    loop {
        at = match at.first() {
            Some(b'(') => {
                depth += 1;
                at.after(1)
            }
            Some(b')') if depth > 0 => {
                depth -= 1;
                at.after(1)
            }
            Some(b' ') if depth > 0 => at.after(1),
            Some(b'"') => quoted(at)?.0,
            Some(b'{') => literal(at)?.0,
            Some(b'~') if at.bytes().starts_with(b"~{") => literal(at)?.0,
            Some(byte) if is_loose(byte) => run(at, is_loose)?.0,
            _ => return Err(WRONG),
        };
        if depth == 0 {
            let length = i.bytes().len() - at.bytes().len();
            return Ok((at, i.split(length).0));
        }
    }
}
