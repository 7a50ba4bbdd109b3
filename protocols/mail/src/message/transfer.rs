//! Transfer encodings: what a part's bytes went through to be mail (RFC 2045, section 6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// How much is read at once, in bytes.
const CHUNK: usize = 8 * 1024;
/// How many blanks are held back in quoted-printable, until it is known whether they end a line.
const MAX_BLANKS: usize = 1024;

/// How a part's bytes were made lines of ASCII.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferEncoding {
    /// Not at all: `7bit`, `8bit`, `binary`, and what is unknown.
    #[default]
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
}

impl TransferEncoding {
    /// By its name in any case.
    pub fn named(name: &[u8]) -> Self {
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }

    /// How large what has so many bytes is when it is decoded, at most.
    pub(crate) fn decoded_len(self, encoded: u64) -> u64 {
        match self {
            // Four make three; a line of 76 has an end of two.
            Self::Base64 => encoded - encoded / 4,
            _ => encoded,
        }
    }

    /// All of it at once.
    pub fn decode(self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = Decoder::new(self);
        decoder.push(bytes, &mut out);
        decoder.finish(&mut out);
        out
    }
}

/// Decodes what comes in pieces, cut anywhere. What is wrong in it is left out (base64) or left as it is
/// (quoted-printable): half an attachment is more than none.
///
/// ```
/// use jackfield_mail::message::{Decoder, TransferEncoding};
///
/// let mut decoder = Decoder::new(TransferEncoding::Base64);
/// let mut text = Vec::new();
/// for piece in ["SGVs", "bG8", "h\r\n"] {
///     decoder.push(piece.as_bytes(), &mut text);
/// }
/// decoder.finish(&mut text);
/// assert_eq!(text, b"Hello!");
/// ```
#[derive(Debug)]
pub struct Decoder(State);

#[derive(Debug)]
enum State {
    Identity,
    Base64 { bits: u32, count: u8 },
    QuotedPrintable { blanks: Vec<u8>, after: After },
}

/// What stood before the next byte of quoted-printable.
#[derive(Debug)]
enum After {
    Text,
    Equals,
    /// Blanks behind the equals sign: how many, for where no line ends behind them.
    EqualsBlanks(usize),
    EqualsReturn,
    Digit(u8),
}

impl Decoder {
    /// A decoder at the beginning.
    pub fn new(encoding: TransferEncoding) -> Self {
        Self(match encoding {
            TransferEncoding::Identity => State::Identity,
            TransferEncoding::Base64 => State::Base64 { bits: 0, count: 0 },
            TransferEncoding::QuotedPrintable => State::QuotedPrintable {
                blanks: Vec::new(),
                after: After::Text,
            },
        })
    }

    /// Takes a piece, and adds to `out` what is known by it.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => out.extend_from_slice(piece),
            State::Base64 { bits, count } => {
                out.reserve(piece.len() / 4 * 3);
                for &byte in piece {
                    base64(byte, bits, count, out);
                }
            }
            State::QuotedPrintable { blanks, after } => {
                for &byte in piece {
                    quoted(byte, blanks, after, out);
                }
            }
        }
    }

    /// The end: adds what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => {}
            State::Base64 { bits, count } => pad(bits, count, out),
            State::QuotedPrintable { blanks, after } => {
                match std::mem::replace(after, After::Text) {
                    After::Digit(digit) => out.extend_from_slice(&[b'=', digit]),
                    After::Equals | After::EqualsBlanks(_) | After::EqualsReturn | After::Text => {}
                }
                blanks.clear();
            }
        }
    }
}

fn base64(byte: u8, bits: &mut u32, count: &mut u8, out: &mut Vec<u8>) {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        // Some have one base64 behind the other.
        b'=' => return pad(bits, count, out),
        _ => return,
    };
    *bits = *bits << 6 | u32::from(value);
    *count += 1;
    if *count == 4 {
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
        (*bits, *count) = (0, 0);
    }
}

/// What is left of a group that is not full.
fn pad(bits: &mut u32, count: &mut u8, out: &mut Vec<u8>) {
    match count {
        2 => out.push((*bits >> 4) as u8),
        3 => out.extend_from_slice(&[(*bits >> 10) as u8, (*bits >> 2) as u8]),
        _ => {}
    }
    (*bits, *count) = (0, 0);
}

fn quoted(byte: u8, blanks: &mut Vec<u8>, after: &mut After, out: &mut Vec<u8>) {
    match *after {
        After::Text => text(byte, blanks, after, out),
        After::Equals => match byte {
            b'\n' => *after = After::Text,
            b'\r' => *after = After::EqualsReturn,
            b' ' | b'\t' => *after = After::EqualsBlanks(1),
            _ if byte.is_ascii_hexdigit() => *after = After::Digit(byte),
            _ => {
                out.push(b'=');
                *after = After::Text;
                text(byte, blanks, after, out);
            }
        },
        After::EqualsBlanks(count) => match byte {
            b'\n' => *after = After::Text,
            b'\r' => *after = After::EqualsReturn,
            b' ' | b'\t' if count < MAX_BLANKS => *after = After::EqualsBlanks(count + 1),
            _ => {
                out.push(b'=');
                out.resize(out.len() + count, b' ');
                *after = After::Text;
                text(byte, blanks, after, out);
            }
        },
        After::EqualsReturn => {
            *after = After::Text;
            if byte != b'\n' {
                text(byte, blanks, after, out);
            }
        }
        After::Digit(digit) => {
            *after = After::Text;
            if let (Some(high), Some(low)) = (hex(digit), hex(byte)) {
                out.push(high << 4 | low);
            } else {
                out.extend_from_slice(&[b'=', digit]);
                text(byte, blanks, after, out);
            }
        }
    }
}

fn text(byte: u8, blanks: &mut Vec<u8>, after: &mut After, out: &mut Vec<u8>) {
    match byte {
        b' ' | b'\t' => {
            if blanks.len() == MAX_BLANKS {
                out.append(blanks);
            }
            blanks.push(byte);
        }
        // Blanks at a line's end were added on the way.
        b'\r' | b'\n' => {
            blanks.clear();
            out.push(byte);
        }
        _ => {
            out.append(blanks);
            if byte == b'=' {
                *after = After::Equals;
            } else {
                out.push(byte);
            }
        }
    }
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Reads what another reader gives, decoded: an attachment as it comes from the server.
///
/// It ends where the other ends, and fails as the other fails. It holds some 16 kB, however much passes.
#[derive(Debug)]
pub struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    chunk: Box<[u8]>,
    out: Vec<u8>,
    /// How much of `out` was given.
    given: usize,
    is_done: bool,
}

impl<R> Decoded<R> {
    /// A reader over another that gives what is encoded.
    pub fn new(inner: R, encoding: TransferEncoding) -> Self {
        Self {
            inner,
            decoder: Decoder::new(encoding),
            chunk: vec![0; CHUNK].into(),
            out: Vec::new(),
            given: 0,
            is_done: false,
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Decoded<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.given == this.out.len() {
            if this.is_done || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            this.out.clear();
            this.given = 0;
            let mut chunk = ReadBuf::new(&mut this.chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut chunk))?;
            let read = chunk.filled().len();
            if read == 0 {
                this.is_done = true;
                this.decoder.finish(&mut this.out);
            } else {
                this.decoder.push(&this.chunk[..read], &mut this.out);
            }
        }
        let ready = &this.out[this.given..];
        let count = ready.len().min(buffer.remaining());
        buffer.put_slice(&ready[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &[(TransferEncoding, &[u8], &[u8])] = &[
        (TransferEncoding::Identity, b"a=20\r\n", b"a=20\r\n"),
        (TransferEncoding::Base64, b"SGVsbG8=", b"Hello"),
        (TransferEncoding::Base64, b"SGVs\r\nbG8h", b"Hello!"),
        (TransferEncoding::Base64, b"SGVsbG8", b"Hello"),
        (
            TransferEncoding::Base64,
            b"S G!V?s\0bG8=SGVsbG8=",
            b"HelloHello",
        ),
        (TransferEncoding::Base64, b"SGVsb", b"Hel"),
        (TransferEncoding::Base64, b"====", b""),
        (
            TransferEncoding::QuotedPrintable,
            b"gr=C3=BCn",
            "gr\u{fc}n".as_bytes(),
        ),
        (
            TransferEncoding::QuotedPrintable,
            b"a=\r\nb=\nc= \t\r\nd",
            b"abcd",
        ),
        (
            TransferEncoding::QuotedPrintable,
            b"a \t\r\nb  c ",
            b"a\r\nb  c",
        ),
        (TransferEncoding::QuotedPrintable, b"a=e4=E4", b"a\xe4\xe4"),
        (
            TransferEncoding::QuotedPrintable,
            b"1=2, a=ZZ =",
            b"1=2, a=ZZ ",
        ),
        (TransferEncoding::QuotedPrintable, b"a=  b=4", b"a=  b=4"),
        (TransferEncoding::QuotedPrintable, b"==41", b"=A"),
    ];

    #[test]
    fn what_is_decoded() {
        for (encoding, encoded, decoded) in CASES {
            let found = encoding.decode(encoded);
            assert_eq!(&found, decoded, "{:?}", String::from_utf8_lossy(encoded));
        }
    }

    #[test]
    fn cut_anywhere_it_is_the_same() {
        for (encoding, encoded, decoded) in CASES {
            for at in 0..=encoded.len() {
                let (first, second) = encoded.split_at(at);
                let mut decoder = Decoder::new(*encoding);
                let mut out = Vec::new();
                decoder.push(first, &mut out);
                decoder.push(second, &mut out);
                decoder.finish(&mut out);
                assert_eq!(
                    &out,
                    decoded,
                    "{:?} at {at}",
                    String::from_utf8_lossy(encoded)
                );
            }
        }
    }

    #[test]
    fn blanks_without_end_are_not_kept() {
        let mut decoder = Decoder::new(TransferEncoding::QuotedPrintable);
        let mut out = Vec::new();
        decoder.push(&vec![b' '; 100_000], &mut out);
        assert!(out.len() >= 100_000 - MAX_BLANKS);
        decoder.push(b"=", &mut out);
        decoder.push(&vec![b' '; 100_000], &mut out);
        assert!(out.len() >= 200_000 - 2 * MAX_BLANKS, "{}", out.len());
    }

    #[tokio::test]
    async fn a_reader_is_decoded_as_it_is_read() {
        use tokio::io::AsyncReadExt;

        let encoded = "SGVsbG8h\r\n".repeat(10_000);
        let mut reader = Decoded::new(encoded.as_bytes(), TransferEncoding::Base64);
        let mut text = String::new();
        reader.read_to_string(&mut text).await.expect("it is read");
        assert_eq!(text, "Hello!".repeat(10_000));
    }
}
