//! The server: accepts connections, speaks TLS, lets clients in, and ends in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_relay_wire::{Code, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::handshake::{self, Admitted, Gate, Outcome};
use crate::limits::{Slot, Whose};
use crate::resolve::Resolve;
use crate::session::{self, Context};
use crate::tls::Certificates;

/// How many clients may be in the middle of a handshake; beyond it, new ones wait in the system's
/// queue.
const MAX_HANDSHAKES: usize = 256;
/// How long sessions may go on after the relay was told to end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A relay that listens, and waits to be [run](Self::run).
#[derive(Debug)]
pub struct Relayd {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    shared: Shared,
}

#[derive(Debug)]
struct Shared {
    gate: Gate,
    tls: Option<Arc<Certificates>>,
    handshake_deadline: Duration,
    sessions: Semaphore,
    handshakes: Arc<Semaphore>,
    context: Context,
    numbers: AtomicU64,
}

impl Config {
    /// Looks at what only shows when the relay starts: the certificate's files.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn check(&self) -> io::Result<()> {
        if let Some(files) = &self.tls {
            Certificates::load(files.clone())?;
        }
        Ok(())
    }
}

impl Relayd {
    /// Listens at the configuration's addresses, and reads its certificate.
    ///
    /// # Errors
    /// Where an address can't be had, or the certificate's files can't be used; the text names
    /// which.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it has opened.
    pub async fn bind(config: Config) -> io::Result<Self> {
        let tls = config
            .tls
            .clone()
            .map(Certificates::load)
            .transpose()?
            .map(Arc::new);
        let mut listeners = Vec::new();
        for address in &config.listen {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                io::Error::new(error.kind(), format!("can't listen at {address}: {error}"))
            })?;
            listeners.push(listener);
        }
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()?;
        let shared = Shared {
            gate: Gate::new(&config, &addresses),
            tls,
            handshake_deadline: config.handshake_deadline,
            sessions: Semaphore::new(config.max_sessions as usize),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            context: Context::default(),
            numbers: AtomicU64::new(1),
        };
        Ok(Self {
            listeners,
            addresses,
            shared,
        })
    }

    /// Looks names up with this instead of the system's resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolve) -> Self {
        self.shared.context = Context::new(resolver);
        self
    }

    /// Where it listens, in the configuration's order; with the real ports where that had 0.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Reads the certificate's files again whenever it is called, for connections to come. If that
    /// fails, the log says so and the certificate in use stays.
    pub fn reload_certificate(&self) -> impl Fn() + Send + Sync + use<> {
        let tls = self.shared.tls.clone();
        move || match tls.as_ref().map(|tls| tls.reload()) {
            None => info!("there is no certificate to read again"),
            Some(Ok(())) => info!("read the certificate again"),
            Some(Err(error)) => error!(%error, "can't read the certificate again"),
        }
    }

    /// Serves until `shutdown` is ready. Then it takes nothing new and tells its clients so; what is
    /// open may end within 5 s, and is cut afterwards.
    ///
    /// # Cancel safety
    /// Dropping the future cuts every session at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (ending, _) = watch::channel(false);
        let shared = Arc::new(self.shared);
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            if let Ok(address) = listener.local_addr() {
                info!(%address, tls = shared.tls.is_some(), "listening");
            }
            tasks.spawn(serve(listener, Arc::clone(&shared), ending.subscribe()));
        }
        shutdown.await;
        info!("shutting down");
        ending.send_replace(true);
        let drained = timeout(DRAIN, async { while tasks.join_next().await.is_some() {} });
        if drained.await.is_err() {
            warn!("some sessions did not end in time and are cut");
        }
    }
}

/// Accepts at one address until the relay ends, then waits for its sessions.
async fn serve(listener: TcpListener, shared: Arc<Shared>, ending: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    let mut ended = ending.clone();
    let accepting = async {
        loop {
            while sessions.try_join_next().is_some() {}
            let Ok(handshaking) = Arc::clone(&shared.handshakes).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (shared, ending) = (Arc::clone(&shared), ending.clone());
                    sessions.spawn(async move {
                        let handshaking = Handshaking {
                            _permit: handshaking,
                        };
                        connection(stream, peer, &shared, handshaking, ending).await;
                    });
                }
                Err(error) => {
                    warn!(%error, "can't accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = ended.wait_for(|ended| *ended) => {}
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// A place among those who are in the middle of a handshake, or are told why they can't come in: what
/// nobody has vouched for takes no session away from others.
struct Handshaking {
    _permit: tokio::sync::OwnedSemaphorePermit,
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    handshaking: Handshaking,
    ending: watch::Receiver<bool>,
) {
    if let Err(error) = session::prepare_carrier(&stream) {
        debug!(%peer, %error, "can't set the connection's options");
    }
    match &shared.tls {
        None => shake_hands(stream, peer, shared, handshaking, ending).await,
        Some(tls) => {
            let acceptor = tls.acceptor();
            match timeout(shared.handshake_deadline, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => shake_hands(stream, peer, shared, handshaking, ending).await,
                Ok(Err(error)) => info!(%peer, %error, "TLS failed"),
                Err(_) => info!(%peer, "TLS took too long"),
            }
        }
    }
}

async fn shake_hands<S>(
    mut stream: S,
    peer: SocketAddr,
    shared: &Shared,
    handshaking: Handshaking,
    ending: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let received = timeout(
        shared.handshake_deadline,
        handshake::receive(&mut stream, peer.ip(), &shared.gate),
    );
    let admitted = match received.await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(Outcome::Healthy)) => return debug!(%peer, "asked for health"),
        Ok(Err(Outcome::Refused(refused))) => {
            return info!(%peer, reason = %refused, "refused a client");
        }
        Ok(Err(Outcome::Denied(upgrade, reason))) => {
            info!(%peer, %reason, "denied a client");
            return session::deny(stream, &upgrade, reason).await;
        }
        Ok(Err(Outcome::Failed(error))) => {
            return debug!(%peer, %error, "went away during the handshake");
        }
        Err(_) => return info!(%peer, "the handshake took too long"),
    };

    let slots = if *ending.borrow() {
        Err(Reason::new(Code::GOING_AWAY, "the relay is shutting down"))
    } else {
        slots(shared, &admitted)
    };
    let _slots = match slots {
        Ok(slots) => slots,
        Err(reason) => {
            info!(%peer, token = admitted.grant.token.name, %reason, "denied a client");
            return session::deny(stream, &admitted.upgrade, reason).await;
        }
    };
    drop(handshaking);
    if let Err(error) = admitted.upgrade.send(&mut stream).await {
        return debug!(%peer, %error, "went away during the handshake");
    }
    let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
    session::run(stream, peer, number, admitted, &shared.context, ending).await;
}

/// A place for a session: one of the relay's, and one of its token's and its bearer's.
fn slots<'a>(
    shared: &'a Shared,
    admitted: &Admitted,
) -> Result<(SemaphorePermit<'a>, Slot), Reason> {
    let relay = shared.sessions.try_acquire().map_err(|_| {
        let text = "the relay's limit max_sessions is reached";
        Reason::new(Code::RELAY_FULL, text)
    })?;
    let token = admitted.grant.usage.session().map_err(|limit| {
        let code = match limit.whose {
            Whose::Source => Code::RELAY_FULL,
            Whose::Bearer | Whose::Token => Code::TOKEN_FULL,
        };
        Reason::new(code, &limit.to_string())
    })?;
    Ok((relay, token))
}
