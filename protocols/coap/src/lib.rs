//! A CoAP client: codec, sans-IO core, and an async client over the socket API.

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
pub mod oscore;
#[cfg(feature = "server")]
pub mod server;

pub use error::{Refusal, RequestError};
