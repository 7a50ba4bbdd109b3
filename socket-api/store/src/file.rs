//! A store in a file.

mod format;
mod log;

use std::fmt;
use std::path::PathBuf;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::{Batch, DEFAULT_CAPACITY, Error, ErrorKind, Records, Result, Store};
use log::Log;

/// How many requests wait for the disk. One store has one owner, who waits for each: more come only
/// from commits that were dropped.
const QUEUE: usize = 4;

/// Keeps records in a file.
///
/// The file is a log: each batch is appended with a checksum and synced to the disk before the
/// commit returns. When a process or the machine stops in the middle of that, the torn end is cut
/// off by the next opening; damage anywhere else is [`Corrupt`](ErrorKind::Corrupt), and nothing is
/// touched. When more than half of the log is out of date, it is written anew beside the old one
/// and takes its place in one step.
///
/// Beside the file stands another, with `.lock` at the end of its name, which keeps a second
/// process out for as long as the store is open. Both can be read by their owner alone, as far as
/// the system knows such rights. In memory are the keys, not the values. On the disk it takes up to
/// twice its capacity and 64 KiB, and while it is written anew, once more its capacity.
///
/// The disk is waited for on a thread of its own.
///
/// ```
/// use jackfield_store::{Batch, FileStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("session");
/// let mut store = FileStore::open(&path).await?;
/// let mut batch = Batch::new();
/// batch.put("key", "value");
/// store.commit(batch).await?;
/// store.close().await;
///
/// // Another time, in another process:
/// let mut store = FileStore::open(&path).await?;
/// assert_eq!(store.load().await?.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct FileStore {
    requests: mpsc::Sender<Request>,
}

enum Request {
    Load(oneshot::Sender<Result<Records>>),
    Commit(Batch, oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<()>),
}

impl FileStore {
    /// Opens the store in this file, or makes it where there is none; the folder must be there.
    /// It holds up to [`DEFAULT_CAPACITY`].
    ///
    /// # Errors
    /// - [`InUse`](ErrorKind::InUse), where the store is open, here or in another process;
    /// - [`Corrupt`](ErrorKind::Corrupt), where the file is damaged or was never a store;
    /// - [`Unsupported`](ErrorKind::Unsupported), where its format is of a later version;
    /// - [`Denied`](ErrorKind::Denied), and whatever else the system says.
    ///
    /// # Cancel safety
    /// When the future is dropped, the store is closed as soon as it was opened.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with_capacity(path, DEFAULT_CAPACITY).await
    }

    /// The same, with room for this many bytes, counted as in [`DEFAULT_CAPACITY`].
    ///
    /// # Errors
    /// As [`open`](Self::open). A store that holds more already is opened, but refuses what would
    /// make it larger.
    ///
    /// # Cancel safety
    /// As [`open`](Self::open).
    pub async fn open_with_capacity(path: impl Into<PathBuf>, capacity: u64) -> Result<Self> {
        let path = path.into();
        let (opened, opening) = oneshot::channel();
        let (requests, queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("jackfield-store".into())
            .spawn(move || match Log::open(path, capacity) {
                Ok(log) => {
                    // Whoever no longer waits has dropped the other end of the queue as well.
                    let _ = opened.send(Ok(()));
                    serve(log, queue);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|error| {
                Error::new(ErrorKind::Other, "can't start a thread for the store")
                    .with_source(error)
            })?;
        opening.await.map_err(|_| gone())??;
        Ok(Self { requests })
    }

    /// Closes the store, and waits until the file is free for another to open. (Dropping it closes
    /// it as well, a moment later.)
    ///
    /// # Cancel safety
    /// When the future is dropped, it is closed all the same.
    pub async fn close(self) {
        let (sender, closed) = oneshot::channel();
        if self.requests.send(Request::Close(sender)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn ask<T>(&self, request: Request, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        self.requests.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Store for FileStore {
    async fn load(&mut self) -> Result<Records> {
        let (sender, answer) = oneshot::channel();
        self.ask(Request::Load(sender), answer).await
    }

    async fn commit(&mut self, batch: Batch) -> Result<()> {
        let (sender, answer) = oneshot::channel();
        self.ask(Request::Commit(batch, sender), answer).await
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").finish_non_exhaustive()
    }
}

/// Does what is asked, until the store is dropped. Whoever asked may have gone meanwhile.
fn serve(mut log: Log, mut queue: mpsc::Receiver<Request>) {
    while let Some(request) = queue.blocking_recv() {
        match request {
            Request::Load(answer) => {
                let _ = answer.send(log.load());
            }
            Request::Commit(batch, answer) => {
                let _ = answer.send(log.commit(&batch));
                log.tidy();
            }
            Request::Close(answer) => {
                drop(log);
                let _ = answer.send(());
                return;
            }
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the store's thread is gone")
}
