//! Rules of a policy: what may stand in one, how it is read and written, and what it fits.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jackfield_socket::HostName;

use crate::address::Network;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Which hosts at which ports: `HOST:PORTS`, and `/tcp` or `/udp` behind it for streams or datagrams
/// alone.
///
/// Without either, a rule that allows is for streams, and a rule that denies is for both: so nothing
/// is open or stays open because a suffix was forgotten.
///
/// The host is a name (`irc.example.org`), all names below one (`*.example.org`), an address or a
/// network (`192.0.2.0/24`, `[2001:db8::/32]`), or `*` for every public host. The ports are a
/// comma-separated list of ports and ranges (`993`, `443,8000-8100`), or `*`.
///
/// ```
/// use jackfield_policy::Rule;
///
/// for text in ["irc.example.org:6697", "*.example.org:443,8000-8100", "[2001:db8::/32]:5683/udp"] {
///     assert_eq!(text.parse::<Rule>()?.to_string(), text);
/// }
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) hosts: Hosts,
    pub(super) ports: Ports,
    /// As the suffix has it.
    transport: Option<Transport>,
    written: Written,
}

/// How a rule stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    text: Box<str>,
    line: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    Any,
    Name(HostName),
    Below(HostName),
    Network(Network),
}

/// Where a client may listen, or bind a datagram socket: `ADDRESS:PORTS` or `NETWORK:PORTS` for the
/// one, and `/udp` behind it for the other. `*` as ports, or the port 0 among them, lets the system choose.
///
/// ` as ADDRESS` at its end is for a place that others reach by that address, before a NAT which keeps the
/// port: clients are told of it instead of the machine's own.
///
/// ```
/// use jackfield_policy::ListenRule;
///
/// let rule: ListenRule = "10.0.0.5:8000-8100 as 203.0.113.7".parse()?;
/// assert_eq!(rule.advertised(), Some("203.0.113.7".parse().expect("an address")));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenRule {
    pub(super) network: Network,
    pub(super) ports: Ports,
    pub(super) transport: Transport,
    advertised: Option<IpAddr>,
    written: Written,
}

/// Ports, in ranges; `None` for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports(Option<Vec<RangeInclusive<u16>>>);

impl Rule {
    /// The line of the configuration file that the rule stands in, from 1; `None` where it wasn't
    /// read from one.
    pub fn line(&self) -> Option<usize> {
        self.written.line
    }

    /// The same rule, as it was read from this line.
    #[must_use]
    pub fn at_line(mut self, line: usize) -> Self {
        self.written.line = Some(line);
        self
    }

    /// For these hosts, at any port.
    pub(super) fn at_any_port(hosts: Hosts, transport: Transport) -> Self {
        let host = match &hosts {
            Hosts::Any => "*".to_owned(),
            Hosts::Name(name) => name.to_string(),
            Hosts::Below(name) => format!("*.{name}"),
            Hosts::Network(network) if network.is_ipv4() => network.to_string(),
            Hosts::Network(network) => format!("[{network}]"),
        };
        Self {
            hosts,
            ports: Ports(None),
            transport: Some(transport),
            written: Written::new(&format!("{host}:*/{transport}")),
        }
    }

    /// Whether the rule is for such bytes, to such a port, where it stands among those that allow.
    pub(super) fn may_allow(&self, transport: Transport, port: u16) -> bool {
        self.may_allow_any(transport) && self.ports.contains(port)
    }

    /// The same, where it stands among those that deny.
    pub(super) fn may_deny(&self, transport: Transport, port: u16) -> bool {
        self.may_deny_at(transport, Some(port))
    }

    /// As [`may_deny`](Self::may_deny), at any port where none is given.
    pub(super) fn may_deny_at(&self, transport: Transport, port: Option<u16>) -> bool {
        self.transport.is_none_or(|only| only == transport)
            && port.is_none_or(|port| self.ports.contains(port))
    }

    /// Whether the rule is for such bytes, to any port, where it stands among those that allow.
    pub(super) fn may_allow_any(&self, transport: Transport) -> bool {
        self.transport.unwrap_or(Transport::Tcp) == transport
    }

    /// Whether it is for this host, whose name is that which the client gave, if it gave one.
    pub(super) fn has(&self, name: Option<&HostName>, address: IpAddr) -> bool {
        match &self.hosts {
            Hosts::Network(network) => network.contains(address),
            hosts => hosts.match_name(name),
        }
    }
}

impl ListenRule {
    /// By which address others reach what listens there, where that is another one.
    pub fn advertised(&self) -> Option<IpAddr> {
        self.advertised
    }

    /// As [`Rule::line`].
    pub fn line(&self) -> Option<usize> {
        self.written.line
    }

    /// The same rule, as it was read from this line.
    #[must_use]
    pub fn at_line(mut self, line: usize) -> Self {
        self.written.line = Some(line);
        self
    }
}

impl Written {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            line: None,
        }
    }
}

impl Hosts {
    /// Whether a host of this name, or without one, might fit; networks are for the caller, who
    /// has the address.
    pub(super) fn match_name(&self, name: Option<&HostName>) -> bool {
        match (self, name) {
            (Self::Any | Self::Network(_), _) => true,
            (Self::Name(rule), Some(name)) => rule == name,
            (Self::Below(rule), Some(name)) => name
                .as_str()
                .strip_suffix(rule.as_str())
                .is_some_and(|rest| rest.ends_with('.')),
            (Self::Name(_) | Self::Below(_), None) => false,
        }
    }
}

impl Ports {
    pub(super) fn contains(&self, port: u16) -> bool {
        self.0
            .as_ref()
            .is_none_or(|ranges| ranges.iter().any(|range| range.contains(&port)))
    }

    /// Whether this port stands there by itself, not only within a range.
    pub(super) fn list(&self, port: u16) -> bool {
        self.0
            .as_ref()
            .is_some_and(|ranges| ranges.contains(&(port..=port)))
    }

    /// What to try when any port will do.
    pub(super) fn candidates(&self) -> Vec<u16> {
        match &self.0 {
            Some(ranges) if !self.list(0) => ranges.iter().cloned().flatten().collect(),
            _ => vec![0],
        }
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self(None));
        }
        let number = |part: &str| {
            // `u16::from_str` would take a sign.
            (part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())
                .flatten()
                .ok_or_else(|| format!("{part:?} is not a port"))
        };
        let range = |part: &str| match part.split_once('-') {
            None => number(part).map(|port| port..=port),
            Some((first, last)) => {
                let range = number(first)?..=number(last)?;
                if range.is_empty() || range.start() == range.end() {
                    return Err(format!("{part:?} is not a range of ports"));
                }
                Ok(range)
            }
        };
        let ranges = text.split(',').map(range).collect::<Result<_, _>>()?;
        Ok(Self(Some(ranges)))
    }
}

/// Takes `HOST:PORTS/TRANSPORT` apart.
fn parts(text: &str) -> Result<(&str, Ports, Option<Transport>), String> {
    let (rest, transport) = match (text.strip_suffix("/udp"), text.strip_suffix("/tcp")) {
        (Some(rest), _) => (rest, Some(Transport::Udp)),
        (None, Some(rest)) => (rest, Some(Transport::Tcp)),
        (None, None) => (text, None),
    };
    let (host, ports) = rest
        .rsplit_once(':')
        .ok_or_else(|| format!("{text:?} has no port: expected HOST:PORTS"))?;
    Ok((host, ports.parse()?, transport))
}

fn network(host: &str) -> Result<Network, String> {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(v6) if v6.contains(':') => v6.parse(),
        Some(_) => Err(format!(
            "{host:?}: brackets are for IPv6 addresses and networks"
        )),
        None if host.contains(':') => Err(format!("{host:?}: an IPv6 address stands in brackets")),
        None => host.parse(),
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, ports, transport) = parts(text)?;
        let hosts = if host == "*" {
            Hosts::Any
        } else if let Some(parent) = host.strip_prefix("*.") {
            Hosts::Below(
                parent
                    .parse()
                    .map_err(|error: jackfield_socket::Error| error.to_string())?,
            )
        } else if host.starts_with('[') || host.contains(['/', ':']) {
            Hosts::Network(network(host)?)
        } else if let Ok(network) = host.parse() {
            Hosts::Network(network)
        } else {
            Hosts::Name(
                host.parse()
                    .map_err(|error: jackfield_socket::Error| error.to_string())?,
            )
        };
        if let Hosts::Network(network) = &hosts {
            network.as_written()?;
        }
        Ok(Self {
            hosts,
            ports,
            transport,
            written: Written::new(text),
        })
    }
}

impl FromStr for ListenRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, outer) = match text.split_once(" as ") {
            Some((place, outer)) => (place, Some(outer)),
            None => (text, None),
        };
        let (host, ports, transport) = parts(place)?;
        let network = network(host)?;
        network.as_written()?;
        let advertised = outer.map(|outer| {
            let address: Option<IpAddr> = outer.parse().ok();
            address
                .filter(|address| address.is_ipv4() == network.is_ipv4())
                .filter(|address| !address.is_unspecified())
                .ok_or_else(|| format!("{outer:?} is no address of the kind that {network} has"))
        });
        Ok(Self {
            network,
            ports,
            transport: transport.unwrap_or(Transport::Tcp),
            advertised: advertised.transpose()?,
            written: Written::new(text),
        })
    }
}

/// As it was written.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written.text)
    }
}

/// As it was written.
impl fmt::Display for ListenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written.text)
    }
}

/// `tcp` or `udp`.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "*",
            "host",
            "host:",
            "host:http",
            "host:1-",
            "host:2-1",
            "host:+1",
            "host:65536",
            "host:1,",
            "host:1/sctp",
            "*.:1",
            "a.*.b:1",
            "*a.b:1",
            "2001:db8::1:443",
            "[10.0.0.1]:1",
            "10.0.0.1/8:1",
            "127.1:80",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:0:0/96]:80",
            "[2002::/16]:80",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text:?}");
        }
        for text in [
            "localhost:1",
            "*:1",
            "[::ffff:127.0.0.1]:80",
            "127.0.0.1",
            "127.0.0.1:1 as",
            "127.0.0.1:1 as ",
            "127.0.0.1:1 as relay.example",
            "127.0.0.1:1 as 192.0.2.7:1",
            "127.0.0.1:1 as 0.0.0.0",
            "127.0.0.1:1 as 2001:db8::7",
            "[::1]:1 as 192.0.2.7",
            "127.0.0.1:1 as 192.0.2.7/udp",
        ] {
            assert!(text.parse::<ListenRule>().is_err(), "{text:?}");
        }
    }
}
