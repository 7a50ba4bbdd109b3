//! Names of mailboxes: Unicode for whoever calls, whatever stands on the wire.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::error::InvalidValue;

/// The name of a mailbox, in Unicode.
///
/// On the wire it is modified UTF-7 (RFC 3501, section 5.1.3), or UTF-8 where the server was asked
/// for that (RFC 6855). A name of the server's that is neither is kept as its bytes, so that it can
/// be passed back: it is shown as well as can be.
///
/// ```
/// use jackfield_imap::codec::MailboxName;
///
/// let name: MailboxName = "Entwürfe".parse()?;
/// assert_eq!(name.to_string(), "Entwürfe");
/// assert_eq!("inbox".parse::<MailboxName>()?, MailboxName::inbox());
/// assert!("a\r\nb".parse::<MailboxName>().is_err());
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Name);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Unicode(String),
    /// The server's bytes, which are no name by the rules.
    Raw(Bytes),
}

impl MailboxName {
    /// INBOX, which every account has, and whose name has no case.
    pub fn inbox() -> Self {
        Self(Name::Unicode("INBOX".to_owned()))
    }

    /// Reads a name as the server wrote it.
    pub(crate) fn read(bytes: &Bytes, is_utf8: bool) -> Self {
        let decoded = if is_utf8 {
            String::from_utf8(bytes.to_vec()).ok()
        } else {
            decode(bytes).filter(|name| encode(name) == **bytes)
        };
        match decoded {
            Some(name) => name.parse().unwrap_or(Self(Name::Raw(bytes.clone()))),
            None => Self(Name::Raw(bytes.clone())),
        }
    }

    /// As it stands on the wire.
    pub(super) fn wire(&self, is_utf8: bool) -> Vec<u8> {
        match &self.0 {
            Name::Unicode(name) if is_utf8 => name.clone().into_bytes(),
            Name::Unicode(name) => encode(name),
            Name::Raw(bytes) => bytes.to_vec(),
        }
    }
}

impl FromStr for MailboxName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        if name.eq_ignore_ascii_case("INBOX") {
            return Ok(Self::inbox());
        }
        if name.is_empty() || name.contains(['\0', '\r', '\n']) {
            return Err(InvalidValue::MailboxName);
        }
        Ok(Self(Name::Unicode(name.to_owned())))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Unicode(name) => f.pad(name),
            Name::Raw(bytes) => f.pad(&String::from_utf8_lossy(bytes)),
        }
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Modified UTF-7: what is not printable ASCII stands between `&` and `-`, as UTF-16 in base64.
pub(super) fn encode(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut shifted = Shifted::default();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shifted.end(&mut out);
            out.push(c as u8);
            if c == '&' {
                out.push(b'-');
            }
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                shifted.push(*unit, &mut out);
            }
        }
    }
    shifted.end(&mut out);
    out
}

#[derive(Default)]
struct Shifted {
    is_on: bool,
    bits: u32,
    count: u32,
}

impl Shifted {
    fn push(&mut self, unit: u16, out: &mut Vec<u8>) {
        if !self.is_on {
            out.push(b'&');
            *self = Self {
                is_on: true,
                ..Self::default()
            };
        }
        self.bits = (self.bits << 16) | u32::from(unit);
        self.count += 16;
        while self.count >= 6 {
            self.count -= 6;
            out.push(ALPHABET[(self.bits >> self.count) as usize & 63]);
        }
        self.bits &= (1 << self.count) - 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.is_on {
            return;
        }
        if self.count > 0 {
            out.push(ALPHABET[(self.bits << (6 - self.count)) as usize & 63]);
        }
        out.push(b'-');
        self.is_on = false;
    }
}

/// The name, where it is modified UTF-7.
fn decode(bytes: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'&' {
            if !(b' '..=b'~').contains(&byte) {
                return None;
            }
            name.push(char::from(byte));
            continue;
        }
        let end = memchr::memchr(b'-', rest)?;
        if end == 0 {
            name.push('&');
        }
        let (mut bits, mut count, mut units) = (0_u32, 0, Vec::new());
        for digit in &rest[..end] {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            bits = (bits << 6 | value as u32) & 0xF_FFFF;
            count += 6;
            if count >= 16 {
                count -= 16;
                units.push((bits >> count) as u16);
            }
        }
        for c in char::decode_utf16(units) {
            name.push(c.ok()?);
        }
        rest = &rest[end + 1..];
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_modified_utf_7() {
        for (name, wire) in [
            ("Entwürfe", "Entw&APw-rfe"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("a & b", "a &- b"),
            ("😀", "&2D3eAA-"),
            ("\u{1}", "&AAE-"),
        ] {
            assert_eq!(encode(name), wire.as_bytes());
            let read = MailboxName::read(&Bytes::from(wire), false);
            assert_eq!(read.to_string(), name);
            assert_eq!(read.wire(false), wire.as_bytes());
        }
    }

    #[test]
    fn a_name_by_no_rules_is_passed_back_as_it_came() {
        for wire in [
            &b"a&"[..],
            b"&AGE-",
            b"\xfcber",
            b"&&-",
            b"&Jjo!-",
            b"&2D0-",
        ] {
            let name = MailboxName::read(&Bytes::copy_from_slice(wire), false);
            assert_eq!(name.wire(false), wire);
            assert_eq!(name.wire(true), wire);
        }
    }
}
