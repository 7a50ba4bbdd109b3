//! The policy: who may be reached, by rules over names, networks and ports; it needs no socket.
//!
//! Nothing is allowed until a rule allows it, and a `deny` rule always wins. A name is resolved
//! once; then every address that it has is put before [`Policy::check`], and only an address that
//! came back from there is dialled. The same holds for every single datagram.
//!
//! What a rule for a name can never do is to open a special-purpose range (loopback, private,
//! link-local and the like): whoever runs that name's DNS would decide what is reached. Such an
//! address needs a rule that lists a network inside of that range; `0.0.0.0/0` does not list
//! `127.0.0.1`. In the same way port 25 must be listed as such; `*` and `1-1024` don't.
//!
//! The public addresses of the relay's own machine are special in the same way, since what goes there
//! never passes a firewall: a rule must list such an address by itself. The relay itself is never
//! reached, whatever a rule says. What only the machine knows of all that comes in as [`Facts`].
//!
//! A rule that denies a name denies its addresses too, by number and under any other name.

mod rule;
mod same_domain;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jackfield_socket::HostName;

use self::rule::Hosts;
use crate::address::{Network, special_purpose, unmask};

pub use self::rule::{ListenRule, Rule, Transport};

/// The port that open relays of mail are abused through.
const SMTP: u16 = 25;

/// The rules of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What may be reached.
    pub allow: Vec<Rule>,
    /// What may not be reached, though `allow` has it. It says nothing of where to listen.
    pub deny: Vec<Rule>,
    /// Where the client may listen and bind.
    pub listen: Vec<ListenRule>,
    /// What a bearer's own token narrows `allow` to: what is reached must fit one of these rules besides.
    /// `None` narrows nothing. No special-purpose range and no port has to be listed here.
    pub within: Option<Vec<Rule>>,
    /// Whether to reach what the rules don't allow too, and only to record it: for trying rules out.
    /// What needs a rule that lists it by itself stays out of reach without one: special-purpose
    /// addresses, this machine's, and port 25. Neither where to listen nor what a bearer's own token
    /// says is a matter of it. Default: false.
    pub report: bool,
}

/// What a decision needs to know besides the rules. Addresses are given without disguise.
pub trait Facts {
    /// Whether this is an address of the machine that the relay runs on, or one that leads there.
    fn is_local(&self, address: IpAddr) -> bool;

    /// Whether the relay itself listens there.
    fn is_relay(&self, transport: Transport, address: SocketAddr) -> bool;

    /// Whether a name that a rule denies has this address; `None` where nobody could say yet which
    /// addresses it has.
    fn has_address(&self, denied: &HostName, address: IpAddr) -> Option<bool>;
}

/// An address that may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allowed<'a> {
    /// What to dial: the address, out of its IPv4-mapped form and without a scope.
    pub address: SocketAddr,
    /// The rule that allows it. `None` where none does, and it is only recorded.
    pub rule: Option<&'a Rule>,
    /// Why it would be refused, were the policy not to [report](Policy::report) only.
    pub would_deny: Option<Refusal>,
}

/// A place where a client may listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Places<'a> {
    /// What to try, one after the other.
    pub candidates: Vec<SocketAddr>,
    /// The rule that allows it; the first, where several have a port to choose.
    pub rule: &'a ListenRule,
}

/// Why a destination or a place to listen was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No rule allows it.
    NotAllowed,
    /// This rule denies it.
    DeniedBy(Rule),
    /// This rule denies a name, which has this address.
    DeniedAddress(Rule),
    /// This rule denies a name, and which addresses that has can't be found out.
    DenialUnknown(Rule),
    /// The bearer's own token doesn't reach so far.
    NotWithin,
    /// The port must be listed by itself, or can't be reached at all (0).
    Port(u16),
    /// The address belongs to this special-purpose range, and no rule lists it.
    SpecialPurpose(&'static str),
    /// The relay itself listens there.
    Relay,
    /// The address hides another one, in this form.
    Disguised(&'static str),
}

impl Policy {
    /// Decides on one address, which `name` resolved to where the client gave a name.
    ///
    /// # Errors
    /// The reason, where it may not be reached.
    pub fn check(
        &self,
        facts: &impl Facts,
        transport: Transport,
        name: Option<&HostName>,
        address: SocketAddr,
    ) -> Result<Allowed<'_>, Refusal> {
        let seen = unmask(address.ip()).map_err(Refusal::Disguised)?;
        let seen = SocketAddr::new(seen, address.port());
        let (rule, would_deny) = match self.decide(facts, transport, name, seen) {
            Ok(rule) => (Some(rule), None),
            Err(refusal) if self.only_reports(facts, &refusal, seen) => (None, Some(refusal)),
            Err(refusal) => return Err(refusal),
        };
        let fits = |rule: &Rule| rule.has(name, seen.ip());
        if !self.is_within(transport, seen.port(), fits) {
            return Err(Refusal::NotWithin);
        }
        Ok(Allowed {
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            rule,
            would_deny,
        })
    }

    /// The rule that allows an address without disguise.
    fn decide(
        &self,
        facts: &impl Facts,
        transport: Transport,
        name: Option<&HostName>,
        address: SocketAddr,
    ) -> Result<&Rule, Refusal> {
        let (seen, port) = (address.ip(), address.port());
        if facts.is_relay(transport, address) {
            return Err(Refusal::Relay);
        }
        self.check_denials(facts, transport, name, address)?;
        let mut allowing: Vec<&Rule> = (self.allow.iter())
            .filter(|rule| rule.may_allow(transport, port) && rule.has(name, seen))
            .collect();
        let special = special_purpose(seen).or_else(|| {
            let local = facts.is_local(seen);
            local.then(|| (Network::from(seen), "of the relay's own machine"))
        });
        if let Some((range, what)) = special {
            allowing.retain(
                |rule| matches!(&rule.hosts, Hosts::Network(network) if range.covers(network)),
            );
            if allowing.is_empty() {
                return Err(Refusal::SpecialPurpose(what));
            }
        }
        allow_at(&allowing, port)
    }

    /// Whether this refusal is for the records only.
    fn only_reports(&self, facts: &impl Facts, refusal: &Refusal, address: SocketAddr) -> bool {
        let special = || special_purpose(address.ip()).is_some() || facts.is_local(address.ip());
        self.report && refusal.is_by_rules(address.port()) && !special()
    }

    /// Whether any rule denies it, by name, by address, or by the address of a name.
    fn check_denials(
        &self,
        facts: &impl Facts,
        transport: Transport,
        name: Option<&HostName>,
        address: SocketAddr,
    ) -> Result<(), Refusal> {
        let mut unknown = None;
        for rule in &self.deny {
            if !rule.may_deny(transport, address.port()) {
                continue;
            }
            if rule.has(name, address.ip()) {
                return Err(Refusal::DeniedBy(rule.clone()));
            }
            if let Hosts::Name(denied) = &rule.hosts {
                match facts.has_address(denied, address.ip()) {
                    Some(false) => {}
                    Some(true) => return Err(Refusal::DeniedAddress(rule.clone())),
                    None => unknown = unknown.or(Some(rule)),
                }
            }
        }
        unknown.map_or(Ok(()), |rule| Err(Refusal::DenialUnknown(rule.clone())))
    }

    /// The names whose addresses must be known before [`check`](Self::check) decides on any address
    /// at this port (any port at all, where it is `None`).
    pub fn denied_names(
        &self,
        transport: Transport,
        port: Option<u16>,
    ) -> impl Iterator<Item = &HostName> {
        self.deny.iter().filter_map(move |rule| match &rule.hosts {
            Hosts::Name(name) if rule.may_deny_at(transport, port) => Some(name),
            _ => None,
        })
    }

    /// Decides whether a name may be looked up at all: a look-up is itself a message to whoever
    /// runs the name's DNS. The addresses are still to be [checked](Self::check).
    ///
    /// # Errors
    /// The reason, where no address could make the name reachable.
    pub fn check_name(
        &self,
        transport: Transport,
        name: &HostName,
        port: u16,
    ) -> Result<(), Refusal> {
        let counts = |rule: &Rule| rule.hosts.match_name(Some(name));
        self.judge_name(transport, name, port, counts).map(drop)
    }

    /// Decides whether a name may be passed to somebody who looks it up and goes there at once. No
    /// rule for a network allows it, since nobody knows yet whether its address is in there. Gives why
    /// it would be refused, where the policy only [reports](Self::report).
    ///
    /// # Errors
    /// The reason, where the name may not be reached whatever address it has.
    pub fn check_unresolved(
        &self,
        transport: Transport,
        name: &HostName,
        port: u16,
    ) -> Result<Option<Refusal>, Refusal> {
        self.judge_name(transport, name, port, |rule| {
            !matches!(rule.hosts, Hosts::Network(_)) && rule.hosts.match_name(Some(name))
        })
    }

    /// Decides on a name, for which such rules count among those that allow. Gives what is only reported.
    fn judge_name(
        &self,
        transport: Transport,
        name: &HostName,
        port: u16,
        counts: impl Fn(&Rule) -> bool,
    ) -> Result<Option<Refusal>, Refusal> {
        let denied = |rule: &&Rule| {
            rule.may_deny(transport, port)
                && !matches!(rule.hosts, Hosts::Network(_))
                && rule.hosts.match_name(Some(name))
        };
        let mut would_deny = None;
        if let Some(rule) = self.deny.iter().find(denied) {
            would_deny = Some(self.unless_reported(Refusal::DeniedBy(rule.clone()), port)?);
        }
        let allowing: Vec<&Rule> = (self.allow.iter())
            .filter(|rule| rule.may_allow(transport, port) && counts(rule))
            .collect();
        if let Err(refusal) = allow_at(&allowing, port) {
            let reported = self.unless_reported(refusal, port)?;
            would_deny = would_deny.or(Some(reported));
        }
        if !self.is_within(transport, port, counts) {
            return Err(Refusal::NotWithin);
        }
        Ok(would_deny)
    }

    /// Whether all that another allows is allowed by the same rules here, and nothing more is denied.
    pub fn covers(&self, other: &Self) -> bool {
        // Where in a file a rule stands means nothing.
        fn among<T: ToString>(some: &[T], all: &[T]) -> bool {
            let all: HashSet<String> = all.iter().map(T::to_string).collect();
            some.iter().all(|one| all.contains(&one.to_string()))
        }
        let narrowed = match (&self.within, &other.within) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(new), Some(old)) => !among(old, new),
        };
        among(&other.allow, &self.allow)
            && among(&other.listen, &self.listen)
            && among(&self.deny, &other.deny)
            && !narrowed
    }

    /// Whether the bearer's own token reaches so far.
    fn is_within(&self, transport: Transport, port: u16, fits: impl Fn(&Rule) -> bool) -> bool {
        let fits = |rule: &Rule| rule.may_allow(transport, port) && fits(rule);
        (self.within.as_ref()).is_none_or(|rules| rules.iter().any(fits))
    }

    /// Gives back what is for the records only.
    fn unless_reported(&self, refusal: Refusal, port: u16) -> Result<Refusal, Refusal> {
        if self.report && refusal.is_by_rules(port) {
            return Ok(refusal);
        }
        Err(refusal)
    }

    /// Whether there is anything that may be reached.
    pub fn reaches(&self, transport: Transport) -> bool {
        self.report || (self.allow.iter()).any(|rule| rule.may_allow_any(transport))
    }

    /// Whether there is any place to listen or bind at.
    pub fn listens(&self, transport: Transport) -> bool {
        self.listen.iter().any(|rule| rule.transport == transport)
    }

    /// Decides where to listen or bind.
    ///
    /// Where the client asked for port 0, any free port will do. A rule that has `*` or the port 0
    /// lets the system choose, in whatever order the rules stand: a port that another rule names is
    /// for whoever asks for it by its number. Where no rule does, the ports that they name are the
    /// candidates.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`] where no rule has the address and port.
    pub fn check_listen(
        &self,
        transport: Transport,
        at: SocketAddr,
    ) -> Result<Places<'_>, Refusal> {
        let ip = at.ip().to_canonical();
        let mut fitting: Vec<&ListenRule> = (self.listen.iter())
            .filter(|rule| rule.transport == transport && rule.network.contains(ip))
            .filter(|rule| at.port() == 0 || rule.ports.contains(at.port()))
            .collect();
        // Whichever port it becomes, the same is told of it.
        let advertised = fitting.first().and_then(|rule| rule.advertised());
        fitting.retain(|rule| rule.advertised() == advertised);
        let candidates: Vec<u16> = if at.port() == 0 {
            let ports = || fitting.iter().flat_map(|rule| rule.ports.candidates());
            if ports().any(|port| port == 0) {
                vec![0]
            } else {
                ports().collect()
            }
        } else {
            vec![at.port()]
        };
        let rule = *fitting.first().ok_or(Refusal::NotAllowed)?;
        let at = |port| SocketAddr::new(ip, port);
        Ok(Places {
            candidates: candidates.into_iter().map(at).collect(),
            rule,
        })
    }
}

/// The first of these rules that allows this port, which some must list by itself.
fn allow_at<'a>(allowing: &[&'a Rule], port: u16) -> Result<&'a Rule, Refusal> {
    let first = *allowing.first().ok_or(Refusal::NotAllowed)?;
    match port {
        0 => Err(Refusal::Port(port)),
        SMTP => (allowing.iter().copied())
            .find(|rule| rule.ports.list(port))
            .ok_or(Refusal::Port(port)),
        _ => Ok(first),
    }
}

impl Refusal {
    /// Whether it is what the rules say, and nothing that must be listed by itself.
    fn is_by_rules(&self, port: u16) -> bool {
        (matches!(self, Self::NotAllowed) || self.rule().is_some()) && port != 0 && port != SMTP
    }

    /// The rule that refused it, where one did.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::DeniedBy(rule) | Self::DeniedAddress(rule) | Self::DenialUnknown(rule) => {
                Some(rule)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("no rule allows it"),
            Self::DeniedBy(rule) => write!(f, "the rule {rule} denies it"),
            Self::DeniedAddress(rule) => {
                write!(f, "the rule {rule} denies a name that has this address")
            }
            Self::DenialUnknown(rule) => {
                write!(
                    f,
                    "the rule {rule} denies a name whose addresses can't be found out"
                )
            }
            Self::NotWithin => f.write_str("the token itself doesn't reach so far"),
            Self::Port(0) => f.write_str("port 0 can't be reached"),
            Self::Port(port) => write!(f, "no rule lists port {port} by itself"),
            Self::SpecialPurpose(range) => {
                write!(f, "the address is {range}, and no rule lists it as such")
            }
            Self::Relay => f.write_str("the relay itself is never reached"),
            Self::Disguised(form) => write!(f, "{form} addresses are never reached"),
        }
    }
}

impl std::error::Error for Refusal {}
