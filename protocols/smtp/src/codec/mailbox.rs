//! Mailboxes and paths (RFC 5321, section 4.1.2, with the Unicode of RFC 6531).

use std::fmt;
use std::str::FromStr;

use super::{Domain, InvalidValue, domain};

/// The longest mailbox, in bytes. RFC 5321, section 4.5.3.1, has 64 for what stands before the `@`,
/// which rewritten addresses of forwarders exceed.
const MAX_MAILBOX: usize = 512;

/// A mailbox, `ada@example.org`: what an envelope names its sender and recipients with.
///
/// It holds neither CR, LF, NUL nor `<` and `>`, and a space only between quotes
/// (`"ada lovelace"@example.org`), so that it can't end the command that it stands in, or add to it.
/// It may hold Unicode, which only servers with SMTPUTF8 take.
///
/// ```
/// use jackfield_smtp::codec::Mailbox;
///
/// let ada: Mailbox = "ada@example.org".parse()?;
/// assert_eq!((ada.local(), ada.domain()), ("ada", "example.org"));
/// assert!("ada@example.org> NOTIFY=NEVER".parse::<Mailbox>().is_err());
/// # Ok::<(), jackfield_smtp::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    text: String,
    /// Where the `@` stands.
    at: usize,
}

impl Mailbox {
    /// A mailbox of two parts. What stands before the `@` is quoted where it has to be.
    ///
    /// # Errors
    /// Where the first part is empty or holds control characters, `<` or `>`, or all is longer than 512
    /// bytes.
    pub fn new(local: &str, domain: &Domain) -> Result<Self, InvalidValue> {
        let mut text = String::with_capacity(local.len() + domain.as_str().len() + 3);
        if is_dot_string(local) {
            text.push_str(local);
        } else {
            text.push('"');
            for c in local.chars() {
                if matches!(c, '"' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push('"');
        }
        text.push('@');
        text.push_str(domain.as_str());
        text.parse()
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`, with its quotes if it has some.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// Whether it is ASCII: a server without SMTPUTF8 takes no other.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl FromStr for Mailbox {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.len() > MAX_MAILBOX {
            return Err(InvalidValue("a mailbox has up to 512 bytes"));
        }
        // A domain has no `@`, what stands before it may have one between quotes.
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(InvalidValue("a mailbox has an @"));
        };
        if !is_dot_string(local) && !is_quoted(local) {
            return Err(InvalidValue(
                "before the @ of a mailbox stand words with dots between them, or a quoted text",
            ));
        }
        domain::check(domain)?;
        Ok(Self {
            at: local.len(),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `Dot-string` (RFC 5321, section 4.1.2).
fn is_dot_string(local: &str) -> bool {
    let is_atext = |c: char| match c {
        c if c.is_ascii_alphanumeric() => true,
        c if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_control() && !c.is_whitespace(),
    };
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// `Quoted-string`, not empty. The angle brackets that may stand in one are left out: too many
/// servers find the end of a path by them.
fn is_quoted(local: &str) -> bool {
    let Some(inner) = local
        .strip_prefix('"')
        .and_then(|local| local.strip_suffix('"'))
    else {
        return false;
    };
    let mut is_escaped = false;
    for c in inner.chars() {
        if c.is_control() || matches!(c, '<' | '>') || (is_escaped && !c.is_ascii()) {
            return false;
        }
        if !is_escaped && c == '"' {
            return false;
        }
        is_escaped = !is_escaped && c == '\\';
    }
    !is_escaped && !inner.is_empty()
}

/// Where a message comes from, and where its failure is told (RFC 5321, section 4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum ReversePath {
    /// `<>`: nobody is told, as with a message that tells of a failure itself.
    Null,
    /// A mailbox.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// What stands between `<` and `>`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Mailbox(mailbox) => mailbox.as_str(),
        }
    }
}

impl From<Mailbox> for ReversePath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl FromStr for ReversePath {
    type Err = InvalidValue;

    /// An empty text is [`Null`](Self::Null).
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() {
            return Ok(Self::Null);
        }
        text.parse().map(Self::Mailbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_mailbox() {
        for (text, local, domain) in [
            ("ada@example.org", "ada", "example.org"),
            ("a.b+c@[192.0.2.1]", "a.b+c", "[192.0.2.1]"),
            ("\"a b\"@example.org", "\"a b\"", "example.org"),
            ("\"a@b\"@example.org", "\"a@b\"", "example.org"),
            (
                "\"a\\\"b\\\\\"@example.org",
                "\"a\\\"b\\\\\"",
                "example.org",
            ),
            ("gr\u{fc}n@example.org", "gr\u{fc}n", "example.org"),
        ] {
            let mailbox: Mailbox = text.parse().expect(text);
            assert_eq!((mailbox.local(), mailbox.domain()), (local, domain));
        }
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@@example.org",
            "a..b@example.org",
            ".a@example.org",
            "a b@example.org",
            "<ada@example.org>",
            "ada@example.org>",
            "ada@example.org\r\nRCPT TO:<eve@example.org>",
            "ada\n@example.org",
            "a\0@example.org",
            "\"\"@example.org",
            "\"a\"b\"@example.org",
            "\"a\\\"@example.org",
            "\"a\r\nb\"@example.org",
            "\"a> b\"@example.org",
            "a\u{a0}b@example.org",
            "a\u{85}@example.org",
            &format!("{}@example.org", "a".repeat(MAX_MAILBOX)),
        ] {
            assert!(text.parse::<Mailbox>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_needs_quotes_gets_them() {
        let domain: Domain = "example.org".parse().expect("a domain");
        for (local, text) in [
            ("ada", "ada@example.org"),
            ("a..b", "\"a..b\"@example.org"),
            ("a\"b\\", "\"a\\\"b\\\\\"@example.org"),
            ("a b", "\"a b\"@example.org"),
        ] {
            let mailbox = Mailbox::new(local, &domain).expect(local);
            assert_eq!(mailbox.as_str(), text);
        }
        for local in ["", "a\r\nb", "a>", "\0"] {
            assert!(Mailbox::new(local, &domain).is_err(), "{local:?}");
        }
    }
}
