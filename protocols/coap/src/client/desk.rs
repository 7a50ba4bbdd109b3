//! The desk: the connection's list of who asked for what, and to whom an answer goes.

use std::collections::BTreeMap;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;
use tokio::sync::{oneshot, watch};

use super::action::{Action, Answered, Ask, Key, Notice};
use super::mailbox::Slot;
use crate::codec::Message;
use crate::core::{
    ExchangeEvent, ExchangeId, Kind, MessageLayer, NewExchange, Session, SessionEvent,
    TransmissionId,
};
use crate::error::RequestError;

/// What a handle should know about what carries its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carrier {
    /// How many bytes a message may have; `None` before that is known.
    pub(super) max_message: Option<usize>,
    pub(super) bert: bool,
}

impl Carrier {
    /// Before there is a connection.
    pub(super) const UNKNOWN: Self = Self {
        max_message: None,
        bert: false,
    };
}

#[derive(Debug)]
pub(super) struct Desk {
    waiting: BTreeMap<ExchangeId, (Key, Waiter)>,
    by_key: BTreeMap<Key, ExchangeId>,
    pings: BTreeMap<TransmissionId, oneshot::Sender<Result<(), RequestError>>>,
    carrier: watch::Sender<Carrier>,
}

#[derive(Debug)]
enum Waiter {
    Request(oneshot::Sender<Result<Option<Message>, RequestError>>),
    Observe(Slot<Notice>),
    Group(Slot<Answered>),
}

impl Desk {
    pub(super) fn new(carrier: watch::Sender<Carrier>) -> Self {
        Self {
            waiting: BTreeMap::new(),
            by_key: BTreeMap::new(),
            pings: BTreeMap::new(),
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
            Action::Request(ask, told, done) => {
                if !done.is_closed() {
                    let kind = if told { Kind::Told } else { Kind::Single };
                    let to = Peer::Connected;
                    self.begin(session, ask, to, kind, Waiter::Request(done), now);
                }
            }
            Action::Observe(ask, slot) => {
                if !slot.is_unread() {
                    let to = Peer::Connected;
                    self.begin(session, ask, to, Kind::Observe, Waiter::Observe(slot), now);
                }
            }
            Action::Group(ask, to, window, slot) => {
                if !slot.is_unread() {
                    let (to, kind) = (Peer::Address(to), Kind::Group(window));
                    self.begin(session, ask, to, kind, Waiter::Group(slot), now);
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
                    self.waiting.remove(&id);
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
                self.waiting.insert(id, (ask.key, waiter));
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
            max_message: Some(layer.max_message_size(Peer::Connected)),
            bert: layer.allows_bert(Peer::Connected),
        };
        self.carrier.send_replace(carrier);
    }

    /// The connection is gone, and with it what was known of the server.
    pub(super) fn disconnected(&mut self) {
        self.carrier
            .send_modify(|carrier| carrier.max_message = None);
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
                        Some(Waiter::Observe(slot)) => slot.put(Ok((message, true))),
                        Some(Waiter::Group(_)) | None => {}
                    }
                    return;
                }
                match (self.waiting.get(&id), from) {
                    (Some((_, Waiter::Observe(slot))), _) => slot.put(Ok((message, false))),
                    (Some((_, Waiter::Group(slot))), Peer::Address(from)) => {
                        slot.put(Ok((from, message)));
                    }
                    _ => {}
                }
            }
            ExchangeEvent::Failed { id, error, last } => {
                if last {
                    if let Some(waiter) = self.remove(id) {
                        waiter.fail(error, true);
                    }
                } else if let Some((_, waiter)) = self.waiting.get(&id)
                    && let Waiter::Observe(slot) = waiter
                {
                    slot.put(Err((error, false)));
                }
            }
            ExchangeEvent::Done(id) => {
                // A group's mailbox ends by being dropped.
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
        let (key, waiter) = self.waiting.remove(&id)?;
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
            Self::Observe(slot) => slot.put(Err((error, last))),
            Self::Group(slot) => slot.put(Err(error)),
        }
    }
}
