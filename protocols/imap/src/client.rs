//! An IMAP client over any [`TcpConnect`].
//!
//! [`connect`] gives three things: a [`Client`] to act with, [`Events`] to read, and a
//! [`Connection`], a future that does the work. It is the caller who runs it, with whatever spawns
//! futures there; nothing happens while nobody polls it. It connects, logs in, and does so again
//! when the connection is lost, until it is closed or finds that trying again can't help.
//!
//! TLS comes by wrapping the network: `jackfield_tls::Tls` is a `TcpConnect` too. For servers that
//! begin in plaintext it is `jackfield_tls::StartTls`, with
//! [`starttls::opening`](crate::starttls::opening), and
//! [`Security::StartTls`](crate::core::Security::StartTls) in the configuration.
//!
//! ```no_run
//! use jackfield_imap::client::{self, ClientConfig};
//! use jackfield_imap::codec::{Item, MailboxName, Messages, Query, Section, SequenceSet};
//! use jackfield_imap::core::Credentials;
//! use jackfield_socket::TcpConnect;
//!
//! /// `network` speaks TLS.
//! async fn new_mail(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
//!     let config = ClientConfig::new(Credentials::password("ada", "correct horse")?);
//!     let server = "imap.example.org:993".parse()?;
//!     let (client, mut events, connection) = client::connect(network, server, config);
//!     tokio::spawn(connection);
//!
//!     client.select(MailboxName::inbox()).await?;
//!     let found = client.search(Query::new().unseen()).await?;
//!     if let Some(uids) = SequenceSet::of(found) {
//!         let mut messages = client.fetch(Messages::Uids(uids), [Item::Envelope]).await?;
//!         while let Some(message) = messages.next().await? {
//!             println!("{:?}", message.envelope);
//!         }
//!     }
//!     let mut message = client.read(17, Section::all()).await?;
//!     tokio::io::copy(&mut message, &mut tokio::io::sink()).await?;
//!
//!     let _idle = client.idle();
//!     while let Some(event) = events.next().await {
//!         println!("{event:?}");
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! [`TcpConnect`]: jackfield_socket::TcpConnect

mod access;
mod action;
mod append;
mod changes;
mod config;
mod connection;
mod event;
mod handle;
mod limit;
mod mailboxes;
mod messages;
mod search;
mod stream;
mod sync;

pub use append::{Append, Appended, Former, Replaced};
pub use changes::Stored;
pub use config::ClientConfig;
pub use connection::connect;
pub use event::{ClientEvent, Connection, ConnectionError, Events, Status, Statuses};
pub use handle::{Client, Idle};
pub use jackfield_client::{Options, Reconnect};
pub use messages::Copied;
pub use stream::{Body, Fetches};
pub use sync::Sync;
