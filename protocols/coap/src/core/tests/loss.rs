//! Two message layers on a network that loses, repeats and reorders, with RFC 7252's times in hand:
//! every confirmable request has the one right outcome, and nothing is sent more often, or longer,
//! than section 4.8 allows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::codec::{Code, Datagram, Message, MessageId, MessageType, Token};
use crate::core::{
    DatagramConfig, DatagramLayer, Layer, LayerError, LayerEvent, Limits, Received, Reception,
    Reliability, TransmissionError, TransmissionId, TransmissionParameters,
};
use jackfield_sim::{Link, Network};
use jackfield_socket::driver::{Core, DatagramCore, DatagramDriver, Peer};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{UdpOpen, UdpOptions};

const REQUESTS: u32 = 20;

/// A layer, and a record of all it sends.
struct Recorder {
    layer: DatagramLayer,
    /// Of each confirmable message, when it was sent.
    sent: BTreeMap<(Peer, MessageId), Vec<Instant>>,
    bytes: BTreeMap<(Peer, MessageId), Vec<u8>>,
}

impl Recorder {
    fn new(config: DatagramConfig, seed: u64) -> Self {
        Self {
            layer: DatagramLayer::new(config, Limits::default(), seed),
            sent: BTreeMap::new(),
            bytes: BTreeMap::new(),
        }
    }

    /// How often the message with this payload's number was sent.
    fn times_sent(&self, wanted: u32) -> usize {
        let is_it = |bytes: &[u8]| {
            let datagram = Datagram::decode(bytes).expect("it sends messages");
            number(&datagram.message) == wanted
        };
        let found = self.bytes.iter().find(|(_, bytes)| is_it(bytes));
        found.map_or(0, |(key, _)| self.sent[key].len())
    }

    /// Each was repeated with growing pauses, and neither too often nor too long.
    fn check(&self, parameters: &TransmissionParameters) -> usize {
        let mut retransmissions = 0;
        for (id, times) in &self.sent {
            let count = times.len() - 1;
            assert!(count <= 4, "{id:?} was repeated {count} times");
            let span = times[count] - times[0];
            assert!(span <= parameters.max_transmit_span(), "{id:?}: {span:?}");
            let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            if let Some(first) = pauses.first() {
                assert!(*first >= parameters.ack_timeout, "{id:?}: {first:?}");
                assert!(*first <= parameters.ack_timeout.mul_f64(1.5), "{first:?}");
            }
            for pair in pauses.windows(2) {
                let off = pair[1].abs_diff(pair[0] * 2);
                assert!(off < Duration::from_millis(5), "{id:?}: {pauses:?}");
            }
            retransmissions += count;
        }
        retransmissions
    }
}

impl Core for Recorder {
    type Event = LayerEvent;
    type Error = LayerError;

    fn poll_event(&mut self) -> Option<LayerEvent> {
        Core::poll_event(&mut self.layer)
    }

    fn deadline(&self) -> Option<Instant> {
        Core::deadline(&self.layer)
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), LayerError> {
        Core::handle_deadline(&mut self.layer, now)
    }
}

impl DatagramCore for Recorder {
    fn receive(&mut self, now: Instant, from: Peer, datagram: &[u8]) -> Result<(), LayerError> {
        self.layer.receive(now, from, datagram)
    }

    fn transmit(&mut self, now: Instant, bytes: &mut Vec<u8>) -> Option<Peer> {
        let to = self.layer.transmit(now, bytes)?;
        let datagram = Datagram::decode(bytes).expect("it sends messages");
        if datagram.message_type == MessageType::Confirmable {
            let key = (to, datagram.id);
            self.sent.entry(key).or_default().push(now);
            let first = self.bytes.entry(key).or_insert_with(|| bytes.clone());
            assert_eq!(first, bytes, "an id means two messages");
        }
        Some(to)
    }
}

/// What became of a request, as its client sees it.
#[derive(Clone, Debug, Default)]
struct Outcome {
    begun: Option<Instant>,
    acknowledged: bool,
    failed: Option<TransmissionError>,
    response: Option<Code>,
}

/// What became of it, as the server sees it.
#[derive(Clone, Debug, Default)]
struct Served {
    requests: u32,
    response_failed: bool,
}

#[derive(Debug, Default)]
struct Totals {
    answered: u32,
    timed_out: u32,
    response_lost: u32,
    retransmissions: usize,
}

fn number(message: &Message) -> u32 {
    let bytes = message.payload[..].try_into().expect("a number");
    u32::from_be_bytes(bytes)
}

fn message(code: Code, number: u32, token: Token) -> Message {
    let mut message = Message::new(code);
    message.set_token(token);
    message.payload = number.to_be_bytes().to_vec().into();
    message
}

/// The token of a request; numbers are found in both.
fn token(number: u32) -> Token {
    Token::from((u64::from(number) ^ 0x0123_4567_89ab_cdef).to_be_bytes())
}

async fn run(seed: u64, loss: f64, nstart: usize) -> Totals {
    let network = Network::new(seed);
    let ours = network.host("client.example", ["192.0.2.1".parse().expect("an address")]);
    let theirs = network.host("server.example", ["192.0.2.2".parse().expect("an address")]);
    let mut link = Link::default();
    link.latency = Duration::from_millis(40);
    link.jitter = Duration::from_millis(30);
    link.loss = loss;
    link.duplication = 0.1;
    link.reordering = 0.1;
    network.link(&ours, &theirs, link);

    let mut config = DatagramConfig::default();
    config.transmission.nstart = nstart;
    let parameters = config.transmission.clone();
    let at = "192.0.2.2:5683".parse().expect("an address");
    let options = UdpOptions::default();
    let socket = theirs.open_bound(at, &options).await.expect("a socket");
    let server = Recorder::new(config.clone(), seed);
    let server = serve(DatagramDriver::new(socket, server));
    let to = "server.example:5683".parse().expect("an endpoint");
    let socket = ours.open_connected(&to, &options).await.expect("a socket");
    let client = DatagramDriver::new(socket, Recorder::new(config, !seed));

    let served = tokio::spawn(server);
    let outcomes = ask(client, &parameters).await;
    let (outcomes, mut retransmissions) = outcomes;
    let (served, recorder) = served.await.expect("the server does not panic");
    retransmissions += recorder.check(&parameters);

    let mut totals = Totals {
        retransmissions,
        ..Totals::default()
    };
    for (number, outcome) in outcomes.iter().enumerate() {
        let served = served.get(&(number as u32)).cloned().unwrap_or_default();
        assert!(served.requests <= 1, "request {number} was told twice");
        match outcome {
            Outcome {
                response: Some(_),
                failed: None,
                acknowledged: true,
                ..
            } => totals.answered += 1,
            Outcome {
                failed: Some(TransmissionError::TimedOut),
                acknowledged: false,
                // A response may come by itself after that: whoever asked has gone.
                ..
            } => totals.timed_out += 1,
            // The request arrived; its response, which goes by itself, did not.
            Outcome {
                failed: None,
                response: None,
                acknowledged: true,
                ..
            } if served.response_failed => totals.response_lost += 1,
            other => panic!("request {number}: {other:?}, {served:?}"),
        }
    }
    totals
}

/// Asks all questions at once, and waits for as long as any answer may take.
async fn ask<S: jackfield_socket::DatagramSocket>(
    mut driver: DatagramDriver<S, Recorder>,
    parameters: &TransmissionParameters,
) -> (Vec<Outcome>, usize) {
    let mut outcomes = vec![Outcome::default(); REQUESTS as usize];
    let mut names: BTreeMap<TransmissionId, u32> = BTreeMap::new();
    for number in 0..REQUESTS {
        let request = message(Code::GET, number, token(number));
        let layer = &mut driver.core_mut().layer;
        let id = layer.send(
            time::now(),
            Peer::Connected,
            request,
            Reliability::Confirmable,
        );
        names.insert(id.expect("room"), number);
    }
    let patience = parameters.exchange_lifetime();
    // How many interactions are open, of which NSTART allows so many (section 4.7).
    let mut open = 0;
    while let Ok(event) = time::timeout(patience, driver.next()).await {
        let now = time::now();
        match event.expect("the socket works").expect("it goes on") {
            LayerEvent::Sent(id) => {
                outcomes[names[&id] as usize].begun = Some(now);
                open += 1;
                assert!(open <= parameters.nstart, "{open} are open");
            }
            LayerEvent::Acknowledged(id) => {
                open -= 1;
                let outcome = &mut outcomes[names[&id] as usize];
                assert!(!outcome.acknowledged && outcome.failed.is_none());
                outcome.acknowledged = true;
            }
            LayerEvent::Failed(id, error) => {
                let outcome = &mut outcomes[names[&id] as usize];
                assert!(!outcome.acknowledged && outcome.failed.is_none());
                outcome.failed = Some(error);
                open -= 1;
                // It was given up neither too late nor too early.
                let waited = now - outcome.begun.expect("it was sent");
                let attempts = parameters.max_retransmit + 1;
                let least = parameters.ack_timeout * ((1 << attempts) - 1);
                let allowed = least..=parameters.max_transmit_wait();
                assert!(allowed.contains(&waited), "{waited:?}");
                let times = driver.core().times_sent(names[&id]);
                assert_eq!(times, attempts as usize, "given up after so many");
            }
            LayerEvent::Received(Received {
                reception, message, ..
            }) => {
                let number = number(&message);
                assert_eq!(message.token(), token(number), "another's response");
                let outcome = &mut outcomes[number as usize];
                assert_eq!(outcome.response.replace(message.code()), None, "told twice");
                driver.core_mut().layer.acknowledge(now, &reception);
            }
            other => panic!("{other:?}"),
        }
    }
    let retransmissions = driver.core().check(parameters);
    (outcomes, retransmissions)
}

/// Answers at once, later, or by itself, as the number says; ends when it has been quiet for long.
async fn serve<S: jackfield_socket::DatagramSocket>(
    mut driver: DatagramDriver<S, Recorder>,
) -> (BTreeMap<u32, Served>, Recorder) {
    let mut served: BTreeMap<u32, Served> = BTreeMap::new();
    let mut names: BTreeMap<TransmissionId, u32> = BTreeMap::new();
    let mut later: VecDeque<(Instant, Reception, u32)> = VecDeque::new();
    loop {
        let quiet = time::now() + Duration::from_mins(10);
        let until = later.front().map_or(quiet, |(at, ..)| *at);
        let event = tokio::select! {
            biased;
            event = driver.next() => Some(event.expect("the socket works").expect("it goes on")),
            () = time::sleep_until(until) => None,
        };
        let now = time::now();
        let layer = &mut driver.core_mut().layer;
        let mut respond = |reception: &Reception, number| {
            let response = message(Code::CONTENT, number, Token::EMPTY);
            let id = layer.respond(now, reception, response).expect("room");
            names.insert(id, number);
        };
        match event {
            None => match later.pop_front() {
                Some((_, reception, number)) => respond(&reception, number),
                None => break,
            },
            Some(LayerEvent::Received(received)) => {
                let number = number(&received.message);
                served.entry(number).or_default().requests += 1;
                let at = now + Duration::from_secs(1);
                match number % 3 {
                    0 => respond(&received.reception, number),
                    1 => {
                        layer.acknowledge(now, &received.reception);
                        later.push_back((at, received.reception, number));
                    }
                    // It is acknowledged meanwhile.
                    _ => later.push_back((at, received.reception, number)),
                }
            }
            Some(LayerEvent::Failed(id, error)) => {
                assert_eq!(error, TransmissionError::TimedOut);
                let entry = served.get_mut(&names[&id]);
                entry.expect("it was asked").response_failed = true;
            }
            Some(_) => {}
        }
    }
    (served, driver.into_parts().1)
}

async fn runs(loss: f64) -> Totals {
    let mut totals = Totals::default();
    for seed in 0..60 {
        let nstart = if seed % 2 == 0 { 1 } else { 4 };
        let one = run(seed, loss, nstart).await;
        totals.answered += one.answered;
        totals.timed_out += one.timed_out;
        totals.response_lost += one.response_lost;
        totals.retransmissions += one.retransmissions;
    }
    totals
}

#[tokio::test(start_paused = true)]
async fn without_loss_nothing_is_repeated() {
    let totals = runs(0.0).await;
    assert_eq!(totals.answered, 60 * REQUESTS, "{totals:?}");
    assert_eq!(totals.retransmissions, 0, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenth_lost() {
    let totals = runs(0.1).await;
    // All five attempts fail, each with 19 %, for one in 4000.
    assert!(totals.answered >= 60 * REQUESTS - 5, "{totals:?}");
    assert!(totals.retransmissions > 200, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fifth_lost() {
    let totals = runs(0.2).await;
    assert!(totals.answered >= 60 * REQUESTS * 97 / 100, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn three_tenths_lost() {
    let totals = runs(0.3).await;
    assert!(totals.answered >= 60 * REQUESTS * 92 / 100, "{totals:?}");
    assert!(totals.timed_out > 0, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn more_lost_than_not() {
    let totals = runs(0.6).await;
    // Giving up is seen, on both sides.
    assert!(totals.answered > 0, "{totals:?}");
    assert!(
        totals.timed_out > 0 && totals.response_lost > 0,
        "{totals:?}"
    );
}
