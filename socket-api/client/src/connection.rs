//! The loop: connects, drives a core, and begins again.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_socket::driver::{Core, Driver, DriverError, StreamCore};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{ByteStream, TcpConnect, TcpOptions};

use crate::backoff::Backoff;
use crate::channel::{self, Inbox};
use crate::{
    Actions, Again, ConnectionError, Events, Failure, Flow, Link, Outbox, Poster, Progress,
    Protocol, Reconnect,
};

/// How long a core may take to take leave.
const QUITTING: Duration = Duration::from_secs(10);
/// How long a stream may take to close after that.
const LETTING_GO: Duration = Duration::from_secs(1);
/// After so many actions without a pause, the connection has its turn.
const ACTIONS_IN_A_ROW: u32 = 32;

/// How to connect, whatever the protocol.
///
/// ```
/// let mut options = jackfield_client::Options::default();
/// options.connect_timeout = std::time::Duration::from_secs(10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How to try again; none for never. Default: [`Reconnect::default`].
    pub reconnect: Option<Reconnect>,
    /// How long opening the stream may take, TLS included. Default: 30 s.
    pub connect_timeout: Duration,
    /// How to open the stream.
    pub tcp: TcpOptions,
    /// How many actions may wait to be taken, at least 1. Who has another one waits. Default: 32.
    pub action_capacity: usize,
    /// How many events may wait to be read, at least 1. When they do, the client stops reading from
    /// its peer. Default: 256.
    pub event_capacity: usize,
    /// What the jitter of reconnecting begins with: the same seed gives the same delays. Default:
    /// none, for another one each time.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reconnect: Some(Reconnect::default()),
            connect_timeout: Duration::from_secs(30),
            tcp: TcpOptions::default(),
            action_capacity: 32,
            event_capacity: 256,
            seed: None,
        }
    }
}

/// Prepares a client. Nothing happens before the [`Connection`] is polled.
///
/// See the [crate](crate) for an example.
pub fn connect<N: TcpConnect, P: Protocol>(
    network: N,
    protocol: P,
    options: Options,
) -> (Actions<P::Action>, Events<P::Event>, Connection<P::Error>) {
    let (actions, inbox) = channel::actions(options.action_capacity);
    let (outbox, events) = channel::events(options.event_capacity);
    let worker = Worker {
        protocol,
        inbox,
        outbox,
        actions_in_a_row: 0,
    };
    let work = worker.run(network, options, actions.poster());
    let connection = Connection(Box::pin(work));
    (actions, events, connection)
}

/// A client's work. It ends when the client quits, or when it has lost its connection for good.
///
/// Dropping it closes the connection; nothing that the handle asks for is done any more, and the
/// events end.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<E>(Pin<Box<dyn Future<Output = Result<(), ConnectionError<E>>> + Send>>);

impl<E> Future for Connection<E> {
    type Output = Result<(), ConnectionError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<E> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// How an attempt ended, or the wait between two.
enum End<E> {
    Quit,
    Failed(ConnectionError<E>),
}

struct Worker<P: Protocol> {
    protocol: P,
    inbox: Inbox<P::Action>,
    outbox: Outbox<P::Event>,
    actions_in_a_row: u32,
}

impl<P: Protocol> Worker<P> {
    async fn run<N: TcpConnect>(
        mut self,
        network: N,
        options: Options,
        poster: Poster<P::Action>,
    ) -> Result<(), ConnectionError<P::Error>> {
        let mut backoff = options
            .reconnect
            .map(|policy| Backoff::new(policy, options.seed));
        let mut core = match self.protocol.begin(poster).await {
            Ok(core) => core,
            Err(error) => {
                let retry_in = None;
                let told = error.clone();
                self.outbox.push(Progress::Disconnected { error, retry_in });
                self.outbox.flush().await;
                return Err(told);
            }
        };
        let mut attempt: u32 = 0;
        loop {
            attempt = attempt.saturating_add(1);
            let (returned, end) = self.attempt(&network, &options, core, attempt).await;
            core = returned;
            let End::Failed(error) = end else {
                self.protocol.ended(&mut core, None);
                return self.finish(&mut core).await;
            };
            let ended = self.protocol.ended(&mut core, Some(&error));
            if !ended.lasted.is_zero() {
                attempt = 0;
            }
            let retry_in = match ended.again {
                Again::No => None,
                Again::AtOnce => Some(Duration::ZERO),
                Again::Later => backoff.as_mut().map(|backoff| backoff.next(ended.lasted)),
                Again::After(least) => backoff
                    .as_mut()
                    .map(|backoff| backoff.next(ended.lasted).max(least)),
            };
            self.outbox.push(Progress::Disconnected {
                error: error.clone(),
                retry_in,
            });
            // After the last event nothing is left to do but to have it read.
            let pause = async {
                if let Some(delay) = retry_in {
                    time::sleep(delay).await;
                }
            };
            match self.offline(&mut core, pause).await {
                Err(End::Failed(error)) => return Err(error),
                _ if retry_in.is_none() => return Err(error),
                Err(End::Quit) => return self.finish(&mut core).await,
                Ok(()) => {}
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn attempt<N: TcpConnect>(
        &mut self,
        network: &N,
        options: &Options,
        mut core: P::Core,
        attempt: u32,
    ) -> (P::Core, End<P::Error>) {
        self.outbox.push(Progress::Connecting { attempt });
        let prepare = self.protocol.prepare(attempt);
        let opening = async {
            let (server, prepared) = prepare.await?;
            let connect = network.connect(&server, &options.tcp);
            match time::timeout(options.connect_timeout, connect).await {
                Ok(Ok(stream)) => Ok((stream, prepared)),
                Ok(Err(error)) => Err(ConnectionError::Connect(Arc::new(error))),
                Err(_) => Err(ConnectionError::ConnectTimedOut),
            }
        };
        let (stream, prepared) = match self.offline(&mut core, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return (core, End::Failed(error)),
            Err(end) => return (core, end),
        };
        self.outbox.push(Progress::Connected);
        if let Err(error) = self.protocol.opened(&mut core, prepared) {
            return (core, End::Failed(error));
        }
        let mut driver = Driver::new(stream, core);
        let end = match self.drive(&mut driver).await {
            Ok(end) => self.drain(&mut driver, &end).await.map(|()| end),
            Err(error) => Err(error),
        };
        let end = end.unwrap_or_else(End::Failed);
        let (_, core, _) = driver.into_parts();
        (core, end)
    }

    /// Drives the core until its connection ends, or fails where an event could not be taken.
    async fn drive<S: ByteStream>(
        &mut self,
        driver: &mut Driver<S, P::Core>,
    ) -> Result<End<P::Error>, ConnectionError<P::Error>> {
        let mut quit_by: Option<Instant> = None;
        loop {
            // What the core has told already is taken, read or not: it may be what others wait for.
            let core = driver.core_mut();
            while let Some(event) = core.poll_event() {
                match self.protocol.take(core, event, &mut self.outbox).await? {
                    Flow::Continue => {}
                    Flow::Quit => {
                        quit_by.get_or_insert_with(|| time::now() + QUITTING);
                    }
                    Flow::Left => return Ok(End::Quit),
                }
            }
            let step = {
                let (inbox, outbox, protocol) =
                    (&mut self.inbox, &mut self.outbox, &mut self.protocol);
                let next = async {
                    // Events first: while nobody reads them, nothing is read from the peer. Only a
                    // client that quits waits for nobody.
                    if quit_by.is_some() {
                        outbox.flush_now();
                    } else {
                        let room = async {
                            outbox.flush().await;
                            protocol.deliver().await;
                        };
                        send_while(driver, room).await;
                    }
                    driver.next().await
                };
                let asked = async {
                    match quit_by {
                        None => Asked::Action(inbox.recv().await),
                        Some(by) => {
                            time::sleep_until(by).await;
                            Asked::Enough
                        }
                    }
                };
                either(asked, next, &mut self.actions_in_a_row).await
            };
            let flow = match step {
                Either::First(Asked::Action(action)) => {
                    self.act(driver.core_mut(), action, Link::Up)
                }
                Either::First(Asked::Enough) => return Ok(End::Quit),
                Either::Second(Ok(Some(event))) => {
                    let core = driver.core_mut();
                    self.protocol.take(core, event, &mut self.outbox).await?
                }
                Either::Second(_) if quit_by.is_some() => return Ok(End::Quit),
                Either::Second(outcome) => {
                    let error = match outcome {
                        Err(DriverError::Core(error)) => ConnectionError::Session(error.into()),
                        Err(DriverError::Io(error)) => {
                            ConnectionError::Stream(Arc::new(error.into()))
                        }
                        _ => ConnectionError::Session(P::Error::ended()),
                    };
                    return Ok(End::Failed(error));
                }
            };
            match flow {
                Flow::Continue => {}
                Flow::Quit => {
                    quit_by.get_or_insert_with(|| time::now() + QUITTING);
                }
                Flow::Left => return Ok(End::Quit),
            }
        }
    }

    /// Takes what the core told before the end. After leave was taken, this side's direction ends,
    /// and the peer gets a little time to end its own.
    async fn drain<S: ByteStream>(
        &mut self,
        driver: &mut Driver<S, P::Core>,
        end: &End<P::Error>,
    ) -> Result<(), ConnectionError<P::Error>> {
        let by = time::now() + LETTING_GO;
        loop {
            let left = match end {
                End::Quit => by.saturating_duration_since(time::now()),
                // The driver reads nothing more: it gives what is there, and ends.
                End::Failed(_) => LETTING_GO,
            };
            let Ok(Ok(Some(event))) = time::timeout(left, driver.next()).await else {
                return Ok(());
            };
            let core = driver.core_mut();
            self.protocol.take(core, event, &mut self.outbox).await?;
            if let End::Quit = end {
                self.outbox.flush_now();
            }
        }
    }

    /// Works on something while there is no connection.
    async fn offline<T>(
        &mut self,
        core: &mut P::Core,
        work: impl Future<Output = T>,
    ) -> Result<T, End<P::Error>> {
        let mut work = pin!(work);
        loop {
            self.settle(core).await.map_err(End::Failed)?;
            let step = {
                let (inbox, outbox, protocol) =
                    (&mut self.inbox, &mut self.outbox, &mut self.protocol);
                let work = async {
                    outbox.flush().await;
                    protocol.deliver().await;
                    work.as_mut().await
                };
                either(inbox.recv(), work, &mut self.actions_in_a_row).await
            };
            match step {
                Either::Second(output) => return Ok(output),
                Either::First(action) => match self.act(core, action, Link::Down) {
                    Flow::Continue => {}
                    Flow::Quit | Flow::Left => return Err(End::Quit),
                },
            }
        }
    }

    fn act(&mut self, core: &mut P::Core, action: Option<P::Action>, link: Link) -> Flow {
        if let Some(action) = action {
            self.protocol.act(core, action, link)
        } else {
            self.protocol.abandoned(core, link);
            Flow::Quit
        }
    }

    /// Takes what the core tells without a connection.
    async fn settle(&mut self, core: &mut P::Core) -> Result<(), ConnectionError<P::Error>> {
        while let Some(event) = core.poll_event() {
            self.protocol.take(core, event, &mut self.outbox).await?;
        }
        Ok(())
    }

    /// The client has quit: nobody is waited for.
    async fn finish(&mut self, core: &mut P::Core) -> Result<(), ConnectionError<P::Error>> {
        let settled = self.settle(core).await;
        self.outbox.flush_now();
        settled
    }
}

enum Asked<A> {
    Action(Option<A>),
    /// The core has had all the time it gets to take leave.
    Enough,
}

enum Either<A, B> {
    First(A),
    Second(B),
}

/// Whichever is ready. Where both are it is the first, but after so many times in a row the second:
/// who never pauses must not keep the connection from its work.
async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
    in_a_row: &mut u32,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let second_first = *in_a_row >= ACTIONS_IN_A_ROW;
    let either = poll_fn(|cx| {
        if second_first && let Poll::Ready(output) = second.as_mut().poll(cx) {
            return Poll::Ready(Either::Second(output));
        }
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        if second_first {
            return Poll::Pending;
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await;
    *in_a_row = match either {
        Either::First(_) if !second_first => *in_a_row + 1,
        _ => 0,
    };
    either
}

/// Waits for something while the driver writes, and only that.
async fn send_while<S: ByteStream, C: StreamCore>(
    driver: &mut Driver<S, C>,
    work: impl Future<Output = ()>,
) {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let done = work.as_mut().poll(cx);
        if done.is_pending() {
            driver.poll_send(cx);
        }
        done
    })
    .await;
}
