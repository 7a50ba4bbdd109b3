//! A token that follows the first one within the connection: who may send it, when, and what answers it.

use std::time::Duration;

use jackfield_relay_wire::auth::Token;
use jackfield_relay_wire::{Code, Config, Event, Frame, Mux, Reason, Role};
use jackfield_socket::time;

const LEFT: Duration = Duration::from_mins(10);

/// A client and a relay that have greeted; this is what the relay says of the token.
fn pair(token_left: Option<Duration>) -> (Mux, Mux) {
    let mut config = Config::default();
    let mut client = Mux::new(Role::Client, config.clone(), time::now());
    config.settings.token_left = token_left;
    let mut relay = Mux::new(Role::Relay, config, time::now());
    exchange(&mut client, &mut relay);
    for end in [&mut client, &mut relay] {
        assert_eq!(end.poll_event(), Some(Event::Hello));
    }
    (client, relay)
}

fn exchange(client: &mut Mux, relay: &mut Mux) {
    while client.wants_transmit() || relay.wants_transmit() {
        if let Some(message) = client.transmit() {
            relay.receive(time::now(), message.freeze());
        }
        if let Some(message) = relay.transmit() {
            client.receive(time::now(), message.freeze());
        }
    }
}

fn token(text: &str) -> Token {
    Token::new(text).expect("short")
}

fn breach(mux: &Mux) -> &str {
    let reason = mux.closed().expect("a breach");
    assert_eq!(reason.code(), Code::PROTOCOL_ERROR, "{reason}");
    reason.text()
}

#[test]
fn a_token_is_answered_once_and_then_another_may_follow() {
    let (mut client, mut relay) = pair(Some(LEFT));
    let settings = client.peer_settings().expect("greeted");
    assert_eq!(settings.token_left, Some(LEFT));
    let refused = Reason::new(Code::TOKEN_EXPIRED, "it is over");
    for (nth, answer) in [
        Event::TokenRefused(refused.clone()),
        Event::TokenLeft(LEFT / 2),
        // However long, on the wire it is 49 days.
        Event::TokenLeft(Duration::from_millis(u32::MAX.into())),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(client.can_renew());
        let text = format!("token {nth}");
        client.renew(token(&text));
        assert!(!client.can_renew());
        // Until it is answered, no other leaves.
        client.renew(token("another"));
        exchange(&mut client, &mut relay);
        assert_eq!(relay.poll_event(), Some(Event::Token(token(&text))));
        assert_eq!(relay.poll_event(), None);
        match nth {
            0 => relay.refuse_token(refused.clone()),
            1 => relay.take_token(LEFT / 2),
            _ => relay.take_token(Duration::MAX),
        }
        // There is nothing more to answer.
        relay.take_token(LEFT);
        exchange(&mut client, &mut relay);
        assert_eq!(client.poll_event(), Some(answer));
        assert_eq!(client.poll_event(), None);
    }
    assert_eq!((client.closed(), relay.closed()), (None, None));
}

/// An older relay says nothing of it, and so does one whose client's token has no end.
#[test]
fn none_is_sent_where_none_is_taken() {
    let (mut client, mut relay) = pair(None);
    assert!(!client.can_renew());
    client.renew(token("a token"));
    assert!(!client.wants_transmit());
    let sent = Frame::Token(token("a token")).encode().freeze();
    relay.receive(time::now(), sent);
    assert_eq!(breach(&relay), "a token came where none is taken");
}

#[test]
fn neither_end_may_speak_out_of_turn() {
    let (mut client, mut relay) = pair(Some(LEFT));
    let sent = Frame::Token(token("a token")).encode().freeze();
    relay.receive(time::now(), sent.clone());
    assert_eq!(relay.closed(), None);
    relay.receive(time::now(), sent.clone());
    let text = "a token came before the last one was answered";
    assert_eq!(breach(&relay), text);
    client.receive(time::now(), sent);
    assert_eq!(breach(&client), "a token came where none is taken");
    let refused = Frame::TokenRefused(Reason::new(Code::DENIED, ""));
    for answer in [Frame::TokenLeft(LEFT), refused] {
        let (mut client, mut relay) = pair(Some(LEFT));
        let answer = answer.encode().freeze();
        client.receive(time::now(), answer.clone());
        assert_eq!(breach(&client), "a token was answered that was not sent");
        relay.receive(time::now(), answer);
        assert_eq!(breach(&relay), "a client sent what only a relay may");
    }
}

#[test]
fn a_token_is_never_printed() {
    let secret = token("s3cret");
    let shown = [
        format!("{:?}", Frame::Token(secret.clone())),
        format!("{:?}", Event::Token(secret)),
    ];
    assert!(
        shown.iter().all(|text| !text.contains("s3cret")),
        "{shown:?}"
    );
}
