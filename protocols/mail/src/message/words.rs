//! Encoded words: how header fields hold what is not ASCII (RFC 2047).

use crate::Charsets;

use super::transfer::{TransferEncoding, hex};

/// An encoded word, not yet turned into text.
struct Word<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
    /// How long it is in its field.
    len: usize,
}

/// The text of an unstructured field, such as Subject, without folding and control characters.
pub(crate) fn decode(value: &[u8], charsets: &Charsets, fallback: Option<&str>) -> String {
    let mut text = String::new();
    pieces(value, &mut |piece| match piece {
        Piece::Plain(bytes) => text.push_str(&plain(bytes, charsets, fallback)),
        Piece::Words(charset, bytes) => text.push_str(&charsets.decode(Some(charset), bytes)),
    });
    shown(&text)
}

/// A structured field with each word made one of UTF-8 and base64, and anything that only begins as one
/// does escaped: what a parser that knows few charsets can read, and in one pass.
pub(crate) fn transcode(value: &[u8], charsets: &Charsets, fallback: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    pieces(value, &mut |piece| match piece {
        Piece::Plain(bytes) => {
            let text = plain(bytes, charsets, fallback);
            let mut rest = text.as_str();
            while let Some(at) = rest.find("=?") {
                out.extend_from_slice(&rest.as_bytes()[..at]);
                let is_start = !out.last().is_some_and(|byte| is_atom(*byte));
                out.extend_from_slice(if is_start {
                    b"=?utf-8?Q?=3D=3F?="
                } else {
                    b"=?"
                });
                rest = &rest[at + 2..];
            }
            out.extend_from_slice(rest.as_bytes());
        }
        Piece::Words(charset, bytes) => {
            let text = shown(&charsets.decode(Some(charset), bytes));
            out.extend_from_slice(b"=?utf-8?B?");
            crate::base64::encode(text.as_bytes(), &mut out);
            out.extend_from_slice(b"?=");
        }
    });
    out
}

fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte)
}

enum Piece<'a> {
    Plain(&'a [u8]),
    /// Words of one charset that follow each other: some senders cut them within a character.
    Words(&'a str, &'a [u8]),
}

fn pieces(value: &[u8], take: &mut dyn FnMut(Piece<'_>)) {
    let (mut at, mut plain) = (0, 0);
    while let Some(found) = memchr::memmem::find(&value[at..], b"=?") {
        let start = at + found;
        let Some(mut word) = Word::parse(&value[start..]) else {
            at = start + 2;
            continue;
        };
        if plain < start {
            take(Piece::Plain(&value[plain..start]));
        }
        at = start + word.len;
        // Blanks between two words are none of the text (section 6.2).
        loop {
            let blanks = value[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace());
            let next = at + blanks.count();
            let Some(follower) = Word::parse(&value[next..]) else {
                break;
            };
            at = next + follower.len;
            if follower.charset.eq_ignore_ascii_case(word.charset) {
                word.bytes.extend_from_slice(&follower.bytes);
            } else {
                take(Piece::Words(word.charset, &word.bytes));
                word = follower;
            }
        }
        take(Piece::Words(word.charset, &word.bytes));
        plain = at;
    }
    if plain < value.len() {
        take(Piece::Plain(&value[plain..]));
    }
}

impl<'a> Word<'a> {
    /// A word at the beginning of this. It looks no further than the fourth question mark.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let rest = value.strip_prefix(b"=?")?;
        let (charset, rest) = split(rest)?;
        let (encoding, rest) = split(rest)?;
        let (text, rest) = split(rest)?;
        if rest.first() != Some(&b'=') {
            return None;
        }
        let charset = std::str::from_utf8(charset).ok()?;
        let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\"/[]".contains(c);
        if charset.is_empty() || !charset.chars().all(is_token) {
            return None;
        }
        let bytes = match encoding {
            b"B" | b"b" => TransferEncoding::Base64.decode(text),
            b"Q" | b"q" => q(text),
            _ => return None,
        };
        Some(Self {
            charset: charset.split('*').next().unwrap_or_default(),
            bytes,
            len: value.len() - rest.len() + 1,
        })
    }
}

/// What stands before a question mark, and behind it.
fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'?', value)?;
    Some((&value[..at], &value[at + 1..]))
}

/// Quoted-printable as words have it (section 4.2).
fn q(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, tail @ ..]) => {
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) {
                    out.push(high << 4 | low);
                    rest = tail;
                } else {
                    out.push(b'=');
                }
            }
            (byte, _) => out.push(*byte),
        }
    }
    out
}

/// Bytes that should be ASCII: UTF-8 (RFC 6532), or else as the message's text is.
fn plain(bytes: &[u8], charsets: &Charsets, fallback: Option<&str>) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => charsets.decode(fallback, bytes),
    }
}

/// A text on one line, as it may be shown: without the ends of folded lines, and with control
/// characters made blanks.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_matches(|c: char| c.is_ascii_whitespace()).chars() {
        match c {
            '\r' | '\n' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(value: &str) -> String {
        decode(value.as_bytes(), &Charsets::built_in(), None)
    }

    #[test]
    fn what_words_say() {
        for (value, text) in [
            ("hello", "hello"),
            ("=?utf-8?q?gr=C3=BCn?=", "gr\u{fc}n"),
            ("=?UTF-8*de?Q?a_b?= c", "a b c"),
            (
                "=?utf-8?B?Z3LDvG4=?= =?utf-8?B?Z3LDvG4=?=",
                "gr\u{fc}ngr\u{fc}n",
            ),
            // Cut within a character.
            ("=?utf-8?q?gr=C3?=\r\n =?utf-8?q?=BCn?=", "gr\u{fc}n"),
            ("=?koi8-r?B?7cnS?= =?utf-8?q?!?=", "\u{41c}\u{438}\u{440}!"),
            ("a\r\n\tb", "a\tb".replace('\t', " ").as_str()),
            ("=?utf-8?q?", "=?utf-8?q?"),
            ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
            ("a =?= b", "a =?= b"),
            ("=?utf-8?q?a=ZZ?=", "a=ZZ"),
            // A line's end that is hidden in a word stays none.
            ("=?utf-8?q?a=0D=0ABcc:_b?=", "aBcc: b"),
            ("=?utf-8?q?a=00b?=", "a b"),
        ] {
            assert_eq!(decoded(value), text, "{value:?}");
        }
    }

    #[test]
    fn beginnings_of_words_are_looked_at_once() {
        for piece in ["=?", "=?a", "=?a?q?", "=?a?b?=", "=?a?q?b?= "] {
            let value = piece.repeat(20_000);
            assert!(decoded(&value).len() <= value.len());
            transcode(value.as_bytes(), &Charsets::built_in(), None);
        }
    }
}
