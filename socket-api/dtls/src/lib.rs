//! DTLS 1.2 with pre-shared keys, over any UDP of Jackfield's socket API.
//!
//! [`Dtls`] wraps any [`UdpOpen`] and is one itself, so that a CoAP client which was written for
//! plain UDP speaks `coaps` without knowing. It opens connected sockets only: a session has one
//! peer.
//!
//! - **The cipher suite** is TLS_PSK_WITH_AES_128_CCM_8, the one that RFC 7252 (section 9.1.3.1)
//!   asks of everyone with pre-shared keys. It has no forward secrecy: who learns the key can read
//!   what was recorded before.
//! - **Who is who** is proven by the key alone, in both directions. There are no certificates here.
//! - **Loss** during the handshake is made up for by retransmission, in a bounded time
//!   ([`DtlsConfig::handshake_timeout`]). After it, datagrams may be lost, as UDP's may; those that
//!   were forged, or seen before, are dropped without a word.
//! - **In a page** there is no DTLS: [`Dtls::new`] fails with [`Unsupported`]. OSCORE protects CoAP
//!   there.
//!
//! ```
//! use jackfield_dtls::{Dtls, DtlsConfig, Psk};
//! use jackfield_socket::{DatagramSocket, Endpoint, Result, UdpOpen, UdpOptions};
//!
//! async fn secured(network: impl UdpOpen, key: &[u8]) -> Result<()> {
//!     let network = Dtls::new(network, DtlsConfig::new(Psk::new("lamp-7", key)?))?;
//!     let server: Endpoint = "lights.example.org:5684".parse()?;
//!     // Connected, and the server has proven that it knows the key.
//!     let mut socket = network.open_connected(&server, &UdpOptions::default()).await?;
//!     socket.send(b"hello", None).await?;
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! [`UdpOpen`]: jackfield_socket::UdpOpen
//! [`Unsupported`]: jackfield_socket::ErrorKind::Unsupported

#[cfg(wasm_browser)]
mod browser;
mod config;
#[cfg(not(wasm_browser))]
mod error;
#[cfg(not(wasm_browser))]
mod network;
mod psk;
#[cfg(not(wasm_browser))]
mod socket;

#[cfg(wasm_browser)]
pub use browser::{Dtls, DtlsSocket};
pub use config::DtlsConfig;
#[cfg(not(wasm_browser))]
pub use network::Dtls;
pub use psk::Psk;
#[cfg(not(wasm_browser))]
pub use socket::DtlsSocket;
