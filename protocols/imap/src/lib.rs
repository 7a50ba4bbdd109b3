//! An IMAP client (RFC 3501, RFC 9051): codec, sans-IO core, and an async client over Jackfield's
//! socket API.

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
pub mod starttls;

pub use error::{EndedBy, Refusal, RequestError, SessionError};
