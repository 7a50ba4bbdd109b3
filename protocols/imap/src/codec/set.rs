//! Sets of message numbers or UIDs (RFC 9051, section 9, `sequence-set`).

use std::fmt;
use std::str::FromStr;

use super::error::InvalidValue;
use super::framer::decimal;

/// A set of message numbers or UIDs, which is never empty: no mistake can make "nothing" into
/// "everything".
///
/// ```
/// use jackfield_imap::codec::SequenceSet;
///
/// let set = SequenceSet::of([7, 3, 4, 5]).expect("not empty");
/// assert_eq!(set.to_string(), "3:5,7");
/// assert_eq!(SequenceSet::of([]), None);
/// assert_eq!("1:*".parse::<SequenceSet>()?, SequenceSet::everything());
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SequenceSet(Vec<(u32, u32)>);

/// `*`: the highest there is, whatever that may be.
const STAR: u32 = 0;

impl SequenceSet {
    /// These numbers, in ascending order; `None` where there are none, or one is 0.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                _ if number == STAR => return None,
                Some((_, last)) if number <= last.saturating_add(1) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// From one number to another, both included, in whichever order; `None` where one is 0.
    pub fn range(from: u32, to: u32) -> Option<Self> {
        let is_number = from != STAR && to != STAR;
        is_number.then(|| Self(vec![(from.min(to), from.max(to))]))
    }

    /// From this number to the highest there is, and the highest in any case (RFC 9051, section
    /// 6.4.9); `None` for 0.
    pub fn from(number: u32) -> Option<Self> {
        (number != STAR).then(|| Self(vec![(number, STAR)]))
    }

    /// Everything: `1:*`.
    pub fn everything() -> Self {
        Self(vec![(1, STAR)])
    }

    /// Whether a number is in it. Where the set ends with `*`, what that stands for is not known,
    /// and its numbers are those from its beginning on.
    pub fn contains(&self, number: u32) -> bool {
        let is_in = |&(from, to): &(u32, u32)| from <= number && (to == STAR || number <= to);
        number != STAR && self.0.iter().any(is_in)
    }

    /// Whether a number may be in it, whatever `*` stands for: that is in the set even where it is
    /// lower than the set's beginning.
    pub(crate) fn may_contain(&self, number: u32) -> bool {
        self.contains(number) || self.0.iter().any(|range| range.1 == STAR)
    }

    /// Whether two sets have no number in common, as far as can be told: `*` may be any.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        let has_star = |set: &Self| set.0.iter().any(|range| range.1 == STAR);
        if has_star(self) || has_star(other) {
            return false;
        }
        self.0
            .iter()
            .all(|one| other.0.iter().all(|two| one.1 < two.0 || two.1 < one.0))
    }

    /// Its numbers, in its order; those of `*` are not among them.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let known = self.0.iter().filter(|range| range.1 != STAR);
        known.flat_map(|&(from, to)| from..=to)
    }

    /// How many numbers are in it; those of `*` are not counted.
    pub fn count(&self) -> u64 {
        let known = self.0.iter().filter(|range| range.1 != STAR);
        known.map(|&(from, to)| u64::from(to - from) + 1).sum()
    }

    /// Its ranges, in its order, where `*` is this number, which is not 0.
    pub fn up_to(&self, highest: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let known = move |number| if number == STAR { highest } else { number };
        let ranges = self.0.iter();
        ranges.map(move |&(from, to)| {
            let (from, to) = (known(from), known(to));
            (from.min(to), from.max(to))
        })
    }

    /// Those of its numbers that are lower than this one; `None` where there are none. Where the set
    /// ends with `*`, its numbers are those from its beginning on.
    ///
    /// ```
    /// use jackfield_imap::codec::SequenceSet;
    ///
    /// let set: SequenceSet = "3:5,7:*".parse()?;
    /// assert_eq!(set.below(9).expect("some").to_string(), "3:5,7:8");
    /// assert_eq!(set.below(3), None);
    /// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
    /// ```
    pub fn below(&self, number: u32) -> Option<Self> {
        let last = number.checked_sub(1)?;
        let cut = |&(from, to): &(u32, u32)| {
            let to = if to == STAR { last } else { to.min(last) };
            (from != STAR && from <= to).then_some((from, to))
        };
        Self::of_ranges(self.0.iter().filter_map(cut).collect())
    }

    /// Those of its numbers that are not lower than this one, `*` among them where it was;
    /// `None` where there are none.
    pub(crate) fn at_least(&self, number: u32) -> Option<Self> {
        let cut = |&(from, to): &(u32, u32)| {
            (to == STAR || number <= to).then_some((from.max(number), to))
        };
        Self::of_ranges(self.0.iter().filter_map(cut).collect())
    }

    /// Ranges that are in order; `None` where there are none.
    pub(crate) fn of_ranges(ranges: Vec<(u32, u32)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// How many ranges it is written in.
    pub fn ranges(&self) -> usize {
        self.0.len()
    }

    /// In parts of which none takes more than so many bytes: servers refuse lines that are too long.
    pub fn split(&self, bytes: usize) -> Vec<Self> {
        // A range is two numbers of ten digits, a colon and a comma.
        let parts = self.0.chunks((bytes / 22).max(1));
        parts.map(|ranges| Self(ranges.to_vec())).collect()
    }

    /// Whether it takes no more than so many bytes, or can't take less.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.len() <= bytes || self.0.len() == 1
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 20];
        for (index, &(from, to)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            for (number, separator) in [(from, None), (to, Some(b':'))] {
                if separator.is_some() && to == from {
                    continue;
                }
                out.extend(separator);
                match number {
                    STAR => out.push(b'*'),
                    number => out.extend_from_slice(decimal(u64::from(number), &mut digits)),
                }
            }
        }
    }

    /// Reads one at the beginning of some bytes: the set, and its length.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b':' | b'*' | b',');
        let length = bytes.iter().take_while(is_part).count();
        let text = std::str::from_utf8(&bytes[..length]).ok()?;
        let mut ranges = Vec::new();
        for range in text.split(',') {
            let (from, to) = range.split_once(':').unwrap_or((range, range));
            let bound = |text: &str| match text {
                "*" => Some(STAR),
                text => text.parse().ok().filter(|number| *number != STAR),
            };
            let (from, to) = (bound(from)?, bound(to)?);
            // `*:5` is `5:*`, and `9:5` is `5:9`.
            let is_upside_down = from == STAR || (to != STAR && to < from);
            ranges.push(if is_upside_down {
                (to, from)
            } else {
                (from, to)
            });
        }
        Some((Self(ranges), length))
    }
}

impl FromStr for SequenceSet {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match Self::read(text.as_bytes()) {
            Some((set, length)) if length == text.len() => Ok(set),
            _ => Err(InvalidValue::Set),
        }
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        f.pad(&String::from_utf8_lossy(&bytes))
    }
}

impl fmt::Debug for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Messages of the mailbox that is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there are no other names for messages"
)]
pub enum Messages {
    /// By their UIDs, which stay the same.
    Uids(SequenceSet),
    /// By their numbers, which are other ones whenever a message before them is expunged.
    Numbers(SequenceSet),
    /// Those that the server keeps since the last search with
    /// [`SearchReturn::Save`](super::SearchReturn::Save), `$` (SEARCHRES, RFC 5182): none, where it
    /// failed.
    Saved,
}

impl Messages {
    /// Other ones, by the same names.
    pub(crate) fn with(&self, set: SequenceSet) -> Self {
        match self {
            Self::Uids(_) | Self::Saved => Self::Uids(set),
            Self::Numbers(_) => Self::Numbers(set),
        }
    }

    /// The set, whichever it is; `None` where only the server knows it.
    pub fn set(&self) -> Option<&SequenceSet> {
        match self {
            Self::Uids(set) | Self::Numbers(set) => Some(set),
            Self::Saved => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_and_read() {
        for text in ["1", "1:*", "*", "3:5,7", "4294967295", "9,1"] {
            let set: SequenceSet = text.parse().expect(text);
            assert_eq!(set.to_string(), text);
        }
        for text in ["", "0", "1,", ",1", "1:", "x", "1 2", "4294967296", "1\r\n"] {
            text.parse::<SequenceSet>().expect_err(text);
        }
        let upside_down: SequenceSet = "9:5,*:3".parse().expect("a set");
        assert_eq!(upside_down.to_string(), "5:9,3:*");
    }

    #[test]
    fn sets_know_what_they_have_in_common() {
        let set = |text: &str| text.parse::<SequenceSet>().expect("a set");
        assert!(set("1:3,7").is_disjoint(&set("4:6,8")));
        assert!(!set("1:3,7").is_disjoint(&set("3")));
        assert!(!set("1").is_disjoint(&set("5:*")));
        assert!(set("5:*").contains(9) && !set("5:*").contains(4));
        let many = SequenceSet::of((1..100).map(|number| number * 2)).expect("numbers");
        let parts = many.split(220);
        assert_eq!(parts.len(), 10);
        assert!(parts.iter().all(|part| part.to_string().len() <= 220));
    }
}
