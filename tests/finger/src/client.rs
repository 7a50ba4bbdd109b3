//! A Finger client over any [`TcpConnect`](jackfield_socket::TcpConnect).

mod action;
mod config;
mod connection;
mod event;
mod handle;

pub use config::ClientConfig;
pub use connection::connect;
pub use event::{ClientEvent, Connection, ConnectionError, Events, Status, Statuses};
pub use handle::Client;
