//! Parts of a message, and which of them are shown.

use jackfield_imap::codec::{Section, Structure, Text};

use crate::Charsets;

use super::limits::Limits;
use super::parameters::Parameters;
use super::transfer::TransferEncoding;

/// A part that is no multipart: a text, an image, a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its media type in lower case, `text/plain`. It is what the sender says.
    pub media_type: String,
    /// Of a text: its charset, as it is named there.
    pub charset: Option<String>,
    /// How its bytes are encoded.
    pub encoding: TransferEncoding,
    /// A name that a file can have: neither with a folder in it nor with characters that hide what it
    /// ends in, and of up to 200 bytes.
    pub name: Option<String>,
    /// What `cid:` addresses in HTML name it with, without `<` and `>`.
    pub content_id: Option<String>,
    /// Whether it belongs into the text (RFC 2183) more than beside it.
    pub is_inline: bool,
    /// How many bytes it has as it is encoded.
    pub encoded_size: u64,
    /// How many bytes it has at most when it is decoded; of base64 a few too many.
    pub size: u64,
    /// Whether lines that end in a blank go on in the next (RFC 3676).
    pub is_flowed: bool,
    /// Whether that blank is none of the text (RFC 3676).
    pub is_deleting_space: bool,
    /// The numbers that lead to it (RFC 9051, section 6.4.5.1); none where there is no such way.
    pub path: Vec<u32>,
    /// Where it stands in the message that it was read from.
    pub(super) at: (usize, usize),
}

impl Part {
    /// The section to fetch it by, with IMAP.
    pub fn section(&self) -> Option<Section> {
        Section::part(self.path.iter().copied()).ok()
    }

    /// The text of what was fetched for it, or read, and is still encoded: its transfer encoding undone,
    /// its charset read, lines ending in LF, and flowed lines joined.
    pub fn text(&self, encoded: &[u8], charsets: &Charsets) -> String {
        let bytes = self.encoding.decode(encoded);
        let text = charsets.decode(self.charset.as_deref(), &bytes);
        let text = lines(&text);
        if self.is_flowed && self.media_type == "text/plain" {
            return super::flowed::join(&text, self.is_deleting_space);
        }
        text
    }

    /// Whether it is a message (RFC 5322), such as one that was forwarded.
    pub fn is_message(&self) -> bool {
        matches!(&*self.media_type, "message/rfc822" | "message/global")
    }

    fn is_text(&self) -> bool {
        matches!(&*self.media_type, "text/plain" | "text/html")
    }
}

/// Text with LF at its lines' ends, and without NUL.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\0', "")
}

/// What a part's header says of it, from wherever it is known.
pub(super) struct Head<'a> {
    pub(super) content_type: Parameters,
    pub(super) disposition: Parameters,
    pub(super) encoding: &'a [u8],
    pub(super) content_id: Option<&'a [u8]>,
}

impl Head<'_> {
    pub(super) fn part(&self, size: u64, path: Vec<u32>, charsets: &Charsets) -> Part {
        let content_type = &self.content_type;
        let encoding = TransferEncoding::named(self.encoding);
        let charset = content_type
            .token("charset")
            .filter(|label| !label.is_empty());
        let name = self
            .disposition
            .text("filename", charsets, charset.as_deref());
        let name = name.or_else(|| content_type.text("name", charsets, charset.as_deref()));
        let is = |name, value: &str| {
            let found = content_type.token(name);
            found.is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        Part {
            media_type: content_type.value.clone(),
            encoding,
            name: name.and_then(|name| super::file_name::safe(&name)),
            content_id: self.content_id.and_then(content_id),
            is_inline: self.disposition.value != "attachment"
                && (self.disposition.value == "inline" || self.content_id.is_some()),
            encoded_size: size,
            size: encoding.decoded_len(size),
            is_flowed: is("format", "flowed"),
            is_deleting_space: is("delsp", "yes"),
            charset,
            path,
            at: (0, 0),
        }
    }
}

fn content_id(value: &[u8]) -> Option<String> {
    let value = String::from_utf8_lossy(value);
    let value = value.trim();
    let value = value.strip_prefix('<').unwrap_or(value);
    let value = value.split('>').next().unwrap_or_default().trim();
    (!value.is_empty() && value.len() <= 1000).then(|| value.to_owned())
}

/// A part, or parts in a part.
pub(super) struct Node {
    pub(super) part: Part,
    /// Of a multipart: its subtype, and what it is made of.
    pub(super) children: Option<(String, Vec<Node>)>,
    /// Whether its disposition is `attachment`.
    pub(super) is_attachment: bool,
}

/// Which parts are shown, and which hang on the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The texts that make up the message where no HTML is wanted, in their order. Where there is no
    /// plain text, it is the HTML.
    pub text: Vec<Part>,
    /// Those that make it up where HTML is wanted; plain text where there is nothing else.
    pub html: Vec<Part>,
    /// Everything else, images in the text among them.
    pub attachments: Vec<Part>,
    /// Whether something was left out by a limit of [`Limits`].
    pub is_truncated: bool,
}

impl Plan {
    /// What a message is made of, by its BODYSTRUCTURE, so that only what is shown needs to be fetched.
    ///
    /// ```
    /// use jackfield_imap::codec::Structure;
    /// use jackfield_mail::message::{Plan, ReadOptions};
    ///
    /// # let mut structure = Structure::default();
    /// # structure.media_type = "text".into();
    /// # structure.subtype = "plain".into();
    /// # let fetched: &Structure = &structure;
    /// let plan = Plan::new(fetched, &ReadOptions::default());
    /// let part = &plan.text[0];
    /// assert_eq!(part.section().expect("it has one").to_string(), "1");
    /// // client.read(uid, section), and then:
    /// let text = part.text(b"Good morning.\r\n", &Default::default());
    /// assert_eq!(text, "Good morning.\n");
    /// ```
    pub fn new(structure: &Structure, options: &super::ReadOptions) -> Self {
        let mut count = 0;
        let mut is_truncated = false;
        let is_multipart = structure.media_type.is("multipart");
        let path = if is_multipart { Vec::new() } else { vec![1] };
        let node = of_structure(structure, path, 0, options, &mut count, &mut is_truncated);
        let mut plan = Self::of(node.as_slice());
        plan.is_truncated = is_truncated;
        plan
    }

    /// The part that a `cid:` address of the HTML means, given with or without its scheme.
    pub fn by_content_id(&self, id: &str) -> Option<&Part> {
        by_content_id(&self.attachments, id)
    }

    pub(super) fn of(root: &[Node]) -> Self {
        let mut choice = Choice::default();
        choose(root, "mixed", false, (true, true), &mut choice);
        let of = |found: Vec<&Node>| found.into_iter().map(|node| node.part.clone()).collect();
        Self {
            text: of(choice.text),
            html: of(choice.html),
            attachments: of(choice.attachments),
            is_truncated: false,
        }
    }
}

pub(super) fn by_content_id<'a>(parts: &'a [Part], id: &str) -> Option<&'a Part> {
    let id = match id.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("cid:") => &id[4..],
        _ => id,
    };
    let mut bytes = Vec::new();
    super::parameters::percent(id.as_bytes(), &mut bytes);
    let is = |part: &&Part| {
        let known = part.content_id.as_deref();
        known.is_some_and(|known| known == id || known.as_bytes() == bytes)
    };
    parts.iter().find(is)
}

fn of_structure(
    structure: &Structure,
    path: Vec<u32>,
    depth: usize,
    options: &super::ReadOptions,
    count: &mut usize,
    is_truncated: &mut bool,
) -> Vec<Node> {
    let Limits {
        max_depth,
        max_parts,
        ..
    } = options.limits;
    *count += 1;
    if *count > max_parts || depth > max_depth {
        *is_truncated = true;
        return Vec::new();
    }
    if structure.media_type.is("multipart") {
        let mut children = Vec::new();
        for (number, part) in (1u32..).zip(&structure.parts) {
            let mut path = path.clone();
            path.push(number);
            children.extend(of_structure(
                part,
                path,
                depth + 1,
                options,
                count,
                is_truncated,
            ));
        }
        let subtype = String::from_utf8_lossy(structure.subtype.as_bytes()).to_ascii_lowercase();
        return vec![Node {
            part: Part::default(),
            children: Some((subtype, children)),
            is_attachment: false,
        }];
    }
    let mut media_type = structure.media_type.as_bytes().to_vec();
    media_type.push(b'/');
    media_type.extend_from_slice(structure.subtype.as_bytes());
    let (disposition, parameters) = match &structure.disposition {
        Some((disposition, parameters)) => (disposition.as_bytes(), &parameters[..]),
        None => (&b""[..], &[][..]),
    };
    let head = Head {
        content_type: Parameters::of(&media_type, pairs(&structure.parameters)),
        disposition: Parameters::of(disposition, pairs(parameters)),
        encoding: structure
            .encoding
            .as_ref()
            .map(Text::as_bytes)
            .unwrap_or_default(),
        content_id: structure.id.as_ref().map(Text::as_bytes),
    };
    vec![Node {
        part: head.part(structure.size.unwrap_or_default(), path, &options.charsets),
        children: None,
        is_attachment: head.disposition.value == "attachment",
    }]
}

fn pairs(list: &[(Text, Text)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    list.iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

#[derive(Default)]
struct Choice<'a> {
    text: Vec<&'a Node>,
    html: Vec<&'a Node>,
    attachments: Vec<&'a Node>,
}

/// The choice of RFC 8621, section 4.1.4, but for images and sounds: these are attachments in any case,
/// of which some are inline. `wanted` is whether text and HTML are still looked for. As deep as the parts
/// are, which has its bound.
fn choose<'a>(
    nodes: &'a [Node],
    multipart: &str,
    in_alternative: bool,
    wanted: (bool, bool),
    choice: &mut Choice<'a>,
) {
    let (mut text_wanted, mut html_wanted) = wanted;
    let (texts, htmls) = (choice.text.len(), choice.html.len());
    for (index, node) in nodes.iter().enumerate() {
        if let Some((subtype, children)) = &node.children {
            let in_alternative = in_alternative || subtype == "alternative";
            choose(
                children,
                subtype,
                in_alternative,
                (text_wanted, html_wanted),
                choice,
            );
            continue;
        }
        let part = &node.part;
        let is_shown = part.is_text()
            && !node.is_attachment
            && (index == 0 || multipart != "related" && part.name.is_none());
        if !is_shown {
            choice.attachments.push(node);
            continue;
        }
        let is_html = part.media_type == "text/html";
        if multipart == "alternative" {
            match is_html {
                true if html_wanted => choice.html.push(node),
                false if text_wanted => choice.text.push(node),
                _ => {}
            }
            continue;
        }
        if in_alternative {
            if is_html {
                text_wanted = false;
            } else {
                html_wanted = false;
            }
        }
        if text_wanted {
            choice.text.push(node);
        }
        if html_wanted {
            choice.html.push(node);
        }
    }
    if multipart == "alternative" && wanted == (true, true) {
        // Where there is only one of them, it stands for the other.
        if choice.text.len() == texts {
            let found = choice.html[htmls..].to_vec();
            choice.text.extend(found);
        } else if choice.html.len() == htmls {
            let found = choice.text[texts..].to_vec();
            choice.html.extend(found);
        }
    }
}
