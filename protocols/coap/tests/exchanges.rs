//! The conversations of `tests/vectors/coap/exchanges`, played to the message layers with time in
//! the test's hand. The README there explains the format.

mod text;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jackfield_coap::codec::{Datagram, FrameHeader, Message, MessageId, MessageType};
use jackfield_coap::core::{
    DatagramConfig, DatagramLayer, Delivery, LayerError, LayerEvent, MessageLayer, Reception,
    StreamConfig, StreamLayer, TransmissionId,
};
use jackfield_socket::driver::{DatagramCore, Peer, StreamCore};
use jackfield_socket::time::Instant;

use text::{datagram, hex, message, message_type, words};

const PEER: Peer = Peer::Connected;

#[test]
fn every_conversation_holds() {
    let mut count = 0;
    for entry in std::fs::read_dir(text::vectors().join("exchanges")).expect("the exchanges") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let name = path.file_name().expect("a name").to_string_lossy();
        Player::play(&name, &text);
        count += 1;
    }
    assert!(count > 8, "only {count} conversations were found");
}

enum Layer {
    Datagram(Box<DatagramLayer>),
    Stream(Box<StreamLayer>),
}

/// What a layer sends.
#[derive(Debug, PartialEq)]
enum Sent {
    Datagram(Datagram),
    Message(Message),
}

struct Player {
    at: String,
    now: Instant,
    layer: Layer,
    names: BTreeMap<TransmissionId, String>,
    /// The ids in the file, and those that the layer chose.
    chosen: BTreeMap<MessageId, MessageId>,
    sent: VecDeque<Sent>,
    told: VecDeque<LayerEvent>,
    failed: Option<LayerError>,
    last: Option<Reception>,
    last_request: Option<Reception>,
}

impl Player {
    fn play(name: &str, text: &str) {
        let now = Instant::now();
        let layer = if text.lines().any(|line| line == "stream") {
            let layer = StreamLayer::new(now, StreamConfig::default());
            Layer::Stream(Box::new(layer))
        } else {
            let layer = DatagramLayer::new(DatagramConfig::default(), 7);
            Layer::Datagram(Box::new(layer))
        };
        let mut player = Self {
            at: name.into(),
            now,
            layer,
            names: BTreeMap::new(),
            chosen: BTreeMap::new(),
            sent: VecDeque::new(),
            told: VecDeque::new(),
            failed: None,
            last: None,
            last_request: None,
        };
        player.collect();
        for (number, line) in text.lines().enumerate() {
            player.at = format!("{name}:{}", number + 1);
            if !line.is_empty() && !line.starts_with('#') {
                player.line(line);
            }
        }
        player.nothing_is_left();
    }

    fn line(&mut self, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "datagram" | "stream" => {}
            "out:" => self.sends(rest),
            "tells:" => self.tells(rest),
            "fails:" => {
                let error = self.failed.take().map(|error| error.to_string());
                assert_eq!(error.as_deref(), Some(rest), "{}", self.at);
            }
            "in:" => {
                assert_eq!(self.failed, None, "{}", self.at);
                self.arrives(rest);
            }
            ">" => self.act(rest),
            "wait" => self.wait(rest),
            _ => panic!("{}: what is {kind}?", self.at),
        }
    }

    fn layer(&mut self) -> &mut dyn MessageLayer {
        match &mut self.layer {
            Layer::Datagram(layer) => &mut **layer,
            Layer::Stream(layer) => &mut **layer,
        }
    }

    /// Takes what the layer sends and tells.
    fn collect(&mut self) {
        let mut bytes = Vec::new();
        match &mut self.layer {
            Layer::Datagram(layer) => {
                while layer.transmit(self.now, &mut bytes).is_some() {
                    let datagram = Datagram::decode(&bytes).expect("it sends messages");
                    self.sent.push_back(Sent::Datagram(datagram));
                    bytes.clear();
                }
            }
            Layer::Stream(layer) => {
                layer.transmit(self.now, &mut bytes);
                let mut rest = &*bytes;
                while let Some(header) = FrameHeader::decode(rest) {
                    let (frame, behind) = rest.split_at(header.frame_len() as usize);
                    let message = Message::from_frame(frame).expect("it sends messages");
                    self.sent.push_back(Sent::Message(message));
                    rest = behind;
                }
            }
        }
        while let Some(event) = self.layer().poll_event() {
            if let LayerEvent::Received(received) = &event {
                self.last = Some(received.reception);
                if received.message.code().is_request() {
                    self.last_request = self.last;
                }
            }
            self.told.push_back(event);
        }
    }

    fn nothing_is_left(&self) {
        assert!(self.sent.is_empty(), "{}: sends {:?}", self.at, self.sent);
        assert!(self.told.is_empty(), "{}: tells {:?}", self.at, self.told);
        assert_eq!(self.failed, None, "{}", self.at);
    }

    fn sends(&mut self, text: &str) {
        let sent = self.sent.pop_front();
        let sent = sent.unwrap_or_else(|| panic!("{}: nothing is sent", self.at));
        let expected = match &sent {
            Sent::Message(_) => Sent::Message(message(&words(text))),
            Sent::Datagram(sent) => {
                let mut expected = datagram(text);
                if matches!(
                    expected.message_type,
                    MessageType::Confirmable | MessageType::NonConfirmable
                ) {
                    expected.id = *self.chosen.entry(expected.id).or_insert(sent.id);
                }
                Sent::Datagram(expected)
            }
        };
        assert_eq!(sent, expected, "{}", self.at);
    }

    fn tells(&mut self, text: &str) {
        let event = self.told.pop_front();
        let event = event.unwrap_or_else(|| panic!("{}: nothing is told", self.at));
        if let LayerEvent::Received(received) = &event {
            let expected = text
                .strip_prefix("received ")
                .map(|text| message(&words(text)));
            assert_eq!(Some(&received.message), expected.as_ref(), "{}", self.at);
            return;
        }
        let name = |id| &self.names[&id];
        let told = match event {
            LayerEvent::Sent(id) => format!("sent {}", name(id)),
            LayerEvent::Acknowledged(id) => format!("acknowledged {}", name(id)),
            LayerEvent::Failed(id, error) => format!("failed {} {error}", name(id)),
            LayerEvent::Ready => "ready".into(),
            LayerEvent::Released {
                alternatives,
                hold_off,
            } => {
                let alternatives = alternatives.join(" ");
                format!("released {alternatives} after {} s", hold_off.as_secs())
            }
            event => panic!("{}: {event:?}", self.at),
        };
        assert_eq!(told, text, "{}", self.at);
    }

    fn arrives(&mut self, text: &str) {
        let raw = text.strip_prefix("bytes ").map(hex);
        let result = match &mut self.layer {
            Layer::Datagram(layer) => {
                let bytes = raw.unwrap_or_else(|| {
                    let mut datagram = datagram(text);
                    if matches!(
                        datagram.message_type,
                        MessageType::Acknowledgement | MessageType::Reset
                    ) {
                        let chosen = self.chosen.get(&datagram.id);
                        datagram.id = chosen.copied().unwrap_or(datagram.id);
                    }
                    datagram.to_bytes()
                });
                layer.receive(self.now, PEER, &bytes)
            }
            Layer::Stream(layer) => {
                let bytes = raw.unwrap_or_else(|| {
                    let mut bytes = Vec::new();
                    message(&words(text)).write_frame(&mut bytes);
                    bytes
                });
                layer.receive(self.now, &bytes)
            }
        };
        self.failed = result.err();
        self.collect();
    }

    fn act(&mut self, text: &str) {
        let words = words(text);
        let (verb, rest) = words.split_first().expect("a verb");
        let now = self.now;
        let last = self.last;
        let last_request = self.last_request;
        let begun = match (&**verb, rest) {
            ("send", [name, rest @ ..]) => {
                let kind = rest.first().and_then(|word| message_type(word));
                let (delivery, rest) = match kind {
                    Some(MessageType::NonConfirmable) => (Delivery::NonConfirmable, &rest[1..]),
                    Some(_) => (Delivery::Confirmable, &rest[1..]),
                    None => (Delivery::Confirmable, rest),
                };
                let sent = self.layer().send(now, PEER, message(rest), delivery);
                Some((name, sent))
            }
            ("respond", [name, rest @ ..]) => {
                let to = last_request.expect("a request");
                Some((name, self.layer().respond(now, &to, message(rest))))
            }
            ("ping", [name]) => Some((name, self.layer().ping(now, PEER))),
            ("acknowledge", []) => {
                self.layer().acknowledge(now, &last.expect("a message"));
                None
            }
            ("reject", []) => {
                self.layer().reject(now, &last.expect("a message"));
                None
            }
            ("cancel", [name]) => {
                let found = self.names.iter().find(|(_, other)| *other == name);
                let id = *found.expect("a transmission").0;
                self.layer().cancel(now, id);
                None
            }
            ("close", []) => {
                self.layer().close(now);
                None
            }
            _ => panic!("{}: what is {text}?", self.at),
        };
        if let Some((name, sent)) = begun {
            let id = sent.unwrap_or_else(|error| panic!("{}: {error}", self.at));
            self.names.insert(id, name.clone());
        }
        self.collect();
    }

    fn wait(&mut self, text: &str) {
        self.nothing_is_left();
        let Some((from, to)) = text.split_once("..") else {
            self.now += duration(text);
            let deadline = self.layer().deadline();
            let is_quiet = deadline.is_none_or(|deadline| deadline > self.now);
            assert!(is_quiet, "{}: something is due", self.at);
            return;
        };
        let deadline = self.layer().deadline().expect("something is due");
        let after = deadline - self.now;
        let expected = duration(from)..=duration(to);
        assert!(expected.contains(&after), "{}: after {after:?}", self.at);
        self.now = deadline;
        let handled = self.layer().handle_deadline(deadline);
        self.failed = handled.err();
        self.collect();
    }
}

fn duration(text: &str) -> Duration {
    let number = |text: &str| text.parse().expect("a number");
    match text.strip_suffix("ms") {
        Some(text) => Duration::from_millis(number(text)),
        None => Duration::from_secs(number(text.strip_suffix('s').expect("a unit"))),
    }
}
