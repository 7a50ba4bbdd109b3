//! Replies (RFC 5321, section 4.2), with their enhanced status codes (RFC 2034 and 3463).

use std::fmt;
use std::sync::Arc;

use memchr::memchr;

/// What a server says to a command: a code, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: Arc<str>,
}

/// What the first digit of a reply says (RFC 5321, section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are four digits")]
pub enum Severity {
    /// 2: done.
    Positive,
    /// 3: go on.
    Intermediate,
    /// 4: not now. The same may be taken later.
    Temporary,
    /// 5: no.
    Permanent,
}

impl Reply {
    /// A reply of one's own making, for tests and servers.
    #[cfg(any(test, feature = "oracle"))]
    pub fn new(code: u16, text: &str) -> Self {
        Self {
            code,
            enhanced: None,
            text: text.into(),
        }
    }

    /// The three digits, from 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code, where the server gave one.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// What the first digit says.
    pub fn severity(&self) -> Severity {
        match self.code / 100 {
            2 => Severity::Positive,
            3 => Severity::Intermediate,
            4 => Severity::Temporary,
            _ => Severity::Permanent,
        }
    }

    /// Whether it says yes.
    pub fn is_positive(&self) -> bool {
        self.severity() == Severity::Positive
    }

    /// Whether it says "not now". Some servers say "no" of what is only so for now.
    pub fn is_temporary(&self) -> bool {
        self.severity() == Severity::Temporary
    }

    /// The text, without codes and control characters, its lines separated by LF. It comes from the
    /// server, or from whoever sits between.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of the text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines().filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// An enhanced status code, such as `5.1.1` (RFC 3463): a class, which the reply's first digit
/// repeats, a subject and a detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "RFC 3463 has three numbers")]
pub struct EnhancedCode {
    /// 2, 4 or 5: yes, not now, no.
    pub class: u8,
    /// What it is about: 1 addresses, 2 mailboxes, 3 mail systems, 4 networks, 5 the protocol, 6
    /// content, 7 policy; 0 for something else.
    pub subject: u16,
    /// What precisely.
    pub detail: u16,
}

impl EnhancedCode {
    /// The code at the beginning of a text of a reply with this code, and what stands behind it.
    fn split(text: &str, code: u16) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut numbers = word.split('.');
        let mut number = |longest| {
            let digits = numbers.next()?;
            let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
            (is_number && digits.len() <= longest).then(|| digits.parse::<u16>().ok())?
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        if numbers.next().is_some() || class != code / 100 || class == 3 {
            return None;
        }
        let class = class as u8;
        let enhanced = Self {
            class,
            subject,
            detail,
        };
        Some((enhanced, rest))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// How long a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyLimits {
    /// The longest line, in bytes, its end included. RFC 5321, section 4.5.3.1.5, has 512, which
    /// servers exceed. Default: 4,096.
    pub max_line: usize,
    /// How many lines a reply may have. Default: 200.
    pub max_lines: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            max_line: 4096,
            max_lines: 200,
        }
    }
}

/// What is wrong with a reply. Nothing that comes after it can be matched to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyFault {
    /// A line is longer than [`ReplyLimits::max_line`].
    LineTooLong,
    /// It has more lines than [`ReplyLimits::max_lines`].
    TooManyLines,
    /// A line does not begin with a code and a space or hyphen.
    NoCode,
    /// Its lines have different codes.
    OtherCode,
    /// A line ends without CR: what one side takes for the end of a reply, the other may not.
    BareLineFeed,
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "a line is too long (max_line)",
            Self::TooManyLines => "it has too many lines (max_lines)",
            Self::NoCode => "a line does not begin with a code",
            Self::OtherCode => "its lines have different codes",
            Self::BareLineFeed => "a line ends without a carriage return",
        })
    }
}

/// Takes what a server sends apart into replies, in whichever pieces it comes.
///
/// ```
/// use jackfield_smtp::codec::Replies;
///
/// let mut replies = Replies::default();
/// let mut bytes = &b"250-mail.example.org\r\n250 SIZE 1000000\r\n550 5.1.1 wh"[..];
/// let reply = replies.next(&mut bytes).expect("a whole reply")?;
/// assert_eq!(reply.code(), 250);
/// assert!(reply.lines().eq(["mail.example.org", "SIZE 1000000"]));
/// assert!(replies.next(&mut bytes).is_none());
/// # Ok::<(), jackfield_smtp::codec::ReplyFault>(())
/// ```
#[derive(Debug, Default)]
pub struct Replies {
    limits: ReplyLimits,
    /// The line that has begun.
    line: Vec<u8>,
    /// The reply that has begun: its code, that of its first line's text, and its text.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: String,
    lines: usize,
}

impl Replies {
    /// Replies within these limits.
    pub fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The next reply that is whole, if there is one; what belongs to it is taken from the front of
    /// `bytes`, and what is left over is kept for the next call.
    ///
    /// # Errors
    /// Any [`ReplyFault`].
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Result<Reply, ReplyFault>> {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            if self.line.len() + piece.len() > self.limits.max_line {
                return Some(Err(ReplyFault::LineTooLong));
            }
            self.line.extend_from_slice(piece);
            *bytes = rest;
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                let taken = self.take(&line);
                // Its room is used again.
                self.line = line;
                self.line.clear();
                if let Some(reply) = taken.transpose() {
                    return Some(reply);
                }
            }
        }
        None
    }

    /// Whether a reply has begun and not ended.
    pub fn is_in_reply(&self) -> bool {
        self.begun.is_some() || !self.line.is_empty()
    }

    /// Takes a line with its end; gives the reply that it ends.
    fn take(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyFault> {
        let line = line.strip_suffix(b"\r\n").ok_or(ReplyFault::BareLineFeed)?;
        let (code, is_last, text) = split(line).ok_or(ReplyFault::NoCode)?;
        let begun = self.begun.get_or_insert_with(|| Begun {
            code,
            enhanced: None,
            text: String::new(),
            lines: 0,
        });
        if begun.code != code {
            return Err(ReplyFault::OtherCode);
        }
        begun.lines += 1;
        if begun.lines > self.limits.max_lines {
            return Err(ReplyFault::TooManyLines);
        }
        let text = String::from_utf8_lossy(text);
        let mut text = text.trim();
        if let Some((enhanced, rest)) = EnhancedCode::split(text, code) {
            if begun.lines == 1 {
                begun.enhanced = Some(enhanced);
            }
            if begun.enhanced == Some(enhanced) {
                text = rest;
            }
        }
        if begun.lines > 1 {
            begun.text.push('\n');
        }
        // Nothing of it steers the terminal that it is shown on.
        begun.text.extend(text.chars().filter(|c| !c.is_control()));
        if !is_last {
            return Ok(None);
        }
        Ok(self.begun.take().map(|begun| Reply {
            code: begun.code,
            enhanced: begun.enhanced,
            text: begun.text.into(),
        }))
    }
}

/// A line's code, whether it is the last of its reply, and its text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    if !matches!(code[0], b'2'..=b'5') || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = code
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        // A code alone is a reply, too (section 4.2).
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}
