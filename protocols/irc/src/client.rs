//! An IRC client over any [`TcpConnect`].
//!
//! [`connect`] gives three things: a [`Client`] to act with, [`Events`] to read, and a
//! [`Connection`], a future that does the work. It is the caller who runs it, with whatever spawns
//! futures there; nothing happens while nobody polls it. It connects, registers, enters channels,
//! and does all of it again when the connection is lost, until it is closed or finds that
//! trying again can't help.
//!
//! TLS comes by wrapping the network: `jackfield_tls::Tls` is a `TcpConnect` too.
//!
//! ```no_run
//! use jackfield_irc::client::{self, ClientConfig, ClientEvent, Status};
//! use jackfield_irc::core::{Config, Event};
//! use jackfield_socket::TcpConnect;
//!
//! async fn greet(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut config = ClientConfig::new(Config::new("ada".parse()?));
//!     config.channels = vec!["#rust".parse()?];
//!     let server = "irc.example.org:6697".parse()?;
//!     let (client, mut events, connection) = client::connect(network, server, config);
//!     tokio::spawn(connection);
//!
//!     while let Some(event) = events.next().await {
//!         match event {
//!             ClientEvent::Event(Event::Joined { channel, own: true, .. }) => {
//!                 client.say(&channel.into(), "good morning").await?;
//!             }
//!             ClientEvent::Event(Event::Message(message)) => {
//!                 println!("{}: {}", message.from.name, message.text);
//!             }
//!             ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
//!                 println!("{error}; next attempt in {retry_in:?}");
//!             }
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! A request that is awaited in the loop that reads the events may wait for an answer that stands
//! behind events which that loop would have to read: then it ends with its time-out, and the
//! connection goes on. [`Client::enqueue`] does not wait.
//!
//! [`TcpConnect`]: jackfield_socket::TcpConnect

mod action;
mod config;
mod connection;
mod event;
mod handle;
mod rejoin;

pub use config::ClientConfig;
pub use connection::connect;
pub use event::{ClientEvent, Connection, ConnectionError, Events, Status, Statuses};
pub use handle::{Client, IntoText, Outcome};
pub use jackfield_client::{Options, Reconnect};
