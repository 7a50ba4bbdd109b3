//! Guarded: a network that lets an application reach what a policy allows, and nothing else.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use jackfield_socket::{
    ByteStream, Datagram, DatagramSocket, Endpoint, Error, ErrorKind, Host, ListenOptions, Result,
    TcpConnect, TcpListen, TcpOptions, UdpOpen, UdpOptions,
};
use tokio::io::ReadBuf;

use crate::{Guard, Policy, Refusal, Rules, Transport};

/// A network on which an application reaches what a [`Policy`] allows, over any backend.
///
/// Without a rule nothing is reached, and a denial wins. What is refused is an error of kind
/// [`Denied`](ErrorKind::Denied), at [`Place::Policy`](jackfield_socket::Place::Policy), with the
/// [`Refusal`] as its source. A policy that only [reports](Policy::report) does so where it is given
/// somebody to [report to](Self::reporting); else it refuses like any other.
///
/// Whoever sets it up hands it on in the place of the network, and what holds it can't undo it:
/// nothing gives the network below back, and [`narrowed`](Self::narrowed),
/// [`reporting`](Self::reporting) and [`asking`](Self::asking) can only take away. It holds for what goes through it. A program that
/// has other ways to open a socket, as native code has, is not confined by it.
///
/// # When a name is judged, and when its address
///
/// - An address is judged without its disguise, before anything is sent.
/// - A name is judged by the rules for names, before anything is sent; rules for networks don't
///   open it, since nobody here knows yet which address it has.
/// - Who resolves the name is below: the system, or the relay, which judges the addresses by rules of
///   its own before it dials. Where the network tells in the end which address it was, that is
///   judged here too, as at the relay: a name doesn't lead to a special-purpose address that no rule
///   lists, nor to one that a rule denies. A datagram socket is refused before it has sent anything.
///   A stream is then connected already; it is cut before the application gets it, so that no byte
///   of its own was sent. `localhost` and the names below it are known beforehand (RFC 6761).
/// - A rule that denies a *name* is about that name alone. The relay finds out which addresses such
///   a name has, and denies those too; a client doesn't look names up to deny them.
///
/// Each datagram of a bound socket is judged by where it goes. What comes to such a socket, or to a
/// listener, is a matter of [`Policy::listen`] and may come from anywhere.
///
/// ```
/// use jackfield_policy::{Guarded, Policy};
/// use jackfield_sim::Network;
/// use jackfield_socket::{ErrorKind, TcpConnect, TcpOptions};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let backend = Network::new(7).host("page.example", ["198.51.100.1".parse()?]);
/// let policy = Policy {
///     allow: vec!["*.example.org:443,6697".parse()?],
///     deny: vec!["secret.example.org:*".parse()?],
///     ..Policy::default()
/// };
/// let network = Guarded::new(backend, policy);
///
/// let options = TcpOptions::default();
/// for refused in ["irc.example.org:22", "secret.example.org:443", "192.0.2.7:443"] {
///     let error = network.connect(&refused.parse()?, &options).await.expect_err(refused);
///     assert_eq!(error.kind(), ErrorKind::Denied);
/// }
/// // Allowed: that there is no such host is found out by looking it up.
/// let missing = network.connect(&"irc.example.org:6697".parse()?, &options).await;
/// assert_eq!(missing.expect_err("no such host").kind(), ErrorKind::HostNotFound);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Guarded<N, G = Rules> {
    network: N,
    guard: G,
}

/// A UDP socket of a [`Guarded`] network.
pub struct GuardedSocket<S, G = Rules> {
    socket: S,
    /// Of a bound socket: what judges each peer.
    peers: Option<G>,
    /// The peers that were reported. One that is still there isn't reported again; once there are
    /// [`REPORTED_PEERS`], all are forgotten.
    reported: Vec<SocketAddr>,
}

/// How many peers of a socket are remembered that were reported.
const REPORTED_PEERS: usize = 64;

/// What an application wants to do, and the rules allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// To connect a stream, or a datagram socket, to there.
    Reach(Transport, Endpoint),
    /// To listen there, or to bind a datagram socket there.
    Listen(Transport, SocketAddr),
}

/// What becomes of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is done.
    Allow,
    /// It fails with [`ErrorKind::Denied`], at [`Place::Policy`](jackfield_socket::Place::Policy).
    Deny,
}

impl<N> Guarded<N> {
    /// This network, as far as this policy allows it. [`Policy::default`] switches it off.
    pub fn new(network: N, policy: Policy) -> Self {
        Self::unrestricted(network).narrowed(policy)
    }

    /// This network, which nothing holds yet: what is done to it next does.
    pub fn unrestricted(network: N) -> Self {
        Self::held_by(network, Rules::default())
    }

    /// The same network, as far as this policy allows it too. Where a rule must list what it allows
    /// by itself (a special-purpose range, port 25), one of each policy must.
    #[must_use]
    pub fn narrowed(mut self, policy: Policy) -> Self {
        self.guard = self.guard.narrowed(policy);
        self
    }

    /// The same network, which tells what this policy would refuse, and reaches it all the same: for
    /// trying rules out. What [must be listed by itself](Policy::report) is refused, and so is a place to
    /// listen that no rule has.
    ///
    /// An opening is told once, before anything is sent for it. Of a bound socket, each peer is told
    /// about when it is first sent to; and again now and then, where there are more than 64 of them.
    ///
    /// ```
    /// use jackfield_policy::{Guarded, Policy};
    ///
    /// fn on_trial<N>(network: N, policy: Policy) -> Guarded<N> {
    ///     Guarded::unrestricted(network).reporting(policy, |request, refusal| {
    ///         eprintln!("would refuse {request}: {refusal}");
    ///     })
    /// }
    /// # on_trial((), Policy::default());
    /// ```
    #[must_use]
    pub fn reporting(
        mut self,
        policy: Policy,
        report: impl Fn(&Request, &Refusal) + Send + Sync + 'static,
    ) -> Self {
        self.guard = self.guard.reporting(policy, report);
        self
    }

    /// The same network, where somebody is asked for each opening that the rules allow: for a prompt.
    ///
    /// Nothing is looked up and no packet is sent before the answer, for which there is no deadline.
    /// Where the opening is dropped, so is the future that was to answer it. A bound socket is asked
    /// about once, when it is opened, and not for each peer that it sends to. Whoever can't answer
    /// gives an error, which the opening fails with.
    ///
    /// ```
    /// use jackfield_policy::{Answer, Guarded, Policy, Request};
    ///
    /// fn with_prompt<N>(network: N, policy: Policy) -> Guarded<N> {
    ///     Guarded::new(network, policy).asking(|request| async move {
    ///         match request {
    ///             Request::Reach(_, server) if server.port() == 443 => Ok(Answer::Allow),
    ///             // Here a person would be shown what is asked for.
    ///             _ => Ok(Answer::Deny),
    ///         }
    ///     })
    /// }
    /// # with_prompt((), Policy::default());
    /// ```
    #[must_use]
    pub fn asking<F>(mut self, ask: impl Fn(Request) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        self.guard = self.guard.asking(ask);
        self
    }
}

impl<N, G: Guard> Guarded<N, G> {
    /// This network, as far as this guard allows it.
    pub fn held_by(network: N, guard: G) -> Self {
        Self { network, guard }
    }

    async fn admit(&self, transport: Transport, to: &Endpoint) -> Result<Endpoint> {
        self.guard.reach(transport, to)?;
        let to = match to.host() {
            // Out of the form in which the address was judged otherwise.
            Host::Ip(ip) => Endpoint::new(ip.to_canonical(), to.port()),
            Host::Name(_) => to.clone(),
        };
        let request = Request::Reach(transport, to.clone());
        self.guard.ask(&request).await?;
        Ok(to)
    }

    async fn admit_listen(&self, transport: Transport, at: SocketAddr) -> Result<Vec<SocketAddr>> {
        let places = self.guard.listen(transport, at)?;
        self.guard.ask(&Request::Listen(transport, at)).await?;
        Ok(places)
    }

    /// Judges the address that a name had, where the network tells it.
    fn found(&self, transport: Transport, to: &Endpoint, peer: Option<SocketAddr>) -> Result<()> {
        match (to.host(), peer) {
            (Host::Name(_), Some(peer)) => self.guard.found(transport, to, peer),
            _ => Ok(()),
        }
    }
}

impl<N: TcpConnect, G: Guard> TcpConnect for Guarded<N, G> {
    type Stream = N::Stream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<Self::Stream> {
        let to = self.admit(Transport::Tcp, to).await?;
        let stream = self.network.connect(&to, options).await?;
        self.found(Transport::Tcp, &to, stream.info().peer)?;
        Ok(stream)
    }
}

impl<N: TcpListen, G: Guard> TcpListen for Guarded<N, G> {
    type Listener = N::Listener;

    /// As the backend does it. Where the rules name ports, and any is asked for by port 0, the first
    /// of them that is free is taken.
    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<Self::Listener> {
        options.validate(at)?;
        let places = self.admit_listen(Transport::Tcp, at).await?;
        first_free(&places, |at| self.network.listen(at, options)).await
    }
}

impl<N: UdpOpen, G: Guard> UdpOpen for Guarded<N, G> {
    type Socket = GuardedSocket<N::Socket, G>;

    async fn open_connected(&self, to: &Endpoint, options: &UdpOptions) -> Result<Self::Socket> {
        options.validate_connected()?;
        let to = self.admit(Transport::Udp, to).await?;
        let socket = self.network.open_connected(&to, options).await?;
        self.found(Transport::Udp, &to, socket.peer_addr())?;
        Ok(GuardedSocket::new(socket, None))
    }

    /// As [`listen`](TcpListen::listen). Each multicast group is a destination, at the socket's port.
    async fn open_bound(&self, at: SocketAddr, options: &UdpOptions) -> Result<Self::Socket> {
        options.validate_bound(at)?;
        for group in options.multicast.iter().flat_map(|all| &all.groups) {
            let group = SocketAddr::new(group.address, at.port());
            self.guard.datagram(group, true)?;
        }
        let places = self.admit_listen(Transport::Udp, at).await?;
        let socket = first_free(&places, |at| self.network.open_bound(at, options)).await?;
        Ok(GuardedSocket::new(socket, Some(self.guard.clone())))
    }
}

impl<S, G> GuardedSocket<S, G> {
    fn new(socket: S, peers: Option<G>) -> Self {
        Self {
            socket,
            peers,
            reported: Vec::new(),
        }
    }
}

impl<S: DatagramSocket, G: Guard> DatagramSocket for GuardedSocket<S, G> {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        self.socket.poll_recv(cx, buf)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        if let (Some(guard), Some(to)) = (&self.peers, to) {
            let is_new = !self.reported.contains(&to);
            if guard.datagram(to, is_new)? {
                if self.reported.len() == REPORTED_PEERS {
                    self.reported.clear();
                }
                self.reported.push(to);
            }
        }
        self.socket.poll_send(cx, data, to)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr()
    }
}

/// The outcome at the first of these places that isn't taken.
async fn first_free<T, F: Future<Output = Result<T>>>(
    places: &[SocketAddr],
    open: impl Fn(SocketAddr) -> F,
) -> Result<T> {
    let mut taken = Error::new(ErrorKind::AddressInUse, "no port is left to try");
    for place in places {
        match open(*place).await {
            Err(error) if error.kind() == ErrorKind::AddressInUse => taken = error,
            outcome => return outcome,
        }
    }
    Err(taken)
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reach(transport, to) => write!(f, "{to}/{transport}"),
            Self::Listen(transport, at) => write!(f, "listening at {at}/{transport}"),
        }
    }
}

impl<N: fmt::Debug, G: fmt::Debug> fmt::Debug for Guarded<N, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("network", &self.network)
            .field("guard", &self.guard)
            .finish()
    }
}

impl<S: fmt::Debug, G> fmt::Debug for GuardedSocket<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
