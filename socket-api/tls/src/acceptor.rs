//! The acceptor: the server's side of TLS.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jackfield_socket::{ByteStream, Error, ErrorKind, Result, TcpListener, time};
use rustls::ServerConfig;

use crate::error::Handshake;
use crate::stream::{Transport, WRITE_BUFFER};
use crate::{TlsServerConfig, TlsStream};

/// How many handshakes a [`TlsListener`] carries on at once, unless told otherwise.
const MAX_HANDSHAKES: usize = 64;
/// How long a handshake with a [`TlsListener`] may take, unless told otherwise.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Secures streams as a server.
#[derive(Clone)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
}

impl TlsAcceptor {
    /// An acceptor that works to this configuration.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where a root is no certificate or a protocol's
    /// name is empty or too long.
    pub fn new(config: TlsServerConfig) -> Result<Self> {
        Ok(Self {
            config: Arc::new(config.build()?),
        })
    }

    /// Secures a stream that a client has opened.
    ///
    /// # Errors
    /// [`Certificate`](ErrorKind::Certificate), where the client's certificate is missing or not
    /// accepted, or ours is not; [`Protocol`](ErrorKind::Protocol), where the two find no common
    /// ground, or what the peer sends is not TLS; [`UnexpectedEof`](ErrorKind::UnexpectedEof),
    /// where it hangs up; and the stream's own errors.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream. It sets no deadline of its own.
    pub async fn accept<S: ByteStream>(&self, stream: S) -> Result<TlsStream<S>> {
        let handshake = Handshake::with_client(stream.info().peer);
        let accepted = tokio_rustls::TlsAcceptor::from(self.config.clone())
            .accept_with(Transport::new(stream), |session| {
                session.set_buffer_limit(Some(WRITE_BUFFER));
            })
            .into_fallible()
            .await;
        match accepted {
            Ok(stream) => Ok(TlsStream::new(stream.into())),
            Err((error, transport)) => {
                transport.hang_up().await;
                Err(handshake.error(error, None))
            }
        }
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}

/// A listener whose streams are secured.
///
/// Handshakes go on side by side, while [`poll_accept`](TcpListener::poll_accept) is being polled:
/// a slow one holds up no other. 64 at once and 10 s for each, unless told otherwise; while as many
/// are under way, further connections wait in the inner listener's backlog.
///
/// A connection whose handshake fails is an error of kind [`Reset`](ErrorKind::Reset), whose source
/// says why; the listener goes on.
pub struct TlsListener<L: TcpListener> {
    listener: L,
    acceptor: TlsAcceptor,
    /// Never locked, for whoever has it has all of it: futures are not `Sync`, and a listener is.
    handshakes: Mutex<FuturesUnordered<Accept<L::Stream>>>,
    max_handshakes: usize,
    timeout: Duration,
}

type Accept<S> = Pin<Box<dyn Future<Output = Result<TlsStream<S>>> + Send>>;

impl<L: TcpListener> TlsListener<L> {
    /// TLS over this listener.
    pub fn new(listener: L, acceptor: TlsAcceptor) -> Self {
        Self {
            listener,
            acceptor,
            handshakes: Mutex::default(),
            max_handshakes: MAX_HANDSHAKES,
            timeout: HANDSHAKE_TIMEOUT,
        }
    }

    /// How many handshakes are carried on at once; at least 1. Default: 64.
    #[must_use]
    pub fn with_max_handshakes(mut self, count: usize) -> Self {
        self.max_handshakes = count.max(1);
        self
    }

    /// How long a handshake may take. Default: 10 s.
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn handshakes(&mut self) -> &mut FuturesUnordered<Accept<L::Stream>> {
        let handshakes = self.handshakes.get_mut();
        handshakes.unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, stream: L::Stream) -> Accept<L::Stream> {
        let acceptor = self.acceptor.clone();
        let timeout = self.timeout;
        Box::pin(async move {
            let peer = stream.info().peer;
            let result = match time::timeout(timeout, acceptor.accept(stream)).await {
                Ok(result) => result,
                Err(_) => Err(Handshake::with_client(peer).timed_out(timeout)),
            };
            result.map_err(|error| {
                Error::new(
                    ErrorKind::Reset,
                    "a connection was lost before it was secure",
                )
                .with_source(error)
            })
        })
    }
}

impl<L: TcpListener> TcpListener for TlsListener<L> {
    type Stream = TlsStream<L::Stream>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Stream>> {
        while self.handshakes().len() < self.max_handshakes {
            match self.listener.poll_accept(cx)? {
                Poll::Ready(stream) => {
                    let handshake = self.start(stream);
                    self.handshakes().push(handshake);
                }
                Poll::Pending => break,
            }
        }
        match self.handshakes().poll_next_unpin(cx) {
            Poll::Ready(Some(result)) => Poll::Ready(result),
            // With no handshake under way, the inner listener is what will wake us.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }
}

impl<L: TcpListener> fmt::Debug for TlsListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}
