//! Sessions against `tests/vectors/mqtt/sessions`, with time in the test's hand.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};
use jackfield_mqtt::codec::{
    Authentication, Decoder, Disconnect, DisconnectReason, Password, PublishReason, QoS,
    RetainHandling, SubscribeOptions, SubscriptionId, Version, Will,
};
use jackfield_mqtt::core::{
    CleanStart, Config, ConnectOptions, Event, Message, QueuePolicy, Session, SessionEvent,
    StoreId, SubscribeRequest, UnsubscribeRequest,
};
use jackfield_play::{Protocol, Stream, Transcripts, hex};
use jackfield_socket::driver::Core;
use jackfield_socket::time::Instant;
use jackfield_store::Records;

fn transcripts() -> Transcripts {
    let transcripts = Transcripts::of("mqtt/sessions");
    assert!(transcripts.len() > 14, "only {}", transcripts.len());
    transcripts
}

#[test]
fn every_transcript_holds() {
    transcripts().play(Mqtt::default);
}

#[test]
fn every_transcript_holds_wherever_its_bytes_are_cut() {
    transcripts().play_in_pieces(Mqtt::default);
}

#[derive(Default)]
struct Mqtt {
    config: Config,
    /// What is stored, and what is being stored.
    records: Records,
    storing: Option<StoreId>,
}

impl Protocol for Mqtt {
    type Core = Session;
    type Carrier = Stream;

    fn config(&mut self, name: &str, value: &str) {
        configure(&mut self.config, name, value);
    }

    fn begin(&mut self, _now: Instant) -> Session {
        Session::new(self.config.clone())
    }

    fn ask(&mut self, session: &mut Session, now: Instant, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = Words::new(rest);
        let refused = match word {
            "stored" => {
                session.stored(self.storing.take().expect("something is being stored"));
                None
            }
            "restart" => {
                self.storing = None;
                let restored = Session::restore(self.config.clone(), self.records.clone());
                *session = restored.expect("its own records");
                None
            }
            // Whether what the server sends is read.
            "read" => {
                session.set_reading(now, words.next() == "on");
                None
            }
            "connect" => session.connect(now, connect(words)).err(),
            "publish" => session.publish(now, message(words)).err(),
            "subscribe" => session.subscribe(subscribe(words)).err(),
            "unsubscribe" => {
                let filter = words.next().parse().expect("a filter");
                session.unsubscribe(UnsubscribeRequest::new(filter)).err()
            }
            "acknowledge" => {
                let serial = words.number();
                let reason = words
                    .value("reason")
                    .map_or(PublishReason::Success, |code| {
                        PublishReason::from_u8(byte(code)).expect("a reason")
                    });
                session.acknowledge(serial, reason).err()
            }
            "authenticate" => session.authenticate(words.data()).err(),
            "reauthenticate" => session.reauthenticate(words.data()).err(),
            "disconnect" => {
                let reason = DisconnectReason::from_u8(byte(words.next())).expect("a reason");
                let mut disconnect = Disconnect::new(reason);
                disconnect.session_expiry = words.parsed("expiry");
                session.close_with(disconnect).err()
            }
            _ => panic!("what is {word}?"),
        };
        refused.map_or(Ok(()), |error| Err(error.to_string()))
    }

    fn told(&mut self, event: SessionEvent) -> Option<String> {
        Some(match event {
            SessionEvent::Store(id, batch) => {
                batch.apply(&mut self.records);
                self.storing = Some(id);
                "Store".to_owned()
            }
            SessionEvent::Event(Event::Message(delivery)) => {
                // Serial, DUP, message: the rest is shown by Debug at length.
                let message = &delivery.message;
                format!(
                    "Message {:?} {} {} {:?} {:?} {:?}",
                    delivery.serial,
                    if delivery.dup { "again" } else { "new" },
                    message.topic,
                    message.payload,
                    delivery.subscription_ids,
                    message.properties
                )
            }
            SessionEvent::Event(event) => format!("{event:?}"),
            SessionEvent::Completed(id, outcome) => {
                let number: String = format!("{id:?}").matches(char::is_numeric).collect();
                match outcome {
                    Ok(reply) => format!("#{number} {reply:?}"),
                    Err(error) => format!("#{number} failed: {error}"),
                }
            }
            other => format!("{other:?}"),
        })
    }

    fn lost(&mut self, session: &mut Session, now: Instant) {
        session.disconnected(now);
    }

    fn read(&mut self, line: &str) -> Vec<u8> {
        hex::read(line)
    }

    fn write(&mut self, bytes: &[u8]) -> String {
        hex::write(bytes)
    }

    /// A packet.
    fn unit(&mut self, session: &Session, bytes: &[u8]) -> usize {
        let mut rest = BytesMut::from(bytes);
        let packet = Decoder::new(session.config().version).decode(&mut rest);
        let packet = packet.expect("it speaks well");
        assert!(packet.is_some(), "half a packet");
        bytes.len() - rest.len()
    }

    fn check(&mut self, session: &Session) {
        if session.is_finished() {
            // Whoever drives it closes the stream now.
            assert_eq!(session.deadline(), None);
        }
    }
}

/// The words of a line: some in order, and some by name.
struct Words<'a> {
    plain: VecDeque<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        let (named, plain): (Vec<_>, Vec<_>) =
            line.split_whitespace().partition(|word| word.contains('='));
        Self {
            plain: plain.into(),
            named: named
                .into_iter()
                .filter_map(|word| word.split_once('='))
                .collect(),
        }
    }

    fn next(&mut self) -> &'a str {
        self.plain.pop_front().expect("another word")
    }

    fn number(&mut self) -> u64 {
        self.next().parse().expect("a number")
    }

    fn has(&mut self, word: &str) -> bool {
        let before = self.plain.len();
        self.plain.retain(|known| *known != word);
        self.plain.len() < before
    }

    fn value(&mut self, name: &str) -> Option<&'a str> {
        self.named.remove(name)
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.value(name)?;
        Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}?")))
    }

    fn data(&mut self) -> Option<Bytes> {
        let data = self.plain.pop_front();
        data.map(|data| Bytes::copy_from_slice(data.as_bytes()))
    }

    fn done(self) {
        let Self { plain, named } = self;
        assert!(plain.is_empty() && named.is_empty(), "{plain:?} {named:?}?");
    }
}

fn configure(config: &mut Config, name: &str, value: &str) {
    let number = |value: &str| NonZeroU16::new(value.parse().expect(name)).expect("not 0");
    match name {
        "version" => {
            assert_eq!(value, "3.1.1");
            config.version = Version::V311;
        }
        "fall-back" => config.fall_back_to_v311 = true,
        "durable" => config.durable = true,
        "no-resubscribe" => config.resubscribe = false,
        "drop-oldest" => config.when_full = QueuePolicy::DropOldest,
        "in-flight" => config.in_flight = number(value),
        "receive-maximum" => config.receive_maximum = number(value),
        "packet-size" => {
            let size = NonZeroU32::new(value.parse().expect(name));
            config.maximum_packet_size = size.expect("not 0");
        }
        "aliases" => {
            config.topic_alias_maximum = value.parse().expect(name);
            config.outgoing_topic_aliases = value.parse().expect(name);
        }
        "messages" => config.limits.queue_capacity = value.parse().expect(name),
        "requests" => config.limits.request_capacity = value.parse().expect(name),
        "subscriptions" => config.limits.max_subscriptions = value.parse().expect(name),
        other => panic!("{other:?} is no setting"),
    }
}

fn connect(mut words: Words<'_>) -> ConnectOptions {
    let id = words.value("id").unwrap_or("c").parse().expect("a name");
    let mut connect = ConnectOptions::new(id);
    connect.keep_alive = words.parsed("keep-alive").unwrap_or(60);
    connect.session_expiry = words.parsed("expiry");
    connect.clean_start = match words.value("clean-start") {
        None => CleanStart::IfNew,
        Some("always") => CleanStart::Always,
        Some("never") => CleanStart::Never,
        Some(other) => panic!("clean-start={other}?"),
    };
    connect.username = words.parsed("username");
    let password = words.value("password");
    connect.password = password.map(|it| Password::new(it.to_owned()).expect("short"));
    connect.request_response_information = words.has("response-information");
    connect.will = words.value("will").map(|topic| {
        let mut will = Will::new(topic.parse().expect("a topic"), "gone");
        will.delay = words.parsed("delay").unwrap_or(0);
        will.qos = qos(words.parsed("will-qos").unwrap_or(0));
        will.retain = words.has("will-retain");
        will
    });
    connect.authentication = words.value("method").map(|method| Authentication {
        method: method.parse().expect("a text"),
        data: words
            .value("data")
            .map(|data| Bytes::copy_from_slice(data.as_bytes())),
    });
    words.done();
    connect
}

/// `TOPIC QOS PAYLOAD`.
fn message(mut words: Words<'_>) -> Message {
    let topic = words.next().parse().expect("a topic");
    let qos = qos(words.number());
    let retain = words.has("retain");
    let mut message = Message::new(topic, words.next().to_owned()).qos(qos);
    message.retain = retain;
    message.properties.message_expiry = words.parsed("expiry");
    message.properties.content_type = words.parsed("content-type");
    words.done();
    message
}

/// `FILTER QOS`.
fn subscribe(mut words: Words<'_>) -> SubscribeRequest {
    let filter = words.next().parse().expect("a filter");
    let mut options = SubscribeOptions::qos(qos(words.number()));
    options.no_local = words.has("no-local");
    options.retain_as_published = words.has("retain-as-published");
    options.retain_handling = match words.value("retained") {
        None => RetainHandling::Send,
        Some("if-new") => RetainHandling::SendIfNew,
        Some("never") => RetainHandling::DoNotSend,
        Some(other) => panic!("retained={other}?"),
    };
    let mut subscribe = SubscribeRequest::new(filter, options);
    let number = words.parsed("number");
    subscribe.subscription_id = number.map(|it| SubscriptionId::new(it).expect("a number"));
    words.done();
    subscribe
}

fn qos(number: u64) -> QoS {
    u8::try_from(number)
        .ok()
        .and_then(QoS::from_u8)
        .expect("a quality of service")
}

fn byte(hex: &str) -> u8 {
    u8::from_str_radix(hex, 16).expect("a byte")
}
