//! CoAP as state machines, without clock and socket.
//!
//! Two message layers carry requests and responses: one over datagrams (RFC 7252, section 4), one
//! over streams (RFC 8323). Both are a [`MessageLayer`], so that what stands above them need not
//! know which it has.

mod layer;

pub use layer::{
    Delivery, LayerError, LayerEvent, MessageLayer, Received, Reception, SendError,
    TransmissionError, TransmissionId,
};
