//! IMAP: reading what a server says, and bringing a mailbox up to date, against others.

pub(crate) mod codec;
mod server;
pub(crate) mod sync;
