//! Jackfield's socket API through a relay: TCP and UDP, on any page, and natively.
//!
//! [`Relay`] is a network: it connects, listens and opens UDP sockets. All of it goes over one
//! WebSocket, because a browser opens WebSockets slowly and only a few at a time. The relay resolves
//! names, and moves bytes: for secrecy, put TLS over its streams, from here to the server.
//!
//! Nothing is spawned here: a constructor returns the network and a [`Connection`], a future that
//! moves the messages and that the caller runs, on any executor.
//!
//! What the relay itself refuses, and its loss, are errors at [`Place::Relay`](jackfield_socket::Place::Relay);
//! [`Reason::find`] gives the relay's own word, of which the [`Code`] tells a token that has expired from one
//! that is unknown.
//!
//! The WebSocket is opened when it is first needed. When it is lost, everything open on it fails
//! with an error; what is opened afterwards gets a fresh one. When the relay says that it is going
//! away, what is open stays on the old one, and new openings go to a fresh one.
//!
//! ```no_run
//! # #[cfg(not(target_family = "wasm"))]
//! # async fn example() -> jackfield_socket::Result<()> {
//! use jackfield_native::Native;
//! use jackfield_relay::{Relay, RelayConfig};
//! use jackfield_socket::{TcpConnect, TcpOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let config = RelayConfig::new("wss://relay.example.org")?.with_token("s3cret")?;
//! let (relay, connection) = Relay::over(Native, config);
//! tokio::spawn(connection);
//!
//! let server = "whois.iana.org:43".parse()?;
//! let mut stream = relay.connect(&server, &TcpOptions::default()).await?;
//! stream.write_all(b"example.org\r\n").await?;
//! let mut answer = String::new();
//! stream.take(64 * 1024).read_to_string(&mut answer).await?;
//! # Ok(())
//! # }
//! # fn main() {}
//! ```

mod carrier;
mod config;
mod connection;
mod datagram;
mod renewal;
mod session;
mod stream;

pub use config::RelayConfig;
pub use connection::{Connection, Relay};
pub use datagram::RelayDatagramSocket;
pub use jackfield_relay_wire::{Code, Reason};
pub use stream::{RelayListener, RelayStream};
