//! Limits, hostile clients, and the end.

mod common;

use std::time::Duration;

use common::{Client, ORIGIN, SECRET, TestRelay, config, keep, names, target, token, within};
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_relay_wire::{Code, Frame, Id, MAX_DATA, Reason, Settings};
use jackfield_relayd::Token;
use jackfield_relayd::limits::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_websockets::Message;

fn limited(change: impl FnOnce(&mut Limits)) -> Token {
    let mut token = token();
    change(&mut token.limits);
    token
}

/// Something that takes connections and keeps them.
async fn keeper() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    keep(listener)
}

#[tokio::test]
async fn streams_are_limited_over_all_sessions_of_a_token() {
    let relay = TestRelay::start(config(limited(|limits| limits.streams = 2))).await;
    let address = keeper().await;
    let (mut one, mut two) = (relay.client().await, relay.client().await);
    let (first, _) = one.connect(&address, 1024).await;
    two.connect(&address, 1024).await;
    names(&one.refused(&address).await, "streams (2)");
    names(&two.refused(&address).await, "streams (2)");
    // It comes back when a stream ends; the relay says nothing of that, so it may take a moment.
    let reason = Reason::new(Code::CANCELLED, "");
    one.send(&Frame::Reset { id: first, reason }).await;
    one.connect(&address, 1024).await;
}

#[tokio::test]
async fn dials_are_limited_in_time() {
    let relay = TestRelay::start(config(limited(|limits| limits.dials_per_second = 3))).await;
    let address = keeper().await;
    let mut client = relay.client().await;
    for _ in 0..3 {
        client.connect(&address, 1024).await;
    }
    names(&client.refused(&address).await, "dials_per_second (3)");
}

#[tokio::test]
async fn listeners_are_limited() {
    let relay = TestRelay::start(config(limited(|limits| limits.listeners = 1))).await;
    let mut client = relay.client().await;
    for refused in [false, true] {
        client.ask_to_listen("127.0.0.1:0", 1).await;
        match client.frame().await {
            Frame::Opened { .. } if !refused => {}
            Frame::Refused { reason, .. } if refused => names(&reason, "listeners (1)"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn sessions_are_limited() {
    let mut config = config(limited(|limits| limits.sessions = 2));
    config.max_sessions = 3;
    let relay = TestRelay::start(config).await;
    let _two = (relay.client().await, relay.client().await);
    let third = Client::upgrade(relay.address, ORIGIN, Some(SECRET)).await;
    let reason = third.expect("a WebSocket").last_word().await;
    let reason = reason.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_FULL, "{reason}");
    assert!(reason.text().contains("limit sessions"), "{reason}");
}

#[tokio::test]
async fn what_waits_for_a_session_is_limited() {
    let relay = TestRelay::start(config(limited(|limits| limits.buffer_bytes = 1_000_000))).await;
    let address = keeper().await;
    let mut client = relay.client().await;
    let mut credits = Vec::new();
    for _ in 0..20 {
        credits.push(client.connect(&address, 1024).await.1);
    }
    assert_eq!(credits[0], 1_000_000 / 16);
    assert_eq!(credits[19], 32 * 1024, "the least");
    let all: u32 = credits.iter().sum();
    assert!(all <= 1_000_000 + 20 * 32 * 1024, "{credits:?}");
}

#[tokio::test]
async fn bytes_are_limited() {
    let relay = TestRelay::start(config(limited(|limits| {
        limits.session_bytes = Some(100_000);
    })))
    .await;
    let (address, _) =
        target(|mut stream| async move { stream.write_all(&vec![7; 200_000]).await }).await;
    let mut client = relay.client().await;
    client.connect(&address, 1024 * 1024).await;
    names(
        &client.last_word().await.expect("a reason"),
        "session_bytes (100000)",
    );
}

#[tokio::test]
async fn a_session_in_which_nothing_is_open_ends() {
    let idle = Duration::from_millis(300);
    let relay = TestRelay::start(config(limited(|limits| limits.idle_deadline = idle))).await;
    let address = keeper().await;
    let (mut busy, mut client) = (relay.client().await, relay.client().await);
    busy.connect(&address, 1024).await;
    names(&client.last_word().await.expect("a reason"), "idle_seconds");
    busy.connect(&address, 1024).await;
}

#[tokio::test]
async fn a_dial_has_a_deadline() {
    // A name that is never found out.
    #[derive(Debug)]
    struct Silent;
    impl jackfield_relayd::resolve::Resolve for Silent {
        fn resolve(&self, _: &jackfield_socket::HostName) -> jackfield_relayd::resolve::Resolving {
            Box::pin(std::future::pending())
        }
    }
    let short = Duration::from_millis(200);
    let config = config(limited(|limits| limits.dial_deadline = short));
    let relay = TestRelay::start_with(config, Silent).await;
    let mut client = relay.client().await;
    let reason = client.refused("slow.example:7000").await;
    assert_eq!(reason.code(), Code::TIMED_OUT, "{reason}");
    // One that is cancelled is answered no more, and another goes on.
    let cancelled = client.ask("slow.example:7000", 1024).await;
    let reason = Reason::new(Code::CANCELLED, "");
    client
        .send(&Frame::Reset {
            id: cancelled,
            reason,
        })
        .await;
    client.connect(&keeper().await, 1024).await;
}

/// The code of the reason that a relay gives for ending the session of a client that does this.
async fn ends_with(relay: &TestRelay, hostile: Hostile) -> Code {
    let mut client = relay.client().await;
    let address = keeper().await;
    match hostile {
        Hostile::Garbage => client.send_raw(vec![0x7f; 100]).await,
        Hostile::Empty => client.send_raw(Vec::new()).await,
        Hostile::Text => {
            let sent = client.socket.send(Message::text("text")).await;
            sent.expect("open");
        }
        Hostile::SecondHello => client.send(&Frame::Hello(Settings::default())).await,
        Hostile::RelaysFrame => {
            let id = Id::new(1).expect("not 0");
            let frame = Frame::Opened {
                id,
                credit: 1,
                local: None,
                remote: None,
            };
            client.send(&frame).await;
        }
        Hostile::UnknownStream => {
            let id = Id::new(77).expect("not 0");
            client
                .send(&Frame::Data {
                    id,
                    data: vec![1].into(),
                })
                .await;
        }
        Hostile::IdTwice => {
            let (id, _) = client.connect(&address, 1024).await;
            let to = address.parse().expect("an address");
            let options = jackfield_socket::TcpOptions::default();
            client
                .send(&Frame::Connect {
                    id,
                    credit: 1,
                    to,
                    options,
                })
                .await;
        }
        Hostile::Overdraft => {
            let (id, credit) = client.connect(&address, 1024).await;
            let mut left = credit as usize + 9_000_000;
            while left > 0 {
                let count = left.min(MAX_DATA);
                let frame = Frame::Data {
                    id,
                    data: vec![0; count].into(),
                };
                // The relay may have hung up by now.
                if client
                    .socket
                    .send(Message::binary(frame.encode()))
                    .await
                    .is_err()
                {
                    break;
                }
                left -= count;
            }
        }
        Hostile::CreditBeyondCounting => {
            let (id, _) = client.connect(&address, u32::MAX).await;
            client.send(&Frame::Credit { id, more: u32::MAX }).await;
        }
    }
    client.last_word().await.expect("a reason").code()
}

#[derive(Clone, Copy, Debug)]
enum Hostile {
    Garbage,
    Empty,
    Text,
    SecondHello,
    RelaysFrame,
    UnknownStream,
    IdTwice,
    Overdraft,
    CreditBeyondCounting,
}

#[tokio::test]
async fn a_client_that_breaks_the_rules_is_told_and_nobody_else_suffers() {
    let relay = TestRelay::start(config(token())).await;
    let address = keeper().await;
    let mut neighbour = relay.client().await;
    for (hostile, expected) in [
        (Hostile::Garbage, Code::PROTOCOL_ERROR),
        (Hostile::Empty, Code::PROTOCOL_ERROR),
        (Hostile::Text, Code::PROTOCOL_ERROR),
        (Hostile::SecondHello, Code::PROTOCOL_ERROR),
        (Hostile::RelaysFrame, Code::PROTOCOL_ERROR),
        (Hostile::UnknownStream, Code::PROTOCOL_ERROR),
        (Hostile::IdTwice, Code::PROTOCOL_ERROR),
        (Hostile::Overdraft, Code::FLOW_CONTROL_ERROR),
        (Hostile::CreditBeyondCounting, Code::FLOW_CONTROL_ERROR),
    ] {
        let code = within(ends_with(&relay, hostile)).await;
        assert_eq!(code, expected, "{hostile:?}");
        neighbour.connect(&address, 1024).await;
    }
}

#[tokio::test]
async fn what_is_no_websocket_or_too_long_is_told_and_closed_with_websockets_own_code() {
    let relay = TestRelay::start(config(token())).await;
    // A message of 2^40 bytes, which is only announced; one that is not masked; and an unknown kind.
    let announced = [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let (unmasked, unknown) = ([0x82, 0x01, 0x00], [0x83, 0x80, 1, 2, 3, 4]);
    // Frames that are short, and with one byte more than a message may have.
    let frame = |first: u8, count: u16| {
        let mut frame = vec![first, 0xfe];
        frame.extend(count.to_be_bytes());
        frame.extend([0; 4]);
        frame.resize(frame.len() + usize::from(count), 7);
        frame
    };
    let one_more = [0x80, 0x81, 0, 0, 0, 0, 7].to_vec();
    let summed = [frame(0x02, 40_000), frame(0x00, 25_541), one_more].concat();
    for (bytes, expected) in [
        (&announced[..], 1009),
        (&summed[..], 1009),
        (&unmasked[..], 1002),
        (&unknown[..], 1002),
    ] {
        let mut client = relay.client().await;
        let stream = client.socket.get_mut();
        // What follows is not read, and cuts nothing off.
        let bytes = [bytes, &[0; 5000]].concat();
        stream.write_all(&bytes).await.expect("open");
        match client.frame().await {
            Frame::GoAway(reason) => assert_eq!(reason.code(), Code::PROTOCOL_ERROR, "{reason}"),
            other => panic!("{other:?}"),
        }
        let message = within(client.socket.next()).await.expect("a close");
        let message = message.expect("in order");
        let (code, _) = message.as_close().expect("nothing but the close");
        assert_eq!(u16::from(code), expected);
    }
    relay.client().await.connect(&keeper().await, 1024).await;
}

/// They wait for their answers to leave, as everything does.
#[tokio::test]
async fn pings_are_no_breach() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let pings = [0x89, 0x80, 1, 2, 3, 4].repeat(1000);
    let stream = client.socket.get_mut();
    stream.write_all(&pings).await.expect("open");
    client.connect(&keeper().await, 1024).await;
}

/// The client reads nothing, so that nothing more is read of it.
#[tokio::test]
async fn pings_whose_answers_nobody_reads_are_not_kept() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    // Of the longest: 64 MiB, which fit into no two sockets' buffers.
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[7; 125]].concat();
    let pings = ping.repeat(64 * 1024 * 1024 / ping.len());
    let (mut read, mut write) = tokio::io::split(client.socket.get_mut());
    let mut sent = 0;
    // Whether it is stuck can only be told by time; too short a time would pass as well.
    while let Ok(Ok(count)) =
        tokio::time::timeout(Duration::from_millis(500), write.write(&pings[sent..])).await
    {
        sent += count;
        assert!(sent < pings.len(), "somebody keeps them");
    }
    // As soon as somebody reads, it goes on.
    let mut answers = vec![0; 64 * 1024];
    let reading = async {
        loop {
            let count = read.read(&mut answers).await.expect("open");
            assert_ne!(count, 0, "it is open");
        }
    };
    tokio::select! {
        () = reading => {}
        written = within(write.write_all(&pings[sent..])) => written.expect("open"),
    }
}

#[tokio::test]
async fn a_relay_that_ends_says_so_and_lets_streams_finish() {
    let mut relay = TestRelay::start(config(token())).await;
    let (address, echo) = target(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    })
    .await;
    let (mut idle, mut busy) = (relay.client().await, relay.client().await);
    let (id, mut credit) = busy.connect(&address, 1024).await;
    relay.stop();
    let reason = idle.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY);

    match busy.frame().await {
        Frame::GoAway(reason) => assert_eq!(reason.code(), Code::GOING_AWAY),
        other => panic!("{other:?}"),
    }
    busy.send(&Frame::Data {
        id,
        data: vec![1, 2, 3].into(),
    })
    .await;
    busy.send(&Frame::Fin { id }).await;
    let (data, reset) = busy.read_to_end(id, &mut credit).await;
    assert_eq!((&*data, reset), (&[1, 2, 3][..], None));
    let reason = busy.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY);
    within(echo).await.expect("it ends").expect("in order");
    relay.stopped().await;
}
