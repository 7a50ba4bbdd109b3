//! CoAP's core against the transcripts of `tests/vectors/coap`: the message layers, bodies in blocks, and
//! observations.

mod exchanges;
mod observations;
#[expect(dead_code, reason = "where the vectors are, the player knows")]
#[path = "../text/mod.rs"]
mod text;
mod transfers;
