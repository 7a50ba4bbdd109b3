//! APPEND, MULTIAPPEND, CATENATE and REPLACE: messages that follow their command (RFC 9051, section
//! 6.3.12; RFC 3502; RFC 4469; RFC 8508).

use std::fmt;

use crate::codec::date::DateTime;
use crate::codec::encode::Encoder;
use crate::codec::flag::Flag;
use crate::codec::mailbox::MailboxName;

/// A message that is appended: what goes with it, and where its text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendMessage {
    /// The flags that it gets. Default: none.
    pub flags: Vec<Flag>,
    /// When it arrived. Default: now.
    pub date: Option<DateTime>,
    /// Its text.
    pub data: AppendData,
}

/// Where the text of a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendData {
    /// It follows, in so many bytes.
    Literal(u64),
    /// It is put together of parts, in this order (CATENATE, RFC 4469).
    Catenate(Vec<CatenatePart>),
}

/// A part of a message that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatenatePart {
    /// It follows, in so many bytes.
    Text(u64),
    /// It is at the server.
    Url(MessageUrl),
}

impl AppendMessage {
    /// One of so many bytes, without flags, that arrives now.
    pub fn new(size: u64) -> Self {
        Self::of(AppendData::Literal(size))
    }

    /// One that the server puts together of these parts.
    pub fn catenate(parts: impl IntoIterator<Item = CatenatePart>) -> Self {
        Self::of(AppendData::Catenate(parts.into_iter().collect()))
    }

    fn of(data: AppendData) -> Self {
        Self {
            flags: Vec::new(),
            date: None,
            data,
        }
    }

    /// With this flag.
    #[must_use]
    pub fn flag(mut self, flag: Flag) -> Self {
        self.flags.push(flag);
        self
    }

    /// How many bytes of it follow its command, all together.
    pub fn size(&self) -> u64 {
        match &self.data {
            AppendData::Literal(size) => *size,
            AppendData::Catenate(parts) => {
                let sizes = parts.iter().map(|part| match part {
                    CatenatePart::Text(size) => *size,
                    CatenatePart::Url(_) => 0,
                });
                sizes.fold(0, u64::saturating_add)
            }
        }
    }

    pub(super) fn write(&self, out: &mut Encoder<'_>) {
        head(out, &self.flags, self.date);
        match &self.data {
            AppendData::Literal(size) => out.message(*size),
            AppendData::Catenate(parts) => {
                out.raw(b"CATENATE ");
                out.list(parts, |out, part| match part {
                    CatenatePart::Text(size) => {
                        out.raw(b"TEXT ");
                        out.message(*size);
                    }
                    CatenatePart::Url(url) => {
                        out.raw(b"URL ");
                        out.string(url.0.as_bytes());
                    }
                });
            }
        }
    }
}

/// What stands before a message.
pub(super) fn head(out: &mut Encoder<'_>, flags: &[Flag], date: Option<DateTime>) {
    out.raw(b" ");
    if !flags.is_empty() {
        out.list(flags, |out, flag| out.raw(flag.name()));
        out.raw(b" ");
    }
    if let Some(date) = date {
        out.with(|bytes| date.encode(bytes));
        out.raw(b" ");
    }
}

/// A message at the server, or a section of one, as an IMAP URL without its server (RFC 5092,
/// section 7).
///
/// ```
/// use jackfield_imap::codec::{MailboxName, MessageUrl, Section};
///
/// let draft = MessageUrl::new(&"Entwürfe".parse()?, 385_759_043, 20);
/// assert_eq!(draft.to_string(), "/Entw%C3%BCrfe;UIDVALIDITY=385759043/;UID=20");
/// let attachment = draft.section(&Section::part([2])?.mime());
/// assert!(attachment.to_string().ends_with(";UID=20/;SECTION=2.MIME"));
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl(String);

impl MessageUrl {
    /// The whole message of this UID.
    pub fn new(mailbox: &MailboxName, uid_validity: u32, uid: u32) -> Self {
        let mut url = "/".to_owned();
        escape(&mut url, &mailbox.to_string());
        Self(format!("{url};UIDVALIDITY={uid_validity}/;UID={uid}"))
    }

    /// A section of the message.
    #[must_use]
    pub fn section(mut self, section: &crate::codec::Section) -> Self {
        let section = section.to_string();
        if !section.is_empty() {
            self.0.push_str("/;SECTION=");
            escape(&mut self.0, &section);
        }
        self
    }
}

impl fmt::Display for MessageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What may stand in a URL as it is, and the rest as its bytes.
fn escape(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*+,:@/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
            url.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
