//! The message layer over streams (RFC 8323).

mod signal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jackfield_socket::driver::{Core, Peer, StreamCore};
use jackfield_socket::time::Instant;

use crate::codec::{Code, FrameHeader, Message, MessageId, OptionNumber, Token};

use super::layer::ReceptionKind;
use super::{
    Layer, LayerError, LayerEvent, Received, Reception, Reliability, SendError, TransmissionId,
};

use signal::Signal;

/// What a peer takes that has not said more: RFC 8323, section 5.3.1.
const BASE_MESSAGE_SIZE: usize = 1152;
/// How many bytes wait for the stream before no more is handed to it.
const TRANSMIT_SIZE: usize = 64 * 1024;
/// How many signals may wait for the stream: a peer that pings and does not read is given up.
const MAX_SIGNALS: usize = 256;
/// How many pings of the peer's wait for custody, and how many of ours for an answer; beyond it, its
/// are answered without custody, and ours refused.
const MAX_PINGS: usize = 16;
/// How many requests are known to be unanswered; beyond it, the oldest are taken for answered.
const MAX_OPEN: usize = 4096;
/// When a deadline is noticed so late, the program or the machine was asleep. Or it is a page in the
/// background, whose timers run once a minute: it is always late, so that this excuses once.
const LATE: Duration = Duration::from_secs(1);
/// How much of a diagnostic payload is kept, in bytes.
const MAX_DIAGNOSTIC: usize = 512;

/// How a [`StreamLayer`] works, and how much it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamConfig {
    /// How many bytes a message may have that is received, 1152 at the least. Default: 256 KiB.
    pub max_message_size: u32,
    /// How long the peer may take to say what it can do. Default: 30 s.
    pub settings_timeout: Duration,
    /// After how much silence the peer is asked for a sign of life (Ping; RFC 8323, section 5.4):
    /// otherwise, one that has vanished is noticed by nothing but writing to it. `None`: it is never
    /// asked. Default: 60 s.
    pub ping_interval: Option<Duration>,
    /// How long that sign may take: whatever is received is one. Then the connection ends with
    /// [`LayerError::PingTimedOut`]. Default: 20 s.
    pub ping_timeout: Duration,
    /// How many messages wait for the stream; more are refused. Default: 64.
    pub queue_capacity: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max_message_size: 256 * 1024,
            settings_timeout: Duration::from_secs(30),
            ping_interval: Some(Duration::from_mins(1)),
            ping_timeout: Duration::from_secs(20),
            queue_capacity: 64,
        }
    }
}

/// The message layer over a stream: TCP, TLS, or WebSocket messages that
/// [`CoapWebSockets`](crate::client) made frames of.
///
/// It is one connection, at either end. The one peer is [`Peer::Connected`]. The stream repeats
/// what is lost; what remains to be done are the signals: it says first what it takes (CSM), keeps
/// to what the peer takes, answers pings, and when the peer breaks the protocol, it says why
/// (Abort).
#[derive(Debug)]
pub struct StreamLayer {
    config: StreamConfig,
    last_id: u64,
    /// When the peer must have said what it can do; `None` as soon as it has.
    settings_due: Option<Instant>,
    keep_alive: KeepAlive,
    peer_message_size: usize,
    peer_block_wise: bool,
    /// The beginning of a message whose end has not arrived.
    partial: Vec<u8>,
    out: VecDeque<Outgoing>,
    signals_waiting: usize,
    /// Our pings that are not answered.
    pings: VecDeque<(Token, u64)>,
    /// Pings of the peer's that are answered when all is that came before them.
    custody: VecDeque<(Message, u64)>,
    /// Requests that are not answered.
    open: BTreeSet<u64>,
    events: VecDeque<LayerEvent>,
    /// The peer wants no new requests.
    released: bool,
    closing: bool,
}

/// Whether the peer is still there.
#[derive(Debug)]
struct KeepAlive {
    /// The last sign of life, or since when there could be one.
    heard: Instant,
    /// When it was asked, where it has said nothing since.
    asked: Option<Instant>,
    /// It was asked anew after a sleep, and has said nothing since.
    is_anew: bool,
    /// Whether what it sends is read: else its silence means nothing. It is asked all the same, since
    /// only who writes learns that it has gone.
    reads: bool,
}

impl KeepAlive {
    fn new(now: Instant) -> Self {
        Self {
            heard: now,
            asked: None,
            is_anew: false,
            reads: true,
        }
    }

    fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
        self.is_anew = false;
    }

    /// When the peer is asked, or is to have said something.
    fn deadline(&self, config: &StreamConfig) -> Option<Instant> {
        let interval = config.ping_interval?.max(Duration::from_millis(1));
        let timeout = config.ping_timeout.max(Duration::from_millis(1));
        Some(match self.asked {
            None => self.heard + interval,
            Some(asked) if self.reads => asked + timeout,
            Some(asked) => asked + interval,
        })
    }
}

#[derive(Debug)]
enum Outgoing {
    Signal(Message),
    Message(u64, Message),
}

impl StreamLayer {
    /// A layer for a connection that has just been made. It says at once what it takes.
    pub fn new(now: Instant, mut config: StreamConfig) -> Self {
        config.max_message_size = config.max_message_size.max(BASE_MESSAGE_SIZE as u32);
        let settings = signal::csm(config.max_message_size);
        Self {
            last_id: 0,
            settings_due: Some(now + config.settings_timeout),
            keep_alive: KeepAlive::new(now),
            config,
            peer_message_size: BASE_MESSAGE_SIZE,
            peer_block_wise: false,
            partial: Vec::new(),
            out: VecDeque::from([Outgoing::Signal(settings)]),
            signals_waiting: 1,
            pings: VecDeque::new(),
            custody: VecDeque::new(),
            open: BTreeSet::new(),
            events: VecDeque::new(),
            released: false,
            closing: false,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn enqueue(&mut self, message: Message) -> Result<TransmissionId, SendError> {
        if self.closing {
            return Err(SendError::Closing);
        }
        let length = message.frame_len();
        let limit = self.peer_message_size;
        if length > limit {
            return Err(SendError::TooLarge { length, limit });
        }
        if self.out.len() - self.signals_waiting >= self.config.queue_capacity {
            return Err(SendError::QueueFull(self.config.queue_capacity));
        }
        let id = self.next_id();
        self.out.push_back(Outgoing::Message(id, message));
        Ok(TransmissionId(id))
    }

    fn keep_alive_due(&self) -> Option<Instant> {
        let due = self.keep_alive.deadline(&self.config);
        due.filter(|_| !self.closing)
    }

    fn signal(&mut self, message: Message) -> Result<(), LayerError> {
        if self.signals_waiting >= MAX_SIGNALS {
            return Err(LayerError::Stalled);
        }
        self.signals_waiting += 1;
        self.out.push_back(Outgoing::Signal(message));
        Ok(())
    }

    /// Gives up, and says why.
    fn abort(&mut self, error: LayerError) -> LayerError {
        let bad_option = match &error {
            LayerError::BadSettings(number) => Some(*number),
            // The peer has said its last word, or is not listening.
            LayerError::Aborted { .. } | LayerError::Truncated | LayerError::Stalled => {
                return error;
            }
            _ => None,
        };
        self.signals_waiting += 1;
        let abort = signal::abort(&error.to_string(), bad_option);
        self.out.push_back(Outgoing::Signal(abort));
        error
    }

    /// Takes the messages that are complete; says how many bytes they had.
    fn take_messages(&mut self, bytes: &[u8]) -> Result<usize, LayerError> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..)
            && let Some(header) = FrameHeader::decode(rest)
        {
            let (length, limit) = (header.frame_len(), self.config.max_message_size as usize);
            if length > limit as u64 {
                return Err(LayerError::TooLarge { length, limit });
            }
            let Some(frame) = rest.get(..length as usize) else {
                break;
            };
            taken += frame.len();
            let message = Message::from_frame(frame).map_err(LayerError::Malformed)?;
            self.take_message(message)?;
        }
        Ok(taken)
    }

    fn take_message(&mut self, message: Message) -> Result<(), LayerError> {
        let code = message.code();
        if code.is_empty() {
            return Ok(());
        }
        if self.settings_due.is_some() && !matches!(code, Code::CSM | Code::ABORT) {
            return Err(LayerError::NoSettings);
        }
        if code.is_signal() {
            return self.take_signal(&message);
        }
        let id = self.next_id();
        if code.is_request() {
            self.open.insert(id);
            if self.open.len() > MAX_OPEN {
                self.open.pop_first();
            }
        }
        let reception = Reception {
            id,
            from: Peer::Connected,
            message_id: MessageId(0),
            token: message.token(),
            kind: ReceptionKind::Stream,
        };
        self.events
            .push_back(LayerEvent::Received(Received { reception, message }));
        Ok(())
    }

    fn take_signal(&mut self, message: &Message) -> Result<(), LayerError> {
        let code = message.code();
        let bad = |number: OptionNumber| match code {
            Code::CSM => LayerError::BadSettings(number),
            _ => LayerError::BadSignal(code, number),
        };
        match Signal::decode(message).map_err(bad)? {
            Some(Signal::Csm {
                max_message_size,
                block_wise,
            }) => {
                if let Some(size) = max_message_size {
                    self.peer_message_size = size as usize;
                }
                self.peer_block_wise |= block_wise;
                if self.settings_due.take().is_some() {
                    self.events.push_back(LayerEvent::Ready);
                }
            }
            Some(Signal::Ping { custody }) => {
                if !custody || self.open.is_empty() {
                    self.signal(signal::pong(message, custody))?;
                } else if self.custody.len() < MAX_PINGS {
                    self.custody.push_back((message.clone(), self.last_id));
                } else {
                    self.signal(signal::pong(message, false))?;
                }
            }
            Some(Signal::Pong) => {
                // One without a token is for the ping that has waited longest: libcoap 4.3 sends no
                // others.
                let token = message.token();
                let is_for = |(other, _): &(Token, u64)| *other == token || token.is_empty();
                if let Some(at) = self.pings.iter().position(is_for)
                    && let Some((_, id)) = self.pings.remove(at)
                {
                    self.events
                        .push_back(LayerEvent::Acknowledged(TransmissionId(id)));
                }
            }
            Some(Signal::Release {
                alternatives,
                hold_off,
            }) => {
                self.released = true;
                self.events.push_back(LayerEvent::Released {
                    alternatives,
                    hold_off,
                });
            }
            Some(Signal::Abort { bad_option }) => {
                let payload = &message.payload[..];
                let payload = payload.get(..MAX_DIAGNOSTIC).unwrap_or(payload);
                return Err(LayerError::Aborted {
                    diagnostic: String::from_utf8_lossy(payload).into_owned(),
                    bad_option,
                });
            }
            None => {}
        }
        Ok(())
    }

    /// A request has been answered: pings that waited for it may be.
    fn answered(&mut self, id: u64) {
        self.open.remove(&id);
        let oldest = self.open.first().copied().unwrap_or(u64::MAX);
        while let Some((ping, _)) = self.custody.pop_front_if(|(_, last)| *last < oldest) {
            // There are few, so that they don't count as a peer that does not read.
            self.signals_waiting += 1;
            self.out
                .push_back(Outgoing::Signal(signal::pong(&ping, true)));
        }
    }
}

impl Core for StreamLayer {
    type Event = LayerEvent;
    type Error = LayerError;

    fn poll_event(&mut self) -> Option<LayerEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.settings_due.or_else(|| self.keep_alive_due())
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), LayerError> {
        if self.settings_due.is_some_and(|due| due <= now) {
            self.settings_due = None;
            return Err(self.abort(LayerError::SettingsTimedOut));
        }
        if self.settings_due.is_none()
            && let Some(due) = self.keep_alive_due().filter(|due| *due <= now)
        {
            let is_asked = self.keep_alive.asked.is_some() && self.keep_alive.reads;
            // Where nobody looked for a while, the answer may have come, and just not been read.
            if is_asked && (self.keep_alive.is_anew || now - due <= LATE) {
                return Err(self.abort(LayerError::PingTimedOut));
            }
            self.keep_alive.is_anew = is_asked;
            self.keep_alive.asked = Some(now);
            let mut ping = Message::new(Code::PING);
            // No answer is looked for by it, but it is no other ping's.
            ping.set_token(Token::from(self.next_id().to_be_bytes()));
            return self.signal(ping);
        }
        Ok(())
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        self.keep_alive.reads = reading;
        if reading {
            // What was sent meanwhile has its time to be read from here on.
            self.keep_alive.heard(now);
        }
    }

    fn is_finished(&self) -> bool {
        self.closing && self.out.is_empty()
    }
}

impl Layer for StreamLayer {
    const IS_RELIABLE: bool = true;

    fn send(
        &mut self,
        _now: Instant,
        _to: Peer,
        message: Message,
        _delivery: Reliability,
    ) -> Result<TransmissionId, SendError> {
        match message.code() {
            code if code.is_request() && self.released => Err(SendError::Closing),
            code if code.is_request() || code.is_response() => self.enqueue(message),
            code => Err(SendError::Code(code)),
        }
    }

    fn respond(
        &mut self,
        _now: Instant,
        to: &Reception,
        mut response: Message,
    ) -> Result<TransmissionId, SendError> {
        if !response.code().is_response() {
            return Err(SendError::Code(response.code()));
        }
        response.set_token(to.token);
        let id = self.enqueue(response)?;
        self.answered(to.id);
        Ok(id)
    }

    fn acknowledge(&mut self, _now: Instant, reception: &Reception) {
        self.answered(reception.id);
    }

    fn reject(&mut self, _now: Instant, reception: &Reception) {
        self.answered(reception.id);
    }

    fn cancel(&mut self, _now: Instant, transmission: TransmissionId) {
        let is_other =
            |out: &Outgoing| !matches!(out, Outgoing::Message(id, _) if *id == transmission.0);
        self.out.retain(is_other);
        self.pings.retain(|(_, id)| *id != transmission.0);
    }

    fn ping(&mut self, _now: Instant, _to: Peer) -> Result<TransmissionId, SendError> {
        if self.pings.len() >= MAX_PINGS {
            return Err(SendError::QueueFull(MAX_PINGS));
        }
        let id = self.last_id + 1;
        let mut ping = Message::new(Code::PING);
        ping.set_token(Token::from(id.to_be_bytes()));
        let id = self.enqueue(ping)?;
        self.pings
            .push_back((Token::from(id.0.to_be_bytes()), id.0));
        Ok(id)
    }

    fn close(&mut self, _now: Instant) {
        if !std::mem::replace(&mut self.closing, true) {
            self.signals_waiting += 1;
            self.out
                .push_back(Outgoing::Signal(Message::new(Code::RELEASE)));
        }
    }

    fn max_message_size(&self, _peer: Peer) -> usize {
        self.peer_message_size
    }

    fn allows_bert(&self, _peer: Peer) -> bool {
        // RFC 8323, section 6.
        self.peer_block_wise && self.peer_message_size > BASE_MESSAGE_SIZE
    }
}

impl StreamCore for StreamLayer {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), LayerError> {
        self.keep_alive.heard(now);
        let result = if self.partial.is_empty() {
            self.take_messages(bytes).map(|taken| {
                self.partial
                    .extend_from_slice(bytes.get(taken..).unwrap_or_default());
            })
        } else {
            let mut all = std::mem::take(&mut self.partial);
            all.extend_from_slice(bytes);
            self.take_messages(&all).map(|taken| {
                all.drain(..taken);
                self.partial = all;
            })
        };
        result.map_err(|error| self.abort(error))
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), LayerError> {
        if self.partial.is_empty() {
            Ok(())
        } else {
            Err(LayerError::Truncated)
        }
    }

    fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
        while out.len() < TRANSMIT_SIZE
            && let Some(outgoing) = self.out.pop_front()
        {
            match outgoing {
                Outgoing::Signal(message) => {
                    self.signals_waiting -= 1;
                    message.write_frame(out);
                }
                Outgoing::Message(id, message) => {
                    message.write_frame(out);
                    self.events.push_back(LayerEvent::Sent(TransmissionId(id)));
                }
            }
        }
    }
}
