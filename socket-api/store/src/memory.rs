//! A store in memory, which ends with its process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Batch, DEFAULT_CAPACITY, Records, Result, Store, check_room, record_size};

/// Keeps records in memory.
///
/// Clones hold the same records: in a test, one clone is the disk that outlives a session.
///
/// ```
/// use jackfield_store::{Batch, MemoryStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> jackfield_store::Result<()> {
/// let disk = MemoryStore::new();
/// let mut batch = Batch::new();
/// batch.put("key", "value");
/// disk.clone().commit(batch).await?;
/// assert_eq!(disk.clone().load().await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    held: Arc<Mutex<Held>>,
    capacity: u64,
}

#[derive(Default)]
struct Held {
    records: Records,
    /// Of all records.
    size: u64,
}

impl MemoryStore {
    /// A store that is empty.
    pub fn new() -> Self {
        Self {
            held: Arc::default(),
            capacity: DEFAULT_CAPACITY,
        }
    }

    /// How many bytes it holds, counted as in [`DEFAULT_CAPACITY`], which is the default. A batch
    /// beyond that is [`Full`](crate::ErrorKind::Full).
    #[must_use]
    pub fn with_capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn load(&mut self) -> Result<Records> {
        Ok(self.lock().records.clone())
    }

    async fn commit(&mut self, batch: Batch) -> Result<()> {
        batch.check()?;
        let mut held = self.lock();
        let mut size = held.size;
        for (key, value) in batch.iter() {
            let old = held.records.get(key);
            size -= old.map_or(0, |old| record_size(key, old.len()));
            size += value.map_or(0, |new| record_size(key, new.len()));
        }
        check_room(held.size, size, self.capacity)?;
        batch.apply(&mut held.records);
        held.size = size;
        Ok(())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("records", &self.lock().records.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[tokio::test]
    async fn what_is_deleted_or_replaced_makes_room() {
        let mut store = MemoryStore::new().with_capacity(74);
        let put = |key: &str, bytes| {
            let mut batch = Batch::new();
            batch.put(key, vec![0; bytes]);
            batch
        };
        store.commit(put("a", 9)).await.expect("room for all of it");
        let full = store.commit(put("b", 0)).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Full);
        store.commit(put("a", 3)).await.expect("less than before");
        let mut batch = put("b", 9);
        batch.delete("a");
        store.commit(batch).await.expect("in place of the other");
        assert_eq!(store.load().await.expect("it loads").len(), 1);
    }
}
