//! Multicast on a bound socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jackfield_socket::{Error, ErrorKind, MulticastGroup, MulticastOptions, Result};
use socket2::{InterfaceIndexOrAddress, Socket};

use crate::connect::reason;

/// Sets up a socket bound to `at`, whose family is the groups' too.
pub(crate) fn join(socket: &Socket, at: SocketAddr, options: &MulticastOptions) -> Result<()> {
    let failed = |what: String, error: io::Error| {
        let text = format!("{what}: {}", reason(&error));
        Error::new(error.kind().into(), text).with_source(error)
    };
    let interface = Interface::find(at, options.interface)?;
    set_up(socket, options, &interface)
        .map_err(|error| failed(format!("can't set up multicast at {at}"), error))?;
    for group in &options.groups {
        join_group(socket, group, &interface)?
            .map_err(|error| failed(format!("can't join the group {}", group.address), error))?;
    }
    Ok(())
}

/// The interface, as the system's calls want it named.
enum Interface {
    /// By an address; the unspecified one leaves the choice to the system.
    V4(Ipv4Addr),
    /// By its index; 0 leaves the choice to the system.
    V6(u32),
}

impl Interface {
    fn find(at: SocketAddr, address: Option<IpAddr>) -> Result<Self> {
        match (at, address) {
            (_, Some(IpAddr::V4(address))) => Ok(Self::V4(address)),
            (_, Some(address @ IpAddr::V6(_))) => index_of(address).map(Self::V6),
            (SocketAddr::V4(_), None) => Ok(Self::V4(Ipv4Addr::UNSPECIFIED)),
            // A link-local address is bound on one interface, which it names by its scope.
            (SocketAddr::V6(at), None) => Ok(Self::V6(at.scope_id())),
        }
    }
}

fn set_up(socket: &Socket, options: &MulticastOptions, interface: &Interface) -> io::Result<()> {
    match interface {
        Interface::V4(address) => {
            socket.set_multicast_ttl_v4(options.time_to_live.into())?;
            socket.set_multicast_loop_v4(options.loopback)?;
            if !address.is_unspecified() {
                socket.set_multicast_if_v4(address)?;
            }
        }
        Interface::V6(index) => {
            socket.set_multicast_hops_v6(options.time_to_live.into())?;
            socket.set_multicast_loop_v6(options.loopback)?;
            if *index != 0 {
                socket.set_multicast_if_v6(*index)?;
            }
        }
    }
    // Else Linux would deliver every group that anyone on this host has joined.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match interface {
        Interface::V4(_) => socket.set_multicast_all_v4(false)?,
        Interface::V6(_) => socket.set_multicast_all_v6(false)?,
    }
    Ok(())
}

fn join_group(
    socket: &Socket,
    group: &MulticastGroup,
    interface: &Interface,
) -> Result<io::Result<()>> {
    Ok(match (group.address, group.source, interface) {
        (IpAddr::V4(address), None, Interface::V4(interface)) => {
            socket.join_multicast_v4_n(&address, &InterfaceIndexOrAddress::Address(*interface))
        }
        (IpAddr::V4(address), Some(IpAddr::V4(source)), Interface::V4(interface)) => {
            socket.join_ssm_v4(&source, &address, interface)
        }
        (IpAddr::V6(address), None, Interface::V6(index)) => {
            socket.join_multicast_v6(&address, *index)
        }
        // `UdpOptions::validate_bound` has seen to it that the families are alike.
        (address, ..) => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("can't join {address} for one source: only IPv4 groups"),
            ));
        }
    })
}

/// The index of the interface that has this address.
#[cfg(unix)]
fn index_of(address: IpAddr) -> Result<u32> {
    let failed = |error: nix::Error| {
        let text = format!("can't find the interface of {address}");
        Error::new(ErrorKind::Other, text).with_source(error)
    };
    let has_address = |interface: &nix::ifaddrs::InterfaceAddress| {
        let Some(found) = interface.address else {
            return false;
        };
        found
            .as_sockaddr_in6()
            .is_some_and(|found| found.ip() == address)
    };
    let interface = nix::ifaddrs::getifaddrs()
        .map_err(failed)?
        .find(has_address)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::AddressNotAvailable,
                format!("no interface has the address {address}"),
            )
        })?;
    nix::net::if_::if_nametoindex(interface.interface_name.as_str()).map_err(failed)
}

#[cfg(not(unix))]
fn index_of(_address: IpAddr) -> Result<u32> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "an interface can't be chosen for IPv6 multicast on this system",
    ))
}
