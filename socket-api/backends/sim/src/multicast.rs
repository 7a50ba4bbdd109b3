//! Multicast groups in the world, and who hears each.

use std::net::SocketAddr;

use crate::datagram::SocketState;
use crate::world::{HostId, World};

/// The sockets that receive what `sender` sends from an address of its own to a group. All hosts
/// are one hop apart.
pub(crate) fn receivers(
    world: &World,
    sender: &SocketState,
    from: SocketAddr,
    to: SocketAddr,
) -> Vec<(HostId, u64)> {
    world
        .sockets
        .iter()
        .filter(|(_, socket)| {
            let reachable = if socket.host == sender.host {
                sender.multicast.loopback
            } else {
                sender.multicast.time_to_live > 0
            };
            let member = socket.groups.iter().any(|group| {
                group.address == to.ip() && group.source.is_none_or(|source| source == from.ip())
            });
            reachable && member && socket.local.port() == to.port()
        })
        .map(|(id, socket)| (socket.host, *id))
        .collect()
}
