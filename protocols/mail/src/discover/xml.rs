//! A reader of the little XML that configurations for mail apps are: elements, attributes and text.
//! Whatever else may stand there is passed over; an entity of a document's own is none.

/// How deep elements may stand in each other.
const MAX_DEPTH: usize = 32;

/// What stands there next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An element begins: its name, without a prefix, and its attributes.
    Open(String, Vec<(String, String)>),
    /// Text, without blanks around it.
    Text(String),
    /// An element ends.
    Close,
}

pub(super) struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    /// Whether an end is still to be told, of an element without content.
    is_closing: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.trim_start_matches('\u{feff}'),
            depth: 0,
            is_closing: false,
        }
    }

    /// The next event; `None` at the end, and where it can't be read any further.
    pub(super) fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.is_closing) {
            self.depth -= 1;
            return Some(Event::Close);
        }
        loop {
            let Some(tag) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                let text = unescape(text.trim());
                if !text.is_empty() {
                    return Some(Event::Text(text));
                }
                if self.rest.is_empty() {
                    return None;
                }
                continue;
            };
            if let Some(comment) = tag.strip_prefix("!--") {
                self.rest = behind(comment, "-->")?;
            } else if let Some(data) = tag.strip_prefix("![CDATA[") {
                let (text, rest) = data.split_once("]]>")?;
                self.rest = rest;
                if !text.trim().is_empty() {
                    return Some(Event::Text(text.trim().to_owned()));
                }
            } else if let Some(doctype) = tag.strip_prefix('!') {
                // With entities of its own it is nothing that anybody needs.
                self.rest = behind(doctype, ">")?;
            } else if let Some(instruction) = tag.strip_prefix('?') {
                self.rest = behind(instruction, "?>")?;
            } else if let Some(end) = tag.strip_prefix('/') {
                self.rest = behind(end, ">")?;
                self.depth = self.depth.checked_sub(1)?;
                return Some(Event::Close);
            } else {
                return self.open(tag);
            }
        }
    }

    fn open(&mut self, tag: &'a str) -> Option<Event> {
        let is_end = |c: char| c.is_whitespace() || c == '/' || c == '>';
        let (name, mut rest) = tag.split_at(tag.find(is_end)?);
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix("/>") {
                self.is_closing = true;
                rest = behind;
                break;
            }
            if let Some(behind) = rest.strip_prefix('>') {
                rest = behind;
                break;
            }
            let (attribute, value) = rest.split_once('=')?;
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, behind) = value[1..].split_once(quote)?;
            attributes.push((local(attribute.trim()).to_owned(), unescape(value)));
            rest = behind;
        }
        self.rest = rest;
        self.depth += 1;
        if name.is_empty() || self.depth > MAX_DEPTH {
            return None;
        }
        Some(Event::Open(local(name).to_owned(), attributes))
    }
}

fn behind<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.split_once(end).map(|(_, rest)| rest)
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // No entity is longer than this.
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((entity(&rest[1..end])?, end)));
        if let Some((c, end)) = found {
            out.push(c);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Event> {
        let mut reader = Reader::new(text);
        std::iter::from_fn(|| reader.next()).collect()
    }

    #[test]
    fn what_is_in_a_document() {
        let open = |name: &str| Event::Open(name.into(), Vec::new());
        let text = |text: &str| Event::Text(text.into());
        let events = all(
            "<?xml version='1.0'?><!DOCTYPE x><!-- <no> -->\n<p:a b = \"c&amp;d\" x:e='>'>\n \
                          f &lt;&#65;&#x42;&nope; <g/><![CDATA[<h>]]></p:a>",
        );
        assert_eq!(
            events,
            [
                Event::Open(
                    "a".into(),
                    vec![("b".into(), "c&d".into()), ("e".into(), ">".into())]
                ),
                text("f <AB&nope;"),
                open("g"),
                Event::Close,
                text("<h>"),
                Event::Close,
            ]
        );
    }

    #[test]
    fn what_is_broken_ends() {
        for broken in [
            "<",
            "<a",
            "<a b",
            "<a b=",
            "<a b=c>",
            "<!--",
            "<![CDATA[",
            "</a>",
            "<>",
            "<?",
            "&",
        ] {
            assert!(all(broken).len() <= 1, "{broken:?}");
        }
        assert_eq!(all(&"<a>".repeat(100_000)).len(), MAX_DEPTH);
        assert!(all(&"&".repeat(100_000)).len() == 1);
    }

    #[test]
    fn entities_do_not_multiply() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x>&b;&b;</x>";
        assert!(all(bomb).iter().all(|event| match event {
            Event::Text(text) => !text.contains("aaaaaaaa"),
            _ => true,
        }));
    }
}
