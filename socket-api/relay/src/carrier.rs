//! What carries the messages: one WebSocket, natively or the page's own.

#[cfg(wasm_browser)]
pub(crate) mod browser;
#[cfg(not(wasm_browser))]
pub(crate) mod native;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use jackfield_socket::{Error, ErrorKind, Result, time};

use crate::RelayConfig;
use crate::session::Session;

/// How many messages are moved each way before other tasks have a turn.
const BATCH: usize = 64;

/// A WebSocket that is open.
pub(crate) trait Carrier: Send + Unpin + 'static {
    /// Ready when the WebSocket can take a message: what it holds unsent is short.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Takes a message, after `poll_ready`.
    fn send(&mut self, message: BytesMut) -> Result<()>;

    /// Moves along what was sent.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// The next message; an error when the WebSocket is closed, in order or not.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>>;

    /// Closes it in order, as far as that needs no answer.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Opens WebSockets.
pub(crate) type Connector = Box<dyn Fn() -> BoxFuture<Result<Box<dyn Carrier>>> + Send + Sync>;

/// Opens a WebSocket and moves a session's messages until it is over, or `idle` says that nobody
/// needs it any more.
pub(crate) async fn carry(
    opening: BoxFuture<Result<Box<dyn Carrier>>>,
    session: Arc<Session>,
    config: RelayConfig,
    idle: impl Fn(&Session) -> bool + Unpin,
) {
    let opened = {
        let mut opening = pin!(time::timeout(config.handshake_timeout, opening));
        poll_fn(|cx| {
            // Whoever closes the last handle meanwhile wakes this.
            session.look(|state| state.driver = Some(cx.waker().clone()));
            if idle(&session) {
                return Poll::Ready(None);
            }
            opening.as_mut().poll(cx).map(Some)
        })
        .await
    };
    let mut carrier = match opened {
        None => return session.fail(&Error::new(ErrorKind::Closed, "the relay was closed")),
        Some(Ok(Ok(carrier))) => carrier,
        Some(Ok(Err(error))) => return session.fail(&error),
        Some(Err(_)) => {
            let limit = config.handshake_timeout.as_secs_f32();
            return session.fail(&Error::new(
                ErrorKind::TimedOut,
                format!(
                    "the relay at {} did not answer within {limit} s",
                    config.url.host()
                ),
            ));
        }
    };
    let mut timer = time::sleep_until(time::now());
    let moved = poll_fn(|cx| {
        let moved = move_messages(&session, carrier.as_mut(), &mut timer, cx);
        if let Poll::Ready(Err(_)) = moved {
            // Whatever failed, the relay's last word may be here already: it says why.
            while let Poll::Ready(Ok(message)) = carrier.poll_receive(cx) {
                session.act(|state| state.mux.receive(time::now(), message));
            }
        }
        match moved {
            Poll::Pending if idle(&session) => Poll::Ready(Ok(())),
            moved => moved,
        }
    })
    .await;
    if let Err(error) = moved {
        session.fail(&error);
    }
    // The last word, a GOAWAY among others, and the close.
    let closing = poll_fn(|cx| {
        while let Some(message) = session.act(|state| state.mux.transmit()) {
            if carrier.send(message).is_err() {
                break;
            }
        }
        carrier.poll_close(cx)
    });
    let _ = time::timeout(config.handshake_timeout, closing).await;
    session.fail(&Error::new(ErrorKind::Closed, "the relay was closed"));
}

/// Moves messages both ways, until neither way has one or the session is over.
fn move_messages(
    session: &Session,
    carrier: &mut dyn Carrier,
    timer: &mut time::Sleep,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    // What is done here needs no other turn of this task.
    session.look(|state| state.driver = None);
    let mut moved = 0;
    let mut writable = true;
    let mut moving = true;
    while moving && moved < BATCH {
        moving = false;
        writable = carrier.poll_ready(cx)?.is_ready();
        if writable && let Some(message) = session.act(|state| state.mux.transmit()) {
            carrier.send(message)?;
            moving = true;
            moved += 1;
        }
        if let Poll::Ready(message) = carrier.poll_receive(cx)? {
            session.act(|state| state.mux.receive(time::now(), message));
            moving = true;
            moved += 1;
        }
    }
    // Whether it is ready shows in `poll_ready`.
    let _ = carrier.poll_flush(cx)?;
    if let Some(deadline) = session.act(|state| state.mux.deadline()) {
        timer.reset(deadline);
        if Pin::new(timer).poll(cx).is_ready() {
            session.act(|state| state.mux.handle_deadline(time::now()));
            moving = true;
        }
    }
    session.look(|state| {
        if state.mux.closed().is_some() {
            return Poll::Ready(Ok(()));
        }
        if moving || (writable && state.mux.wants_transmit()) {
            cx.waker().wake_by_ref();
        }
        state.driver = Some(cx.waker().clone());
        Poll::Pending
    })
}
