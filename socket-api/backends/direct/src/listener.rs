//! TCP listeners on Direct Sockets.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use jackfield_socket::{Error, ErrorKind, Result, TcpListener};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::DirectStream;
use crate::bindings::{Opened, ReadResult, Reader, Socket};
use crate::error::Failure;
use crate::stream::address;

/// A listening socket of the browser's. A port below 32768 can't be asked for.
///
/// Dropping it stops listening; streams already taken live on.
pub struct DirectListener {
    inner: SendWrapper<Inner>,
    local: Option<SocketAddr>,
}

struct Inner {
    socket: Socket,
    reader: Reader,
    step: Step,
}

/// What the next connection waits for. Kept here, so that a dropped future loses none.
enum Step {
    Idle,
    Connection(JsFuture),
    /// One was taken, but hasn't opened.
    Opening(JsFuture),
}

impl DirectListener {
    pub(crate) fn new(socket: Socket, opened: &Opened) -> Self {
        Self {
            local: address(opened.local_address(), opened.local_port()),
            inner: SendWrapper::new(Inner {
                socket,
                reader: opened.readable().get_reader(),
                step: Step::Idle,
            }),
        }
    }
}

impl TcpListener for DirectListener {
    type Stream = DirectStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<DirectStream>> {
        // Where it listens at every address, it doesn't tell at which one it accepted.
        let local = self.local.filter(|local| !local.ip().is_unspecified());
        let inner = &mut *self.inner;
        loop {
            match &mut inner.step {
                Step::Idle => inner.step = Step::Connection(inner.reader.read().into()),
                Step::Connection(next) => {
                    let next = match Pin::new(next).poll(cx) {
                        Poll::Ready(next) => next,
                        Poll::Pending => return Poll::Pending,
                    };
                    inner.step = Step::Idle;
                    let next = next
                        .map_err(|thrown| Failure::of_stream(&thrown).error())?
                        .unchecked_into::<ReadResult>();
                    if next.done() {
                        return Poll::Ready(Err(Error::new(
                            ErrorKind::Closed,
                            "the browser has ended the listening socket",
                        )));
                    }
                    let accepted = next.value().unchecked_into::<Socket>();
                    crate::network::ignore_closed(&accepted);
                    inner.step = Step::Opening(accepted.opened().into());
                }
                Step::Opening(opening) => {
                    let opened = match Pin::new(opening).poll(cx) {
                        Poll::Ready(opened) => opened,
                        Poll::Pending => return Poll::Pending,
                    };
                    inner.step = Step::Idle;
                    return Poll::Ready(match opened {
                        Ok(opened) => Ok(DirectStream::new(opened.unchecked_ref(), local)),
                        Err(thrown) => Err(Error::new(
                            ErrorKind::Reset,
                            "a connection was gone before it was accepted",
                        )
                        .with_source(format!("{thrown:?}"))),
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (socket, reader) = (self.socket.clone(), self.reader.clone());
        let waiting = std::mem::replace(&mut self.step, Step::Idle);
        spawn_local(async move {
            // Each fails only where the socket is gone already.
            let _ = JsFuture::from(reader.cancel()).await;
            reader.release_lock();
            let _ = JsFuture::from(socket.close()).await;
            // A connection that had been taken, but not handed on, is closed.
            if let Step::Opening(opening) = waiting
                && let Ok(opened) = opening.await
            {
                drop(DirectStream::new(opened.unchecked_ref(), None));
            }
        });
    }
}

impl fmt::Debug for DirectListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectListener")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}
