//! A session: one WebSocket, its multiplexer, and who waits for what.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jackfield_relay_wire::{Code, Event, Id, Mux, Reason, Role};
use jackfield_socket::sorted::SortedMap;
use jackfield_socket::time::Instant;
use jackfield_socket::{Error, ErrorKind, Place, Result, time};

use crate::RelayConfig;
use crate::renewal::Told;

/// Shared by the connection, which moves messages, and by everything that is open.
pub(crate) struct Session(Mutex<State>);

pub(crate) struct State {
    pub(crate) mux: Mux,
    entries: SortedMap<Id, Entry>,
    /// When its WebSocket may be opened: the relay before has said so.
    pub(crate) not_before: Option<Instant>,
    /// Why the carrier failed, more exactly than the multiplexer knows.
    failure: Option<Error>,
    /// What the relay has said of the token, until somebody looks.
    pub(crate) told: Option<Told>,
    /// Whether the next one gets a fresh token.
    is_renewed: bool,
    /// The connection's task.
    pub(crate) driver: Option<Waker>,
    /// Tasks that wait for the relay's `HELLO`.
    greeting: Vec<Waker>,
    /// Who is to be woken when the lock is released.
    to_wake: Vec<Waker>,
}

/// Who waits at one stream, listener or socket.
#[derive(Debug, Default)]
struct Entry {
    read: Option<Waker>,
    write: Option<Waker>,
    answer: Option<Result<Addresses, Reason>>,
    inbound: VecDeque<(Id, Addresses)>,
}

/// The addresses of what was opened, as the relay sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
}

/// Something that is open, or being opened. Dropping it closes it.
pub(crate) struct Open {
    pub(crate) session: Arc<Session>,
    pub(crate) id: Id,
}

/// Which side of an entry waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

impl Session {
    /// A session that begins then at the earliest; now, if nobody says so.
    pub(crate) fn new(config: &RelayConfig, not_before: Option<Instant>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            not_before,
            mux: Mux::new(Role::Client, config.mux(), time::now()),
            entries: SortedMap::new(),
            failure: None,
            told: None,
            is_renewed: config.is_renewed(),
            driver: None,
            greeting: Vec::new(),
            to_wake: Vec::new(),
        })))
    }

    /// Acts on the multiplexer, and wakes whoever has something to do then.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let (result, to_wake) = {
            let mut state = self.lock();
            let result = act(&mut state);
            state.dispatch();
            // With nothing open, the connection may be over.
            let driver_has_work = state.mux.wants_transmit()
                || state.mux.closed().is_some()
                || state.mux.open_count() == 0;
            if driver_has_work {
                let driver = state.driver.take();
                state.to_wake.extend(driver);
            }
            (result, std::mem::take(&mut state.to_wake))
        };
        for waker in to_wake {
            waker.wake();
        }
        result
    }

    /// Whether something new can be opened on it.
    pub(crate) fn is_usable(&self) -> bool {
        let state = self.lock();
        state.mux.closed().is_none() && !state.mux.is_going_away()
    }

    /// Before when the relay wants nobody back, if it has said so.
    pub(crate) fn come_back(&self) -> Option<Instant> {
        self.lock().mux.come_back()
    }

    /// Whether what was asked for here, and met this error, can be had on another: the relay lets go of
    /// this one, or its token's time was over in the middle.
    pub(crate) fn is_left(&self, error: &Error) -> bool {
        let code = Reason::find(error).map(Reason::code);
        let state = self.lock();
        code == Some(Code::GOING_AWAY)
            || (code == Some(Code::TOKEN_EXPIRED)
                && state.is_renewed
                && state.mux.peer_settings().is_some())
    }

    /// Acts without waking anybody: for the connection's own task.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.lock())
    }

    /// Whether nothing is open, and nothing of what was waits to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().mux.open_count() == 0
    }

    /// The carrier failed, with this error: at the relay's place, unless it was given up here.
    pub(crate) fn fail(&self, error: Error) {
        let error = match error.place() {
            // Of this connection the relay is the server.
            Place::Server => error.at(Place::Relay),
            _ => error,
        };
        self.act(|state| {
            if state.mux.closed().is_none() {
                state.failure = Some(error.clone());
            }
            state.mux.carrier_lost(&error.to_string());
        });
    }

    /// Waits for the relay's `HELLO`.
    pub(crate) fn poll_greeting(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        if let Some(reason) = state.mux.closed().cloned() {
            Poll::Ready(Err(state.error(&reason)))
        } else if state.mux.peer_settings().is_some() {
            Poll::Ready(Ok(()))
        } else {
            if !state
                .greeting
                .iter()
                .any(|waker| waker.will_wake(cx.waker()))
            {
                state.greeting.push(cx.waker().clone());
            }
            Poll::Pending
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was locked is the program's; what it holds stays usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers who waits.
    pub(crate) fn wait(&mut self, id: Id, side: Side, cx: &Context<'_>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let place = match side {
            Side::Read => &mut entry.read,
            Side::Write => &mut entry.write,
        };
        match place {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *place = Some(cx.waker().clone()),
        }
    }

    /// What the relay answered to an opening.
    pub(crate) fn take_answer(&mut self, id: Id) -> Option<Result<Addresses, Reason>> {
        self.entries.get_mut(&id)?.answer.take()
    }

    /// The next connection that a listener has taken.
    pub(crate) fn take_inbound(&mut self, id: Id) -> Option<(Id, Addresses)> {
        self.entries.get_mut(&id)?.inbound.pop_front()
    }

    /// The error for a reason.
    pub(crate) fn error(&self, reason: &Reason) -> Error {
        match &self.failure {
            Some(failure) if reason.code() == Code::CARRIER_LOST => failure.clone(),
            // What speaks otherwise before it has greeted is no relay.
            _ if reason.code() == Code::PROTOCOL_ERROR && self.mux.peer_settings().is_none() => {
                let error = Error::from(reason.clone());
                error.retold(format!("what answers there is no relay: {error}"))
            }
            _ => self.said(reason),
        }
    }

    /// What the relay has said, as an error. Where each session gets a fresh token, the end of one is no
    /// refusal of the next.
    pub(crate) fn said(&self, reason: &Reason) -> Error {
        let error = Error::from(reason.clone());
        if !self.is_renewed || reason.code() != Code::TOKEN_EXPIRED {
            return error;
        }
        let text = format!("the connection to the relay has ended with its token: {error}");
        Error::new(ErrorKind::Reset, text)
            .at(Place::Relay)
            .with_source(error)
    }

    /// The error for a stream that was open: whatever ended it, bytes may be lost.
    pub(crate) fn stream_error(&self, reason: &Reason) -> Error {
        let error = self.error(reason);
        match reason.code() {
            Code::CLOSED | Code::CANCELLED => {
                Error::new(ErrorKind::Reset, "the other side has cut the stream")
            }
            Code::CARRIER_LOST => Error::new(
                ErrorKind::Reset,
                format!("the connection to the relay was lost: {error}"),
            )
            .at(error.place())
            .with_source(error),
            _ => error,
        }
    }

    /// The same for one that writes.
    pub(crate) fn write_error(&self, reason: &Reason) -> Error {
        match reason.code() {
            Code::CLOSED if reason.text().is_empty() => {
                Error::new(ErrorKind::Closed, "the other side reads no more")
            }
            Code::CLOSED => Error::new(ErrorKind::Closed, reason.to_string()),
            _ => self.stream_error(reason),
        }
    }

    /// Forgets something and whoever waits there.
    fn close(&mut self, id: Id) {
        self.mux.close(id);
        if let Some(entry) = self.entries.remove(&id) {
            for (stream, _) in entry.inbound {
                self.close(stream);
            }
        }
    }

    /// Hands out what the multiplexer has to say.
    fn dispatch(&mut self) {
        while let Some(event) = self.mux.poll_event() {
            match event {
                Event::Opened { id, local, remote } => {
                    self.answer(id, Ok(Addresses { local, remote }));
                }
                Event::Refused { id, reason } => self.answer(id, Err(reason)),
                Event::Reset { id, reason } => {
                    // To an opening it is the answer; whatever is open finds it in the multiplexer.
                    self.answer(id, Err(reason));
                    self.wake(id, Side::Write);
                }
                Event::Inbound {
                    id,
                    listener,
                    local,
                    remote,
                } => {
                    let addresses = Addresses {
                        local: Some(local),
                        remote: Some(remote),
                    };
                    match self.entries.get_mut(&listener) {
                        Some(entry) => {
                            entry.inbound.push_back((id, addresses));
                            self.wake(listener, Side::Read);
                            self.entries.insert(id, Entry::default());
                        }
                        None => self.mux.close(id),
                    }
                }
                Event::Hello => {
                    let settings = self.mux.peer_settings();
                    self.told = settings.and_then(|it| it.token_left).map(Told::Left);
                }
                Event::TokenLeft(left) => self.told = Some(Told::Left(left)),
                Event::TokenRefused(reason) => self.told = Some(Told::Refused(reason)),
                Event::Readable(id) => self.wake(id, Side::Read),
                Event::Writable(id) => self.wake(id, Side::Write),
                // The rest a relay does; or, of GOAWAY, the next opening finds it.
                _ => {}
            }
        }
        if self.mux.peer_settings().is_some() || self.mux.closed().is_some() {
            self.to_wake.append(&mut self.greeting);
        }
    }

    fn answer(&mut self, id: Id, answer: Result<Addresses, Reason>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.answer = Some(answer);
        }
        self.wake(id, Side::Read);
    }

    fn wake(&mut self, id: Id, side: Side) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let waker = match side {
                Side::Read => entry.read.take(),
                Side::Write => entry.write.take(),
            };
            self.to_wake.extend(waker);
        }
    }
}

impl Open {
    /// Asks the relay for something.
    pub(crate) fn request(
        session: &Arc<Session>,
        request: impl FnOnce(&mut Mux) -> Result<Id, Reason>,
    ) -> Result<Self> {
        session.act(|state| match request(&mut state.mux) {
            Ok(id) => {
                state.entries.insert(id, Entry::default());
                Ok(Self {
                    session: session.clone(),
                    id,
                })
            }
            Err(reason) => Err(state.error(&reason)),
        })
    }

    /// Waits for the relay's answer.
    pub(crate) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Result<Addresses>> {
        self.session.act(|state| match state.take_answer(self.id) {
            Some(Ok(addresses)) => Poll::Ready(Ok(addresses)),
            Some(Err(reason)) => Poll::Ready(Err(state.error(&reason))),
            None => {
                state.wait(self.id, Side::Read, cx);
                Poll::Pending
            }
        })
    }

    /// Acts on the multiplexer.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut State, Id) -> R) -> R {
        self.session.act(|state| act(state, self.id))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.session.act(|state| state.close(self.id));
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
