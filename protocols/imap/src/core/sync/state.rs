//! What is known of a mailbox from one synchronisation to the next.

use super::known::{Known, Print, Ranges};
use crate::codec::{InvalidValue, SequenceSet};

/// What is known of a mailbox: what a synchronisation begins with, and what it leaves. It belongs to a
/// local copy, and is stored with it.
///
/// It is small: messages that stand in a row and have the same flags take a few bytes together. Of
/// their flags it has no more than is needed to see that they have changed.
///
/// ```
/// use jackfield_imap::core::SyncState;
///
/// let state = SyncState::new();
/// assert!(state.is_new());
/// assert_eq!(SyncState::from_bytes(&state.to_bytes())?, state);
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// 0 before the first time.
    pub(super) uid_validity: u32,
    /// What is known of the messages that are known is as of this change, or newer; 0 where changes
    /// are not counted.
    pub(super) modseq: u64,
    /// Those from this UID on are new.
    pub(super) next: u32,
    /// Those below that were not asked for yet.
    pub(super) todo: Ranges,
    pub(super) known: Known,
}

/// How the bytes begin.
const VERSION: u8 = 1;

impl Default for SyncState {
    fn default() -> Self {
        Self::new()
    }
}

impl SyncState {
    /// Nothing is known.
    pub fn new() -> Self {
        Self {
            uid_validity: 0,
            modseq: 0,
            next: 1,
            todo: Ranges::default(),
            known: Known::default(),
        }
    }

    /// Whether it was never used.
    pub fn is_new(&self) -> bool {
        self.uid_validity == 0
    }

    /// The UIDVALIDITY that the UIDs belong to; `None` before the first time.
    pub fn uid_validity(&self) -> Option<u32> {
        (self.uid_validity != 0).then_some(self.uid_validity)
    }

    /// The change up to which everything is known of the messages that are known (CONDSTORE); `None`
    /// where changes are not counted.
    pub fn modseq(&self) -> Option<u64> {
        (self.modseq != 0).then_some(self.modseq)
    }

    /// The UIDs of the messages that are known; `None` where there are none.
    pub fn uids(&self) -> Option<SequenceSet> {
        self.known.ranges(1, u32::MAX).into_set()
    }

    /// How many messages are known.
    pub fn count(&self) -> u64 {
        self.known.count()
    }

    /// Whether a message is known.
    pub fn contains(&self, uid: u32) -> bool {
        self.known.get(uid).is_some()
    }

    /// As bytes, to be stored. Their form stays: what a version of this crate has written, later ones
    /// read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write(&mut out, self.uid_validity.into());
        write(&mut out, self.modseq);
        write(&mut out, self.next.into());
        // Ranges are told by their distances and lengths, which are small numbers.
        write(&mut out, self.todo.iter().count() as u64);
        let mut at = 0;
        for (from, to) in self.todo.iter() {
            write(&mut out, (from - at).into());
            write(&mut out, (to - from).into());
            at = to;
        }
        let mut prints: Vec<u64> = self.known.runs().map(|(_, _, print)| print.0).collect();
        prints.sort_unstable();
        prints.dedup();
        write(&mut out, prints.len() as u64);
        for print in &prints {
            out.extend_from_slice(&print.to_le_bytes());
        }
        write(&mut out, self.known.runs().count() as u64);
        let mut at = 0;
        for (from, to, print) in self.known.runs() {
            let print = prints.binary_search(&print.0).unwrap_or_default();
            write(&mut out, (from - at).into());
            write(&mut out, (to - from).into());
            write(&mut out, print as u64);
            at = to;
        }
        out
    }

    /// What was written by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`InvalidValue::SyncState`] where it was not: a synchronisation then begins anew.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidValue> {
        let mut reader = Reader(bytes);
        reader.state().ok_or(InvalidValue::SyncState)
    }
}

/// A number, seven bits a byte, the low ones first.
fn write(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn state(&mut self) -> Option<SyncState> {
        if self.byte()? != VERSION {
            return None;
        }
        let mut state = SyncState {
            uid_validity: self.number()?.try_into().ok()?,
            modseq: self.number()?,
            next: self.number()?.try_into().ok().filter(|next| *next > 0)?,
            todo: Ranges::default(),
            known: Known::default(),
        };
        let mut at = 0;
        for _ in 0..self.number()? {
            let (from, to) = self.range(at)?;
            state.todo.push(from, to);
            at = to;
        }
        let mut prints = Vec::new();
        for _ in 0..self.number()? {
            let (print, rest) = self.0.split_first_chunk()?;
            prints.push(Print(u64::from_le_bytes(*print)));
            self.0 = rest;
        }
        let mut at = 0;
        for _ in 0..self.number()? {
            let (from, to) = self.range(at)?;
            let print = usize::try_from(self.number()?).ok()?;
            state.known.insert_run(from, to, *prints.get(print)?);
            at = to;
        }
        self.0.is_empty().then_some(state)
    }

    /// A range that stands behind a number.
    fn range(&mut self, at: u32) -> Option<(u32, u32)> {
        let distance: u32 = self.number()?.try_into().ok()?;
        let length: u32 = self.number()?.try_into().ok()?;
        let from = at.checked_add(distance).filter(|from| *from > at)?;
        Some((from, from.checked_add(length)?))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_panics() {
        let mut state = SyncState::new();
        (state.uid_validity, state.modseq, state.next) = (u32::MAX, u64::MAX, 5000);
        state.todo.insert(1, 40);
        state.todo.insert(60, 99);
        for uid in (100..4000).chain([u32::MAX]) {
            state.known.insert(uid, Print(u64::from(uid / 700)));
        }
        let bytes = state.to_bytes();
        assert!(bytes.len() < 150, "{} bytes", bytes.len());
        assert_eq!(SyncState::from_bytes(&bytes).as_ref(), Ok(&state));
        for length in 0..bytes.len() {
            SyncState::from_bytes(&bytes[..length]).expect_err("it is not whole");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let mut broken = bytes.clone();
            let at = random.usize(..broken.len());
            broken[at] = random.u8(..);
            if let Ok(state) = SyncState::from_bytes(&broken) {
                assert_eq!(SyncState::from_bytes(&state.to_bytes()), Ok(state));
            }
        }
        assert_eq!(SyncState::from_bytes(&[]), Err(InvalidValue::SyncState));
    }

    #[test]
    fn the_form_of_the_bytes_stays() {
        let mut state = SyncState::new();
        (state.uid_validity, state.modseq, state.next) = (7, 300, 12);
        state.todo.insert(1, 3);
        state.known.insert_run(5, 9, Print(1));
        state.known.insert(11, Print(2));
        let bytes = [
            1, 7, 0xac, 2, 12, 1, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 5, 4,
            0, 2, 0, 1,
        ];
        assert_eq!(state.to_bytes(), bytes);
    }
}
