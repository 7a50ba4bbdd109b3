//! The network through a relay, and the future that runs it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jackfield_relay_wire::UdpTarget;
use jackfield_socket::{
    Endpoint, Error, ErrorKind, ListenOptions, Result, TcpConnect, TcpListen, TcpOptions, UdpOpen,
    UdpOptions,
};

use crate::carrier::{self, BoxFuture, Connector};
use crate::session::{Open, Session};
use crate::{RelayConfig, RelayDatagramSocket, RelayListener, RelayStream};

/// A relay, as a network.
///
/// Cheap to clone. When the last clone is dropped and nothing is open any more, the
/// [`Connection`] ends.
#[derive(Clone)]
pub struct Relay {
    handle: Arc<Handle>,
}

/// Moves everything between a [`Relay`] and the relay: a future to spawn.
///
/// It is ready when the last [`Relay`] is dropped and nothing is open any more. Dropping it cuts
/// everything that is open. What fails on the way is told to those who wait for it.
#[must_use = "nothing moves unless it is polled"]
pub struct Connection {
    shared: Arc<Shared>,
    config: RelayConfig,
    connector: Connector,
    /// One, and those that the relay lets go of.
    running: Vec<(Arc<Session>, BoxFuture<()>)>,
}

/// Dropped with the last [`Relay`].
struct Handle {
    shared: Arc<Shared>,
    config: RelayConfig,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// Where new things are opened.
    current: Option<Arc<Session>>,
    /// The same, until the connection has taken it up.
    fresh: Vec<Arc<Session>>,
    connection: Option<Waker>,
    no_handles: bool,
    no_connection: bool,
}

impl Relay {
    /// A relay that is reached over this network; for `wss://`, with TLS over it.
    #[cfg(not(wasm_browser))]
    pub fn over(network: impl TcpConnect, config: RelayConfig) -> (Self, Connection) {
        let connector = carrier::connector(network, &config);
        Self::with(connector, config)
    }

    /// A relay that is reached over the page's own WebSocket.
    #[cfg(wasm_browser)]
    pub fn new(config: RelayConfig) -> (Self, Connection) {
        let connector = carrier::connector(&config);
        Self::with(connector, config)
    }

    fn with(connector: Connector, config: RelayConfig) -> (Self, Connection) {
        let shared = Arc::new(Shared::default());
        let handle = Arc::new(Handle {
            shared: shared.clone(),
            config: config.clone(),
        });
        let connection = Connection {
            shared,
            config,
            connector,
            running: Vec::new(),
        };
        (Self { handle }, connection)
    }

    /// Waits until the WebSocket is open and the relay has greeted; opens it where it isn't.
    ///
    /// Opening something does this as well: it is here for those who want to know early.
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied), where the relay doesn't accept the token or the page's origin,
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) where it is full, each with a
    /// [`Reason`](crate::Reason) among its causes; and whatever else keeps a WebSocket from opening.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ready(&self) -> Result<()> {
        let session = self.session()?;
        poll_fn(|cx| session.poll_greeting(cx)).await
    }

    /// Where new things are opened.
    fn session(&self) -> Result<Arc<Session>> {
        let (session, waker) = {
            let mut state = self.handle.shared.lock();
            if state.no_connection {
                return Err(Error::new(
                    ErrorKind::Closed,
                    "the future that runs the connection to the relay is gone",
                ));
            }
            if let Some(session) = state.current.as_ref().filter(|session| session.is_usable()) {
                return Ok(session.clone());
            }
            let session = Session::new(&self.handle.config);
            state.current = Some(session.clone());
            state.fresh.push(session.clone());
            (session, state.connection.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(session)
    }
}

impl TcpConnect for Relay {
    type Stream = RelayStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<RelayStream> {
        options.validate()?;
        let session = self.session()?;
        let open = Open::request(&session, |mux| mux.connect(to.clone(), options.clone()))?;
        let addresses = poll_fn(|cx| open.poll_answer(cx)).await?;
        Ok(RelayStream::new(open, addresses))
    }
}

impl TcpListen for Relay {
    type Listener = RelayListener;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<RelayListener> {
        options.validate(at)?;
        let session = self.session()?;
        let open = Open::request(&session, |mux| mux.listen(at, options.clone()))?;
        let addresses = poll_fn(|cx| open.poll_answer(cx)).await?;
        Ok(RelayListener::new(open, addresses.local))
    }
}

impl UdpOpen for Relay {
    type Socket = RelayDatagramSocket;

    async fn open_connected(
        &self,
        to: &Endpoint,
        options: &UdpOptions,
    ) -> Result<RelayDatagramSocket> {
        options.validate_connected()?;
        self.open_udp(UdpTarget::Connected(to.clone()), options)
            .await
    }

    async fn open_bound(
        &self,
        at: SocketAddr,
        options: &UdpOptions,
    ) -> Result<RelayDatagramSocket> {
        options.validate_bound(at)?;
        self.open_udp(UdpTarget::Bound(at), options).await
    }
}

impl Relay {
    async fn open_udp(
        &self,
        target: UdpTarget,
        options: &UdpOptions,
    ) -> Result<RelayDatagramSocket> {
        let bound = matches!(target, UdpTarget::Bound(_));
        let session = self.session()?;
        let open = Open::request(&session, |mux| mux.open_udp(target, options.clone()))?;
        let addresses = poll_fn(|cx| open.poll_answer(cx)).await?;
        Ok(RelayDatagramSocket::new(open, addresses, bound))
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (fresh, no_handles) = {
            let mut state = this.shared.lock();
            state.connection = Some(cx.waker().clone());
            (std::mem::take(&mut state.fresh), state.no_handles)
        };
        for session in fresh {
            let shared = this.shared.clone();
            let idle = move |session: &Session| {
                session.is_empty() && (shared.lock().no_handles || !session.is_usable())
            };
            let running = carrier::carry(
                (this.connector)(),
                session.clone(),
                this.config.clone(),
                idle,
            );
            this.running.push((session, Box::pin(running)));
        }
        this.running
            .retain_mut(|(_, running)| running.as_mut().poll(cx).is_pending());
        if no_handles && this.running.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let fresh = {
            let mut state = self.shared.lock();
            state.no_connection = true;
            std::mem::take(&mut state.fresh)
        };
        let error = Error::new(
            ErrorKind::Closed,
            "the future that runs the connection to the relay is gone",
        );
        let running = self.running.iter().map(|(session, _)| session);
        for session in running.chain(&fresh) {
            session.fail(error.clone());
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.shared.lock();
            state.no_handles = true;
            state.connection.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was locked is the program's; what it holds stays usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("config", &self.handle.config)
            .finish()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("config", &self.config)
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
