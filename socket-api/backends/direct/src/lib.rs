//! The socket API on Chrome's [Direct Sockets]: TCP and UDP from a page, with no relay.
//!
//! They exist in Isolated Web Apps only, in windows and in workers: `Direct::is_available` tells.
//! Off the browser this crate is empty.
//!
//! [Direct Sockets]: https://wicg.github.io/direct-sockets/
//!
//! # What Chrome loses, and what is left of it here
//!
//! Chromium 156 loses bytes in silence in three places. `docs/direct-sockets.md` has the
//! measurements; in short:
//!
//! - **Written chunks.** A `write()` that starts while the pipe to the network process is exactly
//!   full is dropped, and its promise resolves. A chunk larger than the pipe can't be accepted at
//!   once, so one that seems to be was lost: it is sent again. Smaller writes go out only
//!   when the pipe is not expected to be full.
//! - **Unread tails.** What is unread in the pipe when the peer ends the stream is thrown away. A
//!   read is therefore always pending, into a bounded buffer. Where none was, because the buffer was
//!   full or the stream had only just opened, an end can't be trusted: reading then fails with
//!   [`UnexpectedEof`] after the last byte that came.
//! - **Half-close.** Closing the writing side alone sends no FIN. Shutting a stream down therefore
//!   sends all that was written, then ends both directions; reading on fails with [`Closed`].
//!
//! What is left is rare, but no plain stream is safe from it: [`StreamInfo::may_truncate`] is true.
//! TLS turns any such loss into an error.
//!
//! [`Closed`]: jackfield_socket::ErrorKind::Closed
//! [`UnexpectedEof`]: jackfield_socket::ErrorKind::UnexpectedEof
//! [`StreamInfo::may_truncate`]: jackfield_socket::StreamInfo::may_truncate

#[cfg(any(wasm_browser, test))]
mod shaper;

#[cfg(wasm_browser)]
mod bindings;
#[cfg(wasm_browser)]
mod datagram;
#[cfg(wasm_browser)]
mod error;
#[cfg(wasm_browser)]
mod groups;
#[cfg(wasm_browser)]
mod listener;
#[cfg(wasm_browser)]
mod network;
#[cfg(wasm_browser)]
mod promise;
#[cfg(wasm_browser)]
mod reader;
#[cfg(wasm_browser)]
mod stream;
#[cfg(wasm_browser)]
mod writer;

#[cfg(wasm_browser)]
pub use datagram::DirectDatagramSocket;
#[cfg(wasm_browser)]
pub use groups::Groups;
#[cfg(wasm_browser)]
pub use listener::DirectListener;
#[cfg(wasm_browser)]
pub use network::Direct;
#[cfg(wasm_browser)]
pub use stream::DirectStream;
