//! The oracle of the message layer over datagrams: what it promises, whatever its peers send.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jackfield_socket::driver::{Core, DatagramCore, Peer};
use jackfield_socket::time::Instant;

use crate::codec::{Code, Datagram, Message, MessageId, MessageType, Token};
use crate::core::{
    DatagramConfig, DatagramLayer, Layer, LayerEvent, Limits, Reception, Reliability,
    TransmissionId,
};

/// How many received messages the layer remembers here.
const MAX_REMEMBERED: usize = 16;

/// Plays a script to a layer, and checks after each step that its promises hold: what it sends are
/// messages, repeated no more often than allowed and the same each time; a message is told once;
/// a transmission has one outcome; deadlines move on; what is kept is bounded.
///
/// Each step is an instruction of one byte and what it takes; the first byte of all chooses the
/// configuration.
///
/// # Panics
/// When the layer breaks one of its promises.
pub fn datagram(script: &[u8]) {
    let mut script = script.iter().copied();
    let mut play = Play::new(script.next().unwrap_or(0));
    while let Some(step) = script.next() {
        let mut byte = || script.next().unwrap_or(0);
        match step % 16 {
            0..=2 => play.send(byte(), byte()),
            // What the layer sent is answered.
            3..=5 => play.answer(byte(), byte()),
            // A message of a peer's own.
            6..=8 => play.arrives(byte(), byte(), byte()),
            9 => {
                let length = usize::from(byte() % 32);
                let bytes: Vec<u8> = script.by_ref().take(length).collect();
                play.receive(Peer::Connected, &bytes);
            }
            10 => play.respond(byte()),
            11 => play.acknowledge(byte()),
            12 => play.cancel(byte()),
            13 => play.lose(byte()),
            _ => play.pass(byte()),
        }
        play.check();
    }
    play.finish();
}

const PEERS: u8 = 3;

struct Play {
    layer: DatagramLayer,
    config: DatagramConfig,
    now: Instant,
    /// Without an outcome, and whether they have left.
    open: BTreeMap<TransmissionId, bool>,
    /// Of each confirmable id in use: the message, how often it was sent, and when first.
    sent: BTreeMap<(Peer, MessageId), (Vec<u8>, u32, Instant)>,
    receptions: Vec<Reception>,
    /// What was told within its lifetime.
    told: BTreeMap<(Peer, MessageId), Instant>,
    closed: bool,
}

impl Play {
    fn new(choice: u8) -> Self {
        let mut config = DatagramConfig::default();
        config.transmission.nstart = 1 + usize::from(choice % 3);
        config.transmission.probing_rate = 1 + u32::from(choice / 3 % 3) * 100;
        config.transmission.max_retransmit = u32::from(choice / 9 % 5);
        config.leisure = (choice >= 128).then_some(Duration::from_secs(5));
        config.queue_capacity = 4;
        config.max_message_size = 64;
        let limits = Limits {
            max_peers: 2,
            max_remembered_messages: MAX_REMEMBERED,
            max_remembered_bytes: 256,
            ..Limits::default()
        };
        Self {
            layer: DatagramLayer::new(config.clone(), limits, choice.into()),
            config,
            now: Instant::now(),
            open: BTreeMap::new(),
            sent: BTreeMap::new(),
            receptions: Vec::new(),
            told: BTreeMap::new(),
            closed: false,
        }
    }

    fn send(&mut self, what: u8, token: u8) {
        let to = peer(what);
        let reliability = if what & 0x10 == 0 {
            Reliability::Confirmable
        } else {
            Reliability::NonConfirmable
        };
        let sent = match what >> 5 {
            0 => self.layer.ping(self.now, to),
            1 => {
                let message = message(Code::CONTENT, token, 3);
                self.layer.send(self.now, to, message, reliability)
            }
            kind => {
                let message = message(Code::GET, token, usize::from(kind) * 15);
                self.layer.send(self.now, to, message, reliability)
            }
        };
        if let Ok(id) = sent {
            assert!(!self.closed, "a closed layer took a message");
            assert_eq!(self.open.insert(id, false), None, "an id was given twice");
        }
    }

    fn answer(&mut self, which: u8, how: u8) {
        let count = self.sent.len().max(1);
        let Some(((from, id), (bytes, ..))) = self.sent.iter().nth(usize::from(which) % count)
        else {
            return;
        };
        let Ok(sent) = Datagram::decode(bytes) else {
            return;
        };
        let (from, id) = (*from, *id);
        let token = sent.message.token().as_bytes().first().copied();
        let token = token.unwrap_or(0).wrapping_add(how >> 7);
        let datagram = match how % 6 {
            0 | 1 => Datagram::empty(MessageType::Acknowledgement, id),
            2 => Datagram::empty(MessageType::Reset, id),
            3 => Datagram::new(
                MessageType::Acknowledgement,
                id,
                message(Code::CONTENT, token, 2),
            ),
            4 => Datagram::new(
                MessageType::Confirmable,
                MessageId(how.into()),
                message(Code::CONTENT, token, 2),
            ),
            _ => Datagram::new(
                MessageType::NonConfirmable,
                MessageId(how.into()),
                message(Code::CONTENT, token, 2),
            ),
        };
        self.receive(from, &datagram.to_bytes());
    }

    fn arrives(&mut self, from: u8, id: u8, what: u8) {
        let message_type = match what % 2 {
            0 => MessageType::Confirmable,
            _ => MessageType::NonConfirmable,
        };
        let code = if what & 2 == 0 {
            Code::GET
        } else {
            Code::CONTENT
        };
        let message = message(code, what >> 4, 1);
        let datagram = Datagram::new(message_type, MessageId(id.into()), message);
        self.receive(peer(from), &datagram.to_bytes());
    }

    fn receive(&mut self, from: Peer, bytes: &[u8]) {
        let result = self.layer.receive(self.now, from, bytes);
        result.expect("nothing that arrives ends the layer");
        let header = Datagram::decode(bytes).map(|datagram| (datagram.message_type, datagram.id));
        let (mut told, mut others) = (0, 0);
        while let Some(event) = self.layer.poll_event() {
            let LayerEvent::Received(received) = event else {
                others += 1;
                self.event(&event);
                continue;
            };
            told += 1;
            let reception = received.reception;
            let (message_type, id) = header.expect("what is malformed is not told");
            assert_eq!(reception.from(), from);
            if message_type != MessageType::Acknowledgement {
                let lifetime = match message_type {
                    MessageType::Confirmable => self.config.transmission.exchange_lifetime(),
                    _ => self.config.transmission.non_lifetime(),
                };
                // Only the oldest are forgotten, and only when there are too many.
                let before = self.told.insert((from, id), self.now + lifetime);
                let is_duplicate = before.is_some_and(|until| until > self.now);
                let remembered = self.told.values().filter(|until| **until > self.now);
                let may_be_forgotten = remembered.count() + 1 >= MAX_REMEMBERED;
                // Answers of more than 256 bytes in all may push out a few more.
                assert!(
                    !is_duplicate || may_be_forgotten || self.receptions.len() > 4,
                    "{id:?} was told twice"
                );
            }
            self.receptions.push(reception);
        }
        assert!(told <= 1 && others <= 2, "{told} messages of one datagram");
        if self.receptions.len() > 64 {
            self.receptions.remove(0);
        }
    }

    fn respond(&mut self, which: u8) {
        let count = self.receptions.len().max(1);
        let Some(reception) = self.receptions.get(usize::from(which) % count) else {
            return;
        };
        let response = message(Code::CONTENT, 0, usize::from(which % 70));
        if let Ok(id) = self.layer.respond(self.now, reception, response) {
            assert_eq!(self.open.insert(id, false), None, "an id was given twice");
        }
    }

    fn acknowledge(&mut self, which: u8) {
        let count = self.receptions.len().max(1);
        if let Some(reception) = self.receptions.get(usize::from(which / 2) % count) {
            if which.is_multiple_of(2) {
                self.layer.acknowledge(self.now, reception);
            } else {
                self.layer.reject(self.now, reception);
            }
        }
    }

    fn cancel(&mut self, which: u8) {
        let count = self.open.len().max(1);
        if let Some(id) = self.open.keys().nth(usize::from(which) % count).copied() {
            self.layer.cancel(self.now, id);
            self.open.remove(&id);
            if which > 250 {
                self.layer.close(self.now);
                self.closed = true;
            }
        }
    }

    /// The socket refuses what is to be sent next.
    fn lose(&mut self, how: u8) {
        let mut bytes = Vec::new();
        if let Some(to) = self.layer.transmit(self.now, &mut bytes) {
            self.was_sent(to, &bytes);
            let kind = match how % 2 {
                0 => std::io::ErrorKind::InvalidInput,
                _ => std::io::ErrorKind::NetworkUnreachable,
            };
            self.layer.send_failed(self.now, to, &kind.into());
        }
    }

    fn pass(&mut self, how: u8) {
        let Some(deadline) = self.layer.deadline() else {
            self.now += Duration::from_secs(how.into());
            return;
        };
        self.now = self.now.max(deadline);
        let result = self.layer.handle_deadline(self.now);
        result.expect("time does not end the layer");
        let next = self.layer.deadline();
        assert!(next.is_none_or(|next| next > self.now), "a deadline stays");
    }

    fn was_sent(&mut self, to: Peer, bytes: &[u8]) {
        assert!(bytes.len() <= self.config.max_message_size.max(4));
        let datagram = Datagram::decode(bytes).expect("what it sends are messages");
        if datagram.message_type != MessageType::Confirmable {
            return;
        }
        let parameters = &self.config.transmission;
        let key = (to, datagram.id);
        let entry = self.sent.entry(key);
        let (first, count, since) = entry.or_insert_with(|| (bytes.to_vec(), 0, self.now));
        if self.now - *since > parameters.exchange_lifetime() {
            (*first, *count, *since) = (bytes.to_vec(), 0, self.now);
        }
        assert_eq!(first, bytes, "an id means two messages");
        *count += 1;
        assert!(
            *count <= 1 + parameters.max_retransmit,
            "sent {count} times"
        );
    }

    fn event(&mut self, event: &LayerEvent) {
        match event {
            LayerEvent::Sent(id) => {
                // Of one that was cancelled, nothing is told.
                let sent = self.open.get_mut(id).expect("it is open");
                assert!(!std::mem::replace(sent, true), "it left twice");
            }
            LayerEvent::Acknowledged(id) | LayerEvent::Failed(id, _) => {
                assert!(self.open.remove(id).is_some(), "a second outcome");
            }
            other => panic!("{other:?} comes of nothing"),
        }
    }

    fn check(&mut self) {
        let mut bytes = Vec::new();
        let mut count = 0;
        while let Some(to) = self.layer.transmit(self.now, &mut bytes) {
            self.was_sent(to, &bytes);
            bytes.clear();
            count += 1;
        }
        assert!(count <= 64, "{count} datagrams at once");
        while let Some(event) = self.layer.poll_event() {
            self.event(&event);
        }
        let waiting: BTreeSet<_> = self.open.iter().filter(|(_, sent)| !**sent).collect();
        // Each peer's queue, and responses that take their leisure.
        assert!(waiting.len() <= 2 * 4 + 1024, "{} wait", waiting.len());
    }

    /// Everything comes to an end.
    fn finish(mut self) {
        self.layer.close(self.now);
        for _ in 0..10_000 {
            self.check();
            if self.layer.deadline().is_none() {
                break;
            }
            self.pass(0);
        }
        assert!(self.layer.is_finished(), "it does not end");
    }
}

fn peer(number: u8) -> Peer {
    match number % PEERS {
        0 => Peer::Connected,
        1 => Peer::Address(([192, 0, 2, 1], 5683).into()),
        _ => Peer::Address(([224, 0, 1, 187], 5683).into()),
    }
}

fn message(code: Code, token: u8, payload: usize) -> Message {
    let mut message = Message::new(code);
    message.set_token(Token::new(&[token]).unwrap_or_default());
    message.payload = vec![b'x'; payload].into();
    message
}
