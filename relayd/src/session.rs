//! A session: one WebSocket, its multiplexer, and everything that hangs on it.
//!
//! A session is one task. It moves messages between the WebSocket and the [`Mux`], and gives each
//! stream, listener, datagram socket and unfinished opening (an [`Item`]) a turn whenever its own
//! waker says so; what has nothing to do costs nothing. A turn is short, at most one chunk each way,
//! so that a bulk transfer never keeps the others waiting.
//!
//! Everything is pulled. The WebSocket asks the multiplexer for a message when it can take one, the
//! multiplexer asks a stream for data when there is room and credit, and only then the stream reads
//! its socket. So what the relay holds of a stream is bounded by its window and
//! [`Mux::SEND_QUEUE`], however fast either side pushes; and what it holds of a session by the
//! limit `buffer_bytes`, however many streams stall.

mod carrier;
mod context;
mod drain;
mod end;
mod item;
mod listen;
mod open;
mod orders;
mod pace;
mod peers;
mod questions;
mod ready;
mod renewal;
mod shed;
mod tcp;
mod told;
mod turns;
mod udp;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, SystemTime};

use jackfield_relay_wire::auth::Token;
use jackfield_relay_wire::{Capabilities, Code, Config, Event, Id, Mux, Reason, Role, Settings};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::{Instrument as _, info, info_span};

use self::carrier::{Carrier, Incoming};
use self::item::{Counters, Entry, Item, Scratch, Shared, Turn};
use self::ready::Ready;
use self::renewal::Renewals;
use crate::budget::Held;
use crate::ending::{Ending, Notice};
use crate::handshake::{Admitted, Gate, Upgrade};
use crate::identity::Grant;
use crate::limits::{LimitReached, Whose};
use crate::policy::Transport;
use crate::record::{Clerk, Who};
use crate::registry::Entered;

pub(crate) use self::context::Context;

/// How many rounds a session goes before it lets others run.
const ROUNDS: usize = 16;
/// How many messages it takes in one round.
const MESSAGES_A_ROUND: usize = 16;
/// How often it is counted what a session holds, while anything moves.
const WEIGH_EVERY: Duration = Duration::from_millis(100);
/// How long the last message may take to leave, and the client to close.
pub(crate) const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// What clients are told when the relay ends.
pub(crate) const GOING: &str = "the relay is shutting down";

/// Sets what a connection should have that carries a WebSocket.
pub(crate) fn prepare_carrier(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // The system would take megabytes, and a keystroke would wait behind them.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(carrier::BACKLOG as u32)?;
    Ok(())
}

/// What a session hears of besides its client.
pub(crate) struct Signals {
    /// The relay ends.
    pub(crate) ending: Ending,
    /// Others come in by other rules.
    pub(crate) rules: watch::Receiver<Arc<Gate>>,
}

/// Serves a client that was let in, until either side ends it, and then those targets that haven't
/// taken everything. The places that it has among the sessions are free as soon as its WebSocket is
/// over.
pub(crate) async fn run<S>(
    stream: S,
    peer: SocketAddr,
    number: u64,
    mut admitted: Admitted,
    context: &Context,
    signals: Signals,
    places: impl Send,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let Signals {
        mut ending,
        mut rules,
    } = signals;
    let grant = Arc::clone(&admitted.grant);
    let token = &grant.token.name;
    let span = info_span!("session", number, token, bearer = grant.bearer, %peer);
    async {
        info!(origin = admitted.origin, "a session begins");
        let who = Who {
            token: grant.token.name.clone(),
            bearer: grant.bearer.clone(),
            origin: admitted.origin.clone(),
            peer,
        };
        let who = Arc::new(who);
        let entered = context.registry().enter(number, Arc::clone(&who));
        let live = entered.live();
        let clerk = Clerk {
            session: number,
            who,
            records: Arc::clone(context.records()),
            metrics: Arc::clone(context.metrics()),
        };
        clerk.entered(grant.id.as_deref());
        let mut carrier = Carrier::new(stream);
        let mut session = Session::new(grant, context, clerk, entered);
        loop {
            tokio::select! {
                biased;
                next = poll_fn(|cx| session.poll(&mut carrier, cx)) => match next {
                    Next::Over => break,
                    Next::Shown(token) => {
                        let gate = Arc::clone(&rules.borrow());
                        session.take_token(&token, &gate, &mut admitted);
                    }
                },
                notice = ending.next() => match notice {
                    Notice::Leave => {
                        session.mux.go_away(GOING, ending.come_back());
                        session.leaving = true;
                    }
                    Notice::Cut => session.mux.shut_down(&Reason::new(Code::GOING_AWAY, GOING)),
                },
                order = live.order() => session.obey(order),
                Ok(()) = rules.changed() => {
                    let gate = Arc::clone(&rules.borrow_and_update());
                    match gate.reconsider(&admitted, &session.grant, SystemTime::now()) {
                        Ok(grant) => session.renew(grant),
                        Err(reason) => session.mux.shut_down(&reason),
                    }
                }
            }
        }
        let ended = session.end(carrier).await;
        drop(places);
        session.entered.drains();
        // Also where it has ended for that: who may not be here any more has nothing delivered.
        let mut judge = !session.items.is_empty();
        loop {
            if std::mem::take(&mut judge) {
                let gate = Arc::clone(&rules.borrow_and_update());
                match gate.reconsider(&admitted, &session.grant, SystemTime::now()) {
                    Ok(grant) => session.renew(grant),
                    Err(_) => session.give_up(),
                }
            }
            tokio::select! {
                () = session.drain() => break,
                () = ending.cut() => session.give_up(),
                order = live.order() => session.obey(order),
                Ok(()) = rules.changed() => judge = true,
            }
        }
        session.tell(&ended);
    }
    .instrument(span)
    .await;
}

/// Tells a client in its WebSocket why it isn't let in. Nothing that it sends is looked at, and for as long
/// as `patience` it may take its leave. What it is told waits for nobody: it fits in the system's buffer,
/// which is empty before.
pub(crate) async fn deny<S>(mut stream: S, upgrade: &Upgrade, reason: Reason, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let telling = async {
        upgrade.send(&mut stream).await?;
        Carrier::new(stream).dismiss(&reason).await
    };
    let _ = timeout(patience, telling).await;
}

/// What a session's turn comes to.
enum Next {
    /// Its WebSocket is over.
    Over,
    /// Its client has another token.
    Shown(Token),
}

struct Session<'a> {
    mux: Mux,
    items: HashMap<Id, Entry>,
    ready: Arc<Ready>,
    grant: Arc<Grant>,
    context: &'a Context,
    clerk: Clerk,
    entered: Entered,
    scratch: Scratch,
    counters: Counters,
    /// When the token ends.
    expires: Option<Instant>,
    /// Another one that has come, and that nobody has looked at.
    shown: Option<Token>,
    renewals: Renewals,
    /// What the whole relay counts of what is held here, which is looked at now and then.
    held: Held,
    /// When to look, if anything has moved since the last time.
    weigh_at: Option<Instant>,
    /// When to look what is stale of it, if there is any.
    shed_at: Option<Instant>,
    /// Since when nothing has been open.
    idle_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// The relay is shutting down: the session ends as soon as nothing is open.
    leaving: bool,
    /// An administrator has ended it: what its client had ended isn't delivered any more.
    killed: bool,
}

/// What a client is told of an address of the relay's, where others reach it by another one.
fn reached_by(local: SocketAddr, advertised: Option<IpAddr>) -> SocketAddr {
    SocketAddr::new(advertised.unwrap_or(local.ip()), local.port())
}

impl<'a> Session<'a> {
    fn new(grant: Arc<Grant>, context: &'a Context, clerk: Clerk, entered: Entered) -> Self {
        let now = Instant::now();
        let mut config = Config::default();
        config.settings = settings(&grant);
        config.budget = grant.token.limits.buffer_bytes;
        Self {
            held: grant.usage.held(),
            weigh_at: None,
            shed_at: None,
            mux: Mux::new(Role::Relay, config, now.into_std()),
            items: HashMap::new(),
            ready: Arc::default(),
            expires: end_of(&grant),
            shown: None,
            renewals: Renewals::default(),
            grant,
            context,
            clerk,
            entered,
            scratch: Scratch::default(),
            counters: Counters::default(),
            idle_since: Some(now),
            timer: Box::pin(sleep_until(now)),
            leaving: false,
            killed: false,
        }
    }

    /// Goes on by other rules, which allow what is open.
    fn renew(&mut self, grant: Grant) {
        self.expires = end_of(&grant);
        self.grant = Arc::new(grant);
        // What waits for its turn might have it by now.
        for (id, entry) in &mut self.items {
            match &mut entry.item {
                Item::Stream(stream) => stream.renew(self.expires),
                Item::Udp(socket) => socket.renew(),
                Item::Opening(_) | Item::Listener(_) => continue,
            }
            self.ready.wake(*id);
        }
    }

    /// Ready when the session is over, or somebody has to look at a token.
    fn poll<S>(&mut self, carrier: &mut Carrier<S>, cx: &mut TaskContext<'_>) -> Poll<Next>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let over = self.poll_rounds(carrier, cx);
        self.publish();
        match self.shown.take() {
            Some(token) if over.is_pending() => Poll::Ready(Next::Shown(token)),
            _ => over.map(|()| Next::Over),
        }
    }

    fn poll_rounds<S>(&mut self, carrier: &mut Carrier<S>, cx: &mut TaskContext<'_>) -> Poll<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.ready.register(cx.waker());
        for _ in 0..ROUNDS {
            let mut worked = self.take_messages(carrier, cx);
            worked |= self.handle_events();
            // What is over has turns as it drains.
            if self.mux.closed().is_none() {
                worked |= self.take_turns();
            }
            worked |= self.check_bytes();
            worked |= self.handle_events();
            worked |= self.send_messages(carrier, cx);
            if worked && self.weigh_at.is_none() {
                self.weigh_at = Some(Instant::now() + WEIGH_EVERY);
            }
            worked |= self.keep_time(cx);
            if self.mux.closed().is_some() {
                return Poll::Ready(());
            }
            if !worked {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_messages<S>(&mut self, carrier: &mut Carrier<S>, cx: &mut TaskContext<'_>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut worked = false;
        for _ in 0..MESSAGES_A_ROUND {
            match carrier.poll_receive(cx) {
                Poll::Pending => break,
                Poll::Ready(Incoming::Message(message)) => {
                    self.mux.receive(Instant::now().into_std(), message);
                }
                Poll::Ready(Incoming::Breach(what)) => {
                    self.mux.shut_down(&Reason::new(Code::PROTOCOL_ERROR, what));
                }
                Poll::Ready(Incoming::Gone(why)) => self.mux.carrier_lost(&why),
            }
            worked = true;
            if self.mux.closed().is_some() {
                break;
            }
        }
        worked
    }

    fn send_messages<S>(&mut self, carrier: &mut Carrier<S>, cx: &mut TaskContext<'_>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut worked = false;
        // Ahead of `transmit`, because what it returns must go.
        while self.mux.wants_transmit() && carrier.poll_ready(cx).is_ready() {
            let Some(message) = self.mux.transmit() else {
                break;
            };
            carrier.send(message);
            worked = true;
        }
        if let Poll::Ready(Err(error)) = carrier.poll_flush(cx) {
            self.mux.carrier_lost(&error);
        }
        worked
    }

    fn handle_events(&mut self) -> bool {
        let mut worked = false;
        // What came in one batch with what ends the session is asked by nobody any more, and has no record. But
        // what is cut hears of it.
        while let Some(event) = self.mux.poll_event() {
            worked = true;
            if self.mux.closed().is_some() && !matches!(event, Event::Reset { .. }) {
                continue;
            }
            match event {
                Event::Readable(id) | Event::Writable(id) => self.wake(id),
                Event::Reset { id, reason } => self.reset(id, &reason),
                Event::Token(token) => self.shown = Some(token),
                Event::Declined { asked, reason } => self.declined(&asked, &reason),
                // Of the others, those that ask for something. When the client takes no new connections, its
                // listeners stay, and it resets them.
                asked => self.open(asked),
            }
        }
        worked
    }

    fn check_bytes(&mut self) -> bool {
        let Some(limit) = self.grant.token.limits.session_bytes else {
            return false;
        };
        let carried = self.counters.bytes_up + self.counters.bytes_down;
        let over = carried > limit;
        if over {
            self.shut_down(LimitReached {
                whose: Whose::Token,
                name: "session_bytes",
                value: limit,
            });
        }
        over
    }

    fn shut_down(&mut self, limit: LimitReached) {
        let reason = Reason::new(Code::LIMIT_EXCEEDED, &limit.to_string());
        self.mux.shut_down(&reason);
    }

    /// A token ends by the wall clock, which may be set forward, or go on while the machine sleeps. It
    /// isn't set back for anybody: no token lasts longer for that.
    fn look_at_the_clock(&mut self) {
        self.expires = sooner(self.expires, end_of(&self.grant));
    }

    /// Acts on what is due, and sets the timer for what comes next. Whether something was due.
    fn keep_time(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let now = Instant::now();
        let idle_deadline = self.grant.token.limits.idle_deadline;
        let idle = self
            .idle_since
            .and_then(|since| since.checked_add(idle_deadline));
        if self.leaving && self.items.is_empty() && !self.mux.wants_transmit() {
            let reason = Reason::new(Code::GOING_AWAY, GOING);
            self.mux.shut_down(&reason);
            return true;
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            let reason = Reason::new(Code::TOKEN_EXPIRED, self.grant.over());
            self.mux.shut_down(&reason);
            return true;
        }
        if idle.is_some_and(|idle| idle <= now) {
            self.shut_down(LimitReached {
                whose: Whose::Token,
                name: "idle_seconds",
                value: idle_deadline.as_secs(),
            });
            return true;
        }
        if self.mux.deadline().is_some_and(|at| at <= now.into_std()) {
            self.mux.handle_deadline(now.into_std());
            return true;
        }
        if self.weigh_at.is_some_and(|at| at <= now) {
            self.weigh_at = None;
            self.look_at_the_clock();
            if self.weigh(now) {
                return true;
            }
        }
        if self.shed_at.is_some_and(|at| at <= now) && self.shed_stale(now) {
            return true;
        }
        let next = [
            self.expires,
            idle,
            self.weigh_at,
            self.shed_at,
            self.mux.deadline().map(Instant::from_std),
        ];
        if let Some(next) = next.into_iter().flatten().min() {
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            // If it has fired by now, the next round sees what is due.
            return self.timer.as_mut().poll(cx).is_ready();
        }
        false
    }
}

/// The sooner of when a session was to end, and when it does by the wall clock as it stands now.
fn sooner(expires: Option<Instant>, by_clock: Option<Instant>) -> Option<Instant> {
    expires.map(|expires| by_clock.map_or(expires, |end| end.min(expires)))
}

/// When a session with this grant ends.
fn end_of(grant: &Grant) -> Option<Instant> {
    let left = grant.left(SystemTime::now())?;
    Instant::now().checked_add(left)
}

/// What the relay tells the client that it grants.
fn settings(grant: &Grant) -> Settings {
    let policy = &grant.token.policy;
    let mut settings = Settings::default();
    settings.max_open = grant.usage.max_open();
    settings.token_left = grant
        .left(SystemTime::now())
        .filter(|_| grant.is_renewable());
    let granted = [
        (policy.reaches(Transport::Tcp), Capabilities::CONNECT),
        (policy.listens(Transport::Tcp), Capabilities::LISTEN),
        (policy.reaches(Transport::Udp), Capabilities::UDP_CONNECTED),
        (policy.listens(Transport::Udp), Capabilities::UDP_BOUND),
        (
            policy.listens(Transport::Udp) && grant.token.udp_open,
            Capabilities::MULTICAST,
        ),
    ];
    settings.capabilities = granted
        .into_iter()
        .filter(|(granted, _)| *granted)
        .fold(Capabilities::NONE, |all, (_, one)| all.and(one));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_ends_a_session_sooner_and_never_later() {
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        assert_eq!(sooner(at(60), at(60)), at(60));
        assert_eq!(sooner(at(60), at(0)), at(0));
        assert_eq!(sooner(at(60), at(3660)), at(60));
        assert_eq!(sooner(None, at(60)), None, "it has no end");
    }
}
