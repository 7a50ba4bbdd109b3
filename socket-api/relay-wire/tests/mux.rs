//! Two ends, and time in the test's hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jackfield_relay_wire::{Code, Config, Event, Frame, Id, Mux, Read, Reason, Role, UdpTarget};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, ErrorKind, TcpOptions, UdpOptions};

struct Pair {
    client: Mux,
    relay: Mux,
    now: Instant,
    /// How long each of both ways of the path takes.
    way: Duration,
}

fn here() -> Option<SocketAddr> {
    "192.0.2.1:1".parse().ok()
}

fn there() -> Endpoint {
    Endpoint::new(Ipv4Addr::LOCALHOST, 7)
}

impl Pair {
    fn new(config: &Config) -> Self {
        let now = time::now();
        let mut pair = Self {
            client: Mux::new(Role::Client, config.clone(), now),
            relay: Mux::new(Role::Relay, config.clone(), now),
            now,
            way: Duration::ZERO,
        };
        pair.exchange();
        pair
    }

    /// Moves all messages, and says what happened at the relay.
    fn exchange(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let mut moved = false;
            self.now += self.way;
            while let Some(message) = self.client.transmit() {
                self.relay.receive(self.now, message.freeze());
                moved = true;
            }
            self.now += self.way;
            while let Some(message) = self.relay.transmit() {
                self.client.receive(self.now, message.freeze());
                moved = true;
            }
            events.extend(std::iter::from_fn(|| self.relay.poll_event()));
            if !moved {
                return events;
            }
        }
    }

    fn connect(&mut self) -> Id {
        let id = self
            .client
            .connect(there(), TcpOptions::default())
            .expect("room for a stream");
        self.exchange();
        self.relay.accept(id, here(), here()).expect("asked for");
        self.exchange();
        id
    }
}

/// What a message is.
fn next(mux: &mut Mux) -> Option<Frame> {
    let message = mux.transmit()?;
    Some(Frame::decode(message.freeze()).expect("a frame"))
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let mut pair = Pair::new(&Config::default());
    let id = pair.connect();
    let start = pair.now;
    for round in 1..=3 {
        // Each time it answers.
        pair.now = pair.client.deadline().expect("it waits");
        assert_eq!(pair.now, start + Duration::from_secs(25 * round));
        pair.client.handle_deadline(pair.now);
        pair.exchange();
    }
    pair.now = pair.client.deadline().expect("it waits");
    pair.client.handle_deadline(pair.now);
    assert!(matches!(next(&mut pair.client), Some(Frame::Ping(_))));
    assert_eq!(pair.client.closed(), None);
    assert_eq!(
        pair.client.deadline(),
        Some(pair.now + Duration::from_secs(50))
    );
    pair.client
        .handle_deadline(pair.now + Duration::from_secs(49));
    assert_eq!(pair.client.closed(), None);
    pair.client
        .handle_deadline(pair.now + Duration::from_secs(50));
    let reason = pair.client.closed().expect("given up");
    assert_eq!(reason.code(), Code::SILENT);
    let error = pair.client.read(id).expect_err("never an end");
    assert_eq!(error.kind(), ErrorKind::Reset);
}

#[test]
fn after_a_sleep_a_peer_is_asked_anew_but_not_for_ever() {
    let hour = Duration::from_hours(1);
    for answers in [true, false] {
        let mut pair = Pair::new(&Config::default());
        pair.connect();
        pair.now = pair.client.deadline().expect("it waits");
        pair.client.handle_deadline(pair.now);
        assert!(matches!(next(&mut pair.client), Some(Frame::Ping(_))));
        pair.now += hour;
        pair.client.handle_deadline(pair.now);
        assert_eq!(pair.client.closed(), None, "its answer may be there");
        if answers {
            pair.exchange();
            pair.now += hour;
            pair.client.handle_deadline(pair.now);
            assert_eq!(pair.client.closed(), None, "it is asked as ever");
            pair.exchange();
            continue;
        }
        assert!(matches!(next(&mut pair.client), Some(Frame::Ping(_))));
        pair.now += hour;
        pair.client.handle_deadline(pair.now);
        let reason = pair.client.closed().expect("given up");
        assert_eq!(reason.code(), Code::SILENT);
    }
}

#[test]
fn a_keystroke_passes_the_bulk() {
    let mut pair = Pair::new(&Config::default());
    let bulk: Vec<Id> = (0..10).map(|_| pair.connect()).collect();
    let small = pair.connect();
    for id in &bulk {
        while pair.client.write(*id, &vec![1; 65_536]).expect("alive") > 0 {}
    }
    // When each has had its first turn, and some their second, the keystroke comes.
    for _ in 0..bulk.len() + 3 {
        assert!(matches!(next(&mut pair.client), Some(Frame::Data { data, .. }) if data.len() > 1));
    }
    // So do those that follow it at once.
    for _ in 0..5 {
        pair.client.write(small, b"x").expect("alive");
        let frame = next(&mut pair.client).expect("a frame");
        assert!(
            matches!(frame, Frame::Data { id, .. } if id == small),
            "{frame:?}"
        );
    }
    // What is bulk, too, waits for its turn, so that nobody is starved.
    pair.client.write(small, &vec![1; 60_000]).expect("alive");
    assert!(matches!(next(&mut pair.client), Some(Frame::Data { id, .. }) if id == small));
    pair.client.write(small, b"y").expect("alive");
    let mut waited = 0;
    while !matches!(next(&mut pair.client), Some(Frame::Data { id, .. }) if id == small) {
        waited += 1;
    }
    assert!((1..=bulk.len()).contains(&waited), "{waited}");
}

#[test]
fn what_was_ended_arrives_although_its_sender_is_gone() {
    let mut pair = Pair::new(&Config::default());
    let id = pair.connect();
    pair.client.write(id, b"all of it").expect("alive");
    pair.client.finish(id).expect("alive");
    pair.client.close(id);
    assert_eq!(pair.client.open_count(), 1, "it still has to say that");
    pair.exchange();
    assert_eq!(pair.client.open_count(), 0);
    assert_eq!(
        pair.relay.read(id),
        Ok(Read::Data(b"all of it".as_slice().into()))
    );
    pair.relay.consume(id, 9);
    assert_eq!(pair.relay.read(id), Ok(Read::End));
    let reason = pair.relay.write(id, b"x").expect_err("nobody reads");
    assert_eq!(reason.code(), Code::CLOSED);
}

#[test]
fn what_was_cut_is_an_error_and_never_an_end() {
    let mut pair = Pair::new(&Config::default());
    let id = pair.connect();
    pair.client.write(id, b"some of it").expect("alive");
    pair.exchange();
    pair.client.close(id);
    let events = pair.exchange();
    assert!(matches!(events[..], [Event::Reset { id: cut, .. }] if cut == id));
    let reason = pair.relay.read(id).expect_err("it was cut");
    assert_eq!(reason.code(), Code::CANCELLED);
    pair.relay.close(id);
    assert_eq!(pair.relay.open_count(), 0);
    assert_eq!(pair.exchange(), []);
}

#[test]
fn who_sends_without_credit_is_given_up() {
    let config = Config::default();
    let mut pair = Pair::new(&config);
    let id = pair.connect();
    let data = vec![0; 65_536];
    for _ in 0..=Config::START_WINDOW / 65_536 {
        assert_eq!(pair.relay.closed(), None);
        let frame = Frame::Data {
            id,
            data: data.clone().into(),
        };
        pair.relay.receive(pair.now, frame.encode().freeze());
    }
    let reason = pair.relay.closed().expect("given up");
    assert_eq!(reason.code(), Code::FLOW_CONTROL_ERROR);
    assert!(
        matches!(next(&mut pair.relay), Some(Frame::GoAway(why)) if why.code() == Code::FLOW_CONTROL_ERROR)
    );
    assert_eq!(pair.relay.transmit(), None);
}

/// How much a stream that nobody reads takes up, and how much down, in the end.
fn taken(way: Duration) -> [usize; 2] {
    let mut pair = Pair::new(&Config::default());
    pair.way = way;
    let id = pair.connect();
    let data = vec![7; 65_536];
    let mut sent = [0; 2];
    // The first one has the path measured; the second takes what was found.
    for id in [id, pair.connect()] {
        sent = [0; 2];
        while let Ok(count @ 1..) = pair.client.write(id, &data) {
            sent[0] += count;
            pair.exchange();
        }
        while let Ok(count @ 1..) = pair.relay.write(id, &data) {
            sent[1] += count;
            pair.exchange();
        }
        assert_eq!((pair.client.closed(), pair.relay.closed()), (None, None));
    }
    sent
}

#[test]
fn a_stream_takes_as_much_as_the_path_needs() {
    let start = Config::START_WINDOW as usize;
    assert_eq!(taken(Duration::ZERO), [start; 2]);
    // 128 Mbit/s and more, over 80 ms.
    let far = taken(Duration::from_millis(40));
    assert!(far.iter().all(|taken| taken * 8 > 10_240_000), "{far:?}");
    let most = Config::default().window as usize;
    assert_eq!(taken(Duration::from_secs(1)), [most; 2]);
}

#[test]
fn many_stalled_streams_hold_no_more_than_the_budget_and_each_goes_on() {
    many_stalled_streams(Duration::ZERO);
}

#[test]
fn so_do_many_on_a_long_path() {
    many_stalled_streams(Duration::from_millis(100));
}

fn many_stalled_streams(way: Duration) {
    let mut config = Config::default();
    config.budget = 8 * 1024 * 1024;
    let mut pair = Pair::new(&config);
    pair.way = way;
    let ids: Vec<_> = (0..config.settings.max_open)
        .map(|_| pair.connect())
        .collect();
    let bound = config.budget as usize + ids.len() * Config::MIN_WINDOW as usize;
    let data = vec![7; 65_536];
    // As much as each takes, in both directions, while nobody reads.
    let mut up: Vec<usize> = Vec::new();
    for &id in &ids {
        let mut sent = 0;
        while let Ok(count @ 1..) = pair.client.write(id, &data) {
            sent += count;
            pair.exchange();
        }
        up.push(sent);
    }
    assert!(up.iter().sum::<usize>() <= bound);
    assert!(up.iter().all(|sent| *sent >= Config::MIN_WINDOW as usize));
    let most = up.iter().max().copied();
    assert_eq!(most, Some(up[0]), "the first has most");
    let down: usize = ids
        .iter()
        .map(|&id| {
            let written = std::iter::from_fn(|| pair.relay.write(id, &data).ok());
            written.take_while(|count| *count > 0).sum::<usize>()
        })
        .sum();
    assert!(down <= bound, "{down}");
    // The last goes on by itself, as far as it likes.
    let last = ids[ids.len() - 1];
    for _ in 0..100 {
        while let Ok(Read::Data(data)) = pair.relay.read(last) {
            pair.relay.consume(last, data.len());
        }
        pair.exchange();
        assert!(pair.client.write(last, &data).expect("open") > 0);
        pair.exchange();
    }
    // What is closed leaves room for others.
    for id in ids {
        pair.client.close(id);
        pair.exchange();
        pair.relay.close(id);
    }
    let id = pair.connect();
    let mut again = 0;
    while let Ok(count @ 1..) = pair.client.write(id, &data) {
        again += count;
        pair.exchange();
    }
    assert!(again >= up[0], "{again}");
}

#[test]
fn datagrams_for_a_client_that_does_not_read_are_bounded_whatever_credit_it_gives() {
    let mut pair = Pair::new(&Config::default());
    let id = pair
        .client
        .open_udp(UdpTarget::Connected(there()), UdpOptions::default())
        .expect("room for a socket");
    pair.exchange();
    pair.relay.accept(id, here(), here()).expect("asked for");
    pair.exchange();
    let more = u32::MAX - Config::default().datagram_window;
    let credit = Frame::Credit { id, more };
    pair.relay.receive(pair.now, credit.encode().freeze());
    let sent = (0..1000)
        .filter(|_| pair.relay.send_datagram(id, None, &[7; 9_936], false) == Ok(true))
        .count();
    assert_eq!(sent, 26);
}

#[test]
fn an_answer_may_cross_a_cancellation() {
    let mut pair = Pair::new(&Config::default());
    let id = pair
        .client
        .connect(there(), TcpOptions::default())
        .expect("room for a stream");
    pair.exchange();
    pair.client.close(id);
    pair.relay
        .accept(id, here(), here())
        .expect("not yet known");
    pair.exchange();
    assert_eq!((pair.client.closed(), pair.relay.closed()), (None, None));
    assert_eq!(pair.client.open_count(), 0);
    pair.relay.close(id);
    assert_eq!(pair.relay.open_count(), 0);
}

/// Only a relay takes less than there was.
#[test]
fn a_client_that_says_it_cut_a_datagram_short_breaks_the_rules() {
    let mut pair = Pair::new(&Config::default());
    let id = pair
        .client
        .open_udp(UdpTarget::Connected(there()), UdpOptions::default())
        .expect("room for a socket");
    pair.exchange();
    pair.relay.accept(id, here(), here()).expect("asked for");
    pair.exchange();
    assert_eq!(pair.relay.send_datagram(id, None, &[7], true), Ok(true));
    pair.exchange();
    let received = pair.client.receive_datagram(id).expect("open");
    assert!(received.expect("a datagram").truncated);
    let cut = Frame::Datagram {
        id,
        peer: None,
        truncated: true,
        data: [7].to_vec().into(),
    };
    pair.relay.receive(pair.now, cut.encode().freeze());
    let reason = pair.relay.closed().expect("it is over");
    assert_eq!(reason.code(), Code::PROTOCOL_ERROR);
}

#[test]
fn datagrams_beyond_the_credit_are_dropped_and_counted() {
    let mut pair = Pair::new(&Config::default());
    let id = pair
        .client
        .open_udp(UdpTarget::Connected(there()), UdpOptions::default())
        .expect("room for a socket");
    pair.exchange();
    pair.relay.accept(id, here(), here()).expect("asked for");
    pair.exchange();
    let sent = (0..100)
        .filter(|_| pair.relay.send_datagram(id, None, &[7; 9_936], false) == Ok(true))
        .count();
    // 262,144 / (9,936 + 64).
    assert_eq!(sent, 26);
    pair.exchange();
    assert_eq!(pair.client.dropped(id), 74);
    let mut received = 0;
    while let Ok(Some(datagram)) = pair.client.receive_datagram(id) {
        assert_eq!(datagram.data.len(), 9_936);
        received += 1;
    }
    assert_eq!(received, 26);
    pair.exchange();
    assert_eq!(
        pair.relay.send_datagram(id, None, &vec![7; 60_000], false),
        Ok(true)
    );
}

#[test]
fn who_is_not_let_in_learns_why_instead_of_a_greeting() {
    let now = time::now();
    let denied = Reason::new(Code::DENIED, "not you");
    let mut client = Mux::new(Role::Client, Config::default(), now);
    let id = client
        .connect(there(), TcpOptions::default())
        .expect("room for a stream");
    client.receive(now, Frame::GoAway(denied.clone()).encode().freeze());
    assert_eq!(client.closed(), Some(&denied));
    assert_eq!(client.poll_event(), Some(Event::GoAway(denied.clone())));
    let reset = Event::Reset {
        id,
        reason: denied.clone(),
    };
    assert_eq!(client.poll_event(), Some(reset));
    assert_eq!(client.connect(there(), TcpOptions::default()), Err(denied));
    // What lets that live on which is open has nothing of the sort here.
    let mut client = Mux::new(Role::Client, Config::default(), now);
    let leaving = Reason::new(Code::GOING_AWAY, "restarting");
    client.receive(now, Frame::GoAway(leaving.clone()).encode().freeze());
    assert_eq!(client.closed(), Some(&leaving));
}

#[test]
fn a_relay_that_goes_says_when_to_come_back() {
    for (said, told) in [(7, 7), (1_000_000, 60)] {
        let mut pair = Pair::new(&Config::default());
        let said = Duration::from_secs(said);
        pair.relay.go_away("restarting", said);
        pair.exchange();
        let until = pair.client.come_back().expect("told");
        assert_eq!(until, pair.now + Duration::from_secs(told));
    }
    // A client has no say in when the relay comes.
    let mut pair = Pair::new(&Config::default());
    let after = Duration::from_secs(7);
    let frame = Frame::ComeBack { after }.encode().freeze();
    pair.relay.receive(pair.now, frame);
    let reason = pair.relay.closed().expect("a breach");
    assert_eq!(reason.code(), Code::PROTOCOL_ERROR);
}

/// A relay that says no by itself tells whoever drives it, for the records.
#[test]
fn what_is_declined_at_once_is_told_at_the_relay_too() {
    let mut pair = Pair::new(&Config::default());
    let id = (pair.client.connect(there(), TcpOptions::default())).expect("room for a stream");
    pair.relay.go_away("restarting", Duration::ZERO);
    let mut events = pair.exchange().into_iter();
    let declined = events.find_map(|event| match event {
        Event::Declined { asked, reason } => Some((*asked, reason)),
        _ => None,
    });
    let (asked, reason) = declined.expect("it was declined");
    assert!(
        matches!(asked, Event::Connect { id: of, .. } if of == id),
        "{asked:?}"
    );
    assert_eq!(reason, Reason::new(Code::GOING_AWAY, "restarting"));
}

#[test]
fn going_away_keeps_what_is_open() {
    let mut pair = Pair::new(&Config::default());
    let id = pair.connect();
    pair.relay.go_away("restarting", Duration::ZERO);
    pair.exchange();
    assert_eq!(pair.client.come_back(), None);
    let reason = pair.client.connect(there(), TcpOptions::default());
    assert_eq!(reason, Err(Reason::new(Code::GOING_AWAY, "restarting")));
    assert_eq!(pair.client.write(id, b"still here"), Ok(10));
    pair.exchange();
    assert!(matches!(pair.relay.read(id), Ok(Read::Data(_))));
}
