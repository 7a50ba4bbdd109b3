//! A draft becomes a message.

use bytes::Bytes;
use mail_builder::headers::Header;
use mail_builder::headers::address::Address as Written;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};

use super::reader::Segment;
use super::{Attachment, ComposeError, Composed, Content, Draft, Field};
use crate::message::flowed;
use crate::{Address, Date};

/// How many bytes make a line of base64, of 76 characters.
pub(super) const LINE: usize = 57;
/// How long an address may be, in bytes; as in `jackfield-smtp`.
const MAX_ADDRESS: usize = 512;
/// How long an identifier may be, in bytes: on one line with its field's name (RFC 5322, section 2.1.1).
const MAX_ID: usize = 900;
/// How long a text of a field may be, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// How long a line may be that is not encoded, in bytes (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;

/// Fields that are made of the draft's other parts, or by whoever carries the message.
const OWN: &[&str] = &[
    "bcc",
    "cc",
    "date",
    "from",
    "in-reply-to",
    "message-id",
    "mime-version",
    "received",
    "references",
    "reply-to",
    "resent-bcc",
    "return-path",
    "sender",
    "subject",
    "to",
];

pub(super) fn compose(
    draft: Draft,
    message_id: &str,
    date: Date,
) -> Result<Composed, ComposeError> {
    let mut out = Out::default();
    header(&draft, message_id, date, &mut out.bytes)?;

    let mut recipients: Vec<String> = Vec::new();
    for address in draft.to.iter().chain(&draft.cc).chain(&draft.bcc) {
        let address = address.address.trim();
        if !recipients.iter().any(|known| known == address) {
            recipients.push(address.to_owned());
        }
    }
    let named = [&draft.reply_to, &draft.to, &draft.cc]
        .into_iter()
        .flatten();
    let mut named = named.chain([&draft.from]);
    let needs_smtputf8 = named.any(|address| !address.address.is_ascii());

    let texts = [draft.text, draft.html].map(|text| text.map(|text| lines(&text)));
    let [text, html] = texts;
    let hanging = [&draft.inline, &draft.attachments];
    let boundary = boundary(message_id, [text.as_deref(), html.as_deref()], hanging);
    let text = match text {
        None if html.is_none() => Some(String::new()),
        text => text,
    };
    let body = text_of(text, draft.is_flowed, html, draft.inline);
    let root = if draft.attachments.is_empty() {
        body
    } else {
        let parts = draft.attachments.into_iter().map(Part::Attachment);
        Part::Multi("multipart/mixed", [body].into_iter().chain(parts).collect())
    };
    out.boundary = boundary;
    out.part(root)?;
    let (segments, size, is_8bit) = out.done();
    Ok(Composed {
        sender: draft.from.address.trim().to_owned(),
        recipients,
        is_8bit,
        needs_smtputf8,
        segments,
        size,
    })
}

enum Part {
    Text(&'static str, String, bool),
    Multi(&'static str, Vec<Part>),
    Attachment(Attachment),
    Inline(Attachment),
}

/// What the message says, without what hangs on it.
fn text_of(
    text: Option<String>,
    is_flowed: bool,
    html: Option<String>,
    inline: Vec<Attachment>,
) -> Part {
    let text = text.map(|text| {
        if is_flowed {
            flowed::split(&text.replace("\r\n", "\n")).replace('\n', "\r\n")
        } else {
            text
        }
    });
    let text = text.map(|text| Part::Text("text/plain", text, is_flowed));
    let html = html.map(|html| Part::Text("text/html", html, false));
    let shown = match (html, inline.is_empty()) {
        (Some(html), true) => Some(html),
        (Some(html), false) => {
            let images = inline.into_iter().map(Part::Inline);
            Some(Part::Multi(
                "multipart/related",
                [html].into_iter().chain(images).collect(),
            ))
        }
        (None, true) => None,
        (None, false) => {
            let images = inline.into_iter().map(Part::Inline);
            let parts = text.into_iter().chain(images).collect();
            return Part::Multi("multipart/mixed", parts);
        }
    };
    match (text, shown) {
        (Some(text), Some(shown)) => Part::Multi("multipart/alternative", vec![text, shown]),
        (Some(part), None) | (None, Some(part)) => part,
        (None, None) => Part::Text("text/plain", String::new(), false),
    }
}

/// What is written so far.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    size: u64,
    is_8bit: bool,
    boundary: String,
    /// How many multiparts there are.
    multis: u32,
}

impl Out {
    fn part(&mut self, part: Part) -> Result<(), ComposeError> {
        match part {
            Part::Text(kind, text, is_flowed) => {
                let mut content_type = ContentType::new(kind).attribute("charset", "utf-8");
                if is_flowed {
                    content_type = content_type.attribute("format", "flowed");
                }
                MimePart::new(content_type, BodyPart::Text(text.into()))
                    .write_part(&mut self.bytes);
                Ok(())
            }
            Part::Multi(kind, parts) => {
                self.multis += 1;
                let boundary = format!("{}{}", self.boundary, self.multis);
                let content_type = ContentType::new(kind).attribute("boundary", &*boundary);
                field("Content-Type", &content_type, &mut self.bytes);
                for part in parts {
                    self.bytes.extend_from_slice(b"\r\n--");
                    self.bytes.extend_from_slice(boundary.as_bytes());
                    self.bytes.extend_from_slice(b"\r\n");
                    self.part(part)?;
                }
                self.bytes.extend_from_slice(b"\r\n--");
                self.bytes.extend_from_slice(boundary.as_bytes());
                self.bytes.extend_from_slice(b"--\r\n");
                Ok(())
            }
            Part::Attachment(attachment) => self.attachment(attachment, "attachment"),
            Part::Inline(attachment) => self.attachment(attachment, "inline"),
        }
    }

    fn attachment(&mut self, attachment: Attachment, kind: &str) -> Result<(), ComposeError> {
        let Attachment {
            name,
            media_type,
            content_id,
            content,
        } = attachment;
        if !is_media_type(&media_type) {
            return Err(ComposeError::Invalid(Field::MediaType));
        }
        let mut content_type = ContentType::new(&*media_type);
        let mut disposition = ContentType::new(kind);
        if let Some(name) = &name {
            text(name, Field::FileName)?;
            // For readers that look for it there.
            content_type = content_type.attribute("name", &**name);
            disposition = disposition.attribute("filename", &**name);
        }
        field("Content-Type", &content_type, &mut self.bytes);
        field("Content-Disposition", &disposition, &mut self.bytes);
        if let Some(id) = &content_id {
            identifier(id, Field::ContentId)?;
            field("Content-ID", &MessageId::new(&**id), &mut self.bytes);
        }
        let encoding = |out: &mut Self, encoding: &str| {
            let line = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
            out.bytes.extend_from_slice(line.as_bytes());
        };
        match content {
            Content::Message(raw) => {
                let raw = crlf(&raw);
                let is_long = raw
                    .split(|byte| *byte == b'\n')
                    .any(|line| line.len() > MAX_LINE + 1);
                if is_long || raw.contains(&0) {
                    // RFC 2046, section 5.2.1, has no encoding here; but what can't be carried otherwise
                    // is better encoded than broken.
                    encoding(self, "base64");
                    self.encoded(raw.into());
                } else {
                    let is_8bit = !raw.is_ascii();
                    encoding(self, if is_8bit { "8bit" } else { "7bit" });
                    self.is_8bit |= is_8bit;
                    self.bytes.extend_from_slice(&raw);
                }
            }
            Content::Bytes(bytes) => {
                encoding(self, "base64");
                self.encoded(bytes);
            }
            Content::Stream(reader, len) => {
                encoding(self, "base64");
                self.cut();
                self.size = self.size.saturating_add(encoded_len(len));
                self.segments.push(Segment::Stream(reader, len));
            }
        }
        Ok(())
    }

    fn encoded(&mut self, bytes: Bytes) {
        self.cut();
        self.size = self.size.saturating_add(encoded_len(bytes.len() as u64));
        self.segments.push(Segment::Encoded(bytes));
    }

    fn cut(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.segments.push(Segment::Bytes(bytes.into()));
    }

    fn done(mut self) -> (Vec<Segment>, u64, bool) {
        if !self.bytes.ends_with(b"\n") {
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.cut();
        (self.segments, self.size, self.is_8bit)
    }
}

fn header(
    draft: &Draft,
    message_id: &str,
    date: Date,
    out: &mut Vec<u8>,
) -> Result<(), ComposeError> {
    out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    addresses("From", Field::From, std::slice::from_ref(&draft.from), out)?;
    for (name, kind, list) in [
        ("Reply-To", Field::ReplyTo, &draft.reply_to),
        ("To", Field::To, &draft.to),
        ("Cc", Field::Cc, &draft.cc),
    ] {
        addresses(name, kind, list, out)?;
    }
    // They are checked as the others are, and written nowhere but in a draft.
    let mut bcc = Vec::new();
    addresses("Bcc", Field::Bcc, &draft.bcc, &mut bcc)?;
    if draft.keep_bcc {
        out.append(&mut bcc);
    }
    text(&draft.subject, Field::Subject)?;
    field("Subject", &Text::new(&*draft.subject), out);
    identifier(message_id, Field::MessageId)?;
    field("Message-ID", &MessageId::new(message_id), out);
    for (name, kind, list) in [
        ("In-Reply-To", Field::InReplyTo, &draft.in_reply_to),
        ("References", Field::References, &draft.references),
    ] {
        for id in list {
            identifier(id, kind)?;
        }
        if !list.is_empty() {
            field(name, &MessageId::from(&list[..]), out);
        }
    }
    for (name, value) in &draft.fields {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_own = OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
            || name
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        if name.is_empty() || name.len() > 70 || !name.bytes().all(is_name) || is_own {
            return Err(ComposeError::Invalid(Field::FieldName));
        }
        text(value, Field::FieldText)?;
        field(name, &Text::new(&**value), out);
    }
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    Ok(())
}

fn field(name: &str, value: &impl Header, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    value.write_header(out, name.len() + 2);
}

fn addresses(
    name: &str,
    kind: Field,
    list: &[Address],
    out: &mut Vec<u8>,
) -> Result<(), ComposeError> {
    if list.is_empty() {
        return Ok(());
    }
    let mut written = Vec::with_capacity(list.len());
    for address in list {
        if let Some(name) = &address.name {
            text(name, kind)?;
        }
        check_address(address.address.trim(), kind)?;
        let name = address
            .name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty());
        written.push(Written::new_address(name, address.address.trim()));
    }
    field(name, &Written::new_list(written), out);
    Ok(())
}

/// An address (RFC 5322, section 3.4.1, with the Unicode of RFC 6532). What could end it, or add another
/// to it, may stand in none, quoted or not.
fn check_address(address: &str, kind: Field) -> Result<(), ComposeError> {
    if address.contains(char::is_control) {
        return Err(ComposeError::ControlCharacter(kind));
    }
    if address.len() > MAX_ADDRESS {
        return Err(ComposeError::TooLong(kind));
    }
    let invalid = Err(ComposeError::Invalid(kind));
    let Some((local, domain)) = address.rsplit_once('@') else {
        return invalid;
    };
    let is_atom = |c: char| !c.is_whitespace() && !"()<>[]:;@\\,\"".contains(c);
    let quoted = local
        .strip_prefix('"')
        .and_then(|local| local.strip_suffix('"'));
    let is_local = match quoted {
        Some(inner) => !inner.is_empty() && !inner.contains(['"', '\\', '<', '>']),
        None => !local.is_empty() && local.chars().all(is_atom),
    };
    let literal = domain
        .strip_prefix('[')
        .and_then(|domain| domain.strip_suffix(']'));
    let is_domain = match literal {
        Some(inner) => inner
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".:-".contains(c)),
        None => !domain.is_empty() && domain.chars().all(is_atom),
    };
    if is_local && is_domain {
        Ok(())
    } else {
        invalid
    }
}

fn text(value: &str, kind: Field) -> Result<(), ComposeError> {
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(ComposeError::ControlCharacter(kind));
    }
    if value.len() > MAX_TEXT {
        return Err(ComposeError::TooLong(kind));
    }
    Ok(())
}

/// What can be a Message-ID or Content-ID. Others' programs write what they like, so that it is only
/// looked at what would do harm.
pub(super) fn identifier(id: &str, kind: Field) -> Result<(), ComposeError> {
    if id.contains(char::is_control) {
        return Err(ComposeError::ControlCharacter(kind));
    }
    if id.len() > MAX_ID {
        return Err(ComposeError::TooLong(kind));
    }
    if id.is_empty()
        || !id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte))
    {
        return Err(ComposeError::Invalid(kind));
    }
    Ok(())
}

/// Two tokens (RFC 2045, section 5.1). A multipart has a boundary, which an attachment can't give.
pub(super) fn is_media_type(media_type: &str) -> bool {
    let is_token = |text: &str| {
        let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte);
        !text.is_empty() && text.len() <= 127 && text.bytes().all(is_token)
    };
    let Some((kind, subtype)) = media_type.split_once('/') else {
        return false;
    };
    is_token(kind) && is_token(subtype) && !kind.eq_ignore_ascii_case("multipart")
}

/// Text with CRLF at its lines' ends, and without NUL, which no mail can carry.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.replace('\n', "\r\n").replace('\0', "")
}

fn crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 40);
    let mut last = 0;
    for &byte in raw {
        if byte == b'\n' && last != b'\r' || last == b'\r' && byte != b'\n' {
            out.extend_from_slice(if byte == b'\n' { b"\r" } else { b"\n" });
        }
        out.push(byte);
        last = byte;
    }
    if last == b'\r' {
        out.push(b'\n');
    }
    out
}

/// What boundaries begin with: nothing that is written as it is has it in it. Quoted-printable and base64
/// can't have `=_`.
fn boundary(
    message_id: &str,
    texts: [Option<&str>; 2],
    attachments: [&Vec<Attachment>; 2],
) -> String {
    let mut texts: Vec<&[u8]> = texts.into_iter().flatten().map(str::as_bytes).collect();
    texts.extend(attachments.into_iter().flatten().filter_map(
        |attachment| match &attachment.content {
            Content::Message(raw) => Some(&**raw),
            _ => None,
        },
    ));
    // FNV-1a: the Message-ID is unlike any other's, and so is this.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in message_id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    loop {
        let boundary = format!("=_{hash:016x}_");
        let finder = memchr::memmem::Finder::new(&boundary);
        if !texts.iter().any(|text| finder.find(text).is_some()) {
            return boundary;
        }
        hash = hash.wrapping_add(1);
    }
}

/// Base64 in lines of 76 characters, each with its end.
pub(super) fn base64_lines(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(encoded_len(bytes.len() as u64) as usize);
    for line in bytes.chunks(LINE) {
        crate::base64::encode(line, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// How many bytes [`base64_lines`] makes of so many.
fn encoded_len(len: u64) -> u64 {
    let digits = len.div_ceil(3).saturating_mul(4);
    digits.saturating_add(len.div_ceil(LINE as u64).saturating_mul(2))
}
