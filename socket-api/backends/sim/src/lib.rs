//! The socket API on a network in memory, whose every delay and loss comes from a seed.
//!
//! A [`Network`] has hosts with names and addresses, and between each two of them a [`Link`] with
//! its latency, bandwidth and faults. A [`SimHost`] is a backend like any other: it connects,
//! listens, and opens UDP sockets. Streams can be cut at a chosen byte, and hosts parted.
//!
//! Time is [`jackfield_socket::time`]'s. Under tokio's paused clock, an hour on a slow link takes as
//! long as the computing does, and the same seed gives the same [trace](Network::trace), as long as
//! the program itself always does the same in the same order: with one thread, and with `biased`
//! in `tokio::select!`.
//!
//! ```
//! use std::time::Duration;
//! use jackfield_sim::{Link, Network};
//! use jackfield_socket::{ListenOptions, TcpConnect, TcpListen, TcpListener, TcpOptions, time};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> jackfield_socket::Result<()> {
//! let network = Network::new(7);
//! let a = network.host("a.example", ["192.0.2.1".parse().expect("an address")]);
//! let b = network.host("b.example", ["192.0.2.2".parse().expect("an address")]);
//! let mut link = Link::default();
//! link.latency = Duration::from_millis(40);
//! network.link(&a, &b, link);
//!
//! let at = "192.0.2.2:6667".parse().expect("an address");
//! let mut listener = b.listen(at, &ListenOptions::default()).await?;
//! let begin = time::now();
//! let mut ours = a.connect(&"b.example:6667".parse()?, &TcpOptions::default()).await?;
//! assert_eq!(time::now() - begin, Duration::from_millis(80));
//!
//! let mut theirs = listener.accept().await?;
//! ours.write_all(b"hello").await?;
//! ours.shutdown().await?;
//! let mut text = String::new();
//! theirs.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What is simulated
//!
//! - **TCP** keeps its promises. A lost segment arrives late, by a retransmission timeout, and what
//!   follows waits for it. A link that is parted holds segments back until it is healed; a
//!   connection that can't be opened for 127 s has timed out. There is no congestion control:
//!   [`Link::window`] and [`Link::bandwidth`] bound what is on the way.
//! - A stream that is dropped without having been shut down **resets** its peer. For one that was
//!   shut down, what its peer still says is thrown away for 5 s, and reset afterwards.
//! - **UDP** loses, repeats and reorders datagrams as its link says, and loses what a parted link
//!   or a full queue can't take.
//! - `no_delay` changes nothing, as there is no Nagle's algorithm. A keep-alive finds out that a
//!   stream was cut with [`Cut::Silence`], after its time and nine probes of 75 s.

mod connection;
mod datagram;
mod link;
mod listen;
mod multicast;
mod stream;
mod world;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jackfield_socket::{
    Endpoint, HostName, ListenOptions, Result, TcpConnect, TcpListen, TcpOptions, UdpOpen,
    UdpOptions,
};

pub use datagram::SimDatagramSocket;
pub use link::Link;
pub use listen::SimListener;
pub use stream::SimStream;

use world::{HostId, World};

/// A network in memory. Clones are the same network.
#[derive(Clone)]
pub struct Network(Arc<Mutex<World>>);

/// A host of a network, and the backend of what runs on it. Clones are the same host.
#[derive(Clone)]
pub struct SimHost {
    network: Network,
    id: HostId,
    name: HostName,
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Both sides see a reset, each when it reaches them.
    Reset,
    /// Nothing arrives any more, in either direction, and nobody is told.
    Silence,
}

impl Network {
    /// A network without hosts, whose chances come from this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World::new(seed))))
    }

    /// Adds a host.
    ///
    /// # Panics
    /// Where `name` is no host name, or the name or an address is another host's: both are
    /// mistakes of the test.
    pub fn host(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) -> SimHost {
        let name: HostName = match name.parse() {
            Ok(name) => name,
            Err(error) => panic!("{error}"),
        };
        let addresses = addresses.into_iter().collect();
        let id = self.lock().add_host(&name, addresses);
        SimHost {
            network: self.clone(),
            id,
            name,
        }
    }

    /// Makes this the link between two hosts, in each direction. Hosts without one have
    /// [`Link::default`] between them.
    ///
    /// # Panics
    /// Where a chance of the link is not between 0 and 1.
    pub fn link(&self, a: &SimHost, b: &SimHost, link: Link) {
        link.check();
        let mut world = self.lock();
        world.set_link(a.id, b.id, link.clone());
        world.set_link(b.id, a.id, link);
    }

    /// Parts two hosts: nothing passes between them until they are [healed](Self::heal).
    pub fn part(&self, a: &SimHost, b: &SimHost) {
        self.lock().part(a.id, b.id);
    }

    /// Undoes [`part`](Self::part): datagrams pass again, and streams send what they hold.
    pub fn heal(&self, a: &SimHost, b: &SimHost) {
        self.lock().heal(a.id, b.id);
    }

    /// Cuts the next stream that is opened between two hosts, by either of them, as soon as
    /// `from` has sent it byte number `at`: so many bytes still arrive at `to`, and none after them.
    pub fn cut_next(&self, from: &SimHost, to: &SimHost, at: u64, how: Cut) {
        self.lock().cut_next(from.id, to.id, at, how);
    }

    /// What has passed, one line for each segment and datagram, with the time since the first of
    /// them in seconds; the last 65,536 lines.
    ///
    /// Two runs that did the same have the same trace.
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimHost {
    /// Its name.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// Its network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl TcpConnect for SimHost {
    type Stream = SimStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<SimStream> {
        listen::connect(&self.network, self.id, to, options).await
    }
}

impl TcpListen for SimHost {
    type Listener = SimListener;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<SimListener> {
        listen::listen(&self.network, self.id, at, options)
    }
}

impl UdpOpen for SimHost {
    type Socket = SimDatagramSocket;

    async fn open_connected(
        &self,
        to: &Endpoint,
        options: &UdpOptions,
    ) -> Result<SimDatagramSocket> {
        datagram::open_connected(&self.network, self.id, to, options)
    }

    async fn open_bound(&self, at: SocketAddr, options: &UdpOptions) -> Result<SimDatagramSocket> {
        datagram::open_bound(&self.network, self.id, at, options)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl fmt::Debug for SimHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimHost").field(&self.name).finish()
    }
}
