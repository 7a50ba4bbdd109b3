//! Proxies: whom a load balancer speaks for, and from whom that is believed.
//!
//! Behind a proxy every connection comes from the proxy's address. Where its client comes from it can tell
//! in two ways: by a PROXY header before anything else, or by `X-Forwarded-For` in the request. Anybody can
//! write either, so that both are believed from the [trusted](ProxiesConfig::trusted) alone; and of these
//! one way is believed, since a proxy that uses the one passes the other on as its client wrote it.
//!
//! What is told is the client's address from there on: in the log and the records, for limits, and for
//! [admission](crate::config::AdmissionConfig). Until it is told, nobody is behind the connection but a proxy that is
//! trusted: it is counted among the exempt, and has neither a bound of its own nor penalties.

mod header;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;

use std::io;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};

pub(crate) use self::header::begins;
use self::header::{Progress, decode};
use crate::address::Network;

/// Who may speak for others, and how they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxiesConfig {
    /// `trusted`: the addresses of proxies and load balancers. Nobody else is believed. Default: none.
    pub trusted: Vec<Network>,
    /// `header`: how each of these says where its client comes from.
    pub header: ToldBy,
}

/// How a proxy says where its client comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ToldBy {
    /// By HAProxy's PROXY protocol, version 1 or 2, before TLS and the request. A trusted proxy must send
    /// it. Where it speaks for nobody (`LOCAL`, `UNKNOWN`, a Unix socket), as for a health check, the
    /// proxy is the client.
    #[default]
    Proxy,
    /// By the request's `X-Forwarded-For`, to which a proxy appends its client's address: the last address
    /// there that isn't trusted counts, and the first one where all are. A request without it is the
    /// proxy's own.
    XForwardedFor,
}

impl ProxiesConfig {
    /// How this address says for whom it speaks; `None` where it speaks for itself.
    pub(crate) fn told_by(&self, address: IpAddr) -> Option<ToldBy> {
        self.trusts(address).then_some(self.header)
    }

    /// Whom a list in `X-Forwarded-For` speaks for, if there is one. A port that isn't told is 0.
    ///
    /// # Errors
    /// Where something else stands in the place of an address that a trusted proxy has written.
    pub(crate) fn forwarded_for<'a>(
        &self,
        list: impl Iterator<Item = &'a str>,
    ) -> Result<Option<SocketAddr>, NoAddress> {
        let list: Vec<_> = list.collect();
        let mut first = None;
        for text in list.into_iter().rev() {
            let address = address(text).ok_or(NoAddress)?;
            first = Some(address);
            if !self.trusts(address.ip()) {
                break;
            }
        }
        Ok(first)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|net| net.contains(address))
    }
}

/// No address stands where a trusted proxy writes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAddress;

/// An address as proxies write it: alone or with a port, one of IPv6 in brackets then, and perhaps without.
fn address(text: &str) -> Option<SocketAddr> {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    if let Ok(at) = text.parse::<SocketAddr>() {
        return Some(canonical(at));
    }
    let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let ip: IpAddr = match inner {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok()?.into(),
        None => text.parse().ok()?,
    };
    Some(canonical((ip, 0).into()))
}

/// Reads a PROXY header, and not a byte of what follows it; whom it speaks for, if for anybody.
///
/// # Errors
/// Where what comes is none, or ends before it is whole.
pub(crate) async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Option<SocketAddr>> {
    let mut bytes = Vec::with_capacity(64);
    loop {
        match decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Progress::Done(client) => return Ok(client),
            Progress::Needs(more) => {
                let read = bytes.len();
                bytes.resize(read + more, 0);
                stream.read_exact(&mut bytes[read..]).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(trusted: &[&str]) -> ProxiesConfig {
        ProxiesConfig {
            trusted: trusted.iter().map(|net| net.parse().expect(net)).collect(),
            header: ToldBy::XForwardedFor,
        }
    }

    #[test]
    fn who_is_trusted_is_told_by_the_address() {
        let proxies = behind(&["10.0.0.0/8", "2001:db8::7"]);
        for (address, trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("2001:db8::7", true),
            ("2001:db8::8", false),
            ("11.0.0.1", false),
            ("127.0.0.1", false),
        ] {
            let told = proxies.told_by(address.parse().expect(address));
            assert_eq!(told, trusted.then_some(ToldBy::XForwardedFor), "{address}");
        }
        let nobody = ProxiesConfig::default();
        assert_eq!(nobody.told_by([127, 0, 0, 1].into()), None);
    }

    #[test]
    fn the_last_address_that_is_not_trusted_counts() {
        let proxies = behind(&["10.0.0.0/8", "fd00::/8"]);
        for (list, expected) in [
            ("", None),
            ("192.0.2.7", Some("192.0.2.7:0")),
            // What stands further to the left the client may have written.
            ("127.0.0.1,192.0.2.7", Some("192.0.2.7:0")),
            ("nonsense,192.0.2.7,10.1.2.3", Some("192.0.2.7:0")),
            ("192.0.2.7,10.1.2.3,fd00::1", Some("192.0.2.7:0")),
            // A client of the house.
            ("10.9.9.9,10.1.2.3", Some("10.9.9.9:0")),
            ("192.0.2.7:4711", Some("192.0.2.7:4711")),
            ("2001:db8::1", Some("[2001:db8::1]:0")),
            ("[2001:db8::1]", Some("[2001:db8::1]:0")),
            ("[2001:db8::1]:4711", Some("[2001:db8::1]:4711")),
            ("::ffff:192.0.2.7", Some("192.0.2.7:0")),
            ("192.0.2.7,::ffff:10.1.2.3", Some("192.0.2.7:0")),
        ] {
            let items = list.split(',').filter(|it| !it.is_empty());
            let expected = expected.map(|it| it.parse().expect(it));
            assert_eq!(proxies.forwarded_for(items), Ok(expected), "{list}");
        }
        for list in [
            "192.0.2.7,unknown",
            "192.0.2.7,,10.1.2.3",
            "unknown,10.1.2.3",
            "_hidden",
            "[192.0.2.7]",
            "192.0.2.7:",
            "192.0.2.7:65536",
            "192.0.2.07",
            "2001:db8::1%eth0",
            "\"192.0.2.7\"",
        ] {
            let told = proxies.forwarded_for(list.split(','));
            assert_eq!(told, Err(NoAddress), "{list}");
        }
    }

    #[tokio::test]
    async fn nothing_is_read_beyond_the_header() {
        for header in [
            b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            [&header::SIGNATURE[..], &[0x20, 0, 0, 0]].concat(),
        ] {
            let sent = [&header[..], b"\x16\x03\x01"].concat();
            let mut stream = &sent[..];
            receive(&mut stream).await.expect("a header");
            assert_eq!(stream, b"\x16\x03\x01");
            let mut cut = &header[..header.len() - 1];
            let error = receive(&mut cut).await.expect_err("not whole");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        let mut hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00";
        let error = receive(&mut hello).await.expect_err("that is TLS");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
