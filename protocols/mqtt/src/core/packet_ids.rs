//! Packet identifiers in use (MQTT 5, section 2.2.1): one space for messages and requests.

use std::num::NonZeroU16;

use crate::codec::PacketId;

/// Identifiers in one word of bits.
const BITS: u16 = u64::BITS as u16;

#[derive(Debug)]
pub(super) struct PacketIds {
    /// A bit for each that is in use; no longer than the highest of them asks for.
    bits: Vec<u64>,
    /// How many are.
    used: usize,
    last: u16,
}

impl PacketIds {
    pub(super) fn new() -> Self {
        Self {
            bits: Vec::new(),
            used: 0,
            last: 0,
        }
    }

    /// One that is free, the least recently used first as far as possible; `None` where all 65,535
    /// are in use.
    pub(super) fn allocate(&mut self) -> Option<PacketId> {
        if self.used >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last)
                && self.mark(id)
            {
                return Some(id);
            }
        }
    }

    /// Marks one as used; whether it was free.
    pub(super) fn reserve(&mut self, id: PacketId) -> bool {
        self.last = self.last.max(id.get());
        self.mark(id)
    }

    pub(super) fn free(&mut self, id: PacketId) {
        let (word, bit) = place(id);
        if let Some(word) = self.bits.get_mut(word)
            && *word & bit != 0
        {
            *word &= !bit;
            self.used -= 1;
        }
    }

    fn mark(&mut self, id: PacketId) -> bool {
        let (word, bit) = place(id);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        match self.bits.get_mut(word) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                self.used += 1;
                true
            }
            _ => false,
        }
    }
}

/// Its word, and its bit in that.
fn place(id: PacketId) -> (usize, u64) {
    (usize::from(id.get() / BITS), 1 << (id.get() % BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_dealt_and_none_twice() {
        let mut ids = PacketIds::new();
        let dealt: std::collections::HashSet<_> = std::iter::from_fn(|| ids.allocate()).collect();
        assert_eq!(dealt.len(), 65_535);
        let freed = NonZeroU16::MIN;
        ids.free(freed);
        assert_eq!(ids.allocate(), Some(freed));
        assert_eq!(ids.allocate(), None);
    }
}
