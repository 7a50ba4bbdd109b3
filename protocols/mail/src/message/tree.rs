//! What a message's bytes are made of: fields, and parts in parts (RFC 5322, RFC 2046). Nothing is decoded
//! or copied here.

use std::ops::Range;

use super::ReadOptions;
use super::parameters::Parameters;
use super::part::{Head, Node, Part};

/// How long a boundary may be, in bytes. The RFC has 70.
const MAX_BOUNDARY: usize = 256;

/// A field of a header, by where it stands in the message.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// A header, and where the body behind it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) fields: Vec<Field>,
    pub(super) body: usize,
    pub(super) is_truncated: bool,
}

impl Header {
    /// Reads one that begins here. A line that is no field ends it: many messages are that broken.
    pub(super) fn parse(raw: &[u8], range: Range<usize>, options: &ReadOptions) -> Self {
        let limits = &options.limits;
        let mut header = Self::default();
        let mut at = range.start;
        // What mbox files have in front.
        if raw[at..range.end].starts_with(b"From ") {
            at = line_end(raw, at, range.end);
        }
        let mut has_field = false;
        while at < range.end {
            let next = line_end(raw, at, range.end);
            let line = trim_line(&raw[at..next]);
            if line.is_empty() {
                at = next;
                break;
            }
            if matches!(line[0], b' ' | b'\t') && has_field {
                if let Some(field) = header.fields.last_mut().filter(|_| !header.is_truncated) {
                    field.value.end = at + line.len();
                }
            } else if let Some(name) = name_len(line) {
                has_field = true;
                if header.fields.len() < limits.max_fields {
                    let colon = at + memchr::memchr(b':', line).unwrap_or(name);
                    header.fields.push(Field {
                        name: at..at + name,
                        value: colon + 1..at + line.len(),
                    });
                } else {
                    header.is_truncated = true;
                }
            } else {
                break;
            }
            at = next;
        }
        header.body = at;
        for field in &mut header.fields {
            let end = field.value.start + limits.max_field;
            if field.value.end > end {
                field.value.end = end;
                header.is_truncated = true;
            }
        }
        header
    }

    /// The first field of a name, as it stands there.
    pub(super) fn get<'a>(&self, raw: &'a [u8], name: &str) -> Option<&'a [u8]> {
        self.all(raw, name).next()
    }

    /// All fields of a name, from the top.
    pub(super) fn all<'a>(&self, raw: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is =
            move |field: &&Field| raw[field.name.clone()].eq_ignore_ascii_case(name.as_bytes());
        self.fields
            .iter()
            .filter(is)
            .map(|field| &raw[field.value.clone()])
    }
}

/// How long the name of a field is that a line begins with.
fn name_len(line: &[u8]) -> Option<usize> {
    let is_name = |byte: &u8| byte.is_ascii_graphic() && *byte != b':';
    let len = line.iter().take_while(|byte| is_name(byte)).count();
    // Blanks before the colon are of old (section 4.5).
    let blanks = line[len..]
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'));
    let colon = len + blanks.count();
    (len > 0 && line.get(colon) == Some(&b':')).then_some(len)
}

/// Where the line ends that begins here, its end included.
fn line_end(raw: &[u8], at: usize, end: usize) -> usize {
    memchr::memchr(b'\n', &raw[at..end]).map_or(end, |found| at + found + 1)
}

fn trim_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How far a message was read.
pub(super) struct Walk<'a> {
    pub(super) raw: &'a [u8],
    pub(super) options: &'a ReadOptions,
    pub(super) count: usize,
    pub(super) is_truncated: bool,
}

impl Walk<'_> {
    /// What begins with this header and ends here. As deep as `max_depth` allows.
    pub(super) fn node(
        &mut self,
        header: &Header,
        end: usize,
        path: Vec<u32>,
        depth: usize,
        default_type: &str,
    ) -> Option<Node> {
        self.count += 1;
        self.is_truncated |= header.is_truncated;
        if self.count > self.options.limits.max_parts || depth > self.options.limits.max_depth {
            self.is_truncated = true;
            return None;
        }
        let raw = self.raw;
        let content_type = header.get(raw, "content-type").map(Parameters::parse);
        let mut content_type = content_type.unwrap_or_default();
        if !content_type.value.contains('/') {
            default_type.clone_into(&mut content_type.value);
        }
        let body = header.body.min(end)..end;
        if let Some(subtype) = content_type.value.strip_prefix("multipart/") {
            let boundary = content_type.raw("boundary").unwrap_or_default();
            if let Some(parts) = self.split(boundary, body.clone()) {
                let is_digest = subtype == "digest";
                let default = if is_digest {
                    "message/rfc822"
                } else {
                    "text/plain"
                };
                let mut children = Vec::new();
                for (number, part) in (1u32..).zip(parts) {
                    let header = Header::parse(raw, part.clone(), self.options);
                    let mut path = path.clone();
                    path.push(number);
                    children.extend(self.node(&header, part.end, path, depth + 1, default));
                    if self.count > self.options.limits.max_parts {
                        break;
                    }
                }
                return Some(Node {
                    part: Part::default(),
                    children: Some((subtype.to_owned(), children)),
                    is_attachment: false,
                });
            }
            // It has no parts: what is there is to be seen.
            "text/plain".clone_into(&mut content_type.value);
        }
        let disposition = header
            .get(raw, "content-disposition")
            .map(Parameters::parse);
        let head = Head {
            content_type,
            disposition: disposition.unwrap_or_default(),
            encoding: header
                .get(raw, "content-transfer-encoding")
                .unwrap_or_default(),
            content_id: header.get(raw, "content-id"),
        };
        let path = if path.is_empty() { vec![1] } else { path };
        let size = body.len() as u64;
        let mut part = head.part(size, path, &self.options.charsets);
        part.at = (body.start, body.end);
        Some(Node {
            part,
            children: None,
            is_attachment: head.disposition.value == "attachment",
        })
    }

    /// The parts between delimiters (RFC 2046, section 5.1.1), as many as may be; `None` where there is
    /// no delimiter.
    fn split(&self, boundary: &[u8], body: Range<usize>) -> Option<Vec<Range<usize>>> {
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        let raw = self.raw;
        let delimiter = [b"--", boundary].concat();
        let finder = memchr::memmem::Finder::new(&delimiter);
        let mut parts = Vec::new();
        // Where the part begins that is not ended yet.
        let mut open = None;
        let mut found_one = false;
        let mut at = body.start;
        while let Some(found) = finder.find(&raw[at..body.end]) {
            let start = at + found;
            let end = line_end(raw, start, body.end);
            let rest = trim_line(&raw[start + delimiter.len()..end]);
            let (is_last, rest) = match rest.strip_prefix(b"--") {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            let is_line = start == body.start || raw[start - 1] == b'\n';
            if !is_line || !rest.iter().all(u8::is_ascii_whitespace) {
                at = start + 2;
                continue;
            }
            found_one = true;
            if let Some(begin) = open.take() {
                // The line's end before a delimiter belongs to it.
                let before = trim_line(&raw[begin..start]);
                parts.push(begin..begin + before.len());
            }
            at = end;
            if is_last || parts.len() > self.options.limits.max_parts {
                return Some(parts);
            }
            open = Some(end);
        }
        if let Some(begin) = open {
            parts.push(begin..body.end);
        }
        found_one.then_some(parts)
    }
}
