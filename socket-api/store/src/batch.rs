//! Batches: changes that belong together.

use std::fmt;

use jackfield_socket::sorted::SortedMap;

use crate::{Error, ErrorKind, Records, Result, record_size};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1024;
/// The longest value, in bytes: 16 MiB.
pub const MAX_VALUE: usize = 16 * 1024 * 1024;
/// The largest batch, by its [size](Batch::size): 64 MiB.
pub const MAX_BATCH: usize = 64 * 1024 * 1024;

/// Changes to a store that are made together.
///
/// It holds one change a key: a later one takes the place of an earlier one, so that a batch that
/// was collected for a while holds what came of it and no more.
///
/// ```
/// use jackfield_store::Batch;
///
/// let mut batch = Batch::new();
/// batch.put("next", 7_u32.to_be_bytes());
/// batch.put("next", 8_u32.to_be_bytes());
/// batch.delete("message/6");
/// let changes: Vec<_> = batch.iter().collect();
/// assert_eq!(
///     changes,
///     [(&b"message/6"[..], None), (&b"next"[..], Some(&[0, 0, 0, 8][..]))]
/// );
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: SortedMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value under a key, whether there was one or not.
    ///
    /// A key has up to [`MAX_KEY`] bytes, a value up to [`MAX_VALUE`]; committing tells when they
    /// are longer.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), Some(value.into()));
    }

    /// Deletes the value under a key, if there is one.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), None);
    }

    /// Adds the changes of a batch that comes after this one.
    pub fn append(&mut self, later: Self) {
        // What is there already is overwritten.
        self.changes.extend(later.changes);
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many keys it changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Its size in bytes, counted as in [`DEFAULT_CAPACITY`](crate::DEFAULT_CAPACITY).
    pub fn size(&self) -> u64 {
        self.iter()
            .map(|(key, value)| record_size(key, value.map_or(0, <[u8]>::len)))
            .sum()
    }

    /// The changes in the order of their keys: the new value, or `None` where it is deleted.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Makes the changes in these records.
    pub fn apply(self, records: &mut Records) {
        for (key, value) in self.changes {
            match value {
                Some(value) => records.insert(key, value),
                None => records.remove(&key),
            };
        }
    }

    /// Whether it is within the limits. Every store asks this before anything else.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge), where a key, a value or the batch is too long.
    pub fn check(&self) -> Result<()> {
        let longest = |part: &str, bytes: u64, limit: usize| {
            if bytes <= limit as u64 {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::TooLarge,
                format!("a {part} of {bytes} bytes, where {limit} are the most"),
            ))
        };
        for (key, value) in self.iter() {
            longest("key", key.len() as u64, MAX_KEY)?;
            longest("value", value.map_or(0, <[u8]>::len) as u64, MAX_VALUE)?;
        }
        longest("batch", self.size(), MAX_BATCH)
    }
}

/// Shows how much it changes, and nothing of what.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("changes", &self.len())
            .field("size", &self.size())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_batch_overwrites() {
        let mut batch = Batch::new();
        batch.put("a", "1");
        batch.delete("b");
        let mut later = Batch::new();
        later.delete("a");
        later.put("b", "2");
        batch.append(later);
        let mut records = Records::from([(b"a".to_vec(), b"0".to_vec())]);
        batch.apply(&mut records);
        assert_eq!(records, Records::from([(b"b".to_vec(), b"2".to_vec())]));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let mut batch = Batch::new();
        batch.put(vec![0; MAX_KEY], vec![0; MAX_VALUE]);
        batch.check().expect("within the limits");
        for n in 0..4 {
            batch.put([n], vec![0; MAX_VALUE]);
        }
        assert_eq!(batch.check().unwrap_err().kind(), ErrorKind::TooLarge);

        for (key, value) in [(MAX_KEY + 1, 0), (1, MAX_VALUE + 1)] {
            let mut batch = Batch::new();
            batch.put(vec![0; key], vec![0; value]);
            assert_eq!(batch.check().unwrap_err().kind(), ErrorKind::TooLarge);
        }
    }
}
