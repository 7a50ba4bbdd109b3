use std::time::Duration;

use super::*;
use crate::codec::OptionNumber;
use crate::core::{Limits, Received};

fn layer() -> DatagramLayer {
    DatagramLayer::new(DatagramConfig::default(), Limits::default(), 7)
}

const PEER: Peer = Peer::Connected;

fn get(token: &str) -> Message {
    let mut message = Message::new(Code::GET);
    message.set_token(token.parse().expect("a token"));
    let path = message.options_mut().add_text(OptionNumber::URI_PATH, "a");
    path.expect("a path");
    message
}

fn content(token: &str) -> Message {
    let mut message = Message::new(Code::CONTENT);
    message.set_token(token.parse().expect("a token"));
    message.payload = "22.3".into();
    message
}

/// What it sends now.
fn sent(layer: &mut DatagramLayer, now: Instant) -> Vec<Datagram> {
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    while layer.transmit(now, &mut bytes).is_some() {
        all.push(Datagram::decode(&bytes).expect("it sends messages"));
        bytes.clear();
    }
    all
}

fn events(layer: &mut DatagramLayer) -> Vec<LayerEvent> {
    std::iter::from_fn(|| layer.poll_event()).collect()
}

fn arrives(layer: &mut DatagramLayer, now: Instant, datagram: &Datagram) {
    let done = layer.receive(now, PEER, &datagram.to_bytes());
    done.expect("nothing that arrives ends it");
}

fn received(layer: &mut DatagramLayer) -> Received {
    let mut events = events(layer).into_iter();
    let found = events.find_map(|event| match event {
        LayerEvent::Received(received) => Some(received),
        _ => None,
    });
    found.expect("a message")
}

const CON: MessageType = MessageType::Confirmable;
const NON: MessageType = MessageType::NonConfirmable;
const ACK: MessageType = MessageType::Acknowledgement;
const RST: MessageType = MessageType::Reset;

#[test]
fn a_message_is_repeated_within_the_bounds_and_then_given_up() {
    for seed in 0..200 {
        let mut layer = DatagramLayer::new(DatagramConfig::default(), Limits::default(), seed);
        let parameters = TransmissionParameters::default();
        let begin = Instant::now();
        let id = layer
            .send(begin, PEER, get("t"), Reliability::Confirmable)
            .expect("room");
        let first = sent(&mut layer, begin);
        assert_eq!(events(&mut layer), [LayerEvent::Sent(id)]);
        let mut times = vec![begin];
        let failed = loop {
            let now = layer.deadline().expect("it is not over");
            layer.handle_deadline(now).expect("no error");
            let again = sent(&mut layer, now);
            if again.is_empty() {
                break now;
            }
            assert_eq!(again, first, "the same bytes");
            times.push(now);
        };
        let error = TransmissionError::TimedOut;
        assert_eq!(events(&mut layer), [LayerEvent::Failed(id, error)]);
        assert_eq!(times.len(), 5);
        let first = times[1] - times[0];
        assert!(first >= parameters.ack_timeout && first <= parameters.ack_timeout.mul_f64(1.5));
        for pair in times[1..].windows(2).zip(1..) {
            assert_eq!(pair.0[1] - pair.0[0], first * (1 << pair.1));
        }
        assert!(*times.last().expect("one") - begin <= parameters.max_transmit_span());
        assert!(failed - begin <= parameters.max_transmit_wait());
        assert_eq!(layer.deadline(), None);
    }
}

#[test]
fn the_empty_acknowledgement_of_a_separate_response_ends_the_repeating() {
    let (mut layer, now) = (layer(), Instant::now());
    let id = layer
        .send(now, PEER, get("t"), Reliability::Confirmable)
        .expect("room");
    let request = sent(&mut layer, now).remove(0);
    arrives(&mut layer, now, &Datagram::empty(ACK, request.id));
    assert_eq!(
        events(&mut layer),
        [LayerEvent::Sent(id), LayerEvent::Acknowledged(id)]
    );
    assert_eq!(layer.deadline(), None, "nothing is repeated");

    let response = Datagram::new(CON, MessageId(9), content("t"));
    arrives(&mut layer, now, &response);
    let received = received(&mut layer);
    layer.acknowledge(now, &received.reception);
    let acknowledgement = Datagram::empty(ACK, MessageId(9));
    assert_eq!(
        sent(&mut layer, now),
        std::slice::from_ref(&acknowledgement)
    );
    // The acknowledgement is lost, and the response comes again.
    arrives(&mut layer, now, &response);
    assert_eq!(events(&mut layer), []);
    assert_eq!(sent(&mut layer, now), [acknowledgement]);
}

#[test]
fn a_response_acknowledges_what_was_not() {
    let (mut layer, now) = (layer(), Instant::now());
    let id = layer
        .send(now, PEER, get("t"), Reliability::Confirmable)
        .expect("room");
    sent(&mut layer, now);
    arrives(
        &mut layer,
        now,
        &Datagram::new(NON, MessageId(9), content("t")),
    );
    let events = events(&mut layer);
    assert_eq!(events[1], LayerEvent::Acknowledged(id));
    assert!(matches!(events[2], LayerEvent::Received(_)));
    assert_eq!(layer.deadline(), None);
}

/// A notification on its way crosses the request that renews its observation: both have its token.
#[test]
fn an_answer_is_taken_though_another_acknowledged_its_request() {
    let (mut layer, now) = (layer(), Instant::now());
    layer
        .send(now, PEER, get("t"), Reliability::Confirmable)
        .expect("room");
    let request = sent(&mut layer, now).remove(0);
    let crossing = Datagram::new(NON, MessageId(9), content("t"));
    arrives(&mut layer, now, &crossing);
    events(&mut layer);
    let wrong = Datagram::new(ACK, request.id, content("u"));
    arrives(&mut layer, now, &wrong);
    assert_eq!(events(&mut layer), []);
    let answer = Datagram::new(ACK, request.id, content("t"));
    arrives(&mut layer, now, &answer);
    assert_eq!(received(&mut layer).message, content("t"));
    // Once.
    arrives(&mut layer, now, &answer);
    assert_eq!(events(&mut layer), []);
}

#[test]
fn a_piggybacked_response_must_have_id_and_token() {
    let (mut layer, now) = (layer(), Instant::now());
    let id = layer
        .send(now, PEER, get("t"), Reliability::Confirmable)
        .expect("room");
    let request = sent(&mut layer, now).remove(0);
    events(&mut layer);
    let other = MessageId(request.id.0.wrapping_add(1));
    arrives(&mut layer, now, &Datagram::new(ACK, other, content("t")));
    arrives(
        &mut layer,
        now,
        &Datagram::new(ACK, request.id, content("u")),
    );
    arrives(&mut layer, now, &Datagram::new(ACK, request.id, get("t")));
    assert_eq!(events(&mut layer), [], "none is ours");
    arrives(
        &mut layer,
        now,
        &Datagram::new(ACK, request.id, content("t")),
    );
    let events = events(&mut layer);
    assert_eq!(events[0], LayerEvent::Acknowledged(id));
    assert!(matches!(events[1], LayerEvent::Received(_)));
}

#[test]
fn a_request_is_answered_in_its_acknowledgement_or_separately() {
    let (mut layer, now) = (layer(), Instant::now());
    let request = Datagram::new(CON, MessageId(1), get("t"));
    arrives(&mut layer, now, &request);
    let first = received(&mut layer).reception;
    layer.respond(now, &first, content("")).expect("room");
    let answer = Datagram::new(ACK, MessageId(1), content("t"));
    assert_eq!(sent(&mut layer, now), std::slice::from_ref(&answer));
    arrives(&mut layer, now, &request);
    assert_eq!(sent(&mut layer, now), [answer], "the same again");

    arrives(&mut layer, now, &Datagram::new(CON, MessageId(2), get("u")));
    let second = received(&mut layer).reception;
    let later = layer.deadline().expect("the acknowledgement is due");
    layer.handle_deadline(later).expect("no error");
    assert_eq!(
        sent(&mut layer, later),
        [Datagram::empty(ACK, MessageId(2))]
    );
    layer.respond(later, &second, content("")).expect("room");
    let separate = sent(&mut layer, later).remove(0);
    assert_eq!(separate.message_type, CON);
    assert_eq!(separate.message, content("u"));
}

#[test]
fn duplicates_are_new_when_their_time_is_over() {
    let (mut layer, now) = (layer(), Instant::now());
    let parameters = TransmissionParameters::default();
    for (message_type, lifetime) in [
        (CON, parameters.exchange_lifetime()),
        (NON, parameters.non_lifetime()),
    ] {
        let message = Datagram::new(message_type, MessageId(1), get("t"));
        let moment = Duration::from_millis(1);
        for (after, is_new) in [
            (Duration::ZERO, true),
            (moment, false),
            (lifetime.saturating_sub(moment), false),
            (lifetime, true),
        ] {
            arrives(&mut layer, now + after, &message);
            let new = events(&mut layer)
                .iter()
                .any(|event| matches!(event, LayerEvent::Received(_)));
            assert_eq!(new, is_new, "{message_type} after {after:?}");
        }
        layer = self::layer();
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let limits = Limits {
        max_remembered_messages: 4,
        max_remembered_bytes: 20,
        ..Limits::default()
    };
    let mut layer = DatagramLayer::new(DatagramConfig::default(), limits, 7);
    let now = Instant::now();
    let request = |id| Datagram::new(CON, MessageId(id), get("t"));
    let mut acknowledged = 0;
    for id in 0..100 {
        arrives(&mut layer, now, &request(id));
        let reception = received(&mut layer).reception;
        if id % 3 == 0 {
            layer.respond(now, &reception, content("")).expect("room");
        }
        acknowledged += sent(&mut layer, now).len();
        events(&mut layer);
    }
    // What was to be forgotten and not answered was acknowledged: its response comes by itself.
    assert!(acknowledged >= 96, "{acknowledged}");
    // The last is known, the first is not any more.
    arrives(&mut layer, now, &request(99));
    assert_eq!(events(&mut layer), []);
    arrives(&mut layer, now, &request(0));
    received(&mut layer);
}

#[test]
fn one_interaction_at_a_time_and_a_bounded_queue() {
    let config = DatagramConfig {
        queue_capacity: 2,
        ..DatagramConfig::default()
    };
    let mut layer = DatagramLayer::new(config, Limits::default(), 7);
    let now = Instant::now();
    let send = |layer: &mut DatagramLayer, token| {
        layer.send(now, PEER, get(token), Reliability::Confirmable)
    };
    let ids: Vec<_> = ["a", "b", "c"]
        .map(|token| send(&mut layer, token).expect("room"))
        .into();
    assert_eq!(send(&mut layer, "d"), Err(SendError::QueueFull(2)));
    let first = sent(&mut layer, now);
    assert_eq!(first.len(), 1);
    arrives(&mut layer, now, &Datagram::empty(ACK, first[0].id));
    let second = sent(&mut layer, now);
    assert_eq!(second[0].message, get("b"));
    layer.cancel(now, ids[2]);
    arrives(&mut layer, now, &Datagram::empty(RST, second[0].id));
    assert_eq!(sent(&mut layer, now), [], "the third was cancelled");
    let failed = LayerEvent::Failed(ids[1], TransmissionError::Reset);
    assert_eq!(events(&mut layer).last(), Some(&failed));
}

#[test]
fn a_cancelled_message_lets_the_next_one_go() {
    let (mut layer, now) = (layer(), Instant::now());
    let first = layer
        .send(now, PEER, get("a"), Reliability::Confirmable)
        .expect("room");
    layer
        .send(now, PEER, get("b"), Reliability::Confirmable)
        .expect("room");
    layer.cancel(now, first);
    let sent = sent(&mut layer, now);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].message, get("b"));
}

#[test]
fn a_ping_is_answered_with_a_reset() {
    let (mut layer, now) = (layer(), Instant::now());
    arrives(&mut layer, now, &Datagram::empty(CON, MessageId(5)));
    assert_eq!(sent(&mut layer, now), [Datagram::empty(RST, MessageId(5))]);
    let id = layer.ping(now, PEER).expect("room");
    let ping = sent(&mut layer, now).remove(0);
    assert_eq!((ping.message_type, ping.message.code()), (CON, Code::EMPTY));
    arrives(&mut layer, now, &Datagram::empty(RST, ping.id));
    let events = events(&mut layer);
    assert_eq!(events.last(), Some(&LayerEvent::Acknowledged(id)));
}

#[test]
fn what_is_malformed_is_rejected_or_ignored() {
    for (bytes, answer) in [
        // RFC 7252, section 3: no message, and another version.
        (&b"\x40\x01\x00"[..], None),
        (b"\x80\x01\x00\x07", None),
        // Section 4.2: a reset for a CON.
        (b"\x49\x01\x00\x07", Some(7)),
        (b"\x41\x00\x00\x07a", Some(7)),
        (b"\x40\x20\x00\x07", Some(7)),
        (b"\x40\xe1\x00\x07", Some(7)),
        (b"\x40\x01\x00\x07\xff", Some(7)),
        (b"\x40\x01\x00\x07\x15a", Some(7)),
        // Section 4.3: nothing for a NON, and for what acknowledges and resets.
        (b"\x50\x00\x00\x07", None),
        (b"\x59\x01\x00\x07", None),
        (b"\x60\x01\x00\x07", None),
        (b"\x69\x01\x00\x07", None),
        (b"\x70\x01\x00\x07", None),
    ] {
        let (mut layer, now) = (layer(), Instant::now());
        layer.receive(now, PEER, bytes).expect("it goes on");
        let answer: Vec<_> = answer
            .map(|id| Datagram::empty(RST, MessageId(id)))
            .into_iter()
            .collect();
        assert_eq!(sent(&mut layer, now), answer, "{bytes:x?}");
        assert_eq!(events(&mut layer), []);
    }
    let (mut layer, now) = (layer(), Instant::now());
    let cut = layer.receive_truncated(now, PEER, b"\x40\x01\x00\x07\xffab");
    cut.expect("it goes on");
    assert_eq!(sent(&mut layer, now), [Datagram::empty(RST, MessageId(7))]);
}

#[test]
fn a_notification_may_be_reset() {
    let (mut layer, now) = (layer(), Instant::now());
    let id = layer
        .send(now, PEER, content("t"), Reliability::NonConfirmable)
        .expect("room");
    let notification = sent(&mut layer, now).remove(0);
    let later = now + Duration::from_secs(100);
    arrives(&mut layer, later, &Datagram::empty(RST, notification.id));
    let reset = LayerEvent::Failed(id, TransmissionError::Reset);
    assert_eq!(events(&mut layer).last(), Some(&reset));

    // On the other side.
    arrives(
        &mut layer,
        now,
        &Datagram::new(NON, MessageId(1), content("t")),
    );
    let reception = received(&mut layer).reception;
    layer.reject(now, &reception);
    assert_eq!(sent(&mut layer, now), [Datagram::empty(RST, MessageId(1))]);
    arrives(
        &mut layer,
        now,
        &Datagram::new(CON, MessageId(2), content("t")),
    );
    let reception = received(&mut layer).reception;
    layer.reject(now, &reception);
    layer.acknowledge(now, &reception);
    assert_eq!(sent(&mut layer, now), [Datagram::empty(RST, MessageId(2))]);
}

#[test]
fn requests_that_nobody_answers_are_paced() {
    let mut config = DatagramConfig::default();
    config.transmission.probing_rate = 2;
    let mut layer = DatagramLayer::new(config, Limits::default(), 7);
    let now = Instant::now();
    for token in ["a", "b", "c"] {
        layer
            .send(now, PEER, get(token), Reliability::NonConfirmable)
            .expect("room");
    }
    let first = sent(&mut layer, now);
    assert_eq!(first.len(), 1);
    let pause = Duration::from_secs(first[0].encoded_len() as u64) / 2;
    assert_eq!(layer.deadline(), Some(now + pause));
    layer.handle_deadline(now + pause).expect("no error");
    assert_eq!(sent(&mut layer, now + pause).len(), 1);
    // An answer lets the next one go at once.
    let answer = Datagram::new(NON, MessageId(1), content("b"));
    arrives(&mut layer, now + pause, &answer);
    assert_eq!(sent(&mut layer, now + pause)[0].message, get("c"));
}

#[test]
fn groups_get_no_confirmable_messages_and_many_answer() {
    let (mut layer, now) = (layer(), Instant::now());
    let group = Peer::Address("224.0.1.187:5683".parse().expect("an address"));
    let refused = layer.send(now, group, get("t"), Reliability::Confirmable);
    assert_eq!(refused, Err(SendError::ConfirmableToGroup));
    layer
        .send(now, group, get("t"), Reliability::NonConfirmable)
        .expect("room");
    assert_eq!(sent(&mut layer, now).len(), 1);
    for host in 1..4 {
        let from = Peer::Address(([192, 0, 2, host], 5683).into());
        let answer = Datagram::new(NON, MessageId(1), content("t")).to_bytes();
        layer.receive(now, from, &answer).expect("it goes on");
        assert_eq!(received(&mut layer).reception.from(), from);
    }
}

#[test]
fn a_member_of_a_group_takes_its_leisure() {
    let leisure = Duration::from_secs(5);
    let config = DatagramConfig {
        leisure: Some(leisure),
        ..DatagramConfig::default()
    };
    let mut layer = DatagramLayer::new(config, Limits::default(), 7);
    let now = Instant::now();
    arrives(&mut layer, now, &Datagram::new(NON, MessageId(1), get("t")));
    let reception = received(&mut layer).reception;
    layer.respond(now, &reception, content("")).expect("room");
    assert_eq!(sent(&mut layer, now), []);
    let later = layer.deadline().expect("it is due");
    assert!(later > now && later <= now + leisure);
    layer.handle_deadline(later).expect("no error");
    let response = sent(&mut layer, later).remove(0);
    assert_eq!(
        (response.message_type, response.message),
        (NON, content("t"))
    );
}

#[test]
fn what_can_not_be_sent_is_told() {
    let (mut layer, now) = (layer(), Instant::now());
    let mut large = content("t");
    large.payload = vec![0; 2000].into();
    let refused = layer.send(now, PEER, large, Reliability::Confirmable);
    assert!(matches!(
        refused,
        Err(SendError::TooLarge { limit: 1152, .. })
    ));
    let id = layer
        .send(now, PEER, get("t"), Reliability::Confirmable)
        .expect("room");
    let kind = io::ErrorKind::NetworkUnreachable;
    loop {
        let now = layer.deadline().unwrap_or(now);
        if !sent(&mut layer, now).is_empty() {
            layer.send_failed(now, PEER, &kind.into());
        } else if layer.deadline().is_none() {
            break;
        }
        layer.handle_deadline(now).expect("no error");
    }
    let failed = LayerEvent::Failed(id, TransmissionError::Unsendable(kind));
    assert_eq!(events(&mut layer).last(), Some(&failed));
}

#[test]
fn a_closed_port_fails_what_was_sent_to_a_peer_never_heard() {
    for reliability in [Reliability::Confirmable, Reliability::NonConfirmable] {
        let (mut layer, now) = (layer(), Instant::now());
        let id = layer.send(now, PEER, get("t"), reliability).expect("room");
        let next = layer.send(now, PEER, get("u"), reliability).expect("room");
        assert_eq!(sent(&mut layer, now).len(), 1, "one at a time");
        events(&mut layer);
        let kind = io::ErrorKind::ConnectionRefused;
        layer.unreachable(now, PEER, &kind.into());
        let failed = LayerEvent::Failed(id, TransmissionError::Unsendable(kind));
        assert_eq!(events(&mut layer), [failed]);
        assert_eq!(sent(&mut layer, now).len(), 1, "the next has its turn");
        layer.cancel(now, next);
    }
}

#[test]
fn a_closed_port_of_a_peer_that_was_heard_is_a_hint_only() {
    let (mut layer, now) = (layer(), Instant::now());
    layer
        .send(now, PEER, get("t"), Reliability::Confirmable)
        .expect("room");
    let request = sent(&mut layer, now).remove(0);
    arrives(&mut layer, now, &Datagram::empty(ACK, request.id));
    layer
        .send(now, PEER, get("u"), Reliability::Confirmable)
        .expect("room");
    assert_eq!(sent(&mut layer, now).len(), 1);
    events(&mut layer);
    let refused = io::ErrorKind::ConnectionRefused.into();
    layer.unreachable(now, PEER, &refused);
    assert_eq!(events(&mut layer), []);
    let due = layer.deadline().expect("it is repeated");
    layer.handle_deadline(due).expect("no error");
    assert_eq!(sent(&mut layer, due).len(), 1);
}

#[test]
fn peers_are_bounded_and_the_idle_make_room() {
    let limits = Limits {
        max_peers: 2,
        ..Limits::default()
    };
    let mut layer = DatagramLayer::new(DatagramConfig::default(), limits, 7);
    let now = Instant::now();
    let peer = |host| Peer::Address(([192, 0, 2, host], 5683).into());
    for host in 1..3 {
        layer
            .send(now, peer(host), get("t"), Reliability::Confirmable)
            .expect("room");
    }
    let third = layer.send(now, peer(3), get("t"), Reliability::Confirmable);
    assert_eq!(third, Err(SendError::TooManyPeers(2)));
    let request = sent(&mut layer, now).remove(0);
    let reset = Datagram::empty(RST, request.id).to_bytes();
    layer.receive(now, peer(1), &reset).expect("it goes on");
    layer
        .send(now, peer(3), get("t"), Reliability::Confirmable)
        .expect("the first is idle");
}

#[test]
fn closing_lets_what_waits_go_out() {
    let (mut layer, now) = (layer(), Instant::now());
    arrives(&mut layer, now, &Datagram::new(CON, MessageId(1), get("t")));
    let id = layer
        .send(now, PEER, get("u"), Reliability::Confirmable)
        .expect("room");
    layer.close(now);
    let refused = layer.send(now, PEER, get("v"), Reliability::Confirmable);
    assert_eq!(refused, Err(SendError::Closing));
    assert_eq!(
        sent(&mut layer, now).len(),
        2,
        "the request and the acknowledgement"
    );
    assert!(!layer.is_finished());
    layer.cancel(now, id);
    assert!(layer.is_finished());
}
