//! What a certificate says (RFC 5280, section 4.1): from when until when it is valid, its number, and whose
//! it is.
//!
//! No more of it is read than that, and nothing is believed of it: it is the relay's own, which its
//! administrator has put there, or a client's, which may be anything until it is verified.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::config::point_in_time;

/// The tags of DER (X.690) that stand on the way.
const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Strings that are read as UTF-8: UTF8String, PrintableString, and IA5String.
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];
/// What an alternative name can be, in the order in which it counts: a URI, a DNS name, a mail address.
const NAMES: [u8; 3] = [0x86, 0x82, 0x81];
/// `commonName` (2.5.4.3).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `subjectAltName` (2.5.29.17).
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// In hexadecimal digits, as `openssl x509 -serial` shows it, in small letters.
    pub(crate) serial: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// The first URI of its alternative names; without one, the first DNS name; without one, the first mail
    /// address; without any, its common name. As it stands there: it may be no text. `None` where it has none.
    pub(crate) name: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads one in DER; `None` where that can't be read.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(SEQUENCE, der)?;
        let (mut rest, _) = expect(SEQUENCE, certificate)?;
        if let Some((_, behind)) = expect(VERSION, rest) {
            rest = behind;
        }
        let (number, rest) = expect(INTEGER, rest)?;
        // The algorithm, and the issuer.
        let (_, rest) = expect(SEQUENCE, rest)?;
        let (_, rest) = expect(SEQUENCE, rest)?;
        let (validity, rest) = expect(SEQUENCE, rest)?;
        let (tag, before, after) = element(validity)?;
        let not_before = time(tag, before)?;
        let (tag, after, _) = element(after)?;
        let not_after = time(tag, after)?;
        let (subject, rest) = expect(SEQUENCE, rest)?;
        // A number that isn't negative has a zero before a high bit.
        let number = number
            .strip_prefix(&[0])
            .filter(|it| !it.is_empty())
            .unwrap_or(number);
        let serial = number.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Some(Self {
            serial,
            not_before,
            not_after,
            name: (alternative_name(rest).or_else(|| common_name(subject))).map(<[u8]>::to_vec),
        })
    }
}

pub(crate) fn time(tag: u8, time: &[u8]) -> Option<SystemTime> {
    let time = str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let digits = time.bytes().all(|byte| byte.is_ascii_digit());
    // Of two digits, those below 50 are of this century.
    let century = match tag {
        GENERALIZED_TIME if time.len() == 14 => "",
        UTC_TIME if time.len() == 12 && time < "50" => "20",
        UTC_TIME if time.len() == 12 => "19",
        _ => return None,
    };
    let time = format!("{century}{time}");
    let part = |from, to| digits.then(|| time.get(from..to)).flatten();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    point_in_time(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

fn common_name(mut subject: &[u8]) -> Option<&[u8]> {
    while let Some((attributes, behind)) = expect(SET, subject) {
        subject = behind;
        let (attribute, _) = expect(SEQUENCE, attributes)?;
        let (kind, value) = expect(OBJECT_IDENTIFIER, attribute)?;
        let (tag, text, _) = element(value)?;
        if kind == COMMON_NAME && STRINGS.contains(&tag) {
            return Some(text);
        }
    }
    None
}

/// In what follows the subject: the key, perhaps two identifiers, and the extensions.
fn alternative_name(rest: &[u8]) -> Option<&[u8]> {
    let (_, mut rest) = expect(SEQUENCE, rest)?;
    let mut extensions = loop {
        let (tag, content, behind) = element(rest)?;
        if tag == EXTENSIONS {
            break expect(SEQUENCE, content)?.0;
        }
        rest = behind;
    };
    loop {
        let (extension, behind) = expect(SEQUENCE, extensions)?;
        extensions = behind;
        let (kind, mut value) = expect(OBJECT_IDENTIFIER, extension)?;
        if kind != ALTERNATIVE_NAME {
            continue;
        }
        if let Some((_critical, behind)) = expect(BOOLEAN, value) {
            value = behind;
        }
        let (value, _) = expect(OCTET_STRING, value)?;
        let (names, _) = expect(SEQUENCE, value)?;
        return NAMES.iter().find_map(|wanted| {
            let mut names = names;
            loop {
                let (tag, text, behind) = element(names)?;
                if tag == *wanted {
                    return Some(text);
                }
                names = behind;
            }
        });
    }
}

/// The content of the element that comes first, which has this tag, and what is behind it.
pub(crate) fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The tag and the content of the element that comes first, and what is behind it.
pub(crate) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if length >= 0x80 {
        // So many bytes of a length follow.
        let (long, behind) = rest.split_at_checked(length & 0x7f)?;
        rest = behind;
        if long.len() > 4 {
            return None;
        }
        length = long
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte));
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber, string::Ia5String};

    use super::*;

    fn signed(params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        certificate.der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_ways_to_write_it() {
        for year in [2031, 2049, 2050, 2123] {
            let mut params = CertificateParams::new(["relay.example".into()]).expect("a name");
            params.not_before = rcgen::date_time_ymd(year - 1, 2, 28);
            params.not_after = rcgen::date_time_ymd(year, 2, 28);
            params.serial_number = Some(SerialNumber::from(vec![0xab, 0, 7]));
            let at = |time: u64| UNIX_EPOCH + Duration::from_secs(time);
            let seconds = [params.not_before, params.not_after]
                .map(|time| u64::try_from(time.unix_timestamp()).expect("later"));
            let whole = signed(&params);
            let expected = Certificate {
                serial: "ab0007".into(),
                not_before: at(seconds[0]),
                not_after: at(seconds[1]),
                name: Some(b"relay.example".to_vec()),
            };
            assert_eq!(Certificate::read(&whole), Some(expected), "{year}");
            // What is cut off anywhere is no certificate, and nothing worse.
            for end in 0..whole.len() {
                assert_eq!(Certificate::read(&whole[..end]), None, "{end}");
            }
        }
    }

    #[test]
    fn the_name_is_a_uri_before_a_dns_name_before_a_mail_address_before_the_common_name() {
        let text = |text: &str| Ia5String::try_from(text).expect("ASCII");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let read = |params: &CertificateParams| {
            let certificate = Certificate::read(&signed(params));
            let name = certificate.expect("a certificate").name;
            name.map(|name| String::from_utf8(name).expect("text"))
        };
        assert_eq!(read(&params), None);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "Ada");
        assert_eq!(read(&params).as_deref(), Some("Ada"));
        for (name, expected) in [
            (
                SanType::Rfc822Name(text("ada@example.org")),
                "ada@example.org",
            ),
            (SanType::DnsName(text("ada.example")), "ada.example"),
            (
                SanType::URI(text("spiffe://example/ada")),
                "spiffe://example/ada",
            ),
        ] {
            params.subject_alt_names.push(name);
            assert_eq!(read(&params).as_deref(), Some(expected));
        }
    }
}
