//! A message to show: who wrote it, its text, its HTML, what hangs on it.
//!
//! A message may be anything, so nothing here fails: what can't be read is left out, or stays as it is, and
//! what exceeds a bound of [`Limits`] is left out with a word of it. What parts there are is known at
//! once; they are decoded when they are asked for.
//!
//! Not all of a message needs to be here. With its BODYSTRUCTURE a [`Plan`] says which sections make up its
//! text, and [`Decoded`] decodes an attachment as it comes.

mod authentication;
mod file_name;
pub(crate) mod flowed;
mod limits;
mod parameters;
mod part;
mod sender;
mod transfer;
mod tree;
pub(crate) mod words;

use std::fmt;

use bytes::Bytes;
use mail_parser::decoders::html::{html_to_text, text_to_html};

pub use authentication::{Authentication, MethodResult, Verdict};
pub use limits::{Limits, ReadOptions};
pub use part::{Part, Plan};
pub use sender::{Oddity, Sender};
pub use transfer::{Decoded, Decoder, TransferEncoding};

use crate::{Address, Date};
use tree::{Header, Walk};

/// How many message identifiers of a field are read.
const MAX_IDS: usize = 1000;

/// A message, as it came.
///
/// ```
/// use jackfield_mail::message::Message;
///
/// let message = Message::parse("\
/// From: =?utf-8?q?Ad=C3=A0?= <ada@example.org>\r\n\
/// Subject: Lunch?\r\n\
/// Content-Type: text/plain; charset=koi8-r\r\n\
/// Content-Transfer-Encoding: base64\r\n\
/// \r\n\
/// 7cnSIQ==\r\n");
/// assert_eq!(message.subject().as_deref(), Some("Lunch?"));
/// assert_eq!(message.from()[0].to_string(), "Ad\u{e0} <ada@example.org>");
/// assert_eq!(message.text(), "\u{41c}\u{438}\u{440}!");
/// assert!(message.attachments().is_empty());
/// ```
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    header: Header,
    plan: Plan,
    options: ReadOptions,
}

impl Message {
    /// Reads a message, by the default limits and with the charsets that are built in.
    pub fn parse(raw: impl Into<Bytes>) -> Self {
        Self::parse_with(raw, &ReadOptions::default())
    }

    /// Reads a message.
    pub fn parse_with(raw: impl Into<Bytes>, options: &ReadOptions) -> Self {
        let raw = raw.into();
        let header = Header::parse(&raw, 0..raw.len(), options);
        let mut walk = Walk {
            raw: &raw,
            options,
            count: 0,
            is_truncated: false,
        };
        let root = walk.node(&header, raw.len(), Vec::new(), 0, "text/plain");
        let mut plan = Plan::of(root.as_slice());
        plan.is_truncated = walk.is_truncated;
        Self {
            header,
            plan,
            options: options.clone(),
            raw,
        }
    }

    /// Its source.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Whether something was left out by a limit.
    pub fn is_truncated(&self) -> bool {
        self.plan.is_truncated
    }

    /// The text to show where no HTML is wanted; made from the HTML where there is no other.
    pub fn text(&self) -> String {
        let texts = self.plan.text.iter().map(|part| {
            let text = self.part_text(part);
            match &*part.media_type {
                "text/html" => html_to_text(&text),
                _ => text,
            }
        });
        let mut all = String::new();
        for text in texts {
            if !all.is_empty() && !all.ends_with('\n') {
                all.push('\n');
            }
            all.push_str(&text);
        }
        all
    }

    /// The HTML to show; made from the text where there is no other, and `None` where there is neither.
    ///
    /// **It is as the sender made it**, with its scripts, forms and addresses of images that tell him when
    /// they are loaded. It belongs into a frame that can do none of this: `sandbox` without
    /// `allow-scripts`, and a Content-Security-Policy of `default-src 'none'` in it.
    pub fn html(&self) -> Option<String> {
        let has_html = |part: &&Part| part.media_type == "text/html";
        if self.plan.html.is_empty() {
            return None;
        }
        if let [part] = &self.plan.html[..]
            && has_html(&part)
        {
            return Some(self.part_text(part));
        }
        let parts = self.plan.html.iter().map(|part| {
            let text = self.part_text(part);
            if has_html(&part) {
                text
            } else {
                text_to_html(&text)
            }
        });
        Some(parts.collect::<Vec<_>>().join("\n"))
    }

    /// Whether its sender made HTML.
    pub fn has_html(&self) -> bool {
        self.plan
            .html
            .iter()
            .any(|part| part.media_type == "text/html")
    }

    /// What is neither its text nor its HTML, images in them among it.
    pub fn attachments(&self) -> &[Part] {
        &self.plan.attachments
    }

    /// Which parts are what.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The part that a `cid:` address of the HTML means, given with or without its scheme.
    pub fn by_content_id(&self, id: &str) -> Option<&Part> {
        self.plan.by_content_id(id)
    }

    /// A part as it is encoded.
    pub fn encoded(&self, part: &Part) -> Bytes {
        let (start, end) = part.at;
        let is_in = start <= end && end <= self.raw.len();
        if is_in {
            self.raw.slice(start..end)
        } else {
            Bytes::new()
        }
    }

    /// A part's content, all at once.
    pub fn content(&self, part: &Part) -> Vec<u8> {
        part.encoding.decode(&self.encoded(part))
    }

    /// A part's content, decoded as it is read.
    pub fn reader(&self, part: &Part) -> Decoded<std::io::Cursor<Bytes>> {
        Decoded::new(std::io::Cursor::new(self.encoded(part)), part.encoding)
    }

    /// A part's text.
    pub fn part_text(&self, part: &Part) -> String {
        part.text(&self.encoded(part), &self.options.charsets)
    }

    /// The message that a part is; `None` where it is something else. It has limits of its own: who
    /// follows messages in messages decides how deep.
    pub fn message(&self, part: &Part) -> Option<Self> {
        if !part.is_message() {
            return None;
        }
        let raw = match part.encoding {
            TransferEncoding::Identity => self.encoded(part),
            encoding => encoding.decode(&self.encoded(part)).into(),
        };
        Some(Self::parse_with(raw, &self.options))
    }

    /// The fields of its header, from the top, by name and text.
    pub fn fields(&self) -> impl Iterator<Item = (String, String)> {
        self.header.fields.iter().map(|field| {
            let name = String::from_utf8_lossy(&self.raw[field.name.clone()]);
            (
                name.into_owned(),
                self.decoded(&self.raw[field.value.clone()]),
            )
        })
    }

    /// The text of the first field of a name, in any case.
    pub fn field(&self, name: &str) -> Option<String> {
        self.header
            .get(&self.raw, name)
            .map(|value| self.decoded(value))
    }

    /// `Subject`.
    pub fn subject(&self) -> Option<String> {
        self.field("subject")
    }

    /// `Date`: when it was written, as the sender says.
    pub fn date(&self) -> Option<Date> {
        Date::parse(&self.field("date")?)
    }

    /// The addresses of the fields of a name, in any case.
    pub fn addresses(&self, name: &str) -> Vec<Address> {
        let charsets = &self.options.charsets;
        let fields = self.header.all(&self.raw, name);
        let lists = fields
            .take(100)
            .map(|value| Address::list(value, charsets, self.fallback()));
        lists.flatten().collect()
    }

    /// `From`.
    pub fn from(&self) -> Vec<Address> {
        self.addresses("from")
    }

    /// `To`.
    pub fn to(&self) -> Vec<Address> {
        self.addresses("to")
    }

    /// `Cc`.
    pub fn cc(&self) -> Vec<Address> {
        self.addresses("cc")
    }

    /// `Reply-To`.
    pub fn reply_to(&self) -> Vec<Address> {
        self.addresses("reply-to")
    }

    /// `Message-ID`, without `<` and `>`.
    pub fn message_id(&self) -> Option<String> {
        self.ids("message-id").into_iter().next()
    }

    /// `In-Reply-To`: what it answers.
    pub fn in_reply_to(&self) -> Vec<String> {
        self.ids("in-reply-to")
    }

    /// `References`: the messages before it, the oldest first.
    pub fn references(&self) -> Vec<String> {
        self.ids("references")
    }

    /// Who it says that it is from, and what is odd about that.
    pub fn sender(&self) -> Sender {
        Sender::of(self.from())
    }

    /// What a server found out about where it comes from. `server` is the identifier that your receiving
    /// server has in its `Authentication-Results` (RFC 8601, section 2.5); others' are not looked at, since
    /// anybody can add them. `None` where it said nothing.
    pub fn authentication(&self, server: &str) -> Option<Authentication> {
        let fields = self.header.fields.iter();
        let fields = fields.map(|field| {
            (
                &self.raw[field.name.clone()],
                &self.raw[field.value.clone()],
            )
        });
        Authentication::of(fields, server)
    }

    /// How to leave the mailing list that it came by (RFC 2369, RFC 8058).
    pub fn unsubscribe(&self) -> Option<Unsubscribe> {
        let uris = self.uris("list-unsubscribe");
        let is = |scheme: &str| {
            let found = uris.iter().find(|uri| {
                uri.get(..scheme.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            });
            found.cloned()
        };
        let (web, mail) = (is("https:"), is("mailto:"));
        if web.is_none() && mail.is_none() {
            return None;
        }
        let post = self.field("list-unsubscribe-post").unwrap_or_default();
        Some(Unsubscribe {
            is_one_click: web.is_some() && post.eq_ignore_ascii_case("List-Unsubscribe=One-Click"),
            web,
            mail,
        })
    }

    /// Where answers to its mailing list go (`List-Post`, RFC 2369): an address.
    pub fn list_post(&self) -> Option<Address> {
        let uris = self.uris("list-post");
        let mailto = uris.iter().find_map(|uri| {
            let scheme = uri.get(..7)?;
            scheme.eq_ignore_ascii_case("mailto:").then(|| &uri[7..])
        })?;
        let address = mailto.split('?').next().unwrap_or_default();
        let mut bytes = Vec::new();
        parameters::percent(address.as_bytes(), &mut bytes);
        let address = String::from_utf8(bytes).ok()?;
        let is_address = address.contains('@') && !address.contains(char::is_control);
        is_address.then(|| Address::new(address))
    }

    /// The charset of its own text, for fields that have bytes in no charset.
    fn fallback(&self) -> Option<&str> {
        self.plan.text.first()?.charset.as_deref()
    }

    fn decoded(&self, value: &[u8]) -> String {
        words::decode(value, &self.options.charsets, self.fallback())
    }

    fn ids(&self, name: &str) -> Vec<String> {
        let Some(value) = self.header.get(&self.raw, name) else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(value);
        let is_id = |word: &str| word.contains('@') && !word.contains(char::is_control);
        let bare = |id: &str| {
            id.chars()
                .filter(|c| !c.is_whitespace())
                .collect::<String>()
        };
        let mut ids: Vec<String> = text
            .split('<')
            .skip(1)
            .filter_map(|rest| Some(bare(rest.split_once('>')?.0)))
            .filter(|id| !id.is_empty() && !id.contains(char::is_control))
            .take(MAX_IDS)
            .collect();
        if ids.is_empty() && !text.contains('<') {
            let words = text.split_whitespace().filter(|word| is_id(word));
            ids.extend(words.map(str::to_owned).take(MAX_IDS));
        }
        ids
    }

    /// What stands between `<` and `>` in a field of a mailing list.
    fn uris(&self, name: &str) -> Vec<String> {
        self.ids(name)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.raw.len())
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// How to leave a mailing list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsubscribe {
    /// An `https:` address.
    pub web: Option<String>,
    /// A `mailto:` address, with what the message is to say.
    pub mail: Option<String>,
    /// Whether a POST of `List-Unsubscribe=One-Click` to [`web`](Self::web) does it, without a page to be
    /// seen (RFC 8058). The RFC wants a valid DKIM signature that covers these fields.
    pub is_one_click: bool,
}
