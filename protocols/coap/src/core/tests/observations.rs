//! Observations against `tests/vectors/coap/observations`, with time in the test's hand.

use crate::codec::{Code, Datagram, Message, MessageId, MessageType, Token};
use crate::core::{
    Config, ExchangeEvent, ExchangeId, Exchanges, Kind, NewExchange, Outgoing, Verdict,
};
use jackfield_play::{Datagrams, Protocol, Transcripts};
use jackfield_socket::driver::{Core, DatagramCore, Peer};
use jackfield_socket::time::Instant;

#[test]
fn every_observation_holds() {
    Transcripts::of("coap/observations").play(Observations::default);
}

/// Exchanges without a message layer: what they send and what comes is a datagram that is not
/// confirmable, or that comes in the acknowledgement.
struct Observer(Exchanges);

impl Core for Observer {
    type Event = ExchangeEvent;
    type Error = std::convert::Infallible;

    fn poll_event(&mut self) -> Option<ExchangeEvent> {
        self.0.poll_event()
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), Self::Error> {
        self.0.handle_deadline(now);
        Ok(())
    }
}

impl DatagramCore for Observer {
    fn receive(&mut self, now: Instant, from: Peer, datagram: &[u8]) -> Result<(), Self::Error> {
        let datagram = Datagram::decode(datagram).expect("a message");
        let is_piggybacked = datagram.message_type == MessageType::Acknowledgement;
        let verdict = self.0.received(now, from, datagram.message, is_piggybacked);
        assert_eq!(verdict, Verdict::Accept);
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
        loop {
            if let Outgoing::Send { to, message, .. } = self.0.poll_outgoing()? {
                *datagram = carried(MessageType::NonConfirmable, message);
                return Some(to);
            }
        }
    }
}

fn carried(kind: MessageType, message: Message) -> Vec<u8> {
    Datagram::new(kind, MessageId(0), message).to_bytes()
}

#[derive(Default)]
struct Observations {
    observation: Option<ExchangeId>,
    /// Of the request that was sent last: what comes has the same.
    token: Token,
}

impl Protocol for Observations {
    type Core = Observer;
    type Carrier = Datagrams;

    fn begin(&mut self, now: Instant) -> Observer {
        let mut exchanges = Exchanges::new(Config::default(), false);
        exchanges.connected(now);
        Observer(exchanges)
    }

    fn ask(&mut self, core: &mut Observer, now: Instant, request: &str) -> Result<(), String> {
        match request {
            "observe" => {
                let mut get = NewExchange::new(Message::new(Code::GET));
                get.kind = Kind::Observe;
                let begun = core.0.begin(now, get);
                self.observation = Some(begun.expect("there is room"));
            }
            "cancel" => {
                let observation = self.observation.take().expect("an observation");
                core.0.cancel(now, observation);
            }
            _ => panic!("what is {request:?}?"),
        }
        Ok(())
    }

    fn told(&mut self, event: ExchangeEvent) -> Option<String> {
        let (text, last) = match event {
            ExchangeEvent::Response { message, last, .. } if message.payload.is_empty() => {
                (message.code().to_string(), last)
            }
            ExchangeEvent::Response { message, last, .. } => {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                (text, last)
            }
            ExchangeEvent::Failed { error, last, .. } => (error.to_string(), last),
            other => panic!("{other:?}"),
        };
        Some(if last {
            format!("{text} and ends")
        } else {
            text
        })
    }

    fn read(&mut self, line: &str) -> Vec<u8> {
        let (kind, line) = match line.strip_prefix("ACK ") {
            Some(line) => (MessageType::Acknowledgement, line),
            None => (MessageType::NonConfirmable, line),
        };
        let mut message = super::text::message(&super::text::words(line));
        message.set_token(self.token);
        carried(kind, message)
    }

    fn write(&mut self, datagram: &[u8]) -> String {
        super::text::written(&Datagram::decode(datagram).expect("a message").message)
    }

    /// The token is not the file's business.
    fn is_sent(&mut self, line: &str, datagram: &[u8]) -> bool {
        let sent = Datagram::decode(datagram).expect("a message").message;
        self.token = sent.token();
        let expected = super::text::message(&super::text::words(line));
        sent.code() == expected.code() && sent.options() == expected.options()
    }
}
