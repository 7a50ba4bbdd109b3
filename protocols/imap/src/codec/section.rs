//! Sections: parts of a message's text, by where they stand (RFC 9051, section 6.4.5.1).

use std::fmt;

use nom::Parser;
use nom::bytes::complete::tag_no_case;
use nom::character::complete::char;

use super::encode::Encoder;
use super::error::InvalidValue;
use super::input::{Input, Parsed, WRONG};
use super::text::Text;
use super::token::{astring, list, number, spaces};

/// A part of a message's text.
///
/// ```
/// use jackfield_imap::codec::Section;
///
/// assert_eq!(Section::all().to_string(), "");
/// assert_eq!(Section::part([1, 2])?.to_string(), "1.2");
/// assert_eq!(Section::fields(["References"])?.to_string(), "HEADER.FIELDS (References)");
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Section {
    part: Vec<u32>,
    of: Of,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
enum Of {
    #[default]
    All,
    Header,
    Fields(Vec<Text>),
    FieldsNot(Vec<Text>),
    Text,
    Mime,
}

/// What of a part a [`Section`] is.
#[cfg(any(test, feature = "server"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has no other")]
pub enum SectionText<'a> {
    /// All of it; of the message itself, its header too.
    All,
    /// Its header.
    Header,
    /// These fields of its header.
    Fields(&'a [Text]),
    /// All fields of its header but these.
    FieldsNot(&'a [Text]),
    /// It without its header.
    Text,
    /// Its MIME header.
    Mime,
}

impl Section {
    /// The whole message.
    pub fn all() -> Self {
        Self::default()
    }

    /// The message's header.
    pub fn header() -> Self {
        Self::default().with(Of::Header)
    }

    /// The message without its header.
    pub fn text() -> Self {
        Self::default().with(Of::Text)
    }

    /// These fields of the message's header.
    ///
    /// # Errors
    /// [`InvalidValue::Section`], where there is none, or one is no field's name.
    pub fn fields<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidValue> {
        let is_name = |name: &str| {
            let is_printable = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b':';
            !name.is_empty() && name.bytes().all(is_printable)
        };
        let names: Vec<&str> = names.into_iter().collect();
        if names.is_empty() || !names.iter().all(|name| is_name(name)) {
            return Err(InvalidValue::Section);
        }
        let names = names.into_iter().map(Text::from).collect();
        Ok(Self::default().with(Of::Fields(names)))
    }

    /// A part's body, by the numbers that lead to it, each from 1 on.
    ///
    /// # Errors
    /// [`InvalidValue::Section`], where there is none, or one is 0.
    pub fn part(numbers: impl IntoIterator<Item = u32>) -> Result<Self, InvalidValue> {
        let part: Vec<u32> = numbers.into_iter().collect();
        if part.is_empty() || part.contains(&0) {
            return Err(InvalidValue::Section);
        }
        let of = Of::All;
        Ok(Self { part, of })
    }

    /// Of a part: its MIME header. Of the whole message it is [`header`](Self::header).
    #[must_use]
    pub fn mime(self) -> Self {
        let is_whole = self.part.is_empty();
        self.with(if is_whole { Of::Header } else { Of::Mime })
    }

    fn with(self, of: Of) -> Self {
        Self { of, ..self }
    }

    /// The numbers that lead to the part; none for the message itself.
    #[cfg(any(test, feature = "server"))]
    pub fn numbers(&self) -> &[u32] {
        &self.part
    }

    /// What of the part it is.
    #[cfg(any(test, feature = "server"))]
    pub fn what(&self) -> SectionText<'_> {
        match &self.of {
            Of::All => SectionText::All,
            Of::Header => SectionText::Header,
            Of::Fields(names) => SectionText::Fields(names),
            Of::FieldsNot(names) => SectionText::FieldsNot(names),
            Of::Text => SectionText::Text,
            Of::Mime => SectionText::Mime,
        }
    }

    /// Between brackets.
    pub(super) fn encode(&self, out: &mut Encoder<'_>) {
        out.raw(b"[");
        for (index, number) in self.part.iter().enumerate() {
            if index > 0 {
                out.raw(b".");
            }
            out.number(u64::from(*number));
        }
        if !self.part.is_empty() && self.of != Of::All {
            out.raw(b".");
        }
        let (name, fields): (&[u8], _) = match &self.of {
            Of::All => (b"", None),
            Of::Header => (b"HEADER", None),
            Of::Fields(fields) => (b"HEADER.FIELDS", Some(fields)),
            Of::FieldsNot(fields) => (b"HEADER.FIELDS.NOT", Some(fields)),
            Of::Text => (b"TEXT", None),
            Of::Mime => (b"MIME", None),
        };
        out.raw(name);
        if let Some(fields) = fields {
            out.raw(b" ");
            out.list(fields, |out, field| out.astring(field.as_bytes()));
        }
        out.raw(b"]");
    }

    /// Between brackets.
    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let (mut i, _) = char('[').parse(i)?;
        let mut part = Vec::new();
        while i.first().is_some_and(|byte| byte.is_ascii_digit()) {
            i.count()?;
            let (rest, found) = number(i)?;
            part.push(found);
            i = rest;
            if i.first() == Some(b'.') {
                i = i.after(1);
            }
        }
        let name = i
            .bytes()
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'.');
        let (name, rest) = i.split(name.count());
        let name = super::token::Keyword::new(name.bytes());
        let (i, of) = match name.as_bytes() {
            b"" => (rest, Of::All),
            b"HEADER" => (rest, Of::Header),
            b"TEXT" => (rest, Of::Text),
            b"MIME" => (rest, Of::Mime),
            b"HEADER.FIELDS" | b"HEADER.FIELDS.NOT" => {
                let (rest, ()) = spaces(rest)?;
                let (rest, fields) = list(rest, astring)?;
                let is_not = name.as_bytes().ends_with(b"NOT");
                (
                    rest,
                    if is_not {
                        Of::FieldsNot(fields)
                    } else {
                        Of::Fields(fields)
                    },
                )
            }
            _ => return Err(WRONG),
        };
        let (i, _) = tag_no_case("]").parse(i)?;
        Ok((i, Self { part, of }))
    }

    /// Whether a server's section is this one: fields have no case, and servers may quote them.
    pub fn matches(&self, other: &Self) -> bool {
        let same = |one: &[Text], two: &[Text]| {
            let is =
                |(one, two): (&Text, &Text)| one.as_bytes().eq_ignore_ascii_case(two.as_bytes());
            one.len() == two.len() && one.iter().zip(two).all(is)
        };
        self.part == other.part
            && match (&self.of, &other.of) {
                (Of::Fields(one), Of::Fields(two)) | (Of::FieldsNot(one), Of::FieldsNot(two)) => {
                    same(one, two)
                }
                (one, two) => one == two,
            }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        self.encode(&mut Encoder::plain(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        f.pad(text.trim_start_matches('[').trim_end_matches(']'))
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
