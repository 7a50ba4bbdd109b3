//! Writing of commands: what a caller passes becomes atoms, strings and literals, and can become
//! nothing else (RFC 9051, section 4).

use super::capability::Capabilities;
use super::error::InvalidValue;
use super::framer::decimal;
use super::mailbox::MailboxName;
use super::token::is_atom_char;

/// The longest string that is quoted; a longer one is a literal.
const MAX_QUOTED: usize = 1000;
/// The largest literal that LITERAL- lets go without waiting (RFC 7888).
const LITERAL_MINUS: u64 = 4096;

/// How commands are written for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialect {
    /// How literals go.
    pub literals: Literals,
    /// Whether strings and names may be UTF-8, as after `ENABLE UTF8=ACCEPT` (RFC 6855).
    pub is_utf8: bool,
    /// Whether names are in modified UTF-7 even so, as
    /// [`Config::names_in_utf7`](crate::core::Config::names_in_utf7) asks for.
    pub names_in_utf7: bool,
    /// Whether SEARCH names its charset even so. RFC 9051 allows that, where RFC 6855 does not; Cyrus
    /// finds nothing without.
    pub names_charset: bool,
}

impl Dialect {
    /// Whether mailboxes' names are in UTF-8.
    pub(crate) fn has_utf8_names(self) -> bool {
        self.is_utf8 && !self.names_in_utf7
    }
}

/// How literals go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are RFC 7888's")]
pub enum Literals {
    /// The server is asked before each.
    #[default]
    Synchronising,
    /// It is asked before those of more than 4096 bytes (LITERAL-).
    Minus,
    /// It is never asked (LITERAL+).
    Plus,
}

impl Literals {
    /// Those that a server can take.
    pub fn of(capabilities: &Capabilities) -> Self {
        if capabilities.has("LITERAL+") {
            Self::Plus
        } else if capabilities.has("LITERAL-") {
            Self::Minus
        } else {
            Self::Synchronising
        }
    }

    fn waits(self, size: u64) -> bool {
        match self {
            Self::Synchronising => true,
            Self::Minus => size > LITERAL_MINUS,
            Self::Plus => false,
        }
    }
}

/// A command as it is sent: bytes, and where in them the server's `+` has to be waited for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes, the last line's end among them, but without the messages that are appended.
    pub(crate) bytes: Vec<u8>,
    /// Up to where they go without waiting, in order.
    pub(crate) waits: Vec<usize>,
    /// Behind how many of them there is a message, and how large it is, in order.
    pub(crate) messages: Vec<(usize, u64)>,
}

impl Encoded {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// At which of them the server's `+` has to be waited for.
    pub fn waits(&self) -> &[usize] {
        &self.waits
    }

    /// Behind how many of them the bytes of a message stand, and how many these are.
    pub fn messages(&self) -> &[(usize, u64)] {
        &self.messages
    }
}

impl std::fmt::Debug for Encoded {
    /// Passwords may be in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded").finish_non_exhaustive()
    }
}

/// Writes a command.
pub(super) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    waits: Vec<usize>,
    messages: Vec<(usize, u64)>,
    dialect: Dialect,
    invalid: Option<InvalidValue>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, dialect: Dialect) -> Self {
        Self {
            out,
            waits: Vec::new(),
            messages: Vec::new(),
            dialect,
            invalid: None,
        }
    }

    /// For what is only to be looked at.
    pub(super) fn plain(out: &'a mut Vec<u8>) -> Self {
        Self::new(out, Dialect::default())
    }

    /// Where the server has to be waited for, and where messages stand.
    pub(super) fn finish(self) -> Result<(Vec<usize>, Vec<(usize, u64)>), InvalidValue> {
        match self.invalid {
            Some(invalid) => Err(invalid),
            None => Ok((self.waits, self.messages)),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What this crate has written itself.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A word that is written as it is, of letters, digits and these signs.
    pub(super) fn word(&mut self, word: &[u8], signs: &[u8], invalid: InvalidValue) {
        let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || signs.contains(byte);
        if word.is_empty() || !word.iter().all(is_sound) {
            self.invalid = Some(invalid);
        }
        self.raw(word);
    }

    pub(super) fn with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.out);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.out.extend_from_slice(decimal(number, &mut [0; 20]));
    }

    pub(super) fn astring(&mut self, bytes: &[u8]) {
        let is_atom = bytes.iter().all(|byte| is_atom_char(*byte));
        if is_atom && !bytes.is_empty() && !bytes.eq_ignore_ascii_case(b"NIL") {
            self.raw(bytes);
        } else {
            self.string(bytes);
        }
    }

    pub(super) fn string(&mut self, bytes: &[u8]) {
        if bytes.contains(&0) {
            self.invalid = Some(InvalidValue::Text);
        }
        let is_text =
            bytes.is_ascii() || self.dialect.is_utf8 && std::str::from_utf8(bytes).is_ok();
        let is_line = !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        if !is_text || !is_line || bytes.len() > MAX_QUOTED {
            self.literal(bytes.len() as u64);
            return self.raw(bytes);
        }
        self.out.push(b'"');
        for &byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }

    /// Any bytes, as a literal of its own kind where they hold NUL (`literal8`, RFC 3516).
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        if bytes.contains(&0) {
            self.raw(b"~");
            self.literal(bytes.len() as u64);
            self.raw(bytes);
        } else {
            self.string(bytes);
        }
    }

    /// A literal's head; what is in it comes next.
    pub(super) fn literal(&mut self, size: u64) {
        self.out.push(b'{');
        self.number(size);
        let waits = self.dialect.literals.waits(size);
        self.raw(if waits { b"}\r\n" } else { b"+}\r\n" });
        if waits {
            self.waits.push(self.out.len());
        }
    }

    /// A literal's head; what is in it is given as it is sent.
    pub(super) fn message(&mut self, size: u64) {
        self.literal(size);
        self.messages.push((self.out.len(), size));
    }

    pub(super) fn mailbox(&mut self, name: &MailboxName) {
        let wire = name.wire(self.dialect.has_utf8_names());
        self.astring(&wire);
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut encode: impl FnMut(&mut Self, &T)) {
        self.out.push(b'(');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b' ');
            }
            encode(self, item);
        }
        self.out.push(b')');
    }
}
