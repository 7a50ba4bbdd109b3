//! Packet identifiers in use (MQTT 5, section 2.2.1): one space for messages and requests.

use std::collections::HashSet;
use std::num::NonZeroU16;

use crate::codec::PacketId;

#[derive(Debug)]
pub(super) struct PacketIds {
    used: HashSet<PacketId>,
    last: u16,
}

impl PacketIds {
    pub(super) fn new() -> Self {
        Self {
            used: HashSet::new(),
            last: 0,
        }
    }

    /// One that is free, the least recently used first as far as possible; `None` where all 65,535
    /// are in use.
    pub(super) fn allocate(&mut self) -> Option<PacketId> {
        if self.used.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last)
                && self.used.insert(id)
            {
                return Some(id);
            }
        }
    }

    /// Marks one as used; whether it was free.
    pub(super) fn reserve(&mut self, id: PacketId) -> bool {
        self.last = self.last.max(id.get());
        self.used.insert(id)
    }

    pub(super) fn free(&mut self, id: PacketId) {
        self.used.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_dealt_and_none_twice() {
        let mut ids = PacketIds::new();
        let dealt: HashSet<_> = std::iter::from_fn(|| ids.allocate()).collect();
        assert_eq!(dealt.len(), 65_535);
        let freed = NonZeroU16::MIN;
        ids.free(freed);
        assert_eq!(ids.allocate(), Some(freed));
        assert_eq!(ids.allocate(), None);
    }
}
