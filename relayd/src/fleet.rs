//! The fleet: what several relays share, in a Redis or Valkey that all of them reach.
//!
//! Each relay judges alone, and shares only what can't be known alone: which tokens were revoked meanwhile
//! ([`revocations`]), and what is left of a quota that holds over all relays ([`leases`]; [`days`] for its bytes).
//! There is one connection, for commands and for what others publish; while there is none the relay does what
//! its configuration says for each use. Whoever may write there rules over what is shared, so that what comes
//! from there is bounded and checked, but believed.

mod days;
mod leases;
mod link;
mod metrics;
mod revocations;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use jackfield_relay_wire::{Code, Reason};
use jackfield_socket::Host;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

use self::metrics::Metrics;
use self::revocations::Revocations;
use crate::config::{Config, RedisConfig, RedisServer as Server, WhenGone};
use crate::identity::Grant;
use crate::machine::Machine;
use crate::token::Credential;

pub(crate) use self::leases::Lease;
pub(crate) use self::metrics::Series;

/// A relay among others. Clones are the same.
#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    config: RedisConfig,
    /// What this relay is told from the others by: 128 random bits.
    relay: String,
    /// Redis is there again.
    back: Notify,
    /// `None` while Redis is gone.
    connection: RwLock<Option<MultiplexedConnection>>,
    /// Where Redis is, as far as that is known: its name may have got other addresses. `None` before there were
    /// any.
    at: RwLock<Option<Vec<SocketAddr>>>,
    revocations: Revocations,
    metrics: Metrics,
}

impl Fleet {
    /// The one that a configuration names; not connected yet.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let config = config.redis.clone()?;
        let at = match config.server() {
            Server::At(server) => match server.host() {
                Host::Ip(ip) => Some(vec![SocketAddr::new(*ip, server.port())]),
                Host::Name(_) => None,
            },
            Server::Unix(_) => Some(Vec::new()),
        };
        Some(Self(Arc::new(Inner {
            config,
            relay: format!("{:032x}", fastrand::u128(..)),
            back: Notify::new(),
            connection: RwLock::default(),
            at: RwLock::new(at),
            revocations: Revocations::default(),
            metrics: Metrics::default(),
        })))
    }

    /// Whether Redis may be what listens there, which clients never reach. As long as nobody knows its addresses,
    /// it may be at any with its port.
    pub(crate) fn may_be_at(&self, machine: &Machine, address: SocketAddr) -> bool {
        match (&*read(&self.0.at), self.0.config.server()) {
            (Some(known), _) => machine.is_any_of(known, address),
            (None, Server::At(server)) => server.port() == address.port(),
            (None, Server::Unix(_)) => false,
        }
    }

    /// Whether nobody may come in by this grant now, and what he is told: his token might have been revoked
    /// since Redis is gone.
    pub(crate) fn refuses(&self, grant: &Grant) -> Option<Reason> {
        let denies = self.0.config.revocations == WhenGone::Deny
            && !matches!(grant.token.credential, Credential::Secret(_))
            && !self.is_there();
        denies.then(|| {
            let text = "the relay can't tell now whether the token was revoked";
            Reason::new(Code::RELAY_FULL, text)
        })
    }

    /// Counts what happens, for whoever asks.
    pub(crate) fn series(&self) -> Series {
        self.0.metrics.series()
    }

    fn is_there(&self) -> bool {
        read(&self.0.connection).is_some()
    }

    fn connection(&self) -> Option<MultiplexedConnection> {
        read(&self.0.connection).clone()
    }

    /// The name of something there.
    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.0.config.prefix)
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").field(&self.0.config).finish()
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
