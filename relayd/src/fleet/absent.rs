//! The fleet of a relay that was built without the feature `redis`: there is none, and nothing to be done.

#![expect(clippy::unused_async, reason = "what is there waits")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use jackfield_relay_wire::Reason;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::identity::Grant;
use crate::limits::{Accounts, Asked, Full, Holder, Left, What};
use crate::machine::Machine;
use crate::session::Context;
use crate::token::{Credential, Proven, Revocation};

/// What there is none of.
#[derive(Clone, Debug)]
pub(crate) struct Fleet(Infallible);

#[derive(Debug)]
pub(crate) struct Series(Infallible);

#[derive(Debug)]
pub(crate) struct Lease(Infallible);

impl Fleet {
    pub(crate) fn of(_: &Config) -> Option<Self> {
        None
    }

    pub(crate) fn may_be_at(&self, _: &Machine, _: SocketAddr) -> bool {
        match self.0 {}
    }

    pub(crate) fn refuses(&self, _: &Grant) -> Option<Reason> {
        match self.0 {}
    }

    pub(crate) fn has_revoked(&self, _: &str, _: &Credential, _: &Proven) -> bool {
        match self.0 {}
    }

    pub(crate) async fn revoke(&self, _: &Revocation, _: Duration) -> Result<(), String> {
        match self.0 {}
    }

    pub(crate) async fn keep(self, _: Context, _: impl Fn(), _: oneshot::Sender<()>) {
        match self.0 {}
    }

    pub(crate) fn lease(&self, _: &Holder) -> Option<Lease> {
        match self.0 {}
    }

    pub(crate) async fn renew(self, _: Arc<Accounts>) {
        match self.0 {}
    }

    pub(crate) fn series(&self) -> Series {
        match self.0 {}
    }
}

impl Lease {
    pub(crate) fn take(&self, _: What, _: u32, _: &AtomicU32) -> bool {
        match self.0 {}
    }

    pub(crate) async fn ask(&self, _: What, _: u32, _: &AtomicU32) -> Result<Asked, Full> {
        match self.0 {}
    }

    pub(crate) async fn renew(&self, _: What, _: &AtomicU32, _: bool) {
        match self.0 {}
    }

    pub(crate) fn left(&self, _: u64, _: u64, _: u64) -> Left {
        match self.0 {}
    }

    pub(crate) async fn give_back(&self, _: u64, _: u64) {
        match self.0 {}
    }

    pub(crate) fn is_leased(&self) -> bool {
        match self.0 {}
    }
}

impl Series {
    pub(crate) fn register(self, _: &mut Registry) {
        match self.0 {}
    }
}
