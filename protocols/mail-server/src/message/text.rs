//! What messages are searched by: their fields and texts, as people read them.

use jackfield_imap::codec::Date;
use mail_parser::{HeaderName, HeaderValue, MessageParser, PartType};

use super::{Kind, Part, content_type, first, headers};

/// Whether this stands in the text, the case of letters left out of account.
fn is_in(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(wanted)
}

/// Reads each field as a text, with its encoded words decoded. What is said of all others counts only
/// where something is said of one.
fn as_text() -> MessageParser {
    let parser = MessageParser::new().default_header_text();
    parser.header_text(HeaderName::From)
}

/// Whether a field of this name has this in it, which is in lower case; an empty text is in any.
pub(crate) fn field(raw: &[u8], part: &Part, name: &str, wanted: &str) -> bool {
    let parser = as_text();
    let Some(message) = parser.parse_headers(part.header(raw)) else {
        return false;
    };
    let headers = message.parts.first().map(|part| &part.headers[..]);
    headers.unwrap_or_default().iter().any(|header| {
        let text = header.value.as_text().unwrap_or_default();
        header.name().eq_ignore_ascii_case(name) && is_in(text, wanted)
    })
}

/// Whether a text of the message has this in it, which is in lower case; with its headers, where they
/// count.
pub(crate) fn contains(raw: &[u8], part: &Part, wanted: &str, with_headers: bool) -> bool {
    if with_headers {
        let header = part.header(raw);
        let is_raw = is_in(&String::from_utf8_lossy(header), wanted);
        let parser = as_text();
        let is_decoded = || {
            let message = parser.parse_headers(header)?;
            let mut headers = message.parts.first()?.headers.iter();
            let decoded = headers.any(|it| is_in(it.value.as_text().unwrap_or_default(), wanted));
            Some(decoded)
        };
        if is_raw || is_decoded().unwrap_or(false) {
            return true;
        }
    }
    match &part.kind {
        Kind::Multipart(parts) => parts
            .iter()
            .any(|part| contains(raw, part, wanted, with_headers)),
        Kind::Message(inner) => contains(raw, inner, wanted, true),
        Kind::Leaf => leaf(raw, part, wanted),
    }
}

fn leaf(raw: &[u8], part: &Part, wanted: &str) -> bool {
    let headers = headers(part.header(raw));
    let is_text = content_type(&headers).is_none_or(|it| it.ctype().eq_ignore_ascii_case("text"));
    if !is_text {
        return false;
    }
    let whole = &raw[part.header.start..part.body.end];
    let parsed = MessageParser::default().parse(whole);
    let body = parsed.as_ref().and_then(|it| it.parts.first());
    match body.map(|part| &part.body) {
        Some(PartType::Text(text) | PartType::Html(text)) => is_in(text, wanted),
        _ => is_in(&String::from_utf8_lossy(part.body(raw)), wanted),
    }
}

/// The day that `Date` says, in its own zone.
pub(crate) fn sent(raw: &[u8], part: &Part) -> Option<Date> {
    let headers = headers(part.header(raw));
    match &first(&headers, &HeaderName::Date)?.value {
        HeaderValue::DateTime(date) => Date::new(date.year, date.month, date.day).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_searched_as_people_read_them() {
        let raw = "From: =?UTF-8?Q?J=C3=B6?= <jo@example.org>\r\nTo: a@b,\r\n c@d\r\nX-Empty:\r\n\
            Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\n\r\n=C3=BC\r\n";
        let part = Part::of(raw.as_bytes());
        for (name, wanted, expected) in [
            ("From", "jö", true),
            ("from", "jo@example", true),
            ("To", "c@d", true),
            ("Subject", "grüße", true),
            ("Subject", "jö", false),
            ("X-Empty", "", true),
            ("Cc", "", false),
        ] {
            let found = field(raw.as_bytes(), &part, name, wanted);
            assert_eq!(found, expected, "{name} {wanted}");
        }
        assert!(contains(raw.as_bytes(), &part, "grüße", true));
        assert!(!contains(raw.as_bytes(), &part, "grüße", false));
        assert!(contains(raw.as_bytes(), &part, "=c3=bc", false));
    }
}
