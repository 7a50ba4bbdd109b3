//! Limits, and the counting that keeps them: of a token, of each of its bearers, of a place in the
//! network.
//!
//! What is in use is counted in up to three accounts at once: the bearer's, that of the block of
//! addresses it comes from, and the token's. Each has its limits, and the one that is reached first is named.
//! Asked in this order, a bearer that has reached its own takes nothing from those with whom it shares the
//! token.

mod answers;
mod bucket;
mod claim;
mod quota;
mod refusals;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use self::bucket::Bucket;
use self::traffic::Meter;
use crate::budget::{Budget, Descriptor, Held, Used};
use crate::fleet::{Fleet, Lease};
use crate::revoking::Revoking;
use crate::source::Source;

pub(crate) use self::answers::{Asked, Full, Left};
pub(crate) use self::claim::Claim;
pub use self::quota::{Limits, Quota};
pub(crate) use self::traffic::{Carried, Clock, Rate};

/// How many accounts are kept. Beyond it, those of which nothing is held go, though they have dialled
/// within the last second, or carried something today.
const MAX_ACCOUNTS: usize = 65_536;
/// So many accounts are kept before it is looked at which could go.
const MIN_ACCOUNTS: usize = 256;

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One bearer's of a token.
    Bearer,
    /// That of a block of addresses: an IPv4 address, or an IPv6 /64.
    Source,
    /// That of all bearers of a token together.
    Token,
    /// That of the relay as a whole.
    Relay,
    /// One over all relays, of which nothing can be known now.
    Fleet,
}

/// A limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitReached {
    pub(crate) whose: Whose,
    pub(crate) name: &'static str,
    pub(crate) value: u64,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, name, value } = self;
        let whose = match whose {
            Whose::Bearer => "the bearer's limit",
            Whose::Source => "the limit of one network address,",
            Whose::Token => "the token's limit",
            Whose::Relay => "the relay's limit",
            Whose::Fleet => {
                let known = "is over all relays, and nobody can tell what is left of it";
                return write!(f, "the limit {name} ({value}) {known}");
            }
        };
        write!(f, "{whose} {name} ({value}) is reached")
    }
}

impl std::error::Error for LimitReached {}

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// All bearers of the token of this name.
    Token(String),
    /// Of the token of this name, the bearer that is known by this.
    Bearer(String, String),
    /// Of the shared secret of this name, whoever comes from this block of addresses: its bearers can't be
    /// told apart any better.
    Sharer(String, Source),
    /// The clients of this block of addresses.
    Source(Source),
}

impl Holder {
    fn whose(&self) -> Whose {
        match self {
            Self::Token(_) => Whose::Token,
            Self::Bearer(..) | Self::Sharer(..) => Whose::Bearer,
            Self::Source(_) => Whose::Source,
        }
    }
}

/// Everybody's accounts: there is one as long as something of it is held, or its dials and what it has
/// carried are not yet forgotten.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    known: Mutex<Known>,
    budget: Arc<Budget>,
    /// With whom what is in use of some quotas is shared.
    fleet: Option<Fleet>,
    /// Whose tokens an administrator has revoked at this relay alone.
    revoking: Revoking,
}

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<Holder, Arc<Account>>,
    /// At so many it is looked at which could go.
    sweep_at: usize,
}

/// What one holder has in use.
#[derive(Debug, Default)]
pub(crate) struct Account {
    held: [AtomicU32; 5],
    /// What of it may be given out, where it counts over all relays.
    lease: Option<Lease>,
    dials: Mutex<Bucket>,
    refusals: Mutex<Bucket>,
    meter: Mutex<Meter>,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Session,
    Stream,
    Listener,
    Draining,
    LookUp,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "sessions",
            Self::Stream => "streams",
            Self::Listener => "listeners",
            Self::Draining => "draining_streams",
            Self::LookUp => "look_ups",
        }
    }
}

/// What a session counts in.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    /// The accounts of its bearer, of its source, and of its token, as far as there are any.
    shares: Arc<[Share]>,
    budget: Arc<Budget>,
    /// Whether any of the accounts limits what is carried.
    is_metered: bool,
}

/// An account, and what may be taken of it.
#[derive(Debug)]
struct Share {
    whose: Whose,
    quota: Quota,
    account: Arc<Account>,
}

/// One of the things that are counted, in every account; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Slot {
    usage: Usage,
    what: What,
    /// Of the relay's descriptors, where it holds one.
    descriptor: Option<Descriptor>,
}

impl Accounts {
    /// Nobody's so far, in a relay that has this in all.
    pub(crate) fn new(budget: Budget) -> Self {
        Self {
            known: Mutex::default(),
            budget: Arc::new(budget),
            fleet: None,
            revoking: Revoking::default(),
        }
    }

    /// The same, in a relay among others.
    pub(crate) fn with_fleet(mut self, fleet: Option<Fleet>) -> Self {
        self.fleet = fleet;
        self
    }

    /// The relays that it is among.
    pub(crate) fn fleet(&self) -> Option<&Fleet> {
        self.fleet.as_ref()
    }

    /// What was revoked by command at this relay.
    pub(crate) fn revoking(&self) -> &Revoking {
        &self.revoking
    }

    /// The accounts of which something is leased, or in use without a lease.
    fn shared(&self) -> Vec<Arc<Account>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = |account: &&Arc<Account>| account.is_leased() || account.is_in_use();
        known.accounts.values().filter(shared).cloned().collect()
    }

    /// How much of the relay's budget is in use.
    pub(crate) fn used(&self) -> Used {
        self.budget.used()
    }

    /// The accounts of these holders, with what each may have, in the order in which they are asked.
    pub(crate) fn usage(&self, holders: impl IntoIterator<Item = (Holder, Quota)>) -> Usage {
        let clock = Clock::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |(holder, quota): (Holder, Quota)| Share {
            whose: holder.whose(),
            quota,
            account: known.account(holder, clock, self.fleet.as_ref()),
        };
        let shares: Arc<[_]> = holders.into_iter().map(share).collect();
        let is_metered = shares.iter().any(|share| share.quota.is_metered());
        Usage {
            shares,
            budget: Arc::clone(&self.budget),
            is_metered,
        }
    }
}

impl Known {
    fn account(&mut self, holder: Holder, clock: Clock, fleet: Option<&Fleet>) -> Arc<Account> {
        if let Some(account) = self.accounts.get(&holder) {
            return Arc::clone(account);
        }
        if self.accounts.len() >= self.sweep_at.max(MIN_ACCOUNTS) {
            self.sweep(clock);
        }
        let account = Account {
            lease: fleet.and_then(|fleet| fleet.lease(&holder)),
            ..Account::default()
        };
        Arc::clone(self.accounts.entry(holder).or_insert(Arc::new(account)))
    }

    /// Forgets accounts of which nothing is held. Seldom enough that an account costs little.
    fn sweep(&mut self, clock: Clock) {
        let held = |account: &Arc<Account>| Arc::strong_count(account) > 1;
        (self.accounts).retain(|_, account| held(account) || !account.is_forgotten(clock));
        if self.accounts.len() >= MAX_ACCOUNTS {
            self.accounts.retain(|_, account| held(account));
        }
        let room = MAX_ACCOUNTS.max(self.accounts.len() + MIN_ACCOUNTS);
        self.sweep_at = (2 * self.accounts.len()).min(room);
    }
}

impl Account {
    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing lately done counts any more.
    fn is_forgotten(&self, clock: Clock) -> bool {
        let refused = self.refused().is_full(clock.now);
        refused
            && self.bucket().is_full(clock.now)
            && self.meter().is_settled(clock)
            && !self.is_leased()
    }

    fn is_leased(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_leased)
    }

    /// Whether it has sessions or streams, or has carried something, that may count over all relays.
    fn is_in_use(&self) -> bool {
        let held = |what: What| self.held[what as usize].load(Ordering::Relaxed) > 0;
        let used = held(What::Session) || held(What::Stream) || self.carried().1 > 0;
        self.lease.is_some() && used
    }

    /// Renews what is leased, or gives back what isn't in use, at the end.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the lease as it was, and it ends with its time.
    async fn renew(&self, last: bool) {
        if let Some(lease) = &self.lease {
            if last {
                let (day, carried) = self.carried();
                lease.give_back(day, carried).await;
            }
            for what in [What::Session, What::Stream] {
                lease.renew(what, &self.held[what as usize], last).await;
            }
        }
    }

    fn take(&self, what: What, limit: Option<u32>, leases: Leases) -> Result<(), Short> {
        let held = &self.held[what as usize];
        let limit = limit.unwrap_or(u32::MAX);
        let room = || held.load(Ordering::Relaxed) < limit;
        match &self.lease {
            Some(lease) if limit < u32::MAX && matches!(leases, Leases::Count) => {
                if lease.take(what, limit, held) {
                    return Ok(());
                }
                // Of what this relay has given out itself, nobody has to be asked.
                return Err(if room() {
                    Short::Lease
                } else {
                    Short::Limit(limit)
                });
            }
            _ => {}
        }
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            (held < limit).then(|| held + 1)
        })
        .map(drop)
        .map_err(|_| Short::Limit(limit))
    }

    fn give_back(&self, what: What) {
        self.held[what as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether leases bound what is taken.
#[derive(Clone, Copy, Debug)]
enum Leases {
    Count,
    /// Nobody is there who would know, and it is said to go on.
    Forgotten,
}

/// Why something can't be taken from an account.
#[derive(Clone, Copy, Debug)]
enum Short {
    /// There is no more.
    Limit(u32),
    /// This relay has leased no more.
    Lease,
}

/// Why something can't be taken.
#[derive(Debug)]
enum NotTaken {
    Limit(LimitReached),
    /// This share's lease has no room.
    Lease(usize),
}

impl Usage {
    pub(crate) fn listener(&self) -> Result<Slot, LimitReached> {
        self.take_here(What::Listener)
    }

    pub(crate) fn look_up(&self) -> Result<Slot, LimitReached> {
        self.take_here(What::LookUp)
    }

    /// What counts at this relay alone.
    fn take_here(&self, what: What) -> Result<Slot, LimitReached> {
        match self.take(what, Leases::Forgotten) {
            Ok(slot) => Ok(slot),
            Err(NotTaken::Limit(reached)) => Err(reached),
            Err(NotTaken::Lease(index)) => Err(self.reached(index, what)),
        }
    }

    fn reached(&self, index: usize, what: What) -> LimitReached {
        let share = self.shares.get(index);
        LimitReached {
            whose: share.map_or(Whose::Relay, |share| share.whose),
            name: what.name(),
            value: share
                .and_then(|share| share.quota.of(what))
                .unwrap_or(0)
                .into(),
        }
    }

    /// How many streams, sockets and listeners its limits allow at most.
    pub(crate) fn max_open(&self) -> u32 {
        let least = |what| {
            let limits = self.shares.iter().filter_map(|share| share.quota.of(what));
            limits.min().unwrap_or(u32::MAX)
        };
        least(What::Stream).saturating_add(least(What::Listener))
    }

    /// What a session's memory counts in.
    pub(crate) fn held(&self) -> Held {
        self.budget.held()
    }

    /// One of `what` from every account, or from none.
    fn take(&self, what: What, leases: Leases) -> Result<Slot, NotTaken> {
        if matches!(what, What::Stream | What::Listener) {
            self.check_today(Clock::now).map_err(NotTaken::Limit)?;
        }
        let descriptor = match what {
            What::Session => self.budget.check_memory().map(|()| None),
            What::Stream | What::Listener => self.budget.descriptor().map(Some),
            // What drains brings the one that it has; look-ups are bounded for all by `max_look_ups`.
            What::Draining | What::LookUp => Ok(None),
        }
        .map_err(NotTaken::Limit)?;
        for (index, share) in self.shares.iter().enumerate() {
            if let Err(short) = share.account.take(what, share.quota.of(what), leases) {
                for share in &self.shares[..index] {
                    share.account.give_back(what);
                }
                return Err(match short {
                    Short::Lease => NotTaken::Lease(index),
                    Short::Limit(limit) => NotTaken::Limit(LimitReached {
                        whose: share.whose,
                        name: what.name(),
                        value: limit.into(),
                    }),
                });
            }
        }
        let usage = self.clone();
        Ok(Slot {
            usage,
            what,
            descriptor,
        })
    }

    /// Counts one dial, in every account or in none.
    pub(crate) fn dial(&self, now: Instant) -> Result<(), LimitReached> {
        for (index, share) in self.shares.iter().enumerate() {
            let Some(rate) = share.quota.dials_per_second else {
                continue;
            };
            if !share.account.bucket().take(rate, now) {
                for share in &self.shares[..index] {
                    if let Some(rate) = share.quota.dials_per_second {
                        share.account.bucket().give_back(rate);
                    }
                }
                return Err(LimitReached {
                    whose: share.whose,
                    name: "dials_per_second",
                    value: rate.into(),
                });
            }
        }
        Ok(())
    }
}

impl Slot {
    /// Counts a stream among those that go on without their client, and no longer among those that clients
    /// have. Where as many drain as may, it is given back as it was.
    pub(crate) fn drain(mut self) -> Result<Self, Self> {
        match self.usage.take_here(What::Draining) {
            Ok(mut draining) => {
                draining.descriptor = self.descriptor.take();
                Ok(draining)
            }
            Err(_) => Err(self),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for share in &*self.usage.shares {
            share.account.give_back(self.what);
        }
    }
}
