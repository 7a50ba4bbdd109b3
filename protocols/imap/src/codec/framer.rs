//! Framing: a stream of bytes becomes responses and literals (RFC 9051, section 2.2).
//!
//! A response is a line, unless a literal stands in it: then the line ends with the literal's size,
//! the literal follows, and the response goes on in the next line. A literal may be larger than
//! memory, so that it need not be kept with its response: whoever wants it takes it piece by piece.

use bytes::Bytes;
use memchr::memchr;

use super::limits::{Limit, Limits};

/// A buffer that grew beyond this is let go when its response is complete.
const KEPT_CAPACITY: usize = 64 * 1024;

/// A piece of what a server sends.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// A whole response, with the literals that were kept in it; [`ResponseParser`](super::ResponseParser) reads it.
    Response(Bytes),
    /// A literal of this size begins; [`Framer::head`] is the response up to it. Unless
    /// [`Framer::stream`] is called now, it is kept where the limits allow, and left out where they
    /// don't.
    Literal(u64),
    /// A piece of a literal that is streamed.
    Piece(&'a [u8]),
    /// A literal that is streamed is at its end; its response goes on.
    LiteralEnd,
}

/// Splits a stream into responses and literals. It reads each byte once, wherever the stream is cut.
///
/// ```
/// use jackfield_imap::codec::{Frame, Framer, Limits};
///
/// let mut framer = Framer::new(Limits::default());
/// let mut input: &[u8] = b"* 1 FETCH (BODY[] {5}\r\nhello)\r\n";
/// assert_eq!(framer.next(&mut input)?, Some(Frame::Literal(5)));
/// framer.stream();
/// assert_eq!(framer.next(&mut input)?, Some(Frame::Piece(b"hello")));
/// assert_eq!(framer.next(&mut input)?, Some(Frame::LiteralEnd));
/// assert!(matches!(framer.next(&mut input)?, Some(Frame::Response(_))));
/// assert_eq!(framer.next(&mut input)?, None);
/// # Ok::<(), jackfield_imap::codec::Limit>(())
/// ```
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// The response so far. A literal in it stands behind its size as on the wire; one that is not
    /// kept has a size with a minus.
    kept: Vec<u8>,
    /// Where in it the current line begins.
    line: usize,
    /// How many bytes of it are literals.
    literals: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Line,
    /// A literal of this size was announced, and what becomes of it not decided.
    Announced(u64),
    Literal {
        left: u64,
        fate: Fate,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Stream,
    Skip,
}

impl Framer {
    /// At the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Vec::new(),
            line: 0,
            literals: 0,
            state: State::Line,
        }
    }

    /// Takes from the front of the input up to the next frame; `None` when it needs more.
    ///
    /// # Errors
    /// [`Limit::Line`]: what comes behind can't be told apart any more.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Limit> {
        loop {
            match self.state {
                State::Line => match self.line(input)? {
                    Line::Incomplete => return Ok(None),
                    Line::Announces(size) => {
                        self.state = State::Announced(size);
                        return Ok(Some(Frame::Literal(size)));
                    }
                    Line::Ends(response) => return Ok(Some(Frame::Response(response))),
                    Line::Empty => {}
                },
                State::Announced(size) => {
                    let fits = |limit: usize| size <= limit as u64;
                    let left = self.limits.max_literals.saturating_sub(self.literals);
                    if fits(self.limits.max_literal) && fits(left) {
                        self.begin(size, Fate::Keep);
                    } else {
                        self.begin(size, Fate::Skip);
                    }
                }
                State::Literal { left: 0, fate } => {
                    self.line = self.kept.len();
                    self.state = State::Line;
                    if fate == Fate::Stream {
                        return Ok(Some(Frame::LiteralEnd));
                    }
                }
                State::Literal { left, fate } => {
                    let count =
                        usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                    if count == 0 {
                        return Ok(None);
                    }
                    let (piece, rest) = input.split_at(count);
                    *input = rest;
                    let left = left - count as u64;
                    self.state = State::Literal { left, fate };
                    match fate {
                        Fate::Keep => {
                            self.kept.extend_from_slice(piece);
                            self.literals += count;
                        }
                        Fate::Stream => return Ok(Some(Frame::Piece(piece))),
                        Fate::Skip => {}
                    }
                }
            }
        }
    }

    /// The response so far: up to the literal, where one was just announced.
    pub fn head(&self) -> &[u8] {
        &self.kept
    }

    /// Has the literal that was just announced given in pieces, and not kept.
    pub fn stream(&mut self) {
        if let State::Announced(size) = self.state {
            self.begin(size, Fate::Stream);
        }
    }

    /// Whether the stream may end here: no response has begun.
    pub fn is_between(&self) -> bool {
        self.kept.is_empty() && matches!(self.state, State::Line)
    }

    fn begin(&mut self, size: u64, fate: Fate) {
        let sign: &[u8] = if fate == Fate::Keep { b"{" } else { b"{-" };
        self.kept.extend_from_slice(sign);
        let mut digits = [0; 20];
        self.kept.extend_from_slice(decimal(size, &mut digits));
        self.kept.extend_from_slice(b"}\r\n");
        self.state = State::Literal { left: size, fate };
    }

    fn line(&mut self, input: &mut &[u8]) -> Result<Line, Limit> {
        if self.kept.is_empty() {
            // Some servers send NULs before a line, or an empty one.
            let skipped = input
                .iter()
                .take_while(|byte| matches!(byte, 0 | b'\r' | b'\n'));
            *input = &input[skipped.count()..];
        }
        let end = memchr(b'\n', input);
        let piece = &input[..end.unwrap_or(input.len())];
        if self.kept.len() - self.literals + piece.len() > self.limits.max_line {
            return Err(Limit::Line);
        }
        *input = input.get(piece.len() + 1..).unwrap_or_default();
        if end.is_none() {
            self.kept.extend_from_slice(piece);
            return Ok(Line::Incomplete);
        }
        if self.kept.is_empty() {
            let line = without_cr(piece);
            if announced(line, true).is_none() {
                return Ok(Line::Ends(Bytes::copy_from_slice(line)));
            }
        }
        self.kept.extend_from_slice(piece);
        if self.kept.len() > self.line && self.kept.last() == Some(&b'\r') {
            self.kept.pop();
        }
        if let Some((size, length)) = announced(&self.kept[self.line..], self.line == 0) {
            self.kept.truncate(self.kept.len() - length);
            return Ok(Line::Announces(size));
        }
        let response = if self.kept.len() > KEPT_CAPACITY {
            self.kept.shrink_to_fit();
            Bytes::from(std::mem::take(&mut self.kept))
        } else {
            let response = Bytes::copy_from_slice(&self.kept);
            self.kept.clear();
            response
        };
        self.kept.shrink_to(KEPT_CAPACITY);
        (self.line, self.literals) = (0, 0);
        if response.is_empty() {
            return Ok(Line::Empty);
        }
        Ok(Line::Ends(response))
    }
}

enum Line {
    Incomplete,
    Announces(u64),
    Ends(Bytes),
    Empty,
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The size of the literal that a line announces at its end, and how long the announcement is.
fn announced(line: &[u8], is_first: bool) -> Option<(u64, usize)> {
    let rest = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', rest)?;
    let digits = rest.get(open + 1..)?;
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    let size = number(digits)?;
    // No response begins with one.
    if is_first && (open == 0 || is_words(line)) {
        return None;
    }
    Some((size, line.len() - open))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number: u64 = 0;
    for digit in digits {
        number = number * 10 + u64::from(char::from(*digit).to_digit(10)?);
    }
    Some(number)
}

/// Whether a line ends with words for people, in which braces are braces.
fn is_words(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let is_status = |word: &[u8]| {
        ["OK", "NO", "BAD", "BYE", "PREAUTH"]
            .iter()
            .any(|status| word.eq_ignore_ascii_case(status.as_bytes()))
    };
    first == b"+" || second.is_some_and(is_status)
}

/// A number's digits.
pub(super) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responses(limits: Limits, input: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Limit> {
        let mut framer = Framer::new(limits);
        let mut found = Vec::new();
        for mut input in input.chunks(piece) {
            while let Some(frame) = framer.next(&mut input)? {
                if let Frame::Response(response) = frame {
                    found.push(response.to_vec());
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn literals_are_part_of_their_response() {
        let input = b"\0* A {3}\r\n\r\nx B ~{0}\r\n C\r\n\r\nt OK see {4}\r\n";
        for piece in 1..input.len() {
            let found = responses(Limits::default(), input, piece).expect("within limits");
            let expected: [&[u8]; 2] = [b"* A {3}\r\n\r\nx B ~{0}\r\n C", b"t OK see {4}"];
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_too_large_is_left_out() {
        let limits = Limits {
            max_literal: 2,
            ..Limits::default()
        };
        let found = responses(limits, b"* A {3}\r\nabc {2}\r\nde\r\n", 1).expect("short");
        assert_eq!(found, [b"* A {-3}\r\n {2}\r\nde"]);
        let limits = Limits {
            max_line: 8,
            ..Limits::default()
        };
        for piece in 1..12 {
            assert_eq!(responses(limits, b"* 1234567\r\n", piece), Err(Limit::Line));
        }
    }
}
