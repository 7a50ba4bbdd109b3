//! The client's side of SMTP and LMTP as a state machine: who waits, what was sent, and whose reply
//! comes next.
//!
//! A [`Session`] outlives its connections. It is given what is to be sent ([`Session::request`]),
//! learns of each new stream ([`Session::opened`]) and of its end ([`Session::lost`]), and tells
//! what became of every request, once. Bytes and `now` go in; bytes, [`SessionEvent`]s and a
//! deadline come out.

mod config;
mod envelope;
mod event;
mod login;
mod outcome;
mod request;
mod session;
mod step;
mod stream;
mod transaction;

pub use config::{Chunking, Config, Limits, Protocol, Security, Timeouts};
pub use envelope::{Envelope, Recipient};
pub use event::{Event, Server, SessionEvent};
pub use outcome::{Delivery, Outcome, Response};
pub use request::{Body, Piece, Request, RequestId};
pub use session::Session;
pub use step::Step;
