//! What openings of all sessions share: the machine, the resolver, and what is known of denied names.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::join_all;
use jackfield_socket::HostName;
use tokio::sync::Semaphore;

use crate::machine::Machine;
use crate::policy::{Facts, Policy, Transport};
use crate::resolve::denied::DeniedNames;
use crate::resolve::{Resolve, SystemResolver};

/// How many names may be looked up at a time, by all sessions; each takes a thread.
const MAX_LOOK_UPS: usize = 32;

/// What openings of all sessions share.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    machine: Arc<Machine>,
    resolver: Arc<dyn Resolve>,
    look_ups: Arc<Semaphore>,
    denied: Arc<DeniedNames>,
}

impl Context {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine: Arc::new(machine),
            resolver: Arc::new(SystemResolver),
            look_ups: Arc::new(Semaphore::new(MAX_LOOK_UPS)),
            denied: Arc::default(),
        }
    }

    pub(crate) fn set_resolver(&mut self, resolver: impl Resolve) {
        self.resolver = Arc::new(resolver);
    }

    /// Looks a name up.
    pub(super) async fn look_up(&self, name: &HostName) -> io::Result<Vec<IpAddr>> {
        // The semaphore is never closed.
        let _turn = self.look_ups.acquire().await;
        self.resolver.resolve(name).await
    }

    /// Finds out what a policy has to know for a decision at this port, or at any.
    pub(super) async fn learn(&self, policy: &Policy, transport: Transport, port: Option<u16>) {
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
        self.machine.is_relay(transport, address)
    }

    fn has_address(&self, denied: &HostName, address: IpAddr) -> Option<bool> {
        self.denied.has_address(denied, address)
    }
}
