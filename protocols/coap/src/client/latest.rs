//! The latest entries: a queue whose newest entries count; when it is full, the oldest is dropped.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Both ends of a queue of at most `capacity` entries, and at least 1.
pub(super) fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        queue: VecDeque::new(),
        capacity: capacity.max(1),
        reader: None,
        finished: false,
        unread: false,
    }));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The end that entries go into. When it is dropped, what is there can still be read.
pub(super) struct Sender<T>(Arc<Mutex<Shared<T>>>);

/// The end that entries come out of.
pub(super) struct Receiver<T>(Arc<Mutex<Shared<T>>>);

struct Shared<T> {
    queue: VecDeque<T>,
    capacity: usize,
    reader: Option<Waker>,
    /// Nothing comes any more.
    finished: bool,
    /// Nobody reads any more.
    unread: bool,
}

impl<T> Sender<T> {
    pub(super) fn send(&self, entry: T) {
        let mut shared = lock(&self.0);
        if shared.unread {
            return;
        }
        if shared.queue.len() == shared.capacity {
            shared.queue.pop_front();
        }
        shared.queue.push_back(entry);
        wake(shared);
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.0).unread
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.finished = true;
        wake(shared);
    }
}

impl<T> Receiver<T> {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut shared = lock(&self.0);
        if let Some(entry) = shared.queue.pop_front() {
            return Poll::Ready(Some(entry));
        }
        if shared.finished {
            return Poll::Ready(None);
        }
        shared.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next entry; `None` when nothing comes any more. Cancelled, it has lost none.
    pub(super) async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.unread = true;
        shared.queue.clear();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

fn lock<T>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes the reader outside the lock.
fn wake<T>(mut shared: MutexGuard<'_, Shared<T>>) {
    let reader = shared.reader.take();
    drop(shared);
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_are_kept() {
        let (sender, mut receiver) = channel(2);
        for entry in 1..=3 {
            sender.send(entry);
        }
        assert_eq!(receiver.next().await, Some(2));
        drop(sender);
        assert_eq!(receiver.next().await, Some(3));
        assert_eq!(receiver.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let (sender, mut waiting) = channel(1);
        let reader = tokio::spawn(async move { waiting.next().await });
        tokio::task::yield_now().await;
        sender.send(7);
        assert_eq!(reader.await.expect("it reads"), Some(7));
        assert!(sender.is_closed());
    }
}
