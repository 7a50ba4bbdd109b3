//! A message's options, as one run of bytes.

use std::fmt;

use super::error::OptionProblem;
use super::{DecodeErrorKind, InvalidOption, OptionNumber};

/// How many options a message may have. RFC 7252 has no limit; this one keeps the time that a
/// message of a hostile peer takes in proportion.
pub const MAX_OPTIONS: usize = 256;

/// The longest value that the encoding can hold.
const MAX_VALUE: usize = 0xffff + 269;
/// The payload marker, which no option begins with.
pub(super) const PAYLOAD_MARKER: u8 = 0xff;

/// A message's options, in the order of their numbers.
///
/// What is read is what the definition of the option allows: [`get`](Self::get) and its kin pass
/// over values that do not fit it, as over options that are not recognised, and over repetitions of
/// what can't be repeated (RFC 7252, sections 5.4.3 and 5.4.5). [`iter`](Self::iter) gives all.
/// What is written is checked.
///
/// ```
/// use jackfield_coap::codec::{OptionNumber, Options};
///
/// let mut options = Options::default();
/// options.add_text(OptionNumber::URI_QUERY, "unit=C")?;
/// options.add_text(OptionNumber::URI_PATH, "rooms")?;
/// options.add_text(OptionNumber::URI_PATH, "attic")?;
/// options.set_uint(OptionNumber::ACCEPT, 50)?;
/// assert!(options.texts(OptionNumber::URI_PATH).eq(["rooms", "attic"]));
/// assert_eq!(options.uint(OptionNumber::ACCEPT), Some(50));
/// assert!(options.set(OptionNumber::ETAG, b"").is_err());
/// # Ok::<(), jackfield_coap::codec::InvalidOption>(())
/// ```
// As they are sent (RFC 7252, section 3.1): each as delta, length, value. The encoding of a list is
// unique, so that equal bytes are equal options; sending them is one copy.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Options {
    bytes: Vec<u8>,
    /// The largest number.
    last: u16,
    count: u16,
}

impl Options {
    /// Takes what stands in front of the payload marker or the end; says how many bytes that is.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, usize), (DecodeErrorKind, usize)> {
        let mut rest = bytes;
        let mut last = 0u16;
        let mut count = 0usize;
        while let Some(&first) = rest.first() {
            if first == PAYLOAD_MARKER {
                break;
            }
            let at = bytes.len() - rest.len();
            let (delta, value, behind) = split_option(rest).map_err(|kind| (kind, at))?;
            last = u16::try_from(u32::from(last) + delta)
                .map_err(|_| (DecodeErrorKind::OptionNumber, at))?;
            let _ = value;
            count += 1;
            if count > MAX_OPTIONS {
                return Err((DecodeErrorKind::TooManyOptions, at));
            }
            rest = behind;
        }
        let used = bytes.len() - rest.len();
        let options = Self {
            bytes: bytes.get(..used).unwrap_or_default().to_vec(),
            last,
            count: count as u16,
        };
        Ok((options, used))
    }

    /// As they are sent.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of them with their values, also those that do not fit their definition.
    pub fn iter(&self) -> OptionsIter<'_> {
        OptionsIter {
            rest: &self.bytes,
            number: 0,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is one of this number with a value that fits.
    pub fn contains(&self, number: OptionNumber) -> bool {
        self.get(number).is_some()
    }

    /// The first value that fits.
    pub fn get(&self, number: OptionNumber) -> Option<&[u8]> {
        self.get_all(number).next()
    }

    /// All values that fit; of what can't be repeated, the first occurrence only.
    pub fn get_all(&self, number: OptionNumber) -> impl Iterator<Item = &[u8]> {
        let once = number
            .definition()
            .is_some_and(|definition| !definition.is_repeatable);
        self.iter()
            .skip_while(move |(other, _)| *other < number)
            .take_while(move |(other, _)| *other == number)
            .take(if once { 1 } else { usize::MAX })
            .map(|(_, value)| value)
            .filter(move |value| number.accepts(value))
    }

    /// The first value, as an unsigned integer; `None` where it has more than 4 bytes.
    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        decode_uint(self.get(number)?)
    }

    /// The first value, as text; `None` where it is not UTF-8.
    pub fn text(&self, number: OptionNumber) -> Option<&str> {
        std::str::from_utf8(self.get(number)?).ok()
    }

    /// All values that are text.
    pub fn texts(&self, number: OptionNumber) -> impl Iterator<Item = &str> {
        self.get_all(number)
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first option that is critical and not to be understood: `knows` does not know its
    /// number, its value does not fit its definition, or it stands there again though it can't be
    /// repeated. A request with one is answered with 4.02 Bad Option, a response rejected (RFC
    /// 7252, section 5.4.1).
    pub(crate) fn first_unacceptable(
        &self,
        knows: impl Fn(OptionNumber) -> bool,
    ) -> Option<OptionNumber> {
        let mut before = None;
        self.iter().find_map(|(number, value)| {
            let again = before.replace(number) == Some(number);
            let fits = || {
                let repeatable = number
                    .definition()
                    .is_none_or(|definition| definition.is_repeatable);
                knows(number) && number.accepts(value) && (repeatable || !again)
            };
            (number.is_critical() && !fits()).then_some(number)
        })
    }

    /// Adds one, behind those of the same number.
    ///
    /// # Errors
    /// Where the value does not fit the definition, where one is there and can't be repeated, and
    /// beyond [`MAX_OPTIONS`].
    pub fn add(&mut self, number: OptionNumber, value: &[u8]) -> Result<(), InvalidOption> {
        let error = |problem| Err(InvalidOption { number, problem });
        if value.len() > MAX_VALUE || !number.accepts(value) {
            return error(OptionProblem::Value);
        }
        let once = number
            .definition()
            .is_some_and(|definition| !definition.is_repeatable);
        if once && self.iter().any(|(other, _)| other == number) {
            return error(OptionProblem::Repeated);
        }
        if self.len() >= MAX_OPTIONS {
            return error(OptionProblem::TooMany);
        }
        self.insert(number, value);
        Ok(())
    }

    /// Adds a text.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_text(&mut self, number: OptionNumber, text: &str) -> Result<(), InvalidOption> {
        self.add(number, text.as_bytes())
    }

    /// Adds an unsigned integer, in as few bytes as it takes.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_uint(&mut self, number: OptionNumber, value: u32) -> Result<(), InvalidOption> {
        self.add(number, encode_uint(&value.to_be_bytes()))
    }

    /// Puts one in the place of all of its number.
    ///
    /// # Errors
    /// As [`add`](Self::add); then nothing has changed.
    pub fn set(&mut self, number: OptionNumber, value: &[u8]) -> Result<(), InvalidOption> {
        if value.len() > MAX_VALUE || !number.accepts(value) {
            let problem = OptionProblem::Value;
            return Err(InvalidOption { number, problem });
        }
        if self.remove(number) == 0 && self.len() >= MAX_OPTIONS {
            let problem = OptionProblem::TooMany;
            return Err(InvalidOption { number, problem });
        }
        self.insert(number, value);
        Ok(())
    }

    /// Puts a text in the place of all of its number.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_text(&mut self, number: OptionNumber, text: &str) -> Result<(), InvalidOption> {
        self.set(number, text.as_bytes())
    }

    /// Puts an unsigned integer in the place of all of its number.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_uint(&mut self, number: OptionNumber, value: u32) -> Result<(), InvalidOption> {
        self.set(number, encode_uint(&value.to_be_bytes()))
    }

    /// Removes all of a number; says how many there were.
    pub fn remove(&mut self, number: OptionNumber) -> usize {
        if !self.iter().any(|(other, _)| other == number) {
            return 0;
        }
        let before = std::mem::take(self);
        for (other, value) in before.iter().filter(|(other, _)| *other != number) {
            self.insert(other, value);
        }
        before.len() - self.len()
    }

    /// Adds one whose value has been checked, or is not to be.
    pub(crate) fn insert(&mut self, number: OptionNumber, value: &[u8]) {
        self.count += 1;
        if number.0 >= self.last {
            push_option(&mut self.bytes, number.0 - self.last, value);
            self.last = number.0;
            return;
        }
        // Before the first with a larger number, whose delta changes.
        let mut iter = self.iter();
        loop {
            let (at, before) = (self.bytes.len() - iter.rest.len(), iter.number);
            let Some((next, next_value)) = iter.next() else {
                unreachable!("an option with the largest number is there");
            };
            if next > number {
                let mut bytes = Vec::with_capacity(self.bytes.len() + value.len() + 5);
                bytes.extend_from_slice(self.bytes.get(..at).unwrap_or_default());
                push_option(&mut bytes, number.0 - before, value);
                push_option(&mut bytes, next.0 - number.0, next_value);
                bytes.extend_from_slice(iter.rest);
                self.bytes = bytes;
                return;
            }
        }
    }
}

impl<'a> IntoIterator for &'a Options {
    type Item = (OptionNumber, &'a [u8]);
    type IntoIter = OptionsIter<'a>;

    fn into_iter(self) -> OptionsIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (number, value) in self {
            match std::str::from_utf8(value) {
                Ok(text) if !text.chars().any(char::is_control) => map.entry(&number, &text),
                _ => map.entry(&number, &value),
            };
        }
        map.finish()
    }
}

/// The options of a message with their values, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
    number: u16,
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = (OptionNumber, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // Neither fails: the bytes were checked when they were read, or written here.
        let (delta, value, rest) = split_option(self.rest).ok()?;
        self.number = self.number.checked_add(delta as u16)?;
        self.rest = rest;
        Some((OptionNumber(self.number), value))
    }
}

impl std::iter::FusedIterator for OptionsIter<'_> {}

/// The first option's delta and value, and what follows it.
#[inline]
fn split_option(bytes: &[u8]) -> Result<(u32, &[u8], &[u8]), DecodeErrorKind> {
    let (&first, rest) = bytes.split_first().ok_or(DecodeErrorKind::OptionLength)?;
    let (delta, rest) = extended(first >> 4, rest)?;
    let (length, rest) = extended(first & 0xf, rest)?;
    let (value, rest) = rest
        .split_at_checked(length as usize)
        .ok_or(DecodeErrorKind::OptionLength)?;
    Ok((delta, value, rest))
}

/// A delta or length of four bits, with what of it follows.
#[inline]
fn extended(nibble: u8, rest: &[u8]) -> Result<(u32, &[u8]), DecodeErrorKind> {
    match (nibble, rest) {
        (0..=12, _) => Ok((u32::from(nibble), rest)),
        (13, [more, rest @ ..]) => Ok((u32::from(*more) + 13, rest)),
        (14, [high, low, rest @ ..]) => {
            Ok((u32::from(u16::from_be_bytes([*high, *low])) + 269, rest))
        }
        (13 | 14, _) => Err(DecodeErrorKind::OptionLength),
        _ => Err(DecodeErrorKind::ReservedOption),
    }
}

fn push_option(out: &mut Vec<u8>, delta: u16, value: &[u8]) {
    let (delta_nibble, delta) = split_extended(u32::from(delta));
    let (length_nibble, length) = split_extended(value.len() as u32);
    out.push(delta_nibble << 4 | length_nibble);
    for extension in [delta, length] {
        match extension {
            Extension::None => {}
            Extension::One(byte) => out.push(byte),
            Extension::Two(bytes) => out.extend_from_slice(&bytes),
        }
    }
    out.extend_from_slice(value);
}

enum Extension {
    None,
    One(u8),
    Two([u8; 2]),
}

fn split_extended(value: u32) -> (u8, Extension) {
    match value {
        0..=12 => (value as u8, Extension::None),
        13..=268 => (13, Extension::One((value - 13) as u8)),
        _ => (14, Extension::Two(((value - 269) as u16).to_be_bytes())),
    }
}

/// An unsigned integer of at most four bytes, or with leading zeros (RFC 7252, section 3.2).
pub(super) fn decode_uint(value: &[u8]) -> Option<u32> {
    value.iter().try_fold(0u32, |uint, byte| {
        Some(uint.checked_mul(256)? | u32::from(*byte))
    })
}

/// Without leading zeros.
pub(super) fn encode_uint(bytes: &[u8; 4]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
