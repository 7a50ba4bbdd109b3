//! CoAP as state machines, without clock and socket.
//!
//! Two message layers carry requests and responses: one over datagrams (RFC 7252, section 4), one
//! over streams (RFC 8323). Both are a [`MessageLayer`], so that what stands above them need not
//! know which it has: a [`Session`], which finds the request that a response belongs to.

pub(crate) mod blockwise;
mod cache;
mod config;
mod datagram;
mod exchanges;
mod layer;
mod observe;
mod random;
mod request;
mod response;
mod session;
mod sorted;
mod stream;
#[cfg(test)]
mod tests;

pub use blockwise::BlockError;
pub use config::{Config, Limits};
pub use datagram::{DatagramConfig, DatagramLayer, TransmissionParameters};
pub use exchanges::{ExchangeEvent, ExchangeId, Kind, NewExchange};
pub use layer::{
    LayerError, MessageLayer, Reliability, SendError, TransmissionError, TransmissionId,
};
pub use request::{NoResponse, Request};
pub use response::Response;
pub use session::{Session, SessionEvent, StoreId};
pub use stream::{StreamConfig, StreamLayer};

pub(crate) use cache::{Cache, Cached};
pub(crate) use exchanges::{Exchanges, Outgoing, Verdict};
pub(crate) use layer::{Layer, LayerEvent, Received, Reception};
pub(crate) use sorted::SortedMap;
