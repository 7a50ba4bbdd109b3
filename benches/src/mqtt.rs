//! MQTT: the codec against others, the client against the others with one broker, and what it takes
//! of memory and of a page's download.

mod clients;
mod codec;
mod download;
mod idle;
mod publish;

use anyhow::Result;

use crate::Peers;
use crate::report::Report;

pub(crate) use idle::{ROLE as IDLE_ROLE, play as play_idle};

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    codec::run(report)?;
    publish::run(peers, report)?;
    idle::run(peers, report)?;
    download::run(peers, report)
}
