//! Conversations (`tests/vectors/mqtt/sessions`), run against the core with time in the test's hand.
//! The README beside them explains the format.

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jackfield_mqtt::codec::{
    Authentication, Decoder, Disconnect, DisconnectReason, Password, PublishReason, QoS,
    RetainHandling, SubscribeOptions, SubscriptionId, Version, Will,
};
use jackfield_mqtt::core::{
    CleanStart, Config, Connect, Event, Message, QueuePolicy, Session, SessionEvent, StoreId,
    Subscribe, Unsubscribe,
};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

#[test]
fn every_conversation_holds() {
    let files = common::files("sessions");
    assert!(files.len() > 14, "only {} conversations", files.len());
    for (name, text) in files {
        let mut runner = Runner::new();
        for (number, line) in text.lines().enumerate() {
            runner.at = format!("{name}:{}", number + 1);
            if !line.is_empty() && !line.starts_with('#') {
                runner.line(line);
            }
        }
        runner.expect_nothing();
    }
}

struct Runner {
    /// File and line.
    at: String,
    now: Instant,
    config: Config,
    session: Session,
    sent: VecDeque<Vec<u8>>,
    told: VecDeque<String>,
    /// What is stored, and what is being stored.
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    storing: Option<StoreId>,
}

impl Runner {
    fn new() -> Self {
        let config = Config::default();
        Self {
            at: String::new(),
            now: Instant::now(),
            session: Session::new(config.clone()),
            config,
            sent: VecDeque::new(),
            told: VecDeque::new(),
            records: BTreeMap::new(),
            storing: None,
        }
    }

    fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "C" => {
                let sent = self.sent.pop_front();
                let expected = common::bytes(rest);
                assert_eq!(
                    sent.as_ref().map(|sent| hex(sent)),
                    Some(hex(&expected)),
                    "{}: sent",
                    self.at
                );
            }
            "E" => {
                let told = self.told.pop_front().unwrap_or_default();
                assert!(told.contains(rest), "{}: told {told:?}", self.at);
            }
            _ => {
                self.expect_nothing();
                self.step(word, rest);
                self.collect();
            }
        }
    }

    fn expect_nothing(&self) {
        let sent: Vec<_> = self.sent.iter().map(|sent| hex(sent)).collect();
        assert!(sent.is_empty(), "{}: sent before it: {sent:?}", self.at);
        let told = &self.told;
        assert!(told.is_empty(), "{}: told before it: {told:?}", self.at);
    }

    fn step(&mut self, word: &str, rest: &str) {
        let mut words = Words::new(rest);
        match word {
            "S" => {
                let outcome = self.session.receive(self.now, &common::bytes(rest));
                self.over(outcome.err());
            }
            "end" => {
                let outcome = self.session.receive_end(self.now);
                self.over(outcome.err());
            }
            "+" => self.pass(Duration::from_secs(words.number())),
            "cut" => self.session.disconnected(self.now),
            "stored" => {
                let id = self.storing.take().expect("something is being stored");
                self.session.stored(id);
            }
            "new" => {
                self.config = config(words);
                self.session = Session::new(self.config.clone());
                self.records.clear();
            }
            "restart" => {
                let records = std::mem::take(&mut self.records);
                self.records.clone_from(&records);
                self.storing = None;
                let restored = Session::restore(self.config.clone(), records);
                self.session = restored.expect("its own records");
            }
            "connect" => {
                let outcome = self.session.connect(self.now, connect(words));
                self.not_taken(outcome.err());
            }
            "publish" => {
                let outcome = self.session.publish(self.now, message(words));
                self.not_taken(outcome.err());
            }
            "subscribe" => {
                let outcome = self.session.subscribe(subscribe(words));
                self.not_taken(outcome.err());
            }
            "unsubscribe" => {
                let filter = words.next().parse().expect("a filter");
                let outcome = self.session.unsubscribe(Unsubscribe::new(filter));
                self.not_taken(outcome.err());
            }
            "acknowledge" => {
                let serial = words.number();
                let reason = words
                    .value("reason")
                    .map_or(PublishReason::Success, |code| {
                        PublishReason::from_u8(byte(code)).expect("a reason")
                    });
                let outcome = self.session.acknowledge(serial, reason);
                self.not_taken(outcome.err());
            }
            "authenticate" => {
                let outcome = self.session.authenticate(words.data());
                self.not_taken(outcome.err());
            }
            "reauthenticate" => {
                let outcome = self.session.reauthenticate(words.data());
                self.not_taken(outcome.err());
            }
            "disconnect" => {
                let reason = DisconnectReason::from_u8(byte(words.next())).expect("a reason");
                let mut disconnect = Disconnect::new(reason);
                disconnect.session_expiry = words.parsed("expiry");
                let outcome = self.session.disconnect(disconnect);
                self.not_taken(outcome.err());
            }
            _ => panic!("{}: what is {word}?", self.at),
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.session.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let outcome = self.session.handle_deadline(self.now);
            let is_over = outcome.is_err();
            self.over(outcome.err());
            self.collect();
            if is_over {
                break;
            }
        }
        self.now = end;
    }

    fn over(&mut self, error: Option<impl std::fmt::Display>) {
        if let Some(error) = error {
            self.told.push_back(format!("over: {error}"));
        }
    }

    fn not_taken(&mut self, error: Option<impl std::fmt::Display>) {
        if let Some(error) = error {
            self.told.push_back(format!("not taken: {error}"));
        }
    }

    /// What the session sends, packet by packet, and what it tells.
    fn collect(&mut self) {
        let mut out = Vec::new();
        self.session.transmit(self.now, &mut out);
        let mut rest = BytesMut::from(&out[..]);
        while !rest.is_empty() {
            let before = out.len() - rest.len();
            let decoder = Decoder::new(self.session.config().version);
            let packet = decoder.decode(&mut rest).expect("it speaks well");
            assert!(packet.is_some(), "{}: half a packet", self.at);
            self.sent
                .push_back(out[before..out.len() - rest.len()].to_vec());
        }
        while let Some(event) = self.session.poll_event() {
            let told = match event {
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
                SessionEvent::Completed(id, outcome) => match outcome {
                    Ok(reply) => format!("{id:?} {reply:?}"),
                    Err(error) => format!("{id:?} failed: {error}"),
                },
                other => format!("{other:?}"),
            };
            self.told.push_back(told);
        }
        if self.session.is_finished() {
            // Whoever drives it closes the stream now.
            assert_eq!(self.session.deadline(), None, "{}", self.at);
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

fn config(mut words: Words<'_>) -> Config {
    let mut config = Config::default();
    if words.has("3.1.1") {
        config.version = Version::V311;
    }
    config.fall_back_to_v311 = words.has("fall-back");
    config.durable = words.has("durable");
    config.resubscribe = !words.has("no-resubscribe");
    if words.has("drop-oldest") {
        config.when_full = QueuePolicy::DropOldest;
    }
    let number = |number: u16| NonZeroU16::new(number).expect("not 0");
    if let Some(in_flight) = words.parsed("in-flight") {
        config.in_flight = number(in_flight);
    }
    if let Some(maximum) = words.parsed("receive-maximum") {
        config.receive_maximum = number(maximum);
    }
    if let Some(size) = words.parsed("packet-size") {
        config.maximum_packet_size = NonZeroU32::new(size).expect("not 0");
    }
    if let Some(aliases) = words.parsed("aliases") {
        config.topic_alias_maximum = aliases;
        config.outgoing_topic_aliases = aliases;
    }
    if let Some(messages) = words.parsed("messages") {
        config.limits.queued_messages = messages;
    }
    if let Some(requests) = words.parsed("requests") {
        config.limits.pending_requests = requests;
    }
    if let Some(subscriptions) = words.parsed("subscriptions") {
        config.limits.subscriptions = subscriptions;
    }
    words.done();
    config
}

fn connect(mut words: Words<'_>) -> Connect {
    let id = words.value("id").unwrap_or("c").parse().expect("a name");
    let mut connect = Connect::new(id);
    connect.keep_alive = words.parsed("keep-alive").unwrap_or(60);
    connect.session_expiry = words.parsed("expiry").unwrap_or(300);
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
fn subscribe(mut words: Words<'_>) -> Subscribe {
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
    let mut subscribe = Subscribe::new(filter, options);
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

fn hex(bytes: &[u8]) -> String {
    format!("{bytes:02X?}")
}
