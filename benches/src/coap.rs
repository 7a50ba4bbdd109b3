//! CoAP: the codec against coap-lite, the client against the others, with one server.

mod codec;
mod exchange;

use anyhow::Result;

use crate::report::Report;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    codec::run(report);
    exchange::run(report)
}
