//! The conformance suite, which every backend of the socket API passes.
//!
//! A backend is tested against a [`Peer`]: a scripted server which does what the first line of
//! each connection asks of it, so that the suite can have it stall, cut a stream short, or connect
//! back. The peer is written over the socket API too. It runs on native sockets for whatever
//! reaches those (the native backend, a relay, a browser), and on the simulation's for the
//! simulation.
//!
//! A [`Target`] names the backend, its peer, and what the backend says of itself. What it can't do
//! is not skipped: the case then checks that it refuses as it should.
//!
//! ```no_run
//! # async fn check(
//! #     network: impl jackfield_socket::TcpConnect + jackfield_socket::TcpListen
//! #         + jackfield_socket::UdpOpen,
//! #     peer: jackfield_conformance::PeerAddresses,
//! # ) {
//! use jackfield_conformance::{Target, run_all};
//! use jackfield_socket::AnyNetwork;
//!
//! let mut target = Target::new(AnyNetwork::new(network), peer);
//! target.capabilities.half_close = false;
//! let report = run_all(&target).await;
//! assert!(report.passed(), "{report}");
//! # }
//! ```
//!
//! Where each case must be its own test, as in a page, [`cases`] and [`run`] give them one by one.
//! Everything here compiles for the browser.

mod cases;
mod client;
mod failure;
mod pattern;
mod peer;

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use jackfield_socket::{AnyNetwork, ErrorKind, HostName, time};

pub use failure::Failure;
pub use peer::{Peer, PeerAddresses};

/// How long one case may take before it counts as failed.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// What is tested, and against whom.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// The backend.
    pub network: AnyNetwork,
    /// Where the backend reaches the peer.
    pub peer: PeerAddresses,
    /// A name that the backend resolves to the peer's address, if there is one.
    pub name: Option<HostName>,
    /// What the backend says of itself.
    pub capabilities: Capabilities,
}

/// What a backend says of itself. What isn't declared here, every backend can.
///
/// The default is a backend that can do everything but listening, bound UDP sockets and multicast,
/// which need an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of abilities that have nothing to do with each other"
)]
pub struct Capabilities {
    /// [`StreamInfo::half_close`](jackfield_socket::StreamInfo::half_close).
    pub half_close: bool,
    /// [`StreamInfo::may_truncate`](jackfield_socket::StreamInfo::may_truncate). A reset, or the
    /// tail that a late reader missed, may then look like an end.
    pub may_truncate: bool,
    /// Whether a stream knows its own address.
    pub local_address: bool,
    /// The most bytes that are accepted in one direction while nobody reads on the other side:
    /// all buffers on the way, the systems' own included. Default: 48 MiB, which holds for loopback
    /// on Linux where one end's own buffer grows to 32 MiB (`net.ipv4.tcp_rmem`).
    pub buffered: u64,
    /// The kind of error of a connection that was refused. Default:
    /// [`Refused`](ErrorKind::Refused).
    pub refused: ErrorKind,
    /// Whether `no_delay` may be false.
    pub delay: bool,
    /// Whether `keep_alive` is honoured.
    pub keep_alive: bool,
    /// Whether `send_buffer` and `receive_buffer` are honoured.
    pub buffer_sizes: bool,
    /// Whether `family` is honoured.
    pub family: bool,
    /// The address to listen at so that the peer can connect, where listening is possible.
    pub listen: Option<IpAddr>,
    /// Whether `backlog` is honoured.
    pub backlog: bool,
    /// Whether a connection stands for whoever makes it before it is accepted. Not so where the two
    /// ends have something to settle first, as with TLS: it then waits as well, but unfinished.
    pub stands_before_accept: bool,
    /// Whether connected UDP sockets can be opened.
    pub udp_connected: bool,
    /// The address to bind a UDP socket to so that it reaches the peer, where that is possible.
    pub udp_bound: Option<IpAddr>,
    /// Whether a connected UDP socket tells that nobody listens at its peer's port, and lives on.
    pub closed_ports: bool,
    /// Whether a datagram without a byte can be sent.
    pub empty_datagrams: bool,
    /// The largest datagram. Default: 65,507 bytes, IPv4's.
    pub largest_datagram: usize,
    /// How multicast is tested, where it is possible.
    pub multicast: Option<Multicast>,
}

/// How multicast is tested: nothing of it may leave the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Multicast {
    /// The group to speak in.
    pub group: IpAddr,
    /// The address to bind to so that the group is received; mostly the unspecified one.
    pub bind: IpAddr,
    /// The interface to ask for. `None`: the backend can't choose, and must refuse it.
    pub interface: Option<IpAddr>,
    /// Whether a group can be joined for one source. Default: false.
    pub source: bool,
    /// Whether it shows that a sender has turned loopback off. On its loopback interface, Linux
    /// lets it be heard all the same. Default: true.
    pub loopback_shows: bool,
}

/// One promise of the socket API, checked.
#[derive(Clone, Copy)]
pub struct Case {
    module: &'static str,
    name: &'static str,
    promise: &'static str,
    run: fn(&Target) -> Running<'_>,
}

/// What became of all cases.
#[derive(Debug, Default)]
pub struct Report {
    results: Vec<(&'static str, Duration, Result<(), Failure>)>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

impl Target {
    /// This backend against this peer; it is said to be able to do what
    /// [`Capabilities::default`] has.
    pub fn new(network: AnyNetwork, peer: PeerAddresses) -> Self {
        Self {
            network,
            peer,
            name: None,
            capabilities: Capabilities::default(),
        }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            half_close: true,
            may_truncate: false,
            local_address: true,
            buffered: 48 << 20,
            refused: ErrorKind::Refused,
            delay: true,
            keep_alive: true,
            buffer_sizes: true,
            family: true,
            listen: None,
            backlog: true,
            stands_before_accept: true,
            udp_connected: true,
            udp_bound: None,
            closed_ports: true,
            empty_datagrams: true,
            largest_datagram: 65_507,
            multicast: None,
        }
    }
}

impl Multicast {
    /// In this group, bound to this address, on the interface that the system chooses.
    pub fn new(group: IpAddr, bind: IpAddr) -> Self {
        Self {
            group,
            bind,
            interface: None,
            source: false,
            loopback_shows: true,
        }
    }
}

/// All cases, in the order in which they build on each other.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    cases::all()
}

/// Runs the case of this name.
///
/// # Errors
/// [`Failure`], where the promise was broken, it took longer than [`DEADLINE`], or there is no
/// such case.
pub async fn run(name: &str, target: &Target) -> Result<(), Failure> {
    match cases().find(|case| case.name == name) {
        Some(case) => case.run(target).await,
        None => Err(Failure::new(format!("there is no case {name:?}"))),
    }
}

/// Runs all cases, one after the other.
pub async fn run_all(target: &Target) -> Report {
    run_these(cases(), target).await
}

/// Runs some of the [`cases`], one after the other.
pub async fn run_these(cases: impl IntoIterator<Item = &'static Case>, target: &Target) -> Report {
    let mut report = Report::default();
    for case in cases {
        let begin = time::now();
        let result = case.run(target).await;
        report
            .results
            .push((case.name, time::now() - begin, result));
    }
    report
}

impl Case {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is about: `connect`, `transfer`, `close`, `cancel`, `flow`, `tasks`, `listen`,
    /// `datagram` or `multicast`.
    pub fn area(&self) -> &'static str {
        self.module.rsplit(':').next().unwrap_or_default()
    }

    /// What it checks.
    pub fn promise(&self) -> &'static str {
        self.promise
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`Failure`], where the promise was broken, or it took longer than [`DEADLINE`].
    pub async fn run(&self, target: &Target) -> Result<(), Failure> {
        let result = match time::timeout(DEADLINE, (self.run)(target)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(format!("not done after {DEADLINE:?}"))),
        };
        result.map_err(|failure| failure.of(self))
    }
}

impl Report {
    /// Whether every case passed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// What failed.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.results
            .iter()
            .filter_map(|(_, _, result)| result.as_ref().err())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failures().count();
        write!(
            f,
            "{} cases passed, {failed} failed",
            self.results.len() - failed
        )?;
        for failure in self.failures() {
            write!(f, "\n  {failure}")?;
        }
        let slowest = self.results.iter().max_by_key(|(_, took, _)| *took);
        match slowest {
            Some((name, took, _)) => write!(f, "\nthe slowest: {name}, {took:.1?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("area", &self.area())
            .field("name", &self.name)
            .field("promise", &self.promise)
            .finish_non_exhaustive()
    }
}
