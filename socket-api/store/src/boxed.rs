//! A boxed store: any store behind one type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::{Batch, Records, Result, Store};

/// Any store, its type forgotten: where which one it is can be known only at run time.
///
/// ```
/// use jackfield_store::{BoxStore, MemoryStore};
///
/// fn choose(persistent: Option<BoxStore>) -> BoxStore {
///     persistent.unwrap_or_else(|| BoxStore::new(MemoryStore::new()))
/// }
/// # let _ = choose(None);
/// ```
pub struct BoxStore(Box<dyn ErasedStore>);

impl BoxStore {
    /// This store, with its type forgotten.
    pub fn new(store: impl Store) -> Self {
        Self(Box::new(store))
    }
}

impl Store for BoxStore {
    async fn load(&mut self) -> Result<Records> {
        self.0.load().await
    }

    async fn commit(&mut self, batch: Batch) -> Result<()> {
        self.0.commit(batch).await
    }
}

impl fmt::Debug for BoxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxStore").finish_non_exhaustive()
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// [`Store`] with boxed futures, so that it fits behind a pointer.
trait ErasedStore: Send {
    fn load(&mut self) -> Boxed<'_, Records>;
    fn commit(&mut self, batch: Batch) -> Boxed<'_, ()>;
}

impl<S: Store> ErasedStore for S {
    fn load(&mut self) -> Boxed<'_, Records> {
        Box::pin(Store::load(self))
    }

    fn commit(&mut self, batch: Batch) -> Boxed<'_, ()> {
        Box::pin(Store::commit(self, batch))
    }
}
