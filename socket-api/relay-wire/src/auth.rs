//! The token in the WebSocket's handshake, and the subprotocols that carry it; and the one that follows it in a
//! `TOKEN` frame.
//!
//! A page can set no header of the handshake but `Sec-WebSocket-Protocol`, so that is where the
//! token travels, as a second subprotocol beside [`SUBPROTOCOL`]: never in the URL, which proxies
//! and servers write into their logs. The relay selects [`SUBPROTOCOL`] and never the token's.
//!
//! ```
//! use jackfield_relay_wire::auth;
//!
//! let token = auth::token_subprotocol("s3cret");
//! assert_eq!(token, "jackfield.token.czNjcmV0");
//! assert_eq!(auth::token(&token).as_deref(), Some("s3cret"));
//! ```

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The WebSocket subprotocol of this wire.
pub const SUBPROTOCOL: &str = "jackfield.v1";

/// What a subprotocol that carries a token begins with; the token follows in base64url without
/// padding (RFC 4648, section 5), because a subprotocol's name is made of few characters.
pub const TOKEN_PREFIX: &str = "jackfield.token.";

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// A token of a length that it may have: 1 to [`MAX_TOKEN`] bytes. It is never printed.
///
/// ```
/// use jackfield_relay_wire::auth::Token;
///
/// let token = Token::new("s3cret").expect("short enough");
/// assert_eq!(token.as_str(), "s3cret");
/// assert!(!format!("{token:?}").contains("s3cret"));
/// assert!(Token::new("").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// This one; `None` where it is empty or too long.
    pub fn new(token: &str) -> Option<Self> {
        (1..=MAX_TOKEN)
            .contains(&token.len())
            .then(|| Self(token.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The subprotocol that carries this token.
pub fn token_subprotocol(token: &str) -> String {
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(token))
}

/// The token that a subprotocol carries; `None` where it carries none that can be one.
pub fn token(subprotocol: &str) -> Option<String> {
    let encoded = subprotocol.strip_prefix(TOKEN_PREFIX)?;
    if encoded.len() > MAX_TOKEN.div_ceil(3) * 4 {
        return None;
    }
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}
