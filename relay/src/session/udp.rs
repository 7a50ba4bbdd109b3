//! A UDP socket, and its datagrams.
//!
//! Nothing waits here: what the client has no credit for, and what the system can't take, is dropped
//! and counted, as UDP may.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_relay_wire::{Code, Id, MAX_DATAGRAM, Reason, ReceivedDatagram};
use jackfield_socket::{MulticastOptions, UdpOptions};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tracing::info;

use super::open::{any_address, size};
use super::{Shared, Turn};
use crate::limits::Slot;
use crate::policy::Transport;

/// How many datagrams move each way in a turn.
const DATAGRAMS_A_TURN: usize = 16;
/// How long an address is heard after something was sent to it (RFC 8656, section 9).
const PERMISSION: Duration = Duration::from_mins(5);
/// How many addresses are heard at a time. Beyond it, new ones are not sent to.
const MAX_PERMISSIONS: usize = 4096;

pub(super) struct UdpPump {
    socket: UdpSocket,
    /// Of a bound socket: whom it has sent to, and when last. `None` for a connected one.
    heard: Option<HashMap<IpAddr, Instant>>,
    /// The next datagram to send, if the system could not take it yet.
    waiting: Option<(SocketAddr, ReceivedDatagram)>,
    /// Whether the log has it that datagrams were refused.
    refusal_logged: bool,
    _slot: Slot,
}

/// A socket that speaks with this peer only.
pub(super) fn connect(peer: SocketAddr, options: &UdpOptions) -> io::Result<UdpSocket> {
    let socket = new_socket(peer, options)?;
    socket.bind(&any_address(peer).into())?;
    socket.connect(&peer.into())?;
    UdpSocket::from_std(socket.into())
}

/// A socket at this address.
pub(super) fn bind(at: SocketAddr, options: &UdpOptions) -> io::Result<UdpSocket> {
    let socket = new_socket(at, options)?;
    if options.multicast.as_ref().is_some_and(|m| m.share_address) {
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
    }
    socket.bind(&at.into())?;
    if let Some(multicast) = &options.multicast {
        join(&socket, at, multicast)?;
    }
    UdpSocket::from_std(socket.into())
}

fn new_socket(like: SocketAddr, options: &UdpOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(like), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if like.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(size(bytes))?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(size(bytes))?;
    }
    Ok(socket)
}

fn join(socket: &Socket, at: SocketAddr, options: &MulticastOptions) -> io::Result<()> {
    let ttl = options.time_to_live.into();
    match at.ip() {
        IpAddr::V4(_) => {
            socket.set_multicast_ttl_v4(ttl)?;
            socket.set_multicast_loop_v4(options.loopback)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_hops_v6(ttl)?;
            socket.set_multicast_loop_v6(options.loopback)?;
        }
    }
    for group in &options.groups {
        match (at.ip(), group.address, group.source) {
            (IpAddr::V4(at), IpAddr::V4(group), None) => socket.join_multicast_v4(&group, &at)?,
            (IpAddr::V4(at), IpAddr::V4(group), Some(IpAddr::V4(source))) => {
                socket.join_ssm_v4(&source, &group, &at)?;
            }
            (IpAddr::V6(_), IpAddr::V6(group), None) => socket.join_multicast_v6(&group, 0)?,
            (IpAddr::V6(_), IpAddr::V6(_), Some(_)) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(())
}

impl UdpPump {
    pub(super) fn connected(socket: UdpSocket, slot: Slot) -> Self {
        Self::new(socket, None, slot)
    }

    pub(super) fn bound(socket: UdpSocket, slot: Slot) -> Self {
        Self::new(socket, Some(HashMap::new()), slot)
    }

    fn new(socket: UdpSocket, heard: Option<HashMap<IpAddr, Instant>>, slot: Slot) -> Self {
        Self {
            socket,
            heard,
            waiting: None,
            refusal_logged: false,
            _slot: slot,
        }
    }

    /// Moves some datagrams each way.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Turn {
        let mut worked = false;
        for _ in 0..DATAGRAMS_A_TURN {
            match self.send(cx, id, shared) {
                Ok(true) => worked = true,
                Ok(false) => break,
                // The client has closed it.
                Err(_) => return Turn::Over,
            }
        }
        for _ in 0..DATAGRAMS_A_TURN {
            match self.receive(cx, id, shared) {
                Ok(true) => worked = true,
                Ok(false) => break,
                Err(_) => return Turn::Over,
            }
        }
        if worked { Turn::Worked } else { Turn::Waiting }
    }

    /// Sends the client's next datagram; whether there was one and it is done with.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        id: Id,
        shared: &mut Shared<'_>,
    ) -> Result<bool, Reason> {
        if self.waiting.is_none() {
            let Some(datagram) = shared.mux.receive_datagram(id)? else {
                return Ok(false);
            };
            self.waiting = self
                .authorise(id, datagram.peer, shared)
                .map(|to| (to, datagram));
        }
        let Some((to, datagram)) = &self.waiting else {
            drop_one(id, shared);
            return Ok(true);
        };
        let sent = if self.heard.is_some() {
            self.socket.poll_send_to(cx, &datagram.data, *to)
        } else {
            self.socket.poll_send(cx, &datagram.data)
        };
        match sent {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(_)) => shared.counters.bytes_up += datagram.data.len() as u64,
            // Too large for the way, nobody there, no way: one datagram is lost.
            Poll::Ready(Err(_)) => drop_one(id, shared),
        }
        self.waiting = None;
        Ok(true)
    }

    /// Where a datagram of the client may go, if it may go.
    fn authorise(
        &mut self,
        id: Id,
        to: Option<SocketAddr>,
        shared: &mut Shared<'_>,
    ) -> Option<SocketAddr> {
        let Some(heard) = &mut self.heard else {
            // The peer was checked when the socket was opened.
            let peer = self.socket.peer_addr().ok()?;
            return to.is_none().then_some(peer);
        };
        let to = to?;
        let checked = shared.grant.token.policy.check(Transport::Udp, None, to);
        let refusal = match checked {
            Ok(to) if permit(heard, to.ip()) => return Some(to),
            Ok(_) => "the socket speaks with too many at once".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        if !std::mem::replace(&mut self.refusal_logged, true) {
            shared.counters.refused += 1;
            info!(%id, asked = %to, why = refusal, "refused datagrams");
        }
        None
    }

    /// Receives a datagram for the client; whether there was one.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        id: Id,
        shared: &mut Shared<'_>,
    ) -> Result<bool, Reason> {
        let buffer = &mut shared.scratch.datagram;
        buffer.resize(MAX_DATAGRAM + 1, 0);
        let mut buffer = ReadBuf::new(buffer);
        let from = match self.socket.poll_recv_from(cx, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(from)) => from,
            // An ICMP message about something sent before: UDP goes on.
            Poll::Ready(Err(error)) if is_transient(&error) => return Ok(true),
            Poll::Ready(Err(error)) => {
                info!(%id, %error, "a datagram socket has failed");
                let reason = Reason::new(Code::FAILED, "the relay's datagram socket has failed");
                shared.mux.reset(id, &reason);
                return Err(reason);
            }
        };
        let peer = match &self.heard {
            None => None,
            Some(_) if shared.grant.token.udp_open => Some(from),
            Some(heard) if is_heard(heard, from.ip()) => Some(from),
            Some(_) => return Ok(true),
        };
        let truncated = buffer.filled().len() > MAX_DATAGRAM;
        let data = &buffer.filled()[..buffer.filled().len().min(MAX_DATAGRAM)];
        if shared.mux.send_datagram(id, peer, data, truncated)? {
            shared.counters.bytes_down += data.len() as u64;
        } else {
            // The multiplexer tells the client.
            shared.counters.datagrams_dropped += 1;
        }
        Ok(true)
    }
}

fn drop_one(id: Id, shared: &mut Shared<'_>) {
    shared.mux.count_dropped(id, 1);
    shared.counters.datagrams_dropped += 1;
}

/// Notes that something is sent to this address; false where too many are heard already.
fn permit(heard: &mut HashMap<IpAddr, Instant>, ip: IpAddr) -> bool {
    let now = Instant::now();
    if heard.len() >= MAX_PERMISSIONS && !heard.contains_key(&ip) {
        heard.retain(|_, sent| now.duration_since(*sent) < PERMISSION);
        if heard.len() >= MAX_PERMISSIONS {
            return false;
        }
    }
    heard.insert(ip, now);
    true
}

fn is_heard(heard: &HashMap<IpAddr, Instant>, ip: IpAddr) -> bool {
    heard
        .get(&ip)
        .is_some_and(|sent| sent.elapsed() < PERMISSION)
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}
