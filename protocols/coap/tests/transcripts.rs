//! Sessions against `tests/vectors/coap/sessions`, over both message layers, with time in the test's
//! hand. The README there has the requests.

#[expect(dead_code, reason = "where the vectors are, the player knows")]
mod text;

use std::collections::BTreeMap;
use std::marker::PhantomData;

use jackfield_coap::RequestError;
use jackfield_coap::codec::{Datagram, FrameHeader, Message, MessageId, MessageType, Token};
use jackfield_coap::core::{
    Config, DatagramConfig, DatagramLayer, ExchangeEvent, ExchangeId, Kind, Limits, MessageLayer,
    NewExchange, Reliability, Session, SessionEvent, StreamConfig, StreamLayer, TransmissionId,
};
use jackfield_play::{Carrier, Datagrams, Protocol, Stream, Transcripts};
use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use text::{datagram, message, message_type, words, written, written_datagram};

fn on_streams() -> Transcripts {
    let transcripts = Transcripts::of("coap/sessions/stream");
    assert!(transcripts.len() > 2, "only {}", transcripts.len());
    transcripts
}

#[test]
fn every_session_of_datagrams_holds() {
    let transcripts = Transcripts::of("coap/sessions/datagram");
    assert!(transcripts.len() > 4, "only {}", transcripts.len());
    transcripts.play(Coap::<DatagramLayer>::default);
}

#[test]
fn every_session_on_a_stream_holds() {
    on_streams().play(Coap::<StreamLayer>::default);
}

#[test]
fn every_session_on_a_stream_holds_wherever_its_bytes_are_cut() {
    on_streams().play_in_pieces(Coap::<StreamLayer>::default);
}

/// What the two layers don't have in common.
trait Layer: MessageLayer + Sized {
    type Carrier: Carrier<Session<Self>>;
    fn begin(now: Instant) -> Self;
}

impl Layer for DatagramLayer {
    type Carrier = Datagrams;
    fn begin(_now: Instant) -> Self {
        Self::new(DatagramConfig::default(), Limits::default(), 7)
    }
}

impl Layer for StreamLayer {
    type Carrier = Stream;
    fn begin(now: Instant) -> Self {
        Self::new(now, StreamConfig::default())
    }
}

struct Coap<L> {
    layer: PhantomData<L>,
    config: Config,
    exchanges: BTreeMap<ExchangeId, String>,
    pings: BTreeMap<TransmissionId, String>,
    /// The ids and tokens in the file, and those that were chosen.
    ids: BTreeMap<MessageId, MessageId>,
    tokens: BTreeMap<Vec<u8>, Token>,
}

impl<L> Default for Coap<L> {
    fn default() -> Self {
        let mut config = Config::default();
        config.seed = Some(7);
        Self {
            layer: PhantomData,
            config,
            exchanges: BTreeMap::new(),
            pings: BTreeMap::new(),
            ids: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }
}

impl<L> Coap<L> {
    /// A message of the server's, with the token that was chosen.
    fn answer(&self, mut message: Message) -> Message {
        if let Some(chosen) = self.tokens.get(message.token().as_bytes()) {
            message.set_token(*chosen);
        }
        message
    }

    /// Whether a message that was sent is this one; its token stands for what was chosen.
    fn is_this(&mut self, mut expected: Message, sent: &Message) -> bool {
        let token = expected.token();
        if !token.as_bytes().is_empty() {
            let chosen = self.tokens.entry(token.as_bytes().to_vec());
            expected.set_token(*chosen.or_insert(sent.token()));
        }
        *sent == expected
    }
}

impl<L: Layer> Protocol for Coap<L> {
    type Core = Session<L>;
    type Carrier = L::Carrier;

    fn config(&mut self, name: &str, value: &str) {
        let number: usize = value.parse().expect("a number");
        match name {
            "exchanges" => self.config.limits.max_exchanges = number,
            _ => panic!("what is {name}?"),
        }
    }

    fn begin(&mut self, now: Instant) -> Session<L> {
        let mut session = Session::new(L::begin(now), self.config.clone());
        session.connected(now, L::begin(now));
        session
    }

    fn ask(&mut self, session: &mut Session<L>, now: Instant, line: &str) -> Result<(), String> {
        let words = words(line);
        let named = |exchanges: &BTreeMap<ExchangeId, String>, name: &str| {
            let found = exchanges.iter().find(|(_, other)| *other == name);
            *found.expect("an exchange").0
        };
        match &*words {
            [verb, name, rest @ ..] if matches!(&**verb, "ask" | "observe" | "tell") => {
                let kind = rest.first().and_then(|word| message_type(word));
                let rest = &rest[usize::from(kind.is_some())..];
                let mut exchange = NewExchange::new(message(rest));
                if kind == Some(MessageType::NonConfirmable) {
                    exchange.reliability = Reliability::NonConfirmable;
                }
                exchange.kind = match &**verb {
                    "ask" => Kind::Single,
                    "observe" => Kind::Observe,
                    _ => Kind::Told,
                };
                let begun = session.begin(now, exchange);
                let id = begun.map_err(|error| error.to_string())?;
                self.exchanges.insert(id, name.clone());
            }
            [verb, name] if verb == "cancel" => session.cancel(now, named(&self.exchanges, name)),
            [verb, name] if verb == "ping" => {
                let sent = session.ping(now, Peer::Connected);
                let id = sent.map_err(|error| error.to_string())?;
                self.pings.insert(id, name.clone());
            }
            [verb] if verb == "connect" => session.connected(now, L::begin(now)),
            [verb] if verb == "close" => {
                session.end(&RequestError::Closed);
                session.close(now);
            }
            _ => panic!("what is {line}?"),
        }
        Ok(())
    }

    fn told(&mut self, event: SessionEvent) -> Option<String> {
        let name = |id| &self.exchanges[&id];
        Some(match event {
            SessionEvent::Exchange(ExchangeEvent::Response {
                id, message, last, ..
            }) => {
                let mut message = message;
                message.set_token(Token::EMPTY);
                let kind = if last { "answers" } else { "notifies" };
                format!("{kind} {} {}", name(id), written(&message))
            }
            SessionEvent::Exchange(ExchangeEvent::Failed { id, error, last }) => {
                let kind = if last { "failed" } else { "waits" };
                format!("{kind} {} {error}", name(id))
            }
            SessionEvent::Exchange(ExchangeEvent::Done(id)) => format!("done {}", name(id)),
            SessionEvent::Delivered(id) => format!("pong {}", self.pings[&id]),
            SessionEvent::Undelivered(id, error) => format!("no-pong {} {error}", self.pings[&id]),
            SessionEvent::Ready => "ready".into(),
            event => format!("{event:?}"),
        })
    }

    fn lost(&mut self, session: &mut Session<L>, _now: Instant) {
        session.disconnected();
    }

    /// What arrives.
    fn read(&mut self, line: &str) -> Vec<u8> {
        if L::Carrier::IS_STREAM {
            let mut bytes = Vec::new();
            let message = message(&words(line));
            self.answer(message).write_frame(&mut bytes);
            return bytes;
        }
        let mut datagram = datagram(line);
        datagram.message = self.answer(datagram.message);
        if !has_own_id(&datagram) {
            let chosen = self.ids.get(&datagram.id);
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
    fn unit(&mut self, _session: &Session<L>, bytes: &[u8]) -> usize {
        let header = FrameHeader::decode(bytes).expect("it sends messages");
        header.frame_len() as usize
    }

    fn is_sent(&mut self, line: &str, bytes: &[u8]) -> bool {
        if L::Carrier::IS_STREAM {
            let sent = Message::from_frame(bytes).expect("it sends messages");
            return self.is_this(message(&words(line)), &sent);
        }
        let sent = Datagram::decode(bytes).expect("it sends messages");
        let mut expected = datagram(line);
        if has_own_id(&expected) {
            expected.id = *self.ids.entry(expected.id).or_insert(sent.id);
        }
        sent.id == expected.id
            && sent.message_type == expected.message_type
            && self.is_this(expected.message, &sent.message)
    }
}

/// Whether its sender chose the id; otherwise it is that of what it answers.
fn has_own_id(datagram: &Datagram) -> bool {
    matches!(
        datagram.message_type,
        MessageType::Confirmable | MessageType::NonConfirmable
    )
}
