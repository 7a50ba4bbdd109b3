//! Strings (MQTT 5, section 1.5.4).

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;
use bytestring::ByteString;

use super::InvalidValue;

/// A UTF-8 encoded string as MQTT carries it: at most 65,535 bytes, without U+0000
/// (MQTT 5, section 1.5.4). Cheap to clone; one that was read shares the memory that it was read to.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(ByteString);

impl Text {
    /// Checks a string.
    ///
    /// # Errors
    /// Where it is longer than 65,535 bytes or holds U+0000.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidValue> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text.into()))
    }

    /// The string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn from_wire(bytes: Bytes) -> Option<Self> {
        let text = ByteString::try_from(bytes).ok()?;
        (!has_nul(&text)).then_some(Self(text))
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
        &self.0
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
