//! The multiplexer: one end of many streams, listeners and UDP sockets over one WebSocket.
//!
//! The multiplexer pulls: [`Mux::transmit`] is called when the WebSocket can take a message, and
//! only then is it chosen which stream speaks. So what is queued for the peer stays in each
//! stream's own queue, a bulk transfer never stands in front of a keystroke, and everything has a
//! bound:
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | bytes received and not consumed, a stream | [`Config::window`] | the peer must wait; if it doesn't, the connection fails |
//! | bytes to send, a stream | [`Mux::SEND_QUEUE`], and never more than the peer's credit or this side's window | [`Mux::capacity`] is 0 |
//! | datagrams received, a socket | [`Config::datagram_window`] | the client waits, the relay drops |
//! | datagrams to send, a socket | the peer's credit, and this side's window | the client waits, the relay drops and counts |
//! | all of these at a relay, each way | [`Config::budget`], and [`Config::MIN_WINDOW`] a stream or [`Config::MIN_DATAGRAM_WINDOW`] a socket | later streams and sockets have smaller windows |
//! | connections not accepted, a listener | [`Config::accept_window`] | they wait in the relay's system |
//! | streams, listeners and sockets | [`Config::max_open`] | refused, one by one |
//! | tokens that were not answered | 1 | the client waits; a client that doesn't fails the connection |
//! | small frames waiting to be sent | twice `max_open` + 1024 | new local openings fail; a peer that causes more without reading fails the connection |

mod channel;
#[cfg(any(test, feature = "oracle"))]
mod check;
mod chunk;
mod deadline;
mod path;
mod recv;
mod send;
mod token;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_socket::sorted::SortedMap;
use jackfield_socket::time::Instant;
use jackfield_socket::{Endpoint, ListenOptions, TcpOptions, UdpOptions};

use self::channel::{AfterCut, Channel, Opening, Stream};
pub use self::chunk::Chunk;
use self::deadline::KeepAlive;
use self::path::Path;
use crate::auth::Token;
use crate::{Code, FairQueue, Frame, Id, Reason, Settings, UdpTarget};

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens streams, listeners and sockets.
    Client,
    /// Opens them on the network for the client.
    Relay,
}

/// Configuration of one end: what it may hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What `HELLO` says, [`Settings::max_open`] among it.
    pub settings: Settings,
    /// How many bytes a stream may receive before they are consumed, at the most.
    ///
    /// It begins with [`START_WINDOW`](Self::START_WINDOW), and has more where it is busy and the
    /// path to the peer is long: what 128 Mbit/s take. Default: 2 MiB, for round trips of 112 ms.
    pub window: u32,
    /// What a UDP socket may receive before it is consumed, as [`datagram_cost`](crate::datagram_cost)
    /// counts. Default: 256 KiB.
    pub datagram_window: u32,
    /// How many connections a listener of the client may hold that nobody has accepted. Default: 16.
    pub accept_window: u32,
    /// Relay: how many bytes all streams and sockets together may hold, each way.
    ///
    /// A new one has a window of a sixteenth of what is left of it, as far as that lies between the
    /// smallest window and that of above, and a stream that is busy can have as much on top. So each
    /// can always go on by itself, however many others stall. Default: 32 MiB.
    pub budget: u32,
}

impl Config {
    /// The window with which a stream begins, unless the largest is smaller.
    pub const START_WINDOW: u32 = 256 * 1024;
    /// The smallest window that the [`budget`](Self::budget) leaves a stream.
    pub const MIN_WINDOW: u32 = 32 * 1024;
    /// The smallest that it leaves a UDP socket; a datagram of any length fits.
    pub const MIN_DATAGRAM_WINDOW: u32 = 80 * 1024;
    /// One of so many parts is given to a new stream.
    const SHARES: u64 = 16;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            window: 2 * 1024 * 1024,
            datagram_window: 256 * 1024,
            accept_window: 16,
            budget: 32 * 1024 * 1024,
        }
    }
}

/// An event of the multiplexer: what has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer's `HELLO` is here: [`Mux::peer_settings`] has it.
    Hello,
    /// The peer takes nothing new, or is about to close the carrier.
    GoAway(Reason),
    /// Relay: the client asks for a TCP connection. Answer with [`Mux::accept`] or [`Mux::refuse`].
    Connect {
        /// The stream to be.
        id: Id,
        /// Where to.
        to: Endpoint,
        /// How.
        options: TcpOptions,
    },
    /// Relay: the client asks to listen. Answer as for a connection.
    Listen {
        /// The listener to be.
        id: Id,
        /// Where.
        at: SocketAddr,
        /// How.
        options: ListenOptions,
    },
    /// Relay: the client asks for a UDP socket. Answer as for a connection.
    Udp {
        /// The socket to be.
        id: Id,
        /// Connected or bound.
        target: UdpTarget,
        /// How.
        options: UdpOptions,
    },
    /// Relay: the client has asked for something, and was told no at once: as many are open as may be, or
    /// nothing new is taken.
    Declined {
        /// What it has asked for: [`Event::Connect`], [`Event::Listen`] or [`Event::Udp`].
        asked: Box<Event>,
        /// What it was told.
        reason: Reason,
    },
    /// Relay: the client has another token. Answer with [`Mux::take_token`] or [`Mux::refuse_token`].
    Token(Token),
    /// Client: the relay has taken the token, which is so long good.
    TokenLeft(Duration),
    /// Client: the relay has not taken the token. The last one is good as long as it was.
    TokenRefused(Reason),
    /// Client: what was asked for is open.
    Opened {
        /// The stream, listener or socket.
        id: Id,
        /// The relay's own address.
        local: Option<SocketAddr>,
        /// The address it is connected to.
        remote: Option<SocketAddr>,
    },
    /// Client: what was asked for can't be. Its identifier is forgotten.
    Refused {
        /// What was asked for.
        id: Id,
        /// Why.
        reason: Reason,
    },
    /// Client: a listener has taken a connection. Say [`Mux::accepted`] when the application has it.
    Inbound {
        /// The new stream.
        id: Id,
        /// The listener.
        listener: Id,
        /// The relay's own address.
        local: SocketAddr,
        /// Who connected.
        remote: SocketAddr,
    },
    /// There is something to read again, after [`Mux::read`] or [`Mux::receive_datagram`] had
    /// nothing.
    Readable(Id),
    /// There is room again, after [`Mux::capacity`], [`Mux::datagram_capacity`] or
    /// [`Mux::inbound_capacity`] was 0.
    Writable(Id),
    /// The peer has cut a stream, or closed a listener or socket, or cancelled an opening. Of the
    /// former, [`Mux::close`] forgets it; what was an opening is forgotten already.
    Reset {
        /// Which.
        id: Id,
        /// Why.
        reason: Reason,
    },
}

/// What a stream has to read.
///
/// Printed for debugging, it shows no payload.
#[derive(Clone, PartialEq, Eq)]
pub enum Read {
    /// The next bytes; [`Mux::consume`] takes them from the queue.
    Data(Bytes),
    /// Nothing yet; [`Event::Readable`] follows.
    Pending,
    /// The peer has ended its direction in order, and everything was consumed.
    End,
}

/// A datagram that came.
///
/// Printed for debugging, it shows no payload.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedDatagram {
    /// To the client: who sent it. To the relay: where to, on a bound socket.
    pub peer: Option<SocketAddr>,
    /// Whether only its beginning is here.
    pub truncated: bool,
    /// The bytes.
    pub data: Bytes,
}

/// One end of a connection.
///
/// Whoever drives it calls [`receive`](Self::receive) for each message that comes,
/// [`transmit`](Self::transmit) whenever a message can be sent, [`poll_event`](Self::poll_event)
/// after each of both, and [`handle_deadline`](Self::handle_deadline) in time. Once
/// [`closed`](Self::closed) says why the connection is over, what `transmit` still has is the last
/// word to the peer; then the carrier is closed.
#[derive(Debug)]
pub struct Mux {
    role: Role,
    config: Config,
    channels: SortedMap<Id, Channel>,
    /// The last identifier used on this side, as a number; 0 before the first.
    last_local: u32,
    /// The last identifier that the peer used.
    last_peer: u32,
    /// Small frames, in order, ahead of all data.
    control: VecDeque<Frame>,
    /// Who has credit to return.
    credits: VecDeque<Id>,
    /// Who has data to send: small messages first, and nobody starves.
    turns: FairQueue<Id>,
    events: VecDeque<Event>,
    keep_alive: KeepAlive,
    path: Path,
    peer_settings: Option<Settings>,
    going_away: Option<Reason>,
    come_back: Option<Instant>,
    /// Client: the token to be sent.
    token: Option<Token>,
    /// A token was sent, or came, that was not answered.
    token_asked: bool,
    closed: Option<Reason>,
}

impl Mux {
    /// How many bytes wait in a stream's queue to be sent, at the most.
    pub const SEND_QUEUE: usize = 2 * crate::MAX_DATA;
    /// For how long a relay can have a client stay away, at the most, whatever it says.
    pub const MAX_COME_BACK: Duration = Duration::from_mins(1);

    /// One end of a fresh connection; its `HELLO` is ready to be sent.
    pub fn new(role: Role, config: Config, now: Instant) -> Self {
        Self {
            role,
            control: VecDeque::from([Frame::Hello(config.settings)]),
            config,
            channels: SortedMap::new(),
            last_local: 0,
            last_peer: 0,
            credits: VecDeque::new(),
            turns: FairQueue::default(),
            events: VecDeque::new(),
            keep_alive: KeepAlive::new(now),
            path: Path::default(),
            peer_settings: None,
            going_away: None,
            come_back: None,
            token: None,
            token_asked: false,
            closed: None,
        }
    }

    // The carrier's side.

    /// The next message to send.
    pub fn transmit(&mut self) -> Option<BytesMut> {
        send::transmit(self)
    }

    /// Whether [`transmit`](Self::transmit) may have something; false is certain.
    pub fn wants_transmit(&self) -> bool {
        !self.control.is_empty()
            || self.token.is_some()
            || !self.credits.is_empty()
            || !self.turns.is_empty()
    }

    /// Takes a message from the peer. One that breaks the rules ends the connection: then
    /// [`closed`](Self::closed) says why. After the end, messages are ignored.
    pub fn receive(&mut self, now: Instant, message: Bytes) {
        if self.closed.is_some() {
            return;
        }
        self.keep_alive.heard(now);
        let handled = match Frame::decode(message) {
            Ok(frame) => recv::handle(self, frame, now),
            Err(error) => Err(Reason::new(Code::PROTOCOL_ERROR, &error.to_string())),
        };
        if let Err(reason) = handled {
            self.fail(&reason);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_deadline`](Self::handle_deadline) is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.closed.is_none().then(|| self.keep_alive.deadline())
    }

    /// Acts on a deadline that has come: asks a silent peer whether it lives, or gives it up. Called
    /// too early, it does nothing.
    pub fn handle_deadline(&mut self, now: Instant) {
        if self.closed.is_some() {
            return;
        }
        match self.keep_alive.handle(now) {
            deadline::Verdict::Wait => {}
            deadline::Verdict::Ask(bytes) => self.control.push_back(Frame::Ping(bytes)),
            deadline::Verdict::Dead => self.fail(&Reason::new(
                Code::SILENT,
                "the other end of the relay's connection has been silent for 75 s",
            )),
        }
    }

    /// Learns that the carrier has ended or failed. A relay that had said that it goes has said why.
    pub fn carrier_lost(&mut self, why: &str) {
        if self.closed.is_none() {
            let said = self.going_away.clone();
            let said = said.filter(|_| self.role == Role::Client);
            self.end(&said.unwrap_or_else(|| Reason::new(Code::CARRIER_LOST, why)));
        }
    }

    /// Ends the connection from this side; the peer is told why.
    pub fn shut_down(&mut self, reason: &Reason) {
        if self.closed.is_none() {
            self.fail(reason);
        }
    }

    /// Takes nothing new from now on; what is open lives on. A relay that is to be asked again only
    /// after some time says so.
    pub fn go_away(&mut self, text: &str, come_back: Duration) {
        if self.closed.is_none() && self.going_away.is_none() {
            if self.role == Role::Relay && !come_back.is_zero() {
                let after = come_back;
                self.control.push_back(Frame::ComeBack { after });
            }
            let reason = Reason::new(Code::GOING_AWAY, text);
            self.control.push_back(Frame::GoAway(reason.clone()));
            self.going_away = Some(reason);
        }
    }

    /// Why the connection is over, once it is.
    pub fn closed(&self) -> Option<&Reason> {
        self.closed.as_ref()
    }

    /// Whether one of both sides takes nothing new.
    pub fn is_going_away(&self) -> bool {
        self.going_away.is_some()
    }

    /// Client: before when the relay that goes wants nobody back, if it has said so.
    pub fn come_back(&self) -> Option<Instant> {
        self.come_back
    }

    /// What the peer said in its `HELLO`, once it is here.
    pub fn peer_settings(&self) -> Option<&Settings> {
        self.peer_settings.as_ref()
    }

    /// How many streams, listeners and sockets exist.
    pub fn open_count(&self) -> usize {
        self.channels.len()
    }

    /// How many bytes are held of what was received and not consumed, or is queued to be sent. It
    /// looks at each stream and socket.
    pub fn held(&self) -> u64 {
        self.channels.values().map(Channel::held).sum()
    }

    /// How many bytes of these are of one stream or socket; 0 where there is none.
    pub fn held_by(&self, id: Id) -> u64 {
        self.channels.get(&id).map_or(0, Channel::held)
    }

    // The client's side.

    /// Asks for a TCP connection. [`Event::Opened`] or [`Event::Refused`] answers.
    ///
    /// # Errors
    /// Where nothing new can be opened, and why.
    pub fn connect(&mut self, to: Endpoint, options: TcpOptions) -> Result<Id, Reason> {
        let id = self.new_id(Role::Client)?;
        let credit = self.config.start_window();
        self.channels
            .insert(id, Channel::Opening(Opening::Connect { credit: 0 }));
        self.control.push_back(Frame::Connect {
            id,
            credit,
            to,
            options,
        });
        Ok(id)
    }

    /// Asks to listen. [`Event::Opened`] or [`Event::Refused`] answers.
    ///
    /// # Errors
    /// Where nothing new can be opened, and why.
    pub fn listen(&mut self, at: SocketAddr, options: ListenOptions) -> Result<Id, Reason> {
        let id = self.new_id(Role::Client)?;
        let credit = self.config.accept_window;
        let stream_credit = self.config.start_window();
        self.channels.insert(
            id,
            Channel::Opening(Opening::Listen {
                credit: 0,
                stream_credit: 0,
            }),
        );
        self.control.push_back(Frame::Listen {
            id,
            credit,
            stream_credit,
            at,
            options,
        });
        Ok(id)
    }

    /// Asks for a UDP socket. [`Event::Opened`] or [`Event::Refused`] answers.
    ///
    /// # Errors
    /// Where nothing new can be opened, and why.
    pub fn open_udp(&mut self, target: UdpTarget, options: UdpOptions) -> Result<Id, Reason> {
        let groups = options.multicast.as_ref().map_or(0, |m| m.groups.len());
        if groups > usize::from(u8::MAX) {
            return Err(Reason::new(
                Code::LIMIT_EXCEEDED,
                "a socket can join 255 multicast groups through a relay",
            ));
        }
        let id = self.new_id(Role::Client)?;
        let credit = self.config.datagram_window;
        let bound = matches!(target, UdpTarget::Bound(_));
        self.channels
            .insert(id, Channel::Opening(Opening::Udp { credit: 0, bound }));
        self.control.push_back(Frame::Udp {
            id,
            credit,
            target,
            options,
        });
        Ok(id)
    }

    /// Says that the application has taken one connection of this listener, so that the relay may
    /// announce another.
    pub fn accepted(&mut self, listener: Id) {
        if let Some(Channel::Listener(state)) = self.channels.get_mut(&listener)
            && state.inbound.release(1)
        {
            self.credits.push_back(listener);
        }
    }

    /// Whether a listener still listens.
    ///
    /// # Errors
    /// Where the relay has closed it, and why.
    pub fn listening(&self, listener: Id) -> Result<(), Reason> {
        match self.channels.get(&listener) {
            Some(Channel::Listener(state)) if state.reset.is_none() => Ok(()),
            _ => Err(self.gone(listener)),
        }
    }

    // The relay's side.

    /// Answers a request: it is open, between these addresses.
    ///
    /// # Errors
    /// Where the client has cancelled it meanwhile, or the connection is over.
    pub fn accept(
        &mut self,
        id: Id,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
    ) -> Result<(), Reason> {
        let Some(Channel::Opening(opening)) = self.channels.get(&id) else {
            return Err(self.gone(id));
        };
        let (channel, credit) = opening.open_at_relay(&self.config, self.share());
        self.channels.insert(id, channel);
        self.control.push_back(Frame::Opened {
            id,
            credit,
            local,
            remote,
        });
        Ok(())
    }

    /// Answers a request: it can't be.
    pub fn refuse(&mut self, id: Id, reason: Reason) {
        if let Some(Channel::Opening(_)) = self.channels.get(&id) {
            self.forget(id);
            self.control.push_back(Frame::Refused { id, reason });
        }
    }

    /// How many connections a listener may announce now. When it is 0, [`Event::Writable`] follows.
    pub fn inbound_capacity(&mut self, listener: Id) -> u32 {
        match self.channels.get_mut(&listener) {
            Some(Channel::Listener(state)) => state.announce.ask(),
            _ => 0,
        }
    }

    /// Announces a connection that a listener has taken, and names its stream.
    ///
    /// # Errors
    /// Where the listener is closed or has no capacity, or nothing new can be opened, and why.
    pub fn inbound(
        &mut self,
        listener: Id,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Id, Reason> {
        let id = self.new_id(Role::Relay)?;
        let window = self.config.stream_window(self.share());
        let Some(Channel::Listener(state)) = self.channels.get_mut(&listener) else {
            return Err(self.gone(listener));
        };
        if !state.announce.take(1) {
            return Err(Reason::new(
                Code::LIMIT_EXCEEDED,
                "the client holds as many connections as it can accept",
            ));
        }
        let stream = Stream::new(state.stream_credit, window);
        self.last_local = id.get();
        self.channels.insert(id, Channel::Stream(stream));
        self.control.push_back(Frame::Inbound {
            id,
            listener,
            credit: window,
            local,
            remote,
        });
        Ok(id)
    }

    /// Says how many datagrams of a socket were dropped in all; the client is told.
    pub fn count_dropped(&mut self, id: Id, more: u64) {
        if let Some(Channel::Udp(udp)) = self.channels.get_mut(&id) {
            udp.count_dropped(more);
            if udp.has_work(self.role) {
                self.turns.wake(id);
            }
        }
    }

    /// Says that what the client sent on a connected socket found nobody. The client is told, once
    /// for all that happened since it was told last.
    pub fn tell_unreachable(&mut self, id: Id, reason: Reason) {
        if let Some(Channel::Udp(udp)) = self.channels.get_mut(&id)
            && udp.reset.is_none()
            && udp.orphan.is_none()
        {
            udp.unreachable = Some(reason);
            self.turns.wake(id);
        }
    }

    // Both sides: streams.

    /// How many bytes [`send`](Self::send) takes now: at most [`MAX_DATA`](crate::MAX_DATA). When it
    /// is 0, [`Event::Writable`] follows.
    ///
    /// # Errors
    /// Where the stream can't send any more, and why.
    pub fn capacity(&mut self, id: Id) -> Result<usize, Reason> {
        send::capacity(self, id)
    }

    /// Sends a chunk. A large one goes out in its own buffer.
    ///
    /// # Errors
    /// Where the stream can't send any more, and why.
    ///
    /// # Panics
    /// Where the chunk is longer than the [`capacity`](Self::capacity).
    pub fn send(&mut self, id: Id, chunk: Chunk) -> Result<(), Reason> {
        send::send(self, id, chunk)
    }

    /// Sends bytes, and says how many: at most the [`capacity`](Self::capacity).
    ///
    /// # Errors
    /// Where the stream can't send any more, and why.
    pub fn write(&mut self, id: Id, data: &[u8]) -> Result<usize, Reason> {
        send::write(self, id, data)
    }

    /// Ends this side's direction, behind everything that was sent.
    ///
    /// # Errors
    /// Where the stream was cut, and why.
    pub fn finish(&mut self, id: Id) -> Result<(), Reason> {
        send::finish(self, id)
    }

    /// Whether all that was sent, the end included, has been given to the carrier. When it is
    /// false, [`Event::Writable`] follows.
    ///
    /// # Errors
    /// Where the stream was cut, and why.
    pub fn flushed(&mut self, id: Id) -> Result<bool, Reason> {
        send::flushed(self, id)
    }

    /// What there is to read. It stays in the queue, and counts, until it is consumed.
    ///
    /// # Errors
    /// Where the stream was cut, and why.
    pub fn read(&mut self, id: Id) -> Result<Read, Reason> {
        recv::read(self, id)
    }

    /// Takes what was read from the queue, and gives the peer credit for it.
    pub fn consume(&mut self, id: Id, count: usize) {
        recv::consume(self, id, count);
    }

    /// Cuts a stream, or closes a listener or socket, with this reason, and forgets it. What waits to
    /// be sent is discarded, unless the stream was finished.
    pub fn reset(&mut self, id: Id, reason: &Reason) {
        send::close(self, id, reason);
    }

    /// Forgets a stream, listener or socket that nobody uses any more. A stream that was finished
    /// still sends what waits; any other is cut.
    pub fn close(&mut self, id: Id) {
        send::close(self, id, &Reason::new(Code::CANCELLED, ""));
    }

    // Both sides: datagrams.

    /// Whether a datagram of this length can be sent now. When it is false, [`Event::Writable`]
    /// follows.
    ///
    /// # Errors
    /// Where the socket is closed, and why.
    pub fn datagram_capacity(&mut self, id: Id, len: usize) -> Result<bool, Reason> {
        send::datagram_capacity(self, id, len)
    }

    /// Sends a datagram, and says whether there was credit for it. Where there was none it is
    /// dropped: the relay counts it, so that the client learns.
    ///
    /// # Errors
    /// Where the socket is closed, or the datagram beyond [`MAX_DATAGRAM`](crate::MAX_DATAGRAM).
    pub fn send_datagram(
        &mut self,
        id: Id,
        peer: Option<SocketAddr>,
        data: &[u8],
        truncated: bool,
    ) -> Result<bool, Reason> {
        send::datagram(self, id, peer, data, truncated)
    }

    /// The next datagram; without one, [`Event::Readable`] follows.
    ///
    /// # Errors
    /// Where the socket is closed, and why.
    pub fn receive_datagram(&mut self, id: Id) -> Result<Option<ReceivedDatagram>, Reason> {
        recv::datagram(self, id)
    }

    /// Client: why what was sent on a connected socket found nobody, once for each time that the
    /// relay says so. [`Event::Readable`] tells of it as of a datagram.
    pub fn take_unreachable(&mut self, id: Id) -> Option<Reason> {
        match self.channels.get_mut(&id) {
            Some(Channel::Udp(udp)) => udp.unreachable.take(),
            _ => None,
        }
    }

    /// How many datagrams of a socket the relay has dropped, as far as it has said.
    pub fn dropped(&self, id: Id) -> u64 {
        match self.channels.get(&id) {
            Some(Channel::Udp(udp)) => udp.dropped,
            _ => 0,
        }
    }

    // Helpers.

    /// The next identifier of this side.
    fn new_id(&mut self, role: Role) -> Result<Id, Reason> {
        assert_eq!(role, self.role, "this end opens nothing of that kind");
        if let Some(reason) = self.closed.as_ref().or(self.going_away.as_ref()) {
            return Err(reason.clone());
        }
        let limit = self.peer_settings.map_or(u32::MAX, |peer| peer.max_open);
        let limit = limit.min(self.config.settings.max_open) as usize;
        if self.channels.len() >= limit {
            return Err(Reason::new(
                Code::LIMIT_EXCEEDED,
                &format!("{limit} streams, listeners and sockets are open, which is the limit"),
            ));
        }
        if self.control.len() >= self.max_control() {
            return Err(Reason::new(
                Code::LIMIT_EXCEEDED,
                "too many requests wait to be sent to the other end of the relay's connection",
            ));
        }
        let number = match (self.last_local, role) {
            (0, Role::Client) => Some(1),
            (0, Role::Relay) => Some(2),
            (last, _) => last.checked_add(2),
        };
        let id = number.and_then(Id::new).ok_or_else(|| {
            Reason::new(
                Code::LIMIT_EXCEEDED,
                "the relay's connection has used all its identifiers",
            )
        })?;
        if role == Role::Client {
            self.last_local = id.get();
        }
        Ok(id)
    }

    /// What the budget has for one more stream or socket.
    fn share(&self) -> u32 {
        let windows = self.channels.values().map(|channel| match channel {
            Channel::Stream(stream) => u64::from(stream.grant.window()),
            Channel::Udp(udp) => u64::from(udp.grant.window()),
            Channel::Opening(_) | Channel::Listener(_) => 0,
        });
        let left = u64::from(self.config.budget).saturating_sub(windows.sum());
        // Less than the budget, which fits.
        (left / Config::SHARES) as u32
    }

    /// Takes a channel away, and out of the queues that it may stand in: they would grow with every
    /// opening and closing otherwise, while the peer doesn't read.
    fn forget(&mut self, id: Id) {
        if self.channels.remove(&id).is_some() {
            self.credits.retain(|waiting| *waiting != id);
            self.turns.remove(id);
        }
    }

    fn max_control(&self) -> usize {
        (self.config.settings.max_open as usize)
            .saturating_mul(2)
            .saturating_add(1024)
    }

    /// Whether this identifier has ever been used, by the side whose it is.
    fn was_used(&self, id: Id) -> bool {
        let ours = id.is_clients() == (self.role == Role::Client);
        id.get()
            <= if ours {
                self.last_local
            } else {
                self.last_peer
            }
    }

    /// What to say of something that isn't there.
    fn gone(&self, id: Id) -> Reason {
        match (&self.closed, self.channels.get(&id)) {
            (Some(reason), _) => reason.clone(),
            (None, Some(channel)) => channel.reset().cloned().unwrap_or_else(|| {
                Reason::new(Code::INVALID, "this is not open yet, or no such thing")
            }),
            (None, None) => Reason::new(Code::CLOSED, "it is closed"),
        }
    }

    /// Ends the connection and tells the peer.
    fn fail(&mut self, reason: &Reason) {
        self.end(reason);
        self.control.push_back(Frame::GoAway(reason.clone()));
    }

    /// Ends the connection: everything that is open is cut.
    fn end(&mut self, reason: &Reason) {
        self.closed = Some(reason.clone());
        (self.token, self.token_asked) = (None, false);
        self.control.clear();
        self.credits.clear();
        self.turns.clear();
        let events = &mut self.events;
        self.channels.retain(|id, channel| {
            let after = channel.cut(reason);
            if matches!(after, AfterCut::Tell | AfterCut::TellAndForget) {
                let reason = reason.clone();
                events.push_back(Event::Reset { id: *id, reason });
            }
            matches!(after, AfterCut::Tell | AfterCut::Nothing)
        });
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Pending => f.write_str("Pending"),
            Self::End => f.write_str("End"),
        }
    }
}

impl fmt::Debug for ReceivedDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedDatagram")
            .field("peer", &self.peer)
            .field("truncated", &self.truncated)
            .field("len", &self.data.len())
            .finish()
    }
}
