//! Values that commands carry, and why a text can't be one.

use std::fmt;
use std::str::FromStr;

/// A text that can't be what it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidValue(pub(super) &'static str);

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidValue {}

/// The longest [`Text`], in bytes.
const MAX_TEXT: usize = 500;

/// What is asked with VRFY (RFC 5321, section 4.1.1.6): a name or a mailbox, of 1 to 500 bytes. It
/// holds no control characters, and so no line's end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text(String);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Text {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(InvalidValue("a text has 1 to 500 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidValue("a text holds no control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}
