//! WebSockets (RFC 6455) as carriers of other protocols, on every target.
//!
//! - [`WebSocket`] carries whole binary messages.
//! - [`WebSocketNetwork`] carries byte streams: it is a [`TcpConnect`], so a client that was written
//!   for TCP speaks over WebSockets without knowing. MQTT has a place for that (MQTT 5.0, section 6).
//!
//! Natively they go over any network of the socket API, and so with TLS over `Tls`; in a page they
//! are the page's own, which needs no relay: a server that offers WebSockets can be reached from
//! any page that it lets in.
//!
//! Natively there is a server's side as well, over any stream that was accepted: `WebSocketRequest`.
//!
//! Only binary messages are carried: a text message is an error. A WebSocket that was closed with
//! another code than 1000, or with none, was cut, and is an error too.
//!
//! ```no_run
//! # #[cfg(not(target_family = "wasm"))]
//! # async fn example() -> jackfield_socket::Result<()> {
//! use jackfield_native::Native;
//! use jackfield_socket::{TcpConnect, TcpOptions};
//! use jackfield_tls::{Tls, TlsConfig, TlsConnector};
//! use jackfield_websocket::{WebSocketNetwork, WebSocketOptions};
//!
//! let mqtt = WebSocketOptions::new().with_path("/mqtt").with_subprotocol("mqtt");
//! let tls = Tls::new(Native, TlsConnector::new(TlsConfig::new())?);
//! let network = WebSocketNetwork::over(tls, mqtt);
//! let broker = "broker.example.org:443".parse()?;
//! let stream = network.connect(&broker, &TcpOptions::default()).await?;
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! [`TcpConnect`]: jackfield_socket::TcpConnect

#[cfg(not(wasm_browser))]
mod bounded;
#[cfg(wasm_browser)]
mod browser;
#[cfg(not(wasm_browser))]
mod native;
mod network;
mod options;
#[cfg(not(wasm_browser))]
mod request;
mod socket;
mod stream;
#[cfg(wasm_browser)]
mod turn;
mod url;

pub use network::WebSocketNetwork;
pub use options::WebSocketOptions;
#[cfg(not(wasm_browser))]
pub use request::WebSocketRequest;
pub use socket::WebSocket;
pub use stream::WebSocketStream;
pub use url::WebSocketUrl;
