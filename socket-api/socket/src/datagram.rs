//! Datagrams: connected sockets, bound sockets, and multicast.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use crate::stream::check_v6_only;
use crate::{AddressFamily, Endpoint, Error, ErrorKind, Result};

/// A UDP socket. Dropping it closes it.
///
/// A bound socket speaks in addresses. To reach a name, [connect](UdpOpen::open_connected) to it:
/// the backend resolves it, and [`peer_addr`](Self::peer_addr) tells what it found.
pub trait DatagramSocket: Send + Sync + Unpin + Debug + 'static {
    /// Receives one datagram into `buf`, and says from where and whether it was cut short.
    ///
    /// Datagrams that arrive while nobody receives are kept up to the backend's bound; beyond it,
    /// the newest are dropped, as UDP may.
    ///
    /// A connected socket also tells here what the system learns of its peer: an error of kind
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) says that a datagram found nobody at
    /// its port, one of kind [`HostUnreachable`](io::ErrorKind::HostUnreachable) or
    /// [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable) that none gets there. Each report
    /// is told once, several may become one, and the socket lives on: somebody may yet listen there.
    /// Any other error is for good. A report is a hint. It may be lost, or be no more than the word
    /// of a firewall, and whoever guesses both ports can forge one: the system compares those with
    /// the datagram that a report quotes, and nothing else. A bound socket tells nothing of it, since
    /// no report says to whom.
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>>;

    /// Sends one datagram: on a bound socket to `to`, on a connected one to its peer (`to` is then
    /// `None`). Ready when it is on its way, which promises nothing of its arrival.
    ///
    /// Fails with [`InvalidInput`](io::ErrorKind::InvalidInput) where `to` is missing or superfluous
    /// or the datagram is larger than the backend can send.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>>;

    /// The address on this side; where a relay holds the socket, on the relay.
    ///
    /// A connected socket knows it from the start, with the one address of several that leads to its
    /// peer: so a program learns which of its addresses to tell others. A socket bound to the
    /// unspecified address has that one.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// The peer of a connected socket.
    fn peer_addr(&self) -> Option<SocketAddr>;

    /// Receives one datagram, as a future.
    ///
    /// # Errors
    /// As [`poll_recv`](Self::poll_recv): where the socket has failed for good, or a connected one
    /// learns that nobody is there.
    ///
    /// # Cancel safety
    /// Dropping the future loses no datagram.
    fn recv(&mut self, buf: &mut [u8]) -> impl Future<Output = io::Result<Datagram>> + Send
    where
        Self: Sized,
    {
        poll_fn(move |cx| self.poll_recv(cx, &mut ReadBuf::new(buf)))
    }

    /// Sends one datagram, as a future.
    ///
    /// # Errors
    /// As [`poll_send`](Self::poll_send).
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready sends nothing, or the whole datagram.
    fn send(
        &mut self,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> impl Future<Output = io::Result<()>> + Send
    where
        Self: Sized,
    {
        poll_fn(move |cx| self.poll_send(cx, data, to))
    }
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// How many bytes now stand in the buffer.
    pub len: usize,
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// Whether the buffer was too small, and the rest is lost.
    pub truncated: bool,
}

impl Datagram {
    /// A datagram of `len` bytes in the buffer.
    pub fn new(len: usize, from: Option<SocketAddr>, truncated: bool) -> Self {
        Self {
            len,
            from,
            truncated,
        }
    }
}

/// Opens UDP sockets.
///
/// ```
/// use jackfield_socket::{DatagramSocket, Endpoint, Result, UdpOpen, UdpOptions};
///
/// /// Asks a server for the time of day (RFC 867); runs on every backend that has UDP.
/// async fn daytime(network: &impl UdpOpen, server: &Endpoint) -> Result<String> {
///     let mut socket = network.open_connected(server, &UdpOptions::default()).await?;
///     socket.send(b"", None).await?;
///     let mut buffer = [0; 512];
///     let datagram = socket.recv(&mut buffer).await?;
///     Ok(String::from_utf8_lossy(&buffer[..datagram.len]).into_owned())
/// }
/// # fn main() {}
/// ```
pub trait UdpOpen: Send + Sync + 'static {
    /// What it opens.
    type Socket: DatagramSocket;

    /// Opens a socket that speaks with one peer only.
    ///
    /// # Errors
    /// As [`TcpConnect::connect`](crate::TcpConnect::connect); `multicast` in the options is
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) here.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening.
    fn open_connected(
        &self,
        to: &Endpoint,
        options: &UdpOptions,
    ) -> impl Future<Output = Result<Self::Socket>> + Send;

    /// Opens a socket at a local address that speaks with anyone; port 0 takes a free one. With
    /// `multicast` in the options it belongs to those groups.
    ///
    /// # Errors
    /// As [`TcpListen::listen`](crate::TcpListen::listen).
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening.
    fn open_bound(
        &self,
        at: SocketAddr,
        options: &UdpOptions,
    ) -> impl Future<Output = Result<Self::Socket>> + Send;
}

/// How to open a UDP socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpOptions {
    /// The system's send buffer, in bytes. Default: the system's choice.
    pub send_buffer: Option<NonZeroU32>,
    /// The system's receive buffer, in bytes. Default: the system's choice.
    pub receive_buffer: Option<NonZeroU32>,
    /// Which addresses of a name to take, when connecting. Default: any.
    pub family: AddressFamily,
    /// On an IPv6 address, whether IPv4 is left out, when binding. Default: the system's choice.
    pub v6_only: Option<bool>,
    /// Multicast, when binding. Default: `None`.
    pub multicast: Option<MulticastOptions>,
}

impl UdpOptions {
    /// What no backend can honour on a connected socket; each one calls this before it opens one.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for [`multicast`](Self::multicast) and
    /// [`v6_only`](Self::v6_only), which are for bound sockets.
    pub fn validate_connected(&self) -> Result<()> {
        let given = if self.multicast.is_some() {
            "multicast"
        } else if self.v6_only.is_some() {
            "v6_only"
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{given} was given for a connected socket: it is for bound ones"),
        ))
    }

    /// What no backend can honour on a socket bound there; each one calls this before it opens one.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a [`family`](Self::family), which is for
    /// connected sockets, for [`v6_only`](Self::v6_only) with an IPv4 address, for a group whose
    /// address is not a multicast one, and for addresses of unlike families.
    pub fn validate_bound(&self, at: SocketAddr) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        if self.family != AddressFamily::Any {
            return wrong("family was given for a bound socket: its address says it".into());
        }
        check_v6_only(at, self.v6_only)?;
        let Some(multicast) = &self.multicast else {
            return Ok(());
        };
        for group in &multicast.groups {
            if !group.address.is_multicast() {
                return wrong(format!("{} is not a multicast group", group.address));
            }
            let family = at.is_ipv4();
            if group.address.is_ipv4() != family
                || group
                    .source
                    .is_some_and(|source| source.is_ipv4() != family)
            {
                return wrong(format!(
                    "a socket bound to {at} can't join {}: unlike families",
                    group.address
                ));
            }
        }
        match multicast.interface {
            Some(interface) if interface.is_ipv4() != at.is_ipv4() => wrong(format!(
                "a socket bound to {at} can't use the interface {interface}: unlike families"
            )),
            _ => Ok(()),
        }
    }
}

/// Multicast options of a bound socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MulticastOptions {
    /// The groups to join.
    pub groups: Vec<MulticastGroup>,
    /// How many routers what is sent may pass; 0 stays on this host. Default: 1, this network.
    pub time_to_live: u8,
    /// Whether this host's own sockets receive what is sent. Default: true.
    pub loopback: bool,
    /// Whether other sockets of this host may bind the same port, as mDNS needs. Default: false.
    pub share_address: bool,
    /// The interface to join and send on, named by an address that it has. Default: the system's
    /// choice.
    pub interface: Option<IpAddr>,
}

impl Default for MulticastOptions {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            time_to_live: 1,
            loopback: true,
            share_address: false,
            interface: None,
        }
    }
}

/// A multicast group, of any source or of one (RFC 4607).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MulticastGroup {
    /// The group's address.
    pub address: IpAddr,
    /// The one sender to hear, where it is not all.
    pub source: Option<IpAddr>,
}

impl MulticastGroup {
    /// The group with this address, whoever sends.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn bound(at: &str, change: impl FnOnce(&mut UdpOptions, &mut MulticastOptions)) -> Result<()> {
        let mut options = UdpOptions::default();
        let mut multicast = MulticastOptions::default();
        change(&mut options, &mut multicast);
        options.multicast = Some(multicast);
        options.validate_bound(at.parse().expect("an address"))
    }

    fn group(address: &str) -> MulticastGroup {
        MulticastGroup::new(address.parse().expect("an address"))
    }

    #[test]
    fn what_belongs_to_the_other_sort_of_socket_is_refused() {
        let mut options = UdpOptions::default();
        assert!(options.validate_connected().is_ok());
        options.v6_only = Some(true);
        let error = options.validate_connected().expect_err("it isn't bound");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(bound("[::]:0", |options, _| options.v6_only = Some(true)).is_ok());
        assert!(bound("[::]:0", |options, _| options.family = AddressFamily::V6).is_err());
    }

    #[test]
    fn groups_must_be_groups_of_the_sockets_family() {
        for (at, address, fits) in [
            ("0.0.0.0:0", "239.0.0.1", true),
            ("0.0.0.0:0", "192.0.2.1", false),
            ("0.0.0.0:0", "ff02::1", false),
            ("[::]:0", "ff02::1", true),
            ("[::]:0", "239.0.0.1", false),
        ] {
            let result = bound(at, |_, multicast| multicast.groups.push(group(address)));
            assert_eq!(result.is_ok(), fits, "{address} at {at}: {result:?}");
        }
        let mut of_source = group("232.0.0.1");
        of_source.source = Some(Ipv6Addr::LOCALHOST.into());
        assert!(bound("0.0.0.0:0", |_, m| m.groups.push(of_source)).is_err());
        let interface = Some(Ipv6Addr::LOCALHOST.into());
        assert!(bound("0.0.0.0:0", |_, m| m.interface = interface).is_err());
    }
}
