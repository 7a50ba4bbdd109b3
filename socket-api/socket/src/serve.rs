//! Serving the connections that a listener takes, so many at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::time::{self, Sleep};
use crate::{ErrorKind, Result, TcpListener};

/// How long accepting rests where there was no room for one more connection.
const REST: Duration = Duration::from_millis(100);
/// How many connections are taken, or lost, before other tasks have a turn.
const BATCH: usize = 64;

/// Serves each connection that a listener takes by a future of its own, at most `limit` of them at
/// once (at least 1).
///
/// - **When `limit` are open**, nothing is accepted until one of them is over. Further connections
///   wait where the listener keeps them: natively in the system's backlog.
/// - **A connection that is lost while it is accepted** ([`Reset`](ErrorKind::Reset)) is nobody's
///   error. Where there is no room for one ([`LimitExceeded`](ErrorKind::LimitExceeded), as when the
///   system has no file descriptor left) accepting rests for 100 ms and goes on.
/// - **Any other error** ends the listener. Connections that are open are served to their end; then
///   the future gives the error.
///
/// Nothing is spawned: all connections run in the one task that polls this. To use more than one
/// core, let `f` spawn what it does and wait for its end, so that the limit holds.
///
/// ```
/// use jackfield_socket::{ListenOptions, Result, TcpListen, serve};
///
/// /// Echoes (RFC 862), to 100 clients at once; runs on every backend that can listen.
/// async fn echo(network: &impl TcpListen, until: impl Future<Output = ()> + Send + 'static) -> Result<()> {
///     let at = "127.0.0.1:7".parse().expect("an address");
///     let listener = network.listen(at, &ListenOptions::default()).await?;
///     let serve = serve(listener, 100, |stream| async {
///         let (mut reader, mut writer) = tokio::io::split(stream);
///         // A client that is lost is its own affair.
///         let _ = tokio::io::copy(&mut reader, &mut writer).await;
///     });
///     serve.until(until).await
/// }
/// # fn main() {}
/// ```
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection.
pub fn serve<L, F, C>(listener: L, limit: usize, f: F) -> Serve<L, F, C>
where
    L: TcpListener,
    F: FnMut(L::Stream) -> C,
    C: Future<Output = ()>,
{
    Serve {
        listener: Some(listener),
        limit: limit.max(1),
        attend: f,
        connections: FuturesUnordered::new(),
        rest: None,
        until: None,
        outcome: Ok(()),
    }
}

/// The future of [`serve`]: ready with the error that ended the listener, or, after
/// [`until`](Self::until), when all is over.
#[must_use = "nothing is served unless it is polled"]
pub struct Serve<L, F, C> {
    /// `None` once nothing is accepted any more.
    listener: Option<L>,
    limit: usize,
    attend: F,
    connections: FuturesUnordered<C>,
    /// While there is no room for one more connection.
    rest: Option<Sleep>,
    until: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    outcome: Result<()>,
}

impl<L, F, C> Serve<L, F, C> {
    /// The same, with an end in order: once `signal` is ready, it stops listening, the connections
    /// that are open are served to their end, and the future is ready. How long they may take is the
    /// caller's to say, by a time-out over the whole or by what it tells them.
    pub fn until(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.until = Some(Box::pin(signal));
        self
    }

    fn stop(&mut self, outcome: Result<()>) {
        self.listener = None;
        self.outcome = outcome;
    }
}

/// Nothing in it is pinned but what stands in a box.
impl<L, F, C> Unpin for Serve<L, F, C> {}

impl<L, F, C> Future for Serve<L, F, C>
where
    L: TcpListener,
    F: FnMut(L::Stream) -> C,
    C: Future<Output = ()>,
{
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.listener.is_some()
            && let Some(until) = &mut this.until
            && until.as_mut().poll(cx).is_ready()
        {
            this.stop(Ok(()));
        }
        for _ in 0..BATCH {
            while let Poll::Ready(Some(())) = this.connections.poll_next_unpin(cx) {}
            let Some(listener) = &mut this.listener else {
                if this.connections.is_empty() {
                    return Poll::Ready(std::mem::replace(&mut this.outcome, Ok(())));
                }
                return Poll::Pending;
            };
            if this.connections.len() >= this.limit {
                // The end of one wakes this task.
                return Poll::Pending;
            }
            if let Some(rest) = &mut this.rest {
                if Pin::new(rest).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.rest = None;
            }
            match listener.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(stream)) => this.connections.push((this.attend)(stream)),
                Poll::Ready(Err(error)) => match error.kind() {
                    ErrorKind::Reset => {}
                    ErrorKind::LimitExceeded => this.rest = Some(time::sleep(REST)),
                    _ => this.stop(Err(error)),
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<L: fmt::Debug, F, C> fmt::Debug for Serve<L, F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("limit", &self.limit)
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::Error;

    /// A listener whose connections, and errors, are the test's.
    #[derive(Debug)]
    struct Door(mpsc::UnboundedReceiver<Result<DuplexStream>>);

    impl TcpListener for Door {
        type Stream = DuplexStream;

        fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<DuplexStream>> {
            match self.0.poll_recv(cx) {
                Poll::Ready(Some(next)) => Poll::Ready(next),
                Poll::Ready(None) => Poll::Ready(Err(Error::new(ErrorKind::Closed, "no more"))),
                Poll::Pending => Poll::Pending,
            }
        }

        fn local_addr(&self) -> Option<SocketAddr> {
            None
        }
    }

    struct Street(mpsc::UnboundedSender<Result<DuplexStream>>);

    impl Street {
        fn new() -> (Self, Door) {
            let (street, door) = mpsc::unbounded_channel();
            (Self(street), Door(door))
        }

        fn come(&self) -> DuplexStream {
            let (ours, theirs) = tokio::io::duplex(64);
            self.0.send(Ok(theirs)).expect("it listens");
            ours
        }

        fn fail(&self, kind: ErrorKind) {
            let error = Err(Error::new(kind, "as the test says"));
            self.0.send(error).expect("it listens");
        }
    }

    async fn echo(mut stream: DuplexStream) {
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte).await {
            let _ = stream.write_all(&byte).await;
        }
    }

    async fn answers(stream: &mut DuplexStream) -> bool {
        stream.write_all(b"x").await.expect("open");
        let answer = stream.read_u8();
        time::timeout(Duration::from_millis(10), answer)
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_served_at_once_and_others_wait() {
        let (street, door) = Street::new();
        let most = Arc::new(Mutex::new((0, 0)));
        let counted = most.clone();
        let served = tokio::spawn(serve(door, 2, move |stream| {
            let counted = counted.clone();
            async move {
                {
                    let (now, most) = &mut *counted.lock().expect("one thread");
                    *now += 1;
                    *most = (*most).max(*now);
                }
                echo(stream).await;
                counted.lock().expect("one thread").0 -= 1;
            }
        }));
        let (mut one, mut two, mut three) = (street.come(), street.come(), street.come());
        assert!(answers(&mut one).await && answers(&mut two).await);
        assert!(!answers(&mut three).await, "it waits for a place");
        drop(one);
        assert_eq!(three.read_u8().await.expect("its turn has come"), b'x');
        drop((two, three, street));
        let error = served.await.expect("no panic").expect_err("it has ended");
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(*most.lock().expect("one thread"), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_ends_nothing_and_is_not_tried_without_a_rest() {
        let (street, door) = Street::new();
        let _served = tokio::spawn(serve(door, 9, echo));
        for _ in 0..1000 {
            street.fail(ErrorKind::Reset);
        }
        let begin = time::now();
        let mut one = street.come();
        assert!(answers(&mut one).await, "those lost before it cost no time");
        assert_eq!(time::now(), begin);
        street.fail(ErrorKind::LimitExceeded);
        street.fail(ErrorKind::LimitExceeded);
        let mut two = street.come();
        two.write_all(b"x").await.expect("open");
        assert!(answers(&mut one).await, "what is open goes on meanwhile");
        assert_eq!(two.read_u8().await.expect("an echo"), b'x');
        assert_eq!(time::now() - begin, 2 * REST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_is_served_to_its_end() {
        for in_order in [true, false] {
            let (street, door) = Street::new();
            let (end, ended) = oneshot::channel::<()>();
            let served = serve(door, 9, echo).until(async move {
                if ended.await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            let served = tokio::spawn(served);
            let mut one = street.come();
            assert!(answers(&mut one).await);
            if in_order {
                end.send(()).expect("it is served");
            } else {
                street.fail(ErrorKind::Other);
            }
            tokio::task::yield_now().await;
            assert!(answers(&mut one).await, "it is not cut");
            let (_, theirs) = tokio::io::duplex(1);
            let late = street.0.send(Ok(theirs));
            assert!(late.is_err(), "nothing listens any more");
            assert!(!served.is_finished());
            drop(one);
            let outcome = served.await.expect("no panic");
            assert_eq!(outcome.is_ok(), in_order, "{outcome:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_it_drops_the_connections() {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (street, door) = Street::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = dropped.clone();
        let served = serve(door, 9, move |stream| {
            let counted = Counted(count.clone());
            async move {
                echo(stream).await;
                drop(counted);
            }
        });
        let served = tokio::spawn(served);
        let (mut one, mut two) = (street.come(), street.come());
        assert!(answers(&mut one).await && answers(&mut two).await);
        served.abort();
        assert!(served.await.expect_err("aborted").is_cancelled());
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
        assert!(one.read_u8().await.is_err());
    }
}
