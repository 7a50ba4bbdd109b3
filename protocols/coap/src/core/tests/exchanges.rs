//! The message layers against `tests/vectors/coap/datagram` and `tests/vectors/coap/stream`, with
//! time in the test's hand. The README there has the requests.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::codec::{Datagram, FrameHeader, Message, MessageId, MessageType};
use crate::core::{
    DatagramConfig, DatagramLayer, Layer, LayerEvent, Limits, Reception, Reliability, StreamConfig,
    StreamLayer, TransmissionId,
};
use jackfield_play::{Carrier, Datagrams, Protocol, Stream, Transcripts};
use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use super::text::{datagram, hex, message, message_type, words, written, written_datagram};

const PEER: Peer = Peer::Connected;

#[test]
fn every_exchange_of_datagrams_holds() {
    let transcripts = Transcripts::of("coap/datagram");
    assert!(transcripts.len() > 5, "only {}", transcripts.len());
    transcripts.play(Coap::<DatagramLayer>::default);
}

fn on_streams() -> Transcripts {
    let transcripts = Transcripts::of("coap/stream");
    assert!(transcripts.len() > 5, "only {}", transcripts.len());
    transcripts
}

#[test]
fn every_exchange_on_a_stream_holds() {
    on_streams().play(Coap::<StreamLayer>::default);
}

#[test]
fn every_exchange_on_a_stream_holds_wherever_its_bytes_are_cut() {
    on_streams().play_in_pieces(Coap::<StreamLayer>::default);
}

/// What the two layers don't have in common.
trait Played: Layer + Sized {
    type Carrier: Carrier<Self>;
    fn begin(now: Instant) -> Self;
}

impl Played for DatagramLayer {
    type Carrier = Datagrams;
    fn begin(_now: Instant) -> Self {
        Self::new(DatagramConfig::default(), Limits::default(), 7)
    }
}

impl Played for StreamLayer {
    type Carrier = Stream;
    fn begin(now: Instant) -> Self {
        Self::new(now, StreamConfig::default())
    }
}

struct Coap<L> {
    layer: PhantomData<L>,
    names: BTreeMap<TransmissionId, String>,
    /// The ids in the file, and those that the layer chose.
    chosen: BTreeMap<MessageId, MessageId>,
    last: Option<Reception>,
    last_request: Option<Reception>,
}

impl<L> Default for Coap<L> {
    fn default() -> Self {
        Self {
            layer: PhantomData,
            names: BTreeMap::new(),
            chosen: BTreeMap::new(),
            last: None,
            last_request: None,
        }
    }
}

impl<L: Played> Protocol for Coap<L> {
    type Core = L;
    type Carrier = L::Carrier;

    fn begin(&mut self, now: Instant) -> L {
        L::begin(now)
    }

    fn ask(&mut self, layer: &mut L, now: Instant, request: &str) -> Result<(), String> {
        let words = words(request);
        let (verb, rest) = words.split_first().expect("a verb");
        let (name, sent) = match (&**verb, rest) {
            ("send", [name, rest @ ..]) => {
                let kind = rest.first().and_then(|word| message_type(word));
                let (reliability, rest) = match kind {
                    Some(MessageType::NonConfirmable) => (Reliability::NonConfirmable, &rest[1..]),
                    Some(_) => (Reliability::Confirmable, &rest[1..]),
                    None => (Reliability::Confirmable, rest),
                };
                (name, layer.send(now, PEER, message(rest), reliability))
            }
            ("respond", [name, rest @ ..]) => {
                let to = self.last_request.expect("a request");
                (name, layer.respond(now, &to, message(rest)))
            }
            ("ping", [name]) => (name, layer.ping(now, PEER)),
            ("acknowledge", []) => {
                layer.acknowledge(now, &self.last.expect("a message"));
                return Ok(());
            }
            ("reject", []) => {
                layer.reject(now, &self.last.expect("a message"));
                return Ok(());
            }
            ("cancel", [name]) => {
                let found = self.names.iter().find(|(_, other)| *other == name);
                layer.cancel(now, *found.expect("a transmission").0);
                return Ok(());
            }
            ("close", []) => {
                layer.close(now);
                return Ok(());
            }
            _ => panic!("what is {request}?"),
        };
        let id = sent.map_err(|error| error.to_string())?;
        self.names.insert(id, name.clone());
        Ok(())
    }

    fn told(&mut self, event: LayerEvent) -> Option<String> {
        let name = |id| &self.names[&id];
        Some(match event {
            LayerEvent::Received(received) => {
                self.last = Some(received.reception);
                if received.message.code().is_request() {
                    self.last_request = self.last;
                }
                format!("received {}", written(&received.message))
            }
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
        })
    }

    /// What arrives.
    fn read(&mut self, line: &str) -> Vec<u8> {
        if let Some(digits) = line.strip_prefix("bytes ") {
            return hex(digits);
        }
        if L::Carrier::IS_STREAM {
            let mut bytes = Vec::new();
            message(&words(line)).write_frame(&mut bytes);
            return bytes;
        }
        let mut datagram = datagram(line);
        if !has_own_id(&datagram) {
            let chosen = self.chosen.get(&datagram.id);
            datagram.id = chosen.copied().unwrap_or(datagram.id);
        }
        datagram.to_bytes()
    }

    fn write(&mut self, bytes: &[u8]) -> String {
        let text = if L::Carrier::IS_STREAM {
            Message::from_frame(bytes).map(|message| written(&message))
        } else {
            Datagram::decode(bytes).map(|datagram| written_datagram(&datagram))
        };
        text.expect("it sends messages")
    }

    /// A message.
    fn unit(&mut self, _layer: &L, bytes: &[u8]) -> usize {
        let header = FrameHeader::decode(bytes).expect("it sends messages");
        header.frame_len() as usize
    }

    fn is_sent(&mut self, line: &str, bytes: &[u8]) -> bool {
        if L::Carrier::IS_STREAM {
            let sent = Message::from_frame(bytes).expect("it sends messages");
            return sent == message(&words(line));
        }
        let sent = Datagram::decode(bytes).expect("it sends messages");
        let mut expected = datagram(line);
        if has_own_id(&expected) {
            expected.id = *self.chosen.entry(expected.id).or_insert(sent.id);
        }
        sent == expected
    }

    fn is_told(&mut self, line: &str, told: &str) -> bool {
        let received = |text: &str| Some(message(&words(text.strip_prefix("received ")?)));
        match (received(line), received(told)) {
            (Some(expected), Some(came)) => expected == came,
            _ => line == told,
        }
    }
}

/// Whether its sender chose the id; otherwise it is that of what it answers.
fn has_own_id(datagram: &Datagram) -> bool {
    matches!(
        datagram.message_type,
        MessageType::Confirmable | MessageType::NonConfirmable
    )
}
