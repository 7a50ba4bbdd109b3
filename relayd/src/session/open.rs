//! Openings: what a client asks for, until it is authorised, asked about, looked up, checked, and dialled.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use jackfield_native::Native;
use jackfield_relay_wire::{Code, Id, Reason, UdpTarget};
use jackfield_socket::{
    AddressFamily, ByteStream as _, DatagramSocket as _, Endpoint, Error, ErrorKind, Host,
    ListenOptions, TcpListen as _, TcpListener as _, TcpOptions, UdpOpen as _, UdpOptions,
};
use tokio::time::{Instant, timeout};
use tracing::info;

use super::context::Context;
use super::listen::Listening;
use super::tcp::TcpPump;
use super::udp::UdpPump;
use super::{Item, Turn};
use crate::ask::{Doing, No, Question};
use crate::identity::Grant;
use crate::limits::{Claim, LimitReached, Slot};
use crate::policy::{Refusal, Transport};
use crate::record::{Answered, Basis, Case, Who};

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;
/// How many ports of a range are tried when any will do.
const MAX_PORTS: usize = 64;
/// How many bytes wait in the system for a target that takes nothing, as the system counts them. By
/// itself it would let them become megabytes for each connection.
const SEND_BUFFER: NonZeroU32 = NonZeroU32::new(256 * 1024).unwrap();
/// How many connections wait in the system's queue, unless the client asks for more or less.
const BACKLOG: NonZeroU32 = NonZeroU32::new(64).unwrap();
/// The most that a client may ask for.
const MAX_BACKLOG: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// Something that is being opened. Dropping it closes what there is of it.
pub(super) struct Opening(Pin<Box<dyn Future<Output = Opened> + Send>>);

/// What has become of it.
pub(super) type Opened = Result<Open, Refused>;

/// It is open.
pub(super) struct Open {
    pub(super) item: Item,
    /// Why it was allowed.
    pub(super) basis: Basis,
    pub(super) local: Option<SocketAddr>,
    /// By which address others reach the local one, where that is another.
    pub(super) advertised: Option<IpAddr>,
    pub(super) remote: Option<SocketAddr>,
}

/// It can't be.
pub(super) struct Refused {
    /// What the client learns.
    pub(super) reason: Reason,
    /// What was asked for, and why it can't be, for the log. Of a name's addresses the client learns
    /// nothing.
    asked: String,
    why: String,
    basis: Box<Basis>,
}

impl Opening {
    /// Authorises a TCP connection, and begins with it.
    pub(super) fn connect(
        grant: &Arc<Grant>,
        context: &Context,
        who: &Arc<Who>,
        to: Endpoint,
        options: TcpOptions,
    ) -> Result<Self, Refused> {
        let claim = claim_stream(grant, &to)?;
        (options.validate()).map_err(|error| Refused::invalid(&to, &error))?;
        let mut options = options;
        let asked = options.send_buffer.unwrap_or(SEND_BUFFER);
        options.send_buffer = Some(asked.min(SEND_BUFFER));
        let (grant, context, who) = (Arc::clone(grant), context.clone(), Arc::clone(who));
        Ok(Self::within(
            grant.token.limits.dial_deadline,
            to.clone(),
            async move {
                let slot = take(claim, &to).await?;
                let found =
                    find(&grant, &context, &who, Transport::Tcp, &to, options.family).await?;
                let addresses = found.iter().map(|(address, _)| *address).collect();
                let begun = Instant::now();
                let stream = Native
                    .connect_resolved(&to, addresses, &options)
                    .await
                    .map_err(|error| {
                        Refused::failed("connect to", &to, &error).of(basis(&found, None))
                    })?;
                context.metrics().dialled(begun.elapsed());
                let info = stream.info();
                Ok(Open {
                    local: info.local,
                    advertised: None,
                    remote: info.peer,
                    basis: basis(&found, info.peer),
                    item: Item::Stream(TcpPump::new(stream, slot)),
                })
            },
        ))
    }

    /// Authorises a listener, and begins with it.
    pub(super) fn listen(
        grant: &Arc<Grant>,
        context: &Context,
        who: &Arc<Who>,
        at: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Self, Refused> {
        let limit = |reached| Refused::limit(&at, reached);
        grant.usage.dial(Instant::now()).map_err(limit)?;
        let slot = grant.usage.listener().map_err(limit)?;
        (options.validate(at)).map_err(|error| Refused::invalid(&at, &error))?;
        refuse_dual_stack(options.v6_only, at)?;
        let places = (grant.token.policy)
            .check_listen(Transport::Tcp, at)
            .map_err(|refusal| Refused::denied("listening at", &at, &refusal, true))?;
        let (candidates, basis) = (places.candidates, Basis::from(places.rule));
        let advertised = places.rule.advertised();
        let mut options = options.clone();
        let backlog = options.backlog.unwrap_or(BACKLOG);
        options.backlog = Some(backlog.min(MAX_BACKLOG));
        options.v6_only = at.is_ipv6().then_some(true);
        let (grant, context, who) = (Arc::clone(grant), context.clone(), Arc::clone(who));
        let deadline = grant.token.limits.dial_deadline;
        Ok(Self::within(deadline, at, async move {
            let transport = Transport::Tcp;
            let answer = ask(&grant, &context, &who, Doing::Listen, transport, &at.into()).await?;
            let basis = basis.answered(answer);
            let listen = |at| Native.listen(at, &options);
            let listener = first_of(from_a_random_one(candidates), listen)
                .await
                .map_err(|error| Refused::failed("listen at", &at, &error).of(basis.clone()))?;
            Ok(Open {
                local: listener.local_addr(),
                advertised,
                remote: None,
                basis,
                item: Item::Listener(Listening::new(listener, advertised, slot)),
            })
        }))
    }

    /// Authorises a datagram socket, and begins with it.
    pub(super) fn udp(
        grant: &Arc<Grant>,
        context: &Context,
        who: &Arc<Who>,
        target: UdpTarget,
        options: UdpOptions,
    ) -> Result<Self, Refused> {
        match target {
            UdpTarget::Connected(to) => Self::udp_connected(grant, context, who, to, options),
            UdpTarget::Bound(at) => Self::udp_bound(grant, context, who, at, options),
        }
    }

    fn udp_connected(
        grant: &Arc<Grant>,
        context: &Context,
        who: &Arc<Who>,
        to: Endpoint,
        options: UdpOptions,
    ) -> Result<Self, Refused> {
        let claim = claim_stream(grant, &to)?;
        (options.validate_connected()).map_err(|error| Refused::invalid(&to, &error))?;
        let (grant, context, who) = (Arc::clone(grant), context.clone(), Arc::clone(who));
        Ok(Self::within(
            grant.token.limits.dial_deadline,
            to.clone(),
            async move {
                let slot = take(claim, &to).await?;
                let found =
                    find(&grant, &context, &who, Transport::Udp, &to, options.family).await?;
                let addresses = found.iter().map(|(address, _)| *address).collect();
                // Opening says nothing to the peer: it fails only where no way leads there.
                let open = |peer: SocketAddr| {
                    let options = &options;
                    async move { Native.open_connected(&peer.into(), options).await }
                };
                let socket = first_of(addresses, open).await.map_err(|error| {
                    let refused = Refused::failed("open a datagram socket to", &to, &error);
                    refused.of(basis(&found, None))
                })?;
                Ok(Open {
                    local: socket.local_addr(),
                    advertised: None,
                    remote: socket.peer_addr(),
                    basis: basis(&found, socket.peer_addr()),
                    item: Item::Udp(UdpPump::connected(socket, slot)),
                })
            },
        ))
    }

    fn udp_bound(
        grant: &Arc<Grant>,
        context: &Context,
        who: &Arc<Who>,
        at: SocketAddr,
        mut options: UdpOptions,
    ) -> Result<Self, Refused> {
        let claim = claim_stream(grant, &at)?;
        (options.validate_bound(at)).map_err(|error| Refused::invalid(&at, &error))?;
        refuse_dual_stack(options.v6_only, at)?;
        let denied = move |refusal| Refused::denied("binding", &at, &refusal, true);
        let places = (grant.token.policy)
            .check_listen(Transport::Udp, at)
            .map_err(denied)?;
        let (candidates, basis) = (places.candidates, Basis::from(places.rule));
        let advertised = places.rule.advertised();
        // Members answer from addresses of their own.
        if options.multicast.is_some() && !grant.token.udp_open {
            return Err(denied(Refusal::NotAllowed));
        }
        options.v6_only = at.is_ipv6().then_some(true);
        if at.port() == 0
            && let Some(multicast) = &mut options.multicast
        {
            // A port that could be shared might not be free.
            multicast.share_address = false;
        }
        let (grant, context, who) = (Arc::clone(grant), context.clone(), Arc::clone(who));
        let deadline = grant.token.limits.dial_deadline;
        let opening = async move {
            let slot = take(claim, &at).await?;
            let policy = &grant.token.policy;
            // Each datagram is decided on by itself, at once.
            context.learn(policy, Transport::Udp, None).await;
            let groups = options.multicast.iter().flat_map(|all| &all.groups);
            let groups = groups.map(|group| SocketAddr::new(group.address, at.port()));
            for group in groups.clone() {
                let allowed = policy.check(&context, Transport::Udp, None, group);
                allowed.map_err(denied)?;
            }
            let transport = Transport::Udp;
            let mut answer =
                ask(&grant, &context, &who, Doing::Bind, transport, &at.into()).await?;
            for group in groups {
                let (doing, group) = (Doing::Join, group.into());
                let joined = ask(&grant, &context, &who, doing, transport, &group).await?;
                // One record is of them all.
                answer = joined.filter(|it| *it == Answered::FailedOpen).or(answer);
            }
            let basis = basis.answered(answer);
            let bind = |at| Native.open_bound(at, &options);
            let socket = first_of(from_a_random_one(candidates), bind)
                .await
                .map_err(|error| Refused::failed("bind", &at, &error).of(basis.clone()))?;
            Ok(Open {
                local: socket.local_addr(),
                advertised,
                remote: None,
                basis,
                item: Item::Udp(UdpPump::bound(socket, slot)),
            })
        };
        Ok(Self::within(deadline, at, opening))
    }

    fn within(
        deadline: Duration,
        to: impl ToString + Send + 'static,
        opening: impl Future<Output = Opened> + Send + 'static,
    ) -> Self {
        Self(Box::pin(async move {
            timeout(deadline, opening).await.unwrap_or_else(|_| {
                let error = Error::new(ErrorKind::TimedOut, "dial_seconds have passed");
                Err(Refused::failed("reach", &to, &error))
            })
        }))
    }

    pub(super) fn turn(&mut self, cx: &mut TaskContext<'_>) -> Turn {
        match self.0.as_mut().poll(cx) {
            Poll::Pending => Turn::Waiting,
            Poll::Ready(opened) => Turn::Opened(Box::new(opened)),
        }
    }
}

impl Refused {
    /// A rule forbids it. Where that was decided on a look-up's result, the client isn't told why.
    fn denied(doing: &str, what: &dyn ToString, refusal: &Refusal, tell: bool) -> Self {
        let asked = what.to_string();
        let mut text = format!("the relay's rules don't allow {doing} {asked}");
        if tell {
            text = format!("{text}: {refusal}");
        }
        Self {
            reason: Reason::new(Code::DENIED, &text),
            asked,
            why: refusal.to_string(),
            basis: Box::new(refusal.into()),
        }
    }

    /// The request can't be right.
    fn invalid(what: &dyn ToString, error: &Error) -> Self {
        Self {
            reason: error.into(),
            asked: what.to_string(),
            why: error.to_string(),
            basis: Box::default(),
        }
    }

    /// The multiplexer has refused it: as many are open as may be, or the relay is ending.
    pub(super) fn declined(case: &Case, reason: &Reason) -> Self {
        let is_limit = reason.code() == Code::LIMIT_EXCEEDED;
        let basis = if is_limit {
            Basis::denied()
        } else {
            Basis::default()
        };
        Self {
            reason: reason.clone(),
            asked: case.asked().into(),
            why: reason.text().into(),
            basis: Box::new(basis),
        }
    }

    fn limit(what: &dyn ToString, limit: LimitReached) -> Self {
        let text = limit.to_string();
        Self {
            reason: Reason::new(Code::LIMIT_EXCEEDED, &text),
            asked: what.to_string(),
            why: text,
            basis: Box::new(Basis::denied()),
        }
    }

    /// It was asked whether to, and there is no good answer. The client learns what that says, and of a
    /// failure nothing.
    fn by_answer(doing: Doing, what: &dyn ToString, no: &No) -> Self {
        let asked = what.to_string();
        let doing = match doing {
            Doing::Connect | Doing::Send => "reaching",
            Doing::Listen => "listening at",
            Doing::Bind => "binding",
            Doing::Join => "joining",
        };
        let reason = match no {
            No::Limit(reached) => Reason::new(Code::LIMIT_EXCEEDED, &reached.to_string()),
            No::Denied(text) => {
                let colon = if text.is_empty() { "" } else { ": " };
                let text = format!("whom the relay asks denies {doing} {asked}{colon}{text}");
                Reason::new(Code::DENIED, &text)
            }
            No::Failed(_) => {
                let text = format!("the relay can't ask whether {doing} {asked} is allowed");
                Reason::new(Code::FAILED, &text)
            }
        };
        Self {
            reason,
            asked,
            why: no.to_string(),
            basis: Box::new(Basis::denied().answered(no.answered())),
        }
    }

    /// It was tried. The error's own text names addresses, which are for the log only.
    fn failed(doing: &str, what: &dyn ToString, error: &Error) -> Self {
        let code = Code::from(error.kind());
        let asked = what.to_string();
        Self {
            reason: Reason::new(code, &format!("the relay can't {doing} {asked}: {code}")),
            asked,
            why: error.to_string(),
            basis: Box::default(),
        }
    }

    /// What was decided before it failed.
    fn of(mut self, basis: Basis) -> Self {
        *self.basis = basis;
        self
    }

    /// Tells the log and the records, and returns what the client is told.
    pub(super) fn tell(self, id: Id, case: Case) -> Reason {
        info!(%id, asked = self.asked, code = %self.reason.code(), why = self.why, "refused");
        case.refuse(&self.reason, *self.basis, &self.why);
        self.reason
    }
}

/// A place for a stream, or the way to it. Whatever becomes of it, it counts as a dial.
fn claim_stream(grant: &Grant, what: &dyn ToString) -> Result<Claim, Refused> {
    let limit = |reached| Refused::limit(what, reached);
    grant.usage.dial(Instant::now()).map_err(limit)?;
    grant.usage.stream().map_err(limit)
}

/// The place that was claimed.
async fn take(claim: Claim, what: &impl ToString) -> Result<Slot, Refused> {
    let slot = claim.slot().await;
    slot.map_err(|reached| Refused::limit(what, reached))
}

/// On an IPv6 address the relay takes IPv6 only: what is granted is what is bound.
fn refuse_dual_stack(v6_only: Option<bool>, at: SocketAddr) -> Result<(), Refused> {
    if v6_only != Some(false) || at.is_ipv4() {
        return Ok(());
    }
    let text = "the relay doesn't take IPv4 on an IPv6 address: open one socket for each";
    Err(Refused {
        reason: Reason::new(Code::UNSUPPORTED, text),
        asked: at.to_string(),
        why: text.into(),
        basis: Box::default(),
    })
}

/// Asks whom the token has, if it has somebody: that it is allowed, or why it isn't. The rules allow it.
async fn ask(
    grant: &Grant,
    context: &Context,
    who: &Who,
    doing: Doing,
    transport: Transport,
    to: &Endpoint,
) -> Result<Option<Answered>, Refused> {
    let Some(ask) = &grant.token.ask else {
        return Ok(None);
    };
    let question = Question::new(doing, transport, to);
    let answered = ask.ask(context, who, &question).await;
    let no = |no| Refused::by_answer(doing, to, &no);
    answered.map(Some).map_err(no)
}

/// The addresses to dial: looked up once, each of them checked.
async fn find(
    grant: &Grant,
    context: &Context,
    who: &Who,
    transport: Transport,
    to: &Endpoint,
    family: AddressFamily,
) -> Result<Vec<(SocketAddr, Basis)>, Refused> {
    let policy = &grant.token.policy;
    let denied = |refusal, tell| Refused::denied("reaching", to, &refusal, tell);
    let name = match to.host() {
        Host::Ip(ip) => {
            let address = SocketAddr::new(*ip, to.port());
            context.learn(policy, transport, Some(to.port())).await;
            let allowed = policy.check(context, transport, None, address);
            let allowed = allowed.map_err(|refusal| denied(refusal, true))?;
            let answer = ask(grant, context, who, Doing::Connect, transport, to).await?;
            let basis = Basis::from(&allowed).answered(answer);
            return Ok(vec![(allowed.address, basis)]);
        }
        Host::Name(name) => name,
    };
    policy
        .check_name(transport, name, to.port())
        .map_err(|refusal| denied(refusal, true))?;
    // A look-up is a message to whoever runs the name's DNS.
    let answer = ask(grant, context, who, Doing::Connect, transport, to).await?;
    let (found, ()) = tokio::join!(
        context.look_up(&grant.usage, name),
        context.learn(policy, transport, Some(to.port()))
    );
    let not_found = |why: String| Refused {
        reason: Reason::new(Code::HOST_NOT_FOUND, &format!("{name} has no address")),
        asked: to.to_string(),
        why,
        basis: Box::new(Basis::default().answered(answer)),
    };
    let found = found
        .map_err(|reached| Refused::limit(to, reached))?
        .map_err(|error| not_found(error.to_string()))?;
    let mut refusal = None;
    let mut checked = Vec::new();
    for ip in found {
        let address = SocketAddr::new(ip, to.port());
        match policy.check(context, transport, Some(name), address) {
            Ok(allowed) if wanted(allowed.address, family) => {
                let basis = Basis::from(&allowed).answered(answer);
                checked.push((allowed.address, basis));
            }
            Ok(_) => {}
            Err(refused) => refusal = refusal.or(Some(refused)),
        }
    }
    if checked.is_empty() {
        return Err(match refusal {
            Some(refusal) => {
                let refused = denied(refusal, false);
                let basis = refused.basis.clone().answered(answer);
                refused.of(basis)
            }
            None => not_found("there is none of the family asked for".into()),
        });
    }
    checked.truncate(MAX_ADDRESSES);
    Ok(checked)
}

/// Why the address that was reached may be, or the first, where none was.
fn basis(found: &[(SocketAddr, Basis)], reached: Option<SocketAddr>) -> Basis {
    let of_reached = found.iter().find(|(address, _)| Some(*address) == reached);
    let (_, basis) = of_reached.or(found.first()).cloned().unzip();
    basis.unwrap_or_default()
}

fn wanted(address: SocketAddr, family: AddressFamily) -> bool {
    match family {
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
        _ => true,
    }
}

/// The same candidates from a random one on: the first ports of a range are the likeliest taken.
fn from_a_random_one(mut candidates: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let start = fastrand::usize(..candidates.len().max(1));
    candidates.rotate_left(start);
    candidates
}

/// Opens the first of these that can be had.
async fn first_of<T, F>(
    candidates: Vec<SocketAddr>,
    open: impl Fn(SocketAddr) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut last = Error::new(ErrorKind::AddressNotAvailable, "there is no address");
    for candidate in candidates.into_iter().take(MAX_PORTS) {
        match open(candidate).await {
            Ok(open) => return Ok(open),
            Err(error) => last = error,
        }
    }
    Err(last)
}
