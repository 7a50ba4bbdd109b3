//! Lines: bytes are cut into them, and they are read as text.

use std::borrow::Cow;
use std::fmt;

/// The longest tag section that a server may send, in bytes, `@` and space counted (IRCv3
/// message-tags).
pub const MAX_TAGS: usize = 8191;
/// The longest message without tags, in bytes, CR LF counted (RFC 2812, section 2.3), unless the
/// server's `LINELEN` allows more.
pub const MAX_MESSAGE: usize = 512;
/// The longest line: tags, message, CR LF.
pub const MAX_LINE: usize = MAX_TAGS + MAX_MESSAGE;

/// Cuts what arrives into lines, in whatever pieces it arrives, and keeps no more than one
/// unfinished line of at most `limit` bytes.
///
/// A line ends with LF; a CR in front of it is no part of it. Empty lines are skipped (RFC 2812,
/// section 2.3.1).
///
/// ```
/// use jackfield_irc::codec::LineBuffer;
///
/// let mut lines = LineBuffer::default();
/// let mut input: &[u8] = b"PING :a\r\nPI";
/// assert_eq!(lines.next_line(&mut input), Some(Ok(&b"PING :a"[..])));
/// assert_eq!(lines.next_line(&mut input), None); // the beginning is kept
/// let mut input: &[u8] = b"NG :b\r\n";
/// assert_eq!(lines.next_line(&mut input), Some(Ok(&b"PING :b"[..])));
/// ```
#[derive(Debug)]
pub struct LineBuffer {
    limit: usize,
    partial: Vec<u8>,
    /// The line in `partial` was handed out, and goes with the next call.
    handed_out: bool,
    /// The rest of a line that was too long is still arriving.
    skipping: bool,
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new(MAX_LINE)
    }
}

impl LineBuffer {
    /// A buffer for lines of at most `limit` bytes, CR LF counted.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            handed_out: false,
            skipping: false,
        }
    }

    /// Changes the limit, from the next line on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether the beginning of a line is waiting for its end.
    pub fn is_partial(&self) -> bool {
        self.skipping || (!self.handed_out && !self.partial.is_empty())
    }

    /// The next line, without its end. Takes from `input` what it used; `None` when it has used all
    /// of it.
    ///
    /// # Errors
    /// A line beyond the limit is reported once and skipped; what follows it is read as usual.
    pub fn next_line<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input [u8],
    ) -> Option<Result<&'a [u8], LineTooLong>> {
        if self.handed_out {
            self.partial.clear();
            self.handed_out = false;
        }
        loop {
            let Some(end) = memchr::memchr(b'\n', input) else {
                return self.keep(std::mem::take(input)).map(Err);
            };
            let (line, rest) = input.split_at(end + 1);
            *input = rest;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.partial.len() + line.len() > self.limit {
                self.partial.clear();
                return Some(Err(LineTooLong { limit: self.limit }));
            }
            if self.partial.is_empty() {
                let line = trim_end(line);
                if !line.is_empty() {
                    return Some(Ok(line));
                }
            } else {
                self.partial.extend_from_slice(line);
                if trim_end(&self.partial).is_empty() {
                    self.partial.clear();
                    continue;
                }
                self.handed_out = true;
                return Some(Ok(trim_end(&self.partial)));
            }
        }
    }

    /// Keeps the beginning of a line, or begins to skip it.
    fn keep(&mut self, beginning: &[u8]) -> Option<LineTooLong> {
        if self.skipping || beginning.is_empty() {
            return None;
        }
        if self.partial.len() + beginning.len() >= self.limit {
            self.partial = Vec::new();
            self.skipping = true;
            return Some(LineTooLong { limit: self.limit });
        }
        self.partial.extend_from_slice(beginning);
        None
    }
}

/// A line was longer than the limit, and was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong {
    limit: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a line is longer than {} bytes", self.limit)
    }
}

impl std::error::Error for LineTooLong {}

/// A line as text. Bytes that are not UTF-8 become U+FFFD: IRC names no encoding, and a client has
/// to show something.
pub fn decode(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let end = line
        .iter()
        .rposition(|byte| *byte != b'\r')
        .map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines, with the input in pieces of this size.
    fn lines(input: &[u8], piece: usize, limit: usize) -> Vec<Result<Vec<u8>, LineTooLong>> {
        let mut buffer = LineBuffer::new(limit);
        let mut found = Vec::new();
        for mut piece in input.chunks(piece) {
            while let Some(line) = buffer.next_line(&mut piece) {
                found.push(line.map(<[u8]>::to_vec));
            }
            assert!(buffer.partial.len() <= limit);
        }
        found
    }

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let input = b"one\r\n\r\n\ntwo\nthree\r\r\n\r\nfour\r\n";
        let expected: Vec<_> = ["one", "two", "three", "four"]
            .map(|line| Ok(line.as_bytes().to_vec()))
            .into();
        for piece in 1..=input.len() {
            assert_eq!(lines(input, piece, 64), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_reported_once_and_skipped() {
        let input = b"fits\r\nthis one is too long\r\nfits\r\n";
        let too_long = Err(LineTooLong { limit: 10 });
        for piece in 1..=input.len() {
            assert_eq!(
                lines(input, piece, 10),
                [Ok(b"fits".to_vec()), too_long.clone(), Ok(b"fits".to_vec())],
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_fits() {
        for piece in 1..=10 {
            assert_eq!(lines(b"12345678\r\n", piece, 10).len(), 1);
            assert_eq!(
                lines(b"12345678\r\n", piece, 10)[0],
                Ok(b"12345678".to_vec())
            );
        }
    }

    #[test]
    fn what_is_not_utf8_is_shown_as_replaced() {
        assert_eq!(decode(b"caf\xe9"), "caf\u{fffd}");
        assert!(matches!(decode("café".as_bytes()), Cow::Borrowed("café")));
    }
}
