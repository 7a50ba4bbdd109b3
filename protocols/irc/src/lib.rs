//! An IRC client: codec, sans-IO core, and an async client over Jackfield's socket API.

pub mod codec;
pub mod core;
mod error;

pub use error::{Refusal, RefusalCode, RequestError, SessionError};
