//! A Finger client (RFC 1288): what a protocol has to write, and nothing else.
//!
//! It is not for users. It proves that a sibling of IRC, MQTT and CoAP needs a codec, a core, its
//! actions and its errors; the loop, its options and status, STARTTLS and the player of transcripts
//! are everyone's. CONTRIBUTING.md goes through it.

pub mod client;
pub mod codec;
pub mod core;
pub mod error;
pub mod oracle;
