//! A PROXY header (HAProxy's `proxy-protocol.txt`): who is at the other side of a proxy, in a line of text
//! (version 1) or in binary (version 2).
//!
//! [`decode`] says how many bytes it lacks at least, and never more than the header has: what
//! follows it is TLS, or a request, and is for others to read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What version 2 begins with.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, with its end (section 2.1).
const MAX_LINE: usize = 107;
/// A header of version 2 up to its length.
const FIXED: usize = 16;
/// The longest header of version 2 that is read, in bytes. Addresses take 52 of them, and the
/// rest is what a proxy may say besides, of which a client's certificate is the longest.
const MAX_BINARY: usize = 4096;
/// Among what may be said besides: the checksum of the whole header.
const CRC32C: u8 = 0x03;

/// How far a header has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has at least so many bytes more.
    Needs(usize),
    /// It is whole; whom the proxy speaks for, if for anybody.
    Done(Option<SocketAddr>),
}

/// Why something is no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Absent,
    Line,
    Version,
    Length,
    Family,
    Field,
    Checksum,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no PROXY header",
            Self::Line => "the PROXY header's line is not what version 1 has",
            Self::Version => "the PROXY header has another version or command",
            Self::Length => "the PROXY header is shorter than its addresses, or too long",
            Self::Family => "the PROXY header's addresses are of no stream",
            Self::Field => "a field of the PROXY header is longer than the header",
            Self::Checksum => "the PROXY header's checksum is wrong",
        })
    }
}

impl std::error::Error for HeaderError {}

/// Whether this is how a PROXY header begins, up to the empty line that version 2 begins with.
pub(crate) fn begins(head: &[u8]) -> bool {
    head.starts_with(WORD) || head == &SIGNATURE[..4]
}

/// Reads a header from its first bytes, which are as many as were asked for.
pub(super) fn decode(bytes: &[u8]) -> Result<Progress, HeaderError> {
    if bytes.is_empty() {
        // No header of either version is shorter.
        return Ok(Progress::Needs(SIGNATURE.len()));
    }
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    if begins(&SIGNATURE) {
        binary(bytes)
    } else if begins(WORD) {
        line(bytes)
    } else {
        Err(HeaderError::Absent)
    }
}

/// Version 1: `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443`, or `PROXY UNKNOWN` and anything.
fn line(bytes: &[u8]) -> Result<Progress, HeaderError> {
    // No line is shorter.
    const LEAST: usize = b"PROXY UNKNOWN\r\n".len();
    if bytes.len() < LEAST {
        return Ok(Progress::Needs(LEAST - bytes.len()));
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let lacks = if bytes.ends_with(b"\r") { 1 } else { 2 };
        return if bytes.len() + lacks > MAX_LINE || bytes.contains(&b'\n') {
            Err(HeaderError::Line)
        } else {
            Ok(Progress::Needs(lacks))
        };
    };
    let line = str::from_utf8(line).map_err(|_| HeaderError::Line)?;
    if line == "PROXY UNKNOWN" || line.starts_with("PROXY UNKNOWN ") {
        return Ok(Progress::Done(None));
    }
    let mut words = line.split(' ').skip(1);
    let mut next = || words.next().ok_or(HeaderError::Line);
    let is_address = match next()? {
        "TCP4" => IpAddr::is_ipv4,
        "TCP6" => IpAddr::is_ipv6,
        _ => return Err(HeaderError::Line),
    };
    let address = |text: &str| {
        let address = text.parse::<IpAddr>().ok();
        address.filter(is_address).ok_or(HeaderError::Line)
    };
    let (source, _) = (address(next()?)?, address(next()?)?);
    let (port, _) = (port(next()?)?, port(next()?)?);
    match words.next() {
        None => Ok(Progress::Done(Some((source.to_canonical(), port).into()))),
        Some(_) => Err(HeaderError::Line),
    }
}

/// A port as the specification has it: without a sign, and without zeros before it.
fn port(text: &str) -> Result<u16, HeaderError> {
    let port: u16 = text.parse().map_err(|_| HeaderError::Line)?;
    (port.to_string() == text)
        .then_some(port)
        .ok_or(HeaderError::Line)
}

/// Version 2: signature, version and command, family and transport, length, addresses, fields.
fn binary(bytes: &[u8]) -> Result<Progress, HeaderError> {
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::Needs(FIXED - bytes.len()));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + length > MAX_BINARY {
        return Err(HeaderError::Length);
    }
    if rest.len() < length {
        return Ok(Progress::Needs(length - rest.len()));
    }
    match command {
        // LOCAL: what follows is to be skipped, whatever it is (section 2.2).
        0x20 => return Ok(Progress::Done(None)),
        0x21 => {}
        _ => return Err(HeaderError::Version),
    }
    let (source, fields) = match family {
        // Neither known nor of a kind that has sources here: of a Unix socket, its two paths.
        0x00 => (None, rest),
        0x31 => (None, rest.get(216..).ok_or(HeaderError::Length)?),
        0x11 => {
            let ([a, b, c, d, _, _, _, _, high, low, _, _], fields) =
                rest.split_first_chunk::<12>().ok_or(HeaderError::Length)?;
            let port = u16::from_be_bytes([*high, *low]);
            (Some((Ipv4Addr::new(*a, *b, *c, *d).into(), port)), fields)
        }
        0x21 => {
            let (addresses, fields) = rest.split_first_chunk::<36>().ok_or(HeaderError::Length)?;
            let (source, rest) = addresses
                .split_first_chunk::<16>()
                .ok_or(HeaderError::Length)?;
            let port = u16::from_be_bytes([rest[16], rest[17]]);
            let source = IpAddr::from(Ipv6Addr::from(*source)).to_canonical();
            (Some((source, port)), fields)
        }
        _ => return Err(HeaderError::Family),
    };
    check_fields(bytes, fields)?;
    Ok(Progress::Done(source.map(SocketAddr::from)))
}

/// Fields are a type, a length, and a value. They fit, and the checksum is right where there is one;
/// what else they say is skipped.
fn check_fields(header: &[u8], mut fields: &[u8]) -> Result<(), HeaderError> {
    while !fields.is_empty() {
        let (&[kind, high, low], rest) =
            fields.split_first_chunk::<3>().ok_or(HeaderError::Field)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(HeaderError::Field)?;
        if kind == CRC32C {
            let told: [u8; 4] = value.try_into().map_err(|_| HeaderError::Checksum)?;
            let at = header.len() - rest.len() - told.len();
            if crc32c(header, at..at + told.len()) != u32::from_be_bytes(told) {
                return Err(HeaderError::Checksum);
            }
        }
        fields = rest;
    }
    Ok(())
}

/// The checksum of RFC 3720, appendix B.4, as if there were zeros in one place.
pub(super) fn crc32c(bytes: &[u8], zeros: std::ops::Range<usize>) -> u32 {
    /// Castagnoli's polynomial, its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut crc = u32::MAX;
    for (at, byte) in bytes.iter().enumerate() {
        crc ^= if zeros.contains(&at) {
            0
        } else {
            u32::from(*byte)
        };
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line of the file: what comes of it, and the bytes.
    const VECTORS: &str = include_str!("../../tests/vectors/proxy.txt");

    #[test]
    fn headers_are_read_as_the_vectors_say() {
        let mut count = 0;
        let lines = VECTORS.lines().map(str::trim_end);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (expected, written) = line.split_once(" <- ").expect(line);
            let bytes = unescape(written);
            let told = match decode(&bytes) {
                Ok(Progress::Done(Some(client))) => client.to_string(),
                Ok(Progress::Done(None)) => "nobody".into(),
                Ok(Progress::Needs(more)) => format!("{more} more"),
                Err(error) => error.to_string(),
            };
            assert_eq!(told, expected.trim_end(), "{written}");
            count += 1;
        }
        assert!(count > 40, "{count} vectors");
    }

    /// Texts in quotes, with `\r` and `\n`; bytes in hexadecimal; `XX*N`, a byte so often; `SIGNATURE`.
    fn unescape(written: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, part) in written.split('"').enumerate() {
            if index % 2 == 1 {
                bytes.extend(part.replace("\\r", "\r").replace("\\n", "\n").bytes());
                continue;
            }
            for word in part.split_ascii_whitespace() {
                if let Some((byte, count)) = word.split_once('*') {
                    let byte = u8::from_str_radix(byte, 16).expect(word);
                    bytes.extend(std::iter::repeat_n(byte, count.parse().expect(word)));
                } else if word == "SIGNATURE" {
                    bytes.extend(SIGNATURE);
                } else {
                    assert_eq!(word.len() % 2, 0, "{word}");
                    let pairs = (0..word.len()).step_by(2);
                    bytes.extend(
                        pairs.map(|at| u8::from_str_radix(&word[at..at + 2], 16).expect(word)),
                    );
                }
            }
        }
        bytes
    }

    #[test]
    fn the_checksum_is_that_of_iscsi() {
        // RFC 3720, appendix B.4.
        let all: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&[0; 32], 0..0), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32], 0..0), 0x62a8_ab43);
        assert_eq!(crc32c(&all, 0..0), 0x46dd_794e);
        assert_eq!(crc32c(&[0xff; 32], 0..32), 0x8a91_36aa);
    }

    #[test]
    fn what_begins_like_one_is_known() {
        assert!(begins(b"PROXY TCP4 a\r\n\r\n") && begins(b"\r\n\r\n"));
        assert!(!begins(b"GET / HTTP/1.1\r\n\r\n") && !begins(b"PROXYING / HTTP/1.1\r\n\r\n"));
    }
}
