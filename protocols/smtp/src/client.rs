//! An SMTP client over any [`TcpConnect`](jackfield_socket::TcpConnect).
//!
//! [`connect`] gives a handle, its events, and the future that does the work. Nobody is connected to
//! before something is to be sent; then the connection is kept for a minute, and used again.
//!
//! [`connect_pool`] gives a handle that sends over several connections at once, and keeps to a rate.
//!
//! TLS is the network's: `Tls<N>` from `jackfield-tls` for port 465, `StartTls<N, _>` with
//! [`starttls::opening`](crate::starttls::opening) for port 587. The session is told which
//! ([`Config::security`](crate::core::Config::security)), and says nothing secret otherwise.

mod action;
mod config;
mod connection;
mod event;
mod handle;
mod pool;

pub use config::ClientConfig;
pub use connection::connect;
pub use event::{ClientEvent, Connection, ConnectionError, Events, Status, Statuses};
pub use handle::Client;
pub use jackfield_client::{Options, Reconnect};
pub use pool::{Pool, PoolConfig, PoolConnection, PoolEvent, PoolEvents, Rate, connect_pool};

pub use crate::core::{Body, Envelope, Outcome, Recipient};
