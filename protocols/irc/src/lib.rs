//! An IRC client: codec, sans-IO core, and an async client over Jackfield's socket API.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | the client: connects, registers, enters channels, comes back when cut |
//! | [`core`] | one session as a state machine: bytes and time in, bytes and events out |
//! | [`codec`] | messages, and what they are made of |
//! | [`starttls`] | the opening of connections that begin in plaintext |
//! | `server` | with the feature of that name: a small server, for demos and tests |
//!
//! It runs on anything that is a [`TcpConnect`](jackfield_socket::TcpConnect), TLS over it
//! included, natively and in a browser. It spawns nothing and names no backend.
//!
//! ```no_run
//! use jackfield_irc::client::{self, ClientConfig, ClientEvent};
//! use jackfield_irc::core::{Config, Credentials, Event};
//! use jackfield_socket::TcpConnect;
//!
//! async fn listen(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut session = Config::new("ada".parse()?);
//!     session.sasl = Some(Credentials::password("ada", "correct horse")?);
//!     let mut config = ClientConfig::new(session);
//!     config.channels = vec!["#rust".parse()?];
//!
//!     let (_client, mut events, connection) =
//!         client::connect(network, "irc.example.org:6697".parse()?, config);
//!     let read = async {
//!         while let Some(event) = events.next().await {
//!             if let ClientEvent::Event(Event::Message(message)) = event {
//!                 println!("{}: {}", message.from.name, message.text);
//!             }
//!         }
//!     };
//!     let (ended, ()) = tokio::join!(connection, read);
//!     Ok(ended?)
//! }
//! # fn main() {}
//! ```

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
#[cfg(feature = "server")]
pub mod server;
pub mod starttls;

pub use error::{Refusal, RefusalCode, RequestError, SessionError};
