//! An OSCORE security context, and the store in which its sequence numbers are kept.

use jackfield_socket::time;
use jackfield_store::{Batch, BoxStore, Store};

use crate::core::{MessageLayer, Session, StoreId};
use crate::oscore::{Context, Error, ErrorKind, Parameters};

/// A security context (RFC 8613, section 3) for a client or a server, and the store that keeps its
/// sequence numbers: a number that is used twice with one key gives both messages away.
#[derive(Debug)]
pub struct SecurityContext {
    context: Context,
    store: Option<BoxStore>,
}

impl SecurityContext {
    /// Opens a security context whose sequence numbers are kept in a store: it goes on where the
    /// last one with the same parameters left off, in whichever process that was.
    ///
    /// The store must be the same each time. One that has lost its records is as good as new keys
    /// that are old: never use the keys again then.
    ///
    /// # Errors
    /// [`Store`](ErrorKind::Store), where the store fails, or holds what this version can't read.
    ///
    /// # Cancel safety
    /// Dropping the future loses some sequence numbers, of which there are plenty.
    ///
    /// ```
    /// use jackfield_coap::client::{ClientConfig, SecurityContext};
    /// use jackfield_coap::oscore::Parameters;
    /// use jackfield_store::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // In a program, a `FileStore`; in a page, an `IndexedDbStore`.
    /// let store = MemoryStore::new();
    /// let parameters = Parameters::new(&[0x5a; 16], b"c", b"s")?;
    /// let mut config = ClientConfig::default();
    /// config.oscore = Some(SecurityContext::open(&parameters, store).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(parameters: &Parameters, store: impl Store) -> Result<Self, Error> {
        let failed = |what| move |error| Error::new(ErrorKind::Store, what).with_source(error);
        let mut store = BoxStore::new(store);
        let records = store.load().await;
        let records = records.map_err(failed("can't load the sequence number"))?;
        let mut context = Context::restore(parameters, &records)?;
        // So that the first message has not to wait.
        if let Some(batch) = context.poll_store() {
            let committed = store.commit(batch).await;
            committed.map_err(failed("can't reserve sequence numbers"))?;
            context.stored();
        }
        Ok(Self {
            context,
            store: Some(store),
        })
    }

    /// A security context of which nothing is kept: for keys that were never used before, and will
    /// not be used again once this is dropped ([`Context::ephemeral`]).
    pub fn ephemeral(parameters: &Parameters) -> Self {
        Self {
            context: Context::ephemeral(parameters),
            store: None,
        }
    }
}

/// The stores of a session's security contexts, in their order.
#[derive(Debug, Default)]
pub(crate) struct Stores(Vec<Option<BoxStore>>);

impl Stores {
    /// Takes the contexts and their stores apart.
    pub(crate) fn of(contexts: impl IntoIterator<Item = SecurityContext>) -> (Vec<Context>, Self) {
        let (contexts, stores) = contexts
            .into_iter()
            .map(|it| (it.context, it.store))
            .unzip();
        (contexts, Self(stores))
    }

    /// Makes durable what a session wants to be, and tells it.
    pub(crate) async fn commit<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        id: StoreId,
        changes: Batch,
    ) {
        let Some(Some(store)) = self.0.get_mut(id.context()) else {
            return;
        };
        match store.commit(changes).await {
            Ok(()) => session.stored(time::now(), id),
            Err(error) => session.not_stored(time::now(), id, &error.to_string()),
        }
    }
}
