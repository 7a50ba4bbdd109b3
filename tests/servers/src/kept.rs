//! The record of what happens to a client under test: all of it is kept, and can be waited for.

use std::fmt::{Debug, Write as _};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::LONG;

/// Events, so far.
#[derive(Debug)]
pub struct Kept<E> {
    events: Arc<Mutex<Vec<E>>>,
    news: watch::Receiver<()>,
    /// How many events were looked at.
    seen: usize,
}

/// Where they come from.
pub trait Source: Send + 'static {
    /// What happens.
    type Event: Clone + Debug + Send;

    /// The next event; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<Self::Event>> + Send;
}

impl<E: Clone + Debug + Send + 'static> Kept<E> {
    /// Keeps everything that comes from there.
    pub fn of(mut source: impl Source<Event = E>) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let (tell, news) = watch::channel(());
        let kept = Arc::clone(&events);
        tokio::spawn(async move {
            while let Some(event) = source.next().await {
                lock(&kept).push(event);
                tell.send_replace(());
            }
        });
        Self {
            events,
            news,
            seen: 0,
        }
    }

    /// Waits for an event that was not looked at yet; those before it are passed over.
    ///
    /// # Panics
    /// When it doesn't come; shows what came instead.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&E) -> Option<T>) -> T {
        let from = self.seen;
        let search = async {
            loop {
                let open = self.news.has_changed().is_ok();
                self.news.mark_unchanged();
                {
                    let events = lock(&self.events);
                    for event in events.iter().skip(self.seen) {
                        self.seen += 1;
                        if let Some(found) = pick(event) {
                            return Some(found);
                        }
                    }
                }
                if !open {
                    return None;
                }
                let _ = self.news.changed().await;
            }
        };
        let result = timeout(LONG, search).await;
        result
            .ok()
            .flatten()
            .unwrap_or_else(|| panic!("waited in vain {what}; since then:\n{}", self.since(from)))
    }

    /// Everything that has happened so far.
    pub fn events(&self) -> Vec<E> {
        lock(&self.events).clone()
    }

    fn since(&self, from: usize) -> String {
        let mut text = String::new();
        for event in self.events().iter().skip(from) {
            let _ = writeln!(text, "{event:?}");
        }
        text
    }
}

fn lock<T>(events: &Mutex<T>) -> MutexGuard<'_, T> {
    events.lock().unwrap_or_else(PoisonError::into_inner)
}
