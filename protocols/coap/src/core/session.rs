//! A session: a message layer with the request layer on top, everything but the socket.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jackfield_socket::driver::{Core, DatagramCore, Peer, StreamCore};
use jackfield_socket::time::Instant;
use jackfield_store::Batch;

use super::blockwise::BlockError;
use super::{
    Config, ExchangeEvent, ExchangeId, Exchanges, LayerError, LayerEvent, MessageLayer,
    NewExchange, Outgoing, Received, Reception, Reliability, SendError, SortedMap,
    TransmissionError, TransmissionId, Verdict,
};
use crate::codec::{Code, Message};
use crate::error::RequestError;
use crate::oscore;

/// Of how many messages that were sent the outcome is waited for.
const MAX_TRANSMISSIONS: usize = 4096;

/// A session of one endpoint, which makes requests. One that takes them is a server's (feature
/// `server`), and not for others.
///
/// Over a layer for datagrams it is a [`DatagramCore`], over one for streams a [`StreamCore`].
#[derive(Debug)]
pub struct Session<L> {
    layer: L,
    exchanges: Exchanges,
    serves: bool,
    /// What the requests that it takes must be protected with, if with anything.
    contexts: Option<oscore::ServerContexts>,
    /// What is on its way, and for whom.
    transmissions: SortedMap<TransmissionId, Purpose>,
    by_exchange: SortedMap<ExchangeId, TransmissionId>,
    events: VecDeque<SessionEvent>,
    /// Without one, no deadline is kept but those of requests.
    connected: bool,
    /// Since when the peer wants the stream to be closed, and for how long to be left alone then.
    released: Option<(Instant, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Exchange(ExchangeId),
    /// A ping, or what a server sends.
    Own,
}

/// What a session tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Something about a request that was made.
    Exchange(ExchangeEvent),
    /// A request, which only a server is told of.
    #[doc(hidden)]
    Request(Received),
    /// The peer answered a [`ping`](Session::ping), or has what a server sent it.
    Delivered(TransmissionId),
    /// Such a message was not delivered.
    Undelivered(TransmissionId, TransmissionError),
    /// The peer of a stream has said what it can do.
    Ready,
    /// These changes are to be made durable, all or none; then [`Session::stored`] is to be called,
    /// or [`Session::not_stored`]. Only under OSCORE; one at a time for each context.
    Store(StoreId, Batch),
}

/// Names what is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(usize);

impl StoreId {
    /// Whose sequence numbers they are: the session's own context comes first, if it has one, and
    /// those that it serves follow in their order.
    pub fn context(self) -> usize {
        self.0
    }
}

impl<L: MessageLayer> Session<L> {
    /// A session that makes requests. None goes out before [`connected`](Self::connected).
    pub fn new(layer: L, config: Config) -> Self {
        Self {
            layer,
            exchanges: Exchanges::new(config, L::IS_RELIABLE),
            serves: false,
            contexts: None,
            transmissions: SortedMap::new(),
            by_exchange: SortedMap::new(),
            events: VecDeque::new(),
            connected: false,
            released: None,
        }
    }

    /// The same, which protects its requests by OSCORE (RFC 8613).
    #[must_use]
    pub fn protected(mut self, context: oscore::Context) -> Self {
        self.exchanges.protect(context);
        self
    }

    /// What [`SessionEvent::Store`] named is durable: requests that waited for it go out.
    pub fn stored(&mut self, now: Instant, id: StoreId) {
        match self.served_context(id) {
            Some(context) => context.stored(),
            None => self.exchanges.stored(),
        }
        self.pump(now);
    }

    /// What [`SessionEvent::Store`] named could not be stored, for this reason. What is reserved
    /// already can still be used; then all fails that has to be protected.
    pub fn not_stored(&mut self, now: Instant, id: StoreId, why: &str) {
        match self.served_context(id) {
            Some(context) => context.not_stored(why),
            None => self.exchanges.not_stored(why),
        }
        self.pump(now);
    }

    /// The context of those that it serves which is meant, if it is not its own.
    fn served_context(&mut self, id: StoreId) -> Option<&mut oscore::Context> {
        let index = id.0.checked_sub(self.exchanges.is_protected().into())?;
        self.contexts.as_mut()?.context(index)
    }

    fn poll_store(&mut self) -> Option<SessionEvent> {
        if let Some(changes) = self.exchanges.poll_store() {
            return Some(SessionEvent::Store(StoreId(0), changes));
        }
        let (index, changes) = self.contexts.as_mut()?.poll_store()?;
        let id = StoreId(index + usize::from(self.exchanges.is_protected()));
        Some(SessionEvent::Store(id, changes))
    }

    /// The message layer.
    pub(crate) fn layer(&self) -> &L {
        &self.layer
    }

    /// Begins a request, an observation, or a request to a group.
    ///
    /// # Errors
    /// [`RequestError::TooManyPending`].
    pub fn begin(
        &mut self,
        now: Instant,
        exchange: NewExchange,
    ) -> Result<ExchangeId, RequestError> {
        let begun = self.exchanges.begin(now, exchange)?;
        self.pump(now);
        Ok(begun)
    }

    /// Nobody waits for an exchange any more.
    pub fn cancel(&mut self, now: Instant, id: ExchangeId) {
        self.exchanges.cancel(now, id);
        self.pump(now);
    }

    /// Asks a peer whether it is there; [`SessionEvent::Delivered`] or
    /// [`SessionEvent::Undelivered`] follows.
    ///
    /// # Errors
    /// As [`SendError`] says.
    pub fn ping(&mut self, now: Instant, to: Peer) -> Result<TransmissionId, SendError> {
        let id = self.layer.ping(now, to)?;
        self.remember(id);
        Ok(id)
    }

    /// Ends in order: what waits goes out.
    pub fn close(&mut self, now: Instant) {
        self.layer.close(now);
    }

    /// There is a connection, with this layer, which is a new one.
    pub fn connected(&mut self, now: Instant, layer: L) {
        self.layer = layer;
        self.connected = true;
        self.transmissions.clear();
        self.by_exchange.clear();
        self.exchanges.connected(now);
        self.pump(now);
    }

    /// The connection is gone: requests that have gone out fail, the others and observations wait
    /// for the next one.
    pub fn disconnected(&mut self) {
        self.transmissions.clear();
        self.by_exchange.clear();
        self.connected = false;
        self.released = None;
        self.exchanges.disconnected();
    }

    /// There will be no connection any more: whatever waits for one fails.
    pub fn end(&mut self, error: &RequestError) {
        self.exchanges.end(error);
    }

    /// Moves between the layers until both are at rest.
    fn pump(&mut self, now: Instant) {
        loop {
            while let Some(outgoing) = self.exchanges.poll_outgoing() {
                self.send(now, outgoing);
            }
            let Some(event) = self.layer.poll_event() else {
                return;
            };
            self.take(now, event);
        }
    }

    fn send(&mut self, now: Instant, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send {
                id,
                to,
                message,
                reliability,
            } => match self.layer.send(now, to, message, reliability) {
                Ok(transmission) => {
                    self.transmissions
                        .insert(transmission, Purpose::Exchange(id));
                    self.by_exchange.insert(id, transmission);
                }
                Err(error) => self.exchanges.undelivered(now, id, error.into()),
            },
            Outgoing::Stop(id) => {
                if let Some(transmission) = self.by_exchange.remove(&id) {
                    self.transmissions.remove(&transmission);
                    self.layer.cancel(now, transmission);
                }
            }
        }
    }

    fn take(&mut self, now: Instant, event: LayerEvent) {
        match event {
            LayerEvent::Received(received) if received.message.code().is_response() => {
                let Received { reception, message } = received;
                let (from, piggybacked) = (reception.from(), reception.is_piggybacked());
                match self.exchanges.received(now, from, message, piggybacked) {
                    Verdict::Accept => self.layer.acknowledge(now, &reception),
                    Verdict::Reject => self.layer.reject(now, &reception),
                }
            }
            LayerEvent::Received(received) if self.serves => self.take_request(now, received),
            LayerEvent::Received(received) => self.layer.reject(now, &received.reception),
            LayerEvent::Sent(id) => {
                // What is sent once, or on a stream, is as delivered as it will be.
                if let Some(Purpose::Exchange(exchange)) = self.transmissions.get(&id)
                    && (L::IS_RELIABLE || !self.exchanges.is_confirmable(*exchange))
                {
                    self.exchanges.delivered(*exchange);
                }
            }
            LayerEvent::Acknowledged(id) => match self.forget(id) {
                Some(Purpose::Exchange(exchange)) => self.exchanges.delivered(exchange),
                Some(Purpose::Own) => self.events.push_back(SessionEvent::Delivered(id)),
                None => {}
            },
            LayerEvent::Failed(id, error) => match self.forget(id) {
                Some(Purpose::Exchange(exchange)) => {
                    self.exchanges.undelivered(now, exchange, error.into());
                }
                Some(Purpose::Own) => {
                    let event = SessionEvent::Undelivered(id, error);
                    self.events.push_back(event);
                }
                None => {}
            },
            LayerEvent::Ready => self.events.push_back(SessionEvent::Ready),
            LayerEvent::Released { hold_off, .. } => {
                // Its requests end by its own side's end.
                if !self.serves {
                    self.exchanges.released();
                    self.released = Some((now, hold_off));
                }
            }
        }
    }

    fn take_request(&mut self, now: Instant, mut received: Received) {
        if let Some(contexts) = &mut self.contexts {
            match contexts.unprotect(received.reception.from(), &received.message) {
                Ok(plain) => received.message = plain,
                Err(Some(refusal)) => {
                    // Where it can't be sent, the client asks again, or gives up.
                    let _ = self.layer.respond(now, &received.reception, refusal);
                    return;
                }
                Err(None) => {
                    self.layer.reject(now, &received.reception);
                    return;
                }
            }
        }
        if !L::IS_RELIABLE && received.message.has_reserved_block() {
            // RFC 7959, section 2.2.
            let mut refusal = Message::new(Code::BAD_REQUEST);
            refusal.payload = BlockError::ReservedSize.to_string().into();
            // Where it can't be sent, the client asks again, or gives up.
            let _ = self.respond(now, &received.reception, refusal);
            return;
        }
        self.events.push_back(SessionEvent::Request(received));
    }

    /// An answer, protected as its request was.
    fn protected_as_asked(&mut self, to: Peer, answer: Message) -> Result<Message, SendError> {
        match &mut self.contexts {
            None => Ok(answer),
            Some(contexts) => contexts
                .protect(to, &answer)
                .map_err(|error| SendError::Unprotected(error.kind())),
        }
    }

    /// Of what a server sends, the end is not always told: a message that is sent once may be
    /// rejected at any time, or never.
    fn remember(&mut self, id: TransmissionId) {
        self.transmissions.insert(id, Purpose::Own);
        if self.transmissions.len() > MAX_TRANSMISSIONS {
            let is_own = |(_, purpose): &(&TransmissionId, &Purpose)| **purpose == Purpose::Own;
            let oldest = self.transmissions.iter().find(is_own).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.transmissions.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, id: TransmissionId) -> Option<Purpose> {
        let purpose = self.transmissions.remove(&id);
        if let Some(Purpose::Exchange(exchange)) = purpose
            && self.by_exchange.get(&exchange) == Some(&id)
        {
            self.by_exchange.remove(&exchange);
        }
        purpose
    }

    /// Whether the peer wants the stream to be closed, and has answered what it was asked (RFC 8323,
    /// section 5.5).
    fn time_to_leave(&self) -> Option<(Instant, Duration)> {
        self.released.filter(|_| !self.exchanges.is_waiting())
    }

    fn leave_if_released(&mut self, now: Instant) -> Result<(), LayerError> {
        let Some((_, hold_off)) = self.time_to_leave() else {
            return Ok(());
        };
        self.released = None;
        self.layer.close(now);
        Err(LayerError::Released { hold_off })
    }
}

/// A server's part.
#[cfg_attr(
    not(feature = "server"),
    expect(dead_code, reason = "without a server nobody serves")
)]
impl<L: MessageLayer> Session<L> {
    /// The same, which takes requests too; the layer that it was made with has its socket or stream.
    #[must_use]
    pub(crate) fn serving(mut self) -> Self {
        self.serves = true;
        self.connected = true;
        self
    }

    /// The same, which takes requests too, of clients that share one of these contexts: what is not
    /// protected is refused with 4.01, and its answers are protected as the requests were.
    #[must_use]
    pub(crate) fn serving_protected(mut self, contexts: Vec<oscore::Context>) -> Self {
        self.contexts = Some(oscore::ServerContexts::new(contexts));
        self.serving()
    }

    /// Answers a request. What becomes of the answer is told as for [`notify`](Self::notify).
    ///
    /// # Errors
    /// As [`SendError`] says.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        to: &Reception,
        mut response: Message,
    ) -> Result<TransmissionId, SendError> {
        response.set_token(to.token);
        let response = self.protected_as_asked(to.from(), response)?;
        let id = self.layer.respond(now, to, response)?;
        self.remember(id);
        Ok(id)
    }

    /// Says that a request was taken and that its response will follow, or that there is none.
    pub(crate) fn acknowledge(&mut self, now: Instant, reception: &Reception) {
        self.layer.acknowledge(now, reception);
    }

    /// Sends a response to one who observes.
    ///
    /// # Errors
    /// As [`SendError`] says.
    pub(crate) fn notify(
        &mut self,
        now: Instant,
        to: Peer,
        notification: Message,
        reliability: Reliability,
    ) -> Result<TransmissionId, SendError> {
        let notification = self.protected_as_asked(to, notification)?;
        let id = self.layer.send(now, to, notification, reliability)?;
        self.remember(id);
        Ok(id)
    }
}

impl<L: MessageLayer> Core for Session<L> {
    type Event = SessionEvent;
    type Error = LayerError;

    fn poll_event(&mut self) -> Option<SessionEvent> {
        if let Some(store) = self.poll_store() {
            return Some(store);
        }
        if let Some(event) = self.exchanges.poll_event() {
            return Some(SessionEvent::Exchange(event));
        }
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.layer.deadline().filter(|_| self.connected),
            self.exchanges.deadline(),
            self.time_to_leave().map(|(since, _)| since),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), LayerError> {
        self.leave_if_released(now)?;
        let layer = self.layer.deadline().filter(|_| self.connected);
        if layer.is_some_and(|deadline| deadline <= now) {
            self.layer.handle_deadline(now)?;
        }
        self.pump(now);
        self.exchanges.handle_deadline(now);
        self.pump(now);
        // The last that was waited for may have come to its end just now.
        self.leave_if_released(now)
    }

    fn is_finished(&self) -> bool {
        self.layer.is_finished()
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        self.layer.set_reading(now, reading);
    }
}

impl<L: MessageLayer + DatagramCore> DatagramCore for Session<L> {
    fn receive(&mut self, now: Instant, from: Peer, datagram: &[u8]) -> Result<(), LayerError> {
        let received = self.layer.receive(now, from, datagram);
        self.pump(now);
        received
    }

    fn receive_truncated(
        &mut self,
        now: Instant,
        from: Peer,
        beginning: &[u8],
    ) -> Result<(), LayerError> {
        let received = self.layer.receive_truncated(now, from, beginning);
        self.pump(now);
        received
    }

    fn transmit(&mut self, now: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
        let to = self.layer.transmit(now, datagram);
        self.pump(now);
        to
    }

    fn send_failed(&mut self, now: Instant, to: Peer, error: &io::Error) {
        self.layer.send_failed(now, to, error);
        self.pump(now);
    }

    fn unreachable(&mut self, now: Instant, from: Peer, error: &io::Error) {
        self.layer.unreachable(now, from, error);
        self.pump(now);
    }
}

impl<L: MessageLayer + StreamCore> StreamCore for Session<L> {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), LayerError> {
        let received = self.layer.receive(now, bytes);
        self.pump(now);
        received
    }

    fn receive_end(&mut self, now: Instant) -> Result<(), LayerError> {
        let received = self.layer.receive_end(now);
        self.pump(now);
        received
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.layer.transmit(now, out);
        self.pump(now);
    }
}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::QueueFull(_) | SendError::TooManyPeers(_) => Self::TooManyPending,
            SendError::TooLarge { limit, .. } => Self::TooLarge { limit },
            SendError::ConfirmableToGroup => {
                Self::InvalidRequest("a confirmable message to a multicast group")
            }
            SendError::Code(_) => Self::InvalidRequest("the code is no method's"),
            SendError::Closing => Self::NotConnected,
            error @ SendError::Unprotected(_) => Self::Security(error.to_string().into()),
        }
    }
}

impl From<TransmissionError> for RequestError {
    fn from(error: TransmissionError) -> Self {
        match error {
            TransmissionError::TimedOut => Self::TimedOut,
            TransmissionError::Reset => Self::Rejected,
            TransmissionError::Unsendable(kind) => Self::Unsendable(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Block, BlockSize, Datagram, MessageId, MessageType};
    use crate::core::{DatagramConfig, DatagramLayer, Limits, StreamConfig, StreamLayer};

    /// RFC 7252, section 4.2, and RFC 8323, section 5.3: who serves has deadlines, too.
    #[test]
    fn who_serves_repeats_what_is_not_acknowledged_and_waits_for_no_client_for_ever() {
        let layer = DatagramLayer::new(DatagramConfig::default(), Limits::default(), 1);
        let mut server = Session::new(layer, Config::default()).serving();
        let now = Instant::now();
        let notification = Message::new(Code::CONTENT);
        let sent = server.notify(now, Peer::Connected, notification, Reliability::Confirmable);
        sent.expect("it is sent");
        let mut out = Vec::new();
        server.transmit(now, &mut out).expect("it is sent");
        assert_eq!(server.transmit(now, &mut Vec::new()), None);
        let due = server.deadline().expect("it waits to be acknowledged");
        server.handle_deadline(due).expect("it goes on");
        let mut again = Vec::new();
        server.transmit(due, &mut again).expect("it is sent again");
        assert_eq!(again, out);

        let layer = StreamLayer::new(now, StreamConfig::default());
        let mut server = Session::new(layer, Config::default()).serving();
        let due = server.deadline().expect("it waits for settings");
        let ended = server.handle_deadline(due).expect_err("it gives up");
        assert_eq!(ended, LayerError::SettingsTimedOut);
    }

    /// RFC 7959, section 2.2.
    #[test]
    fn a_request_with_a_block_of_the_reserved_size_is_refused() {
        let layer = DatagramLayer::new(DatagramConfig::default(), Limits::default(), 1);
        let mut server = Session::new(layer, Config::default()).serving();
        let now = Instant::now();
        let mut message = Message::new(Code::GET);
        message.set_block2(Block::new(0, false, BlockSize::Bert).expect("a small number"));
        let request = Datagram::new(MessageType::Confirmable, MessageId(1), message);
        let received = server.receive(now, Peer::Connected, &request.to_bytes());
        received.expect("it goes on");
        assert!(server.poll_event().is_none(), "it is told");
        let mut out = Vec::new();
        server.transmit(now, &mut out).expect("an answer");
        let answer = Datagram::decode(&out).expect("a message");
        assert_eq!(answer.message.code(), Code::BAD_REQUEST);
    }
}
