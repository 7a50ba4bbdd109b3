//! Datagrams to one peer, and to anyone.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use jackfield_socket::{
    AnyDatagramSocket, DatagramSocket as _, Endpoint, Error, ErrorKind, MulticastOptions, UdpOpen,
    UdpOptions, time,
};

use super::case;
use crate::client::{check, exchange, poll_once, soon};
use crate::failure::{Step, ensure};
use crate::pattern::Pattern;
use crate::peer::datagram::request;
use crate::{Case, Failure, Target};

pub(super) const CASES: &[Case] = &[
    case!(
        connected_datagrams,
        "a connected socket reaches its peer, and knows its address"
    ),
    case!(
        a_connected_socket_knows_its_address,
        "a connected socket's own address is the one that its peer sees"
    ),
    case!(
        connected_datagrams_by_name,
        "a connected socket's peer may be a name"
    ),
    case!(
        datagrams_of_all_sizes,
        "datagrams from none to the most bytes arrive whole"
    ),
    case!(
        a_larger_datagram_is_refused,
        "a datagram larger than can be sent is InvalidInput"
    ),
    case!(
        a_truncated_datagram_is_reported,
        "a datagram larger than the buffer is cut, and said to be"
    ),
    case!(
        a_cancelled_receive_loses_no_datagram,
        "a receive that is dropped before it is ready has taken nothing"
    ),
    case!(
        datagrams_wait,
        "datagrams that arrive while nobody receives are kept"
    ),
    case!(
        strangers_are_not_heard,
        "a connected socket receives from its peer only"
    ),
    case!(
        a_closed_port_is_told,
        "a connected socket learns that nobody listens, as often as it happens, and lives on"
    ),
    case!(
        a_bound_socket_hears_of_no_closed_port,
        "datagrams of a bound socket that find nobody are no error of it"
    ),
    case!(
        addresses_must_fit_the_socket,
        "an address on a connected socket, or none on a bound one, is InvalidInput"
    ),
    case!(
        bound_datagrams,
        "a bound socket speaks with anyone, and names who sent"
    ),
    case!(
        bound_sockets_speak_with_each_other,
        "two bound sockets of one network reach each other"
    ),
    case!(
        a_taken_datagram_port_is_refused,
        "binding to a port that is bound is AddressInUse"
    ),
    case!(
        datagram_options,
        "options are honoured, Unsupported, or InvalidInput where they can't be right"
    ),
];

/// A connected socket; `None` where the backend can't, after it was seen to say so.
async fn connected(target: &Target) -> Result<Option<AnyDatagramSocket>, Failure> {
    if target.capabilities.udp_connected {
        return target.datagrams().await.map(Some);
    }
    let to = Endpoint::from(target.peer.udp);
    let opened = target
        .network
        .open_connected(&to, &UdpOptions::default())
        .await;
    match opened {
        Ok(_) => Err(Failure::new(
            "it opened, though it was declared that it can't",
        )),
        Err(error) => {
            ensure!(
                matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied),
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(None)
        }
    }
}

/// A bound socket; `None` where the backend can't, after it was seen to say so.
async fn bound(target: &Target) -> Result<Option<AnyDatagramSocket>, Failure> {
    let ip = target.capabilities.udp_bound;
    let at = SocketAddr::new(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0);
    let opened = target.network.open_bound(at, &UdpOptions::default()).await;
    if ip.is_some() {
        return opened.step("opening a bound UDP socket").map(Some);
    }
    match opened {
        Ok(_) => Err(Failure::new(
            "it opened, though it was declared that it can't",
        )),
        Err(error) => {
            ensure!(
                matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied),
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(None)
        }
    }
}

async fn connected_datagrams(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    let mut buffer = [0; 100];
    let received = exchange(&mut socket, None, b"echo", &mut buffer).await?;
    ensure!(
        &buffer[..received.len] == b"echo" && !received.truncated,
        "the echo is {received:?}"
    );
    ensure!(
        socket.peer_addr() == Some(target.peer.udp),
        "the socket says that its peer is {:?}",
        socket.peer_addr()
    );
    ensure!(
        received.from.is_none_or(|from| from == target.peer.udp),
        "the echo came from {:?}",
        received.from
    );
    Ok(())
}

async fn a_connected_socket_knows_its_address(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    // Before anything is sent: it is how a program learns which of its addresses a peer would see.
    let local = socket.local_addr();
    let mut buffer = [0; 100];
    let received = exchange(&mut socket, None, &[request::WHO], &mut buffer).await?;
    let seen = String::from_utf8_lossy(&buffer[..received.len]);
    ensure!(
        local.is_some_and(|local| local.to_string() == seen),
        "the socket says that its own address is {local:?}, the peer says {seen}"
    );
    Ok(())
}

async fn connected_datagrams_by_name(target: &Target) -> Result<(), Failure> {
    if connected(target).await?.is_none() {
        return Ok(());
    }
    let to = Endpoint::new(target.host(), target.peer.udp.port());
    let mut options = UdpOptions::default();
    if target.capabilities.family && target.peer.udp.is_ipv4() {
        options.family = jackfield_socket::AddressFamily::V4;
    }
    let mut socket = target
        .network
        .open_connected(&to, &options)
        .await
        .step(&format!("opening a UDP socket to {to}"))?;
    let mut buffer = [0; 100];
    let received = exchange(&mut socket, None, b"echo", &mut buffer).await?;
    ensure!(
        &buffer[..received.len] == b"echo",
        "the echo is {received:?}"
    );
    Ok(())
}

async fn datagrams_of_all_sizes(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    let largest = target.capabilities.largest_datagram;
    let mut buffer = vec![0; 65_536];
    if target.capabilities.empty_datagrams {
        exchange(&mut socket, None, &[], &mut buffer).await?;
    } else {
        let refused = socket.send(&[], None).await.map_err(Error::from);
        ensure!(
            refused
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Unsupported),
            "an empty one was not refused: {refused:?}"
        );
    }
    for size in [1, 2, 512, 1472, 1473, 9000, largest - 1, largest] {
        let mut data = Pattern::new(30).bytes(0, size);
        data[0] = request::ECHO;
        let received = exchange(&mut socket, None, &data, &mut buffer).await?;
        ensure!(
            buffer[..received.len] == data && !received.truncated,
            "of {size} bytes came back {received:?}"
        );
    }
    Ok(())
}

async fn a_larger_datagram_is_refused(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    let data = vec![request::ECHO; target.capabilities.largest_datagram + 1];
    match socket.send(&data, None).await.map_err(Error::from) {
        Ok(()) => return Err(Failure::new("it was taken")),
        Err(error) => ensure!(
            error.kind() == ErrorKind::InvalidInput,
            "the kind is {:?}: {error}",
            error.kind()
        ),
    }
    // The socket lives on.
    exchange(&mut socket, None, b"echo", &mut [0; 100]).await?;
    Ok(())
}

async fn a_truncated_datagram_is_reported(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    for (size, room) in [(1000, 999), (1000, 1), (1000, 0), (2, 1)] {
        let mut buffer = vec![0; room];
        let command = send_me(size);
        let received = exchange(&mut socket, None, &command, &mut buffer).await?;
        ensure!(
            received.truncated && received.len == room,
            "of {size} bytes in a buffer of {room} came {received:?}"
        );
        check(0, 0, &buffer)?;
    }
    for (size, room) in [(1000, 1000), (1000, 1001), (0, 0)] {
        let mut buffer = vec![0; room];
        let received = exchange(&mut socket, None, &send_me(size), &mut buffer).await?;
        ensure!(
            !received.truncated && received.len == size as usize,
            "of {size} bytes in a buffer of {room} came {received:?}"
        );
        check(0, 0, &buffer[..received.len])?;
    }
    Ok(())
}

/// Asks for a datagram of this many bytes.
fn send_me(size: u32) -> [u8; 5] {
    let [a, b, c, d] = size.to_be_bytes();
    [request::SEND, a, b, c, d]
}

async fn a_cancelled_receive_loses_no_datagram(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    let mut buffer = [0; 100];
    let mut lost = 0;
    for round in 0..50_u8 {
        let _ = poll_once(socket.recv(&mut buffer)).await;
        let data = [request::ECHO, round];
        socket.send(&data, None).await.step("sending")?;
        let mut received = None;
        for attempt in 0..200 {
            let wait = Duration::from_micros(10 + 100 * attempt);
            if let Some(ready) = poll_once(socket.recv(&mut buffer)).await {
                received = Some(ready);
            } else if let Ok(ready) = time::timeout(wait, socket.recv(&mut buffer)).await {
                received = Some(ready);
            }
            if received.is_some() {
                break;
            }
        }
        match received {
            Some(received) => {
                let received = received.step("receiving")?;
                ensure!(
                    buffer[..received.len] == data,
                    "in round {round} came {:?}",
                    &buffer[..received.len]
                );
            }
            None => lost += 1,
        }
    }
    // UDP may lose one; a receive that takes what it doesn't give loses most.
    ensure!(lost <= 1, "{lost} of 50 were lost");
    Ok(())
}

async fn datagrams_wait(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    for number in 0..10 {
        let data = [request::ECHO, number];
        socket.send(&data, None).await.step("sending")?;
    }
    // The peer answers in order: once the last is there, so are the others.
    let mut buffer = [0; 100];
    let mut seen = Vec::new();
    while seen.len() < 10 {
        match time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await {
            Ok(received) => {
                let received = received.step("receiving")?;
                seen.push(buffer[..received.len].to_vec());
            }
            Err(_) => break,
        }
    }
    ensure!(seen.len() >= 9, "of 10 datagrams came {seen:?}");
    Ok(())
}

async fn strangers_are_not_heard(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = connected(target).await? else {
        return Ok(());
    };
    let mut buffer = [0; 100];
    // The stranger's comes first, and would be taken for the answer.
    exchange(&mut socket, None, &[request::STRANGER], &mut buffer).await?;
    let more = time::timeout(Duration::from_millis(200), socket.recv(&mut buffer)).await;
    ensure!(more.is_err(), "a second datagram came: {more:?}");
    Ok(())
}

async fn a_closed_port_is_told(target: &Target) -> Result<(), Failure> {
    if connected(target).await?.is_none() {
        return Ok(());
    }
    let dead = Endpoint::from(target.closed().await?);
    let mut socket = target
        .network
        .open_connected(&dead, &UdpOptions::default())
        .await
        .step("opening a UDP socket to a dead port")?;
    for number in 0..5 {
        socket
            .send(&[number], None)
            .await
            .step(&format!("sending datagram {number} to a dead port"))?;
        if !target.capabilities.closed_ports {
            let wait = Duration::from_millis(20);
            let received = time::timeout(wait, socket.recv(&mut [0; 16])).await;
            ensure!(
                !matches!(received, Ok(Ok(_))),
                "a dead port answered {received:?}"
            );
            return Ok(());
        }
        let received = soon("that nobody is there", socket.recv(&mut [0; 16])).await?;
        let kind = received.map_err(|error| Error::from(error).kind());
        ensure!(
            kind == Err(ErrorKind::Refused),
            "datagram {number} to a dead port came to {kind:?}"
        );
        let again = poll_once(socket.recv(&mut [0; 16])).await;
        ensure!(again.is_none(), "it is told twice: {again:?}");
    }
    Ok(())
}

async fn a_bound_socket_hears_of_no_closed_port(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = bound(target).await? else {
        return Ok(());
    };
    let dead = target.closed().await?;
    for number in 0..5 {
        socket
            .send(&[number], Some(dead))
            .await
            .step(&format!("sending datagram {number} to a dead port"))?;
    }
    let mut buffer = [0; 100];
    let received = exchange(&mut socket, Some(target.peer.udp), b"echo", &mut buffer).await?;
    let echo = &buffer[..received.len];
    ensure!(echo == b"echo", "the peer's echo is {echo:?}");
    Ok(())
}

async fn addresses_must_fit_the_socket(target: &Target) -> Result<(), Failure> {
    if let Some(mut socket) = connected(target).await? {
        let sent = socket.send(b"e", Some(target.peer.udp)).await;
        is_invalid("an address on a connected socket", sent)?;
    }
    if let Some(mut socket) = bound(target).await? {
        let sent = socket.send(b"e", None).await;
        is_invalid("no address on a bound socket", sent)?;
    }
    Ok(())
}

async fn bound_datagrams(target: &Target) -> Result<(), Failure> {
    let Some(mut socket) = bound(target).await? else {
        return Ok(());
    };
    let mut buffer = [0; 100];
    let peer = target.peer.udp;
    let received = exchange(&mut socket, Some(peer), b"echo", &mut buffer).await?;
    ensure!(
        &buffer[..received.len] == b"echo" && received.from == Some(peer),
        "the echo is {received:?}, expected from {peer}"
    );
    ensure!(
        socket.peer_addr().is_none(),
        "a bound socket says that its peer is {:?}",
        socket.peer_addr()
    );
    let received = exchange(&mut socket, Some(peer), &[request::WHO], &mut buffer).await?;
    let seen = String::from_utf8_lossy(&buffer[..received.len]);
    let local = socket.local_addr();
    ensure!(
        local.is_some_and(|local| local.to_string() == seen),
        "the socket says that its own address is {local:?}, the peer says {seen}"
    );
    Ok(())
}

async fn bound_sockets_speak_with_each_other(target: &Target) -> Result<(), Failure> {
    let (Some(mut one), Some(mut two)) = (bound(target).await?, bound(target).await?) else {
        return Ok(());
    };
    let (Some(at_one), Some(at_two)) = (one.local_addr(), two.local_addr()) else {
        return Err(Failure::new("a bound socket doesn't know its address"));
    };
    for round in 0..3_u8 {
        one.send(&[round], Some(at_two)).await.step("sending")?;
        arrives(&mut two, round, at_one).await?;
        two.send(&[round], Some(at_one)).await.step("answering")?;
        arrives(&mut one, round, at_two).await?;
    }
    Ok(())
}

/// Fails unless the next datagram is this one.
async fn arrives(
    socket: &mut AnyDatagramSocket,
    byte: u8,
    from: SocketAddr,
) -> Result<(), Failure> {
    let mut buffer = [0; 16];
    let received = time::timeout(Duration::from_secs(2), socket.recv(&mut buffer))
        .await
        .step("waiting for a datagram")?
        .step("receiving")?;
    ensure!(
        received.from == Some(from) && buffer[..received.len] == [byte],
        "{received:?} came, expected from {from}"
    );
    Ok(())
}

async fn a_taken_datagram_port_is_refused(target: &Target) -> Result<(), Failure> {
    let Some(socket) = bound(target).await? else {
        return Ok(());
    };
    let Some(at) = socket.local_addr() else {
        return Err(Failure::new("a bound socket doesn't know its address"));
    };
    match target.network.open_bound(at, &UdpOptions::default()).await {
        Ok(_) => Err(Failure::new(format!("{at} was bound twice"))),
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::AddressInUse,
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}

async fn datagram_options(target: &Target) -> Result<(), Failure> {
    let to = Endpoint::from(target.peer.udp);
    let open = |options: UdpOptions| {
        let to = &to;
        async move { target.network.open_connected(to, &options).await }
    };
    if connected(target).await?.is_some() {
        let mut options = UdpOptions::default();
        options.multicast = Some(MulticastOptions::default());
        let opened = open(options).await.map(drop);
        is_invalid(
            "multicast on a connected socket",
            opened.map_err(Into::into),
        )?;

        let mut options = UdpOptions::default();
        options.send_buffer = NonZeroU32::new(128 * 1024);
        options.receive_buffer = NonZeroU32::new(128 * 1024);
        match open(options).await {
            Ok(mut socket) => {
                ensure!(
                    target.capabilities.buffer_sizes,
                    "buffer sizes were not refused"
                );
                exchange(&mut socket, None, b"echo", &mut [0; 100]).await?;
            }
            Err(error) => ensure!(
                !target.capabilities.buffer_sizes && error.kind() == ErrorKind::Unsupported,
                "buffer sizes: {:?}: {error}",
                error.kind()
            ),
        }
    }
    if bound(target).await?.is_some() {
        let mut options = UdpOptions::default();
        options.v6_only = Some(true);
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let opened = target.network.open_bound(at, &options).await.map(drop);
        is_invalid("v6_only at an IPv4 address", opened.map_err(Into::into))?;
    }
    Ok(())
}

fn is_invalid(what: &str, result: std::io::Result<()>) -> Result<(), Failure> {
    match result.map_err(Error::from) {
        Ok(()) => Err(Failure::new(format!("{what} was taken"))),
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::InvalidInput,
                "{what} is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}
