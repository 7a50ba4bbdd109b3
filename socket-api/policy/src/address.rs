//! Addresses: networks, disguises, and the ranges that are nobody's public host.
//!
//! An IPv6 address can carry an IPv4 address inside, and a check that looks at the outside only is
//! passed by `::ffff:127.0.0.1`. [`unmask`] takes the disguise off, or says that there is one
//! that can't be taken off. [`special_purpose`] then names the range that an address belongs to,
//! after IANA's registries (RFC 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses: those that share their first `prefix` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `address` with a prefix of so many bits. `None` where the prefix is longer
    /// than the address, or the address has bits set beyond it.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let network = Self { address, prefix };
        let width = network.width();
        (prefix <= width && (prefix == width || bits(address) << prefix == 0)).then_some(network)
    }

    /// Whether the address belongs to this network. IPv4 and IPv6 never belong to each other.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && (self.prefix == 0
                || (bits(self.address) ^ bits(address)) >> (128 - u32::from(self.prefix)) == 0)
    }

    /// Whether every address of `other` belongs to this network.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Whether every address of its kind belongs to this network.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether this is a network of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Refuses a network of addresses that are never looked at in this form, so that a rule for it
    /// would silently do nothing.
    ///
    /// # Errors
    /// Says so, and what to write instead where there is something.
    pub(crate) fn as_written(&self) -> Result<(), String> {
        let hidden = |address| unmask(address) != Ok(address);
        if !hidden(self.address) || !hidden(self.last()) {
            return Ok(());
        }
        match unmask(self.address) {
            Ok(v4) => Err(format!(
                "{self} hides IPv4 addresses, which is what rules are held against: \
                 write them as such, from {v4} on"
            )),
            Err(form) => Err(format!("{form} addresses are never reached")),
        }
    }

    /// The network's last address.
    fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let hosts = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() | hosts).into()
            }
            IpAddr::V6(v6) => {
                let hosts = u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() | hosts).into()
            }
        }
    }

    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
}

/// The address's bits from the highest bit down, so that a prefix means the same in both families.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }
}

impl FromStr for Network {
    type Err = String;

    /// `192.0.2.0/24`, `2001:db8::/32`, or a single address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{address:?} is not an IP address"))?;
        let Some(prefix) = prefix else {
            return Ok(address.into());
        };
        let prefix = (prefix.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| prefix.parse().ok())
            .flatten()
            .ok_or_else(|| format!("{prefix:?} is not a prefix length"))?;
        Self::new(address, prefix).ok_or_else(|| {
            format!("{text:?} is not a network: the prefix is too long, or bits beyond it are set")
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == self.width() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// An address without disguise: what a packet sent there reaches in the end.
///
/// IPv4-mapped addresses (RFC 4291) become IPv4, as the system would have it. Those of the
/// well-known NAT64 prefix (RFC 6052) become the IPv4 address that the gateway will reach.
///
/// # Errors
/// Names the disguise where it is one that no honest client needs any more, and that might lead
/// anywhere: IPv4-compatible and -translated addresses, 6to4, Teredo, ISATAP, and local NAT64
/// prefixes, whose layout isn't known from outside.
pub fn unmask(address: IpAddr) -> Result<IpAddr, &'static str> {
    let IpAddr::V6(v6) = address else {
        return Ok(address);
    };
    let last_32_bits = Ipv4Addr::from_bits(v6.to_bits() as u32);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Ok(address),
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Ok(last_32_bits.into()),
        [0, 0, 0, 0, 0, 0, ..] => Err("IPv4-compatible"),
        [0, 0, 0, 0, 0xffff, 0, ..] => Err("IPv4-translated"),
        [0x64, 0xff9b, 1, ..] => Err("local-use NAT64"),
        [0x2001, 0, ..] => Err("Teredo"),
        [0x2002, ..] => Err("6to4"),
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Err("ISATAP"),
        _ => Ok(address),
    }
}

/// The special-purpose range that an address without disguise belongs to, and the range's name.
/// `None` for an ordinary public address.
pub fn special_purpose(address: IpAddr) -> Option<(Network, &'static str)> {
    let found = match address {
        IpAddr::V4(v4) => SPECIAL_V4
            .iter()
            .map(|&(octets, prefix, name)| (IpAddr::from(octets), prefix, name))
            .find(|&(network, prefix, _)| in_range(network, prefix, v4.into())),
        IpAddr::V6(v6) => SPECIAL_V6
            .iter()
            .map(|&(high, low, prefix, name)| {
                let segments = [high, low, 0, 0, 0, 0, 0, 0];
                (IpAddr::from(Ipv6Addr::from(segments)), prefix, name)
            })
            .chain([
                (Ipv6Addr::UNSPECIFIED.into(), 128, "unspecified"),
                (Ipv6Addr::LOCALHOST.into(), 128, "loopback"),
            ])
            .filter(|&(network, prefix, _)| in_range(network, prefix, v6.into()))
            .max_by_key(|&(_, prefix, _)| prefix),
    };
    found.map(|(address, prefix, name)| (Network { address, prefix }, name))
}

fn in_range(address: IpAddr, prefix: u8, candidate: IpAddr) -> bool {
    Network { address, prefix }.contains(candidate)
}

/// IANA's IPv4 special-purpose registry, and one address that a cloud took from public space.
/// The first that fits counts.
const SPECIAL_V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "unspecified"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared (carrier-grade NAT)"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([168, 63, 129, 16], 32, "cloud metadata"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "IETF protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "6to4 relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([255, 255, 255, 255], 32, "broadcast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// IANA's IPv6 special-purpose registry, given by the first two groups, and all that lies outside
/// of global unicast (2000::/3). The longest prefix that fits counts.
const SPECIAL_V6: &[(u16, u16, u8, &str)] = &[
    (0x0000, 0, 3, "reserved"),
    (0x0100, 0, 64, "discard"),
    (0x2001, 0, 23, "IETF protocol assignments"),
    (0x2001, 0xdb8, 32, "documentation"),
    (0x2002, 0, 16, "6to4"),
    (0x3fff, 0, 20, "documentation"),
    (0x4000, 0, 2, "reserved"),
    (0x8000, 0, 1, "reserved"),
    (0xfc00, 0, 7, "unique local"),
    (0xfe80, 0, 10, "link-local"),
    (0xfec0, 0, 10, "site-local"),
    (0xff00, 0, 8, "multicast"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn disguises_come_off_or_are_named() {
        for (address, expected) in [
            ("127.0.0.1", Ok("127.0.0.1")),
            ("::1", Ok("::1")),
            ("::", Ok("::")),
            ("2606:4700::1111", Ok("2606:4700::1111")),
            ("::ffff:127.0.0.1", Ok("127.0.0.1")),
            ("::ffff:7f00:1", Ok("127.0.0.1")),
            ("0:0:0:0:0:ffff:a9fe:a9fe", Ok("169.254.169.254")),
            ("64:ff9b::10.0.0.1", Ok("10.0.0.1")),
            ("64:ff9b::808:808", Ok("8.8.8.8")),
            ("::127.0.0.1", Err("IPv4-compatible")),
            ("::8.8.8.8", Err("IPv4-compatible")),
            ("::2", Err("IPv4-compatible")),
            ("::ffff:0:127.0.0.1", Err("IPv4-translated")),
            ("64:ff9b:1::7f00:1", Err("local-use NAT64")),
            ("64:ff9b:1:7f00:0:100::", Err("local-use NAT64")),
            ("2002:7f00:1::1", Err("6to4")),
            ("2002:808:808::1", Err("6to4")),
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", Err("Teredo")),
            ("2600::5efe:7f00:1", Err("ISATAP")),
            ("fe80::200:5efe:7f00:1", Err("ISATAP")),
        ] {
            assert_eq!(unmask(ip(address)), expected.map(ip), "{address}");
        }
    }

    #[test]
    fn special_ranges_are_known_to_their_edges() {
        for (address, expected) in [
            ("0.0.0.0", Some("unspecified")),
            ("0.255.255.255", Some("unspecified")),
            ("1.0.0.0", None),
            ("9.255.255.255", None),
            ("10.0.0.0", Some("private")),
            ("10.255.255.255", Some("private")),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some("shared (carrier-grade NAT)")),
            ("100.127.255.255", Some("shared (carrier-grade NAT)")),
            ("100.128.0.0", None),
            ("126.255.255.255", None),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.255", Some("loopback")),
            ("128.0.0.0", None),
            ("168.63.129.16", Some("cloud metadata")),
            ("168.63.129.17", None),
            ("169.254.169.254", Some("link-local")),
            ("172.15.255.255", None),
            ("172.16.0.0", Some("private")),
            ("172.31.255.255", Some("private")),
            ("172.32.0.0", None),
            ("192.0.0.192", Some("IETF protocol assignments")),
            ("192.0.2.1", Some("documentation")),
            ("192.88.99.1", Some("6to4 relay")),
            ("192.168.0.1", Some("private")),
            ("198.18.0.1", Some("benchmarking")),
            ("198.19.255.255", Some("benchmarking")),
            ("198.20.0.0", None),
            ("198.51.100.7", Some("documentation")),
            ("203.0.113.7", Some("documentation")),
            ("223.255.255.255", None),
            ("224.0.0.251", Some("multicast")),
            ("239.255.255.250", Some("multicast")),
            ("240.0.0.1", Some("reserved")),
            ("255.255.255.255", Some("broadcast")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("100::1", Some("discard")),
            ("1fff::1", Some("reserved")),
            ("2000::1", None),
            ("2001:20::1", Some("IETF protocol assignments")),
            ("2001:200::1", None),
            ("2001:db8::1", Some("documentation")),
            ("2606:4700::1111", None),
            ("3fff::1", Some("documentation")),
            ("3fff:1000::", None),
            ("4000::1", Some("reserved")),
            ("5f00::1", Some("reserved")),
            ("fc00::1", Some("unique local")),
            ("fd00:ec2::254", Some("unique local")),
            ("fe00::1", Some("reserved")),
            ("fe80::1", Some("link-local")),
            ("febf::1", Some("link-local")),
            ("fec0::1", Some("site-local")),
            ("ff02::fb", Some("multicast")),
        ] {
            let found = special_purpose(ip(address));
            assert_eq!(found.map(|(_, name)| name), expected, "{address}");
            if let Some((network, _)) = found {
                assert!(network.contains(ip(address)), "{address} in {network}");
            }
        }
    }

    #[test]
    fn networks_parse_and_contain() {
        let any: Network = "0.0.0.0/0".parse().expect("everything");
        assert!(any.contains(ip("255.255.255.255")));
        assert!(!any.contains(ip("::")));
        let all_v6: Network = "::/0".parse().expect("everything");
        assert!(all_v6.contains(ip("ffff::")) && !all_v6.contains(ip("1.2.3.4")));
        let one: Network = "192.0.2.7".parse().expect("one address");
        assert!(one.contains(ip("192.0.2.7")) && !one.contains(ip("192.0.2.6")));
        let wide: Network = "10.0.0.0/8".parse().expect("a network");
        let narrow: Network = "10.1.0.0/16".parse().expect("a network");
        assert!(wide.covers(&narrow) && !narrow.covers(&wide) && wide.covers(&wide));
        for text in [
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "a/8",
            "",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
        for text in ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::/0"] {
            assert_eq!(text.parse::<Network>().expect(text).to_string(), text);
        }
    }
}
