//! The world: everything that a network is made of, behind its lock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Arguments;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_socket::time::Instant;
use jackfield_socket::{AddressFamily, Endpoint, Error, ErrorKind, Host, HostName, Result};

use crate::Cut;
use crate::connection::Connection;
use crate::datagram::SocketState;
use crate::link::{Link, LinkState};
use crate::listen::ListenerState;

/// How many lines of the trace are kept.
const MAX_TRACE: usize = 65_536;
/// The first port that is taken when none was asked for (RFC 6335, section 6).
const FIRST_PORT: u16 = 49_152;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(usize);

/// What a socket is bound to: a host, and an address of it, which may be the unspecified one.
pub(crate) type Bound = (HostId, SocketAddr);

pub(crate) struct World {
    seed: u64,
    hosts: Vec<HostState>,
    links: BTreeMap<(HostId, HostId), LinkState>,
    cuts: BTreeMap<(HostId, HostId), VecDeque<(u64, Cut)>>,
    pub(crate) listeners: BTreeMap<Bound, ListenerState>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) sockets: BTreeMap<u64, SocketState>,
    last_id: u64,
    begin: Option<Instant>,
    trace: VecDeque<String>,
}

struct HostState {
    name: HostName,
    addresses: Vec<IpAddr>,
    next_port: u16,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            hosts: Vec::new(),
            links: BTreeMap::new(),
            cuts: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            sockets: BTreeMap::new(),
            last_id: 0,
            begin: None,
            trace: VecDeque::new(),
        }
    }

    pub(crate) fn add_host(&mut self, name: &HostName, addresses: Vec<IpAddr>) -> HostId {
        for host in &self.hosts {
            assert!(host.name != *name, "there is a host {name} already");
            for address in &addresses {
                assert!(
                    !host.addresses.contains(address),
                    "{address} is {}'s already",
                    host.name
                );
            }
        }
        self.hosts.push(HostState {
            name: name.clone(),
            addresses,
            next_port: FIRST_PORT,
        });
        HostId(self.hosts.len() - 1)
    }

    pub(crate) fn set_link(&mut self, from: HostId, to: HostId, link: Link) {
        self.link(from, to).link = link;
    }

    /// One direction between two hosts.
    pub(crate) fn link(&mut self, from: HostId, to: HostId) -> &mut LinkState {
        let seed = self.seed;
        self.links.entry((from, to)).or_insert_with(|| {
            let link = if from == to {
                Link::loopback()
            } else {
                Link::default()
            };
            // Each direction has its own chances: traffic elsewhere doesn't change them.
            let place = ((from.0 as u64) << 32 | to.0 as u64).wrapping_add(1);
            LinkState::new(link, seed ^ place.wrapping_mul(0xd6e8_feb8_6659_fd93))
        })
    }

    pub(crate) fn part(&mut self, a: HostId, b: HostId) {
        self.link(a, b).parted = true;
        self.link(b, a).parted = true;
    }

    pub(crate) fn heal(&mut self, a: HostId, b: HostId) {
        self.link(a, b).parted = false;
        self.link(b, a).parted = false;
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.release(id, a, b);
        }
    }

    pub(crate) fn cut_next(&mut self, from: HostId, to: HostId, at: u64, how: Cut) {
        self.cuts
            .entry((from, to))
            .or_default()
            .push_back((at, how));
    }

    /// Where a new stream's direction is to be cut.
    pub(crate) fn take_cut(&mut self, from: HostId, to: HostId) -> Option<(u64, Cut)> {
        self.cuts.get_mut(&(from, to))?.pop_front()
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The addresses of an endpoint.
    pub(crate) fn resolve(&self, to: &Endpoint, family: AddressFamily) -> Result<SocketAddr> {
        let fits = |ip: &IpAddr| match family {
            AddressFamily::V4 => ip.is_ipv4(),
            AddressFamily::V6 => ip.is_ipv6(),
            _ => true,
        };
        let found = match to.host() {
            Host::Ip(ip) => Some(*ip).filter(fits),
            Host::Name(name) => self
                .hosts
                .iter()
                .find(|host| host.name == *name)
                .and_then(|host| host.addresses.iter().copied().find(fits)),
        };
        match found {
            Some(ip) => Ok(SocketAddr::new(ip, to.port())),
            None => Err(Error::new(
                ErrorKind::HostNotFound,
                format!("can't find an address of {}", to.host()),
            )),
        }
    }

    /// Whose address this is.
    pub(crate) fn host_at(&self, ip: IpAddr) -> Option<HostId> {
        let index = self
            .hosts
            .iter()
            .position(|host| host.addresses.contains(&ip))?;
        Some(HostId(index))
    }

    /// The address that a host shows to one of this family.
    pub(crate) fn own_address(&self, host: HostId, peer: IpAddr) -> Result<IpAddr> {
        self.hosts[host.0]
            .addresses
            .iter()
            .copied()
            .find(|ip| ip.is_ipv4() == peer.is_ipv4())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Unreachable,
                    format!(
                        "{} has no address to reach {peer} from",
                        self.hosts[host.0].name
                    ),
                )
            })
    }

    /// Fails unless a host can bind to this address.
    pub(crate) fn check_own(&self, host: HostId, ip: IpAddr) -> Result<()> {
        if ip.is_unspecified() || self.host_at(ip) == Some(host) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AddressNotAvailable,
            format!("{ip} is not an address of {}", self.hosts[host.0].name),
        ))
    }

    /// A port for which `is_free` says that it is free.
    pub(crate) fn free_port(
        &mut self,
        host: HostId,
        is_free: impl Fn(&Self, u16) -> bool,
    ) -> Result<u16> {
        for _ in FIRST_PORT..=u16::MAX {
            let port = self.hosts[host.0].next_port;
            self.hosts[host.0].next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if is_free(self, port) {
                return Ok(port);
            }
        }
        Err(Error::new(
            ErrorKind::AddressInUse,
            format!("{} has no free port", self.hosts[host.0].name),
        ))
    }

    /// Adds a line to the trace.
    pub(crate) fn log(&mut self, now: Instant, what: Arguments<'_>) {
        let begin = *self.begin.get_or_insert(now);
        if self.trace.len() == MAX_TRACE {
            self.trace.pop_front();
        }
        let at = now.saturating_duration_since(begin).as_secs_f64();
        self.trace.push_back(format!("{at:.6} {what}"));
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.iter().cloned().collect()
    }
}

/// The unspecified address of the same family.
pub(crate) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
