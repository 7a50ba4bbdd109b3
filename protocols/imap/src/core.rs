//! The client's side of IMAP as a state machine: bytes and time in, bytes and events out.
//!
//! A [`Session`] outlives its connections. It greets, logs in, and opens the mailbox again that was
//! open; it sends what is asked for, many commands at a time where their answers can be told apart,
//! and tells each who asked what the server says to it.

#[cfg(feature = "compress")]
mod compress;
mod config;
mod event;
mod incoming;
mod login;
mod mailbox;
mod needs;
mod outgoing;
mod pending;
mod session;
mod sync;

pub use config::{Config, Security};
pub use event::{Event, Outcome, RequestId, Server, SessionEvent};
pub use mailbox::Selected;
pub use session::Session;
pub use sync::{Change, SyncPlan, SyncState};

#[doc(no_inline)]
pub use jackfield_sasl::{Channel, Credentials};
