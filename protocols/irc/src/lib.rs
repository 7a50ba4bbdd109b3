//! An IRC client: codec, sans-IO core, and an async client over Jackfield's socket API.

pub mod codec;
pub mod core;
mod error;
#[cfg(feature = "server")]
pub mod server;

pub use error::{Refusal, RefusalCode, RequestError, SessionError};
