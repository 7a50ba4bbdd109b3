//! Pending requests: what is asked of the server, and who waits for it.

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;
use tokio::sync::{oneshot, watch};

use super::action::{Action, Answered, Ask, Carrier, Key, Notice};
use super::latest::Sender;
use crate::codec::Message;
use crate::core::{
    ExchangeEvent, ExchangeId, Kind, MessageLayer, NewExchange, Session, SessionEvent, SortedMap,
    TransmissionId,
};
use crate::error::RequestError;

/// What was asked for and is not done, by the exchange that it became.
#[derive(Debug)]
pub(super) struct Pending {
    exchanges: SortedMap<ExchangeId, (Key, Waiter)>,
    by_key: SortedMap<Key, ExchangeId>,
    pings: SortedMap<TransmissionId, oneshot::Sender<Result<(), RequestError>>>,
    carrier: watch::Sender<Option<Carrier>>,
}

#[derive(Debug)]
enum Waiter {
    Request(oneshot::Sender<Result<Option<Message>, RequestError>>),
    Observe(Sender<Notice>),
    Group(Sender<Answered>),
}

impl Pending {
    pub(super) fn new(carrier: watch::Sender<Option<Carrier>>) -> Self {
        Self {
            exchanges: SortedMap::new(),
            by_key: SortedMap::new(),
            pings: SortedMap::new(),
            carrier,
        }
    }

    /// Does what a handle asks for; false when it is to close.
    pub(super) fn act<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        action: Action,
        now: Instant,
        connected: bool,
    ) -> bool {
        match action {
            Action::Request { ask, told, done } => {
                if !done.is_closed() {
                    let kind = if told { Kind::Told } else { Kind::Single };
                    let to = Peer::Connected;
                    self.begin(session, ask, to, kind, Waiter::Request(done), now);
                }
            }
            Action::Observe { ask, notices } => {
                if !notices.is_closed() {
                    let to = Peer::Connected;
                    self.begin(
                        session,
                        ask,
                        to,
                        Kind::Observe,
                        Waiter::Observe(notices),
                        now,
                    );
                }
            }
            Action::Group {
                ask,
                to,
                window,
                answers,
            } => {
                if !answers.is_closed() {
                    let (to, kind) = (Peer::Address(to), Kind::Group(window));
                    self.begin(session, ask, to, kind, Waiter::Group(answers), now);
                }
            }
            Action::Ping(done) if !connected => {
                let _ = done.send(Err(RequestError::NotConnected));
            }
            Action::Ping(done) => match session.ping(now, Peer::Connected) {
                Ok(id) => {
                    self.pings.retain(|_, done| !done.is_closed());
                    self.pings.insert(id, done);
                }
                Err(error) => {
                    let _ = done.send(Err(error.into()));
                }
            },
            Action::Cancel(key) => {
                if let Some(id) = self.by_key.remove(&key) {
                    self.exchanges.remove(&id);
                    session.cancel(now, id);
                }
            }
            Action::Close => return false,
        }
        true
    }

    fn begin<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        ask: Ask,
        to: Peer,
        kind: Kind,
        waiter: Waiter,
        now: Instant,
    ) {
        let mut exchange = NewExchange::new(ask.message);
        exchange.to = to;
        exchange.reliability = ask.reliability;
        exchange.kind = kind;
        exchange.timeout = ask.timeout;
        match session.begin(now, exchange) {
            Ok(id) => {
                self.exchanges.insert(id, (ask.key, waiter));
                self.by_key.insert(ask.key, id);
            }
            Err(error) => waiter.fail(error, true),
        }
    }

    /// Takes what the session tells.
    pub(super) fn take(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Exchange(event) => self.take_exchange(event),
            SessionEvent::Delivered(id) => self.ping_ended(id, Ok(())),
            SessionEvent::Undelivered(id, error) => self.ping_ended(id, Err(error.into())),
            // The first is for servers; the others were taken before.
            SessionEvent::Request(_) | SessionEvent::Ready | SessionEvent::Store(..) => {}
        }
    }

    /// Says what the carrier can do.
    pub(super) fn tell_carrier(&self, layer: &impl MessageLayer) {
        let carrier = Carrier {
            max_message: layer.max_message_size(Peer::Connected),
            bert: layer.allows_bert(Peer::Connected),
        };
        self.carrier.send_replace(Some(carrier));
    }

    /// The connection is gone, and with it what was known of the server.
    pub(super) fn disconnected(&mut self) {
        self.carrier.send_replace(None);
        for (_, done) in std::mem::take(&mut self.pings) {
            let _ = done.send(Err(RequestError::ConnectionLost));
        }
    }

    fn take_exchange(&mut self, event: ExchangeEvent) {
        match event {
            ExchangeEvent::Response {
                id,
                from,
                message,
                last,
            } => {
                if last {
                    match self.remove(id) {
                        Some(Waiter::Request(done)) => {
                            let _ = done.send(Ok(Some(message)));
                        }
                        Some(Waiter::Observe(notices)) => notices.send(Ok((message, true))),
                        Some(Waiter::Group(_)) | None => {}
                    }
                    return;
                }
                match (self.exchanges.get(&id), from) {
                    (Some((_, Waiter::Observe(notices))), _) => notices.send(Ok((message, false))),
                    (Some((_, Waiter::Group(answers))), Peer::Address(from)) => {
                        answers.send(Ok((from, message)));
                    }
                    _ => {}
                }
            }
            ExchangeEvent::Failed { id, error, last } => {
                if last {
                    if let Some(waiter) = self.remove(id) {
                        waiter.fail(error, true);
                    }
                } else if let Some((_, waiter)) = self.exchanges.get(&id)
                    && let Waiter::Observe(notices) = waiter
                {
                    notices.send(Err((error, false)));
                }
            }
            ExchangeEvent::Done(id) => {
                // A group's answers end by being dropped.
                if let Some(Waiter::Request(done)) = self.remove(id) {
                    let _ = done.send(Ok(None));
                }
            }
        }
    }

    fn ping_ended(&mut self, id: TransmissionId, outcome: Result<(), RequestError>) {
        if let Some(done) = self.pings.remove(&id) {
            // Over UDP, a Reset is how a server says that it is there (RFC 7252, section 4.3).
            let outcome = match outcome {
                Err(RequestError::Rejected) => Ok(()),
                other => other,
            };
            let _ = done.send(outcome);
        }
    }

    fn remove(&mut self, id: ExchangeId) -> Option<Waiter> {
        let (key, waiter) = self.exchanges.remove(&id)?;
        self.by_key.remove(&key);
        Some(waiter)
    }
}

impl Waiter {
    fn fail(self, error: RequestError, last: bool) {
        match self {
            Self::Request(done) => {
                let _ = done.send(Err(error));
            }
            Self::Observe(notices) => notices.send(Err((error, last))),
            Self::Group(answers) => answers.send(Err(error)),
        }
    }
}
