//! Durable changes: what a session waits for before it acts on it, until the store has it.

use jackfield_store::Batch;

/// Names a batch of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(u64);

/// Collects changes. What was changed since the last batch goes into the next, as one.
#[derive(Debug)]
pub(super) struct Durable {
    enabled: bool,
    collected: Batch,
    /// The number that the collected changes will have as a batch.
    next: u64,
    /// The batch that is being stored.
    storing: Option<u64>,
    /// The last that was.
    stored: u64,
}

/// What has to be stored before something may happen: a batch's number, or 0 for nothing.
pub(super) type After = u64;

impl Durable {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            collected: Batch::new(),
            next: 1,
            storing: None,
            stored: 0,
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Adds a change. `value` is only asked for where it is kept.
    pub(super) fn put(&mut self, key: Vec<u8>, value: impl FnOnce() -> Vec<u8>) {
        if self.enabled {
            self.collected.put(key, value());
        }
    }

    pub(super) fn delete(&mut self, key: Vec<u8>) {
        if self.enabled {
            self.collected.delete(key);
        }
    }

    /// What has to be stored before anything that depends on the changes so far.
    pub(super) fn after(&self) -> After {
        if !self.enabled {
            0
        } else if !self.collected.is_empty() {
            self.next
        } else {
            self.storing.unwrap_or(self.stored)
        }
    }

    pub(super) fn is_reached(&self, after: After) -> bool {
        after <= self.stored
    }

    /// The next batch, when there is one and no other is being stored.
    pub(super) fn take(&mut self) -> Option<(StoreId, Batch)> {
        if self.storing.is_some() || self.collected.is_empty() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.storing = Some(number);
        Some((StoreId(number), std::mem::take(&mut self.collected)))
    }

    pub(super) fn stored(&mut self, id: StoreId) {
        if self.storing == Some(id.0) {
            self.storing = None;
            self.stored = id.0;
        }
    }
}
