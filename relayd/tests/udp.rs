//! Datagrams through the relay.

mod common;

use std::net::SocketAddr;

use common::{Client, TestRelay, config, token, within};
use jackfield_relay_wire::{Code, Frame, Id, MAX_DATAGRAM, UdpTarget, datagram_cost};
use jackfield_relayd::record::Decision;
use jackfield_socket::UdpOptions;
use tokio::net::UdpSocket;

async fn ask(client: &mut Client, target: UdpTarget, credit: u32) -> Id {
    let id = client.new_id();
    client
        .send(&Frame::Udp {
            id,
            credit,
            target,
            options: UdpOptions::default(),
        })
        .await;
    id
}

async fn open(client: &mut Client, target: UdpTarget) -> (Id, SocketAddr) {
    let asked = ask(client, target, 1024 * 1024).await;
    match client.frame().await {
        Frame::Opened {
            id,
            local: Some(local),
            ..
        } if id == asked => (id, local),
        other => panic!("{other:?}"),
    }
}

fn bound() -> UdpTarget {
    UdpTarget::Bound("127.0.0.1:0".parse().expect("an address"))
}

async fn send(client: &mut Client, id: Id, peer: Option<SocketAddr>, data: &[u8]) {
    let datagram = Frame::Datagram {
        id,
        peer,
        truncated: false,
        data: data.to_vec().into(),
    };
    client.send(&datagram).await;
}

async fn receive(client: &mut Client) -> (Id, Option<SocketAddr>, Vec<u8>) {
    loop {
        match client.frame().await {
            Frame::Datagram {
                id,
                peer,
                truncated: false,
                data,
            } => return (id, peer, data.to_vec()),
            Frame::Credit { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[tokio::test]
async fn a_connected_socket_speaks_with_its_peer_only() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (peer, address) = socket().await;
    let (id, local) = open(&mut client, UdpTarget::Connected(address.into())).await;
    let mut buffer = vec![0; 70_000];
    for data in [&b"small"[..], &[], &vec![7; MAX_DATAGRAM]] {
        send(&mut client, id, None, data).await;
        let (length, from) = within(peer.recv_from(&mut buffer)).await.expect("open");
        assert_eq!((&buffer[..length], from), (data, local));
        let (stranger, _) = socket().await;
        stranger.send_to(b"psst", local).await.expect("sent");
        peer.send_to(data, local).await.expect("sent");
        assert_eq!(receive(&mut client).await, (id, None, data.to_vec()));
    }
}

#[tokio::test]
async fn a_bound_socket_hears_those_it_has_sent_to() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (id, local) = open(&mut client, bound()).await;
    let (peer, address) = socket().await;
    peer.send_to(b"too early", local).await.expect("sent");
    // The relay has seen it when it has answered this.
    client.send(&Frame::Ping([2; 8])).await;
    assert_eq!(client.frame().await, Frame::Pong([2; 8]));
    send(&mut client, id, Some(address), b"hello").await;
    let mut buffer = [0; 100];
    let (length, from) = within(peer.recv_from(&mut buffer)).await.expect("open");
    assert_eq!((&buffer[..length], from), (&b"hello"[..], local));
    peer.send_to(b"hello yourself", local).await.expect("sent");
    let received = receive(&mut client).await;
    assert_eq!(received, (id, Some(address), b"hello yourself".to_vec()));
}

#[tokio::test]
async fn a_bound_socket_hears_everybody_where_that_is_granted() {
    let mut token = token();
    token.udp_open = true;
    let relay = TestRelay::start(config(token)).await;
    let mut client = relay.client().await;
    let (id, local) = open(&mut client, bound()).await;
    let (peer, address) = socket().await;
    peer.send_to(b"unasked", local).await.expect("sent");
    let received = receive(&mut client).await;
    assert_eq!(received, (id, Some(address), b"unasked".to_vec()));
}

#[tokio::test]
async fn each_datagram_is_authorised() {
    let mut token = token();
    let (peer, address) = socket().await;
    let (_, other) = socket().await;
    let rule = format!("{address}/udp");
    token.policy.allow = vec![rule.parse().expect(&rule)];
    let deny = format!("{other}/udp");
    token.policy.deny = vec![deny.parse().expect(&deny)];
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let (id, _) = open(&mut client, bound()).await;
    recorded.next().await;
    let mapped = format!("[::ffff:127.0.0.1]:{}", other.port());
    let denied = [
        (other, Some(&*deny)),
        ("169.254.169.254:80".parse().expect("an address"), None),
        (mapped.parse().expect("an address"), Some(&*deny)),
    ];
    for (to, rule) in denied {
        send(&mut client, id, Some(to), b"psst").await;
        recorded.datagrams(to, Decision::Deny, rule).await;
    }
    for _ in 0..2 {
        send(&mut client, id, Some(address), b"hello").await;
    }
    let allow = Some(&*rule);
    let record = recorded.datagrams(address, Decision::Allow, allow).await;
    assert_eq!(record.address, Some(address));
    let mut buffer = [0; 100];
    let (length, _) = within(peer.recv_from(&mut buffer)).await.expect("open");
    assert_eq!(&buffer[..length], b"hello");
    loop {
        match client.frame().await {
            Frame::Dropped { total: 3, .. } => break,
            Frame::Dropped { total: ..3, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let asked = ask(&mut client, UdpTarget::Connected(other.into()), 1024).await;
    assert_eq!(client.refusal(asked).await.code(), Code::DENIED);
    // Whom it knows has no further record.
    recorded.denied(&other.to_string(), Some(&deny)).await;
}

#[tokio::test]
async fn what_the_client_has_no_credit_for_is_dropped_and_counted() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (peer, address) = socket().await;
    let target = UdpTarget::Connected(address.into());
    let id = ask(&mut client, target, 2 * datagram_cost(100)).await;
    let local = match client.frame().await {
        Frame::Opened { local, .. } => local.expect("bound"),
        other => panic!("{other:?}"),
    };
    for number in 0..5 {
        peer.send_to(&[number; 100], local).await.expect("sent");
    }
    let (mut received, mut dropped) = (0, 0);
    while received < 2 || dropped < 3 {
        match client.frame().await {
            Frame::Datagram { data, .. } => {
                assert_eq!(&*data, &[received; 100]);
                received += 1;
            }
            Frame::Dropped { id: of, total } => {
                assert_eq!(of, id);
                dropped = total;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((received, dropped), (2, 3));
}

#[tokio::test]
async fn a_closed_port_is_told_and_the_socket_lives_on() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let (closed, peer) = socket().await;
    drop(closed);
    let (id, _) = open(&mut client, UdpTarget::Connected(peer.into())).await;
    for _ in 0..2 {
        send(&mut client, id, None, b"anybody").await;
        loop {
            match client.frame().await {
                Frame::Unreachable { id: of, reason } => {
                    assert_eq!((of, reason.code()), (id, Code::REFUSED));
                    break;
                }
                Frame::Credit { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let back = UdpSocket::bind(peer).await.expect("bind");
    send(&mut client, id, None, b"now").await;
    let mut buffer = [0; 16];
    let (count, from) = within(back.recv_from(&mut buffer)).await.expect("arrived");
    assert_eq!(&buffer[..count], b"now");
    back.send_to(b"here", from).await.expect("sent");
    assert_eq!(receive(&mut client).await, (id, None, b"here".to_vec()));
}
