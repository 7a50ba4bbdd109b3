//! The loop of a client: connects, drives a core, and begins again.

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_socket::driver::{Core, DatagramCore, DriverError, StreamCore};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, TcpConnect, UdpOpen};

use crate::actions::{self, Inbox};
use crate::backoff::Backoff;
use crate::carrier::{Carrier, Datagrams, Drive, Streams, UdpTarget};
use crate::{
    Actions, Again, ConnectionError, Events, Failure, Flow, Link, Options, Outbox, Poster,
    Protocol, Status, events,
};

/// How long a core may take to take leave.
const TAKING_LEAVE: Duration = Duration::from_secs(10);
/// How long a stream may take to close after that.
const LETTING_GO: Duration = Duration::from_secs(1);
/// After so many actions without a pause, the connection has its turn.
const ACTIONS_IN_A_ROW: u32 = 32;

/// A client's three parts: what its handle is made of, what it tells, and its work.
pub type Parts<P> = (
    Actions<<P as Protocol>::Action, <P as Protocol>::Ready, <P as Protocol>::Error>,
    Events<<P as Protocol>::Event, <P as Protocol>::Ready, <P as Protocol>::Error>,
    Connection<<P as Protocol>::Error>,
);

/// Prepares a client over streams. Nothing happens before the [`Connection`] is polled.
///
/// See the [crate](crate) for an example.
pub fn connect<N, P>(network: N, protocol: P, options: Options) -> Parts<P>
where
    N: TcpConnect,
    P: Protocol<Core: StreamCore, Target = Endpoint>,
{
    over(Streams(network), protocol, options)
}

/// Prepares a client over datagrams: the same loop, and the same parts.
pub fn connect_datagrams<N, P>(network: N, protocol: P, options: Options) -> Parts<P>
where
    N: UdpOpen,
    P: Protocol<Core: DatagramCore, Target = UdpTarget>,
{
    over(Datagrams(network), protocol, options)
}

fn over<C, P>(carrier: C, protocol: P, options: Options) -> Parts<P>
where
    P: Protocol,
    C: Carrier<P::Core, Target = P::Target>,
{
    let (outbox, events, status) = events::events(options.event_capacity);
    let (actions, inbox) = actions::actions(options.action_capacity, status);
    let worker = Worker {
        carrier,
        options,
        client: Client {
            protocol,
            inbox,
            outbox,
            actions_in_a_row: 0,
        },
    };
    let connection = Connection(Box::pin(worker.run(actions.poster())));
    (actions, events, connection)
}

/// A client's work. It ends when the client is closed, or when it has lost its connection for good.
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
    Closed,
    Failed(ConnectionError<E>),
}

struct Worker<C, P: Protocol> {
    carrier: C,
    options: Options,
    client: Client<P>,
}

impl<C, P> Worker<C, P>
where
    P: Protocol,
    C: Carrier<P::Core, Target = P::Target>,
{
    /// All of it. Where it fails, whenever that is, the last status says so.
    async fn run(mut self, poster: Poster<P::Action>) -> Result<(), ConnectionError<P::Error>> {
        let ended = self.work(poster).await;
        if let Err(error) = &ended {
            self.client.outbox.set(Status::Disconnected {
                error: error.clone(),
                retry_in: None,
            });
            self.client.outbox.hand_over();
        }
        ended
    }

    async fn work(&mut self, poster: Poster<P::Action>) -> Result<(), ConnectionError<P::Error>> {
        let policy = self.options.reconnect;
        let mut backoff = policy.map(|policy| Backoff::new(policy, self.options.seed));
        let mut core = self.client.protocol.begin(poster).await?;
        let mut attempt: u32 = 0;
        loop {
            attempt = attempt.saturating_add(1);
            let (returned, end) = self.attempt(core, attempt).await;
            core = returned;
            let End::Failed(error) = end else {
                self.client.protocol.ended(&mut core, None);
                return self.finish(&mut core).await;
            };
            self.client.lost(&error);
            let again = self.client.protocol.ended(&mut core, Some(&error));
            let lasted = self.client.outbox.lasted();
            if lasted.is_some() {
                attempt = 0;
            }
            let lasted = lasted.unwrap_or_default();
            let retry_in = match again {
                Again::No => None,
                Again::AtOnce => Some(Duration::ZERO),
                Again::Later => backoff.as_mut().map(|backoff| backoff.next(lasted)),
                Again::After(least) => backoff
                    .as_mut()
                    .map(|backoff| backoff.next(lasted).max(least)),
            };
            self.client.settle(&mut core).await?;
            let Some(delay) = retry_in else {
                return Err(error);
            };
            let shared = Arc::clone(&self.client.inbox.shared);
            // Whoever sees the status may hurry it on.
            let hurried = shared.hurry.notified();
            self.client
                .outbox
                .set(Status::Disconnected { error, retry_in });
            let wait = async {
                tokio::select! {
                    () = time::sleep(delay) => {}
                    () = hurried => {}
                }
            };
            match self.client.offline(&mut core, wait).await {
                Ok(()) => {}
                Err(End::Closed) => return self.finish(&mut core).await,
                Err(End::Failed(error)) => return Err(error),
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn attempt(&mut self, mut core: P::Core, attempt: u32) -> (P::Core, End<P::Error>) {
        self.client.outbox.set(Status::Connecting { attempt });
        let prepare = self.client.protocol.prepare(attempt);
        let opened = {
            let (carrier, options) = (&self.carrier, &self.options);
            let opening = async {
                let (target, prepared) = prepare.await?;
                let open = carrier.open(&target, options);
                match time::timeout(options.connect_timeout, open).await {
                    Ok(Ok(opened)) => Ok((opened, prepared)),
                    Ok(Err(error)) => Err(ConnectionError::Connect(Arc::new(error))),
                    Err(_) => Err(ConnectionError::ConnectTimedOut),
                }
            };
            self.client.offline(&mut core, opening).await
        };
        let (opened, prepared) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return (core, End::Failed(error)),
            Err(end) => return (core, end),
        };
        self.client.inbox.shared.set_lost_at(None);
        self.client.outbox.set(Status::Connected);
        if let Some(info) = C::info(&opened) {
            self.client.protocol.stream_info(&mut core, &info);
        }
        if let Err(error) =
            self.client
                .protocol
                .opened(&mut core, prepared, &mut self.client.outbox)
        {
            return (core, End::Failed(error));
        }
        let mut driver = C::drive(opened, core);
        let end = match self.drive(&mut driver).await {
            Ok(end) => {
                if let End::Failed(error) = &end {
                    self.client.lost(error);
                }
                self.drain(&mut driver, &end).await.map(|()| end)
            }
            Err(error) => Err(error),
        };
        (driver.into_core(), end.unwrap_or_else(End::Failed))
    }

    /// Drives the core until its connection ends, or fails where an event could not be taken.
    async fn drive(
        &mut self,
        driver: &mut C::Driver,
    ) -> Result<End<P::Error>, ConnectionError<P::Error>> {
        let mut close_by: Option<Instant> = None;
        loop {
            // What the core has told already is taken, read or not: it may be what others wait for.
            let core = driver.core();
            while let Some(event) = core.poll_event() {
                match self
                    .client
                    .protocol
                    .take(core, event, &mut self.client.outbox)
                    .await?
                {
                    Flow::Continue => {}
                    Flow::Close => {
                        close_by.get_or_insert_with(|| time::now() + TAKING_LEAVE);
                    }
                    Flow::Closed => return Ok(End::Closed),
                }
            }
            if close_by.is_some() {
                // Who leaves waits for nobody.
                self.client.outbox.flush_now();
            }
            let step = {
                let (inbox, outbox, protocol) = (
                    &mut self.client.inbox,
                    &mut self.client.outbox,
                    &mut self.client.protocol,
                );
                let next = next(driver, outbox, protocol, close_by.is_some());
                let asked = async {
                    match close_by {
                        None => Asked::Action(inbox.recv().await),
                        Some(by) => {
                            time::sleep_until(by).await;
                            Asked::Enough
                        }
                    }
                };
                either(asked, next, &mut self.client.actions_in_a_row).await
            };
            let flow = match step {
                Either::First(Asked::Action(action)) => {
                    act(&mut self.client.protocol, driver.core(), action, Link::Up)
                }
                Either::First(Asked::Enough) => return Ok(End::Closed),
                Either::Second(Next::Event(event)) => {
                    let core = driver.core();
                    self.client
                        .protocol
                        .take(core, event, &mut self.client.outbox)
                        .await?
                }
                Either::Second(_) if close_by.is_some() => return Ok(End::Closed),
                Either::Second(Next::Ended(error)) => return Ok(End::Failed(error)),
            };
            match flow {
                Flow::Continue => {}
                Flow::Close => {
                    close_by.get_or_insert_with(|| time::now() + TAKING_LEAVE);
                }
                Flow::Closed => return Ok(End::Closed),
            }
        }
    }

    /// Takes what the core told before the end. After leave was taken, this side's direction ends,
    /// and the peer gets a little time to end its own.
    async fn drain(
        &mut self,
        driver: &mut C::Driver,
        end: &End<P::Error>,
    ) -> Result<(), ConnectionError<P::Error>> {
        let by = time::now() + LETTING_GO;
        driver.set_reading(true);
        loop {
            let left = match end {
                End::Closed => by.saturating_duration_since(time::now()),
                // The driver reads nothing more: it gives what is there, and ends.
                End::Failed(_) => LETTING_GO,
            };
            let event = time::timeout(left, poll_fn(|cx| driver.poll_next(cx)));
            let Ok(Ok(Some(event))) = event.await else {
                return Ok(());
            };
            let core = driver.core();
            self.client
                .protocol
                .take(core, event, &mut self.client.outbox)
                .await?;
            if let End::Closed = end {
                self.client.outbox.flush_now();
            }
        }
    }

    /// The client is closed: nobody is waited for.
    async fn finish(&mut self, core: &mut P::Core) -> Result<(), ConnectionError<P::Error>> {
        let settled = self.client.settle(core).await;
        self.client.outbox.flush_now();
        settled
    }
}

/// What a worker has with a connection or without.
struct Client<P: Protocol> {
    protocol: P,
    inbox: Inbox<P::Action>,
    outbox: Outbox<P::Event, P::Ready, P::Error>,
    actions_in_a_row: u32,
}

impl<P: Protocol> Client<P> {
    /// Says where the connection was lost, before what was asked for fails by it.
    fn lost(&self, error: &ConnectionError<P::Error>) {
        self.inbox.shared.set_lost_at(Some(error.place()));
    }

    /// Takes what the core tells without a connection.
    async fn settle(&mut self, core: &mut P::Core) -> Result<(), ConnectionError<P::Error>> {
        while let Some(event) = core.poll_event() {
            self.protocol.take(core, event, &mut self.outbox).await?;
        }
        Ok(())
    }

    /// Works on something, does what is asked for, and keeps those of the core's deadlines that
    /// need no connection. Nobody has to read what is told meanwhile.
    async fn offline<T>(
        &mut self,
        core: &mut P::Core,
        work: impl Future<Output = T>,
    ) -> Result<T, End<P::Error>> {
        let mut work = pin!(work);
        loop {
            self.settle(core).await.map_err(End::Failed)?;
            let deadline = core.deadline();
            let step = {
                let (outbox, protocol) = (&mut self.outbox, &mut self.protocol);
                let passed = async {
                    match deadline {
                        Some(deadline) => time::sleep_until(deadline).await,
                        None => pending().await,
                    }
                };
                let (mut passed, mut moved) = (pin!(passed), pin!(room(outbox, protocol)));
                let mut is_moved = false;
                let work = poll_fn(|cx| {
                    is_moved = is_moved || moved.as_mut().poll(cx).is_ready();
                    if let Poll::Ready(output) = work.as_mut().poll(cx) {
                        return Poll::Ready(Some(output));
                    }
                    passed.as_mut().poll(cx).map(|()| None)
                });
                either(self.inbox.recv(), work, &mut self.actions_in_a_row).await
            };
            match step {
                Either::Second(Some(output)) => return Ok(output),
                Either::Second(None) => {
                    let handled = core.handle_deadline(time::now());
                    let failed = |error: <P::Core as Core>::Error| {
                        End::Failed(ConnectionError::Session(error.into()))
                    };
                    handled.map_err(failed)?;
                }
                Either::First(action) => match act(&mut self.protocol, core, action, Link::Down) {
                    Flow::Continue => {}
                    Flow::Close | Flow::Closed => return Err(End::Closed),
                },
            }
        }
    }
}

fn act<P: Protocol>(
    protocol: &mut P,
    core: &mut P::Core,
    action: Option<P::Action>,
    link: Link,
) -> Flow {
    if let Some(action) = action {
        protocol.act(core, action, link)
    } else {
        protocol.abandoned(core, link);
        Flow::Close
    }
}

/// Moves what was told to where it is read.
async fn room<P: Protocol>(outbox: &mut Outbox<P::Event, P::Ready, P::Error>, protocol: &mut P) {
    outbox.flush().await;
    protocol.deliver().await;
}

enum Next<T, E> {
    Event(T),
    Ended(ConnectionError<E>),
}

/// The driver's next event. While nobody reads what was told, nothing is read from the peer, and
/// all else goes on.
async fn next<D, P>(
    driver: &mut D,
    outbox: &mut Outbox<P::Event, P::Ready, P::Error>,
    protocol: &mut P,
    leaves: bool,
) -> Next<<P::Core as Core>::Event, P::Error>
where
    P: Protocol,
    D: Drive<Core = P::Core>,
{
    let may_read = leaves || outbox.has_room_to_begin();
    let mut moved = pin!(room(outbox, protocol));
    let mut is_moved = false;
    let next = poll_fn(|cx| {
        is_moved = is_moved || moved.as_mut().poll(cx).is_ready();
        driver.set_reading(is_moved || may_read);
        driver.poll_next(cx)
    });
    match next.await {
        Ok(Some(event)) => Next::Event(event),
        Err(DriverError::Core(error)) => Next::Ended(ConnectionError::Session(error.into())),
        Err(DriverError::Io(error)) => Next::Ended(ConnectionError::Stream(Arc::new(error.into()))),
        Ok(None) | Err(_) => Next::Ended(ConnectionError::Session(P::Error::ended())),
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
