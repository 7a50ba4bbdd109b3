//! TLS over any byte stream of Jackfield's socket API, on every target.
//!
//! - [`Tls`] puts TLS over a whole network: it wraps any [`TcpConnect`] and is one itself, so a
//!   client that was written for plain streams needs to know nothing of it.
//! - [`StartTls`] does so after the protocol's own dialogue in plaintext (STARTTLS).
//! - [`TlsConnector`] secures one stream, from its first byte or after STARTTLS.
//! - [`TlsAcceptor`] and [`TlsListener`] are the server's side.
//!
//! The peer's certificate is always verified, against the roots that the platform trusts (in a
//! page, the roots that Mozilla trusts), against those that the caller gives, or against a [`Pin`],
//! the hash of the very certificate or key. There is no switch to turn that off: to reach a server
//! with a certificate of its own making, pin it, or give its root. The error of a certificate that
//! was refused has it inside, as a [`CertificateError`].
//!
//! A [`TlsStream`] ends only when the peer has said so. A stream that was cut, by whomever, is an
//! error of kind [`UnexpectedEof`], never an end.
//!
//! ```
//! use jackfield_socket::{Endpoint, Result, TcpConnect, TcpOptions};
//! use jackfield_tls::{Tls, TlsConfig, TlsConnector};
//!
//! async fn secured(network: impl TcpConnect) -> Result<()> {
//!     let network = Tls::new(network, TlsConnector::new(TlsConfig::new())?);
//!     let server: Endpoint = "irc.example.org:6697".parse()?;
//!     // Connected, and the certificate is for irc.example.org.
//!     let stream = network.connect(&server, &TcpOptions::default()).await?;
//!     println!("{:?} with {}", stream.version(), stream.cipher_suite());
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! It needs no socket below, nor one of ours: a foreign stream goes in as an
//! [`Io`](jackfield_socket::Io).
//!
//! ```
//! use jackfield_socket::{Io, Result};
//! use jackfield_tls::{TlsConnector, TlsStream};
//! use tokio::io::DuplexStream;
//!
//! /// TLS through a pipe in memory.
//! async fn secured(pipe: DuplexStream, tls: &TlsConnector) -> Result<TlsStream<Io<DuplexStream>>> {
//!     tls.connect(Io::new(pipe), &"server.test".parse()?).await
//! }
//! # fn main() {}
//! ```
//!
//! [`TcpConnect`]: jackfield_socket::TcpConnect
//! [`UnexpectedEof`]: jackfield_socket::ErrorKind::UnexpectedEof

mod acceptor;
mod config;
mod connector;
mod credentials;
mod error;
mod pin;
mod refusal;
mod starttls;
mod stream;
mod verify;

pub use acceptor::{TlsAcceptor, TlsListener};
pub use config::{TlsConfig, TlsServerConfig, TlsVersion};
pub use connector::{Tls, TlsConnector};
pub use credentials::{Certificates, Identity};
pub use pin::Pin;
pub use refusal::{CertificateError, CertificateProblem};
pub use starttls::StartTls;
pub use stream::TlsStream;
