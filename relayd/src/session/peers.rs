//! Peers: whom a bound datagram socket speaks with, and how many more it may.
//!
//! To send to somebody for the first time is what opening a stream is, so it counts as a dial: to try a
//! network's ports by datagrams is no cheaper than by connections.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::LimitReached;

/// How long an address is heard after something was sent to it (RFC 8656, section 9), and its ports are
/// no new peers.
const PERMISSION: Duration = Duration::from_mins(5);
/// How many peers there are at a time. Beyond it, new ones are not sent to.
const MAX_PEERS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Peers {
    hosts: HashMap<IpAddr, Host>,
    /// How many ports these have in all.
    count: usize,
}

#[derive(Debug)]
struct Host {
    /// When something was last sent there.
    sent: Instant,
    /// To which ports, in order.
    ports: Vec<u16>,
}

/// Whether it is a new peer to whom something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Known,
    New,
}

/// Why nothing may be sent to a new peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    TooMany,
    Limit(LimitReached),
}

impl Peers {
    /// Notes that something is sent there. A new peer is dialled first.
    pub(super) fn meet(
        &mut self,
        peer: SocketAddr,
        now: Instant,
        dial: impl FnOnce() -> Result<(), LimitReached>,
    ) -> Result<Met, Unmet> {
        let (ip, port) = (peer.ip(), peer.port());
        if let Some(host) = self.hosts.get_mut(&ip).filter(|host| host.is_heard(now))
            && host.ports.binary_search(&port).is_ok()
        {
            host.sent = now;
            return Ok(Met::Known);
        }
        if self.count >= MAX_PEERS {
            self.hosts.retain(|_, host| host.is_heard(now));
            self.count = self.hosts.values().map(|host| host.ports.len()).sum();
            if self.count >= MAX_PEERS {
                return Err(Unmet::TooMany);
            }
        }
        dial().map_err(Unmet::Limit)?;
        let host = self.hosts.entry(ip).or_insert_with(|| Host {
            sent: now,
            ports: Vec::new(),
        });
        if !host.is_heard(now) {
            self.count -= host.ports.len();
            host.ports.clear();
        }
        host.sent = now;
        if let Err(place) = host.ports.binary_search(&port) {
            host.ports.insert(place, port);
            self.count += 1;
        }
        Ok(Met::New)
    }

    /// Whether something was sent there not long ago.
    pub(super) fn knows(&self, peer: SocketAddr, now: Instant) -> bool {
        let host = self.hosts.get(&peer.ip()).filter(|host| host.is_heard(now));
        host.is_some_and(|host| host.ports.binary_search(&peer.port()).is_ok())
    }

    /// Whether what comes from there is for the client.
    pub(super) fn hears(&self, ip: IpAddr, now: Instant) -> bool {
        self.hosts.get(&ip).is_some_and(|host| host.is_heard(now))
    }
}

impl Host {
    fn is_heard(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sent) < PERMISSION
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("the socket speaks with too many at once"),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Whose;

    const LIMIT: LimitReached = LimitReached {
        whose: Whose::Bearer,
        name: "dials_per_second",
        value: 1,
    };

    fn peer(number: u32, port: u16) -> SocketAddr {
        (IpAddr::from(number.to_be_bytes()), port).into()
    }

    #[test]
    fn a_peer_is_an_address_with_its_port_and_is_dialled_once() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let mut dials = 0;
        let mut dial = || {
            dials += 1;
            Ok(())
        };
        for to in [peer(1, 9), peer(1, 7), peer(2, 7), peer(1, 8)] {
            for met in [Met::New, Met::Known, Met::Known] {
                assert_eq!(peers.meet(to, now, &mut dial), Ok(met));
            }
        }
        assert_eq!(dials, 4);
        let refused = peers.meet(peer(3, 7), now, || Err(LIMIT));
        assert_eq!(refused, Err(Unmet::Limit(LIMIT)));
        assert!(!peers.hears(peer(3, 7).ip(), now));
        let met = peers.meet(peer(1, 7), now, || Err(LIMIT));
        assert_eq!(met, Ok(Met::Known));
    }

    #[test]
    fn a_peer_is_new_again_when_nothing_was_sent_there_for_long() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        let never = || Err(LIMIT);
        let ip = peer(1, 7).ip();
        assert_eq!(peers.meet(peer(1, 7), start, || Ok(())), Ok(Met::New));
        let kept = start + PERMISSION - Duration::from_secs(1);
        assert!(peers.hears(ip, kept));
        assert_eq!(peers.meet(peer(1, 7), kept, never), Ok(Met::Known));
        assert!(!peers.hears(ip, kept + PERMISSION));
        assert!(peers.meet(peer(1, 7), kept + PERMISSION, never).is_err());
        let met = peers.meet(peer(1, 8), kept + PERMISSION, || Ok(()));
        assert_eq!(met, Ok(Met::New));
        assert!(peers.meet(peer(1, 7), kept + PERMISSION, never).is_err());
        assert_eq!(peers.count, 1);
    }

    #[test]
    fn peers_have_a_bound_whether_they_are_hosts_or_ports() {
        for of in [|number: u16| peer(number.into(), 7), |port| peer(1, port)] {
            let (mut peers, start) = (Peers::default(), Instant::now());
            let met =
                (0..10_000).filter(|&number| peers.meet(of(number), start, || Ok(())).is_ok());
            assert_eq!(met.count(), MAX_PEERS);
            assert_eq!(peers.meet(of(1), start, || Err(LIMIT)), Ok(Met::Known));
            let later = start + PERMISSION;
            assert_eq!(peers.meet(of(9999), later, || Ok(())), Ok(Met::New));
            assert_eq!(peers.count, 1);
        }
    }
}
