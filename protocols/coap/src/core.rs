//! CoAP as state machines, without clock and socket.
//!
//! Two message layers carry requests and responses: one over datagrams (RFC 7252, section 4), one
//! over streams (RFC 8323). Both are a [`MessageLayer`], so that what stands above them need not
//! know which it has: [`Exchanges`], which finds the request that a response belongs to.
//! [`blockwise`] has bodies in blocks, and [`Cache`] the responses that may be used again.

pub mod blockwise;
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
mod stream;

pub use cache::{Cache, Cached};
pub use config::Config;
pub use datagram::{DatagramConfig, DatagramLayer, TransmissionParameters};
pub use exchanges::{ExchangeEvent, ExchangeId, Exchanges, Kind, NewExchange, Outgoing, Verdict};
pub use layer::{
    LayerError, LayerEvent, MessageLayer, Received, Reception, Reliability, SendError,
    TransmissionError, TransmissionId,
};
pub use observe::NotificationOrder;
pub use request::{NoResponse, Request};
pub use response::Response;
pub use session::{Session, SessionEvent, StoreId};
pub use stream::{StreamConfig, StreamLayer};
