//! Message tags (IRCv3 message-tags).

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A message's tags, as they were received: `key=value;key;…`.
#[derive(Clone, Copy, Default)]
pub struct TagsRef<'a>(&'a str);

/// One tag. A tag without a value and one with an empty value are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The key, with the `+` of a client-only tag and its vendor.
    pub key: &'a str,
    /// The value, unescaped.
    pub value: Cow<'a, str>,
}

impl<'a> TagsRef<'a> {
    pub(super) fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The tags as received, without `@`.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The value of this key, unescaped; of several, the last one counts.
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        raw(self.0)
            .filter(|(found, _)| *found == key)
            .last()
            .map(|(_, value)| unescape(value))
    }

    /// The tags in their order, repeated ones included.
    pub fn iter(&self) -> impl Iterator<Item = Tag<'a>> + use<'a> {
        raw(self.0).map(|(key, value)| Tag {
            key,
            value: unescape(value),
        })
    }
}

impl PartialEq for TagsRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TagsRef<'_> {}

impl fmt::Debug for TagsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|tag| (tag.key, tag.value)))
            .finish()
    }
}

fn raw(tags: &str) -> impl Iterator<Item = (&str, &str)> {
    tags.split(';')
        .map(|tag| tag.split_once('=').unwrap_or((tag, "")))
        .filter(|(key, _)| !key.is_empty())
}

fn unescape(value: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        // An unknown escape stands for its character, a lone backslash at the end for nothing.
        match rest.next() {
            Some(':') => out.push(';'),
            Some('s') => out.push(' '),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Cow::Owned(out)
}

/// Appends a tag, `@` or `;` in front.
pub(super) fn push(out: &mut String, key: &str, value: &str) {
    out.push(if out.is_empty() { '@' } else { ';' });
    out.push_str(key);
    if value.is_empty() {
        return;
    }
    out.push('=');
    for character in value.chars() {
        match character {
            ';' => out.push_str("\\:"),
            ' ' => out.push_str("\\s"),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

impl fmt::Display for TagsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_char('@')?;
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_and_back() {
        for value in [
            "",
            "a",
            ";",
            " ",
            "\\",
            "\r\n",
            "\\s",
            "\\\\:;  \\",
            "naïve;",
        ] {
            let mut line = String::new();
            push(&mut line, "k", value);
            let tags = TagsRef::new(line.strip_prefix('@').expect("the marker"));
            assert_eq!(tags.get("k").as_deref(), Some(value));
        }
    }

    #[test]
    fn a_key_that_is_missing_is_no_tag() {
        assert!(TagsRef::new(";;=x").is_empty());
        assert_eq!(TagsRef::new("a=1;;b").iter().count(), 2);
    }
}
