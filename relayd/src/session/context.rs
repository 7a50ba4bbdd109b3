//! What openings of all sessions share: the machine, the resolver, and what is known of denied names.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use jackfield_socket::HostName;
use tokio::sync::Semaphore;

use crate::config::{Config, Resolver};
use crate::fleet::Fleet;
use crate::limits::{LimitReached, Usage, Whose};
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::policy::{Facts, Policy, Transport};
use crate::record::{JsonLines, Records};
use crate::registry::Registry;
use crate::resolve::denied::DeniedNames;
use crate::resolve::{DnsResolver, MAX_THREADS, Resolve, SystemResolver};

/// What openings of all sessions share.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    machine: Arc<Machine>,
    resolver: Arc<dyn Resolve>,
    look_ups: Arc<Semaphore>,
    max_look_ups: u32,
    denied: Arc<DeniedNames>,
    records: Arc<dyn Records>,
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    fleet: Option<Fleet>,
}

impl Context {
    /// # Errors
    /// Where the resolver can't be had, or the file for records.
    pub(crate) fn new(config: &Config, machine: Machine) -> io::Result<Self> {
        let resolver: Arc<dyn Resolve> = match config.resolver {
            Resolver::Dns => Arc::new(DnsResolver::from_system()?),
            Resolver::System => Arc::new(SystemResolver),
        };
        let records: Arc<dyn Records> = match &config.records {
            Some(file) => {
                let opened = JsonLines::open(file);
                Arc::new(opened.map_err(|error| config.places.wrong("records.file", &error))?)
            }
            None => Arc::new(()),
        };
        Ok(Self {
            machine: Arc::new(machine),
            resolver,
            look_ups: Arc::new(Semaphore::new(config.max_look_ups as usize)),
            max_look_ups: config.max_look_ups,
            denied: Arc::default(),
            records,
            metrics: Arc::default(),
            registry: Arc::default(),
            fleet: Fleet::of(config),
        })
    }

    pub(crate) fn set_resolver(&mut self, resolver: impl Resolve) {
        self.resolver = Arc::new(resolver);
    }

    pub(crate) fn set_records(&mut self, records: impl Records) {
        self.records = Arc::new(records);
    }

    pub(crate) fn records(&self) -> &Arc<dyn Records> {
        &self.records
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Which sessions there are.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The relays that it is among.
    pub(crate) fn fleet(&self) -> Option<&Fleet> {
        self.fleet.as_ref()
    }

    /// How many names are being looked up, and how many may be.
    pub(crate) fn look_ups(&self) -> (u64, u64) {
        let max = u64::from(self.max_look_ups);
        (
            max.saturating_sub(self.look_ups.available_permits() as u64),
            max,
        )
    }

    /// Looks a name up, if it may be.
    ///
    /// # Cancel safety
    /// Dropping the future gives the look-up up, and makes room for another.
    pub(super) async fn look_up(
        &self,
        usage: &Usage,
        name: &HostName,
    ) -> Result<io::Result<Vec<IpAddr>>, LimitReached> {
        let all = |name, value| LimitReached {
            whose: Whose::Relay,
            name,
            value,
        };
        let _slot = usage.look_up()?;
        let _one = (self.look_ups.try_acquire())
            .map_err(|_| all("max_look_ups", self.max_look_ups.into()))?;
        let begun = Instant::now();
        let found = self.resolver.resolve(name).await;
        self.metrics.looked_up(&found, begun.elapsed());
        match found {
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                Err(all("of threads that look names up", MAX_THREADS as u64))
            }
            found => Ok(found),
        }
    }

    /// As [`look_up`](Self::look_up), for no client.
    pub(crate) async fn resolve(&self, name: &HostName) -> io::Result<Vec<IpAddr>> {
        self.resolver.resolve(name).await
    }

    /// Finds out what a policy has to know for a decision at this port, or at any.
    pub(crate) async fn learn(&self, policy: &Policy, transport: Transport, port: Option<u16>) {
        let names = policy.denied_names(transport, port);
        join_all(names.map(|name| self.denied.learn(name, &*self.resolver))).await;
    }

    /// The same beside what is going on, where a decision can't wait: it is made by what was known
    /// before.
    pub(super) fn learn_meanwhile(&self, policy: &Policy, transport: Transport, port: u16) {
        for name in policy.denied_names(transport, Some(port)) {
            self.denied.learn_meanwhile(name, &self.resolver);
        }
    }
}

impl Facts for Context {
    fn is_local(&self, address: IpAddr) -> bool {
        self.machine.is_local(address)
    }

    fn is_relay(&self, transport: Transport, address: SocketAddr) -> bool {
        let is_redis = |fleet: &Fleet| fleet.may_be_at(&self.machine, address);
        self.machine.is_relay(transport, address)
            || (transport == Transport::Tcp && self.fleet.as_ref().is_some_and(is_redis))
    }

    fn has_address(&self, denied: &HostName, address: IpAddr) -> Option<bool> {
        self.denied.has_address(denied, address)
    }
}
