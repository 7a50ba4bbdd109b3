//! A pool: one handle that sends over several connections to one server, and no faster than the server
//! wants it.
//!
//! [`connect_pool`] gives the handle, what the connections tell, and the future that drives them; nothing is
//! spawned. A message takes the connection that has the fewest of them under way, and a connection that fails is passed
//! by while others stand. Until the first one stands, all goes to it: a password that is refused is tried
//! once, and not once for each connection.
//!
//! **Nothing is sent twice.** The pool gives a message to another connection only where the first could not
//! be made, so that nothing of it can have left. Whatever else becomes of it is the outcome, as with
//! [`Client::send`](super::Client::send).

mod events;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, Result as SocketResult, TcpConnect, TcpOptions};
use tokio::io::AsyncRead;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

pub use self::events::{PoolEvent, PoolEvents};
use super::config::ClientConfig;
use super::connection::connect_sharing;
use super::event::{Connection, ConnectionError, Status};
use super::handle::Client;
use crate::core::{Body, Envelope, Outcome};
use crate::error::RequestError;

/// How many connections there may be, and how much goes over them.
///
/// ```
/// use std::time::Duration;
///
/// use jackfield_smtp::client::{PoolConfig, Rate};
/// use jackfield_smtp::core::Config;
///
/// let mut config = PoolConfig::new(Config::new("localhost".parse()?));
/// config.connections = 3;
/// // This provider takes so many messages over one connection, and in an hour.
/// config.client.session.connection_messages = Some(100);
/// config.rate = Some(Rate::new(500, Duration::from_hours(1)));
/// # Ok::<(), jackfield_smtp::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// How each connection behaves; what it bounds, it bounds for each.
    pub client: ClientConfig,
    /// How many connections there may be at once, at least 1. Each is made when there is a message for it,
    /// and left when there has been none for a while. Default: 5.
    pub connections: usize,
    /// How many messages may be begun in which time. Default: `None`, for any number.
    pub rate: Option<Rate>,
    /// How many messages may wait for their turn, besides those that are under way; one more is refused
    /// with [`RequestError::TooManyPending`]. Default: 1,000.
    pub message_capacity: usize,
}

impl PoolConfig {
    /// The defaults, with such connections.
    pub fn new(client: impl Into<ClientConfig>) -> Self {
        Self {
            client: client.into(),
            connections: 5,
            rate: None,
            message_capacity: 1000,
        }
    }
}

/// How many messages may be begun in which time: in no interval of this length more.
///
/// ```
/// use std::time::Duration;
///
/// use jackfield_smtp::client::Rate;
///
/// let rate = Rate::new(30, Duration::from_mins(1));
/// assert_eq!(rate.messages(), 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    messages: u32,
    interval: Duration,
}

impl Rate {
    /// So many messages in each interval of this length, at least 1. The pool remembers as many points in
    /// time.
    pub fn new(messages: u32, interval: Duration) -> Self {
        Self {
            messages: messages.max(1),
            interval,
        }
    }

    /// How many messages.
    pub fn messages(self) -> u32 {
        self.messages
    }

    /// In which time.
    pub fn interval(self) -> Duration {
        self.interval
    }
}

/// Prepares a pool of connections to a server. Nothing happens before the [`PoolConnection`] is polled, and
/// nobody is connected to before there is something to send.
///
/// ```no_run
/// use jackfield_smtp::client::{self, Envelope, PoolConfig};
/// use jackfield_smtp::core::{Config, Security};
/// use jackfield_socket::TcpConnect;
///
/// /// `network` speaks TLS, such as `Tls<Native>`.
/// async fn tell_all(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
///     let mut config = Config::new("localhost".parse()?);
///     config.security = Security::Tls;
///     let server = "mail.example.org:465".parse()?;
///     let (pool, _, connection) = client::connect_pool(network, server, PoolConfig::new(config));
///     let send = async {
///         let grace = Envelope::new("ada@example.org".parse()?, ["grace@example.com".parse()?]);
///         let alan = Envelope::new("ada@example.org".parse()?, ["alan@example.net".parse()?]);
///         let (one, other) = tokio::join!(
///             pool.send(grace, "Subject: hello\n\nGrace.\n"),
///             pool.send(alan, "Subject: hello\n\nAlan.\n"),
///         );
///         (one?, other?);
///         pool.close().await;
///         Ok::<_, Box<dyn std::error::Error>>(())
///     };
///     let (sent, ended) = tokio::join!(send, connection);
///     sent?;
///     Ok(ended?)
/// }
/// # fn main() {}
/// ```
pub fn connect_pool<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: PoolConfig,
) -> (Pool, PoolEvents, PoolConnection) {
    let PoolConfig {
        mut client,
        connections,
        rate,
        message_capacity,
    } = config;
    let connections = connections.max(1);
    let depth = client.session.pipeline_depth.max(1);
    let under_way = connections.saturating_mul(depth).min(MAX_UNDER_WAY);
    // While only one stands, it has them all.
    client.session.request_capacity = client.session.request_capacity.max(under_way);
    let network = Arc::new(network);
    let is_unbound = Arc::new(AtomicBool::new(false));
    let (mut clients, mut events, mut work) = (Vec::new(), Vec::new(), Vec::new());
    for (number, server) in std::iter::repeat_n(server, connections).enumerate() {
        let mut config = client.clone();
        // Otherwise all would try again at the same moments.
        let seed = config.connection.seed;
        config.connection.seed = seed.map(|seed| seed.wrapping_add(number as u64));
        let network = Shared(Arc::clone(&network));
        let is_unbound = Arc::clone(&is_unbound);
        let (client, told, connection) = connect_sharing(network, server, config, is_unbound);
        clients.push(client);
        events.push(told);
        work.push(Some(connection));
    }
    let (closing, is_closing) = watch::channel(false);
    let (lives, over) = watch::channel(());
    let shared = Arc::new(Common {
        clients,
        places: Mutex::new(vec![0; connections]),
        under_way: Semaphore::new(under_way),
        capacity: under_way.saturating_add(message_capacity),
        pace: rate.map(Pace::new),
        in_hand: AtomicUsize::new(0),
        settled: watch::Sender::new(()),
        failed: Mutex::new(None),
    });
    let pool = Pool {
        common: Arc::clone(&shared),
        closing: Arc::new(closing),
        over,
    };
    let connection = run(shared, work, is_closing, lives);
    let events = PoolEvents::new(events);
    (pool, events, PoolConnection(Box::pin(connection)))
}

/// As many permits as a semaphore has, and more than anyone has connections for.
const MAX_UNDER_WAY: usize = 1 << 20;

/// A network that several clients connect over.
struct Shared<N>(Arc<N>);

impl<N: TcpConnect> TcpConnect for Shared<N> {
    type Stream = N::Stream;

    fn connect(
        &self,
        to: &Endpoint,
        options: &TcpOptions,
    ) -> impl Future<Output = SocketResult<Self::Stream>> + Send {
        self.0.connect(to, options)
    }
}

/// Sends over several connections; see [`connect_pool`]. Clones send over the same ones.
///
/// Messages have their turn in the order in which they are given. What becomes of a message does not depend
/// on that of others, unless they share a connection: [`Client`] says how. Events of the connections are not
/// told; [`status`](Self::status) says where they stand.
///
/// When the last clone is dropped, the pool is closed.
#[derive(Clone)]
pub struct Pool {
    common: Arc<Common>,
    closing: Arc<watch::Sender<bool>>,
    /// Its other end is gone when the work is.
    over: watch::Receiver<()>,
}

impl Pool {
    /// Where each connection stands now.
    pub fn status(&self) -> Vec<Status> {
        self.common.clients.iter().map(Client::status).collect()
    }

    /// [`Client::reconnect_now`] of each connection.
    pub fn reconnect_now(&self) {
        self.common.clients.iter().for_each(Client::reconnect_now);
    }

    /// Sends a message that is in memory, when its turn has come; as [`Client::send`].
    ///
    /// # Errors
    /// As [`Client::send`]; [`RequestError::TooManyPending`] where
    /// [`message_capacity`](PoolConfig::message_capacity) messages wait, and [`RequestError::Closed`] from
    /// [`close`](Self::close) on.
    ///
    /// # Cancel safety
    /// Dropping the future before a connection took the message withdraws it, and its turn is another's.
    /// Afterwards it is sent all the same, and its outcome is discarded.
    pub async fn send(
        &self,
        envelope: Envelope,
        body: impl Into<Body>,
    ) -> Result<Outcome, RequestError> {
        let body = body.into();
        let _in_hand = self.take()?;
        let _permit = self.turn().await?;
        let mut passed = Vec::new();
        loop {
            let place = self.common.place(&passed);
            let client = &self.common.clients[place.at];
            let sent = client.send(envelope.clone(), body.clone()).await;
            match self.passes(place, sent, &mut passed) {
                None => {}
                Some(outcome) => return outcome,
            }
        }
    }

    /// Sends a message that is read from somewhere, when its turn has come; as [`Client::send_from`]. Nothing
    /// is read before.
    ///
    /// # Errors
    /// As [`Client::send_from`] and [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`Client::send_from`].
    pub async fn send_from(
        &self,
        envelope: Envelope,
        mut source: impl AsyncRead + Unpin,
        size: Option<u64>,
    ) -> Result<Outcome, RequestError> {
        let _in_hand = self.take()?;
        let _permit = self.turn().await?;
        let mut passed = Vec::new();
        loop {
            let place = self.common.place(&passed);
            let client = &self.common.clients[place.at];
            // Where there was no connection, nothing was read.
            let sent = client.send_from(envelope.clone(), &mut source, size).await;
            match self.passes(place, sent, &mut passed) {
                None => {}
                Some(outcome) => return outcome,
            }
        }
    }

    /// Sends what it has been given, takes nothing more, and leaves; done when all connections are gone. What
    /// waits for its turn has it first, and so this may take its time: whoever has none drops the
    /// [`PoolConnection`].
    ///
    /// # Cancel safety
    /// Dropping the future after it was polled changes nothing.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let mut over = self.over.clone();
        // Nothing is ever sent there; it fails when the work is gone.
        while over.changed().await.is_ok() {}
    }

    /// Takes a message in hand.
    fn take(&self) -> Result<InHand<'_>, RequestError> {
        // What was taken before the pool is closed is counted before it looks.
        let before = self.common.in_hand.fetch_add(1, Ordering::SeqCst);
        let in_hand = InHand(&self.common);
        if *self.closing.borrow() {
            return Err(RequestError::Closed);
        }
        if before >= self.common.capacity {
            return Err(RequestError::TooManyPending);
        }
        Ok(in_hand)
    }

    /// Waits for a message's turn.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, RequestError> {
        let permit = self.common.under_way.acquire().await;
        let permit = permit.map_err(|_| self.common.closed())?;
        if let Some(pace) = &self.common.pace {
            pace.turn().await;
        }
        Ok(permit)
    }

    /// What became of a message at this place; `None` where another place may take it.
    fn passes(
        &self,
        place: Place<'_>,
        sent: Result<Outcome, RequestError>,
        passed: &mut Vec<usize>,
    ) -> Option<Result<Outcome, RequestError>> {
        match sent {
            Err(RequestError::Closed) => Some(Err(self.common.closed())),
            // Nothing of it has left.
            Err(RequestError::NotConnected(_)) => {
                passed.push(place.at);
                drop(place);
                if self.common.another_stands(passed) {
                    None
                } else {
                    Some(sent)
                }
            }
            sent => Some(sent),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("connections", &self.common.clients.len())
            .field("messages", &self.common.in_hand.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The work of a pool: it drives all connections. It ends when the pool is closed, or when a connection
/// fails for good and no other stands: where the server refused the credentials, for one.
///
/// Dropping it closes all connections; messages then fail with [`RequestError::Closed`]. What was being sent
/// may have been taken or not.
#[must_use = "nothing happens unless it is polled"]
pub struct PoolConnection(Pin<Box<dyn Future<Output = Result<(), ConnectionError>> + Send>>);

impl Future for PoolConnection {
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for PoolConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConnection").finish_non_exhaustive()
    }
}

/// What the handle and the work share.
struct Common {
    clients: Vec<Client>,
    /// How many messages each client has.
    places: Mutex<Vec<usize>>,
    /// One permit for each message that may be under way; whoever waits longest has the next.
    under_way: Semaphore,
    /// How many messages may be in hand.
    capacity: usize,
    pace: Option<Pace>,
    /// How many messages wait or are under way.
    in_hand: AtomicUsize,
    /// Told whenever there is one less.
    settled: watch::Sender<()>,
    /// Why the work has ended.
    failed: Mutex<Option<ConnectionError>>,
}

impl Common {
    /// A place for a message that had none of these.
    fn place(&self, passed: &[usize]) -> Place<'_> {
        let mut places = lock(&self.places);
        let standing = |at: &usize| self.clients[*at].is_ready();
        let all = 0..self.clients.len();
        let is_free = |at: &usize| !passed.contains(at);
        let at = if all.clone().any(|at| is_free(&at) && standing(&at)) {
            // The one with the fewest that is not known to be down; those that stand before others.
            let up = all.filter(|at| is_free(at) && !self.clients[*at].is_down());
            up.min_by_key(|at| (places[*at], !standing(at)))
        } else {
            // The one that all the others wait for already.
            all.min_by_key(|at| {
                (
                    passed.contains(at),
                    self.clients[*at].is_over(),
                    self.clients[*at].is_down(),
                    usize::MAX - places[*at],
                )
            })
        };
        let at = at.unwrap_or_default();
        places[at] += 1;
        Place { common: self, at }
    }

    /// Whether a connection stands that is none of these.
    fn another_stands(&self, passed: &[usize]) -> bool {
        let mut all = self.clients.iter().enumerate();
        all.any(|(at, client)| !passed.contains(&at) && client.is_ready())
    }

    /// Why nothing is sent any more.
    fn closed(&self) -> RequestError {
        match &*lock(&self.failed) {
            Some(error) => RequestError::NotConnected(Box::new(error.clone())),
            None => RequestError::Closed,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message that is in hand, until this is dropped.
struct InHand<'a>(&'a Common);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::SeqCst);
        self.0.settled.send_replace(());
    }
}

/// A message's place at a client, until this is dropped.
struct Place<'a> {
    common: &'a Common,
    at: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = lock(&self.common.places);
        places[self.at] = places[self.at].saturating_sub(1);
    }
}

/// When messages were begun, so that the next can be begun when that keeps to the rate.
struct Pace {
    rate: Rate,
    /// The last ones, as many as the rate allows at most. Whoever holds it has the next turn, and whoever
    /// waits longest is the next to hold it.
    begun: tokio::sync::Mutex<VecDeque<Instant>>,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            begun: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until one more may be begun, and counts it. Dropped before, it counts for nothing.
    async fn turn(&self) {
        let mut begun = self.begun.lock().await;
        if begun.len() >= self.rate.messages as usize
            && let Some(first) = begun.front()
        {
            time::sleep_until(*first + self.rate.interval).await;
            begun.pop_front();
        }
        begun.push_back(time::now());
    }
}

/// Drives all connections.
async fn run(
    common: Arc<Common>,
    mut connections: Vec<Option<Connection>>,
    mut closing: watch::Receiver<bool>,
    // It lives as long as this.
    _lives: watch::Sender<()>,
) -> Result<(), ConnectionError> {
    // Nothing is left to wait for it when this is dropped at any point.
    let _closes = Closes(Arc::clone(&common));
    let mut settled = common.settled.subscribe();
    let drained = async {
        // It fails where the last handle is gone.
        let _ = closing.wait_for(|it| *it).await;
        while common.in_hand.load(Ordering::SeqCst) > 0 {
            let _ = settled.changed().await;
        }
    };
    let mut drained = std::pin::pin!(drained);
    loop {
        let (at, ended) = tokio::select! {
            biased;
            ended = poll_fn(|cx| poll_ended(&mut connections, cx)) => ended,
            () = &mut drained => break,
        };
        connections[at] = None;
        if let Err(error) = ended
            && !common.clients.iter().any(Client::is_ready)
        {
            *lock(&common.failed) = Some(error.clone());
            return Err(error);
        }
        if connections.iter().all(Option::is_none) {
            return Ok(());
        }
    }
    let mut leaving: Vec<_> = common
        .clients
        .iter()
        .map(|client| Box::pin(client.close()))
        .collect();
    while connections.iter().any(Option::is_some) {
        let (at, _) = poll_fn(|cx| {
            leaving.retain_mut(|it| it.as_mut().poll(cx).is_pending());
            poll_ended(&mut connections, cx)
        })
        .await;
        connections[at] = None;
    }
    Ok(())
}

/// Ends the wait of all messages when the work is gone.
struct Closes(Arc<Common>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.under_way.close();
    }
}

/// The next connection that ends, and how; all of them go on.
fn poll_ended(
    connections: &mut [Option<Connection>],
    cx: &mut Context<'_>,
) -> Poll<(usize, Result<(), ConnectionError>)> {
    for (at, connection) in connections.iter_mut().enumerate() {
        if let Some(it) = connection
            && let Poll::Ready(ended) = Pin::new(it).poll(cx)
        {
            return Poll::Ready((at, ended));
        }
    }
    Poll::Pending
}
