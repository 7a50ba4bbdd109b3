//! Jobs about a store: what is done with one in the page.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jackfield_store::{Batch, Error, ErrorKind, IndexedDbStore, Result, Store as _};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use crate::job::{StoreJob, StoreOutcome};

thread_local! {
    /// The one that is open.
    static OPEN: RefCell<Option<IndexedDbStore>> = const { RefCell::new(None) };
}

/// Runs a job; both are JSON.
#[wasm_bindgen]
pub async fn store(job: String) -> String {
    let done = match serde_json::from_str::<StoreJob>(&job) {
        Ok(job) => perform(job).await,
        Err(error) => Err(Error::new(ErrorKind::Other, error.to_string())),
    };
    let outcome: StoreOutcome =
        done.map_err(|error| (format!("{:?}", error.kind()), error.to_string()));
    serde_json::to_string(&outcome).unwrap_or_default()
}

async fn perform(job: StoreJob) -> Result<BTreeMap<String, String>> {
    let mut store = match job {
        StoreJob::Open(name) => IndexedDbStore::open(name).await?,
        StoreJob::Commit(changes) => {
            let mut store = take()?;
            let mut batch = Batch::new();
            for (key, value) in changes {
                match value {
                    Some(value) => batch.put(key, value),
                    None => batch.delete(key),
                }
            }
            let committed = store.commit(batch).await;
            if let Err(error) = committed {
                OPEN.set(Some(store));
                return Err(error);
            }
            store
        }
        StoreJob::CommitForEver(keys) => {
            let mut store = take()?;
            let records = store.load().await?;
            spawn_local(async move {
                for number in 0_u64.. {
                    let mut batch = Batch::new();
                    for key in &keys {
                        batch.put(key.as_str(), number.to_string());
                    }
                    if store.commit(batch).await.is_err() {
                        break;
                    }
                }
            });
            return Ok(text(records));
        }
        StoreJob::Close => {
            drop(take()?);
            return Ok(BTreeMap::new());
        }
    };
    let records = store.load().await?;
    OPEN.set(Some(store));
    Ok(text(records))
}

fn take() -> Result<IndexedDbStore> {
    let nothing = || Error::new(ErrorKind::Closed, "no store is open");
    OPEN.take().ok_or_else(nothing)
}

fn text(records: jackfield_store::Records) -> BTreeMap<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let records = records.into_iter();
    records
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}
