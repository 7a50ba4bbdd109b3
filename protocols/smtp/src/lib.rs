//! An SMTP client: codec, sans-IO core, and an async client over Jackfield's socket API.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | the client: connects when there is something to send, logs in, sends, comes back when cut |
//! | [`core`] | a session as a state machine that outlives connections: bytes and time in, bytes and events out |
//! | [`codec`] | replies, commands, content, and what they are made of |
//! | [`starttls`] | the opening of connections that begin in plaintext |
//!
//! It speaks LMTP as well ([`Protocol::Lmtp`](core::Protocol::Lmtp)). It runs on anything that is a
//! [`TcpConnect`](jackfield_socket::TcpConnect), natively and in a browser. It spawns nothing and names
//! no backend.
//!
//! # Example
//! ```no_run
//! use jackfield_sasl::Credentials;
//! use jackfield_smtp::client;
//! use jackfield_smtp::core::{Config, Envelope, Security};
//! use jackfield_socket::TcpConnect;
//!
//! /// `network` speaks TLS, such as `Tls<Native>`.
//! async fn greet(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut config = Config::new("localhost".parse()?);
//!     config.security = Security::Tls;
//!     config.credentials = Some(Credentials::password("ada", "correct horse")?);
//!     let server = "mail.example.org:465".parse()?;
//!     let (client, _, connection) = client::connect(network, server, config);
//!
//!     let to = ["grace@example.com".parse()?];
//!     let envelope = Envelope::new("ada@example.org".parse()?, to);
//!     let message = "From: ada@example.org\nTo: grace@example.com\nSubject: hello\n\nGood morning.\n";
//!     let send = async {
//!         let outcome = client.send(envelope, message).await?;
//!         for (mailbox, reply) in outcome.refused() {
//!             println!("{mailbox}: {reply}");
//!         }
//!         client.close().await;
//!         Ok::<_, jackfield_smtp::RequestError>(())
//!     };
//!     let (sent, ended) = tokio::join!(send, connection);
//!     sent?;
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
pub mod starttls;

pub use error::{LoginError, Refusal, RequestError, SessionError};
