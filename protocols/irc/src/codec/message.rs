//! Messages: borrowed as they are read, and owned.

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while};
use nom::combinator::{eof, opt, peek};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::{Command, MAX_TAGS, MessageBuilder, SourceRef, TagsRef};

/// A message that borrows the line which it was read from.
///
/// Two are equal when they mean the same, however many spaces stand between their parts.
#[derive(Clone, Copy)]
pub struct MessageRef<'a> {
    tags: &'a str,
    source: &'a str,
    command: Command<'a>,
    /// All parameters, as received, with the spaces in front.
    params: &'a str,
}

/// A message: a checked line without CR LF. [`view`](Self::view) gives its parts.
///
/// ```
/// use jackfield_irc::codec::{Command, Message, Nickname, Text, Word};
///
/// let message = Message::builder(Command::Kick)
///     .word(&Word::new("#rust")?)
///     .word(&Nickname::new("mallory")?)
///     .text(&Text::new("spam")?);
/// assert_eq!(message.to_bytes(), b"KICK #rust mallory :spam\r\n");
/// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
/// ```
#[derive(Clone)]
pub struct Message {
    line: String,
    /// How long its parts are, so that [`view`](Self::view) need not look for them.
    tags: usize,
    source: usize,
    command: usize,
}

/// A message's parameters, in order.
#[derive(Clone, Debug)]
pub struct Params<'a>(&'a str);

impl<'a> MessageRef<'a> {
    /// Takes a line apart, without its CR LF.
    ///
    /// Several spaces count as one, as in RFC 1459, and there may be more than 15 parameters: the
    /// line's length is the limit.
    ///
    /// # Errors
    /// Where the line has no command, holds CR, LF or NUL, or more than [`MAX_TAGS`] bytes of tags.
    pub fn parse(line: &'a str) -> Result<Self, ParseError> {
        if let Some(at) = memchr::memchr3(0, b'\r', b'\n', line.as_bytes()) {
            let problem = Problem::Character;
            return Err(ParseError { at, problem });
        }
        let message = Self::split(line)?;
        if message.tags.len() + "@ ".len() > MAX_TAGS {
            let problem = Problem::Tags;
            return Err(ParseError { at: 0, problem });
        }
        Ok(message)
    }

    /// Takes apart a line whose characters and length are another's concern.
    fn split(line: &'a str) -> Result<Self, ParseError> {
        let error = |at| ParseError {
            at,
            problem: Problem::Command,
        };
        let Ok((rest, (tags, source))) = (opt(tags), opt(source)).parse(line) else {
            return Err(error(0));
        };
        let Ok((params, command)) = command(rest) else {
            return Err(error(line.len() - rest.len()));
        };
        Ok(Self {
            tags: tags.unwrap_or_default(),
            source: source.unwrap_or_default(),
            command,
            params,
        })
    }

    /// The tags.
    pub fn tags(&self) -> TagsRef<'a> {
        TagsRef::new(self.tags)
    }

    /// Who it is from; `None` where the one at the other end of the connection is meant.
    pub fn source(&self) -> Option<SourceRef<'a>> {
        (!self.source.is_empty()).then(|| SourceRef::parse(self.source))
    }

    /// The source as received, without `:`; empty where there is none.
    pub fn source_str(&self) -> &'a str {
        self.source
    }

    /// What it says to do.
    pub fn command(&self) -> Command<'a> {
        self.command
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        Params(self.params)
    }

    /// An owned copy.
    pub fn to_message(&self) -> Message {
        Message {
            line: self.to_line(),
            tags: self.tags.len(),
            source: self.source.len(),
            command: self.command.len(),
        }
    }

    /// The message as one line, without CR LF, and with one space between its parts.
    fn to_line(self) -> String {
        // Exact for a line that has its spaces as this writes them.
        let around = if self.tags.is_empty() { 0 } else { "@ ".len() }
            + if self.source.is_empty() {
                0
            } else {
                ": ".len()
            };
        let parts = self.tags.len() + self.source.len() + self.command.len() + self.params.len();
        let mut line = String::with_capacity(parts + around);
        if !self.tags.is_empty() {
            line.push('@');
            line.push_str(self.tags);
            line.push(' ');
        }
        if !self.source.is_empty() {
            line.push(':');
            line.push_str(self.source);
            line.push(' ');
        }
        self.command.push_to(&mut line);
        let mut params = self.params();
        while let Some(param) = params.next() {
            let is_last = params.0.is_empty() || params.0.bytes().all(|byte| byte == b' ');
            let needs_colon =
                is_last && (param.is_empty() || param.starts_with(':') || param.contains(' '));
            line.push_str(if needs_colon { " :" } else { " " });
            line.push_str(param);
        }
        line
    }
}

impl<'a> Params<'a> {
    /// The first `N`; those that are missing are empty.
    pub fn first<const N: usize>(mut self) -> [&'a str; N] {
        std::array::from_fn(|_| self.next().unwrap_or_default())
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        if let Some(last) = rest.strip_prefix(':') {
            self.0 = "";
            return Some(last);
        }
        let (word, rest) = split_at_space(rest);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

impl std::iter::FusedIterator for Params<'_> {}

impl Message {
    /// Begins a message.
    pub fn builder(command: Command<'_>) -> MessageBuilder {
        MessageBuilder::new(command)
    }

    /// Takes a line, without its CR LF.
    ///
    /// # Errors
    /// As [`MessageRef::parse`].
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        MessageRef::parse(line).map(|message| message.to_message())
    }

    /// Takes a line that the builder made.
    pub(super) fn of_checked_parts(line: String) -> Self {
        let Ok(parts) = MessageRef::split(&line) else {
            unreachable!("the builder begins each message with a command");
        };
        Self {
            tags: parts.tags.len(),
            source: parts.source.len(),
            command: parts.command.len(),
            line,
        }
    }

    /// Its parts.
    pub fn view(&self) -> MessageRef<'_> {
        let (tags, rest) = split_framed(&self.line, self.tags);
        let (source, rest) = split_framed(rest, self.source);
        let (command, params) = rest.split_at_checked(self.command).unwrap_or((rest, ""));
        let Some(command) = Command::parse(command) else {
            unreachable!("a message is made of one that has a command");
        };
        MessageRef {
            tags,
            source,
            command,
            params,
        }
    }

    /// The line, without CR LF.
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// How many bytes it has without tags and CR LF: what servers limit.
    pub fn length_without_tags(&self) -> usize {
        let framed = match self.tags {
            0 => 0,
            tags => tags + "@ ".len(),
        };
        self.line.len() - framed
    }

    /// The same message, to add tags to.
    pub(crate) fn into_builder(self) -> MessageBuilder {
        let tags = self.view().tags;
        let body = if tags.is_empty() {
            &*self.line
        } else {
            self.line.split_once(' ').map_or("", |(_, body)| body)
        };
        MessageBuilder::from_parts(tags, body)
    }

    /// The line with its CR LF, as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.line.len() + 2);
        self.write_to(&mut bytes);
        bytes
    }

    /// Appends the line with its CR LF.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// As one line, without CR LF, and with one space between its parts.
impl fmt::Display for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_line())
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("tags", &self.tags())
            .field("source", &self.source)
            .field("command", &self.command)
            .field("params", &self.params().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl PartialEq for MessageRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.tags() == other.tags()
            && self.source == other.source
            && self.command == other.command
            && self.params().eq(other.params())
    }
}

impl Eq for MessageRef<'_> {}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Message {}

/// A line that is no message: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    at: usize,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Character,
    Tags,
    Command,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Character => write!(f, "CR, LF or NUL within a line, at byte {}", self.at),
            Problem::Tags => write!(f, "more than {MAX_TAGS} bytes of tags"),
            Problem::Command => write!(f, "no command at byte {}", self.at),
        }
    }
}

impl std::error::Error for ParseError {}

/// Takes tags or a source of this length, and what stands around it, from the front of a line.
fn split_framed(line: &str, length: usize) -> (&str, &str) {
    if length == 0 {
        return ("", line);
    }
    let part = line.get(1..=length).unwrap_or_default();
    (part, line.get(length + "@ ".len()..).unwrap_or_default())
}

fn tags(input: &str) -> IResult<&str, &str> {
    terminated(preceded(tag("@"), until_space), spaces).parse(input)
}

fn source(input: &str) -> IResult<&str, &str> {
    terminated(preceded(tag(":"), until_space), spaces).parse(input)
}

fn command(input: &str) -> IResult<&str, Command<'_>> {
    terminated(
        until_space.map_opt(Command::parse),
        peek(alt((tag(" "), eof))),
    )
    .parse(input)
}

#[expect(clippy::unnecessary_wraps, reason = "a nom parser's signature")]
fn until_space(input: &str) -> IResult<&str, &str> {
    let (word, rest) = split_at_space(input);
    Ok((rest, word))
}

fn spaces(input: &str) -> IResult<&str, &str> {
    take_while(|character| character == ' ').parse(input)
}

fn split_at_space(input: &str) -> (&str, &str) {
    match memchr::memchr(b' ', input.as_bytes()) {
        Some(end) => input.split_at(end),
        None => (input, ""),
    }
}
