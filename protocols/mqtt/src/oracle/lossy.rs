//! A session and a server, a line between them that is cut, and a process that dies.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;
use jackfield_store::Records;

use super::broker::Broker;
use crate::codec::{PublishReason, QoS, SubscribeOptions, Version};
use crate::core::{
    Config, ConnectOptions, Event, Message, RequestId, Session, SessionEvent, StoreId,
    SubscribeRequest,
};

/// Numbered messages both ways, of QoS 1 and 2, over a line that is cut again and again, with a
/// process that dies in between. In the end, each of QoS 2 has arrived once, each of QoS 1 at least
/// once, and the first arrivals of all in order.
///
/// # Panics
/// When that isn't so.
pub(super) fn lossy(seed: u64, messages: u32) {
    let mut world = World::new(seed, messages);
    let mut steps = 0;
    while !world.is_done() {
        steps += 1;
        assert!(steps < 200_000, "seed {seed}: it doesn't come to an end");
        world.step();
    }
    world.check();
}

struct World {
    seed: u64,
    random: fastrand::Rng,
    now: Instant,
    config: Config,
    session: Session,
    broker: Broker,
    connected: bool,
    /// Bytes on their way.
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    records: Records,
    storing: Option<StoreId>,

    /// What the application has published, and whether it knows that this will be done.
    wanted: Vec<(QoS, Bytes)>,
    next: usize,
    asked: BTreeMap<RequestId, usize>,
    safe: Vec<bool>,

    /// What the server sends.
    from_server: Vec<(QoS, Bytes)>,
    sent_by_server: usize,
    /// What the application has processed, which it remembers over restarts.
    processed: Vec<(QoS, Bytes)>,
    /// Of the last message of QoS 2.
    last_serial: u64,
    /// Messages that the application has not looked at yet.
    inbox: VecDeque<(u64, QoS, Bytes)>,
}

impl World {
    fn new(seed: u64, messages: u32) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut numbered = |what: &str| -> Vec<(QoS, Bytes)> {
            (0..messages)
                .map(|number| {
                    let qos = if random.bool() {
                        QoS::ExactlyOnce
                    } else {
                        QoS::AtLeastOnce
                    };
                    (qos, Bytes::from(format!("{what} {number}")))
                })
                .collect()
        };
        let wanted = numbered("up");
        let from_server = numbered("down");
        let version = if seed.is_multiple_of(3) {
            Version::V311
        } else {
            Version::V5
        };
        let mut config = Config {
            version,
            ..Config::default()
        };
        config.durable = seed.is_multiple_of(2);
        config.receive_maximum = NonZeroU16::new(random.u16(1..9)).unwrap_or(NonZeroU16::MIN);
        config.in_flight = NonZeroU16::new(random.u16(1..9)).unwrap_or(NonZeroU16::MIN);
        let broker = Broker::new(config.version, random.u16(1..9));
        let mut world = Self {
            seed,
            now: Instant::now(),
            session: Session::new(config.clone()),
            broker,
            connected: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            records: Records::new(),
            storing: None,
            safe: vec![false; wanted.len()],
            wanted,
            next: 0,
            asked: BTreeMap::new(),
            from_server,
            sent_by_server: 0,
            processed: Vec::new(),
            last_serial: 0,
            inbox: VecDeque::new(),
            config,
            random,
        };
        world.subscribe();
        world
    }

    fn subscribe(&mut self) {
        let filter = "to/the/client".try_into().expect("a filter");
        let subscribe = SubscribeRequest::new(filter, SubscribeOptions::default());
        self.session.subscribe(subscribe).expect("room");
    }

    fn is_done(&self) -> bool {
        self.next == self.wanted.len()
            && self.sent_by_server == self.from_server.len()
            && self.session.waiting_messages() == 0
            && self.broker.is_idle()
            && self.inbox.is_empty()
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        match self.random.u8(..40) {
            0 => self.cut(),
            1 if self.config.durable && self.random.u8(..3) == 0 => self.die(),
            2..6 => self.connect(),
            6..10 => self.publish(),
            10..14 => self.serve(),
            14..20 => self.process(),
            20..24 => self.store(),
            24..32 => self.carry_up(),
            _ => self.carry_down(),
        }
        if !self.config.durable || self.random.bool() {
            self.events();
        }
    }

    fn connect(&mut self) {
        if self.connected {
            return;
        }
        let mut connect = ConnectOptions::new("lossy".try_into().expect("a name"));
        connect.session_expiry = Some(1000);
        self.session
            .connect(self.now, connect)
            .expect("it may connect");
        self.broker.open();
        self.connected = true;
    }

    fn cut(&mut self) {
        self.connected = false;
        self.up.clear();
        self.down.clear();
        self.broker.cut();
        self.session.disconnected(self.now);
    }

    /// The process dies: all is lost but what is stored.
    fn die(&mut self) {
        self.cut();
        self.storing = None;
        self.inbox.clear();
        self.asked.clear();
        let records = self.records.clone();
        self.session = Session::restore(self.config.clone(), records)
            .unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        // What was not stored was not published.
        self.next = self.safe.iter().take_while(|safe| **safe).count();
        assert!(self.safe.iter().skip(self.next).all(|safe| !safe));
        self.subscribe();
    }

    fn publish(&mut self) {
        let Some((qos, payload)) = self.wanted.get(self.next).cloned() else {
            return;
        };
        let topic = "to/the/server".try_into().expect("a topic");
        let message = Message::new(topic, payload).qos(qos);
        let request = self.session.publish(self.now, message).expect("room");
        self.asked.insert(request, self.next);
        self.next += 1;
    }

    fn serve(&mut self) {
        if let Some((qos, payload)) = self.from_server.get(self.sent_by_server).cloned() {
            self.broker.send(qos, payload);
            self.sent_by_server += 1;
        }
    }

    fn process(&mut self) {
        let Some((serial, qos, payload)) = self.inbox.pop_front() else {
            return;
        };
        if qos == QoS::AtLeastOnce {
            self.processed.push((qos, payload));
        } else if serial > self.last_serial {
            self.last_serial = serial;
            self.processed.push((qos, payload));
        } else {
            assert!(self.config.durable, "delivered twice to one process");
        }
        let _ = self.session.acknowledge(serial, PublishReason::Success);
    }

    fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Store(id, batch) => {
                    // Durable from here on, though the session doesn't know yet.
                    if self.random.u8(..10) > 0 {
                        for (key, _) in batch.iter().filter(|(_, value)| value.is_some()) {
                            self.note_safe(key);
                        }
                        batch.apply(&mut self.records);
                        self.storing = Some(id);
                    } else {
                        // It dies while it is stored.
                        self.die();
                        return;
                    }
                }
                SessionEvent::Completed(request, outcome) => {
                    assert!(outcome.is_ok(), "seed {}: {outcome:?}", self.seed);
                    self.asked.remove(&request);
                }
                SessionEvent::Event(Event::Message(delivery)) => {
                    let serial = delivery.serial.expect("not QoS 0");
                    let message = delivery.message;
                    self.inbox.push_back((serial, message.qos, message.payload));
                }
                SessionEvent::Event(Event::Connected(_)) => {}
                event => panic!("seed {}: {event:?}", self.seed),
            }
        }
    }

    fn note_safe(&mut self, key: &[u8]) {
        let Some((b'o', number)) = key.split_first() else {
            return;
        };
        let number = u64::from_be_bytes(number.try_into().expect("a number"));
        for (request, at) in &self.asked {
            if request.0 == number {
                self.safe[*at] = true;
            }
        }
    }

    fn store(&mut self) {
        if let Some(id) = self.storing.take() {
            self.session.stored(id);
        }
    }

    fn carry_up(&mut self) {
        if !self.connected {
            return;
        }
        let mut out = Vec::new();
        self.session.transmit(self.now, &mut out);
        self.up.extend(out);
        let count = self.random.usize(..=self.up.len());
        let bytes: Vec<u8> = self.up.drain(..count).collect();
        self.broker.receive(&bytes);
    }

    fn carry_down(&mut self) {
        if !self.connected {
            return;
        }
        self.down.extend(self.broker.output());
        let count = self.random.usize(..=self.down.len());
        let bytes: Vec<u8> = self.down.drain(..count).collect();
        let received = self.session.receive(self.now, &bytes);
        assert_eq!(received, Ok(()), "seed {}", self.seed);
    }

    fn check(&self) {
        arrived(self.seed, &self.wanted, &self.broker.received);
        arrived(self.seed, &self.from_server, &self.processed);
        if self.config.durable {
            let kept = self
                .records
                .keys()
                .filter(|key| !key.starts_with(b"m") && !key.starts_with(b"s"));
            // The last deletions may wait to be stored.
            assert!(kept.count() <= 20, "records are left");
        }
    }
}

fn arrived(seed: u64, sent: &[(QoS, Bytes)], arrived: &[(QoS, Bytes)]) {
    let exact = |messages: &[(QoS, Bytes)]| -> Vec<Bytes> {
        let messages = messages.iter();
        let exact = messages.filter(|(qos, _)| *qos == QoS::ExactlyOnce);
        exact.map(|(_, payload)| payload.clone()).collect()
    };
    assert_eq!(exact(sent), exact(arrived), "seed {seed}: not exactly once");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut first = Vec::new();
        for message in arrived.iter().filter(|(of, _)| *of == qos) {
            if !first.contains(message) {
                first.push(message.clone());
            }
        }
        let wanted: Vec<_> = sent.iter().filter(|(of, _)| *of == qos).cloned().collect();
        assert_eq!(wanted, first, "seed {seed}: lost, or out of order");
    }
}
