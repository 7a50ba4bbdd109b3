//! The request layer (RFC 7252, section 5): which response belongs to which request.
//!
//! It gives each request a token that can't be guessed, and takes for its response only what comes
//! with that token from the server that was asked. It knows nothing of how messages get there: what
//! is to be sent comes out of [`Exchanges::poll_outgoing`], and whoever sends it says what became of
//! it.

mod exchange;
mod receive;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use foldhash::HashMap;
use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;
use jackfield_store::Batch;

use super::random::Random;
use super::{Config, Reliability, SortedMap};
use crate::codec::{Message, OptionNumber, Token};
use crate::error::RequestError;
use crate::oscore;
use exchange::{Bindings, Exchange, Observation, Phase, Renewal};

/// How long the last word to a server that is no longer observed may wait for its answer.
const LEAVING: Duration = Duration::from_secs(93);

/// Names a request or an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u64);

/// What kind of exchange is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A request that has one response.
    Single,
    /// A request that is done when it was delivered: it asks for no response (RFC 7967).
    Told,
    /// A request whose responses are notifications (RFC 7641).
    Observe,
    /// A request to a group, whose members' answers are taken for this long (RFC 7252, section 8).
    Group(Duration),
}

/// What is to be asked, of whom, and how.
///
/// ```
/// use std::time::Duration;
///
/// use jackfield_coap::codec::{Code, Message};
/// use jackfield_coap::core::{Kind, NewExchange};
///
/// let mut exchange = NewExchange::new(Message::new(Code::GET));
/// exchange.kind = Kind::Observe;
/// exchange.timeout = Some(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewExchange {
    /// To whom. Default: the peer of the connection.
    pub to: Peer,
    /// The request; its token and Observe are set when it is sent.
    pub message: Message,
    /// Whether it is repeated. Default: until it is acknowledged.
    pub reliability: Reliability,
    /// What answers are taken. Default: one.
    pub kind: Kind,
    /// How long the answer may take. Default: `None`, for [`Config::response_timeout`].
    pub timeout: Option<Duration>,
}

impl NewExchange {
    /// A request with all defaults.
    pub fn new(message: Message) -> Self {
        Self {
            to: Peer::Connected,
            message,
            reliability: Reliability::Confirmable,
            kind: Kind::Single,
            timeout: None,
        }
    }
}

/// What the layer below is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Outgoing {
    /// Send a message, and say what becomes of it under this name.
    Send {
        /// For which exchange.
        id: ExchangeId,
        /// To whom.
        to: Peer,
        /// What.
        message: Message,
        /// How.
        reliability: Reliability,
    },
    /// Stop repeating what was sent for an exchange, and forget it: it is over, or something else
    /// follows.
    Stop(ExchangeId),
}

/// What an exchange tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExchangeEvent {
    /// A response.
    Response {
        /// To what.
        id: ExchangeId,
        /// From whom.
        from: Peer,
        /// The response itself; where it is in blocks, the first of them.
        message: Message,
        /// Whether it is the last.
        last: bool,
    },
    /// Something failed.
    Failed {
        /// What.
        id: ExchangeId,
        /// Why.
        error: RequestError,
        /// Whether it is over. An observation whose server is silent is tried again.
        last: bool,
    },
    /// It is done without a response: what was told was delivered, or a group's time is over.
    Done(ExchangeId),
}

/// Whether a response was waited for. One that was not is rejected with a Reset, by which a server
/// learns that it is no longer observed (RFC 7641, section 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was.
    Accept,
    /// It was not, or it can't be understood.
    Reject,
}

/// The exchanges under way.
#[derive(Debug)]
pub(crate) struct Exchanges {
    config: Config,
    random: Random,
    last_id: u64,
    under_way: SortedMap<ExchangeId, Exchange>,
    by_token: HashMap<Token, ExchangeId>,
    outgoing: VecDeque<Outgoing>,
    events: VecDeque<ExchangeEvent>,
    /// What servers want to hear with the next request (RFC 9175, section 2.2.1): as many as there
    /// may be exchanges.
    echoes: BTreeMap<Peer, Vec<u8>>,
    connected: bool,
    is_reliable: bool,
    /// What protects all of it, if anything does.
    security: Option<oscore::Context>,
    /// What waits for a sequence number that is not stored yet.
    unreserved: BTreeSet<ExchangeId>,
}

impl Exchanges {
    /// No exchanges yet; nothing goes out until [`connected`](Self::connected). Where messages
    /// arrive in order, `is_reliable`, notifications are as new as they are late (RFC 8323, section
    /// 7.1).
    pub(crate) fn new(config: Config, is_reliable: bool) -> Self {
        let random = Random::new(config.seed);
        Self {
            config,
            random,
            last_id: 0,
            under_way: SortedMap::new(),
            by_token: HashMap::default(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            echoes: BTreeMap::new(),
            connected: false,
            is_reliable,
            security: None,
            unreserved: BTreeSet::new(),
        }
    }

    /// Protects every request by OSCORE, and takes no response that isn't. The context must be the
    /// one that the server shares; a group can't be asked then.
    pub(crate) fn protect(&mut self, context: oscore::Context) {
        self.security = Some(context);
    }

    /// What is to be stored before more can be protected ([`oscore::Context::poll_store`]).
    pub(crate) fn poll_store(&mut self) -> Option<Batch> {
        self.security.as_mut()?.poll_store()
    }

    /// That was stored: what waited for it goes out.
    pub(crate) fn stored(&mut self) {
        if let Some(context) = &mut self.security {
            context.stored();
        }
        self.resend_unreserved();
    }

    /// That could not be stored, for this reason: what waits for it fails.
    pub(crate) fn not_stored(&mut self, why: &str) {
        if let Some(context) = &mut self.security {
            context.not_stored(why);
        }
        self.resend_unreserved();
    }

    pub(super) fn is_protected(&self) -> bool {
        self.security.is_some()
    }

    /// Begins an exchange; its token and Observe are set here.
    ///
    /// # Errors
    /// [`RequestError::TooManyPending`]; [`RequestError::InvalidRequest`], where a group is asked
    /// under OSCORE.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        exchange: NewExchange,
    ) -> Result<ExchangeId, RequestError> {
        let NewExchange {
            to,
            mut message,
            reliability,
            kind,
            timeout,
        } = exchange;
        if self.under_way.len() >= self.config.limits.max_exchanges {
            return Err(RequestError::TooManyPending);
        }
        if self.security.is_some() && matches!(kind, Kind::Group(_)) {
            let why = "a group can't be asked under OSCORE, which has one server";
            return Err(RequestError::InvalidRequest(why));
        }
        self.last_id += 1;
        let id = ExchangeId(self.last_id);
        let timeout = timeout.unwrap_or(self.config.response_timeout);
        let phase = match kind {
            Kind::Single => Phase::Single,
            Kind::Told => Phase::Told,
            Kind::Observe => {
                message.set_observe(0);
                Phase::Observing(Observation::default())
            }
            Kind::Group(_) => Phase::Group(Vec::new()),
        };
        let wait = match kind {
            Kind::Group(window) => window,
            _ => timeout,
        };
        let exchange = Exchange {
            to,
            message,
            reliability,
            phase,
            timeout,
            deadline: now + wait,
            echoed: false,
            sent: false,
            bindings: Bindings::default(),
        };
        self.under_way.insert(id, exchange);
        self.send(id);
        Ok(id)
    }

    /// Nobody waits for an exchange any more: nothing more is told of it. A server that is observed
    /// is told so (RFC 7641, section 3.6).
    pub(crate) fn cancel(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        // What has not gone out yet need not.
        let connected = self.connected;
        if connected && exchange.sent && matches!(exchange.phase, Phase::Observing(_)) {
            exchange.phase = Phase::Leaving;
            exchange.deadline = now + LEAVING;
            exchange.message.set_observe(1);
            self.outgoing.push_back(Outgoing::Stop(id));
            self.resend(id);
        } else {
            self.remove(id);
        }
    }

    /// What was sent for an exchange has been acknowledged, or was given to a carrier that is
    /// reliable. The response is still to come.
    pub(crate) fn delivered(&mut self, id: ExchangeId) {
        let exchange = self.under_way.get(&id);
        if exchange.is_some_and(|exchange| matches!(exchange.phase, Phase::Told)) {
            self.remove(id);
            self.events.push_back(ExchangeEvent::Done(id));
        }
    }

    /// What was sent for an exchange was not delivered: it was rejected, or not acknowledged in
    /// time, or is too large.
    pub(crate) fn undelivered(&mut self, now: Instant, id: ExchangeId, error: RequestError) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        match &mut exchange.phase {
            Phase::Observing(observation) if observation.is_established => {
                self.stale(now, id, error);
            }
            // Some members may have got it.
            Phase::Group(_) => {}
            Phase::Leaving => self.remove(id),
            Phase::Single | Phase::Told | Phase::Observing(_) => self.fail(id, error),
        }
    }

    /// There is a connection: what waited for one goes out.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.connected = true;
        let ids: Vec<ExchangeId> = self.under_way.keys().copied().collect();
        for id in ids {
            if let Some(exchange) = self.under_way.get_mut(&id) {
                if let Phase::Observing(observation) = &mut exchange.phase {
                    observation.retries = 0;
                    exchange.deadline = now + exchange.timeout;
                }
                self.send(id);
            }
        }
    }

    /// The peer is about to close the connection: nothing more goes out over it, and waits for the next
    /// one. What has gone out is still answered.
    pub(crate) fn released(&mut self) {
        self.connected = false;
    }

    /// Whether anything that has gone out waits for its response; an observation that has had its first
    /// does not.
    pub(super) fn is_waiting(&self) -> bool {
        self.under_way.values().any(|exchange| {
            exchange.sent
                && match &exchange.phase {
                    Phase::Single | Phase::Told | Phase::Group(_) => true,
                    Phase::Observing(observation) => !observation.is_established,
                    Phase::Leaving => false,
                }
        })
    }

    /// The connection is gone. Requests that have gone out fail, those that have not wait for the
    /// next connection, and so do observations.
    pub(crate) fn disconnected(&mut self) {
        self.connected = false;
        self.outgoing.clear();
        self.echoes.clear();
        self.unreserved.clear();
        let sent = |(id, exchange): (&ExchangeId, &Exchange)| {
            // Who leaves need not say so to another connection.
            (exchange.sent || matches!(exchange.phase, Phase::Leaving)).then_some(*id)
        };
        let ids: Vec<ExchangeId> = self.under_way.iter().filter_map(sent).collect();
        for id in ids {
            let Some(exchange) = self.under_way.get_mut(&id) else {
                continue;
            };
            exchange.sent = false;
            exchange.bindings = Bindings::default();
            match &mut exchange.phase {
                Phase::Observing(observation) if observation.is_established => {
                    *observation = Observation {
                        is_established: true,
                        is_offline: true,
                        ..Observation::default()
                    };
                    let error = RequestError::ConnectionLost;
                    let last = false;
                    self.events
                        .push_back(ExchangeEvent::Failed { id, error, last });
                }
                Phase::Leaving => self.remove(id),
                _ => self.fail(id, RequestError::ConnectionLost),
            }
        }
    }

    /// There will be no connection any more: all that waits fails.
    pub(crate) fn end(&mut self, error: &RequestError) {
        let ids: Vec<ExchangeId> = self.under_way.keys().copied().collect();
        for id in ids {
            self.fail(id, error.clone());
        }
    }

    /// What the layer below is to do next.
    pub(crate) fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<ExchangeEvent> {
        self.events.pop_front()
    }

    /// When [`handle_deadline`](Self::handle_deadline) wants to be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.under_way.values().filter_map(Exchange::deadline).min()
    }

    /// Acts on deadlines that have come.
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        let due = |(id, exchange): (&ExchangeId, &Exchange)| {
            let is_due = exchange.deadline().is_some_and(|deadline| deadline <= now);
            is_due.then_some(*id)
        };
        let ids: Vec<ExchangeId> = self.under_way.iter().filter_map(due).collect();
        for id in ids {
            self.time_is_up(now, id);
        }
    }

    /// Whether an exchange's message is repeated until it is acknowledged.
    pub(crate) fn is_confirmable(&self, id: ExchangeId) -> bool {
        let exchange = self.under_way.get(&id);
        exchange.is_some_and(|exchange| exchange.reliability == Reliability::Confirmable)
    }

    /// How many requests and observations are under way.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether none is.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    fn time_is_up(&mut self, now: Instant, id: ExchangeId) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        match &mut exchange.phase {
            Phase::Group(_) => {
                self.remove(id);
                self.events.push_back(ExchangeEvent::Done(id));
            }
            Phase::Leaving => self.remove(id),
            Phase::Observing(observation) if observation.is_established => {
                if observation.renewal == Renewal::Waiting {
                    self.outgoing.push_back(Outgoing::Stop(id));
                    self.stale(now, id, RequestError::TimedOut);
                } else {
                    // Its last notification is not fresh any more (RFC 7641, section 3.3.1), or
                    // it is time to try again.
                    observation.renewal = Renewal::Waiting;
                    exchange.deadline = now + exchange.timeout;
                    exchange.echoed = false;
                    self.outgoing.push_back(Outgoing::Stop(id));
                    self.resend(id);
                }
            }
            Phase::Single | Phase::Told | Phase::Observing(_) => {
                let error = if exchange.sent || self.unreserved.contains(&id) {
                    RequestError::TimedOut
                } else {
                    RequestError::NotConnected
                };
                self.fail(id, error);
            }
        }
    }

    /// An observation's server was silent: tells so once, and tries again later.
    fn stale(&mut self, now: Instant, id: ExchangeId, error: RequestError) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        let Phase::Observing(observation) = &mut exchange.phase else {
            return;
        };
        let retries = observation.retries;
        observation.retries = retries.saturating_add(1);
        observation.renewal = Renewal::None;
        let delay = self.config.first_retry.saturating_mul(1 << retries.min(16));
        exchange.deadline = now + delay.min(self.config.longest_retry);
        if retries == 0 {
            let last = false;
            self.events
                .push_back(ExchangeEvent::Failed { id, error, last });
        }
    }

    /// Sends an exchange's message, if there is a connection and it was not sent.
    fn send(&mut self, id: ExchangeId) {
        if !self.connected {
            return;
        }
        if let Some(exchange) = self.under_way.get_mut(&id)
            && !exchange.sent
        {
            let mut token = self.random.token();
            while self.by_token.contains_key(&token) {
                token = self.random.token();
            }
            self.by_token.remove(&exchange.message.token());
            self.by_token.insert(token, id);
            exchange.message.set_token(token);
            self.resend(id);
        }
    }

    /// Sends an exchange's message with the token that it has.
    fn resend(&mut self, id: ExchangeId) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        // What can't go out now does with the next connection.
        exchange.sent = self.connected;
        if !exchange.sent {
            return;
        }
        if self
            .security
            .as_ref()
            .is_some_and(oscore::Context::is_waiting)
        {
            exchange.sent = false;
            self.unreserved.insert(id);
            return;
        }
        let mut message = exchange.message.clone();
        if let Some(echo) = self.echoes.remove(&exchange.to) {
            // An Echo of the user's own goes before.
            let options = message.options_mut();
            if !options.contains(OptionNumber::ECHO) {
                let done = options.set(OptionNumber::ECHO, &echo);
                debug_assert!(done.is_ok(), "it was an option's value");
            }
        }
        if let Some(context) = &mut self.security {
            match context.protect_request(&message) {
                Ok((protected, binding)) => {
                    message = protected;
                    exchange.bindings.add(binding);
                }
                Err(error) => {
                    self.fail(id, RequestError::Security(error.to_string().into()));
                    return;
                }
            }
        }
        self.outgoing.push_back(Outgoing::Send {
            id,
            to: exchange.to,
            message,
            reliability: exchange.reliability,
        });
    }

    fn resend_unreserved(&mut self) {
        for id in std::mem::take(&mut self.unreserved) {
            self.resend(id);
        }
    }

    fn fail(&mut self, id: ExchangeId, error: RequestError) {
        let exchange = self.remove_entry(id);
        if exchange.is_some_and(|exchange| !matches!(exchange.phase, Phase::Leaving)) {
            let last = true;
            self.events
                .push_back(ExchangeEvent::Failed { id, error, last });
        }
    }

    fn tell_response(&mut self, id: ExchangeId, from: Peer, message: Message, last: bool) {
        self.events.push_back(ExchangeEvent::Response {
            id,
            from,
            message,
            last,
        });
    }

    fn remove(&mut self, id: ExchangeId) {
        self.remove_entry(id);
    }

    fn remove_entry(&mut self, id: ExchangeId) -> Option<Exchange> {
        let exchange = self.under_way.remove(&id)?;
        self.unreserved.remove(&id);
        // One that was never sent has no token, and the empty one is nobody's.
        if self.by_token.get(&exchange.message.token()) == Some(&id) {
            self.by_token.remove(&exchange.message.token());
        }
        if exchange.sent {
            self.outgoing.push_back(Outgoing::Stop(id));
        }
        Some(exchange)
    }
}
