//! Guarded: a network that lets an application reach what a policy allows, and nothing else.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use jackfield_socket::{
    ByteStream, Datagram, DatagramSocket, Endpoint, Error, ErrorKind, Host, HostName,
    ListenOptions, Place, Result, TcpConnect, TcpListen, TcpOptions, UdpOpen, UdpOptions,
};
use tokio::io::ReadBuf;

use crate::{Facts, Policy, Refusal, Transport};

/// A network on which an application reaches what a [`Policy`] allows, over any backend.
///
/// Without a rule nothing is reached, and a denial wins. What is refused is an error of kind
/// [`Denied`](ErrorKind::Denied), at [`Place::Policy`], with the [`Refusal`] as its source. A policy
/// that only [reports](Policy::report) does so where it is given somebody to
/// [report to](Self::reporting); else it refuses like any other.
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
pub struct Guarded<N> {
    network: N,
    guard: Guard,
}

/// A UDP socket of a [`Guarded`] network.
pub struct GuardedSocket<S> {
    socket: S,
    /// Of a bound socket: what judges each peer.
    peers: Option<Guard>,
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
    /// It fails with [`ErrorKind::Denied`], at [`Place::Policy`].
    Deny,
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;
type Report = Arc<dyn Fn(&Request, &Refusal) + Send + Sync>;

/// All must agree. There is a judge for each time that it was narrowed, which is set up by hand.
#[derive(Clone, Default)]
struct Guard {
    judges: Vec<Judge>,
    asked: Vec<Arc<dyn Fn(Request) -> Asking + Send + Sync>>,
}

/// Rules, and who is told of what they would refuse, where they only report.
#[derive(Clone)]
struct Judge {
    policy: Arc<Policy>,
    report: Option<Report>,
}

impl<N> Guarded<N> {
    /// This network, as far as this policy allows it. [`Policy::default`] switches it off.
    pub fn new(network: N, policy: Policy) -> Self {
        Self::unrestricted(network).narrowed(policy)
    }

    /// This network, which nothing holds yet: what is done to it next does.
    pub fn unrestricted(network: N) -> Self {
        let guard = Guard::default();
        Self { network, guard }
    }

    /// The same network, as far as this policy allows it too. Where a rule must list what it allows
    /// by itself (a special-purpose range, port 25), one of each policy must.
    #[must_use]
    pub fn narrowed(mut self, policy: Policy) -> Self {
        let report = false;
        let policy = Arc::new(Policy { report, ..policy });
        let report = None;
        self.guard.judges.push(Judge { policy, report });
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
        let policy = Policy {
            report: true,
            ..policy
        };
        self.guard.judges.push(Judge {
            policy: Arc::new(policy),
            report: Some(Arc::new(report)),
        });
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
        let ask = move |request| -> Asking { Box::pin(ask(request)) };
        self.guard.asked.push(Arc::new(ask));
        self
    }
}

impl<N: TcpConnect> TcpConnect for Guarded<N> {
    type Stream = N::Stream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<Self::Stream> {
        let to = self.guard.admit(Transport::Tcp, to).await?;
        let stream = self.network.connect(&to, options).await?;
        self.guard.found(Transport::Tcp, &to, stream.info().peer)?;
        Ok(stream)
    }
}

impl<N: TcpListen> TcpListen for Guarded<N> {
    type Listener = N::Listener;

    /// As the backend does it. Where the rules name ports, and any is asked for by port 0, the first
    /// of them that is free is taken.
    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<Self::Listener> {
        options.validate(at)?;
        let places = self.guard.admit_listen(Transport::Tcp, at).await?;
        first_free(&places, |at| self.network.listen(at, options)).await
    }
}

impl<N: UdpOpen> UdpOpen for Guarded<N> {
    type Socket = GuardedSocket<N::Socket>;

    async fn open_connected(&self, to: &Endpoint, options: &UdpOptions) -> Result<Self::Socket> {
        options.validate_connected()?;
        let to = self.guard.admit(Transport::Udp, to).await?;
        let socket = self.network.open_connected(&to, options).await?;
        self.guard.found(Transport::Udp, &to, socket.peer_addr())?;
        Ok(GuardedSocket::new(socket, None))
    }

    /// As [`listen`](TcpListen::listen). Each multicast group is a destination, at the socket's port.
    async fn open_bound(&self, at: SocketAddr, options: &UdpOptions) -> Result<Self::Socket> {
        options.validate_bound(at)?;
        for group in options.multicast.iter().flat_map(|all| &all.groups) {
            let group = SocketAddr::new(group.address, at.port());
            self.guard.judge(Transport::Udp, group, true)?;
        }
        let places = self.guard.admit_listen(Transport::Udp, at).await?;
        let socket = first_free(&places, |at| self.network.open_bound(at, options)).await?;
        Ok(GuardedSocket::new(socket, Some(self.guard.clone())))
    }
}

impl<S> GuardedSocket<S> {
    fn new(socket: S, peers: Option<Guard>) -> Self {
        Self {
            socket,
            peers,
            reported: Vec::new(),
        }
    }
}

impl<S: DatagramSocket> DatagramSocket for GuardedSocket<S> {
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
            if guard.judge(Transport::Udp, to, is_new)? {
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

impl Guard {
    /// Where to go, if it may be gone to and nobody who was asked says no.
    async fn admit(&self, transport: Transport, to: &Endpoint) -> Result<Endpoint> {
        let to = match to.host() {
            Host::Ip(ip) => {
                let address = SocketAddr::new(*ip, to.port());
                self.judge(transport, address, true)?;
                // Out of the form in which the address was judged otherwise.
                Endpoint::new(ip.to_canonical(), to.port())
            }
            Host::Name(name) => {
                self.judge_name(transport, name, to)?;
                to.clone()
            }
        };
        self.ask(&Request::Reach(transport, to.clone())).await?;
        Ok(to)
    }

    /// Judges an address. Whether it was allowed only to be reported, and was so where that `is_new`.
    fn judge(&self, transport: Transport, at: SocketAddr, is_new: bool) -> Result<bool> {
        let mut is_reported = false;
        for judge in &self.judges {
            let allowed = (judge.policy.check(&Unknown, transport, None, at))
                .map_err(|refusal| denied(&format!("{at}/{transport}"), refusal))?;
            if let Some(refusal) = allowed.would_deny
                && is_new
            {
                is_reported = true;
                let to = Endpoint::new(at.ip().to_canonical(), at.port());
                judge.report(&Request::Reach(transport, to), &refusal);
            }
        }
        Ok(is_reported)
    }

    /// Judges a name whose address isn't known.
    fn judge_name(&self, transport: Transport, name: &HostName, to: &Endpoint) -> Result<()> {
        for judge in &self.judges {
            let would_deny = (judge.policy.check_unresolved(transport, name, to.port()))
                .map_err(|refusal| denied(&format!("{to}/{transport}"), refusal))?;
            if let Some(refusal) = would_deny {
                judge.report(&Request::Reach(transport, to.clone()), &refusal);
            }
        }
        if !is_loopback(name) {
            return Ok(());
        }
        let at = |ip: IpAddr| {
            let at = SocketAddr::new(ip, to.port());
            self.found_at(transport, name, to, at)
        };
        at(Ipv4Addr::LOCALHOST.into()).or_else(|_| at(Ipv6Addr::LOCALHOST.into()))
    }

    /// Judges the address that a name had, where the network tells it.
    fn found(&self, transport: Transport, to: &Endpoint, peer: Option<SocketAddr>) -> Result<()> {
        match (to.host(), peer) {
            (Host::Name(name), Some(peer)) => self.found_at(transport, name, to, peer),
            _ => Ok(()),
        }
    }

    /// Judges an address of a name that was judged by itself.
    fn found_at(
        &self,
        transport: Transport,
        name: &HostName,
        to: &Endpoint,
        at: SocketAddr,
    ) -> Result<()> {
        for judge in &self.judges {
            let allowed = (judge.policy.check(&Unknown, transport, Some(name), at))
                .map_err(|refusal| denied(&format!("{name} at {at}/{transport}"), refusal))?;
            let is_known = || {
                let judged = judge.policy.check_unresolved(transport, name, to.port());
                judged.is_ok_and(|would_deny| would_deny.is_some())
            };
            if let Some(refusal) = allowed.would_deny
                && !is_known()
            {
                judge.report(&Request::Reach(transport, to.clone()), &refusal);
            }
        }
        Ok(())
    }

    /// Where to listen, one place after the other, if it may be listened there and nobody who was
    /// asked says no.
    async fn admit_listen(&self, transport: Transport, at: SocketAddr) -> Result<Vec<SocketAddr>> {
        let places = self
            .places(transport, at)
            .map_err(|refusal| denied(&format!("listening at {at}/{transport}"), refusal))?;
        self.ask(&Request::Listen(transport, at)).await?;
        Ok(places)
    }

    fn places(&self, transport: Transport, at: SocketAddr) -> Result<Vec<SocketAddr>, Refusal> {
        // What those policies agree on that were looked at; `None` while any port will do for them.
        let mut agreed: Option<Vec<SocketAddr>> = None;
        for judge in &self.judges {
            let places = judge.policy.check_listen(transport, at)?.candidates;
            let any = at.port() == 0 && places.iter().any(|place| place.port() == 0);
            agreed = agreed.or((!any).then_some(places));
        }
        // The address in the form in which it was judged, with its scope where it has one.
        let mut place = at;
        place.set_ip(at.ip().to_canonical());
        let Some(mut places) = agreed else {
            return Ok(vec![place]);
        };
        for judge in &self.judges {
            places.retain(|place| judge.policy.check_listen(transport, *place).is_ok());
        }
        for chosen in &mut places {
            let port = chosen.port();
            *chosen = place;
            chosen.set_port(port);
        }
        if places.is_empty() {
            return Err(Refusal::NotAllowed);
        }
        Ok(places)
    }

    async fn ask(&self, request: &Request) -> Result<()> {
        for ask in &self.asked {
            if ask(request.clone()).await? == Answer::Deny {
                return Err(Error::new(
                    ErrorKind::Denied,
                    format!("who was asked doesn't allow {request}"),
                )
                .at(Place::Policy));
            }
        }
        Ok(())
    }
}

impl Judge {
    fn report(&self, request: &Request, refusal: &Refusal) {
        if let Some(report) = &self.report {
            report(request, refusal);
        }
    }
}

/// What a client knows of the machine behind it.
struct Unknown;

impl Facts for Unknown {
    fn is_local(&self, _: IpAddr) -> bool {
        false
    }

    fn is_relay(&self, _: Transport, _: SocketAddr) -> bool {
        false
    }

    fn has_address(&self, _: &HostName, _: IpAddr) -> Option<bool> {
        Some(false)
    }
}

/// Whether the name is this machine by definition (RFC 6761, section 6.3).
fn is_loopback(name: &HostName) -> bool {
    let name = name.as_str();
    name == "localhost" || name.ends_with(".localhost")
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

fn denied(what: &str, refusal: Refusal) -> Error {
    let text = format!("this application's policy doesn't allow {what}: {refusal}");
    (Error::new(ErrorKind::Denied, text).with_source(refusal)).at(Place::Policy)
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reach(transport, to) => write!(f, "{to}/{transport}"),
            Self::Listen(transport, at) => write!(f, "listening at {at}/{transport}"),
        }
    }
}

impl<N: fmt::Debug> fmt::Debug for Guarded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("network", &self.network)
            .field("policies", &self.guard.judges)
            .field("asked", &self.guard.asked.len())
            .finish()
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.fmt(f)
    }
}

impl<S: fmt::Debug> fmt::Debug for GuardedSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
