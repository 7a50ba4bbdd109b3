//! The resolver: from a host to its addresses.

use std::net::SocketAddr;

use jackfield_socket::{AddressFamily, Endpoint, Error, ErrorKind, Host, Result};

/// All addresses of an endpoint, in the order in which the system prefers them (RFC 6724), each
/// once; at least one.
pub(crate) async fn resolve(to: &Endpoint, family: AddressFamily) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    match to.host() {
        Host::Ip(ip) => addresses.push(SocketAddr::new(*ip, to.port())),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), to.port()))
                .await
                .map_err(|error| {
                    // The resolver's own failures carry no number of the system's.
                    let kind = match error.raw_os_error() {
                        Some(_) => error.kind().into(),
                        None => ErrorKind::HostNotFound,
                    };
                    Error::new(kind, format!("can't find an address of {name}")).with_source(error)
                })?;
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }
    let wanted = match family {
        AddressFamily::V4 => "IPv4 ",
        AddressFamily::V6 => "IPv6 ",
        _ => "",
    };
    addresses.retain(|address| match family {
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
        _ => true,
    });
    if addresses.is_empty() {
        return Err(Error::new(
            ErrorKind::HostNotFound,
            format!("{} has no {wanted}address", to.host()),
        ));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_literal_of_the_other_family_is_no_address() {
        let to: Endpoint = "127.0.0.1:1".parse().expect("an endpoint");
        let error = resolve(&to, AddressFamily::V6)
            .await
            .expect_err("IPv6 was asked for");
        assert_eq!(error.kind(), ErrorKind::HostNotFound);
        assert_eq!(error.to_string(), "127.0.0.1 has no IPv6 address");
    }

    #[tokio::test]
    async fn a_name_has_each_address_once() {
        let to: Endpoint = "localhost:1".parse().expect("an endpoint");
        let addresses = resolve(&to, AddressFamily::V4).await.expect("localhost");
        assert_eq!(addresses, ["127.0.0.1:1".parse().expect("an address")]);
    }
}
