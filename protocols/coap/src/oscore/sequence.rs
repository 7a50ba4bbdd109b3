//! Sender sequence numbers: each is used once, whatever happens.

use super::crypto::MAX_PARTIAL_IV;
use super::{Error, ErrorKind};

/// How many numbers one commit reserves. What of a block has not been used when the program ends is
/// lost, of which there is enough for a billion starts.
pub(super) const BLOCK: u64 = 1024;
/// When fewer numbers are left, the next block is reserved.
const LOW_WATER: u64 = BLOCK / 2;
/// One more than the last number (section 7.2.1).
pub(super) const END: u64 = 1 << 40;

/// The form of a record.
const VERSION: u8 = 1;

/// The number of the next message, and how far may be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    next: u64,
    /// From here on, numbers are not durably ours yet.
    reserved: u64,
}

impl Sequence {
    /// All numbers are free to use.
    pub(super) fn unbounded() -> Self {
        Self {
            next: 0,
            reserved: END,
        }
    }

    /// Numbers from here on, none of which is reserved yet.
    pub(super) fn starting_at(next: u64) -> Self {
        Self {
            next,
            reserved: next,
        }
    }

    /// The next number.
    pub(super) fn take(&mut self) -> Result<PartialIv, Error> {
        let number = self.next;
        if number >= END {
            return Err(Error::new(
                ErrorKind::Exhausted,
                "all sequence numbers of the security context have been used",
            ));
        }
        if number >= self.reserved {
            return Err(Error::new(
                ErrorKind::Unreserved,
                "no sequence number is reserved at the moment",
            ));
        }
        self.next += 1;
        Ok(PartialIv::new(number))
    }

    /// Whether there would be a next number, were it reserved.
    pub(super) fn is_unreserved(&self) -> bool {
        self.next >= self.reserved && self.next < END
    }

    /// How far the next reservation goes, where it is time for one.
    pub(super) fn wanted(&self) -> Option<u64> {
        let left = self.reserved - self.next;
        (left < LOW_WATER && self.reserved < END).then(|| (self.reserved + BLOCK).min(END))
    }

    /// The numbers up to here are durably ours.
    pub(super) fn reserve(&mut self, end: u64) {
        self.reserved = end;
    }
}

/// What is stored: the first number that nobody has been promised.
pub(super) fn encode_record(end: u64) -> Vec<u8> {
    let mut record = vec![VERSION];
    record.extend_from_slice(&end.to_be_bytes());
    record
}

/// Reads a record back; `None` where it is not valid.
pub(super) fn decode_record(record: &[u8]) -> Option<u64> {
    let (&version, number) = record.split_first()?;
    let end = u64::from_be_bytes(number.try_into().ok()?);
    (version == VERSION && end <= END).then_some(end)
}

/// A sequence number as it is sent: without zeros in front, 0 itself as one byte (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartialIv {
    bytes: [u8; MAX_PARTIAL_IV],
    first: u8,
}

impl PartialIv {
    /// `number` must be below [`END`].
    fn new(number: u64) -> Self {
        let [_, _, _, bytes @ ..] = number.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self {
            bytes,
            first: zeros.min(MAX_PARTIAL_IV - 1) as u8,
        }
    }

    /// Of at most 5 bytes; `None` where there are more.
    pub(super) fn from_bytes(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_PARTIAL_IV];
        let first = MAX_PARTIAL_IV.checked_sub(value.len())?;
        bytes.get_mut(first..)?.copy_from_slice(value);
        Some(Self {
            bytes,
            first: first as u8,
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.first)..]
    }

    pub(super) fn number(self) -> u64 {
        self.bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_zeros_in_front() {
        for (number, bytes) in [
            (0, &[0][..]),
            (1, &[1]),
            (0x100, &[1, 0]),
            (END - 1, &[0xff; 5]),
        ] {
            let partial_iv = PartialIv::new(number);
            assert_eq!(partial_iv.as_bytes(), bytes);
            assert_eq!(partial_iv.number(), number);
            assert!(PartialIv::from_bytes(bytes) == Some(partial_iv));
        }
    }

    #[test]
    fn no_number_is_given_out_before_it_is_reserved() {
        let mut sequence = Sequence::starting_at(7);
        let refused = sequence.take().expect_err("none is reserved");
        assert_eq!(refused.kind(), ErrorKind::Unreserved);
        assert_eq!(sequence.wanted(), Some(7 + BLOCK));
        sequence.reserve(7 + BLOCK);
        for expected in 7..7 + BLOCK {
            assert_eq!(
                sequence.wanted().is_some(),
                7 + BLOCK - expected < LOW_WATER,
                "{expected}"
            );
            assert_eq!(sequence.take().expect("a number").number(), expected);
        }
        assert!(sequence.take().is_err());
    }

    #[test]
    fn the_last_number_is_used_and_none_after_it() {
        let mut sequence = Sequence::starting_at(END - 1);
        assert_eq!(sequence.wanted(), Some(END));
        sequence.reserve(END);
        assert_eq!(sequence.take().expect("the last").number(), END - 1);
        let refused = sequence.take().expect_err("none is left");
        assert_eq!(refused.kind(), ErrorKind::Exhausted);
        assert_eq!(sequence.wanted(), None);
    }

    #[test]
    fn records_read_back_and_nothing_else_does() {
        for end in [0, 1, END] {
            assert_eq!(decode_record(&encode_record(end)), Some(end));
        }
        for wrong in [
            &[][..],
            &[VERSION],
            &[2, 0, 0, 0, 0, 0, 0, 0, 0],
            &[VERSION, 0, 0, 0, 0, 0, 0, 0],
            &[VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &encode_record(END + 1),
        ] {
            assert_eq!(decode_record(wrong), None);
        }
    }
}
