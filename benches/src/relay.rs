//! The relay against other relays and against a plain TCP proxy.
//!
//! Every relay is a process of its own on loopback, driven by the same load in the same order, with
//! the servers at the far end in a third process. Peers run as their own documentation starts them.

pub(crate) mod datagrams;
mod dialect;
pub(crate) mod handshakes;
pub(crate) mod idle;
pub(crate) mod integrity;
pub(crate) mod keystroke;
pub(crate) mod rates;
pub(crate) mod servers;
mod wisp;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

/// What the client of all of them runs on.
fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;
const GIB: f64 = 1024.0 * MIB;
