//! Percent-encoding (RFC 3986, section 2.1), and which characters do without it.

use std::borrow::Cow;

use super::uri::InvalidUri;

/// Replaces percent-encoded bytes. Other than ASCII may stand for itself, as in an IRI (RFC 3987),
/// which means the same.
pub(super) fn decode(text: &str, is_allowed: fn(u8) -> bool) -> Result<Cow<'_, str>, InvalidUri> {
    let bytes = text.as_bytes();
    if bytes.iter().all(|byte| is_allowed(*byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = rest.next().map(char::from).and_then(|it| it.to_digit(16));
                digit.ok_or(InvalidUri::new(
                    "two hexadecimal digits don't follow a percent sign",
                ))
            };
            let value = digit()? << 4 | digit()?;
            decoded.push(value as u8);
        } else if byte.is_ascii() && !is_allowed(byte) {
            return Err(InvalidUri::new(
                "it has a character that must be percent-encoded",
            ));
        } else {
            decoded.push(byte);
        }
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => Ok(Cow::Owned(decoded)),
        Err(_) => Err(InvalidUri::new("what is percent-encoded is not UTF-8")),
    }
}

pub(super) fn encode(out: &mut String, text: &str, is_allowed: fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_allowed(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 0xf] {
                out.push(
                    DIGITS
                        .get(usize::from(nibble))
                        .copied()
                        .map_or('0', char::from),
                );
            }
        }
    }
}

/// RFC 3986's unreserved and sub-delims.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// RFC 3986's pchar.
pub(super) fn is_segment_byte(byte: u8) -> bool {
    is_name_byte(byte) || byte == b':' || byte == b'@'
}

pub(super) fn is_query_byte(byte: u8) -> bool {
    is_segment_byte(byte) || byte == b'/' || byte == b'?'
}

/// In a query, `&` parts the arguments (RFC 7252, section 6.5, step 8).
pub(super) fn is_argument_byte(byte: u8) -> bool {
    is_query_byte(byte) && byte != b'&'
}
