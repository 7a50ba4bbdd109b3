//! The oracle of the message layer over streams: what it promises, whatever its peer sends.

use std::collections::BTreeMap;

use jackfield_socket::driver::{Core, Peer, StreamCore};
use jackfield_socket::time::Instant;

use crate::codec::{Code, FrameHeader, Message, OptionNumber, Token};
use crate::core::{
    Layer, LayerEvent, Reception, Reliability, StreamConfig, StreamLayer, TransmissionId,
};

/// Plays a script to a layer, and checks after each step that its promises hold: what it sends are
/// messages no longer than the peer takes, the first of them its settings; what it keeps of an
/// unfinished message is bounded; a transmission has one outcome; after a failure, an Abort at the
/// most is sent.
///
/// # Panics
/// When the layer breaks one of its promises.
pub fn stream(script: &[u8]) {
    let mut script = script.iter().copied();
    let mut play = Play::new();
    if script.next().unwrap_or(0) > 40 {
        // Most conversations get past the beginning.
        play.arrives(&settings(255));
        play.check();
    }
    while let Some(step) = script.next() {
        if play.over {
            break;
        }
        let mut byte = || script.next().unwrap_or(0);
        match step % 12 {
            0 => play.arrives(&settings(byte())),
            1..=3 => play.send(byte(), byte()),
            4 | 5 => {
                let code = Code::from_byte(byte());
                play.arrives(&message(code, byte(), usize::from(byte())));
            }
            6 => {
                let mut ping = message(Code::PING, byte(), 0);
                if byte().is_multiple_of(2) {
                    ping.options_mut().insert(OptionNumber(2), &[]);
                }
                play.arrives(&ping);
            }
            7 => {
                let length = usize::from(byte() % 64);
                let bytes: Vec<u8> = script.by_ref().take(length).collect();
                play.receive(&bytes);
            }
            8 | 9 => play.respond(byte()),
            10 => play.arrives(&message(Code::GET, byte(), 0)),
            _ => play.cancel(byte()),
        }
        play.check();
    }
    let _ = play.layer.receive_end(play.now);
    play.check();
}

struct Play {
    layer: StreamLayer,
    now: Instant,
    open: BTreeMap<TransmissionId, bool>,
    receptions: Vec<Reception>,
    /// The layer has failed.
    over: bool,
    sent_settings: bool,
    peer_takes: usize,
}

impl Play {
    fn new() -> Self {
        let now = Instant::now();
        let config = StreamConfig {
            max_message_size: 1200,
            queue_capacity: 4,
            ..StreamConfig::default()
        };
        Self {
            layer: StreamLayer::new(now, config),
            now,
            open: BTreeMap::new(),
            receptions: Vec::new(),
            over: false,
            sent_settings: false,
            peer_takes: 1152,
        }
    }

    fn arrives(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.write_frame(&mut bytes);
        self.receive(&bytes);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.over |= self.layer.receive(self.now, bytes).is_err();
    }

    fn send(&mut self, what: u8, token: u8) {
        let sent = if what.is_multiple_of(8) {
            self.layer.ping(self.now, Peer::Connected)
        } else {
            let message = message(Code::GET, token, usize::from(what) * 10);
            let reliability = Reliability::Confirmable;
            self.layer
                .send(self.now, Peer::Connected, message, reliability)
        };
        if let Ok(id) = sent {
            assert_eq!(self.open.insert(id, false), None, "an id was given twice");
        }
    }

    fn respond(&mut self, which: u8) {
        let count = self.receptions.len().max(1);
        let Some(reception) = self.receptions.get(usize::from(which) % count) else {
            return;
        };
        let response = message(Code::CONTENT, 0, which.into());
        if let Ok(id) = self.layer.respond(self.now, reception, response) {
            assert_eq!(self.open.insert(id, false), None, "an id was given twice");
        }
    }

    fn cancel(&mut self, which: u8) {
        let count = self.open.len().max(1);
        if let Some(id) = self.open.keys().nth(usize::from(which) % count).copied() {
            self.layer.cancel(self.now, id);
            self.open.remove(&id);
        } else if which == 255 {
            self.layer.close(self.now);
        }
    }

    fn check(&mut self) {
        // What the peer takes counts from when a message is handed over.
        self.peer_takes = self
            .peer_takes
            .max(self.layer.max_message_size(Peer::Connected));
        let mut bytes = Vec::new();
        self.layer.transmit(self.now, &mut bytes);
        let mut rest = &*bytes;
        while let Some(header) = FrameHeader::decode(rest) {
            let (frame, behind) = rest.split_at(header.frame_len() as usize);
            let message = Message::from_frame(frame).expect("what it sends are messages");
            if !std::mem::replace(&mut self.sent_settings, true) {
                assert_eq!(message.code(), Code::CSM, "its settings come first");
            }
            if !message.code().is_signal() {
                assert!(frame.len() <= self.peer_takes, "{} bytes", frame.len());
            }
            if self.over && behind.is_empty() {
                let code = message.code();
                assert!(code != Code::CSM || bytes.len() == frame.len(), "{code}");
            }
            rest = behind;
        }
        assert!(rest.is_empty(), "half a message");
        while let Some(event) = self.layer.poll_event() {
            self.event(event);
        }
    }

    fn event(&mut self, event: LayerEvent) {
        match event {
            LayerEvent::Received(received) => {
                let code = received.message.code();
                assert!(code.is_request() || code.is_response(), "{code}");
                self.receptions.push(received.reception);
                if self.receptions.len() > 64 {
                    self.receptions.remove(0);
                }
            }
            LayerEvent::Sent(id) => {
                if let Some(sent) = self.open.get_mut(&id) {
                    assert!(!std::mem::replace(sent, true), "it left twice");
                }
            }
            LayerEvent::Acknowledged(id) => {
                assert!(self.open.remove(&id).is_some(), "a second outcome");
            }
            LayerEvent::Failed(id, error) => panic!("{id:?} {error} on a stream"),
            LayerEvent::Ready | LayerEvent::Released { .. } => {}
        }
    }
}

fn settings(size: u8) -> Message {
    let mut message = Message::new(Code::CSM);
    let options = message.options_mut();
    options.insert(OptionNumber(2), &(u16::from(size) * 10).to_be_bytes());
    options.insert(OptionNumber(4), &[]);
    message
}

fn message(code: Code, token: u8, payload: usize) -> Message {
    let mut message = Message::new(code);
    message.set_token(Token::new(&[token]).unwrap_or_default());
    message.payload = vec![b'x'; payload].into();
    message
}
