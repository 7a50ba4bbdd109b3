use std::net::SocketAddr;

use jackfield_store::Records;

use super::*;
use crate::codec::{Block, BlockSize, Code};
use crate::core::Limits;

const SERVER: Peer = Peer::Connected;

fn member(number: u8) -> Peer {
    Peer::Address(([192, 0, 2, number], 5683).into())
}

struct Play {
    now: Instant,
    exchanges: Exchanges,
}

impl Play {
    fn new() -> Self {
        let config = Config {
            seed: Some(1),
            limits: Limits {
                max_exchanges: 4,
                max_answers: 2,
                ..Limits::default()
            },
            ..Config::default()
        };
        let now = Instant::now();
        let mut exchanges = Exchanges::new(config, false);
        exchanges.connected(now);
        Self { now, exchanges }
    }

    fn begin(&mut self, kind: Kind) -> ExchangeId {
        let mut get = NewExchange::new(Message::new(Code::GET));
        get.kind = kind;
        let begun = self.exchanges.begin(self.now, get);
        begun.expect("there is room")
    }

    fn sent(&mut self) -> Message {
        loop {
            match self.exchanges.poll_outgoing() {
                Some(Outgoing::Send { message, .. }) => return message,
                Some(Outgoing::Stop(_)) => {}
                None => panic!("nothing was sent"),
            }
        }
    }

    fn answer(&mut self, from: Peer, to: &Message, response: Message) -> Verdict {
        let mut response = response;
        response.set_token(to.token());
        self.exchanges.received(self.now, from, response, false)
    }

    fn told(&mut self) -> Option<String> {
        Some(match self.exchanges.poll_event()? {
            ExchangeEvent::Response {
                message,
                last,
                from,
                ..
            } => format!("{} from {}{}", message.code(), name(from), end(last)),
            ExchangeEvent::Failed { error, last, .. } => format!("{error}{}", end(last)),
            ExchangeEvent::Done(_) => "done".into(),
        })
    }

    fn pass(&mut self) -> Duration {
        let deadline = self.exchanges.deadline().expect("there is a deadline");
        let passed = deadline.saturating_duration_since(self.now);
        self.now = deadline;
        self.exchanges.handle_deadline(deadline);
        passed
    }
}

fn name(peer: Peer) -> u8 {
    match peer {
        Peer::Address(SocketAddr::V4(address)) => address.ip().octets()[3],
        _ => 1,
    }
}

fn end(last: bool) -> &'static str {
    if last { "." } else { "" }
}

fn content() -> Message {
    Message::new(Code::CONTENT)
}

fn notification(value: u32) -> Message {
    let mut message = content();
    message.set_observe(value);
    message
}

#[test]
fn only_the_server_that_was_asked_can_answer() {
    let mut play = Play::new();
    play.begin(Kind::Single);
    let sent = play.sent();
    assert_eq!(sent.token().len(), 8);
    assert_eq!(play.answer(member(2), &sent, content()), Verdict::Reject);
    let other = Message::new(Code::GET);
    assert_eq!(play.answer(SERVER, &other, content()), Verdict::Reject);
    assert_eq!(play.answer(SERVER, &sent, content()), Verdict::Accept);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1."));
    // And only once.
    assert_eq!(play.answer(SERVER, &sent, content()), Verdict::Reject);
    assert!(play.exchanges.is_empty());
}

#[test]
fn each_request_has_a_token_of_its_own() {
    let mut play = Play::new();
    let mut tokens = BTreeSet::new();
    for _ in 0..4 {
        play.begin(Kind::Single);
        assert!(tokens.insert(play.sent().token()));
    }
    let get = NewExchange::new(Message::new(Code::GET));
    let begun = play.exchanges.begin(play.now, get);
    assert!(matches!(begun, Err(RequestError::TooManyPending)));
}

#[test]
fn a_response_that_never_comes() {
    let mut play = Play::new();
    let id = play.begin(Kind::Single);
    let sent = play.sent();
    play.exchanges.delivered(id);
    assert_eq!(play.pass(), Duration::from_secs(93));
    assert_eq!(
        play.told().as_deref(),
        Some("the server did not answer in time.")
    );
    assert_eq!(play.answer(SERVER, &sent, content()), Verdict::Reject);
    assert_eq!(play.exchanges.deadline(), None);
}

#[test]
fn what_must_be_understood_and_is_not() {
    let mut play = Play::new();
    play.begin(Kind::Single);
    let sent = play.sent();
    let mut odd = content();
    odd.options_mut()
        .add(OptionNumber(9999), b"")
        .expect("room");
    assert_eq!(play.answer(SERVER, &sent, odd), Verdict::Reject);
    let told = play.told().expect("a failure");
    assert!(told.contains("not understood: option 9999"), "{told}");
}

#[test]
fn an_echo_is_sent_back_once() {
    let mut play = Play::new();
    play.begin(Kind::Single);
    let mut challenge = Message::new(Code::UNAUTHORIZED);
    challenge
        .options_mut()
        .add(OptionNumber::ECHO, b"now")
        .expect("fits");
    let first = play.sent();
    assert_eq!(
        play.answer(SERVER, &first, challenge.clone()),
        Verdict::Accept
    );
    assert_eq!(play.told(), None);
    let second = play.sent();
    assert_eq!(second.options().get(OptionNumber::ECHO), Some(&b"now"[..]));
    play.answer(SERVER, &second, challenge);
    assert_eq!(play.told().as_deref(), Some("4.01 from 1."));
    // What the server said last goes with the next request.
    play.begin(Kind::Single);
    assert_eq!(
        play.sent().options().get(OptionNumber::ECHO),
        Some(&b"now"[..])
    );
    play.begin(Kind::Single);
    assert_eq!(play.sent().options().get(OptionNumber::ECHO), None);
}

#[test]
fn notifications_come_in_order_and_are_asked_for_again() {
    let mut play = Play::new();
    let id = play.begin(Kind::Observe);
    let sent = play.sent();
    assert_eq!(sent.observe(), Some(0));
    for (value, newer) in [(5, true), (7, true), (6, false), (7, false), (8, true)] {
        assert_eq!(
            play.answer(SERVER, &sent, notification(value)),
            Verdict::Accept
        );
        assert_eq!(play.told().is_some(), newer, "{value}");
    }
    // Max-Age is 60 s, and then 5 to 15 s.
    let waited = play.pass();
    assert!((65..=75).contains(&waited.as_secs()), "{waited:?}");
    let again = play.sent();
    assert_eq!((again.token(), again.observe()), (sent.token(), Some(0)));
    // The server is gone: that is told once, and it is tried again, less and less often.
    play.exchanges
        .undelivered(play.now, id, RequestError::TimedOut);
    assert_eq!(
        play.told().as_deref(),
        Some("the server did not answer in time")
    );
    for delay in [2, 4, 8] {
        assert_eq!(play.pass(), Duration::from_secs(delay));
        assert_eq!(play.sent().observe(), Some(0));
        play.exchanges
            .undelivered(play.now, id, RequestError::TimedOut);
        assert_eq!(play.told(), None);
    }
    // It has begun anew, with smaller numbers, and more than 128 s later.
    play.now += Duration::from_mins(3);
    play.answer(SERVER, &sent, notification(1));
    assert_eq!(play.told().as_deref(), Some("2.05 from 1"));
    // It ends with a response that is no notification.
    play.answer(SERVER, &sent, Message::new(Code::NOT_FOUND));
    assert_eq!(play.told().as_deref(), Some("4.04 from 1."));
    assert!(play.exchanges.is_empty());
}

#[test]
fn who_no_longer_observes_says_so() {
    let mut play = Play::new();
    let id = play.begin(Kind::Observe);
    let sent = play.sent();
    play.answer(SERVER, &sent, notification(1));
    play.told();
    play.exchanges.cancel(play.now, id);
    let leaving = play.sent();
    assert_eq!(
        (leaving.token(), leaving.observe()),
        (sent.token(), Some(1))
    );
    // One that was on its way is taken, and not told.
    assert_eq!(play.answer(SERVER, &sent, notification(2)), Verdict::Accept);
    assert_eq!(play.answer(SERVER, &sent, content()), Verdict::Accept);
    assert_eq!(play.told(), None);
    assert_eq!(play.answer(SERVER, &sent, notification(3)), Verdict::Reject);
}

#[test]
fn a_group_answers_for_a_while() {
    let mut play = Play::new();
    play.begin(Kind::Group(Duration::from_secs(3)));
    let sent = play.sent();
    for (number, told) in [
        (7, Some("2.05 from 7")),
        (8, Some("2.05 from 8")),
        (8, None),
        (9, None),
    ] {
        assert_eq!(
            play.answer(member(number), &sent, content()),
            Verdict::Accept
        );
        assert_eq!(play.told().as_deref(), told);
    }
    assert_eq!(play.pass(), Duration::from_secs(3));
    assert_eq!(play.told().as_deref(), Some("done"));
    assert_eq!(play.answer(member(7), &sent, content()), Verdict::Reject);
}

#[test]
fn a_connection_that_comes_and_goes() {
    let mut play = Play::new();
    play.exchanges.disconnected();
    play.begin(Kind::Single);
    let observation = play.begin(Kind::Observe);
    assert!(play.exchanges.poll_outgoing().is_none());
    play.exchanges.connected(play.now);
    let (single, observe) = (play.sent(), play.sent());
    play.answer(SERVER, &observe, notification(9));
    assert_eq!(play.told().as_deref(), Some("2.05 from 1"));

    play.exchanges.disconnected();
    for _ in 0..2 {
        let told = play.told().expect("both are told");
        assert!(told.starts_with("the connection was lost"), "{told}");
    }
    assert_eq!(play.answer(SERVER, &single, content()), Verdict::Reject);
    // An observation waits for as long as it takes, and takes the numbers of the next server.
    assert_eq!(play.exchanges.deadline(), None);
    play.exchanges.connected(play.now);
    let again = play.sent();
    assert_ne!(again.token(), observe.token());
    play.answer(SERVER, &again, notification(1));
    assert_eq!(play.told().as_deref(), Some("2.05 from 1"));
    play.exchanges.disconnected();
    play.exchanges.cancel(play.now, observation);
    assert!(play.exchanges.is_empty());
    assert!(play.exchanges.by_token.is_empty());
}

#[test]
fn what_is_told_is_done_when_it_was_delivered() {
    let mut play = Play::new();
    let id = play.begin(Kind::Told);
    play.sent();
    play.exchanges.delivered(id);
    assert_eq!(play.told().as_deref(), Some("done"));
    let id = play.begin(Kind::Told);
    play.sent();
    play.exchanges
        .undelivered(play.now, id, RequestError::Rejected);
    assert_eq!(
        play.told().as_deref(),
        Some("the server rejected the message.")
    );
}

fn parameters(ours: &[u8], theirs: &[u8]) -> oscore::Parameters {
    oscore::Parameters::new(&[0x5a; 16], ours, theirs).expect("parameters")
}

/// A play whose requests are protected, and the server's side of that.
fn secured() -> (Play, Secured) {
    let mut play = Play::new();
    let context = oscore::Context::ephemeral(&parameters(b"c", b"s"));
    play.exchanges.protect(context);
    (
        play,
        Secured(oscore::Context::ephemeral(&parameters(b"s", b"c"))),
    )
}

struct Secured(oscore::Context);

impl Secured {
    fn take(&mut self, request: &Message) -> (Message, oscore::ServerExchange) {
        self.0.unprotect_request(request).expect("it is protected")
    }

    fn answer(&mut self, exchange: &mut oscore::ServerExchange, observe: Option<u32>) -> Message {
        let mut response = Message::new(Code::CONTENT);
        if let Some(observe) = observe {
            response.set_observe(observe);
        }
        self.0
            .protect_response(exchange, &response)
            .expect("it can be protected")
    }
}

#[test]
fn a_protected_request_takes_its_protected_response_and_no_other() {
    let (mut play, mut server) = secured();
    play.begin(Kind::Single);
    let request = play.sent();
    assert_eq!(request.code(), Code::POST);
    let (plain, mut exchange) = server.take(&request);
    assert_eq!(plain.code(), Code::GET);
    let response = server.answer(&mut exchange, None);
    let mut forged = response.clone();
    forged.payload = vec![0; 20].into();
    assert_eq!(play.answer(SERVER, &request, forged), Verdict::Accept);
    assert_eq!(play.told(), None);
    assert_eq!(play.answer(SERVER, &request, response), Verdict::Accept);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1."));
}

#[test]
fn a_server_that_does_not_know_the_context_is_believed_at_once() {
    let (mut play, _) = secured();
    play.begin(Kind::Single);
    let request = play.sent();
    play.answer(SERVER, &request, Message::new(Code::UNAUTHORIZED));
    let told = play.told().expect("it failed");
    assert!(
        told.contains("not protected") && told.contains("4.01"),
        "{told}"
    );
}

#[test]
fn a_protected_observation_goes_on_through_a_registration_that_was_lost() {
    let (mut play, mut server) = secured();
    play.begin(Kind::Observe);
    let request = play.sent();
    assert_eq!(request.observe(), Some(0));
    let (_, mut first) = server.take(&request);
    let notification = server.answer(&mut first, Some(9));
    play.answer(SERVER, &request, notification);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1"));
    // Its Max-Age is over: it is asked for again, and that is lost.
    play.pass();
    assert!(matches!(
        play.exchanges.poll_outgoing(),
        Some(Outgoing::Stop(_))
    ));
    let again = play.sent();
    assert_eq!(again.token(), request.token());
    let older = server.answer(&mut first, Some(10));
    let notification = server.answer(&mut first, Some(11));
    play.answer(SERVER, &request, notification);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1"));
    // What arrives late is not news, and what is not protected ends nothing.
    play.answer(SERVER, &request, older);
    play.answer(SERVER, &request, Message::new(Code::NOT_FOUND));
    assert_eq!(play.told(), None);
    // Now it arrives.
    let (_, mut second) = server.take(&again);
    let notification = server.answer(&mut second, Some(12));
    play.answer(SERVER, &request, notification);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1"));
}

#[test]
fn a_challenge_of_a_server_that_started_again_is_answered() {
    let (mut play, mut server) = secured();
    play.begin(Kind::Single);
    let request = play.sent();
    let (_, mut exchange) = server.take(&request);
    let mut challenge = Message::new(Code::UNAUTHORIZED);
    let options = challenge.options_mut();
    options
        .set(OptionNumber::ECHO, b"fresh?")
        .expect("an option");
    let challenge = server
        .0
        .protect_response(&mut exchange, &challenge)
        .expect("it can be");
    play.answer(SERVER, &request, challenge);
    assert!(matches!(
        play.exchanges.poll_outgoing(),
        Some(Outgoing::Stop(_))
    ));
    let again = play.sent();
    let (plain, mut exchange) = server.take(&again);
    assert_eq!(
        plain.options().get(OptionNumber::ECHO),
        Some(&b"fresh?"[..])
    );
    let response = server.answer(&mut exchange, None);
    play.answer(SERVER, &again, response);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1."));
}

#[test]
fn a_group_can_not_be_asked_under_oscore() {
    let (mut play, _) = secured();
    let mut get = NewExchange::new(Message::new(Code::GET));
    get.reliability = Reliability::NonConfirmable;
    get.kind = Kind::Group(Duration::from_secs(5));
    let begun = play.exchanges.begin(play.now, get);
    assert!(matches!(begun, Err(RequestError::InvalidRequest(_))));
}

/// RFC 7959, section 2.2: SZX 7 means something on streams only (RFC 8323, section 6).
#[test]
fn a_block_of_the_reserved_size_is_no_answer_over_datagrams() {
    let mut bert = content();
    bert.set_block2(Block::new(0, false, BlockSize::Bert).expect("a small number"));
    let mut play = Play::new();
    play.begin(Kind::Single);
    let sent = play.sent();
    assert_eq!(play.answer(SERVER, &sent, bert.clone()), Verdict::Reject);
    let told = play.told();
    assert_eq!(
        told.as_deref(),
        Some("a block's size is reserved for streams.")
    );
    play.begin(Kind::Group(Duration::from_secs(5)));
    let sent = play.sent();
    assert_eq!(play.answer(member(2), &sent, bert.clone()), Verdict::Accept);
    assert_eq!(play.told(), None);

    play.exchanges = Exchanges::new(Config::default(), true);
    play.exchanges.connected(play.now);
    play.begin(Kind::Single);
    let sent = play.sent();
    assert_eq!(play.answer(SERVER, &sent, bert), Verdict::Accept);
    assert_eq!(play.told().as_deref(), Some("2.05 from 1."));
}

/// No number is used before it is stored as one that was.
#[test]
fn what_has_no_sequence_number_yet_waits_for_the_store() {
    let context = || {
        let context = oscore::Context::restore(&parameters(b"c", b"s"), &Records::new());
        context.expect("no records")
    };
    let mut play = Play::new();
    play.exchanges.protect(context());
    let waiting = play.begin(Kind::Single);
    play.begin(Kind::Observe);
    let dropped = play.begin(Kind::Single);
    play.exchanges.cancel(play.now, dropped);
    assert_eq!(play.exchanges.poll_outgoing(), None);
    let changes = play.exchanges.poll_store().expect("it is time");
    assert!(!changes.is_empty());
    assert!(play.exchanges.poll_store().is_none(), "one at a time");
    assert_eq!(play.exchanges.poll_outgoing(), None);
    play.exchanges.stored();
    for _ in 0..2 {
        assert!(play.sent().options().contains(OptionNumber::OSCORE));
    }
    assert_eq!(play.exchanges.poll_outgoing(), None);
    // They were sent once.
    play.exchanges.stored();
    assert_eq!(play.exchanges.poll_outgoing(), None);
    play.exchanges.cancel(play.now, waiting);

    let mut play = Play::new();
    play.exchanges.protect(context());
    play.begin(Kind::Single);
    play.exchanges.poll_store().expect("it is time");
    play.exchanges.not_stored("the disk is full");
    let told = play.told().expect("it fails");
    assert!(told.contains("can't reserve sequence numbers"), "{told}");

    // Without a connection it is as if it had not been tried.
    let mut play = Play::new();
    play.exchanges.protect(context());
    play.begin(Kind::Single);
    play.exchanges.poll_store().expect("it is time");
    play.exchanges.disconnected();
    play.exchanges.stored();
    assert_eq!(play.exchanges.poll_outgoing(), None);
    play.exchanges.connected(play.now);
    play.sent();
    assert_eq!(play.told(), None);
}
