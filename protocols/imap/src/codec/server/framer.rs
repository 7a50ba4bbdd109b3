//! Framing of requests: a client's bytes become lines, with the literals that stand in them.

use bytes::Bytes;
use memchr::memchr;

use super::super::limits::Limit;

/// A buffer that grew beyond this is let go when its request is complete.
const KEPT_CAPACITY: usize = 16 * 1024;

/// A piece of what a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has no third")]
pub enum RequestFrame {
    /// A whole request, without its last line's end.
    Request(Bytes),
    /// A literal was announced; [`RequestFramer::head`] is the request up to it. Nothing goes on until
    /// [`RequestFramer::keep`] or [`RequestFramer::refuse`] is called.
    Literal {
        /// How many bytes it has.
        size: u64,
        /// Whether the client waits for `+`, or for the refusal (RFC 7888).
        waits: bool,
    },
}

/// Splits a client's stream into requests, the same wherever it is cut.
#[derive(Debug)]
pub struct RequestFramer {
    max_line: usize,
    /// The request so far. A literal in it stands behind its size as on the wire.
    kept: Vec<u8>,
    /// Where in it the current line begins.
    line: usize,
    /// How many bytes of it are literals.
    literals: usize,
    state: State,
    /// The rest of the request is read and told nobody, since a literal of it was refused.
    is_refused: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Line,
    Announced { size: u64, waits: bool },
    Literal { left: u64 },
}

impl RequestFramer {
    /// At the beginning of a stream, with the longest request in bytes, its literals not counted.
    pub fn new(max_line: usize) -> Self {
        Self {
            max_line,
            kept: Vec::new(),
            line: 0,
            literals: 0,
            state: State::Line,
            is_refused: false,
        }
    }

    /// Takes from the front of the input up to the next frame; `None` when it needs more, or what
    /// becomes of a literal is not decided.
    ///
    /// # Errors
    /// [`Limit::Line`]: what comes behind can't be told apart any more.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<RequestFrame>, Limit> {
        loop {
            match self.state {
                State::Announced { .. } => return Ok(None),
                State::Literal { left: 0 } => {
                    self.line = self.kept.len();
                    self.state = State::Line;
                }
                State::Literal { left } => {
                    let count =
                        usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                    if count == 0 {
                        return Ok(None);
                    }
                    let (piece, rest) = input.split_at(count);
                    *input = rest;
                    if !self.is_refused {
                        self.kept.extend_from_slice(piece);
                        self.literals += count;
                    }
                    self.state = State::Literal {
                        left: left - count as u64,
                    };
                }
                State::Line => {
                    if !self.take_line(input)? {
                        return Ok(None);
                    }
                    if let Some((size, waits)) = announced(&self.kept[self.line..]) {
                        self.state = State::Announced { size, waits };
                        if self.is_refused {
                            self.refuse();
                            continue;
                        }
                        return Ok(Some(RequestFrame::Literal { size, waits }));
                    }
                    let request = self.finish();
                    if !request.is_empty() {
                        return Ok(Some(RequestFrame::Request(request)));
                    }
                }
            }
        }
    }

    /// Takes one line that is no request, such as a step of AUTHENTICATE or the end of IDLE, without
    /// its end; it may be empty. `None` when it needs more. Only between requests.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_line(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, Limit> {
        Ok(self.take_line(input)?.then(|| self.finish()))
    }

    /// The request so far: up to the literal, where one was just announced.
    pub fn head(&self) -> &[u8] {
        &self.kept
    }

    /// Has the literal that was just announced kept with its request.
    pub fn keep(&mut self) {
        if let State::Announced { size, waits } = self.state {
            if !waits {
                // The grammar knows but one way to say a size.
                self.kept.truncate(self.kept.len() - "+}".len());
                self.kept.push(b'}');
            }
            self.kept.extend_from_slice(b"\r\n");
            self.state = State::Literal { left: size };
        }
    }

    /// Gives up the request whose literal was just announced. A client that doesn't wait sends it all the
    /// same: it is read, and forgotten.
    pub fn refuse(&mut self) {
        if let State::Announced { size, waits } = self.state {
            self.forget();
            self.is_refused = !waits;
            self.state = if waits {
                State::Line
            } else {
                State::Literal { left: size }
            };
        }
    }

    /// Whether the stream may end here: no request has begun.
    pub fn is_between(&self) -> bool {
        self.kept.is_empty() && !self.is_refused && matches!(self.state, State::Line)
    }

    /// Whether a line is complete now; its end is taken off.
    fn take_line(&mut self, input: &mut &[u8]) -> Result<bool, Limit> {
        let end = memchr(b'\n', input);
        let piece = &input[..end.unwrap_or(input.len())];
        if self.kept.len() - self.literals + piece.len() > self.max_line {
            return Err(Limit::Line);
        }
        *input = input.get(piece.len() + 1..).unwrap_or_default();
        self.kept.extend_from_slice(piece);
        if end.is_some() && self.kept.len() > self.line && self.kept.last() == Some(&b'\r') {
            self.kept.pop();
        }
        Ok(end.is_some())
    }

    /// The request that is complete; empty where it was refused.
    fn finish(&mut self) -> Bytes {
        let request = if self.is_refused {
            Bytes::new()
        } else if self.kept.len() > KEPT_CAPACITY {
            // A message may be in it, which is not copied then.
            Bytes::from(std::mem::take(&mut self.kept))
        } else {
            Bytes::copy_from_slice(&self.kept)
        };
        self.forget();
        self.is_refused = false;
        request
    }

    fn forget(&mut self) {
        self.kept.clear();
        (self.line, self.literals) = (0, 0);
    }
}

/// The literal that a line announces at its end: its size, and whether the client waits.
fn announced(line: &[u8]) -> Option<(u64, bool)> {
    let rest = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', rest)?;
    let digits = rest.get(open + 1..)?;
    let (digits, waits) = match digits.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (digits, true),
    };
    let is_number = !digits.is_empty() && digits.len() <= 18;
    if !is_number || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| number * 10 + u64::from(digit - b'0');
    Some((digits.iter().fold(0, add), waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what has up to 10 bytes.
    fn frames(data: &[u8], piece: usize) -> (Vec<String>, Option<Limit>) {
        let mut framer = RequestFramer::new(40);
        let mut told = Vec::new();
        for mut input in data.chunks(piece) {
            loop {
                match framer.next(&mut input) {
                    Ok(Some(RequestFrame::Request(bytes))) => {
                        told.push(String::from_utf8_lossy(&bytes).into_owned());
                    }
                    Ok(Some(RequestFrame::Literal { size, waits })) => {
                        told.push(format!("{size} {waits}"));
                        if size <= 10 {
                            framer.keep();
                        } else {
                            framer.refuse();
                        }
                    }
                    Ok(None) => break,
                    Err(limit) => return (told, Some(limit)),
                }
            }
        }
        (told, None)
    }

    #[test]
    fn requests_are_the_same_wherever_they_are_cut() {
        for (data, expected) in [
            ("a NOOP\r\nb NOOP\n", &["a NOOP", "b NOOP"][..]),
            (
                "a X {3}\r\nb\r\n {2+}\r\ncd e\r\nf Y\r\n",
                &["3 true", "2 false", "a X {3}\r\nb\r\n {2}\r\ncd e", "f Y"],
            ),
            // The client that waits never sends it, the other one does.
            ("a X {11}\r\nb Y\r\n", &["11 true", "b Y"]),
            (
                "a X {12+}\r\n\r\na LOGOUT\r\n {3}\r\nabc z\r\nb Y\r\n",
                &["12 false", "abc z", "b Y"],
            ),
            ("\r\n\r\na X\r\n", &["a X"]),
            ("a X {x}\r\n{}\r\n", &["a X {x}", "{}"]),
        ] {
            let whole = frames(data.as_bytes(), data.len());
            assert_eq!(whole.0, expected, "{data:?}");
            for piece in [1, 2, 3] {
                assert_eq!(frames(data.as_bytes(), piece), whole, "{data:?}");
            }
        }
        assert_eq!(frames(&[b'a'; 41], 1).1, Some(Limit::Line));
    }

    #[test]
    fn a_line_that_is_no_request_may_be_empty() {
        let mut framer = RequestFramer::new(40);
        let mut input: &[u8] = b"\r\nDO";
        assert_eq!(framer.next_line(&mut input), Ok(Some(Bytes::new())));
        assert_eq!(framer.next_line(&mut input), Ok(None));
        let mut input: &[u8] = b"NE\r\n";
        let line = framer.next_line(&mut input).expect("it is short");
        assert_eq!(line.as_deref(), Some(&b"DONE"[..]));
        assert!(framer.is_between());
    }
}
