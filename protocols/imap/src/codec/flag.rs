//! Flags of messages (RFC 9051, section 2.3.2), and attributes of mailboxes.

use std::fmt;
use std::str::FromStr;

use super::error::InvalidValue;
use super::input::{Input, Parsed};
use super::text::Text;
use super::token::is_atom_char;

/// A flag of a message.
///
/// ```
/// use jackfield_imap::codec::Flag;
///
/// assert_eq!("\\seen".parse::<Flag>()?, Flag::Seen);
/// let junk: Flag = "$Junk".parse()?;
/// assert_eq!(junk.to_string(), "$Junk");
/// assert!("a b".parse::<Flag>().is_err());
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// Read.
    Seen,
    /// Answered.
    Answered,
    /// Flagged, or starred.
    Flagged,
    /// To be removed by the next EXPUNGE.
    Deleted,
    /// Not finished.
    Draft,
    /// Arrived since (rev1): nobody can set it.
    Recent,
    /// `\*` among the permanent ones: a client may make up keywords.
    Any,
    /// Any other: a keyword, such as `$Junk`, or a flag of an extension.
    Other(FlagName),
}

/// The name of a flag that this crate doesn't know: an atom, and nothing else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FlagName(Text);

impl FlagName {
    /// The name, with its backslash if it has one.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

impl fmt::Debug for FlagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

const KNOWN: [(Flag, &str); 7] = [
    (Flag::Seen, "\\Seen"),
    (Flag::Answered, "\\Answered"),
    (Flag::Flagged, "\\Flagged"),
    (Flag::Deleted, "\\Deleted"),
    (Flag::Draft, "\\Draft"),
    (Flag::Recent, "\\Recent"),
    (Flag::Any, "\\*"),
];

impl Flag {
    /// As it stands on the wire.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Seen => b"\\Seen",
            Self::Answered => b"\\Answered",
            Self::Flagged => b"\\Flagged",
            Self::Deleted => b"\\Deleted",
            Self::Draft => b"\\Draft",
            Self::Recent => b"\\Recent",
            Self::Any => b"\\*",
            Self::Other(name) => name.0.as_bytes(),
        }
    }

    /// The flag of this name, which is checked already.
    fn of(name: Text) -> Self {
        let known = KNOWN.iter().find(|(_, known)| name.is(known));
        known.map_or_else(|| Self::Other(FlagName(name)), |(flag, _)| flag.clone())
    }

    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let length = length(i.bytes());
        if length == 0 {
            return Err(super::input::WRONG);
        }
        let (name, rest) = i.split(length);
        Ok((rest, Self::of(name.text())))
    }
}

/// How long the flag at the beginning of some bytes is. Some servers leave no space between two.
fn length(bytes: &[u8]) -> usize {
    let slash = usize::from(bytes.first() == Some(&b'\\'));
    if bytes[slash..].first() == Some(&b'*') && slash == 1 {
        return 2;
    }
    let name = bytes[slash..]
        .iter()
        .take_while(|byte| is_atom_char(**byte));
    match name.count() {
        0 => 0,
        count => slash + count,
    }
}

impl FromStr for Flag {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        if name.is_empty() || length(name.as_bytes()) != name.len() || name.contains(']') {
            return Err(InvalidValue::Flag);
        }
        Ok(Self::of(Text::from(name)))
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.name()))
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
