//! Text of a server: bytes, which are UTF-8 as a rule.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// So many bytes stand in a text itself: most are short, and need no memory of their own then, nor
/// keep the response's.
const SHORT: usize = 22;

/// What a server says in words or in data: bytes. A long one shares the memory of the response that
/// it came in, of which it is the owner together with its kin.
///
/// Nothing guarantees that they are UTF-8. [`to_str`](Self::to_str) shows what is not as U+FFFD.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Short(u8, [u8; SHORT]),
    Shared(Bytes),
}

impl Text {
    /// A copy of bytes that are short, or else what `share` gives.
    #[inline]
    pub(super) fn of(bytes: &[u8], share: impl FnOnce() -> Bytes) -> Self {
        if bytes.len() > SHORT {
            return Self(Kept::Shared(share()));
        }
        let mut short = [0; SHORT];
        short[..bytes.len()].copy_from_slice(bytes);
        Self(Kept::Short(bytes.len() as u8, short))
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Short(length, bytes) => &bytes[..usize::from(*length)],
            Kept::Shared(bytes) => bytes,
        }
    }

    /// The bytes, to keep.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Kept::Short(length, bytes) => Bytes::copy_from_slice(&bytes[..usize::from(length)]),
            Kept::Shared(bytes) => bytes,
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
        Self::of(b"", Bytes::new)
    }
}

impl From<Bytes> for Text {
    fn from(bytes: Bytes) -> Self {
        Self::of(&bytes, || bytes.clone())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::of(text.as_bytes(), || Bytes::copy_from_slice(text.as_bytes()))
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
        assert!(size_of::<Option<Text>>() <= 40);
    }
}
