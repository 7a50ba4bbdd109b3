//! Parameters of MAIL and RCPT: what extensions ask for.

use std::str::FromStr;

use super::{InvalidValue, Mailbox};

/// What MAIL asks for, besides whom it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailParameters {
    /// How many bytes the message has (RFC 1870).
    pub size: Option<u64>,
    /// What its content is made of (RFC 6152 and 3030).
    pub body: Option<BodyKind>,
    /// Whether addresses or headers hold Unicode (RFC 6531).
    pub smtp_utf8: bool,
    /// How much of the message comes back with a failure (RFC 3461, section 4.3).
    pub ret: Option<Return>,
    /// What the failure is to name the message with (RFC 3461, section 4.4).
    pub envelope_id: Option<EnvelopeId>,
    /// Whether it is passed on over TLS only (RFC 8689).
    pub require_tls: bool,
    /// By when it is to be delivered (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// How long it is held back (RFC 4865).
    pub hold: Option<Hold>,
    /// How urgent it is (RFC 6710).
    pub priority: Option<Priority>,
}

/// What RCPT asks for, besides whom it goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipientParameters {
    /// When the sender is told what became of it (RFC 3461, section 4.1).
    pub notify: Option<Notify>,
    /// Whom the sender had named (RFC 3461, section 4.2).
    pub original: Option<OriginalRecipient>,
}

/// What a message's content is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyKind {
    /// Text in ASCII.
    SevenBit,
    /// Text in any bytes (RFC 6152).
    EightBitMime,
    /// Anything (RFC 3030): its line ends stay as they are.
    BinaryMime,
}

/// How much of a message comes back with a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Return {
    /// All of it.
    Full,
    /// Its headers.
    Headers,
}

/// When the sender is told what became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "RFC 3461 has three, and none of them is never"
)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it could not be.
    pub failure: bool,
    /// When it takes longer.
    pub delay: bool,
}

impl Notify {
    /// Never, whatever happens.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };
}

/// The longest [`EnvelopeId`] as it is sent, in bytes (RFC 3461, section 4.4).
const MAX_ENVELOPE_ID: usize = 100;
/// The longest [`OriginalRecipient`] as it is sent, in bytes (RFC 3461, section 4.2).
const MAX_ORIGINAL: usize = 500;

/// What failures name a message with: printable ASCII of up to 100 bytes, of which some (`+`, `=`
/// and spaces) count three times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeId(String);

impl EnvelopeId {
    /// As xtext (RFC 3461, section 4), which holds neither spaces nor a line's end.
    pub(super) fn encoded(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvelopeId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(InvalidValue("an envelope's name is printable ASCII"));
        }
        let encoded = xtext(text);
        if encoded.len() > MAX_ENVELOPE_ID {
            return Err(InvalidValue("an envelope's name has up to 100 bytes"));
        }
        Ok(Self(encoded))
    }
}

/// Whom a sender had named, before it was expanded or rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient(String);

impl OriginalRecipient {
    /// A mailbox: of the type `rfc822`, or `utf-8` (RFC 6533) where it holds Unicode.
    ///
    /// # Errors
    /// Where it is longer than 500 bytes as it is sent.
    pub fn mailbox(mailbox: &Mailbox) -> Result<Self, InvalidValue> {
        if mailbox.is_ascii() {
            return Self::new("rfc822", mailbox.as_str());
        }
        let mut text = "utf-8;".to_owned();
        for c in mailbox.as_str().chars() {
            match c {
                '!'..='~' if !matches!(c, '\\' | '+' | '=') => text.push(c),
                _ => {
                    text.push_str("\\x{");
                    push_hex(&mut text, u32::from(c));
                    text.push('}');
                }
            }
        }
        Self::bounded(text)
    }

    /// An address of another type, such as `x400`.
    ///
    /// # Errors
    /// Where the type is not letters, digits and hyphens, the address is not printable ASCII, or
    /// both are longer than 500 bytes as they are sent.
    pub fn new(kind: &str, address: &str) -> Result<Self, InvalidValue> {
        let is_kind = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if kind.is_empty() || !kind.bytes().all(is_kind) {
            return Err(InvalidValue(
                "a type of addresses is letters, digits and hyphens",
            ));
        }
        if !address.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(InvalidValue("an original recipient is printable ASCII"));
        }
        Self::bounded([kind, ";", &xtext(address)].concat())
    }

    fn bounded(text: String) -> Result<Self, InvalidValue> {
        if text.len() > MAX_ORIGINAL {
            return Err(InvalidValue("an original recipient has up to 500 bytes"));
        }
        Ok(Self(text))
    }

    pub(super) fn encoded(&self) -> &str {
        &self.0
    }
}

/// Text as xtext (RFC 3461, section 4).
fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'+' | b'=') => out.push(char::from(byte)),
            _ => {
                out.push('+');
                push_hex(&mut out, u32::from(byte));
            }
        }
    }
    out
}

/// Appends a number in hexadecimal, of two digits at least.
fn push_hex(out: &mut String, number: u32) {
    let digits = (u32::BITS - number.leading_zeros()).div_ceil(4).max(2);
    for digit in (0..digits).rev() {
        let digit = (number >> (4 * digit)) & 0xf;
        out.extend(char::from_digit(digit, 16).map(|it| it.to_ascii_uppercase()));
    }
}

/// By when a message is to be delivered (RFC 2852, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliverBy {
    /// In how many seconds, up to nine digits.
    pub(super) seconds: i32,
    /// What becomes of it afterwards.
    pub(super) late: Late,
    /// Whether its way is to be told.
    pub(super) trace: bool,
}

/// What becomes of a message that was not delivered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Late {
    /// It comes back.
    Return,
    /// It is delivered later, and the sender is told.
    Notify,
}

impl DeliverBy {
    /// Within so many seconds, or else.
    ///
    /// # Errors
    /// Where the time has more than nine digits, or is not above zero and the message would come
    /// back (RFC 2852, section 4).
    pub fn new(seconds: i32, late: Late) -> Result<Self, InvalidValue> {
        if !(-999_999_999..=999_999_999).contains(&seconds) {
            return Err(InvalidValue("a time has up to nine digits"));
        }
        if seconds <= 0 && late == Late::Return {
            return Err(InvalidValue("what is late from the start would come back"));
        }
        let trace = false;
        Ok(Self {
            seconds,
            late,
            trace,
        })
    }

    /// The same, and each server on the way that can't keep to it says so.
    #[must_use]
    pub fn traced(mut self) -> Self {
        self.trace = true;
        self
    }
}

/// How long a message is held back (RFC 4865, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// For so many seconds.
    For(u32),
    /// Until then.
    Until(Timestamp),
}

/// A time as RFC 3339 writes it: `2026-11-28T23:05:00Z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp(String);

impl Timestamp {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Timestamp {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let is_shaped = |text: &str, shape: &str| {
            let mut fits = text.bytes().zip(shape.bytes());
            text.len() == shape.len()
                && fits.all(|(byte, like)| match like {
                    b'0' => byte.is_ascii_digit(),
                    b'+' => matches!(byte, b'+' | b'-'),
                    like => byte == like,
                })
        };
        let is_time = text.split_at_checked(19).is_some_and(|(time, zone)| {
            is_shaped(time, "0000-00-00T00:00:00") && (zone == "Z" || is_shaped(zone, "+00:00"))
        });
        if is_time {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue("a time is written as 2026-11-28T23:05:00Z"))
        }
    }
}

/// How urgent a message is (RFC 6710): from -9 to 9, 0 for what is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// A priority.
    ///
    /// # Errors
    /// Where it is not between -9 and 9.
    pub fn new(priority: i8) -> Result<Self, InvalidValue> {
        if (-9..=9).contains(&priority) {
            Ok(Self(priority))
        } else {
            Err(InvalidValue("a priority is between -9 and 9"))
        }
    }

    pub(super) fn number(self) -> i8 {
        self.0
    }
}
