//! Listening for the client.

mod common;

use std::net::SocketAddr;

use common::{Client, TestRelay, config, token, within};
use jackfield_relay_wire::{Code, Frame, Id, Reason, UdpTarget};
use jackfield_relayd::record::{Action, Decision};
use jackfield_socket::UdpOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn listen(client: &mut Client, at: &str, credit: u32) -> (Id, SocketAddr) {
    let asked = client.ask_to_listen(at, credit).await;
    match client.frame().await {
        Frame::Opened {
            id,
            credit: 0,
            local: Some(local),
            remote: None,
        } if id == asked => (id, local),
        other => panic!("{other:?}"),
    }
}

async fn inbound(client: &mut Client, from: Id) -> (Id, SocketAddr, SocketAddr) {
    match client.frame().await {
        Frame::Inbound {
            id,
            listener,
            local,
            remote,
            ..
        } if listener == from => (id, local, remote),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_comes_in_with_its_peers_address() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (listener, local) = listen(&mut client, "127.0.0.1:0", 4).await;
    let mut peer = TcpStream::connect(local).await.expect("it listens");
    let (id, at, remote) = inbound(&mut client, listener).await;
    assert_eq!(at, local);
    assert_eq!(remote, peer.local_addr().expect("connected"));

    let data: bytes::Bytes = b"welcome".to_vec().into();
    client.send(&Frame::Data { id, data }).await;
    let mut read = [0; 7];
    within(peer.read_exact(&mut read)).await.expect("open");
    assert_eq!(&read, b"welcome");
    peer.write_all(b"thanks").await.expect("open");
    peer.shutdown().await.expect("open");
    let (data, reset) = client.read_to_end(id, &mut 0).await;
    assert_eq!((&*data, reset), (&b"thanks"[..], None));
    client.send(&Frame::Fin { id }).await;
    assert_eq!(within(peer.read(&mut read)).await.expect("in order"), 0);
}

/// Behind a NAT, and records have the machine's own.
#[tokio::test]
async fn a_client_is_told_where_others_reach_it() {
    let mut token = token();
    let rules = [
        "127.0.0.1:* as 203.0.113.7",
        "127.0.0.1:*/udp as 203.0.113.7",
    ];
    token.policy.listen = rules.map(|rule| rule.parse().expect(rule)).into();
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let (listener, local) = listen(&mut client, "127.0.0.1:0", 4).await;
    assert_eq!(local.ip().to_string(), "203.0.113.7");
    let here = SocketAddr::from(([127, 0, 0, 1], local.port()));
    let record = recorded.next().await;
    assert_eq!(record.address, Some(here));
    assert_eq!(record.basis.rule.as_deref(), Some(rules[0]));
    let _peer = TcpStream::connect(here).await.expect("it listens");
    let (_, at, _) = inbound(&mut client, listener).await;
    assert_eq!(at, local);

    let at = "127.0.0.1:0".parse().expect("an address");
    let asked = client.new_id();
    client
        .send(&Frame::Udp {
            id: asked,
            credit: 0,
            target: UdpTarget::Bound(at),
            options: UdpOptions::default(),
        })
        .await;
    loop {
        match client.frame().await {
            Frame::Opened { id, local, .. } if id == asked => {
                let local = local.expect("an address");
                break assert_eq!(local.ip().to_string(), "203.0.113.7");
            }
            Frame::Refused { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn connections_wait_until_the_client_can_have_them() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (listener, local) = listen(&mut client, "127.0.0.1:0", 1).await;
    let first = TcpStream::connect(local).await.expect("it listens");
    let second = TcpStream::connect(local).await.expect("it listens");
    let (_, _, remote) = inbound(&mut client, listener).await;
    assert_eq!(remote, first.local_addr().expect("connected"));
    // An answer to this comes before anything that was not allowed would.
    let ping = Frame::Ping([1; 8]);
    client.send(&ping).await;
    assert_eq!(client.frame().await, Frame::Pong([1; 8]));
    let id = listener;
    client.send(&Frame::Credit { id, more: 1 }).await;
    let (_, _, remote) = inbound(&mut client, listener).await;
    assert_eq!(remote, second.local_addr().expect("connected"));
}

#[tokio::test]
async fn closing_a_listener_frees_its_port_and_leaves_its_streams() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (listener, local) = listen(&mut client, "127.0.0.1:0", 4).await;
    let mut peer = TcpStream::connect(local).await.expect("it listens");
    let (id, _, _) = inbound(&mut client, listener).await;
    let reason = Reason::new(Code::CANCELLED, "");
    client
        .send(&Frame::Reset {
            id: listener,
            reason,
        })
        .await;
    let (_, again) = listen(&mut client, &local.to_string(), 4).await;
    assert_eq!(again, local);
    let data: bytes::Bytes = b"still here".to_vec().into();
    client.send(&Frame::Data { id, data }).await;
    let mut read = [0; 10];
    within(peer.read_exact(&mut read)).await.expect("open");
    assert_eq!(&read, b"still here");
}

#[tokio::test]
async fn only_what_is_granted_is_listened_at() {
    let mut token = token();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    token.policy.listen = vec![format!("127.0.0.1:{port}").parse().expect("a rule")];
    let (relay, mut recorded) = TestRelay::start_recorded(config(token.clone())).await;
    let mut client = relay.client().await;
    for (at, expected) in [
        ("0.0.0.0:0".to_owned(), Code::DENIED),
        ("127.0.0.2:0".to_owned(), Code::DENIED),
        ("[::1]:0".to_owned(), Code::DENIED),
        ("[::]:0".to_owned(), Code::DENIED),
        (format!("127.0.0.1:{}", port ^ 1), Code::DENIED),
        (format!("127.0.0.1:{port}"), Code::ADDRESS_IN_USE),
        // The one port of the rule is the candidate for "any".
        ("127.0.0.1:0".to_owned(), Code::ADDRESS_IN_USE),
    ] {
        let asked = client.ask_to_listen(&at, 1).await;
        let reason = client.refusal(asked).await;
        assert_eq!(reason.code(), expected, "{at}: {reason}");
        if expected == Code::DENIED {
            recorded.denied(&at, None).await;
        } else {
            let rule = format!("127.0.0.1:{port}");
            let outcome = expected.to_string();
            recorded
                .decision(Decision::Allow, Some(&rule), &outcome)
                .await;
        }
    }
    drop(taken);
    let (_, local) = listen(&mut client, "127.0.0.1:0", 1).await;
    assert_eq!(local.port(), port);

    token.policy.listen.clear();
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let asked = client.ask_to_listen("127.0.0.1:0", 1).await;
    assert_eq!(client.refusal(asked).await.code(), Code::DENIED);
    recorded.denied("127.0.0.1:0", None).await;
}

/// Who has no place is turned away, and that is recorded: once for each address, and the others as a number.
#[tokio::test]
async fn a_connection_beyond_the_limit_is_recorded() {
    let mut token = token();
    token.limits.streams = 1;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let (listener, local) = listen(&mut client, "127.0.0.1:0", 9).await;
    recorded.next().await;
    let _first = TcpStream::connect(local).await.expect("it listens");
    inbound(&mut client, listener).await;
    let record = recorded.next().await;
    let accepted = (record.action, &*record.outcome);
    assert_eq!(accepted, (Action::Accept, "opened"));
    for _ in 0..3 {
        let mut turned = TcpStream::connect(local).await.expect("it listens");
        let read = within(turned.read(&mut [0])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    let outcome = Code::LIMIT_EXCEEDED.to_string();
    let record = recorded.decision(Decision::Deny, None, &outcome).await;
    assert_eq!((record.action, record.id), (Action::Accept, listener.get()));
    assert!(record.why.expect("a reason").contains("streams (1)"));
    drop(client);
    let ends = [recorded.next().await, recorded.next().await];
    let more = ends.iter().find_map(|end| end.more_denied);
    assert_eq!(more, Some(2), "{ends:?}");
}
