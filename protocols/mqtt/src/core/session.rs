//! The session itself: what it is asked, and its life over connections.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_socket::time::Instant;

use super::aliases::{IncomingAliases, OutgoingAliases};
use super::durable::{After, Durable};
use super::incoming::IncomingMessages;
use super::outgoing::OutgoingMessages;
use super::packet_ids::PacketIds;
use super::records::{self, Restored};
use super::subscriptions::{Asked, Subscriptions};
use super::{
    Config, ConnectOptions, Event, Message, RequestId, Server, SessionEvent, StoreId,
    SubscribeRequest, UnsubscribeRequest,
};
use crate::codec::{
    self, Auth, AuthReason, Authentication, DecodeError, Decoder, Disconnect, DisconnectReason,
    Encoder, InvalidValue, Packet, PublishReason, QoS, Text, Version,
};
use crate::error::{RequestError, RestoreError, SessionError};

/// The largest message that a store keeps, in bytes, its properties included.
const MAX_STORED: usize = 15 << 20;

/// A client's session: it outlives connections.
///
/// It is [connected](Self::connect), driven as a [`StreamCore`] over a stream until that ends,
/// [disconnected](Self::disconnected), and connected again. What it is asked in between waits.
/// Its events are to be [polled] while it is not connected, too.
///
/// ```
/// use jackfield_mqtt::codec::QoS;
/// use jackfield_mqtt::core::{Config, ConnectOptions, Event, Message, Session, SessionEvent};
/// use jackfield_socket::driver::{Core, StreamCore};
/// use jackfield_socket::time::Instant;
///
/// let now = Instant::now();
/// let mut session = Session::new(Config::default());
/// session.connect(now, ConnectOptions::new("lamp".parse()?))?;
/// let mut out = Vec::new();
/// session.transmit(now, &mut out);
/// assert_eq!(out.first(), Some(&0x10), "CONNECT");
///
/// // The server lets it in.
/// session.receive(now, b"\x20\x03\x00\x00\x00")?;
/// let event = session.poll_event();
/// assert!(matches!(event, Some(SessionEvent::Event(Event::Connected(_)))));
///
/// let message = Message::new("lamp/state".parse()?, "on").qos(QoS::AtLeastOnce);
/// let request = session.publish(now, message)?;
/// out.clear();
/// session.transmit(now, &mut out);
/// assert_eq!(out, b"\x32\x11\x00\x0Alamp/state\x00\x01\x00on");
///
/// // The server has taken the message.
/// session.receive(now, b"\x40\x02\x00\x01")?;
/// let Some(SessionEvent::Completed(done, Ok(_))) = session.poll_event() else { panic!() };
/// assert_eq!(done, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`StreamCore`]: jackfield_socket::driver::StreamCore
/// [polled]: jackfield_socket::driver::Core::poll_event
#[derive(Debug)]
pub struct Session {
    pub(super) config: Config,
    pub(super) durable: Durable,
    pub(super) ids: PacketIds,
    pub(super) outgoing: OutgoingMessages,
    pub(super) incoming: IncomingMessages,
    pub(super) subscriptions: Subscriptions,
    /// The client identifier that the server assigned.
    pub(super) assigned_client_id: Option<Text>,
    /// Whether there may be a session that the server has kept for this one.
    pub(super) resumable: bool,
    /// Whether what holds for the session as a whole is stored.
    meta_stored: bool,
    next_request: u64,
    /// Messages of QoS 1 and 2 that were ever taken to be sent.
    published: u64,
    pub(super) events: VecDeque<(After, SessionEvent)>,
    pub(super) phase: Phase,
    /// What holds for the present connection.
    pub(super) connection: PerConnection,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// There is no connection.
    Offline,
    /// CONNECT is to be sent.
    ToConnect(Box<codec::Connect>),
    /// CONNACK is to come.
    Connecting {
        until: Instant,
    },
    Connected,
    /// This side has said all it will.
    Done,
}

#[derive(Debug)]
pub(super) struct PerConnection {
    pub(super) input: BytesMut,
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    /// What was asked for in CONNECT.
    pub(super) asked: Option<Box<codec::Connect>>,
    pub(super) server: Option<Box<Server>>,
    /// Nothing is asked of the server before it is stored that there is a session: whoever comes
    /// after this process must not begin anew then.
    pub(super) known: After,
    /// Acknowledgements and the like, in order.
    pub(super) answers: VecDeque<(After, Packet)>,
    /// The last packet, and whether the user asked for it.
    pub(super) disconnect: Option<(Disconnect, bool)>,
    pub(super) incoming_aliases: IncomingAliases,
    pub(super) outgoing_aliases: OutgoingAliases,
    pub(super) keep_alive: Option<Duration>,
    pub(super) last_sent: Option<Instant>,
    pub(super) last_received: Option<Instant>,
    /// Since when what the server sends is not read: its silence means nothing then.
    pub(super) unread_since: Option<Instant>,
    /// PINGREQ is to be sent.
    pub(super) ping_due: bool,
    /// Since when PINGRESP is waited for.
    pub(super) ping: Option<Instant>,
    /// It is waited for anew after a sleep, and nothing has come since.
    pub(super) is_anew: bool,
    /// Whether the server waits for an answer to its challenge.
    pub(super) challenged: bool,
    pub(super) reauthenticating: Option<RequestId>,
}

impl PerConnection {
    fn new(config: &Config) -> Self {
        let limit = config.maximum_packet_size.get();
        Self {
            input: BytesMut::new(),
            encoder: Encoder::new(config.version),
            decoder: Decoder::new(config.version).with_limit(limit),
            asked: None,
            server: None,
            known: 0,
            answers: VecDeque::new(),
            disconnect: None,
            incoming_aliases: IncomingAliases::new(config.topic_alias_maximum),
            outgoing_aliases: OutgoingAliases::new(0),
            keep_alive: None,
            last_sent: None,
            last_received: None,
            unread_since: None,
            ping_due: false,
            ping: None,
            is_anew: false,
            challenged: false,
            reauthenticating: None,
        }
    }

    pub(super) fn method(&self) -> Option<&Text> {
        let asked = self.asked.as_ref()?.authentication.as_ref()?;
        Some(&asked.method)
    }
}

impl Session {
    /// A new session, not connected.
    pub fn new(config: Config) -> Self {
        let connection = PerConnection::new(&config);
        Self {
            durable: Durable::new(config.durable),
            ids: PacketIds::new(),
            outgoing: OutgoingMessages::new(),
            incoming: IncomingMessages::new(),
            subscriptions: Subscriptions::new(config.limits.max_subscriptions),
            assigned_client_id: None,
            resumable: false,
            meta_stored: false,
            next_request: 1,
            published: 0,
            events: VecDeque::new(),
            phase: Phase::Offline,
            connection,
            config,
        }
    }

    /// A session of which these records are left in its store, in any order. Without any, it is a
    /// new one.
    ///
    /// Messages that wait in it have no [`RequestId`] that anyone knows; they are sent all the same.
    /// How long a message with an expiry has waited is not known: it begins anew.
    ///
    /// # Errors
    /// Where they are not what a session had stored. None of them is used then.
    pub fn restore(
        config: Config,
        records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        let restored = Restored::read(records)?;
        let mut session = Self::new(config);
        session.resumable = restored.resumable;
        session.meta_stored = restored.serials.is_some();
        session.assigned_client_id = restored.client_id;
        session
            .incoming
            .restore(restored.serials.unwrap_or_default(), restored.incoming);
        session.subscriptions.restore(restored.subscriptions);
        let highest = session
            .outgoing
            .restore(restored.outgoing, &mut session.ids);
        session.next_request = highest + 1;
        session.published = restored.published;
        Ok(session)
    }

    /// What the session was made with; once it has [fallen back], with another version.
    ///
    /// [fallen back]: Config::fall_back_to_v311
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the server said of itself; `None` while not connected.
    pub fn server(&self) -> Option<&Server> {
        match self.phase {
            Phase::Connected => self.connection.server.as_deref(),
            _ => None,
        }
    }

    /// Messages that wait to be sent or to be acknowledged by the server.
    pub fn waiting_messages(&self) -> usize {
        self.outgoing.len()
    }

    /// How many messages of QoS 1 and 2 the session has ever taken to send, those of earlier
    /// processes included where it is durable.
    ///
    /// The count is stored together with the message. So an application that numbers its messages
    /// knows, after a crash, which was the last that the session has: it goes on with the next, and
    /// sends none twice and leaves none out.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Begins a connection: the next bytes to and from the session are those of a new stream.
    ///
    /// # Errors
    /// Where MQTT 3.1.1 has no room for something that is asked for. The session is not connected
    /// then.
    pub fn connect(&mut self, now: Instant, connect: ConnectOptions) -> Result<(), RequestError> {
        self.disconnected(now);
        let packet = Packet::Connect(Box::new(self.connect_packet(connect)?));
        let mut trial = Vec::new();
        self.connection
            .encoder
            .encode_of_client(&packet, &mut trial)?;
        let Packet::Connect(packet) = packet else {
            return Ok(());
        };
        self.phase = Phase::ToConnect(packet);
        Ok(())
    }

    /// The stream is gone, or was never there: what was in flight waits for the next one.
    pub fn disconnected(&mut self, now: Instant) {
        let _ = now;
        if let Some(request) = self.connection.reauthenticating.take() {
            self.complete(request, Err(RequestError::ConnectionLost));
        }
        self.phase = Phase::Offline;
        self.connection = PerConnection::new(&self.config);
        self.outgoing.disconnected();
        self.incoming.disconnected();
        self.subscriptions.disconnected(&mut self.ids);
    }

    /// Publishes a message: now, or, while not connected, when next connected.
    ///
    /// It is done when it was sent (QoS 0), or when the server has acknowledged it (QoS 1 and 2),
    /// on whichever connection that is.
    ///
    /// # Errors
    /// Where the queue is full ([`RequestError::QueueFull`]), or where the message is not one that
    /// this version or, while connected, this server takes. Nothing of it is sent then.
    pub fn publish(&mut self, now: Instant, message: Message) -> Result<RequestId, RequestError> {
        self.check_message(&message)?;
        if self.durable.is_enabled() && message.size() > MAX_STORED {
            return Err(InvalidValue("a message is larger than a store keeps").into());
        }
        let size = message.size();
        let room = self
            .outgoing
            .room(size, &self.config.limits, self.config.when_full);
        for _ in 0..room.ok_or(RequestError::QueueFull)? {
            if let Some(dropped) = self.outgoing.drop_oldest(&mut self.durable) {
                self.complete(dropped, Err(RequestError::Dropped));
            }
        }
        if !self.meta_stored {
            self.store_meta();
        }
        let request = self.new_request();
        if message.qos != QoS::AtMostOnce {
            self.published += 1;
            let published = self.published;
            self.durable
                .put(records::published_key(), || records::published(published));
        }
        self.outgoing.push(now, request, message, &mut self.durable);
        Ok(request)
    }

    /// Whether [`publish`](Self::publish) would take this message as far as
    /// [`Limits`](super::Limits) go.
    pub fn has_room(&self, message: &Message) -> bool {
        let size = message.size();
        self.outgoing
            .room(size, &self.config.limits, self.config.when_full)
            .is_some()
    }

    /// Subscribes: now, or, while not connected, when next connected. Done when the server has
    /// answered; where the connection is lost before, it is asked again.
    ///
    /// Subscribing again to the same filter replaces the subscription.
    ///
    /// # Errors
    /// Where too much waits or is remembered ([`RequestError::QueueFull`]), or where the subscription
    /// is not one that this version or, while connected, this server takes.
    pub fn subscribe(&mut self, subscribe: SubscribeRequest) -> Result<RequestId, RequestError> {
        self.check_number(&subscribe)?;
        self.ask_to_subscribe(subscribe, Asked::Subscribe)
    }

    /// [`subscribe`](Self::subscribe) with an identifier that is left out where the server takes
    /// none.
    pub(crate) fn subscribe_numbered(
        &mut self,
        subscribe: SubscribeRequest,
    ) -> Result<RequestId, RequestError> {
        self.ask_to_subscribe(subscribe, Asked::Numbered)
    }

    fn ask_to_subscribe(
        &mut self,
        subscribe: SubscribeRequest,
        asked: impl FnOnce(SubscribeRequest) -> Asked,
    ) -> Result<RequestId, RequestError> {
        self.check_subscribe(&subscribe)?;
        self.check_pending()?;
        if !self.subscriptions.has_room(subscribe.filters.len()) {
            return Err(RequestError::QueueFull);
        }
        let request = self.new_request();
        self.subscriptions.ask(request, asked(subscribe));
        Ok(request)
    }

    /// Unsubscribes: now, or, while not connected, when next connected.
    ///
    /// # Errors
    /// Where too many requests wait ([`RequestError::QueueFull`]), or there is no filter.
    pub fn unsubscribe(
        &mut self,
        unsubscribe: UnsubscribeRequest,
    ) -> Result<RequestId, RequestError> {
        if unsubscribe.filters.is_empty() {
            return Err(InvalidValue("an unsubscription has no topic filter").into());
        }
        if self.config.version == Version::V311 && !unsubscribe.user_properties.is_empty() {
            return Err(RequestError::Unsupported("properties on MQTT 3.1.1"));
        }
        self.check_pending()?;
        let request = self.new_request();
        self.subscriptions
            .ask(request, Asked::Unsubscribe(unsubscribe));
        Ok(request)
    }

    /// Acknowledges a message of QoS 1 or 2 ([`Delivery::serial`](super::Delivery::serial)): from
    /// now on it is the application's. A reason that is a failure tells the server that it was not
    /// taken (MQTT 5); the message is done with all the same.
    ///
    /// The server is told in the order in which the messages came (MQTT 5, section 4.6): an
    /// acknowledgement waits for those of earlier messages with the same quality of service.
    ///
    /// # Errors
    /// [`RequestError::UnknownSerial`] where no such message waits: it is acknowledged already, or
    /// the server has lost the session. [`RequestError::Unsupported`] for a failure on 3.1.1.
    pub fn acknowledge(&mut self, serial: u64, reason: PublishReason) -> Result<(), RequestError> {
        if self.config.version == Version::V311 && reason != PublishReason::Success {
            return Err(RequestError::Unsupported("reasons on MQTT 3.1.1"));
        }
        if !self.incoming.acknowledge(serial, reason) {
            return Err(RequestError::UnknownSerial);
        }
        self.answer_acknowledged();
        Ok(())
    }

    /// Answers an [`Event::Challenge`] with the method's data.
    ///
    /// # Errors
    /// Where no challenge waits, or the data are longer than 65,535 bytes.
    pub fn authenticate(&mut self, data: Option<Bytes>) -> Result<(), RequestError> {
        if !self.connection.challenged {
            return Err(InvalidValue("no challenge waits for an answer").into());
        }
        self.auth(AuthReason::ContinueAuthentication, data)?;
        self.connection.challenged = false;
        Ok(())
    }

    /// Authenticates again on this connection, with the method that it began with (MQTT 5,
    /// section 4.12.1).
    ///
    /// # Errors
    /// Where not connected, the connection was begun without a method, or an authentication is
    /// going on.
    pub fn reauthenticate(&mut self, data: Option<Bytes>) -> Result<RequestId, RequestError> {
        if !matches!(self.phase, Phase::Connected) {
            return Err(RequestError::NotConnected);
        }
        if self.connection.reauthenticating.is_some() {
            return Err(InvalidValue("an authentication is going on already").into());
        }
        self.auth(AuthReason::ReAuthenticate, data)?;
        let request = self.new_request();
        self.connection.reauthenticating = Some(request);
        Ok(request)
    }

    fn auth(&mut self, reason: AuthReason, data: Option<Bytes>) -> Result<(), RequestError> {
        let Some(method) = self.connection.method().cloned() else {
            return Err(InvalidValue("the connection was begun without a method").into());
        };
        let auth = Packet::Auth(Box::new(Auth {
            reason,
            authentication: Some(Authentication { method, data }),
            reason_string: None,
            user_properties: Vec::new(),
        }));
        self.connection
            .encoder
            .encode_of_client(&auth, &mut Vec::new())?;
        self.connection.answers.push_back((0, auth));
        Ok(())
    }

    /// [`close_with`](Self::close_with) the words that all is well: the server publishes no will.
    ///
    /// # Errors
    /// Where there is no connection.
    pub fn close(&mut self) -> Result<(), RequestError> {
        self.close_with(Disconnect::new(DisconnectReason::Success))
    }

    /// Ends the connection with these words, once what can be sent was sent. Afterwards comes
    /// [`SessionEvent::Closed`]; what is not done waits for the next connection.
    ///
    /// # Errors
    /// Where there is no connection, or a client, or a client of this version, can't say this.
    pub fn close_with(&mut self, disconnect: Disconnect) -> Result<(), RequestError> {
        match &self.phase {
            Phase::Offline | Phase::Done => return Err(RequestError::NotConnected),
            Phase::ToConnect(_) => {
                self.phase = Phase::Done;
                self.emit_now(SessionEvent::Closed);
                return Ok(());
            }
            Phase::Connecting { .. } | Phase::Connected => {}
        }
        if !disconnect.reason.from_client() || disconnect.server_reference.is_some() {
            return Err(InvalidValue("a client can't say this in DISCONNECT").into());
        }
        let packet = Packet::Disconnect(disconnect.clone());
        self.connection
            .encoder
            .encode_of_client(&packet, &mut Vec::new())?;
        let kept = self.connection.asked.as_ref();
        let kept = kept.and_then(|asked| asked.session_expiry).unwrap_or(0);
        if kept == 0 && disconnect.session_expiry.is_some_and(|expiry| expiry > 0) {
            return Err(InvalidValue(
                "a session that was to end with the connection can't be kept",
            )
            .into());
        }
        self.connection.disconnect = Some((disconnect, true));
        Ok(())
    }

    /// The batch is durable: what waited for it goes on.
    pub fn stored(&mut self, id: StoreId) {
        self.durable.stored(id);
    }

    /// Whether this request has no outcome yet, or one that is about to be told.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn is_open(&self, request: RequestId) -> bool {
        self.outgoing.holds(request)
            || self.subscriptions.asked(request).is_some()
            || self.connection.reauthenticating == Some(request)
            || self.events.iter().any(|(_, event)| {
                matches!(event, SessionEvent::Completed(completed, _) if *completed == request)
            })
    }

    pub(super) fn new_request(&mut self) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        request
    }

    /// Tells something, once what was changed so far is durable.
    pub(super) fn emit(&mut self, event: Event) {
        self.emit_now(SessionEvent::Event(event));
    }

    pub(super) fn complete(
        &mut self,
        request: RequestId,
        outcome: Result<super::Reply, RequestError>,
    ) {
        self.emit_now(SessionEvent::Completed(request, outcome));
    }

    pub(super) fn emit_now(&mut self, event: SessionEvent) {
        self.events.push_back((self.durable.after(), event));
    }

    pub(super) fn tell_closed(&mut self) {
        self.emit_now(SessionEvent::Closed);
    }

    /// The connection is over, and the server is told why.
    pub(super) fn fail(&mut self, error: &DecodeError) -> SessionError {
        let reason = DisconnectReason::from_u8(error.reason().code())
            .filter(|reason| reason.from_client())
            .unwrap_or(DisconnectReason::ProtocolError);
        let told = matches!(self.phase, Phase::Connected | Phase::Connecting { .. });
        self.phase = Phase::Done;
        self.connection.disconnect =
            (told && self.config.version == Version::V5).then(|| (Disconnect::new(reason), false));
        SessionError::Protocol {
            reason: error.reason(),
            text: error.text(),
        }
    }

    /// The connection is over.
    pub(super) fn end(&mut self, error: SessionError) -> SessionError {
        self.phase = Phase::Done;
        self.connection.disconnect = None;
        error
    }

    /// What is stored of the session as a whole.
    pub(super) fn store_meta(&mut self) {
        let serials = self.incoming.stored_serials();
        let client_id = self.assigned_client_id.as_ref();
        let resumable = self.resumable;
        self.durable.put(records::meta_key(), || {
            records::meta(resumable, serials, client_id)
        });
        self.meta_stored = true;
    }
}
