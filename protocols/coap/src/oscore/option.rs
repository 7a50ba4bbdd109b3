//! The OSCORE option: the COSE object's header, compressed (section 6.1).

use super::crypto::{MAX_ID, MAX_PARTIAL_IV};

/// Flags that are reserved (section 6.1).
const RESERVED: u8 = 0b1110_0000;
const KID_CONTEXT: u8 = 0b0001_0000;
const KID: u8 = 0b0000_1000;
const PARTIAL_IV_LENGTH: u8 = 0b0000_0111;
/// The longest value of the option, in bytes (section 2).
const MAX_VALUE: usize = 255;

/// The longest ID Context that still fits into the option, with the longest of everything else.
pub(super) const MAX_ID_CONTEXT: usize = MAX_VALUE - 2 - MAX_PARTIAL_IV - MAX_ID;

/// A COSE object's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) partial_iv: Option<&'a [u8]>,
    pub(super) kid_context: Option<&'a [u8]>,
    pub(super) kid: Option<&'a [u8]>,
}

/// The option's value is not the compressed header of a COSE object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Header<'a> {
    /// Decompresses the option's value.
    pub(super) fn decode(value: &'a [u8]) -> Result<Self, Malformed> {
        // Everything absent is written as nothing at all: a lone zero is not (section 2).
        let Some((&flags, mut rest)) = value.split_first() else {
            return Ok(Self::default());
        };
        if flags == 0 || flags & RESERVED != 0 || value.len() > MAX_VALUE {
            return Err(Malformed);
        }
        let length = usize::from(flags & PARTIAL_IV_LENGTH);
        if length > MAX_PARTIAL_IV {
            return Err(Malformed);
        }
        let partial_iv = take(&mut rest, length)?;
        // Zeros in front are never written (section 5), so that each number has one form only.
        if length > 1 && partial_iv.first() == Some(&0) {
            return Err(Malformed);
        }
        let kid_context = if flags & KID_CONTEXT == 0 {
            None
        } else {
            let length = take(&mut rest, 1)?[0];
            Some(take(&mut rest, length.into())?)
        };
        let kid = if flags & KID != 0 {
            Some(rest)
        } else if rest.is_empty() {
            None
        } else {
            return Err(Malformed);
        };
        Ok(Self {
            partial_iv: (length > 0).then_some(partial_iv),
            kid_context,
            kid,
        })
    }

    /// Compresses the header. Each part must be as long as may be at the most.
    pub(super) fn encode(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let partial_iv = self.partial_iv.unwrap_or_default();
        let mut flags = partial_iv.len() as u8;
        if self.kid_context.is_some() {
            flags |= KID_CONTEXT;
        }
        if self.kid.is_some() {
            flags |= KID;
        }
        let mut value = vec![flags];
        value.extend_from_slice(partial_iv);
        if let Some(kid_context) = self.kid_context {
            value.push(kid_context.len() as u8);
            value.extend_from_slice(kid_context);
        }
        value.extend_from_slice(self.kid.unwrap_or_default());
        value
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Malformed)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_section_6_3() {
        let header = |partial_iv, kid_context, kid| Header {
            partial_iv,
            kid_context,
            kid,
        };
        for (value, expected) in [
            (
                &[0x09, 0x05, 0x25][..],
                header(Some(&[5][..]), None, Some(&[0x25][..])),
            ),
            (&[0x09, 0x00], header(Some(&[0]), None, Some(&[]))),
            (
                &[0x19, 0x05, 0x05, 0x44, 0x61, 0x6c, 0x65, 0x6b],
                header(Some(&[5]), Some(b"Dalek"), Some(&[])),
            ),
            (&[], header(None, None, None)),
            (&[0x01, 0x07], header(Some(&[7]), None, None)),
        ] {
            assert_eq!(Header::decode(value), Ok(expected));
            assert_eq!(expected.encode(), value);
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (what, value) in [
            ("a lone zero", &[0x00][..]),
            ("a reserved flag", &[0x29, 0x05]),
            ("a Partial IV of six bytes", &[0x06, 1, 2, 3, 4, 5, 6]),
            ("a Partial IV that is cut short", &[0x02, 1]),
            ("a Partial IV with a zero in front", &[0x02, 0, 1]),
            ("no length of the kid context", &[0x11, 1]),
            ("a kid context that is cut short", &[0x11, 1, 2, 3]),
            ("bytes that belong to nothing", &[0x01, 1, 2]),
            ("more than an option may hold", &[0x09; 256]),
        ] {
            assert_eq!(Header::decode(value), Err(Malformed), "{what}");
        }
    }
}
