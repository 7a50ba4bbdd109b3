//! The server's side of the codec: lines become [`Request`]s, and content what was sent.
//!
//! ```
//! use jackfield_smtp::codec::server::Request;
//!
//! let Ok(Request::Mail { from, parameters }) = Request::read("MAIL FROM:<ada@example.org> SIZE=90")
//! else {
//!     panic!("it can be read");
//! };
//! assert_eq!(from.as_str(), "ada@example.org");
//! assert_eq!(parameters.size, Some(90));
//! ```

use std::fmt;

use memchr::memchr;

use super::{BodyKind, Mailbox, ReversePath};

/// What a client asks for.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// EHLO, with what the client calls itself, which may be anything.
    Ehlo(String),
    /// HELO, with the same.
    Helo(String),
    /// MAIL.
    Mail {
        /// Whom it comes from.
        from: ReversePath,
        /// What it asks for.
        parameters: MailAsked,
    },
    /// RCPT, whose parameters are those of DSN (RFC 3461).
    Rcpt(Mailbox),
    /// DATA.
    Data,
    /// BDAT: so many bytes follow, the last or not (RFC 3030).
    Bdat(u64, bool),
    /// RSET.
    Rset,
    /// VRFY.
    Vrfy(String),
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// AUTH, with the mechanism's name, and the first answer in base64 where it came at once; empty for
    /// `=`.
    Auth(String, Option<String>),
}

/// Without what proves who somebody is.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Mail { from, parameters } => {
                return write!(f, "Mail({:?}, {parameters:?})", from.as_str());
            }
            Self::Rcpt(to) => return write!(f, "Rcpt({to})"),
            Self::Bdat(size, is_last) => return write!(f, "Bdat({size}, {is_last})"),
            Self::Auth(mechanism, _) => return write!(f, "Auth({mechanism})"),
            Self::Ehlo(name) => return write!(f, "Ehlo({name:?})"),
            Self::Helo(name) => return write!(f, "Helo({name:?})"),
            Self::Vrfy(text) => return write!(f, "Vrfy({text:?})"),
            Self::Data => "Data",
            Self::Rset => "Rset",
            Self::Noop => "Noop",
            Self::Quit => "Quit",
        };
        f.write_str(name)
    }
}

/// What MAIL asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailAsked {
    /// How many bytes the message has (RFC 1870).
    pub size: Option<u64>,
    /// What its content is made of.
    pub body: Option<BodyKind>,
    /// Whether addresses or headers hold Unicode (RFC 6531).
    pub smtp_utf8: bool,
}

/// Why a line is no request; each has its reply code (RFC 5321, section 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRequest {
    /// The command is not known (500).
    Unknown,
    /// Its arguments can't be read (501).
    Arguments,
    /// A path is no path (501).
    Path,
    /// A parameter is not known (555).
    Parameter,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the command is not known",
            Self::Arguments => "the arguments can't be read",
            Self::Path => "the path is not valid",
            Self::Parameter => "the parameter is not known",
        })
    }
}

impl std::error::Error for BadRequest {}

impl Request {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// Where it is no request.
    pub fn read(line: &str) -> Result<Self, BadRequest> {
        let line = line.trim_end_matches([' ', '\t']);
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        let alone = |request| {
            if rest.is_empty() {
                Ok(request)
            } else {
                Err(BadRequest::Arguments)
            }
        };
        let named = |make: fn(String) -> Self| {
            if rest.is_empty() {
                Err(BadRequest::Arguments)
            } else {
                Ok(make(rest.to_owned()))
            }
        };
        match command.to_ascii_uppercase().as_str() {
            "EHLO" => named(Self::Ehlo),
            "HELO" => named(Self::Helo),
            "VRFY" => Ok(Self::Vrfy(rest.to_owned())),
            "MAIL" => mail(rest),
            "RCPT" => rcpt(rest),
            "DATA" => alone(Self::Data),
            "RSET" => alone(Self::Rset),
            "QUIT" => alone(Self::Quit),
            "NOOP" => Ok(Self::Noop),
            "BDAT" => bdat(rest).ok_or(BadRequest::Arguments),
            "AUTH" => auth(rest).ok_or(BadRequest::Arguments),
            _ => Err(BadRequest::Unknown),
        }
    }
}

fn mail(rest: &str) -> Result<Request, BadRequest> {
    let (path, parameters) = path(rest, "FROM:")?;
    let from = path.parse().map_err(|_| BadRequest::Path)?;
    let mut asked = MailAsked::default();
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let upper = value.to_ascii_uppercase();
        match (name.to_ascii_uppercase().as_str(), upper.as_str()) {
            ("SIZE", _) => asked.size = Some(value.parse().map_err(|_| BadRequest::Arguments)?),
            ("BODY", "7BIT") => asked.body = Some(BodyKind::SevenBit),
            ("BODY", "8BITMIME") => asked.body = Some(BodyKind::EightBitMime),
            ("SMTPUTF8", "") => asked.smtp_utf8 = true,
            ("RET", "FULL" | "HDRS") => {}
            // Whom a relay says that it speaks for (RFC 4954) is not asked for here.
            ("ENVID" | "AUTH", _) if !value.is_empty() => {}
            ("BODY" | "RET", _) => return Err(BadRequest::Arguments),
            _ => return Err(BadRequest::Parameter),
        }
    }
    Ok(Request::Mail {
        from,
        parameters: asked,
    })
}

fn rcpt(rest: &str) -> Result<Request, BadRequest> {
    let (path, parameters) = path(rest, "TO:")?;
    let to = path.parse().map_err(|_| BadRequest::Path)?;
    for parameter in parameters.split_ascii_whitespace() {
        let name = parameter.split_once('=').map(|(name, _)| name);
        let is_known = ["NOTIFY", "ORCPT"]
            .iter()
            .any(|known| name.is_some_and(|name| name.eq_ignore_ascii_case(known)));
        if !is_known {
            return Err(BadRequest::Parameter);
        }
    }
    Ok(Request::Rcpt(to))
}

/// What stands between angle brackets, and what stands behind them. A source route is left out (RFC
/// 5321, appendix C).
fn path<'a>(rest: &'a str, word: &str) -> Result<(&'a str, &'a str), BadRequest> {
    let begins = rest
        .get(..word.len())
        .is_some_and(|begins| begins.eq_ignore_ascii_case(word));
    if !begins {
        return Err(BadRequest::Arguments);
    }
    let rest = rest[word.len()..].trim_start();
    let rest = rest.strip_prefix('<').ok_or(BadRequest::Path)?;
    let (mut path, parameters) = rest.split_once('>').ok_or(BadRequest::Path)?;
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(BadRequest::Path);
    }
    if path.starts_with('@') {
        path = path.split_once(':').ok_or(BadRequest::Path)?.1;
    }
    Ok((path, parameters))
}

fn bdat(rest: &str) -> Option<Request> {
    let (size, last) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_last = last.eq_ignore_ascii_case("LAST");
    let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || !(is_last || last.is_empty()) {
        return None;
    }
    Some(Request::Bdat(size.parse().ok()?, is_last))
}

fn auth(rest: &str) -> Option<Request> {
    let mut words = rest.split_ascii_whitespace();
    let mechanism = words.next()?.to_ascii_uppercase();
    let initial = words.next().map(|initial| match initial {
        "=" => String::new(),
        initial => initial.to_owned(),
    });
    words
        .next()
        .is_none()
        .then_some(Request::Auth(mechanism, initial))
}

/// Takes the content of DATA: the dots that carry it are taken out, and its end is CR LF, a dot and CR
/// LF, and nothing else.
///
/// ```
/// use jackfield_smtp::codec::server::Stuffed;
///
/// let (mut content, mut out) = (Stuffed::default(), Vec::new());
/// let mut input: &[u8] = b"one\r\n..two\r\n.\r\nQUIT\r\n";
/// assert!(content.take(&mut input, &mut out));
/// assert_eq!((&out[..], input), (&b"one\r\n.two\r\n"[..], &b"QUIT\r\n"[..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stuffed {
    at: At,
    is_bare: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    LineBegins,
    Dot,
    DotCr,
    Line,
    Cr,
}

impl Stuffed {
    /// Takes from the front of the input up to the end, and appends what was sent; whether the end has
    /// come.
    pub fn take(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> bool {
        while let Some((&byte, rest)) = input.split_first() {
            if self.at == At::Line {
                // Most of it is this.
                let end = memchr(b'\r', input).unwrap_or(input.len());
                let (text, rest) = input.split_at(end);
                self.is_bare |= memchr(b'\n', text).is_some();
                out.extend_from_slice(text);
                *input = rest;
                if !text.is_empty() {
                    continue;
                }
                *input = &rest[1..];
                self.at = At::Cr;
                continue;
            }
            *input = rest;
            self.at = match (self.at, byte) {
                (At::LineBegins, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => {
                    self.at = At::LineBegins;
                    return true;
                }
                (At::Cr, b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    At::LineBegins
                }
                (was, byte) => {
                    if matches!(was, At::Cr | At::DotCr) {
                        self.is_bare = true;
                        out.push(b'\r');
                    }
                    if byte == b'\r' {
                        At::Cr
                    } else {
                        self.is_bare |= byte == b'\n';
                        out.push(byte);
                        At::Line
                    }
                }
            };
        }
        false
    }

    /// Whether a CR or an LF stood alone: a client must not send that (RFC 5321, section 2.3.8).
    pub fn has_bare_line_ends(&self) -> bool {
        self.is_bare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        for line in [
            "EHLO [127.0.0.1]",
            "helo x",
            "MAIL FROM:<> SIZE=1 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ1",
            "mail from: <ada@example.org>",
            "RCPT TO:<@a,@b:ada@example.org> NOTIFY=NEVER ORCPT=rfc822;x",
            "DATA",
            "BDAT 0 LAST",
            "BDAT 12",
            "VRFY ada",
            "NOOP anything",
            "AUTH PLAIN",
            "AUTH login =",
            "QUIT ",
        ] {
            Request::read(line).expect(line);
        }
        for (line, bad) in [
            ("", BadRequest::Unknown),
            ("STARTTLS", BadRequest::Unknown),
            ("EHLO", BadRequest::Arguments),
            ("DATA x", BadRequest::Arguments),
            ("MAIL TO:<a@b>", BadRequest::Arguments),
            ("MAIL FROM:a@b", BadRequest::Path),
            ("MAIL FROM:<a@b>X", BadRequest::Path),
            ("MAIL FROM:<a@b c>", BadRequest::Path),
            ("MAIL FROM:<a@b> SIZE=x", BadRequest::Arguments),
            ("MAIL FROM:<a@b> XYZZY", BadRequest::Parameter),
            ("MAIL FROM:<a@b> BODY=BINARYMIME", BadRequest::Arguments),
            ("RCPT TO:<>", BadRequest::Path),
            ("RCPT TO:<a@b> SIZE=1", BadRequest::Parameter),
            ("BDAT -1", BadRequest::Arguments),
            ("BDAT 1 FIRST", BadRequest::Arguments),
            ("AUTH", BadRequest::Arguments),
        ] {
            assert_eq!(Request::read(line), Err(bad), "{line:?}");
        }
        let secret = Request::read("AUTH PLAIN c2VjcmV0");
        assert!(!format!("{secret:?}").contains("c2V"));
    }

    #[test]
    fn only_its_end_ends_content() {
        for (sent, content, bare) in [
            ("a\r\n.\r\n", Some("a\r\n"), false),
            (".\r\n", Some(""), false),
            ("..\r\n...\r\n.\r\n", Some(".\r\n..\r\n"), false),
            (".a\r\n.\r\n", Some("a\r\n"), false),
            ("a\n.\n", None, true),
            ("a\n.\r\n", None, true),
            ("a\r\n.\n", None, true),
            ("a\r.\r\n", None, true),
            ("a\r\r\n.\r\n", Some("a\r\r\n"), true),
            ("a\r\n.\r\r\n", None, true),
        ] {
            for size in [1, 2, 100] {
                let (mut stuffed, mut out) = (Stuffed::default(), Vec::new());
                let mut has_ended = false;
                for mut piece in sent.as_bytes().chunks(size) {
                    has_ended = stuffed.take(&mut piece, &mut out);
                    assert!(piece.is_empty());
                }
                assert_eq!(has_ended, content.is_some(), "{sent:?}");
                if let Some(content) = content {
                    assert_eq!(out, content.as_bytes(), "{sent:?}");
                }
                assert_eq!(stuffed.has_bare_line_ends(), bare, "{sent:?}");
            }
        }
    }
}
