//! Base64 (RFC 4648, section 4), as the text protocols carry SASL's messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Error;

/// A message as base64, with padding.
pub fn encode(message: impl AsRef<[u8]>) -> String {
    STANDARD.encode(message)
}

/// An initial response as base64, in the same line as the mechanism's name: an empty one is `=`,
/// since nothing at all would mean that there is none (RFC 4954, section 4; RFC 9051, section 6.2.2).
pub fn encode_initial(message: impl AsRef<[u8]>) -> String {
    match message.as_ref() {
        [] => "=".to_owned(),
        message => encode(message),
    }
}

/// A message from base64, padding and all.
///
/// # Errors
/// [`Error::Malformed`] where it is not valid.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(text)
        .map_err(|_| Error::Malformed("base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        for (message, text, initial) in [
            ("", "", "="),
            ("a", "YQ==", "YQ=="),
            ("\0x", "AHg=", "AHg="),
        ] {
            assert_eq!(encode(message), text);
            assert_eq!(encode_initial(message), initial);
            assert_eq!(decode(text).as_deref(), Ok(message.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["=", "YQ", "YR==", "Y Q=", "ä", "YQ==\r\n"] {
            assert_eq!(decode(text), Err(Error::Malformed("base64")), "{text}");
        }
    }
}
