//! IMAP: reading what a server says, against others.

pub(crate) mod codec;
