//! An MQTT client, 3.1.1 and 5: codec, sans-IO core, and an async client over Jackfield's socket API.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | the client: connects, keeps its session, comes back when cut |
//! | [`core`] | a session as a state machine that outlives connections: bytes and time in, bytes and events out |
//! | [`codec`] | packets, and what they are made of |

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;

pub use error::{Refusal, RequestError, RestoreError, SessionError};
