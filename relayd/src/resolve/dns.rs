//! Looking names up by asking name servers, without a thread that waits.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use jackfield_socket::HostName;
use tracing::warn;

use super::{Found, Resolve, Resolving, ResolvingAll};

/// How long a name server may take, at most. It is asked three times, as a rule: before a dial's time is
/// over, whatever else the system's configuration says.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many answers are kept, each as long as it says that it is good.
const CACHED: u64 = 1024;
/// How many questions may wait on one connection, where a name server wants TCP.
const WAITING: usize = 1024;

/// Asks name servers, by default those of the system's configuration (`/etc/resolv.conf`), and looks into
/// `/etc/hosts` first.
///
/// A name is always whole: the system's search list isn't looked at, or the rules would be held against
/// one name and another would be dialled. A look-up that nobody waits for any more is given up at once.
#[derive(Clone)]
pub struct DnsResolver(Arc<TokioResolver>);

impl DnsResolver {
    /// Asks the name servers of the system's configuration; the one on this machine where that has none,
    /// as C libraries do.
    ///
    /// # Errors
    /// Where the configuration can't be used.
    pub fn from_system() -> io::Result<Self> {
        let (config, options) = read_system_conf().unwrap_or_else(|error| {
            warn!(%error, "no name server is configured: asking the one on this machine");
            let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_name_servers(vec![server]);
            (config, ResolverOpts::default())
        });
        Self::new(config, options)
    }

    /// Asks these name servers, by UDP, and by TCP what doesn't fit.
    ///
    /// # Errors
    /// Where the configuration can't be used.
    pub fn with_servers(servers: &[SocketAddr]) -> io::Result<Self> {
        let server = |at: &SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(at.ip());
            for connection in &mut server.connections {
                connection.port = at.port();
            }
            server
        };
        let servers = servers.iter().map(server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        Self::new(config, ResolverOpts::default())
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts) -> io::Result<Self> {
        options.timeout = options.timeout.min(TIMEOUT);
        options.attempts = options.attempts.min(2);
        options.cache_size = CACHED;
        options.max_active_requests = WAITING;
        options.use_hosts_file = ResolveHosts::Always;
        options.case_randomization = true;
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(io::Error::other)?;
        Ok(Self(Arc::new(resolver)))
    }
}

impl Resolve for DnsResolver {
    fn resolve(&self, name: &HostName) -> Resolving {
        let finding = self.resolve_all(name);
        Box::pin(async move {
            let found = finding.await;
            match found.missing {
                _ if !found.addresses.is_empty() => Ok(found.addresses),
                Some(error) => Err(error),
                None => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }

    fn resolve_all(&self, name: &HostName) -> ResolvingAll {
        let (resolver, name) = (Arc::clone(&self.0), Name::from_ascii(name.as_str()));
        Box::pin(async move {
            let mut name = match name {
                Ok(name) => name,
                Err(error) => return Found::new(Vec::new(), Some(io::Error::other(error))),
            };
            name.set_fqdn(true);
            let (v6, v4) = tokio::join!(
                resolver.lookup(name.clone(), RecordType::AAAA),
                resolver.lookup(name, RecordType::A)
            );
            let failed = |answer: &Result<Lookup, NetError>| match answer {
                Err(error) if !error.is_no_records_found() => Some(io::Error::other(error.clone())),
                _ => None,
            };
            let missing = failed(&v6).or(failed(&v4));
            Found::new(alternating(addresses(v6), addresses(v4)), missing)
        })
    }
}

fn addresses(answer: Result<Lookup, NetError>) -> Vec<IpAddr> {
    let Ok(answer) = answer else {
        return Vec::new();
    };
    // A name that is another's alias has the alias among its answers.
    let address = |data: &RData| match data {
        RData::A(v4) => Some(v4.0.into()),
        RData::AAAA(v6) => Some(v6.0.into()),
        _ => None,
    };
    let answers = answer.answers().iter();
    answers.filter_map(|record| address(&record.data)).collect()
}

/// One of each family in turn, so that of many addresses no family is cut off.
fn alternating(v6: Vec<IpAddr>, v4: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(v6.next());
        all.extend(v4.next());
        if all.len() == before {
            return all;
        }
    }
}

impl fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsResolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// Under Kubernetes, say, a name with fewer than five dots is tried below several domains first.
    #[tokio::test]
    async fn what_is_asked_for_is_the_name_that_was_checked() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let mut at = NameServerConfig::udp([127, 0, 0, 1].into());
        at.connections[0].port = server.local_addr().expect("bound").port();
        let search = Name::from_ascii("cluster.test").expect("a name");
        let config = ResolverConfig::from_parts(Some(search.clone()), vec![search], vec![at]);
        let mut options = ResolverOpts::default();
        options.ndots = 5;
        let resolver = DnsResolver::new(config, options).expect("it is good");
        let name = "irc.example".parse().expect("a name");
        let asking = tokio::spawn(resolver.resolve(&name));
        let mut question = [0; 512];
        for _ in 0..2 {
            let (length, _) = server.recv_from(&mut question).await.expect("a question");
            let asked = question[12..length].to_ascii_lowercase();
            assert!(asked.starts_with(b"\x03irc\x07example\x00"), "{asked:?}");
        }
        asking.abort();
    }

    #[tokio::test]
    async fn whoever_must_know_all_is_told_that_one_family_is_missing() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let at = server.local_addr().expect("bound");
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((_, from)) = server.recv_from(&mut question).await {
                // The header, "irc.example", its type, and IN.
                let asks_v6 = question[26] == 28;
                let (rcode, count) = if asks_v6 { (0, 1) } else { (2, 0) };
                let mut answer = [&question[..2], &[0x81, 0x80 | rcode, 0, 1, 0, count]].concat();
                answer.extend([0; 4]);
                answer.extend(&question[12..29]);
                if asks_v6 {
                    answer.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16]);
                    answer.extend([0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
                }
                let _ = server.send_to(&answer, from).await;
            }
        });
        let resolver = DnsResolver::with_servers(&[at]).expect("it is good");
        let name = "irc.example".parse().expect("a name");
        let only: Vec<IpAddr> = vec!["2a00::1".parse().expect("an address")];
        let found = resolver.resolve_all(&name).await;
        assert_eq!(found.addresses, only);
        assert!(found.missing.is_some(), "the server failed for IPv4");
        let found = resolver.resolve(&name).await;
        assert_eq!(found.expect("some are enough to connect"), only);
    }

    #[test]
    fn no_family_is_cut_off() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let v6 = ["::1", "::2", "::3"].map(ip).to_vec();
        let v4 = vec![ip("127.0.0.1")];
        let all = ["::1", "127.0.0.1", "::2", "::3"].map(ip);
        assert_eq!(alternating(v6, v4), all);
    }
}
