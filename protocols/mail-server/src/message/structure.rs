//! ENVELOPE and BODYSTRUCTURE of messages (RFC 9051, section 7.5.2).

use jackfield_imap::codec::{Address, Envelope, Structure, Text};
use jackfield_sasl::base64;
use mail_parser::{Addr, Address as Parsed, ContentType, Header, HeaderName, HeaderValue};

use super::{Kind, Part, content_type, first, headers};

/// How many addresses of a field are told.
const MAX_ADDRESSES: usize = 1000;

/// What a message's header says, in short.
pub(crate) fn envelope(raw: &[u8], part: &Part) -> Envelope {
    let header = part.header(raw);
    let headers = headers(header);
    let text = |name| first(&headers, &name).and_then(|it| as_it_stands(header, it));
    let people = |name| first(&headers, &name).map_or(Vec::new(), addresses);
    let from = people(HeaderName::From);
    let or_from = |name| match people(name) {
        none if none.is_empty() => from.clone(),
        some => some,
    };
    let mut envelope = Envelope::default();
    envelope.date = text(HeaderName::Date);
    envelope.subject = text(HeaderName::Subject);
    envelope.sender = or_from(HeaderName::Sender);
    envelope.reply_to = or_from(HeaderName::ReplyTo);
    envelope.to = people(HeaderName::To);
    envelope.cc = people(HeaderName::Cc);
    envelope.bcc = people(HeaderName::Bcc);
    envelope.in_reply_to = text(HeaderName::InReplyTo);
    envelope.message_id = text(HeaderName::MessageId);
    envelope.from = from;
    envelope
}

/// What a message is made of.
pub(crate) fn structure(raw: &[u8], part: &Part) -> Structure {
    let header = part.header(raw);
    let headers = headers(header);
    let text = |name| first(&headers, &name).and_then(|it| as_it_stands(header, it));
    let kind = content_type(&headers);
    let body = part.body(raw);
    let mut structure = Structure::default();
    if let Some(kind) = kind {
        structure.media_type = Text::from(kind.ctype());
        structure.subtype = Text::from(kind.subtype().unwrap_or("octet-stream"));
        structure.parameters = parameters(kind);
    } else {
        structure.media_type = Text::from("text");
        structure.subtype = Text::from("plain");
        structure.parameters = vec![(Text::from("charset"), Text::from("us-ascii"))];
    }
    structure.location = text(HeaderName::ContentLocation);
    structure.languages = text(HeaderName::ContentLanguage).into_iter().collect();
    structure.disposition = disposition(&headers);
    if let Kind::Multipart(parts) = &part.kind {
        structure.parts = parts
            .iter()
            .map(|part| self::structure(raw, part))
            .collect();
        return structure;
    }
    structure.id = text(HeaderName::ContentId);
    structure.description = text(HeaderName::ContentDescription);
    structure.encoding = text(HeaderName::ContentTransferEncoding);
    structure.size = Some(body.len() as u64);
    let lines = memchr::memchr_iter(b'\n', body).count() as u64;
    let is = |kind: &str| structure.media_type.is(kind);
    if let Kind::Message(inner) = &part.kind {
        if kind.is_none() {
            // In a digest.
            structure.media_type = Text::from("message");
            structure.subtype = Text::from("rfc822");
            structure.parameters.clear();
        }
        structure.envelope = Some(Box::new(envelope(raw, inner)));
        structure.parts = vec![self::structure(raw, inner)];
        structure.lines = Some(lines);
    } else if is("text") {
        structure.lines = Some(lines);
    } else if is("multipart") || is("message") && is_message(&structure.subtype) {
        // What was not taken apart is no such thing to whoever reads the structure.
        structure.media_type = Text::from("application");
        structure.subtype = Text::from("octet-stream");
    }
    structure
}

fn is_message(subtype: &Text) -> bool {
    subtype.is("rfc822") || subtype.is("global")
}

/// A field's value in one line, as the sender wrote it otherwise.
fn as_it_stands(header: &[u8], field: &Header<'_>) -> Option<Text> {
    let from = usize::try_from(field.offset_start).ok()?;
    let to = usize::try_from(field.offset_end).ok()?;
    let value = header.get(from..to)?;
    let line: Vec<u8> = value
        .iter()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .map(|byte| if *byte == b'\t' { b' ' } else { *byte })
        .collect();
    Some(Text::from(bytes::Bytes::copy_from_slice(line.trim_ascii())))
}

fn addresses(field: &Header<'_>) -> Vec<Address> {
    let mut out = Vec::new();
    match &field.value {
        HeaderValue::Address(Parsed::List(list)) => out.extend(list.iter().map(address)),
        HeaderValue::Address(Parsed::Group(groups)) => {
            for group in groups {
                let members = group.addresses.iter().map(address);
                let Some(name) = &group.name else {
                    out.extend(members);
                    continue;
                };
                let mut begins = Address::default();
                begins.mailbox = Some(word(name));
                out.push(begins);
                out.extend(members);
                out.push(Address::default());
            }
        }
        _ => {}
    }
    out.truncate(MAX_ADDRESSES);
    out
}

fn address(parsed: &Addr<'_>) -> Address {
    let text = parsed.address.as_deref().unwrap_or_default();
    let (mailbox, host) = text.rsplit_once('@').unwrap_or((text, ""));
    let mut address = Address::default();
    address.name = parsed.name.as_deref().map(word);
    // An address without either would be the end of a group.
    address.mailbox = Some(word(mailbox));
    address.host = Some(word(host));
    address
}

/// A text as a header can have it: what is no ASCII as encoded words (RFC 2047).
fn word(text: &str) -> Text {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Text::from(text);
    }
    let mut words = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        if piece.len() + c.len_utf8() > 45 {
            words.push(std::mem::take(&mut piece));
        }
        piece.push(c);
    }
    words.push(piece);
    let words: Vec<String> = words
        .into_iter()
        .map(|word| format!("=?UTF-8?B?{}?=", base64::encode(word)))
        .collect();
    Text::from(&*words.join(" "))
}

fn parameters(kind: &ContentType<'_>) -> Vec<(Text, Text)> {
    let all = kind.attributes.iter().flatten();
    let parameter = |(name, value): (&str, &str)| {
        let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_plain {
            return (word(name), Text::from(value));
        }
        // RFC 2231.
        let mut encoded = "UTF-8''".to_owned();
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
                encoded.push(char::from(byte));
            } else {
                let hex = b"0123456789ABCDEF";
                let digit = |nibble: u8| char::from(hex[usize::from(nibble)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        (word(&format!("{name}*")), Text::from(&*encoded))
    };
    all.map(|it| parameter((&it.name, &it.value))).collect()
}

fn disposition(headers: &[Header<'_>]) -> Option<(Text, Vec<(Text, Text)>)> {
    match &first(headers, &HeaderName::ContentDisposition)?.value {
        HeaderValue::ContentType(kind) => Some((word(kind.ctype()), parameters(kind))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_imap::codec::server::Writer;

    fn written(raw: &str) -> (String, String) {
        let part = Part::of(raw.as_bytes());
        let (mut one, mut other) = (Vec::new(), Vec::new());
        Writer::new(&mut one).envelope(&envelope(raw.as_bytes(), &part));
        Writer::new(&mut other).structure(&structure(raw.as_bytes(), &part), true);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(one), text(other))
    }

    #[test]
    fn a_header_is_told_in_short() {
        let (envelope, structure) = written(
            "Date: Sat, 28 Nov 2026 10:00:00 +0100\r\nFrom: =?UTF-8?Q?J=C3=B6?= <jo@example.org>\r\n\
             To: Friends: a@b, \"C, D\" <c@d>;\r\nSubject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\n and more\r\n\
             Message-ID: <1@x>\r\n\r\nhello\r\n",
        );
        let jo = "((\"=?UTF-8?B?SsO2?=\" NIL \"jo\" \"example.org\"))";
        assert_eq!(
            envelope,
            format!(
                "(\"Sat, 28 Nov 2026 10:00:00 +0100\" \"=?UTF-8?Q?gr=C3=BC=C3=9Fe?= and more\" \
                 {jo} {jo} {jo} ((NIL NIL \"Friends\" NIL)(NIL NIL \"a\" \"b\")\
                 (\"C, D\" NIL \"c\" \"d\")(NIL NIL NIL NIL)) NIL NIL NIL \"<1@x>\")"
            )
        );
        assert_eq!(
            structure,
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 7 1 NIL NIL NIL NIL)"
        );
    }

    #[test]
    fn parts_are_told_in_their_order() {
        let (_, structure) = written(
            "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\
             Content-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n--q\r\n\
             Content-Type: image/png; name=\"a b.png\"\r\nContent-ID: <i>\r\n\
             Content-Disposition: attachment; filename*=utf-8''%C3%BC.png\r\n\
             Content-Transfer-Encoding: base64\r\n\r\naGk=\r\n--q--\r\n",
        );
        assert_eq!(
            structure,
            "((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7BIT\" 3 0 NIL NIL NIL NIL)\
             (\"image\" \"png\" (\"name\" \"a b.png\") \"<i>\" NIL \"base64\" 4 NIL \
             (\"attachment\" (\"filename*\" \"UTF-8''%C3%BC.png\")) NIL NIL) \
             \"mixed\" (\"boundary\" \"q\") NIL NIL NIL)"
        );
    }
}
