//! A message to send: from its text, its HTML, what hangs on it, and the message that it answers.
//!
//! A [`Draft`] is filled in, and [`compose`](Draft::compose) makes a message of it, with the Message-ID and
//! the date that it is given: there is neither clock nor randomness here. Nothing that a field holds can
//! become another field: what has a line's end in it is refused.

mod error;
mod forward;
mod reader;
mod reply;
mod write;

use std::fmt;

use bytes::Bytes;
use tokio::io::AsyncRead;

pub use error::{ComposeError, Field};
pub use reader::Reader;
pub use reply::{ReplyTo, quote};

use crate::{Address, Date};
use reader::Segment;

/// A message that is being written.
///
/// ```
/// use jackfield_mail::compose::{Attachment, Draft, message_id};
/// use jackfield_mail::{Address, Date, message::Message};
///
/// let mut draft = Draft::new(Address::named("Ad\u{e0}", "ada@example.org"));
/// draft.to.push(Address::new("grace@example.com"));
/// draft.bcc.push(Address::new("alan@example.net"));
/// draft.subject = "Lunch?".into();
/// draft.text = Some("At one.\n".into());
/// draft.attachments.push(Attachment::new("menu.txt", "text/plain", "Soup."));
///
/// // 16 bytes of the system's randomness, in place of these.
/// let id = message_id([7; 16], "example.org");
/// let message = draft.compose(&id, Date::new(1_700_000_000, 60))?;
/// // For the envelope. Bcc is nowhere else.
/// assert_eq!(message.recipients, ["grace@example.com", "alan@example.net"]);
/// let bytes = message.into_bytes().expect("it is all in memory");
/// assert_eq!(Message::parse(bytes).text(), "At one.\n");
/// # Ok::<(), jackfield_mail::compose::ComposeError>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Draft {
    /// Whom it is from.
    pub from: Address,
    /// Where answers go, where that is somewhere else.
    pub reply_to: Vec<Address>,
    /// Whom it is to.
    pub to: Vec<Address>,
    /// Who is to know of it.
    pub cc: Vec<Address>,
    /// Who gets it unseen: they are in the envelope and nowhere in the message, unless
    /// [`keep_bcc`](Self::keep_bcc) is set.
    pub bcc: Vec<Address>,
    /// Whether those who get it unseen stand in the message: for one that is saved to be finished later, and
    /// never for one that is sent. Default: false.
    pub keep_bcc: bool,
    /// What it is about.
    pub subject: String,
    /// The Message-IDs of what it answers, without `<` and `>`.
    pub in_reply_to: Vec<String>,
    /// The Message-IDs of the messages before it, the oldest first.
    pub references: Vec<String>,
    /// Its text. Line ends are LF or CRLF.
    pub text: Option<String>,
    /// Its HTML, an alternative to the text.
    pub html: Option<String>,
    /// Whether the text's paragraphs are sent as lines that go on (`format=flowed`, RFC 3676). Default:
    /// false, and then long lines stay long.
    pub is_flowed: bool,
    /// Images of the HTML, named there by `cid:` and their Content-ID.
    pub inline: Vec<Attachment>,
    /// What hangs on it.
    pub attachments: Vec<Attachment>,
    /// Fields besides those that are made of the above, by name and text.
    pub fields: Vec<(String, String)>,
}

impl Draft {
    /// An empty one.
    pub fn new(from: Address) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// The message. `message_id` is without `<` and `>`, and must be one that no other message has; it is
    /// what [`message_id`] makes.
    ///
    /// # Errors
    /// Where a field can't be what it is to be: a line's end in it, an address that is none.
    pub fn compose(self, message_id: &str, date: Date) -> Result<Composed, ComposeError> {
        write::compose(self, message_id, date)
    }
}

/// What hangs on a message, or is shown in its HTML.
#[non_exhaustive]
pub struct Attachment {
    /// Its file name.
    pub name: Option<String>,
    /// Its media type, `image/png`.
    pub media_type: String,
    /// What the HTML names it with, without `cid:`; something like `1@example.org`.
    pub content_id: Option<String>,
    content: Content,
}

enum Content {
    Bytes(Bytes),
    Stream(Box<dyn AsyncRead + Send + Unpin>, u64),
    Message(Bytes),
}

impl Attachment {
    /// A file that is in memory.
    pub fn new(
        name: impl Into<String>,
        media_type: impl Into<String>,
        content: impl Into<Bytes>,
    ) -> Self {
        Self {
            name: Some(name.into()),
            media_type: media_type.into(),
            content_id: None,
            content: Content::Bytes(content.into()),
        }
    }

    /// A file that is read while the message is sent, with as many bytes as it has. Where it turns out to
    /// have more or fewer, [`Reader`] fails.
    pub fn stream(
        name: impl Into<String>,
        media_type: impl Into<String>,
        content: impl AsyncRead + Send + Unpin + 'static,
        size: u64,
    ) -> Self {
        Self {
            name: Some(name.into()),
            media_type: media_type.into(),
            content_id: None,
            content: Content::Stream(Box::new(content), size),
        }
    }

    /// An image of the HTML.
    pub fn inline(
        content_id: impl Into<String>,
        media_type: impl Into<String>,
        content: impl Into<Bytes>,
    ) -> Self {
        Self {
            name: None,
            media_type: media_type.into(),
            content_id: Some(content_id.into()),
            content: Content::Bytes(content.into()),
        }
    }

    /// A message, as it came.
    pub fn message(raw: impl Into<Bytes>) -> Self {
        Self {
            name: None,
            media_type: "message/rfc822".into(),
            content_id: None,
            content: Content::Message(raw.into()),
        }
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("name", &self.name)
            .field("media_type", &self.media_type)
            .field("content_id", &self.content_id)
            .finish_non_exhaustive()
    }
}

/// A message that can be sent, and what must be said when it is.
#[non_exhaustive]
pub struct Composed {
    /// Whom it is from, for the envelope.
    pub sender: String,
    /// Whom it goes to, for the envelope: To, Cc and Bcc, each once.
    pub recipients: Vec<String>,
    /// Whether it has bytes beyond ASCII (`BODY=8BITMIME`, RFC 6152). It has none but in messages that
    /// hang on it.
    pub is_8bit: bool,
    /// Whether an address of its header is beyond ASCII, so that it needs `SMTPUTF8` (RFC 6531).
    pub needs_smtputf8: bool,
    segments: Vec<Segment>,
    size: u64,
}

impl Composed {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it; `None` where an attachment is read while it is sent.
    pub fn into_bytes(self) -> Option<Bytes> {
        let mut all = Vec::new();
        for segment in self.segments {
            match segment {
                Segment::Bytes(bytes) => all.extend_from_slice(&bytes),
                Segment::Encoded(bytes) => write::base64_lines(&bytes, &mut all),
                Segment::Stream(..) => return None,
            }
        }
        Some(all.into())
    }

    /// All of it, as it is read: attachments are encoded on the way.
    pub fn into_reader(self) -> Reader {
        Reader::new(self.segments)
    }
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composed")
            .field("sender", &self.sender)
            .field("recipients", &self.recipients)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A Message-ID that no other message has, if the bytes are the system's randomness. The domain is the
/// sender's; what can't stand in one is left out.
pub fn message_id(random: [u8; 16], domain: &str) -> String {
    let mut id = String::with_capacity(32 + 1 + domain.len());
    for byte in random {
        for digit in [byte >> 4, byte & 15] {
            id.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    id.push('@');
    let is_domain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let domain: String = domain.chars().filter(is_domain).collect();
    id.push_str(if domain.is_empty() {
        "localhost"
    } else {
        &domain
    });
    id
}
