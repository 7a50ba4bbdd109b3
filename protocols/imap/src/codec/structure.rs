//! BODYSTRUCTURE: what a message is made of (RFC 9051, section 7.5.2).

use super::envelope::{Envelope, field};
use super::input::{Input, Parsed};
use super::text::Text;
use super::token::{close, list, nil, nstring, number64, open, spaces, value};

/// A part of a message, or all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Structure {
    /// The media type, `text` or `multipart`, in the sender's case.
    pub media_type: Text,
    /// The subtype, `plain` or `mixed`.
    pub subtype: Text,
    /// The type's parameters, by their names: `charset`, `boundary`.
    pub parameters: Vec<(Text, Text)>,
    /// `Content-ID`.
    pub id: Option<Text>,
    /// `Content-Description`.
    pub description: Option<Text>,
    /// `Content-Transfer-Encoding`.
    pub encoding: Option<Text>,
    /// How large it is in bytes, as it is encoded.
    pub size: Option<u64>,
    /// How many lines it has: of text, and of messages in messages.
    pub lines: Option<u64>,
    /// `Content-MD5`.
    pub md5: Option<Text>,
    /// `Content-Disposition`, with its parameters: `attachment` and its `filename`.
    pub disposition: Option<(Text, Vec<(Text, Text)>)>,
    /// `Content-Language`.
    pub languages: Vec<Text>,
    /// `Content-Location`.
    pub location: Option<Text>,
    /// The envelope of a message in a message.
    pub envelope: Option<Box<Envelope>>,
    /// Of a multipart: its parts. Of a message in a message: that message's one.
    pub parts: Vec<Self>,
}

impl Structure {
    /// A parameter of the type, by its name in any case.
    pub fn parameter(&self, name: &str) -> Option<&Text> {
        let found = self.parameters.iter().find(|(known, _)| known.is(name));
        found.map(|(_, value)| value)
    }

    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let outer = i;
        let (i, ()) = open(i)?;
        let (i, ()) = spaces(i)?;
        let (i, structure) = if i.first() == Some(b'(') {
            Self::multipart(i)?
        } else {
            Self::single(i)?
        };
        let (mut i, ()) = spaces(i)?;
        // Extensions that came later.
        while !matches!(i.first(), Some(b')') | None) {
            i = spaces(value(i)?.0)?.0;
        }
        Ok((close(i, outer)?.0, structure))
    }

    fn multipart(mut i: Input<'_>) -> Parsed<'_, Self> {
        let mut parts = Vec::new();
        while i.first() == Some(b'(') {
            i.count()?;
            let (rest, part) = Self::parse(i)?;
            parts.push(part);
            i = spaces(rest)?.0;
        }
        let (i, subtype) = nstring(i)?;
        let (i, parameters) = field(i, parameters)?;
        let structure = Self {
            media_type: Text::from("multipart"),
            subtype: subtype.unwrap_or_default(),
            parameters,
            parts,
            ..Self::default()
        };
        structure.extensions(i)
    }

    fn single(i: Input<'_>) -> Parsed<'_, Self> {
        let (i, media_type) = nstring(i)?;
        let (i, subtype) = field(i, nstring)?;
        let (i, parameters) = field(i, parameters)?;
        let (i, id) = field(i, nstring)?;
        let (i, description) = field(i, nstring)?;
        let (i, encoding) = field(i, nstring)?;
        let (mut i, size) = field(i, count)?;
        let mut structure = Self {
            media_type: media_type.unwrap_or_default(),
            subtype: subtype.unwrap_or_default(),
            parameters,
            id,
            description,
            encoding,
            size,
            ..Self::default()
        };
        if structure.media_type.is("message")
            && (structure.subtype.is("rfc822") || structure.subtype.is("global"))
        {
            // Some servers have a message in a message as if it were any file.
            let (rest, ()) = spaces(i)?;
            if rest.first() == Some(b'(') {
                let (rest, envelope) = Envelope::parse(rest)?;
                let (rest, ()) = spaces(rest)?;
                let (rest, part) = Self::parse(rest)?;
                structure.envelope = Some(Box::new(envelope));
                structure.parts.push(part);
                (i, structure.lines) = field(rest, count)?;
            }
        } else if structure.media_type.is("text") {
            (i, structure.lines) = field(i, count)?;
        }
        let (i, md5) = field(i, nstring)?;
        structure.md5 = md5;
        structure.extensions(i)
    }

    fn extensions(mut self, i: Input<'_>) -> Parsed<'_, Self> {
        let (i, disposition) = field(i, disposition)?;
        let (i, languages) = field(i, languages)?;
        let (i, location) = field(i, nstring)?;
        self.disposition = disposition;
        self.languages = languages;
        self.location = location;
        Ok((i, self))
    }
}

fn count(i: Input<'_>) -> Parsed<'_, Option<u64>> {
    if let Ok((i, ())) = nil(i) {
        return Ok((i, None));
    }
    let (i, number) = number64(i)?;
    Ok((i, Some(number)))
}

fn parameters(i: Input<'_>) -> Parsed<'_, Vec<(Text, Text)>> {
    if i.first() != Some(b'(') {
        let (i, _) = nstring(i)?;
        return Ok((i, Vec::new()));
    }
    list(i, |i| {
        let (i, name) = nstring(i)?;
        let (i, ()) = spaces(i)?;
        if i.first() == Some(b')') {
            return Ok((i, (name.unwrap_or_default(), Text::default())));
        }
        let (i, value) = nstring(i)?;
        Ok((i, (name.unwrap_or_default(), value.unwrap_or_default())))
    })
}

fn disposition(i: Input<'_>) -> Parsed<'_, Option<(Text, Vec<(Text, Text)>)>> {
    if i.first() != Some(b'(') {
        let (i, name) = nstring(i)?;
        return Ok((i, name.map(|name| (name, Vec::new()))));
    }
    let outer = i;
    let (i, ()) = open(i)?;
    let (i, name) = nstring(i)?;
    let (i, parameters) = field(i, parameters)?;
    let (i, ()) = close(i, outer)?;
    Ok((i, Some((name.unwrap_or_default(), parameters))))
}

fn languages(i: Input<'_>) -> Parsed<'_, Vec<Text>> {
    if i.first() != Some(b'(') {
        let (i, language) = nstring(i)?;
        return Ok((i, language.into_iter().collect()));
    }
    let (i, languages) = list(i, nstring)?;
    Ok((i, languages.into_iter().flatten().collect()))
}
