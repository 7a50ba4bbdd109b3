//! A CoAP client: codec, sans-IO core, and an async client over Jackfield's socket API.

pub mod codec;
pub mod core;
pub mod oscore;
