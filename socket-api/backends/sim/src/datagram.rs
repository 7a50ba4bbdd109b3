//! UDP sockets in the world.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use jackfield_socket::time::{self, Instant, Sleep};
use jackfield_socket::{
    Datagram, DatagramSocket, Endpoint, Error, ErrorKind, MulticastGroup, MulticastOptions, Result,
    UdpOptions,
};
use tokio::io::ReadBuf;

use crate::Network;
use crate::multicast;
use crate::world::{HostId, World, unspecified};

/// How many bytes a socket keeps for its reader, where the caller doesn't say; beyond it, the
/// newest datagrams are dropped.
const INBOX: usize = 256 * 1024;
/// What a datagram takes of that besides its bytes.
const OVERHEAD: usize = 64;

/// A UDP socket of a simulated network.
pub struct SimDatagramSocket {
    network: Network,
    id: u64,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    timer: Option<Sleep>,
}

/// A socket's state in the world.
pub(crate) struct SocketState {
    pub(crate) host: HostId,
    pub(crate) local: SocketAddr,
    peer: Option<SocketAddr>,
    v6_only: bool,
    pub(crate) groups: Vec<MulticastGroup>,
    pub(crate) multicast: MulticastOptions,
    /// By arrival, then by the order of sending.
    inbox: BTreeMap<(Instant, u64), Arrival>,
    kept: usize,
    room: usize,
    waker: Option<Waker>,
}

/// What comes to a socket.
enum Arrival {
    Datagram(SocketAddr, Vec<u8>),
    /// Of a connected one: the peer's host says that nobody has this port.
    Closed,
}

pub(crate) fn open_connected(
    network: &Network,
    host: HostId,
    to: &Endpoint,
    options: &UdpOptions,
) -> Result<SimDatagramSocket> {
    options.validate_connected()?;
    let mut world = network.lock();
    let peer = world.resolve(to, options.family)?;
    let local = world.own_address(host, peer.ip())?;
    world.open_socket(
        network,
        host,
        SocketAddr::new(local, 0),
        Some(peer),
        options,
    )
}

pub(crate) fn open_bound(
    network: &Network,
    host: HostId,
    at: SocketAddr,
    options: &UdpOptions,
) -> Result<SimDatagramSocket> {
    options.validate_bound(at)?;
    let mut world = network.lock();
    world.check_own(host, at.ip())?;
    if let Some(interface) = options.multicast.as_ref().and_then(|m| m.interface) {
        world.check_own(host, interface)?;
    }
    world.open_socket(network, host, at, None, options)
}

impl World {
    fn open_socket(
        &mut self,
        network: &Network,
        host: HostId,
        at: SocketAddr,
        peer: Option<SocketAddr>,
        options: &UdpOptions,
    ) -> Result<SimDatagramSocket> {
        let multicast = options.multicast.clone().unwrap_or_default();
        let port = match at.port() {
            0 => self.free_port(host, |world, port| {
                world.users_of(host, port).next().is_none()
            })?,
            port => port,
        };
        let local = SocketAddr::new(at.ip(), port);
        let taken = self.users_of(host, port).any(|other| {
            let overlap = other.local.ip() == local.ip()
                || other.local.ip().is_unspecified()
                || local.ip().is_unspecified();
            overlap && !(other.multicast.share_address && multicast.share_address)
        });
        if taken {
            return Err(Error::new(
                ErrorKind::AddressInUse,
                format!("can't bind a UDP socket to {local}: address in use"),
            ));
        }
        let id = self.id();
        self.sockets.insert(
            id,
            SocketState {
                host,
                local,
                peer,
                v6_only: options.v6_only == Some(true),
                groups: multicast.groups.clone(),
                multicast,
                inbox: BTreeMap::new(),
                kept: 0,
                room: options
                    .receive_buffer
                    .map_or(INBOX, |size| size.get() as usize),
                waker: None,
            },
        );
        Ok(SimDatagramSocket {
            network: network.clone(),
            id,
            local,
            peer,
            timer: None,
        })
    }

    /// The sockets of a host at this port.
    fn users_of(&self, host: HostId, port: u16) -> impl Iterator<Item = &SocketState> {
        self.sockets
            .values()
            .filter(move |socket| socket.host == host && socket.local.port() == port)
    }

    fn send_datagram(&mut self, id: u64, to: SocketAddr, data: &[u8]) -> io::Result<()> {
        let now = time::now();
        let Some(sender) = self.sockets.get(&id) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let host = sender.host;
        let mut from = sender.local;
        if from.ip().is_unspecified() {
            let interface = sender.multicast.interface;
            let ip = match interface.filter(|_| to.ip().is_multicast()) {
                Some(interface) => interface,
                None => self.own_address(host, to.ip())?,
            };
            from.set_ip(ip);
        }
        let receivers = if to.ip().is_multicast() {
            multicast::receivers(self, sender, from, to)
        } else {
            self.receiver(from, to).into_iter().collect()
        };
        if receivers.is_empty() {
            self.log(
                now,
                format_args!("udp {from} > {to} {} bytes, nobody", data.len()),
            );
            self.report_closed(id, to, data.len());
        }
        for (peer, receiver) in receivers {
            let fate = self.link(host, peer).datagram(now, data.len());
            for at in fate.arrivals.into_iter().flatten() {
                let order = self.id();
                if let Some(socket) = self.sockets.get_mut(&receiver) {
                    socket.put((at, order), Arrival::Datagram(from, data.to_vec()));
                }
            }
            let arrives = fate.arrivals[0].map(|at| at.saturating_duration_since(now));
            let (len, word) = (data.len(), fate.word);
            self.log(
                now,
                format_args!("udp {from} > {to} {len} bytes {word}, in {arrives:?}"),
            );
        }
        Ok(())
    }

    /// Has a host say that nobody receives what a connected socket has sent to it. What it says may
    /// be lost on its way, as the datagram may be.
    fn report_closed(&mut self, id: u64, to: SocketAddr, len: usize) {
        let Some(host) = (self.sockets.get(&id))
            .filter(|socket| socket.peer.is_some())
            .map(|socket| socket.host)
        else {
            return;
        };
        let Some(peer) = self.host_at(to.ip()) else {
            return;
        };
        let there = self.link(host, peer).datagram(time::now(), len).arrivals[0];
        let back = self.link(peer, host);
        let Some(there) = there.filter(|_| !back.loses()) else {
            return;
        };
        let at = there + back.delay();
        let order = self.id();
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.put((at, order), Arrival::Closed);
        }
    }

    /// Who receives what is sent to one address.
    fn receiver(&self, from: SocketAddr, to: SocketAddr) -> Option<(HostId, u64)> {
        let host = self.host_at(to.ip())?;
        let mut best = None;
        for (id, socket) in &self.sockets {
            let bound = socket.local.ip();
            let is_here = socket.host == host
                && socket.local.port() == to.port()
                && (bound == to.ip()
                    || bound == unspecified(to.ip())
                    || (bound.is_unspecified() && bound.is_ipv6() && !socket.v6_only));
            // A connected socket comes first, and hears its peer only.
            let rank = match socket.peer {
                Some(peer) if peer == from => 2,
                Some(_) => continue,
                None => 1,
            };
            if is_here && best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, *id));
            }
        }
        best.map(|(_, id)| (host, id))
    }
}

impl SocketState {
    fn put(&mut self, place: (Instant, u64), arrival: Arrival) {
        let takes = arrival.takes();
        if self.kept + takes > self.room {
            return;
        }
        self.kept += takes;
        self.inbox.insert(place, arrival);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Arrival {
    /// What it takes of a socket's room.
    fn takes(&self) -> usize {
        match self {
            Self::Datagram(_, data) => data.len() + OVERHEAD,
            Self::Closed => OVERHEAD,
        }
    }
}

/// The largest datagram: what fits into an IP packet besides the headers.
fn largest(to: SocketAddr) -> usize {
    if to.is_ipv4() { 65_507 } else { 65_527 }
}

impl DatagramSocket for SimDatagramSocket {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        let mut world = self.network.lock();
        let Some(socket) = world.sockets.get_mut(&self.id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        loop {
            socket.waker = Some(cx.waker().clone());
            let Some(entry) = socket.inbox.first_entry() else {
                self.timer = None;
                return Poll::Pending;
            };
            let (at, _) = *entry.key();
            if at <= time::now() {
                let arrival = entry.remove();
                socket.kept -= arrival.takes();
                let Arrival::Datagram(from, data) = arrival else {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
                };
                let len = data.len().min(buf.remaining());
                buf.put_slice(&data[..len]);
                return Poll::Ready(Ok(Datagram::new(len, Some(from), len < data.len())));
            }
            let timer = self.timer.get_or_insert_with(|| time::sleep_until(at));
            timer.reset(at);
            ready!(Pin::new(timer).poll(cx));
            self.timer = None;
        }
    }

    fn poll_send(
        &mut self,
        _cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        let wrong =
            |what: String| Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, what)));
        let to = match (self.peer, to) {
            (Some(peer), None) => peer,
            (None, Some(to)) => to,
            (Some(_), Some(_)) => return wrong("a connected socket sends to its peer only".into()),
            (None, None) => return wrong("a bound socket needs an address to send to".into()),
        };
        if data.len() > largest(to) {
            return wrong(format!(
                "a datagram of {} bytes is too large to send",
                data.len()
            ));
        }
        Poll::Ready(self.network.lock().send_datagram(self.id, to, data))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.local)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl Drop for SimDatagramSocket {
    fn drop(&mut self) {
        self.network.lock().sockets.remove(&self.id);
    }
}

impl std::fmt::Debug for SimDatagramSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimDatagramSocket")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
