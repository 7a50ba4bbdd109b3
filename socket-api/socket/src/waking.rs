//! Waking two tasks at once, for layers between a stream and those who use it.
//!
//! A stream has room for one waker to read and one to write: who asks last is woken. A reader in one
//! task and a writer in another so keep out of each other's way, until a layer between them and the
//! stream *writes in order to read*: TLS says its last word, a WebSocket answers a close, DTLS repeats
//! a handshake. With the reader's waker, that would take the place of the writer's, who would then never
//! hear that there is room again.

use std::sync::Arc;
use std::task::{Wake, Waker};

/// A waker that wakes one and the other; where there is no other, the one.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use jackfield_socket::waking;
///
/// struct Layer {
///     /// Whoever waits to write.
///     writer: Option<Waker>,
/// }
///
/// impl Layer {
///     /// What reading has to write: the reader waits for it, and a writer may wait at the same place.
///     fn poll_answer(
///         &mut self,
///         cx: &mut Context<'_>,
///         flush: impl FnOnce(&mut Context<'_>) -> Poll<()>,
///     ) -> Poll<()> {
///         let both = waking::both(cx.waker(), self.writer.as_ref());
///         flush(&mut Context::from_waker(&both))
///     }
/// }
/// # let mut layer = Layer { writer: None };
/// # assert!(layer.poll_answer(&mut Context::from_waker(Waker::noop()), |_| Poll::Ready(())).is_ready());
/// ```
pub fn both(one: &Waker, other: Option<&Waker>) -> Waker {
    match other {
        Some(other) if !other.will_wake(one) => Arc::new(Both(one.clone(), other.clone())).into(),
        _ => one.clone(),
    }
}

/// Remembers who waits.
pub fn remember(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(remembered) => remembered.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

/// Wakes whoever waits, once.
pub fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}

struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}
