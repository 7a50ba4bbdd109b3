//! One client's connection: the server's state behind the driver's interface.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Waker, ready};
use std::time::Duration;

use jackfield_socket::ByteStream;
use jackfield_socket::driver::{Core, Driver, StreamCore};
use jackfield_socket::time::{self, Instant};

use crate::codec::{Command, LineBuffer, MAX_MESSAGE, Word};

use super::reply::Reply;
use super::state::{ClientId, State};

/// The longest tag section that a client may send, in bytes (IRCv3 message-tags).
const MAX_CLIENT_TAGS: usize = 4096;
/// How long a client has to take its last lines and close, once it was told to go.
const LINGER: Duration = Duration::from_secs(5);

/// Serves one client until its connection is over.
pub(super) async fn attend<S: ByteStream>(stream: S, state: Arc<Mutex<State>>) {
    let connection = Connection::new(state, stream.info().peer, time::now());
    let mut driver = Driver::new(stream, connection);
    poll_fn(|cx| {
        driver.core().wake_with(cx.waker());
        // How it ended makes no difference: dropping the core tells the others.
        match ready!(driver.poll_next(cx)) {
            Ok(Some(never)) => match never {},
            Ok(None) | Err(_) => std::task::Poll::Ready(()),
        }
    })
    .await;
}

pub(super) struct Connection {
    state: Arc<Mutex<State>>,
    id: ClientId,
    lines: LineBuffer,
    patience: Duration,
    phase: Phase,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client has said something not long ago, or has just come.
    Active,
    /// It was asked for a sign of life.
    Asked,
    /// It is to go.
    Closing,
}

impl Connection {
    pub(super) fn new(state: Arc<Mutex<State>>, peer: Option<SocketAddr>, now: Instant) -> Self {
        let (id, patience) = {
            let mut state = lock(&state);
            state.set_now(now);
            (state.add_client(host(peer)), state.config.patience)
        };
        Self {
            state,
            id,
            lines: LineBuffer::new(MAX_CLIENT_TAGS + MAX_MESSAGE),
            patience,
            phase: Phase::Active,
            deadline: now + patience,
        }
    }

    fn wake_with(&self, waker: &Waker) {
        lock(&self.state).set_waker(self.id, waker);
    }
}

impl Core for Connection {
    type Event = Infallible;
    type Error = Overdue;

    fn poll_event(&mut self) -> Option<Infallible> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), Overdue> {
        let mut state = lock(&self.state);
        state.set_now(now);
        let registered = state
            .clients
            .get(&self.id)
            .is_some_and(|client| client.registered);
        match self.phase {
            Phase::Active if registered => {
                self.phase = Phase::Asked;
                self.deadline = now + self.patience;
                let server = state.config.name.clone();
                let ping = Reply::new(&server, Command::Ping).text(&server);
                state.send(self.id, ping);
            }
            Phase::Active | Phase::Asked => {
                let reason = if registered {
                    "Ping timeout"
                } else {
                    "Registration timeout"
                };
                self.phase = Phase::Closing;
                self.deadline = now + LINGER;
                state.quit(self.id, reason);
            }
            Phase::Closing => return Err(Overdue),
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.phase == Phase::Closing
    }
}

impl StreamCore for Connection {
    fn receive(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), Overdue> {
        let mut state = lock(&self.state);
        state.set_now(now);
        while let Some(line) = self.lines.next_line(&mut bytes) {
            match line {
                Ok(line) => state.receive_line(self.id, line),
                Err(_) => state.receive_too_long(self.id),
            }
        }
        // Whoever has not registered yet gets no more time by talking.
        let registered = state
            .clients
            .get(&self.id)
            .is_some_and(|client| client.registered);
        if registered && self.phase != Phase::Closing {
            self.phase = Phase::Active;
            self.deadline = now + self.patience;
        }
        Ok(())
    }

    fn receive_end(&mut self, now: Instant) -> Result<(), Overdue> {
        let mut state = lock(&self.state);
        state.set_now(now);
        state.quit(self.id, "Connection closed");
        Ok(())
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        let mut state = lock(&self.state);
        state.transmit(self.id, out);
        if state.is_closing(self.id) && self.phase != Phase::Closing {
            self.phase = Phase::Closing;
            self.deadline = now + LINGER;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.state).remove_client(self.id);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// The client was told to go, and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue;

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client did not close its connection in time")
    }
}

impl std::error::Error for Overdue {}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host as it stands in a mask. An IPv6 address that starts with `:` would not be a parameter.
fn host(peer: Option<SocketAddr>) -> Word {
    let host = match peer.map(|peer| peer.ip()) {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => match ip.to_string() {
            text if text.starts_with(':') => format!("0{text}"),
            text => text,
        },
        None => "localhost".to_owned(),
    };
    Word::new(host).unwrap_or_else(|_| super::reply::star())
}
