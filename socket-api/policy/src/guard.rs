//! The guard: what decides for a [`Guarded`](crate::Guarded) network. [`Rules`] are one, with policies of
//! their own.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use jackfield_socket::{Endpoint, Error, ErrorKind, Host, HostName, Place, Result};

use crate::{Answer, Facts, Policy, Refusal, Request, Transport};

/// Who decides for a [`Guarded`](crate::Guarded) network. [`Rules`] do by themselves; another one passes the question
/// on to where the rules are, such as a module of its own that only pages with rules download.
pub trait Guard: Clone + Send + Sync + Unpin + 'static {
    /// Judges where to go. A name is judged without its address.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`], at [`Place::Policy`], as everything here that is refused.
    fn reach(&self, transport: Transport, to: &Endpoint) -> Result<()>;

    /// Judges the address that was found for a name, which was judged by itself.
    ///
    /// # Errors
    /// Where it may not be reached.
    fn found(&self, transport: Transport, to: &Endpoint, at: SocketAddr) -> Result<()>;

    /// Where to listen, or to bind a datagram socket: what to try, one after the other.
    ///
    /// # Errors
    /// Where there is no such place.
    fn listen(&self, transport: Transport, at: SocketAddr) -> Result<Vec<SocketAddr>>;

    /// Judges where a datagram of a bound socket goes, or which group the socket joins. Whether rules
    /// that only report told of it, as they do where it `is_new`.
    ///
    /// # Errors
    /// Where nothing may be sent there.
    fn datagram(&self, to: SocketAddr, is_new: bool) -> Result<bool>;

    /// Waits until all have said yes that are asked about what the rules allow. Nothing is sent before.
    ///
    /// # Errors
    /// Where one says no, or can't answer.
    ///
    /// # Cancel safety
    /// Where it is dropped, the questions are withdrawn.
    fn ask(&self, request: &Request) -> impl Future<Output = Result<()>> + Send;
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;
type Report = Arc<dyn Fn(&Request, &Refusal) + Send + Sync>;

/// Policies that must all agree, and people who are asked besides: what a [`Guarded`](crate::Guarded) network is held to.
///
/// Without any, everything is allowed.
#[derive(Clone, Default)]
pub struct Rules {
    /// There is one for each time that it was narrowed, which is set up by hand.
    judges: Vec<Judge>,
    asked: Vec<Arc<dyn Fn(Request) -> Asking + Send + Sync>>,
}

/// Rules, and who is told of what they would refuse, where they only report.
#[derive(Clone)]
struct Judge {
    policy: Arc<Policy>,
    report: Option<Report>,
}

impl Rules {
    /// The same, and this policy besides; see [`Guarded::narrowed`](crate::Guarded::narrowed).
    #[must_use]
    pub fn narrowed(mut self, policy: Policy) -> Self {
        let report = false;
        let policy = Arc::new(Policy { report, ..policy });
        let report = None;
        self.judges.push(Judge { policy, report });
        self
    }

    /// The same, which tells what this policy would refuse; see
    /// [`Guarded::reporting`](crate::Guarded::reporting).
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
        self.judges.push(Judge {
            policy: Arc::new(policy),
            report: Some(Arc::new(report)),
        });
        self
    }

    /// The same, where somebody is asked besides; see [`Guarded::asking`](crate::Guarded::asking).
    #[must_use]
    pub fn asking<F>(mut self, ask: impl Fn(Request) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        let ask = move |request| -> Asking { Box::pin(ask(request)) };
        self.asked.push(Arc::new(ask));
        self
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
}

impl Guard for Rules {
    fn reach(&self, transport: Transport, to: &Endpoint) -> Result<()> {
        match to.host() {
            Host::Ip(ip) => {
                let address = SocketAddr::new(*ip, to.port());
                self.judge(transport, address, true).map(drop)
            }
            Host::Name(name) => self.judge_name(transport, name, to),
        }
    }

    fn found(&self, transport: Transport, to: &Endpoint, at: SocketAddr) -> Result<()> {
        match to.host() {
            Host::Name(name) => self.found_at(transport, name, to, at),
            Host::Ip(_) => Ok(()),
        }
    }

    fn listen(&self, transport: Transport, at: SocketAddr) -> Result<Vec<SocketAddr>> {
        let places = self.places(transport, at);
        places.map_err(|refusal| denied(&format!("listening at {at}/{transport}"), refusal))
    }

    fn datagram(&self, to: SocketAddr, is_new: bool) -> Result<bool> {
        self.judge(Transport::Udp, to, is_new)
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

fn denied(what: &str, refusal: Refusal) -> Error {
    let text = format!("this application's policy doesn't allow {what}: {refusal}");
    (Error::new(ErrorKind::Denied, text).with_source(refusal)).at(Place::Policy)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("policies", &self.judges)
            .field("asked", &self.asked.len())
            .finish()
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.fmt(f)
    }
}
