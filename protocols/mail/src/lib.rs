//! What a mail app needs around IMAP and SMTP.
//!
//! | module | what it is |
//! |---|---|
//! | [`message`] | a message to show: its text, its HTML, what hangs on it, who says that he wrote it |
//! | [`compose`] | a message to send: from its parts, as an answer, passed on |
//! | [`discover`] | the servers of an address: by tables, HTTPS, DNS and guesses |
//!
//! Nothing here asks a clock, and only [`discover::probe`] opens a socket, over the network that it is given.

mod address;
mod base64;
mod charset;
pub mod compose;
mod date;
pub mod discover;
pub mod message;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;

pub use address::Address;
pub use charset::Charsets;
pub use date::Date;
