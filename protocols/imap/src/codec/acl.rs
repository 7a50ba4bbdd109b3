//! Access control: who may do what with a mailbox (RFC 4314).

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

use nom::Parser;

use super::data::Names;
use super::encode::Encoder;
use super::error::InvalidValue;
use super::input::{Input, Parsed, WRONG};
use super::mailbox::MailboxName;
use super::text::Text;
use super::token::{astring, spaces};

/// Rights on a mailbox: a set of letters and digits (RFC 4314, section 2.1).
///
/// ```
/// use jackfield_imap::codec::Rights;
///
/// let rights: Rights = "lrs".parse()?;
/// assert!(rights.contains(Rights::READ | Rights::SEEN));
/// assert!(!rights.contains(Rights::WRITE));
/// assert_eq!((rights | Rights::INSERT).to_string(), "ilrs");
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u64);

/// What may be a right.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

macro_rules! rights {
    ($($(#[doc = $doc:literal])* $name:ident = $letter:literal,)*) => {
        impl Rights {
            $($(#[doc = $doc])* pub const $name: Self = Self::one($letter);)*
        }
    };
}

rights! {
    /// To see that the mailbox is there (`l`).
    LOOKUP = b'l',
    /// To open it and read its messages (`r`).
    READ = b'r',
    /// To keep what was seen (`s`).
    SEEN = b's',
    /// To change flags other than `\Seen` and `\Deleted` (`w`).
    WRITE = b'w',
    /// To put messages into it (`i`).
    INSERT = b'i',
    /// To send mail to it by its address (`p`).
    POST = b'p',
    /// To make mailboxes below it (`k`; older servers say `c`).
    CREATE = b'k',
    /// To remove the mailbox (`x`; older servers say `c` or `d`).
    DELETE = b'x',
    /// To give messages `\Deleted` (`t`; older servers say `d`).
    DELETE_MESSAGES = b't',
    /// To expunge messages (`e`; older servers say `d`).
    EXPUNGE = b'e',
    /// To change who may do what (`a`).
    ADMINISTER = b'a',
}

impl Rights {
    const fn one(letter: u8) -> Self {
        let at = if letter <= b'9' {
            letter - b'0'
        } else {
            letter - b'a' + 10
        };
        Self(1 << at)
    }

    /// None at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether all of these are among them.
    pub fn contains(self, rights: Self) -> bool {
        self.0 & rights.0 == rights.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn read(text: &[u8]) -> Option<Self> {
        let one = |byte: &u8| LETTERS.contains(byte).then(|| Self::one(*byte));
        text.iter()
            .try_fold(Self::none(), |all, byte| Some(all | one(byte)?))
    }

    fn write(self, out: &mut Vec<u8>) {
        let has = |at: &usize| self.0 >> at & 1 == 1;
        out.extend((0..LETTERS.len()).filter(has).map(|at| LETTERS[at]));
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromStr for Rights {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::read(text.as_bytes()).ok_or(InvalidValue::Rights)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        f.pad(&String::from_utf8_lossy(&bytes))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// How somebody's rights are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are the RFC's")]
pub enum RightsChange {
    /// These are given as well.
    Add(Rights),
    /// These are taken away.
    Remove(Rights),
    /// These are given, and all others taken away.
    Replace(Rights),
}

/// What ACL tells of a mailbox: who has which rights (RFC 4314, section 3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acl {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// Who has which. What begins with `-` has not these rights, even where another identifier has.
    pub entries: Vec<(Text, Rights)>,
}

/// What LISTRIGHTS tells: which rights somebody can be given (RFC 4314, section 3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RightsList {
    /// On which mailbox.
    pub mailbox: MailboxName,
    /// Who.
    pub identifier: Text,
    /// Those that can't be taken away.
    pub required: Rights,
    /// Those that can be given, together where they stand together.
    pub optional: Vec<Rights>,
}

/// What MYRIGHTS tells: what this user may do (RFC 4314, section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MyRights {
    /// With which mailbox.
    pub mailbox: MailboxName,
    /// What.
    pub rights: Rights,
}

fn rights(i: Input<'_>) -> Parsed<'_, Rights> {
    let (i, text) = astring(i)?;
    Ok((i, Rights::read(text.as_bytes()).ok_or(WRONG)?))
}

/// Behind `ACL`.
pub(super) fn acl(names: Names, i: Input<'_>) -> Parsed<'_, Acl> {
    let (mut i, mailbox) = names.mailbox(i)?;
    let mut entries = Vec::new();
    loop {
        (i, ()) = spaces(i)?;
        if i.is_empty() {
            return Ok((i, Acl { mailbox, entries }));
        }
        i.count()?;
        let (rest, (identifier, (), rights)) = (astring, spaces, rights).parse(i)?;
        entries.push((identifier, rights));
        i = rest;
    }
}

/// Behind `LISTRIGHTS`.
pub(super) fn list_rights(names: Names, i: Input<'_>) -> Parsed<'_, RightsList> {
    let (i, mailbox) = names.mailbox(i)?;
    let (i, ((), identifier, (), required)) = (spaces, astring, spaces, rights).parse(i)?;
    let (mut i, mut optional) = (i, Vec::new());
    loop {
        (i, ()) = spaces(i)?;
        if i.is_empty() {
            let list = RightsList {
                mailbox,
                identifier,
                required,
                optional,
            };
            return Ok((i, list));
        }
        i.count()?;
        let (rest, rights) = rights(i)?;
        optional.push(rights);
        i = rest;
    }
}

/// Behind `MYRIGHTS`.
pub(super) fn my_rights(names: Names, i: Input<'_>) -> Parsed<'_, MyRights> {
    let (i, mailbox) = names.mailbox(i)?;
    let (i, ((), rights)) = (spaces, rights).parse(i)?;
    Ok((i, MyRights { mailbox, rights }))
}

pub(super) fn set(
    out: &mut Encoder<'_>,
    mailbox: &MailboxName,
    identifier: &str,
    change: RightsChange,
) {
    about(out, b"SETACL ", mailbox, identifier);
    let (sign, rights): (&[u8], _) = match change {
        RightsChange::Add(rights) => (b"+", rights),
        RightsChange::Remove(rights) => (b"-", rights),
        RightsChange::Replace(rights) => (b"", rights),
    };
    let mut text = sign.to_vec();
    rights.write(&mut text);
    out.raw(b" ");
    out.astring(&text);
}

pub(super) fn about(out: &mut Encoder<'_>, name: &[u8], mailbox: &MailboxName, identifier: &str) {
    out.raw(name);
    out.mailbox(mailbox);
    out.raw(b" ");
    out.astring(identifier.as_bytes());
}
