//! The network through a relay, and the future that runs it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jackfield_relay_wire::{Id, Mux, Reason, UdpTarget};
use jackfield_socket::{
    Endpoint, Error, ErrorKind, ListenOptions, Result, TcpConnect, TcpListen, TcpOptions, UdpOpen,
    UdpOptions,
};

use crate::carrier::{self, BoxFuture, Connector};
use crate::session::{Addresses, Open, Session};
use crate::{RelayConfig, RelayDatagramSocket, RelayListener, RelayStream};

/// To how many other WebSockets an opening moves at the most whose relay is being shut down: one where
/// another relay takes over at once, and one more for each that is shut down as well. Or whose token's
/// time is over, where the next one gets a fresh token.
const MAX_MOVES: u32 = 3;

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
        let mut moves = 0;
        loop {
            let session = self.session()?;
            match poll_fn(|cx| session.poll_greeting(cx)).await {
                Err(error) if moves < MAX_MOVES && session.is_left(&error) => moves += 1,
                greeted => return greeted,
            }
        }
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
            let before = state.current.as_ref();
            let not_before = before.and_then(|session| session.come_back());
            let session = Session::new(&self.handle.config, not_before);
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
        let ask = |mux: &mut Mux| mux.connect(to.clone(), options.clone());
        let (open, addresses) = self.open(&ask).await?;
        Ok(RelayStream::new(open, addresses))
    }
}

impl TcpListen for Relay {
    type Listener = RelayListener;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<RelayListener> {
        options.validate(at)?;
        let ask = |mux: &mut Mux| mux.listen(at, options.clone());
        let (open, addresses) = self.open(&ask).await?;
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

/// Asks for something.
type Ask<'a> = &'a (dyn Fn(&mut Mux) -> std::result::Result<Id, Reason> + Sync);

impl Relay {
    /// Opens something; on another WebSocket where the relay lets go of that on which it was asked for,
    /// since nothing was opened then.
    async fn open(&self, ask: Ask<'_>) -> Result<(Open, Addresses)> {
        let mut moves = 0;
        loop {
            let session = self.session()?;
            match Self::try_open(&session, ask).await {
                Err(error) if moves < MAX_MOVES && session.is_left(&error) => moves += 1,
                opened => return opened,
            }
        }
    }

    async fn try_open(session: &Arc<Session>, ask: Ask<'_>) -> Result<(Open, Addresses)> {
        let open = Open::request(session, ask)?;
        let addresses = poll_fn(|cx| open.poll_answer(cx)).await?;
        Ok((open, addresses))
    }

    async fn open_udp(
        &self,
        target: UdpTarget,
        options: &UdpOptions,
    ) -> Result<RelayDatagramSocket> {
        let bound = matches!(target, UdpTarget::Bound(_));
        let ask = |mux: &mut Mux| mux.open_udp(target.clone(), options.clone());
        let (open, addresses) = self.open(&ask).await?;
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
                this.connector.clone(),
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
