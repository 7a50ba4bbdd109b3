//! A small durable store, for what must outlive a process or a tab.
//!
//! A session of MQTT with messages in flight, the sequence numbers of OSCORE: little, and lost only
//! with consequences. A [`Store`] keeps it as records, a key and a value each, both bytes, which
//! are loaded all at once and changed in [batches](Batch). A batch is whole or not at all, and what
//! was committed is still there after a crash.
//!
//! What the records mean is their owner's affair; a store has one owner at a time.
//!
//! - [`MemoryStore`] keeps them for as long as it lives: for tests, and for those who need no more.
//! - `FileStore` keeps them in a file, natively, with the feature `file`.
//! - `IndexedDbStore` keeps them in a browser.
//!
//! ```
//! use jackfield_store::{Batch, MemoryStore, Store};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> jackfield_store::Result<()> {
//! let mut store = MemoryStore::new();
//! let mut batch = Batch::new();
//! batch.put("message/1", "hello");
//! batch.put("message/2", "world");
//! store.commit(batch).await?;
//!
//! let mut batch = Batch::new();
//! batch.delete("message/1");
//! store.commit(batch).await?;
//!
//! let records = store.load().await?;
//! assert_eq!(records.len(), 1);
//! assert_eq!(records[&b"message/2"[..]], b"world");
//! # Ok(())
//! # }
//! ```

mod batch;
mod boxed;
mod error;
#[cfg(all(feature = "file", not(wasm_browser)))]
mod file;
#[cfg(wasm_browser)]
mod indexed_db;
mod memory;

use std::future::Future;

use jackfield_socket::sorted::SortedMap;

pub use batch::{Batch, MAX_BATCH, MAX_KEY, MAX_VALUE};
pub use boxed::BoxStore;
pub use error::{Error, ErrorKind, Result};
#[cfg(all(feature = "file", not(wasm_browser)))]
pub use file::FileStore;
#[cfg(wasm_browser)]
pub use indexed_db::IndexedDbStore;
pub use memory::MemoryStore;

/// What a store holds: values by their keys, in the keys' order.
pub type Records = SortedMap<Vec<u8>, Vec<u8>>;

/// How many bytes a store holds, unless told otherwise: its keys and values, each record counted
/// with 64 bytes on top.
pub const DEFAULT_CAPACITY: u64 = 256 * 1024 * 1024;
/// What a record takes beside its key and value, roughly.
const RECORD_OVERHEAD: u64 = 64;

/// What a record counts.
fn record_size(key: &[u8], value_len: usize) -> u64 {
    (key.len() + value_len) as u64 + RECORD_OVERHEAD
}

/// Whether a store may grow from one size to another.
fn check_room(before: u64, after: u64, capacity: u64) -> Result<()> {
    // One that was given less room than it took can still shrink.
    if after <= capacity || after <= before {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Full,
        format!("the store holds {capacity} bytes at the most"),
    ))
}

/// A durable store of records.
///
/// # Errors
/// What a store refuses beforehand – a batch beyond its limits
/// ([`TooLarge`](ErrorKind::TooLarge)), or for which there is no room ([`Full`](ErrorKind::Full)) –
/// changes nothing, and the store goes on. After any other error it is not known whether the batch
/// is stored: it fails from then on, and shows when it is opened again.
pub trait Store: Send + 'static {
    /// All records.
    ///
    /// # Errors
    /// Where they can't be read.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    fn load(&mut self) -> impl Future<Output = Result<Records>> + Send;

    /// Makes all changes of a batch, at once and for good: they are durable when this returns.
    ///
    /// # Errors
    /// As [above](Self#errors).
    ///
    /// # Cancel safety
    /// When the future is dropped, the batch has happened whole, or will, or never does: no part of
    /// it alone, and nothing that is asked of the store later comes before it.
    fn commit(&mut self, batch: Batch) -> impl Future<Output = Result<()>> + Send;
}
