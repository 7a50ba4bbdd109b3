//! A small mail server in memory, for demos and tests: IMAP and submission over one [`Store`]. **Not for
//! production**: it forgets everything when it ends, keeps passwords as they are, and sends nothing to
//! anybody else.
//!
//! What is submitted to one of its users lands in the INBOX, and is told to whoever has it open with
//! IDLE; mail to others is refused. It runs over any [`TcpListener`](jackfield_socket::TcpListener): TLS
//! is the listener's, and STARTTLS there is none. It spawns nothing: [`serve_imap`] and
//! [`serve_submission`] do everything while they are polled.
//!
//! | protocol | what it speaks |
//! |---|---|
//! | IMAP4rev1 (RFC 3501) | APPENDLIMIT, AUTH=PLAIN, CHILDREN, CONDSTORE, ENABLE, ESEARCH, ID, IDLE, LIST-EXTENDED, LIST-STATUS, LITERAL+, MOVE, NAMESPACE, QRESYNC, SASL-IR, SPECIAL-USE, STATUS=SIZE, UIDPLUS, UNSELECT |
//! | submission (RFC 6409) | 8BITMIME, AUTH PLAIN and LOGIN, CHUNKING, DSN (accepted, nothing comes of it), ENHANCEDSTATUSCODES, PIPELINING, SIZE, SMTPUTF8 |
//!
//! Whatever clients send, it stays within its [`Limits`]: what goes beyond is refused with a reply that
//! says so, or ends the connection with a reason.
//!
//! ```
//! use jackfield_mail_server::{Config, Store, serve_imap, serve_submission};
//! use jackfield_socket::{Error, ListenOptions, TcpListen};
//!
//! /// Serves until a listener fails, or the future is dropped.
//! async fn run(network: &impl TcpListen) -> Result<Error, Box<dyn std::error::Error>> {
//!     let store = Store::new(Config::default());
//!     store.add_user("ada", "lovelace")?;
//!     store.add_message("ada", "INBOX", "Subject: welcome\n\nHello, Ada.\n", &[])?;
//!
//!     let options = ListenOptions::default();
//!     let imap = network.listen("127.0.0.1:143".parse()?, &options).await?;
//!     let submission = network.listen("127.0.0.1:587".parse()?, &options).await?;
//!     let imap = Box::pin(serve_imap(imap, store.clone()));
//!     let submission = Box::pin(serve_submission(submission, store));
//!     Ok(futures_util::future::select(imap, submission).await.factor_first().0)
//! }
//! # fn main() {}
//! ```

mod config;
pub mod imap;
mod message;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
mod serve;
pub mod smtp;
mod store;

pub use config::{Config, Limits};
pub use serve::{serve_imap, serve_submission};
pub use store::{Store, StoreError};
