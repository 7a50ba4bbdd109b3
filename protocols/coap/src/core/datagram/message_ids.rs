//! Message ids, none of which is used twice while it may mean another message.

use std::time::Duration;

use jackfield_socket::time::Instant;

use crate::codec::MessageId;

/// How many ids share one time of last use, so that a peer costs 4 KiB at the most.
const BLOCK: u32 = 256;
const IDS: u32 = 1 << 16;

/// The ids for one peer: one after the other from a start that chance gave.
#[derive(Debug)]
pub(super) struct MessageIds {
    start: u16,
    /// How many were given, modulo their number.
    given: u32,
    /// When the last of each block was given; as long as the blocks that were used.
    last_used: Vec<Instant>,
}

impl MessageIds {
    pub(super) fn new(start: u16) -> Self {
        Self {
            start,
            given: 0,
            last_used: Vec::new(),
        }
    }

    /// The next id.
    ///
    /// # Errors
    /// When there will be one, if all are in use: 65536 in one lifetime are all there are.
    pub(super) fn next(&mut self, now: Instant, lifetime: Duration) -> Result<MessageId, Instant> {
        let block = (self.given / BLOCK) as usize;
        let begins = self.given.is_multiple_of(BLOCK);
        match self.last_used.get_mut(block) {
            Some(used) => {
                let free = *used + lifetime;
                if begins && free > now {
                    return Err(free);
                }
                *used = now;
            }
            None => self.last_used.push(now),
        }
        let id = self.start.wrapping_add(self.given as u16);
        self.given = (self.given + 1) % IDS;
        Ok(MessageId(id))
    }

    /// Whether none of its ids may mean a message any more.
    pub(super) fn is_forgettable(&self, now: Instant, lifetime: Duration) -> bool {
        self.last_used.iter().all(|used| *used + lifetime <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_used_twice_in_its_lifetime() {
        let lifetime = Duration::from_secs(247);
        let mut now = Instant::now();
        let mut ids = MessageIds::new(65000);
        let mut used = std::collections::HashMap::new();
        let mut waited = 0;
        for _ in 0..200_000 {
            let id = match ids.next(now, lifetime) {
                Ok(id) => id,
                Err(free) => {
                    assert!(free > now);
                    now = free;
                    waited += 1;
                    ids.next(now, lifetime).expect("it is free now")
                }
            };
            if let Some(before) = used.insert(id, now) {
                assert!(now - before >= lifetime, "{id:?} after {:?}", now - before);
            }
            now += Duration::from_millis(1);
        }
        assert!(waited > 0, "the ids never ran out");
        assert!(!ids.is_forgettable(now, lifetime));
        assert!(ids.is_forgettable(now + lifetime, lifetime));
    }
}
