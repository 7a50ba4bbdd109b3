//! The mail clients alone, as modules for a page, to be weighed: `cargo xtask bench size`.
//!
//! Everything that a client is asked comes from the page, and so does what its server says: a compiler that
//! sees the whole program can take nothing of the client away. There is no TLS, no backend and no
//! runtime in it.

#[cfg(feature = "imap")]
pub mod imap;
#[cfg(feature = "mail")]
pub mod mail;
#[cfg(any(feature = "imap", feature = "smtp"))]
mod network;
#[cfg(any(feature = "imap", feature = "mail", feature = "smtp"))]
mod page;
#[cfg(feature = "smtp")]
pub mod smtp;
