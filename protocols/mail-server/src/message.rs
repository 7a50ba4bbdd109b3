//! Messages, taken apart: where in a message's bytes its parts are, as IMAP numbers them (RFC 9051,
//! section 6.4.5.1).
//!
//! Parts are found by their boundaries alone, within bounds of depth and number, so that they are
//! exactly the bytes that were put in. What headers say, `mail-parser` reads.

mod structure;
mod text;

use std::ops::Range;

use jackfield_imap::codec::{Section, SectionText, Text};
use mail_parser::{ContentType, Header, HeaderName, HeaderValue, MessageParser};

pub(crate) use structure::{envelope, structure};
pub(crate) use text::{contains, field, sent};

/// How deep parts are looked for: what is deeper is one part.
const MAX_DEPTH: usize = 32;
/// How many parts are looked for.
const MAX_PARTS: usize = 1000;

/// A part of a message, or a message.
#[derive(Debug)]
pub(crate) struct Part {
    /// With the empty line behind it.
    header: Range<usize>,
    body: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Leaf,
    Multipart(Vec<Part>),
    Message(Box<Part>),
}

impl Part {
    /// Takes a message apart.
    pub(crate) fn of(raw: &[u8]) -> Self {
        Self::find(raw, 0..raw.len(), 0, &mut 0, false)
    }

    fn find(
        raw: &[u8],
        range: Range<usize>,
        depth: usize,
        count: &mut usize,
        in_digest: bool,
    ) -> Self {
        *count += 1;
        let length = header_length(&raw[range.clone()]);
        let header = range.start..range.start + length;
        let body = header.end..range.end;
        let mut part = Self {
            header,
            body,
            kind: Kind::Leaf,
        };
        if depth >= MAX_DEPTH {
            return part;
        }
        let headers = headers(part.header(raw));
        let content_type = content_type(&headers);
        let is_multipart =
            content_type.is_some_and(|it| it.ctype().eq_ignore_ascii_case("multipart"));
        if is_multipart {
            let boundary = content_type.and_then(|it| it.attribute("boundary"));
            let ranges = boundary.map_or(Vec::new(), |boundary| {
                between(raw, part.body.clone(), boundary.as_bytes())
            });
            let is_digest = content_type
                .and_then(ContentType::subtype)
                .is_some_and(|it| it.eq_ignore_ascii_case("digest"));
            let mut parts = Vec::new();
            for range in ranges {
                if *count >= MAX_PARTS {
                    break;
                }
                parts.push(Self::find(raw, range, depth + 1, count, is_digest));
            }
            if parts.is_empty() {
                // The grammar knows no multipart without a part.
                let end = part.body.end..part.body.end;
                parts.push(Self {
                    header: end.clone(),
                    body: end,
                    kind: Kind::Leaf,
                });
            }
            part.kind = Kind::Multipart(parts);
        } else if is_message(content_type, in_digest) && !is_encoded(&headers) {
            let inner = Self::find(raw, part.body.clone(), depth + 1, count, false);
            part.kind = Kind::Message(Box::new(inner));
        }
        part
    }

    fn header<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        &raw[self.header.clone()]
    }

    fn body<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        &raw[self.body.clone()]
    }

    /// The part of this number in a message or a multipart. Of a message that is no multipart, 1 is
    /// the message's body.
    fn child(&self, number: u32, is_message: bool) -> Option<&Self> {
        match &self.kind {
            Kind::Multipart(parts) => parts.get(usize::try_from(number).ok()?.checked_sub(1)?),
            Kind::Leaf | Kind::Message(_) if is_message && number == 1 => Some(self),
            Kind::Leaf | Kind::Message(_) => None,
        }
    }

    /// What a section of the message is; `None` where there is no such part.
    pub(crate) fn section(&self, raw: &[u8], section: &Section) -> Option<Vec<u8>> {
        let (mut part, mut is_message) = (self, true);
        for number in section.numbers() {
            let container = match &part.kind {
                // What is in a message is numbered like what is in the whole one.
                Kind::Message(inner) if !is_message => {
                    is_message = true;
                    inner
                }
                _ => part,
            };
            part = container.child(*number, is_message)?;
            is_message = false;
        }
        let is_whole = section.numbers().is_empty();
        let message = match &part.kind {
            _ if is_whole => Some(self),
            Kind::Message(inner) => Some(&**inner),
            _ => None,
        };
        let bytes = match section.what() {
            SectionText::All if is_whole => raw,
            SectionText::All => part.body(raw),
            SectionText::Header => message?.header(raw),
            SectionText::Text => message?.body(raw),
            SectionText::Mime => part.header(raw),
            SectionText::Fields(names) => return Some(fields(message?.header(raw), names, true)),
            SectionText::FieldsNot(names) => {
                return Some(fields(message?.header(raw), names, false));
            }
        };
        Some(bytes.to_vec())
    }
}

/// How long the header is, with the empty line behind it.
fn header_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1);
        let line = &bytes[at..end];
        at = end;
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
    }
    at
}

/// The pieces of a multipart's body that stand between its boundaries. The line's end before a boundary
/// belongs to it (RFC 2046, section 5.1.1).
fn between(raw: &[u8], body: Range<usize>, boundary: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begun = None;
    let mut at = body.start;
    while at < body.end && ranges.len() < MAX_PARTS {
        let line = at;
        at = memchr::memchr(b'\n', &raw[at..body.end]).map_or(body.end, |end| at + end + 1);
        let text = &raw[line..at];
        let Some(rest) = text
            .strip_prefix(b"--")
            .and_then(|text| text.strip_prefix(boundary))
        else {
            continue;
        };
        let (rest, is_last) = match rest.strip_prefix(b"--") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        if !rest.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Some(begun) = begun {
            ranges.push(begun..without_end(raw, begun, line));
        }
        begun = (!is_last).then_some(at);
        if is_last {
            break;
        }
    }
    // A multipart that was cut.
    if let Some(begun) = begun
        && ranges.len() < MAX_PARTS
    {
        ranges.push(begun..body.end);
    }
    ranges
}

/// Where a piece ends whose next line begins there.
fn without_end(raw: &[u8], begun: usize, line: usize) -> usize {
    let piece = &raw[begun..line];
    let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
    let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
    begun + piece.len()
}

/// What `mail-parser` reads of a header. It is not given bodies, in which it follows messages in messages
/// as deep as they go.
fn headers(header: &[u8]) -> Vec<Header<'_>> {
    let message = MessageParser::default().parse_headers(header);
    let parts = message.map_or(Vec::new(), |message| message.parts);
    parts
        .into_iter()
        .next()
        .map_or(Vec::new(), |part| part.headers)
}

/// The first field of this name.
fn first<'a, 'x>(headers: &'a [Header<'x>], name: &HeaderName<'_>) -> Option<&'a Header<'x>> {
    headers.iter().find(|header| header.name == *name)
}

fn content_type<'a, 'x>(headers: &'a [Header<'x>]) -> Option<&'a ContentType<'x>> {
    match &first(headers, &HeaderName::ContentType)?.value {
        HeaderValue::ContentType(content_type) => Some(content_type),
        _ => None,
    }
}

fn is_message(content_type: Option<&ContentType<'_>>, in_digest: bool) -> bool {
    content_type.map_or(in_digest, |it| {
        let subtype = it.subtype().unwrap_or_default();
        it.ctype().eq_ignore_ascii_case("message")
            && (subtype.eq_ignore_ascii_case("rfc822") || subtype.eq_ignore_ascii_case("global"))
    })
}

/// Whether a part has a transfer encoding that has to be undone.
fn is_encoded(headers: &[Header<'_>]) -> bool {
    let encoding = first(headers, &HeaderName::ContentTransferEncoding);
    let text = encoding.and_then(|header| header.value.as_text());
    text.is_some_and(|text| {
        !["7bit", "8bit", "binary"]
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
    })
}

/// The fields of a header that have these names, or all others, and an empty line.
fn fields(header: &[u8], names: &[Text], wanted: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut is_in = false;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let end = memchr::memchr(b':', line).unwrap_or(line.len());
            let name = line[..end].trim_ascii_end();
            let is_named = names
                .iter()
                .any(|it| it.as_bytes().eq_ignore_ascii_case(name));
            is_in = is_named == wanted;
        }
        if is_in {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = "From: a@b\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\nbefore\r\n\
        --x\r\n\r\nfirst\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: inner\r\n two\r\nX: 1\r\nContent-Type: multipart/alternative; boundary=xy\r\n\r\n\
        --xy\r\nContent-Type: text/plain\r\n\r\nplain\r\n--xy\r\nContent-Type: text/html\r\n\r\n\
        <p>\r\n--xy--\r\n\r\n--x--\r\nbehind\r\n";

    fn section(raw: &str, part: &[u32], make: impl Fn(Section) -> Section) -> Option<String> {
        let section = if part.is_empty() {
            Section::all()
        } else {
            Section::part(part.iter().copied()).expect("numbers")
        };
        let found = Part::of(raw.as_bytes()).section(raw.as_bytes(), &make(section));
        found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn parts_have_the_numbers_that_the_rfc_gives_them() {
        let all = |section| section;
        let of = |part: &[u32]| section(NESTED, part, all);
        assert_eq!(of(&[]).as_deref(), Some(NESTED));
        assert_eq!(of(&[1]).as_deref(), Some("first"));
        assert_eq!(of(&[2, 1]).as_deref(), Some("plain"));
        assert_eq!(of(&[2, 2]).as_deref(), Some("<p>"));
        assert_eq!(of(&[3]), None);
        assert_eq!(of(&[1, 1]), None);
        assert_eq!(of(&[2, 1, 1]), None);
        let inner = of(&[2]).expect("a message");
        assert!(inner.starts_with("Subject: inner") && inner.ends_with("--xy--\r\n"));
        let mime = section(NESTED, &[2, 2], Section::mime);
        assert_eq!(mime.as_deref(), Some("Content-Type: text/html\r\n\r\n"));
    }

    #[test]
    fn a_message_without_parts_has_one() {
        let plain = "Subject: a\r\n\r\nbody\r\n";
        assert_eq!(section(plain, &[1], |it| it).as_deref(), Some("body\r\n"));
        assert_eq!(section(plain, &[1, 1], |it| it), None);
        assert_eq!(section(plain, &[2], |it| it), None);
        let text = section(plain, &[], |_| Section::text());
        assert_eq!(text.as_deref(), Some("body\r\n"));
        let fields = section(plain, &[], |_| Section::fields(["SUBJECT"]).expect("names"));
        assert_eq!(fields.as_deref(), Some("Subject: a\r\n\r\n"));
    }

    /// A parser that goes as deep as a message wants it to would not come back.
    #[test]
    fn depth_and_number_have_bounds() {
        let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
        let part = Part::of(deep.as_bytes());
        let _ = structure(deep.as_bytes(), &part);
        let wide = format!(
            "Content-Type: multipart/mixed; boundary=x\r\n\r\n{}",
            "--x\r\n\r\n\r\n".repeat(100_000)
        );
        let part = Part::of(wide.as_bytes());
        let structure = structure(wide.as_bytes(), &part);
        assert!(structure.parts.len() <= MAX_PARTS);
    }
}
