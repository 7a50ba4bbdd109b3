//! Pins: certificates and keys that are known by their SHA-256.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use jackfield_socket::{Error, ErrorKind, Result};
use ring::digest::{SHA256, digest};

/// The SHA-256 of a server's certificate, or of its public key: what it is known by, in place of an
/// authority that vouches for a name. See [`TlsConfig::with_pin`](crate::TlsConfig::with_pin).
///
/// The hash of a certificate (of the whole of it, in DER) is what browsers show as its fingerprint,
/// and what `openssl x509 -noout -fingerprint -sha256` prints. The hash of a key (of its
/// SubjectPublicKeyInfo, in DER; RFC 7469, section 2.4) stays the same when the server renews its
/// certificate for the same key; it is what curl's `--pinnedpubkey` takes.
///
/// As text it is `certificate:` or `key:`, and the hash: in hexadecimal digits, with colons between
/// the bytes or without, or in Base64. A hash in hexadecimal digits alone is a certificate's,
/// `sha256//` and Base64 a key's (as curl has it). It is printed as `certificate:` and hexadecimal
/// digits, or `key:` and Base64.
///
/// ```
/// use jackfield_tls::Pin;
///
/// let fingerprint = "3D:CF:49:22:F9:93:46:C0:A8:AA:3F:4D:5B:4B:37:D8:\
///                    16:67:0C:C0:5D:1E:B9:F0:8D:3B:D2:1A:6E:DB:43:08";
/// let pin: Pin = fingerprint.parse()?;
/// assert_eq!(pin, Pin::certificate(*pin.sha256()));
/// assert_eq!(pin.to_string(), format!("certificate:{fingerprint}"));
///
/// let pin: Pin = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".parse()?;
/// assert_eq!(pin.to_string(), "key:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin {
    of: Of,
    sha256: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Certificate,
    Key,
}

impl Pin {
    /// The certificate with this SHA-256.
    pub const fn certificate(sha256: [u8; 32]) -> Self {
        Self {
            of: Of::Certificate,
            sha256,
        }
    }

    /// The public key with this SHA-256, in whatever certificate.
    pub const fn key(sha256: [u8; 32]) -> Self {
        Self {
            of: Of::Key,
            sha256,
        }
    }

    /// The pin of this certificate, in DER.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self::certificate(hash(der))
    }

    /// The pin of the public key in this certificate, in DER.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where that is not a certificate.
    pub fn of_key(certificate: &[u8]) -> Result<Self> {
        match public_key_info(certificate) {
            Some(info) => Ok(Self::key(hash(info))),
            None => Err(Error::new(
                ErrorKind::InvalidInput,
                "what is to be pinned is not a certificate",
            )),
        }
    }

    /// The hash.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Whether it is a key that is pinned, not a certificate.
    pub fn is_key(&self) -> bool {
        self.of == Of::Key
    }

    /// Whether this certificate, whose key this is, is the one.
    pub(crate) fn matches(&self, certificate: &[u8], public_key_info: &[u8]) -> bool {
        let of = match self.of {
            Of::Certificate => certificate,
            Of::Key => public_key_info,
        };
        self.sha256 == hash(of)
    }
}

impl FromStr for Pin {
    type Err = Error;

    /// Reads the text of a pin.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where it is not a pin.
    fn from_str(text: &str) -> Result<Self> {
        let split = [
            ("certificate:", Of::Certificate),
            ("key:", Of::Key),
            ("sha256//", Of::Key),
        ]
        .into_iter()
        .find_map(|(prefix, of)| Some((of, text.strip_prefix(prefix)?)));
        let parsed = match split {
            Some((of, rest)) => from_hex(rest)
                .or_else(|| from_base64(rest))
                .map(|sha256| Self { of, sha256 }),
            None => from_hex(text).map(Self::certificate),
        };
        parsed.ok_or_else(|| {
            let message = if from_base64(text).is_some() {
                "a pin in base64 begins with key: or certificate:, for the hash may be of either"
            } else {
                "a pin is certificate: or key: and a SHA-256, in 64 hexadecimal digits or in base64"
            };
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Of::Certificate => {
                f.write_str("certificate")?;
                for byte in self.sha256 {
                    write!(f, ":{byte:02X}")?;
                }
                Ok(())
            }
            Of::Key => {
                f.write_str("key:")?;
                f.write_str(&STANDARD.encode(self.sha256))
            }
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// The SubjectPublicKeyInfo of a certificate (RFC 5280, section 4.1), in DER.
///
/// Read here, and not by the library that verifies chains, because that one takes certificates of
/// version 3 only: `openssl x509 -req`, with which many make their broker's, writes version 1.
pub(crate) fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const VERSION: u8 = 0xa0;

    let certificate = element(certificate).filter(|it| it.tag == SEQUENCE)?;
    let signed = element(certificate.value).filter(|it| it.tag == SEQUENCE)?;
    let mut next = element(signed.value)?;
    if next.tag == VERSION {
        next = element(next.rest)?;
    }
    if next.tag != INTEGER {
        return None;
    }
    // The signature's algorithm, the issuer, the validity, the subject, the key.
    for _ in 0..5 {
        next = element(next.rest).filter(|it| it.tag == SEQUENCE)?;
    }
    Some(next.whole)
}

/// The algorithm, without its header, and the key of a SubjectPublicKeyInfo.
pub(crate) fn public_key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;

    let info = element(info).filter(|it| it.tag == SEQUENCE)?;
    let algorithm = element(info.value).filter(|it| it.tag == SEQUENCE)?;
    let key = element(algorithm.rest).filter(|it| it.tag == BIT_STRING)?;
    match key.value.split_first() {
        // No bits unused.
        Some((0, key)) => Some((algorithm.value, key)),
        _ => None,
    }
}

/// An element of DER, and what comes after it.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

/// The first element of these bytes; tags of one byte only, and lengths under 16 MiB.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&[tag, first], after) = bytes.split_first_chunk()?;
    let (length, after) = match first {
        0..=0x7f => (usize::from(first), after),
        0x81..=0x83 => {
            let (length, after) = after.split_at_checked(usize::from(first & 0x7f))?;
            let fold = |sum, byte: &u8| sum << 8 | usize::from(*byte);
            (length.iter().fold(0, fold), after)
        }
        _ => return None,
    };
    let (value, rest) = after.split_at_checked(length)?;
    Some(Element {
        tag,
        whole: &bytes[..bytes.len() - rest.len()],
        value,
        rest,
    })
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sha256
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut digits = String::with_capacity(64);
    if text.contains(':') {
        for byte in text.split(':') {
            if byte.len() != 2 {
                return None;
            }
            digits.push_str(byte);
        }
    } else {
        digits.write_str(text).ok()?;
    }
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut sha256 = [0; 32];
    for (byte, digits) in sha256.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(sha256)
}

fn from_base64(text: &str) -> Option<[u8; 32]> {
    let bytes = STANDARD.decode(text);
    let bytes = bytes.or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of nothing.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn the_texts_of_a_pin() {
        let certificate = Pin::of_certificate(b"");
        let key = Pin::key(hash(b""));
        for (text, pin) in [
            (EMPTY.to_owned(), certificate),
            (EMPTY.to_uppercase(), certificate),
            (format!("certificate:{EMPTY}"), certificate),
            (format!("certificate:{EMPTY_BASE64}"), certificate),
            (certificate.to_string(), certificate),
            (format!("key:{EMPTY}"), key),
            (format!("key:{}", EMPTY_BASE64.trim_end_matches('=')), key),
            (format!("sha256//{EMPTY_BASE64}"), key),
            (key.to_string(), key),
        ] {
            assert_eq!(text.parse::<Pin>().expect(&text), pin, "{text}");
        }
        assert_ne!(certificate, key);
    }

    #[test]
    fn what_is_no_pin() {
        for text in [
            "",
            "key:",
            "certificate:00",
            "key:00:11",
            &EMPTY[1..],
            &format!("{EMPTY}0"),
            &format!(":{EMPTY}"),
            &format!("KEY:{EMPTY}"),
            &format!("é{}", &EMPTY[2..]),
            "certificate:AAAA",
        ] {
            let error = text.parse::<Pin>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        // Whose hash it is would be a guess.
        let error = EMPTY_BASE64.parse::<Pin>().expect_err("of what?");
        assert!(error.to_string().contains("key: or certificate:"));
    }

    #[test]
    fn the_key_of_a_certificate() {
        use rcgen::PublicKeyData as _;

        let names = vec!["a.test".to_owned(); 30];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let der = made.cert.der();
        let info = made.signing_key.subject_public_key_info();
        assert_eq!(public_key_info(der), Some(&info[..]));
        assert_eq!(Pin::of_key(der).expect("a key"), Pin::key(hash(&info)));
        let (_, key) = public_key(&info).expect("a key");
        assert_eq!(key, made.signing_key.der_bytes());
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("made");
        let der = made.cert.der();
        for end in 0..der.len() {
            assert_eq!(public_key_info(&der[..end]), None, "{end}");
        }
        for index in 0..der.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = der.to_vec();
                broken[index] = byte;
                // Anything but a panic.
                let _ = public_key_info(&broken).and_then(public_key);
            }
        }
        Pin::of_key(b"junk").expect_err("no certificate");
    }
}
