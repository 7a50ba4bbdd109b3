//! The future that does the work: connects, drives a session, and begins again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_socket::driver::{Driver, DriverError};
use jackfield_socket::{Endpoint, TcpConnect, time};
use tokio::sync::{mpsc, oneshot};

use super::ClientConfig;
use super::backoff::Backoff;
use super::event::{ClientEvent, ConnectionError, Events};
use super::handle::{Action, COMMAND_CAPACITY, Client};
use crate::codec::{CaseMapping, ChannelName, Word};
use crate::core::{Event, Reply, Request, RequestId, Session, SessionEvent};
use crate::error::{RequestError, SessionError};

/// Channels that are being entered at once after registering.
const JOINS_AT_ONCE: usize = 4;

/// How long a stream may take to close after `QUIT`.
const LETTING_GO: Duration = Duration::from_secs(1);

/// Prepares a client for a server. Nothing happens before the [`Connection`] is polled.
///
/// See the [module](super) for an example.
pub fn connect<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    let config = config.into();
    let (actions, waiting_actions) = mpsc::channel(COMMAND_CAPACITY);
    let (events, waiting_events) = mpsc::channel(config.event_capacity.max(1));
    let mut rejoin = Rejoin::new(config.session.limits.channels);
    for channel in &config.channels {
        rejoin.add(CaseMapping::default(), channel, None);
    }
    let worker = Worker {
        network,
        server,
        config,
        actions: waiting_actions,
        events,
        rejoin,
        lasted: Duration::ZERO,
    };
    let connection = Connection(Box::pin(worker.run()));
    (Client { actions }, Events(waiting_events), connection)
}

/// A client's work. It ends when the client quits, or when it has lost its connection for good.
///
/// Dropping it closes the connection; the handle's requests then fail with
/// [`RequestError::Closed`], and the events end.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection(Pin<Box<dyn Future<Output = Result<(), ConnectionError>> + Send>>);

impl Future for Connection {
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

struct Worker<N> {
    network: N,
    server: Endpoint,
    config: ClientConfig,
    actions: mpsc::Receiver<Action>,
    events: mpsc::Sender<ClientEvent>,
    rejoin: Rejoin,
    /// How long the last session was registered.
    lasted: Duration,
}

/// How an attempt ended, or the wait between two.
enum End {
    Quit,
    Failed(ConnectionError),
}

impl<N: TcpConnect> Worker<N> {
    async fn run(mut self) -> Result<(), ConnectionError> {
        let reconnect = self.config.reconnect;
        let mut backoff = reconnect.map(|policy| Backoff::new(policy, self.config.seed));
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.lasted = Duration::ZERO;
            let error = match self.attempt(attempt).await {
                End::Quit => return Ok(()),
                End::Failed(error) => error,
            };
            if !self.lasted.is_zero() {
                attempt = 0;
            }
            let backoff = backoff.as_mut().filter(|_| !error.is_permanent());
            let retry_in = backoff.map(|backoff| backoff.next(self.lasted));
            let told = ClientEvent::Disconnected {
                error: error.clone(),
                retry_in,
            };
            let Some(delay) = retry_in else {
                // The last event: whoever waits for room may wait, since nothing else is left.
                let _ = self.events.send(told).await;
                return Err(error);
            };
            let pause = async {
                tell(&self.events, told).await;
                time::sleep(delay).await;
            };
            if refuse_while(&mut self.actions, pause).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn attempt(&mut self, attempt: u32) -> End {
        let opening = async {
            tell(&self.events, ClientEvent::Connecting { attempt }).await;
            let connect = self.network.connect(&self.server, &self.config.tcp);
            let opened = time::timeout(self.config.connect_timeout, connect).await;
            if let Ok(Ok(_)) = opened {
                tell(&self.events, ClientEvent::Connected).await;
            }
            opened
        };
        let stream = match refuse_while(&mut self.actions, opening).await {
            None => return End::Quit,
            Some(Err(_)) => return End::Failed(ConnectionError::ConnectTimedOut),
            Some(Ok(Err(error))) => return End::Failed(ConnectionError::Connect(Arc::new(error))),
            Some(Ok(Ok(stream))) => stream,
        };
        let driver = Driver::new(stream, Session::new(self.config.session.clone()));
        let mut run = Run {
            worker: self,
            driver,
            asked: BTreeMap::new(),
            outbox: VecDeque::new(),
            to_join: VecDeque::new(),
            registered: None,
            quitting: false,
        };
        let end = run.run().await;
        match end {
            End::Quit => run.let_go().await,
            End::Failed(_) => run.drain().await,
        }
        let registered = run.registered;
        self.lasted = registered.map_or(Duration::ZERO, |since| {
            time::now().saturating_duration_since(since)
        });
        end
    }
}

/// One session.
struct Run<'a, N: TcpConnect> {
    worker: &'a mut Worker<N>,
    driver: Driver<N::Stream, Session>,
    asked: BTreeMap<RequestId, Asked>,
    /// Events that wait for room: those of one step, and no more.
    outbox: VecDeque<ClientEvent>,
    /// Channels that are still to be entered after registering.
    to_join: VecDeque<(ChannelName, Option<Word>)>,
    registered: Option<time::Instant>,
    quitting: bool,
}

/// Who asked.
enum Asked {
    Client(oneshot::Sender<Result<Reply, RequestError>>),
    /// This module, entering a channel after registering.
    Rejoin(ChannelName),
}

impl<N: TcpConnect> Run<'_, N> {
    async fn run(&mut self) -> End {
        loop {
            let events = &self.worker.events;
            let outbox = &mut self.outbox;
            let driver = &mut self.driver;
            // Events first: while nobody reads them, nothing is read from the server. Only a
            // client that quits waits for nobody.
            let wait = !self.quitting;
            let next = async {
                flush(events, outbox, wait).await;
                driver.next().await
            };
            let outcome = tokio::select! {
                biased;
                action = self.worker.actions.recv(), if !self.quitting => {
                    // The last handle is gone: nobody can say any more, so it is time to go.
                    self.act(action.unwrap_or(Action::Quit(None)));
                    continue;
                }
                outcome = next => outcome,
            };
            match outcome {
                Ok(Some(SessionEvent::QuitDone)) => return End::Quit,
                Ok(Some(event)) => self.take(event),
                _ if self.quitting => return End::Quit,
                Ok(None) => {
                    let ended = ConnectionError::Session(SessionError::Ended);
                    return End::Failed(ended);
                }
                Err(DriverError::Core(error)) => {
                    return End::Failed(ConnectionError::Session(error));
                }
                Err(DriverError::Io(error)) => {
                    return End::Failed(ConnectionError::Stream(Arc::new(error.into())));
                }
                Err(_) => return End::Failed(ConnectionError::Session(SessionError::Ended)),
            }
        }
    }

    /// Ends this side's direction, and waits a little for the server to end its own.
    async fn let_go(&mut self) {
        let _ = time::timeout(LETTING_GO, self.driver.next()).await;
    }

    /// Takes what the session told before it ended.
    async fn drain(&mut self) {
        while let Ok(Some(event)) = self.driver.next().await {
            self.take(event);
            flush(&self.worker.events, &mut self.outbox, true).await;
        }
        flush(&self.worker.events, &mut self.outbox, true).await;
        for (_, asked) in std::mem::take(&mut self.asked) {
            if let Asked::Client(done) = asked {
                let _ = done.send(Err(RequestError::ConnectionLost));
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Quit(reason) => self.quit(reason),
            Action::Request(_, done) if done.is_closed() => {}
            Action::Request(request, done) => {
                if let Request::Join { channel, key } = &request {
                    self.worker.rejoin.remember_key(channel, key.as_ref());
                }
                match self.driver.core_mut().request(request) {
                    Ok(id) => {
                        self.asked.insert(id, Asked::Client(done));
                    }
                    Err(error) => {
                        let _ = done.send(Err(error));
                    }
                }
            }
        }
    }

    fn quit(&mut self, reason: Option<crate::codec::Text>) {
        self.quitting = true;
        self.driver.core_mut().quit(reason);
    }

    fn take(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Event(event) => {
                self.note(&event);
                self.outbox.push_back(ClientEvent::Irc(event));
            }
            SessionEvent::Completed(id, outcome) => match self.asked.remove(&id) {
                Some(Asked::Client(done)) => {
                    let _ = done.send(outcome);
                }
                Some(Asked::Rejoin(channel)) => {
                    if let Err(error) = outcome {
                        self.join_failed(channel, error);
                    }
                    self.join_more();
                }
                None => {}
            },
            SessionEvent::QuitDone => {}
        }
    }

    fn note(&mut self, event: &Event) {
        let mapping = self.driver.core().isupport().case_mapping;
        match event {
            Event::Registered { .. } => {
                self.registered = Some(time::now());
                self.to_join = self.worker.rejoin.all();
                self.join_more();
            }
            Event::Joined {
                channel, own: true, ..
            } => self.worker.rejoin.add(mapping, channel, None),
            Event::Parted {
                channel, own: true, ..
            }
            | Event::Kicked {
                channel, own: true, ..
            } => self.worker.rejoin.remove(mapping, channel),
            _ => {}
        }
    }

    /// Enters the next channels.
    fn join_more(&mut self) {
        let entering = |asked: &&Asked| matches!(asked, Asked::Rejoin(_));
        while self.asked.values().filter(entering).count() < JOINS_AT_ONCE {
            let Some((channel, key)) = self.to_join.pop_front() else {
                return;
            };
            let request = Request::Join {
                channel: channel.clone(),
                key,
            };
            match self.driver.core_mut().request(request) {
                Ok(id) => {
                    self.asked.insert(id, Asked::Rejoin(channel));
                }
                Err(error) => self.join_failed(channel, error),
            }
        }
    }

    fn join_failed(&mut self, channel: ChannelName, error: RequestError) {
        if let RequestError::Refused(_) = error {
            let mapping = self.driver.core().isupport().case_mapping;
            self.worker.rejoin.remove(mapping, &channel);
        }
        self.outbox
            .push_back(ClientEvent::JoinFailed { channel, error });
    }
}

/// The channels to be in, in the order they were entered, with the keys that opened them.
#[derive(Debug)]
struct Rejoin {
    limit: usize,
    channels: Vec<(ChannelName, Option<Word>)>,
    /// Keys of channels that were asked for, of which nothing is known yet.
    keys: VecDeque<(ChannelName, Word)>,
}

/// Keys that wait for their channels to be entered.
const MAX_KEYS: usize = 32;

impl Rejoin {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            channels: Vec::new(),
            keys: VecDeque::new(),
        }
    }

    fn all(&self) -> VecDeque<(ChannelName, Option<Word>)> {
        self.channels.iter().cloned().collect()
    }

    fn remember_key(&mut self, channel: &ChannelName, key: Option<&Word>) {
        if let Some(key) = key {
            if self.keys.len() == MAX_KEYS {
                self.keys.pop_front();
            }
            self.keys.push_back((channel.clone(), key.clone()));
        }
    }

    fn add(&mut self, mapping: CaseMapping, channel: &ChannelName, key: Option<Word>) {
        let asked = self
            .keys
            .iter()
            .position(|(name, _)| mapping.eq(name, channel));
        let asked = asked
            .and_then(|at| self.keys.remove(at))
            .map(|(_, key)| key);
        let key = key.or(asked);
        let room = self.channels.len() < self.limit;
        let known = self
            .channels
            .iter_mut()
            .find(|(name, _)| mapping.eq(name, channel));
        match known {
            Some((_, known_key)) => *known_key = key.or(known_key.take()),
            None if room => self.channels.push((channel.clone(), key)),
            None => {}
        }
    }

    fn remove(&mut self, mapping: CaseMapping, channel: &ChannelName) {
        self.channels.retain(|(name, _)| !mapping.eq(name, channel));
    }
}

/// Runs a future while there is no session: requests are refused. None when the client quits.
async fn refuse_while<T>(
    actions: &mut mpsc::Receiver<Action>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            action = actions.recv() => match action {
                Some(Action::Request(_, done)) => {
                    let _ = done.send(Err(RequestError::NotConnected));
                }
                Some(Action::Quit(_)) | None => return None,
            },
            output = &mut future => return Some(output),
        }
    }
}

/// Tells something; waits for room. Nobody may listen.
async fn tell(events: &mpsc::Sender<ClientEvent>, event: ClientEvent) {
    let _ = events.send(event).await;
}

/// Moves events to where they are read. Cancelled, it has lost none.
async fn flush(events: &mpsc::Sender<ClientEvent>, outbox: &mut VecDeque<ClientEvent>, wait: bool) {
    while !outbox.is_empty() {
        let room = if wait {
            events.reserve().await.ok()
        } else {
            events.try_reserve().ok()
        };
        match (room, outbox.pop_front()) {
            (Some(room), Some(event)) => room.send(event),
            // Nobody listens, or the client quits and nobody reads.
            _ => outbox.clear(),
        }
    }
}
