//! The relay's own machine: which addresses are its own, and where the relay itself listens.
//!
//! What is sent to an address of the machine itself goes through the loopback interface, whichever
//! address that is, and so past any firewall that stands before it. The addresses are listed again as
//! they change; those of a NAT before the machine only its administrator knows (`advertise`). A route may lead
//! to the machine, too, whose addresses no interface has: those of a load balancer before it (`ip route add local`),
//! say. So the system is asked besides where it would send.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::policy::Transport;

/// For how long a list of the machine's addresses is good.
const FRESH: Duration = Duration::from_secs(1);
/// Of how many addresses it is known as long where they lead; beyond it, they are all asked for again.
const MAX_ROUTED: usize = 1024;

/// Which addresses are the machine's.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Where the relay listens.
    relay: Vec<SocketAddr>,
    /// Addresses that lead here from outside.
    advertised: Vec<IpAddr>,
    list: fn() -> io::Result<Vec<IpAddr>>,
    routed_here: fn(IpAddr) -> io::Result<bool>,
    listed: Mutex<Listed>,
}

#[derive(Debug)]
struct Listed {
    at: Instant,
    addresses: Vec<IpAddr>,
    /// Whether others lead here, as far as somebody has asked since.
    routed: HashMap<IpAddr, bool>,
}

impl Machine {
    /// This machine, with a relay that listens there.
    ///
    /// # Errors
    /// Where the system doesn't say which addresses it has.
    pub(crate) fn new(relay: &[SocketAddr], advertised: &[IpAddr]) -> io::Result<Self> {
        Self::with_list(relay, advertised, interfaces, routed_here)
    }

    fn with_list(
        relay: &[SocketAddr],
        advertised: &[IpAddr],
        list: fn() -> io::Result<Vec<IpAddr>>,
        routed_here: fn(IpAddr) -> io::Result<bool>,
    ) -> io::Result<Self> {
        let addresses = list().map_err(|error| {
            let text = format!("can't list this machine's addresses: {error}");
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self {
            relay: relay.to_vec(),
            advertised: advertised.to_vec(),
            list,
            routed_here,
            listed: Mutex::new(Listed {
                at: Instant::now(),
                addresses,
                routed: HashMap::new(),
            }),
        })
    }

    /// Whether this is one of the machine's addresses, or leads to it from outside. The system is
    /// asked at most once a second.
    pub(crate) fn is_local(&self, address: IpAddr) -> bool {
        self.is_here(address, FRESH)
    }

    /// Whether the relay may be what listens there: at one of its ports, on any address that is the
    /// machine's. Such a port is asked for so seldom that the system is asked every time.
    pub(crate) fn is_relay(&self, transport: Transport, at: SocketAddr) -> bool {
        let same_port = |own: &&SocketAddr| own.port() == at.port();
        let mut own = self.relay.iter().filter(same_port).peekable();
        transport == Transport::Tcp
            && own.peek().is_some()
            && (own.any(|own| own.ip().to_canonical() == at.ip())
                || self.is_here(at.ip(), Duration::ZERO))
    }

    /// Whether something may listen there that is known to listen at one of these, here or elsewhere.
    #[cfg(any(feature = "redis", test))]
    pub(crate) fn is_any_of(&self, places: &[SocketAddr], at: SocketAddr) -> bool {
        let here = |ip: IpAddr| self.is_here(ip.to_canonical(), Duration::ZERO);
        let same_port = |place: &&SocketAddr| place.port() == at.port();
        places.iter().filter(same_port).any(|place| {
            place.ip().to_canonical() == at.ip() || (here(place.ip()) && here(at.ip()))
        })
    }

    /// As [`is_local`](Self::is_local), by a list of this age at the most.
    fn is_here(&self, address: IpAddr, fresh: Duration) -> bool {
        address.is_loopback()
            || address.is_unspecified()
            || self.advertised.contains(&address)
            || self.has(address, fresh)
    }

    fn has(&self, address: IpAddr, fresh: Duration) -> bool {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.at.elapsed() >= fresh {
            match (self.list)() {
                Ok(addresses) => listed.addresses = addresses,
                // Those that it had are better than none.
                Err(error) => warn!(%error, "can't list this machine's addresses"),
            }
            listed.routed.clear();
            listed.at = Instant::now();
        }
        if listed.addresses.contains(&address) {
            return true;
        }
        if let Some(here) = listed.routed.get(&address) {
            return *here;
        }
        if listed.routed.len() >= MAX_ROUTED {
            listed.routed.clear();
        }
        match (self.routed_here)(address) {
            Ok(here) => {
                listed.routed.insert(address, here);
                here
            }
            Err(error) => {
                warn!(%error, "can't ask where the system would send");
                // It may know in a moment, when whoever asks is let through.
                true
            }
        }
    }
}

fn interfaces() -> io::Result<Vec<IpAddr>> {
    let addresses = if_addrs::get_if_addrs()?;
    Ok(addresses
        .into_iter()
        .map(|interface| interface.ip())
        .collect())
}

/// Whether the system would send what is for this address to the machine itself: it answers from the same
/// address then. Nothing is sent.
///
/// # Errors
/// Where the system has no room for the socket that asks.
fn routed_here(address: IpAddr) -> io::Result<bool> {
    /// Any will do.
    const PORT: u16 = 9;
    let any = match address {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, PORT))?;
        socket.local_addr()
    };
    match source() {
        Ok(source) => Ok(source.ip() == address),
        Err(error) if jackfield_native::out_of_room(&error) => Err(error),
        // No way leads there: nothing will be sent either.
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_relay_is_at_its_ports_on_every_address_of_the_machine() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let at = |text: &str| text.parse::<SocketAddr>().expect(text);
        let list = || {
            Ok(vec![
                IpAddr::from([9, 9, 9, 9]),
                IpAddr::from([127, 0, 0, 1]),
            ])
        };
        let routed = |address: IpAddr| Ok(address == IpAddr::from([9, 9, 9, 2]));
        let relay = [at("9.9.9.9:8443"), at("[::ffff:9.9.9.8]:8444")];
        let machine = Machine::with_list(&relay, &[ip("9.9.9.1")], list, routed).expect("listed");
        for (address, local) in [
            ("9.9.9.9", true),
            ("9.9.9.1", true),
            ("9.9.9.2", true),
            ("127.3.2.1", true),
            ("::1", true),
            ("0.0.0.0", true),
            ("9.9.9.8", false),
            ("2606:4700::9", false),
        ] {
            assert_eq!(machine.is_local(ip(address)), local, "{address}");
        }
        for (address, relay) in [
            ("9.9.9.9:8443", true),
            ("9.9.9.1:8443", true),
            ("9.9.9.2:8443", true),
            ("127.0.0.1:8443", true),
            ("[::1]:8444", true),
            ("9.9.9.8:8444", true),
            ("9.9.9.9:8445", false),
            ("8.8.8.8:8443", false),
        ] {
            let decided = machine.is_relay(Transport::Tcp, at(address));
            assert_eq!(decided, relay, "{address}");
            assert!(!machine.is_relay(Transport::Udp, at(address)), "{address}");
        }
        // What listens elsewhere is there alone.
        let places = [at("127.0.0.1:6379"), at("10.0.0.7:6380")];
        for (address, listens) in [
            ("127.0.0.1:6379", true),
            ("9.9.9.9:6379", true),
            ("10.0.0.7:6379", false),
            ("10.0.0.7:6380", true),
            ("127.0.0.1:6380", false),
        ] {
            let decided = machine.is_any_of(&places, at(address));
            assert_eq!(decided, listens, "{address}");
        }
    }

    #[test]
    fn where_nobody_can_say_where_an_address_leads_it_leads_here_until_somebody_can() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let routed = |_| match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("too many open files")),
            _ => Ok(false),
        };
        let machine = Machine::with_list(&[], &[], || Ok(Vec::new()), routed).expect("listed");
        assert!(machine.is_local(IpAddr::from([9, 9, 9, 9])));
        assert!(!machine.is_local(IpAddr::from([9, 9, 9, 9])));
    }

    #[test]
    fn a_machine_that_is_silent_about_its_addresses_is_an_error() {
        let silent = || Err(io::ErrorKind::PermissionDenied.into());
        let error = Machine::with_list(&[], &[], silent, |_| Ok(false)).expect_err("none");
        assert!(error.to_string().contains("this machine's addresses"));
    }
}
