//! Section 7: datagrams, their credit, and what is dropped.

use std::net::SocketAddr;

use bytes::Bytes;
use jackfield_relay_wire::{Capabilities, Code, Frame, Id, UdpTarget, datagram_cost};
use tokio::net::UdpSocket;

use super::case;
use crate::conformance::client::{Client, Opened, unexpected};
use crate::conformance::{Case, Checked, Step as _, Stop, Suite, ensure};

/// Carries any datagram.
const ROOM: u32 = 65_571 * 2;
/// More than there is credit for.
const SENT: u64 = 10;
const WITHOUT: &str = "the relay doesn't give the suite connected UDP";
const WITHOUT_BOUND: &str = "the relay doesn't give the suite bound UDP";

pub(super) const CASES: &[Case] = &[
    case!(
        datagrams_go_both_ways,
        "7",
        "DATAGRAM carries one, whole, an empty one too"
    ),
    case!(
        large_datagrams_are_whole,
        "7",
        "a datagram of 8,192 bytes is carried whole"
    ),
    case!(
        no_datagram_without_credit,
        "7",
        "the relay sends no datagram without credit, and counts what it drops"
    ),
    case!(
        too_much_credit_for_datagrams_is_an_error,
        "7",
        "more than 2^32-1 of credit is FLOW_CONTROL_ERROR"
    ),
    case!(
        connected_sockets_name_nobody,
        "7",
        "an address in DATAGRAM for a connected socket is an error"
    ),
    case!(
        bound_sockets_name_their_peer,
        "7",
        "DATAGRAM of a bound socket has an address, both ways"
    ),
    case!(
        bound_sockets_need_a_peer,
        "7",
        "DATAGRAM without an address for a bound socket is an error"
    ),
    case!(
        clients_cut_nothing_short,
        "7",
        "DATAGRAM with TRUNCATED from the client is an error"
    ),
    case!(
        streams_take_no_datagrams,
        "4",
        "DATA for a datagram socket is an error"
    ),
    case!(
        a_closed_port_does_not_end_it,
        "7",
        "a socket whose peer is away lives on"
    ),
];

/// A socket that is connected to one of the suite's, and that one.
async fn connected(
    suite: &Suite,
    credit: u32,
) -> Result<(Client, Opened, UdpSocket, SocketAddr), Stop> {
    let (peer, address) = suite.socket().await?;
    let granted = Capabilities::UDP_CONNECTED;
    let mut client = suite.client_with(granted, WITHOUT).await?;
    let target = UdpTarget::Connected(address.into());
    let socket = client.udp(target, credit).await?;
    Ok((client, socket, peer, address))
}

/// A socket that is bound at the suite's address.
async fn bound(suite: &Suite) -> Result<(Client, Opened), Stop> {
    let granted = Capabilities::UDP_BOUND;
    let mut client = suite.client_with(granted, WITHOUT_BOUND).await?;
    let target = UdpTarget::Bound(SocketAddr::new(suite.target, 0));
    let socket = client.udp(target, ROOM).await?;
    Ok((client, socket))
}

fn datagram(id: Id, data: impl Into<Bytes>) -> Frame {
    addressed(id, None, data)
}

fn addressed(id: Id, peer: Option<SocketAddr>, data: impl Into<Bytes>) -> Frame {
    Frame::Datagram {
        id,
        peer,
        truncated: false,
        data: data.into(),
    }
}

/// What one of the suite's own sockets hears next, and from whom.
async fn heard(peer: &UdpSocket) -> Result<(Vec<u8>, SocketAddr), Stop> {
    let mut room = vec![0; 65_536];
    let received = peer.recv_from(&mut room).await;
    let (count, from) = received.step("the peer receives")?;
    room.truncate(count);
    Ok((room, from))
}

async fn datagrams_go_both_ways(suite: &Suite) -> Checked {
    let (mut client, socket, peer, address) = connected(suite, ROOM).await?;
    let Opened {
        id, local, remote, ..
    } = socket;
    ensure!(
        remote == Some(address),
        "OPENED tells {remote:?}, not {address}"
    );
    for sent in [&b"one"[..], b"", b"three"] {
        client.send(&datagram(id, sent.to_vec())).await?;
        let (arrived, from) = heard(&peer).await?;
        ensure!(arrived == sent, "the peer received {arrived:?}");
        ensure!(
            local == Some(from),
            "OPENED told {local:?}, the peer sees {from}"
        );
        peer.send_to(sent, from).await.step("the peer sends")?;
        match client.frame_but_credit(id).await? {
            Frame::Datagram {
                peer: by,
                truncated: false,
                data,
                ..
            } => {
                ensure!(data == sent, "{data:?} came back for {sent:?}");
                ensure!(
                    by.is_none_or(|by| by == address),
                    "DATAGRAM says {by:?}, not {address}"
                );
            }
            other => return unexpected(&other, "DATAGRAM"),
        }
    }
    Ok(())
}

async fn large_datagrams_are_whole(suite: &Suite) -> Checked {
    let (mut client, socket, peer, _) = connected(suite, ROOM).await?;
    let sent: Vec<u8> = (0..8192_u32).map(|index| (index % 251) as u8).collect();
    client.send(&datagram(socket.id, sent.clone())).await?;
    let (arrived, from) = heard(&peer).await?;
    ensure!(arrived == sent, "the peer received {} bytes", arrived.len());
    peer.send_to(&sent, from).await.step("the peer sends")?;
    match client.frame_but_credit(socket.id).await? {
        Frame::Datagram {
            truncated: false,
            data,
            ..
        } => {
            ensure!(data == sent, "{} bytes came back", data.len());
            Ok(())
        }
        other => unexpected(&other, "DATAGRAM"),
    }
}

async fn no_datagram_without_credit(suite: &Suite) -> Checked {
    // For one of three bytes, and none more.
    let (mut client, socket, peer, _) = connected(suite, datagram_cost(3)).await?;
    client.send(&datagram(socket.id, "go")).await?;
    let (_, from) = heard(&peer).await?;
    for _ in 1..SENT {
        peer.send_to(b"one", from).await.step("the peer sends")?;
    }
    // What is dropped meanwhile is told before it.
    let (mut carried, mut dropped) = (0, 0);
    while carried == 0 {
        match client.frame_but_credit(socket.id).await? {
            Frame::Dropped { total, .. } => dropped = total,
            Frame::Datagram { .. } => carried += 1,
            other => return unexpected(&other, "DATAGRAM or DROPPED"),
        }
    }
    for frame in client.before_now().await? {
        let sent = matches!(frame, Frame::Datagram { .. });
        ensure!(!sent, "a second one came without credit");
    }
    let more = ROOM;
    client
        .send(&Frame::Credit {
            id: socket.id,
            more,
        })
        .await?;
    peer.send_to(b"end", from).await.step("the peer sends")?;
    loop {
        match client.frame_but_credit(socket.id).await? {
            Frame::Dropped { total, .. } => {
                ensure!(total > dropped, "DROPPED told {dropped}, then {total}");
                dropped = total;
            }
            Frame::Datagram { data, .. } => {
                carried += 1;
                if data == "end" {
                    break;
                }
            }
            other => return unexpected(&other, "DATAGRAM or DROPPED"),
        }
    }
    let all = carried + dropped;
    ensure!(
        all == SENT,
        "{carried} came and {dropped} were told dropped, of {SENT}"
    );
    Ok(())
}

async fn too_much_credit_for_datagrams_is_an_error(suite: &Suite) -> Checked {
    let (mut client, socket, ..) = connected(suite, ROOM).await?;
    let (id, more) = (socket.id, u32::MAX);
    client.send(&Frame::Credit { id, more }).await?;
    client.ends_with(Code::FLOW_CONTROL_ERROR).await
}

async fn connected_sockets_name_nobody(suite: &Suite) -> Checked {
    let (mut client, socket, _peer, address) = connected(suite, ROOM).await?;
    client
        .send(&addressed(socket.id, Some(address), "x"))
        .await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn bound_sockets_name_their_peer(suite: &Suite) -> Checked {
    let (peer, address) = suite.socket().await?;
    let (mut client, socket) = bound(suite).await?;
    let Opened {
        id, local, remote, ..
    } = socket;
    ensure!(
        remote.is_none(),
        "OPENED of a bound socket has a remote address"
    );
    client.send(&addressed(id, Some(address), "to you")).await?;
    let (arrived, from) = heard(&peer).await?;
    ensure!(arrived == b"to you", "the peer received {arrived:?}");
    ensure!(
        local == Some(from),
        "OPENED told {local:?}, the peer sees {from}"
    );
    peer.send_to(b"and back", from)
        .await
        .step("the peer sends")?;
    match client.frame_but_credit(id).await? {
        Frame::Datagram {
            peer: Some(by),
            data,
            ..
        } => {
            ensure!(by == address, "DATAGRAM says {by}, not {address}");
            ensure!(data == "and back", "{data:?} came");
            Ok(())
        }
        other => unexpected(&other, "DATAGRAM with its sender"),
    }
}

async fn bound_sockets_need_a_peer(suite: &Suite) -> Checked {
    let (mut client, socket) = bound(suite).await?;
    client.send(&datagram(socket.id, "to whom")).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn clients_cut_nothing_short(suite: &Suite) -> Checked {
    let (mut client, socket, ..) = connected(suite, ROOM).await?;
    let cut = Frame::Datagram {
        id: socket.id,
        peer: None,
        truncated: true,
        data: Bytes::from_static(b"x"),
    };
    client.send(&cut).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn streams_take_no_datagrams(suite: &Suite) -> Checked {
    let (mut client, socket, ..) = connected(suite, ROOM).await?;
    let (id, data) = (socket.id, Bytes::from_static(b"x"));
    client.send(&Frame::Data { id, data }).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_closed_port_does_not_end_it(suite: &Suite) -> Checked {
    let (mut client, socket, peer, address) = connected(suite, ROOM).await?;
    drop(peer);
    client.send(&datagram(socket.id, "anybody?")).await?;
    let told = client.before_now().await?;
    // That nobody is there may be told now or never, and lives on either way.
    let hints = told.iter().all(|frame| {
        matches!(frame, Frame::Unreachable { id, .. } | Frame::Credit { id, .. } if *id == socket.id)
    });
    ensure!(hints, "the relay sent {told:?}");
    let Ok(peer) = UdpSocket::bind(address).await else {
        return Err(Stop::Skipped("the suite can't have its port again"));
    };
    client.send(&datagram(socket.id, "you?")).await?;
    let (arrived, _) = heard(&peer).await?;
    ensure!(arrived == b"you?", "the peer received {arrived:?}");
    Ok(())
}
