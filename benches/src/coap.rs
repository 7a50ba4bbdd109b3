//! CoAP: the codec against coap-lite, the client against the others, with one server.

pub(crate) mod codec;
pub(crate) mod exchange;
