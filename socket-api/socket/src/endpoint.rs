//! Endpoints: where to connect, a host by name or address, and a port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// The longest host name, in bytes (RFC 1035, section 2.3.4, less the root's dot).
const MAX_NAME: usize = 253;
/// The longest label of a host name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// A host and a port to reach it at.
///
/// ```
/// use jackfield_socket::{Endpoint, Host};
///
/// let server: Endpoint = "irc.example.org:6697".parse()?;
/// assert_eq!(server.port(), 6697);
/// assert_eq!(server, Endpoint::new("irc.example.org".parse::<Host>()?, 6697));
///
/// // An IPv6 address stands in brackets, as in a URL.
/// assert_eq!("[::1]:6667".parse::<Endpoint>()?.to_string(), "[::1]:6667");
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: Host,
    port: u16,
}

/// A host: a name that the backend resolves, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name; only the backend looks it up.
    Name(HostName),
    /// An address.
    Ip(IpAddr),
}

/// A host's name: ASCII labels of 1 to 63 bytes, at most 253 in all, kept in lower case.
///
/// Names in other scripts are given in their ASCII form (`xn--…`, RFC 5890). A name that resolvers
/// would read as an IPv4 address in disguise (`127.1`, `0x7f.0.0.1`) is not a host name, so that
/// nothing which checks addresses can be led past its check.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Box<str>);

impl Endpoint {
    /// This host at this port.
    pub fn new(host: impl Into<Host>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Takes the authority of a URI apart (RFC 3986, section 3.2): a host, at this port where it names
    /// none.
    ///
    /// ```
    /// # use jackfield_socket::Endpoint;
    /// let server = Endpoint::from_authority("[::1]", 5683)?;
    /// assert_eq!(server.to_string(), "[::1]:5683");
    /// assert_eq!(server.to_authority(5683), "[::1]");
    /// # Ok::<(), jackfield_socket::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where it is not that; a user's name has no place in it.
    pub fn from_authority(authority: &str, default_port: u16) -> Result<Self> {
        let (host, port) = host_and_port(authority)?;
        Ok(Self::new(host, port.unwrap_or(default_port)))
    }

    /// It as the authority of a URI, which does not name the port where it is this one.
    pub fn to_authority(&self, default_port: u16) -> String {
        match self.host {
            _ if self.port != default_port => self.to_string(),
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            ref host => host.to_string(),
        }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, where the host is one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, self.port)),
            Host::Name(_) => None,
        }
    }
}

impl HostName {
    /// The name, in lower case and without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<Ipv4Addr> for Host {
    fn from(ip: Ipv4Addr) -> Self {
        Self::Ip(ip.into())
    }
}

impl From<Ipv6Addr> for Host {
    fn from(ip: Ipv6Addr) -> Self {
        Self::Ip(ip.into())
    }
}

impl From<HostName> for Host {
    fn from(name: HostName) -> Self {
        Self::Name(name)
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what| wrong(what, text);
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("no port"))?;
        // `u16::from_str` would take a sign.
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("no port"));
        }
        let port = port.parse().map_err(|_| wrong("a port above 65535"))?;
        let host = host_of(host, text)?;
        Ok(Self { host, port })
    }
}

/// `host`, `host:port`, `[IPv6 address]` or `[IPv6 address]:port`.
pub(crate) fn host_and_port(authority: &str) -> Result<(Host, Option<u16>)> {
    // Colons of an IPv6 address stand within brackets.
    let after = authority.rfind(']').unwrap_or(0);
    if authority[after..].contains(':') {
        let Endpoint { host, port } = authority.parse()?;
        return Ok((host, Some(port)));
    }
    Ok((host_of(authority, authority)?, None))
}

/// A host, where an IPv6 address stands in brackets, out of this text.
fn host_of(host: &str, text: &str) -> Result<Host> {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => match address.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(ip.into()),
            Err(_) => Err(wrong("no IPv6 address between the brackets", text)),
        },
        None if host.contains(':') => Err(wrong("an IPv6 address without brackets", text)),
        None => host.parse(),
    }
}

fn wrong(what: &str, text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("{what} in {text:?}: expected host:port, or [IPv6 address]:port"),
    )
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Self::Ip(ip)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl FromStr for HostName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            // A name may be anything, of any length: quote only its beginning.
            let shown: String = text.chars().take(80).collect();
            Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{shown:?} is not a host name: {what}"),
            ))
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return wrong("it is empty");
        }
        if name.len() > MAX_NAME {
            return wrong("it is longer than 253 bytes");
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > MAX_LABEL {
                return wrong("each part between dots must have 1 to 63 bytes");
            }
            // The underscore is no host name's by RFC 952, but is in wide use.
            if !label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return wrong("only ASCII letters, digits, '-' and '_' may stand in it");
            }
        }
        // "Ends in a number" as the URL standard has it: such a name would be parsed as IPv4.
        let last = name.rsplit('.').next().unwrap_or(name);
        let hexadecimal = last
            .get(..2)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"))
            && last[2..].bytes().all(|byte| byte.is_ascii_hexdigit());
        if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong("it looks like an IPv4 address but is not one");
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_back_as_they_print() {
        for text in [
            "a.example:1",
            "127.0.0.1:65535",
            "[2001:db8::1]:443",
            "xn--bcher-kva.example:25",
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text);
        }
        let upper: Endpoint = "IRC.Example.ORG.:6697"
            .parse()
            .expect("a trailing dot is the root's");
        assert_eq!(upper.to_string(), "irc.example.org:6697");
    }

    #[test]
    fn an_authority_need_not_name_its_port() {
        for (text, endpoint, without) in [
            ("a.example", "a.example:5683", "a.example"),
            ("a.example:5683", "a.example:5683", "a.example"),
            ("a.example:80", "a.example:80", "a.example:80"),
            ("127.0.0.1", "127.0.0.1:5683", "127.0.0.1"),
            ("[::1]", "[::1]:5683", "[::1]"),
            ("[::1]:80", "[::1]:80", "[::1]:80"),
        ] {
            let read = Endpoint::from_authority(text, 5683).expect(text);
            assert_eq!(read.to_string(), endpoint);
            assert_eq!(read.to_authority(5683), without);
        }
        for text in [
            "",
            ":80",
            "::1",
            "[::1",
            "[a]",
            "a.example:",
            "ada@a.example",
        ] {
            let error = Endpoint::from_authority(text, 5683).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        let long = format!("{}.example:1", "a".repeat(64));
        for text in [
            "",
            ":",
            "host",
            "host:",
            ":80",
            "host:65536",
            "host:+80",
            "::1:80",
            "[::1]",
            "[host]:80",
            "a..b:80",
            ".a:80",
            "bücher.example:80",
            "a b:80",
            "a\r\nb:80",
            "a/b:80",
            "127.1:80",
            "0x7f.0.0.1:80",
            "127.0.0.0x1:80",
            "2130706433:80",
            "1.2.3.4.5:80",
            &long,
        ] {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}: {error}");
        }
    }
}
