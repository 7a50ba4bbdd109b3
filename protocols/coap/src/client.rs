//! A CoAP client over UDP, and over whatever else carries CoAP.
//!
//! Each way to connect gives three things: a [`Client`] to ask with, [`Events`] that tell of the
//! connection, and a [`Connection`], a future that does the work. It is the caller who runs it, with
//! whatever spawns futures there; nothing happens while nobody polls it.
//!
//! | carrier | how |
//! |---|---|
//! | `coap`: UDP | [`connect`], with any [`UdpOpen`](jackfield_socket::UdpOpen) |
//! | `coaps`: DTLS | the same, with `jackfield_dtls::Dtls` |
//! | `coap+tcp`: TCP | [`connect_tcp`], with any [`TcpConnect`](jackfield_socket::TcpConnect) |
//! | `coaps+tcp`: TLS | the same, with `jackfield_tls::Tls` |
//! | `coap+ws`, `coaps+ws`: WebSockets | the same, with `CoapWebSockets` (feature `websocket`) |
//! | multicast | [`multicast`] |
//!
//! ```no_run
//! use jackfield_coap::client::{self, ClientConfig};
//! use jackfield_coap::codec::ContentFormat;
//! use jackfield_socket::UdpOpen;
//!
//! async fn evening(network: impl UdpOpen) -> Result<(), Box<dyn std::error::Error>> {
//!     let server = "light.example.org:5683".parse()?;
//!     let (light, _, connection) = client::connect(network, server, ClientConfig::default());
//!     tokio::spawn(connection);
//!
//!     light.put("/lamp", "on", ContentFormat::TEXT_PLAIN).await?;
//!     let mut brightness = light.observe("/brightness").await?;
//!     while let Some(change) = brightness.next().await {
//!         println!("{}", change?.text().unwrap_or("?"));
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```

mod action;
mod config;
mod connection;
mod download;
mod event;
mod exchanges;
mod group;
mod handle;
mod latest;
mod observation;
mod pending;
pub(crate) mod security;
mod upload;
#[cfg(feature = "websocket")]
mod websocket;

pub use config::ClientConfig;
pub use connection::{connect, connect_tcp, multicast};
pub use download::Download;
pub use event::{ClientEvent, Connection, ConnectionError, Event, Events, Status, Statuses};
pub use group::{ALL_COAP_NODES_V4, ALL_COAP_NODES_V6, Answers, Multicast};
pub use handle::{Client, IntoRequest};
pub use jackfield_client::{Options, Reconnect};
pub use observation::Observation;
pub use security::SecurityContext;
pub use upload::Progress;
#[cfg(feature = "websocket")]
pub use websocket::{CoapWebSocketStream, CoapWebSockets};
