//! A store in a page, in IndexedDB.

mod bindings;
mod lock;

use std::fmt;
use std::future::Future;

use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::{Batch, Error, ErrorKind, Records, Result, Store};
use bindings::{Database, Factory, ObjectStore, Request, Scope, Transaction, items};
use lock::Lock;

/// The object store, and the version of the database that has it.
const RECORDS: &str = "records";
const VERSION: u32 = 1;

/// Keeps records in the browser, in an IndexedDB of the page's origin, for windows and workers.
///
/// A commit is a transaction of strict durability: when it returns, the browser has synced it to
/// the disk, as far as it does so at all. The browser's quota is what bounds the store
/// ([`Full`](ErrorKind::Full)); and unless the user, or `navigator.storage.persist()`, has it kept,
/// the browser may throw all of an origin's data away when the disk is short.
///
/// While it is open, a Web Lock keeps other tabs out. Pages that came over plain HTTP from another
/// machine have no Web Locks: there nothing does.
pub struct IndexedDbStore(SendWrapper<Inner>);

struct Inner {
    name: String,
    database: Database,
    failed: bool,
    _lock: Option<Lock>,
}

impl IndexedDbStore {
    /// Opens the store of this name, or makes it where there is none.
    ///
    /// # Errors
    /// - [`InUse`](ErrorKind::InUse), where it is open already, here or in another tab, and is still
    ///   open two seconds later;
    /// - [`Unsupported`](ErrorKind::Unsupported), where the browser has no IndexedDB, or the
    ///   database of this name is of a later version;
    /// - [`Corrupt`](ErrorKind::Corrupt), where the database of this name is something else;
    /// - [`Denied`](ErrorKind::Denied), where the user's settings forbid it.
    ///
    /// # Cancel safety
    /// When the future is dropped, the store is closed as soon as it was opened.
    pub fn open(name: impl Into<String>) -> impl Future<Output = Result<Self>> + Send {
        let name = name.into();
        SendWrapper::new(async move {
            let scope: Scope = js_sys::global().unchecked_into();
            let factory = match scope.indexed_db() {
                Ok(Some(factory)) => factory,
                Ok(None) => {
                    let what = "this browser has no IndexedDB";
                    return Err(Error::new(ErrorKind::Unsupported, what));
                }
                Err(error) => return Err(failed("open", &name, &error)),
            };
            let lock = Lock::take(&scope, &name).await?;
            let database = open(&factory, &name).await?;
            Ok(Self(SendWrapper::new(Inner {
                name,
                database,
                failed: false,
                _lock: lock,
            })))
        })
    }
}

impl Store for IndexedDbStore {
    fn load(&mut self) -> impl Future<Output = Result<Records>> + Send {
        let inner = &mut *self.0;
        SendWrapper::new(inner.load())
    }

    fn commit(&mut self, batch: Batch) -> impl Future<Output = Result<()>> + Send {
        let inner = &mut *self.0;
        SendWrapper::new(inner.commit(batch))
    }
}

impl Inner {
    async fn load(&mut self) -> Result<Records> {
        self.check_usable()?;
        let (transaction, store) = self
            .begin("readonly")
            .map_err(|error| failed("read", &self.name, &error))?;
        // Both see the same state, in the order of the keys.
        let asked = || Ok((store.get_all_keys()?, store.get_all()?));
        let (keys, values) = asked().map_err(|error| failed("read", &self.name, &error))?;
        finished(&transaction)
            .await
            .map_err(|error| failed("read", &self.name, &error))?;
        let (Some(keys), Some(values)) = (items(&keys), items(&values)) else {
            return Err(corrupt(&self.name));
        };
        let mut records = Records::new();
        for (key, value) in keys.iter().zip(values.iter()) {
            let (Ok(key), Ok(value)) = (
                key.dyn_into::<js_sys::ArrayBuffer>(),
                value.dyn_into::<Uint8Array>(),
            ) else {
                return Err(corrupt(&self.name));
            };
            records.insert(Uint8Array::new(&key).to_vec(), value.to_vec());
        }
        Ok(records)
    }

    async fn commit(&mut self, batch: Batch) -> Result<()> {
        self.check_usable()?;
        batch.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        let (transaction, store) = self
            .begin("readwrite")
            .map_err(|error| failed("write", &self.name, &error))?;
        if let Err(error) = write(&store, &batch) {
            transaction.abort();
            return Err(failed("write", &self.name, &error));
        }
        drop(batch);
        // Whoever drops this future leaves the transaction to the browser: it is whole in any case.
        match finished(&transaction).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = failed("write", &self.name, &error);
                self.failed = error.kind() != ErrorKind::Full;
                Err(error)
            }
        }
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(
                ErrorKind::Closed,
                format!(
                    "the store {:?} has failed: it must be opened again",
                    self.name
                ),
            ));
        }
        Ok(())
    }

    fn begin(&self, mode: &str) -> Result<(Transaction, ObjectStore), JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &"strict".into())?;
        let transaction = self.database.transaction(RECORDS, mode, &options)?;
        let store = transaction.object_store(RECORDS)?;
        Ok((transaction, store))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // After the transactions that were begun; what the next owner asks comes after those, too.
        self.database.close();
    }
}

impl fmt::Debug for IndexedDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedDbStore").finish_non_exhaustive()
    }
}

async fn open(factory: &Factory, name: &str) -> Result<Database> {
    let request = factory
        .open(name, VERSION)
        .map_err(|error| failed("open", name, &error))?;
    let upgrade = {
        let request = request.clone();
        Closure::<dyn FnMut()>::new(move || {
            // Where it fails, the request does.
            let database: Database = request.result().unchecked_into();
            let _ = database.create_object_store(RECORDS);
        })
    };
    request.set_onupgradeneeded(upgrade.as_ref().unchecked_ref());
    let mut opening = Opening(Some(request.clone()));
    answered(&request)
        .await
        .map_err(|error| failed("open", name, &error))?;
    opening.0 = None;
    let database: Database = request.result().unchecked_into();
    // A database of somebody else's may have the name, without the records.
    let options = Object::new();
    if let Err(error) = database.transaction(RECORDS, "readonly", &options) {
        database.close();
        return Err(match error_name(&error).as_str() {
            "NotFoundError" => corrupt(name),
            _ => failed("open", name, &error),
        });
    }
    Ok(database)
}

/// A request to open a database; dropped before it is done, it closes what was opened.
struct Opening(Option<Request>);

impl Drop for Opening {
    fn drop(&mut self) {
        let Some(request) = self.0.take() else {
            return;
        };
        let of = request.clone();
        let close = move || {
            if let Ok(database) = of.result().dyn_into::<Object>() {
                database.unchecked_into::<Database>().close();
            }
        };
        if request.ready_state() == "done" {
            close();
        } else {
            request.set_onsuccess(Closure::once_into_js(close).unchecked_ref());
        }
    }
}

/// Makes the changes in a transaction.
fn write(store: &ObjectStore, batch: &Batch) -> Result<(), JsValue> {
    for (key, value) in batch.iter() {
        let key = Uint8Array::from(key);
        match value {
            Some(value) => store.put(&Uint8Array::from(value), &key)?,
            None => store.delete(&key)?,
        };
    }
    Ok(())
}

/// Waits for a request.
async fn answered(request: &Request) -> Result<(), JsValue> {
    let answer = Promise::new(&mut |resolve: Function, reject: Function| {
        request.set_onsuccess(&resolve);
        request.set_onerror(&reject);
    });
    match JsFuture::from(answer).await {
        Ok(_) => Ok(()),
        Err(_) => Err(request.error()),
    }
}

/// Waits until a transaction is durable.
async fn finished(transaction: &Transaction) -> Result<(), JsValue> {
    let end = Promise::new(&mut |resolve: Function, reject: Function| {
        transaction.set_oncomplete(&resolve);
        transaction.set_onabort(&reject);
    });
    match JsFuture::from(end).await {
        Ok(_) => Ok(()),
        Err(_) => Err(transaction.error()),
    }
}

fn error_name(error: &JsValue) -> String {
    let name = Reflect::get(error, &"name".into()).ok();
    name.and_then(|name| name.as_string()).unwrap_or_default()
}

fn failed(step: &str, name: &str, error: &JsValue) -> Error {
    let cause = error_name(error);
    let kind = match cause.as_str() {
        "QuotaExceededError" => ErrorKind::Full,
        "SecurityError" | "NotAllowedError" => ErrorKind::Denied,
        "VersionError" => ErrorKind::Unsupported,
        "InvalidStateError" => ErrorKind::Closed,
        _ => ErrorKind::Other,
    };
    Error::new(kind, format!("can't {step} the store {name:?}: {cause}"))
}

fn corrupt(name: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the database {name:?} of this origin is not a store"),
    )
}
