//! Tokens: what a response carries back, so that its request is found.

use std::fmt;
use std::str::FromStr;

/// A token of 0 to 8 bytes (RFC 7252, section 5.3.1).
///
/// ```
/// use jackfield_coap::codec::Token;
///
/// let token = Token::new(&[0x20, 0x0f])?;
/// assert_eq!(token.to_string(), "200f");
/// assert!(Token::new(&[0; 9]).is_err());
/// # Ok::<(), jackfield_coap::codec::InvalidToken>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    length: u8,
    /// Zero beyond `length`, so that the derived comparisons hold.
    bytes: [u8; Token::MAX],
}

impl Token {
    /// The longest one, in bytes.
    pub const MAX: usize = 8;
    /// The one without bytes.
    pub const EMPTY: Self = Self {
        length: 0,
        bytes: [0; Self::MAX],
    };

    /// A token of these bytes.
    ///
    /// # Errors
    /// Where there are more than 8.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidToken> {
        let mut token = Self::EMPTY;
        let Some(to) = token.bytes.get_mut(..bytes.len()) else {
            return Err(InvalidToken(()));
        };
        to.copy_from_slice(bytes);
        token.length = bytes.len() as u8;
        Ok(token)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl From<[u8; Token::MAX]> for Token {
    fn from(bytes: [u8; Self::MAX]) -> Self {
        Self {
            length: Self::MAX as u8,
            bytes,
        }
    }
}

/// Of a text's bytes, as in RFC 7252's examples.
impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        Self::new(text.as_bytes())
    }
}

/// In hexadecimal digits.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// More than 8 bytes can be no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken(());

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token has 8 bytes at the most")
    }
}

impl std::error::Error for InvalidToken {}
