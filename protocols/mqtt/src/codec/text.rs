//! Strings (MQTT 5, section 1.5.4).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;
use bytestring::ByteString;

use super::InvalidValue;

/// A UTF-8 encoded string as MQTT carries it: at most 65,535 bytes, without U+0000
/// (MQTT 5, section 1.5.4). Cheap to clone; a long one that was read shares the memory that it was
/// read to.
#[derive(Clone)]
pub struct Text(Repr);

/// Most strings are short: copying them costs less than counting references, and keeps no read
/// buffer alive.
#[derive(Clone)]
enum Repr {
    Short {
        length: u8,
        bytes: [u8; Text::SHORT],
    },
    Shared(ByteString),
}

impl Text {
    /// How many bytes a short one has at most: room for the topics that most people choose.
    pub(super) const SHORT: usize = 30;

    /// Checks a string.
    ///
    /// # Errors
    /// Where it is longer than 65,535 bytes or holds U+0000.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidValue> {
        let text = text.into();
        check(&text)?;
        let short = Self::short(text.as_bytes());
        Ok(short.unwrap_or_else(|| Self(Repr::Shared(text.into()))))
    }

    /// The string.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It was checked when it came to be.
            Repr::Short { .. } => str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Shared(text) => text,
        }
    }

    /// Its bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Repr::Shared(text) => text.as_bytes(),
        }
    }

    /// How many bytes it has.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Short { length, .. } => usize::from(*length),
            Repr::Shared(text) => text.len(),
        }
    }

    /// Whether it has none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that were read, a part of `all`.
    #[inline]
    pub(super) fn from_wire(all: &Bytes, part: &[u8]) -> Option<Self> {
        match Self::plain(part, |_| true) {
            Some(text) => Some(text),
            None => Self::checked(all, part),
        }
    }

    /// Bytes that are not [`plain`](Self::plain), a part of `all`: most strings are.
    #[inline(never)]
    pub(super) fn checked(all: &Bytes, part: &[u8]) -> Option<Self> {
        if part.contains(&0) {
            return None;
        }
        if part.len() <= Self::SHORT {
            str::from_utf8(part).ok()?;
            return Self::short(part);
        }
        let text = ByteString::try_from(all.slice_ref(part)).ok()?;
        Some(Self(Repr::Shared(text)))
    }

    /// A short string of ASCII without U+0000, all of whose characters are allowed, if it is that.
    ///
    /// It is looked at as an array of a fixed length, padded with spaces: two steps of the processor,
    /// however long it is.
    #[inline(always)]
    pub(super) fn plain(part: &[u8], allowed: impl Fn(u8) -> bool) -> Option<Self> {
        const PADDED: usize = Text::SHORT.next_multiple_of(16);
        if part.len() > Self::SHORT {
            return None;
        }
        let mut padded = [b' '; PADDED];
        padded.get_mut(..part.len())?.copy_from_slice(part);
        let is_plain = padded.iter().fold(true, |plain, byte| {
            plain & (1..0x80).contains(byte) & allowed(*byte)
        });
        if !is_plain {
            return None;
        }
        Some(Self(Repr::Short {
            length: part.len() as u8,
            bytes: *padded.first_chunk()?,
        }))
    }

    /// The string with these bytes, if it is short; they are UTF-8.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what is made is large: it is to be made in place"
    )]
    fn short(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::SHORT];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self(Repr::Short {
            length: text.len() as u8,
            bytes,
        }))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Repr::Short {
            length: 0,
            bytes: [0; Self::SHORT],
        })
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        // UTF-8 sorts as its characters do.
        self.as_bytes().cmp(other.as_bytes())
    }
}

pub(super) fn check(text: &str) -> Result<(), InvalidValue> {
    if text.len() > usize::from(u16::MAX) {
        Err(InvalidValue("a string is longer than 65,535 bytes"))
    } else if has_nul(text) {
        Err(InvalidValue("a string holds U+0000"))
    } else {
        Ok(())
    }
}

pub(super) fn has_nul(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for Text {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Text {
    type Error = InvalidValue;

    fn try_from(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

impl TryFrom<String> for Text {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_are_the_same_kind_of_thing() {
        assert!(size_of::<Text>() <= 40, "{}", size_of::<Text>());
        for length in [0, 1, 29, 30, 31, 32, 1000] {
            let text = "a".repeat(length);
            let made = Text::new(text.clone()).expect("a text");
            let wire = Bytes::from(text.clone());
            let read = Text::from_wire(&wire, &wire).expect("a text");
            assert_eq!(made, read);
            assert_eq!(made.as_str(), text);
            assert_eq!(read.len(), text.len());
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let wire = Bytes::from_static(b"a\xC3");
        assert!(Text::from_wire(&wire, &wire).is_none());
        // A surrogate (MQTT-1.5.4-1).
        let wire = Bytes::from_static(b"\xED\xA0\x80");
        assert!(Text::from_wire(&wire, &wire).is_none());
        assert!(Text::new("a\0").is_err());
    }
}
