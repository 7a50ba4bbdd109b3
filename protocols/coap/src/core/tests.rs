//! The core against the transcripts of `tests/vectors/coap`, layer by layer, and on a network that
//! loses.

mod exchanges;
mod loss;
mod observations;
#[expect(dead_code, reason = "where the vectors are, the player knows")]
#[path = "../../tests/text/mod.rs"]
mod text;
mod transfers;
