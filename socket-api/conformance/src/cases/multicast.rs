//! Multicast on bound sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use jackfield_socket::{
    AnyDatagramSocket, DatagramSocket as _, ErrorKind, MulticastGroup, MulticastOptions, Result,
    UdpOpen, UdpOptions, time,
};

use super::case;
use crate::failure::{Step, ensure};
use crate::{Case, Failure, Multicast, Target};

/// How long a datagram takes at the most.
const ARRIVAL: Duration = Duration::from_secs(2);

pub(super) const CASES: &[Case] = &[
    case!(
        a_group_is_heard,
        "what is sent to a group reaches those who joined it, or multicast is Unsupported"
    ),
    case!(
        loopback_can_be_turned_off,
        "without loopback, this host doesn't hear what it sends"
    ),
    case!(
        a_group_of_one_source,
        "a group joined for one source brings that source alone, or is Unsupported"
    ),
    case!(
        a_shared_port,
        "sockets that share an address all hear a group; without sharing it is AddressInUse"
    ),
    case!(
        an_interface_is_chosen_or_refused,
        "an interface that can't be chosen is refused, never ignored"
    ),
    case!(
        what_is_no_group_is_refused,
        "joining what is no group is InvalidInput"
    ),
];

impl Multicast {
    /// Opens a socket that is in the group.
    async fn open(
        &self,
        target: &Target,
        port: u16,
        change: impl FnOnce(&mut MulticastOptions),
    ) -> Result<AnyDatagramSocket> {
        let mut multicast = MulticastOptions::default();
        multicast.groups.push(MulticastGroup::new(self.group));
        multicast.interface = self.interface;
        change(&mut multicast);
        let mut options = UdpOptions::default();
        options.multicast = Some(multicast);
        let at = SocketAddr::new(self.bind, port);
        target.network.open_bound(at, &options).await
    }

    /// The group, at the port of this socket.
    fn at(&self, socket: &AnyDatagramSocket) -> Result<SocketAddr, Failure> {
        match socket.local_addr() {
            Some(local) => Ok(SocketAddr::new(self.group, local.port())),
            None => Err(Failure::new("a bound socket doesn't know its address")),
        }
    }
}

/// How to test multicast; `None` where the backend can't, after it was seen to say so.
async fn multicast(target: &Target) -> Result<Option<Multicast>, Failure> {
    let capabilities = &target.capabilities;
    if let Some(multicast) = &capabilities.multicast {
        return Ok(Some(multicast.clone()));
    }
    // RFC 2365: a group for this organisation alone. It is refused before anything is sent.
    let bind = capabilities.udp_bound.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let group = match bind {
        IpAddr::V4(_) => IpAddr::from([239, 255, 71, 1]),
        IpAddr::V6(_) => IpAddr::from([0xff01, 0, 0, 0, 0, 0, 0, 0x4a46]),
    };
    match Multicast::new(group, bind).open(target, 0, |_| ()).await {
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

async fn receive(socket: &mut AnyDatagramSocket) -> Result<(Vec<u8>, Option<SocketAddr>), Failure> {
    let mut buffer = [0; 100];
    let received = time::timeout(ARRIVAL, socket.recv(&mut buffer))
        .await
        .step("waiting for a datagram to the group")?
        .step("receiving")?;
    Ok((buffer[..received.len].to_vec(), received.from))
}

async fn a_group_is_heard(target: &Target) -> Result<(), Failure> {
    let Some(multicast) = multicast(target).await? else {
        return Ok(());
    };
    let mut listener = multicast
        .open(target, 0, |_| ())
        .await
        .step("joining a group")?;
    let mut sender = multicast
        .open(target, 0, |options| options.groups.clear())
        .await
        .step("opening a sender")?;
    let group = multicast.at(&listener)?;
    for text in [b"one", b"two"] {
        sender.send(text, Some(group)).await.step("sending")?;
        let (data, from) = receive(&mut listener).await?;
        ensure!(data == text, "{data:?} came");
        let port = sender.local_addr().map(|local| local.port());
        ensure!(
            from.map(|from| from.port()) == port,
            "it came from {from:?}, the sender's port is {port:?}"
        );
    }
    Ok(())
}

async fn loopback_can_be_turned_off(target: &Target) -> Result<(), Failure> {
    let Some(multicast) = multicast(target).await? else {
        return Ok(());
    };
    let mut listener = multicast
        .open(target, 0, |_| ())
        .await
        .step("joining a group")?;
    let group = multicast.at(&listener)?;
    for (loopback, text) in [(false, b"not"), (true, b"yes")] {
        let mut sender = multicast
            .open(target, 0, |options| {
                options.groups.clear();
                options.loopback = loopback;
            })
            .await
            .step("opening a sender")?;
        sender.send(text, Some(group)).await.step("sending")?;
    }
    let (mut data, _) = receive(&mut listener).await?;
    if !multicast.loopback_shows && data == b"not" {
        (data, _) = receive(&mut listener).await?;
    }
    ensure!(data == b"yes", "{data:?} came, sent without loopback");
    Ok(())
}

async fn a_group_of_one_source(target: &Target) -> Result<(), Failure> {
    let Some(multicast) = multicast(target).await? else {
        return Ok(());
    };
    // RFC 4607, section 1: 232/8 is for groups of one source.
    let group = match multicast.group {
        IpAddr::V4(_) => IpAddr::from([232, 71, 1, 1]),
        IpAddr::V6(_) => IpAddr::from([0xff31, 0, 0, 0, 0, 0, 0x8000, 0x4a46]),
    };
    let other = match multicast.group {
        IpAddr::V4(_) => IpAddr::from([198, 51, 100, 1]),
        IpAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    };
    let in_group = Multicast {
        group,
        ..multicast.clone()
    };
    let mut sender = in_group
        .open(target, 0, |options| options.groups.clear())
        .await
        .step("opening a sender")?;
    // From where its datagrams come: what a member of the group for any source sees.
    let mut plain = multicast
        .open(target, 0, |_| ())
        .await
        .step("joining a group")?;
    sender
        .send(b"who", Some(multicast.at(&plain)?))
        .await
        .step("sending")?;
    let (_, from) = receive(&mut plain).await?;
    let Some(from) = from.map(|from| from.ip()) else {
        return Err(Failure::new("a datagram to a group names no sender"));
    };

    let join = |source| {
        let in_group = &in_group;
        in_group.open(target, 0, move |options: &mut MulticastOptions| {
            for group in &mut options.groups {
                group.source = Some(source);
            }
        })
    };
    let right = join(from).await;
    if !multicast.source {
        let Err(error) = right else {
            return Err(Failure::new("a source was not refused"));
        };
        ensure!(
            error.kind() == ErrorKind::Unsupported,
            "the kind is {:?}: {error}",
            error.kind()
        );
        return Ok(());
    }
    let mut right = right.step("joining for our source")?;
    let mut wrong = join(other).await.step("joining for another source")?;
    let to_wrong = in_group.at(&wrong)?;
    let to_right = in_group.at(&right)?;
    sender
        .send(b"wrong", Some(to_wrong))
        .await
        .step("sending")?;
    sender
        .send(b"right", Some(to_right))
        .await
        .step("sending")?;
    let (data, _) = receive(&mut right).await?;
    ensure!(data == b"right", "{data:?} came");
    // It was sent before what has arrived by now.
    let unwanted = time::timeout(Duration::from_millis(50), wrong.recv(&mut [0; 16])).await;
    ensure!(unwanted.is_err(), "another source was heard: {unwanted:?}");
    Ok(())
}

async fn a_shared_port(target: &Target) -> Result<(), Failure> {
    let Some(multicast) = multicast(target).await? else {
        return Ok(());
    };
    let share = |options: &mut MulticastOptions| options.share_address = true;
    let mut one = multicast
        .open(target, 0, share)
        .await
        .step("opening a socket that shares its port")?;
    let group = multicast.at(&one)?;
    let mut two = multicast
        .open(target, group.port(), share)
        .await
        .step("sharing its port")?;
    one.send(b"all", Some(group)).await.step("sending")?;
    for socket in [&mut one, &mut two] {
        let (data, _) = receive(socket).await?;
        ensure!(data == b"all", "{data:?} came");
    }
    let alone = multicast
        .open(target, 0, |_| ())
        .await
        .step("joining a group")?;
    let taken = multicast.at(&alone)?.port();
    match multicast.open(target, taken, |_| ()).await {
        Ok(_) => Err(Failure::new("a port was shared without asking")),
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

async fn an_interface_is_chosen_or_refused(target: &Target) -> Result<(), Failure> {
    let Some(multicast) = multicast(target).await? else {
        return Ok(());
    };
    // One that this host doesn't have (RFC 5737, RFC 3849).
    let foreign = match multicast.group {
        IpAddr::V4(_) => IpAddr::from([198, 51, 100, 1]),
        IpAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    };
    let expected = match multicast.interface {
        Some(_) => ErrorKind::AddressNotAvailable,
        None => ErrorKind::Unsupported,
    };
    let opened = multicast
        .open(target, 0, |options| options.interface = Some(foreign))
        .await;
    match opened {
        Ok(_) => Err(Failure::new(format!("the interface {foreign} was ignored"))),
        Err(error) => {
            ensure!(
                error.kind() == expected,
                "the kind is {:?}, not {expected:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}

async fn what_is_no_group_is_refused(target: &Target) -> Result<(), Failure> {
    let Some(multicast) = multicast(target).await? else {
        return Ok(());
    };
    let wrong = Multicast {
        group: multicast.bind,
        ..multicast
    };
    match wrong.open(target, 0, |_| ()).await {
        Ok(_) => Err(Failure::new("it was joined")),
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::InvalidInput,
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}
