//! Text of a server: bytes, which are UTF-8 as a rule.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

/// So many bytes stand in a text itself: most are short, and need no memory of their own then, nor
/// keep the response's.
pub(super) const SHORT: usize = 22;
/// The length of a text that is all of its owner's.
const ALL: u32 = u32::MAX;

/// What a server says in words or in data: bytes. A long one shares the memory of the response that
/// it came in, of which it is the owner together with its kin.
///
/// Nothing guarantees that they are UTF-8. [`to_str`](Self::to_str) shows what is not as U+FFFD.
#[derive(Clone)]
pub struct Text(Kept);

// An envelope has dozens of texts, so that each is small.
#[derive(Clone)]
enum Kept {
    /// Its length, and where it stands, with anything behind it.
    Short(u8, [u8; SHORT]),
    /// Where it begins in its response, and how long it is, or [`ALL`].
    Shared(u32, Arc<Bytes>, u32),
}

impl Text {
    /// A copy of bytes that are short, or a part of a response, `start` bytes behind its beginning.
    #[inline]
    pub(super) fn part(bytes: &[u8], start: usize, whole: impl FnOnce() -> Arc<Bytes>) -> Self {
        if bytes.len() <= SHORT {
            return Self::short(bytes);
        }
        let whole = whole();
        match (u32::try_from(start), u32::try_from(bytes.len())) {
            (Ok(start), Ok(length)) if length != ALL => Self(Kept::Shared(start, whole, length)),
            _ => Self::all(whole.slice(start..start + bytes.len())),
        }
    }

    /// The first bytes of these, which are short: as many are copied in any case, which is faster.
    #[inline]
    pub(super) fn first(length: usize, bytes: [u8; SHORT]) -> Self {
        Self(Kept::Short(length.min(SHORT) as u8, bytes))
    }

    fn short(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT];
        short[..bytes.len()].copy_from_slice(bytes);
        Self(Kept::Short(bytes.len() as u8, short))
    }

    fn all(bytes: Bytes) -> Self {
        Self(Kept::Shared(0, Arc::new(bytes), ALL))
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Short(length, bytes) => &bytes[..usize::from(*length)],
            Kept::Shared(_, whole, ALL) => whole,
            Kept::Shared(start, whole, length) => &whole[*start as usize..][..*length as usize],
        }
    }

    /// The bytes, to keep.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Kept::Short(length, bytes) => Bytes::copy_from_slice(&bytes[..usize::from(length)]),
            Kept::Shared(_, whole, ALL) => Bytes::clone(&whole),
            Kept::Shared(start, whole, length) => {
                whole.slice(start as usize..start as usize + length as usize)
            }
        }
    }

    /// As a string; what is no UTF-8 in it is shown as U+FFFD.
    pub fn to_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Whether it is this, in whatever case its ASCII letters are.
    pub fn is(&self, text: &str) -> bool {
        self.as_bytes().eq_ignore_ascii_case(text.as_bytes())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Kept::Short(0, [0; SHORT]))
    }
}

impl From<Bytes> for Text {
    fn from(bytes: Bytes) -> Self {
        if bytes.len() <= SHORT {
            return Self::short(&bytes);
        }
        Self::all(bytes)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.len() <= SHORT {
            return Self::short(text.as_bytes());
        }
        Self::all(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.to_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_response_is_itself() {
        let whole = Arc::new(Bytes::from("x".repeat(10) + &"y".repeat(30)));
        for length in [0, SHORT, SHORT + 1, 30] {
            let bytes = &whole[10..10 + length];
            let text = Text::part(bytes, 10, || Arc::clone(&whole));
            assert_eq!(text.as_bytes(), bytes);
            assert_eq!(text.clone().into_bytes(), bytes);
            let padded = [b'y'; SHORT];
            if length <= SHORT {
                assert_eq!(Text::first(length, padded), text);
            }
        }
    }

    #[test]
    fn short_and_long_texts_are_the_same_to_whoever_reads_them() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 100] {
            let bytes = vec![b'x'; length];
            let text = Text::from(Bytes::from(bytes.clone()));
            assert_eq!(text.as_bytes(), bytes);
            assert_eq!(text.to_str().len(), length);
            assert_eq!(text.clone().into_bytes(), bytes);
            assert_eq!(text, Text::from(&*text.to_str()));
            assert_eq!(text.cmp(&Text::from("y")), Ordering::Less);
        }
        // An envelope has dozens of them.
        assert!(size_of::<Option<Text>>() == 24);
    }
}
