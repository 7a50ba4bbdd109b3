//! A small CoAP server, for demos, tests and simulated devices. **Not for production**: it has no
//! access control, and its handlers answer at once.
//!
//! A [`Site`] has [`Resource`]s, and serves them over any UDP socket and any listener, with
//! observation, bodies in blocks both ways, and `/.well-known/core`. Whatever clients send, it stays
//! within the bounds of its [`ServerConfig`]. It spawns nothing: [`serve_udp`] and [`serve_tcp`] do
//! everything while they are polled.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use jackfield_coap::codec::ContentFormat;
//! use jackfield_coap::server::{Reply, Resource, ServerConfig, Site, serve_udp};
//! use jackfield_socket::{UdpOpen, UdpOptions};
//!
//! /// A lamp that can be switched, and watched.
//! async fn lamp(network: &impl UdpOpen) -> Result<(), Box<dyn std::error::Error>> {
//!     let is_on = Arc::new(Mutex::new(false));
//!     let site = Site::new(ServerConfig::default());
//!     let (read, written, changed) = (is_on.clone(), is_on, site.clone());
//!     let lamp = Resource::new()
//!         .title("the lamp in the hall")
//!         .observable()
//!         .get(move |_| {
//!             let state = if *read.lock().unwrap() { "on" } else { "off" };
//!             Reply::content(state, ContentFormat::TEXT_PLAIN)
//!         })
//!         .put(move |request| {
//!             *written.lock().unwrap() = request.payload == b"on";
//!             changed.changed("/lamp");
//!             Reply::changed()
//!         });
//!     site.add("/lamp", lamp)?;
//!
//!     let at = "127.0.0.1:5683".parse()?;
//!     let socket = network.open_bound(at, &UdpOptions::default()).await?;
//!     Err(serve_udp(socket, site).await.into())
//! }
//! # fn main() {}
//! ```

mod resource;
mod serve;
mod service;
mod site;

pub use resource::{Asked, Reply, Resource};
pub use serve::{serve_tcp, serve_udp, serve_udp_protected};
pub use site::Site;

use std::time::Duration;

use crate::codec::BlockSize;
use crate::core::{DatagramConfig, Limits, StreamConfig};

/// How a server works, and how much it bears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How messages are sent over UDP.
    pub datagrams: DatagramConfig,
    /// How messages are sent over streams.
    pub streams: StreamConfig,
    /// The largest blocks that bodies go in over UDP. Default: 1024 bytes.
    pub block_size: BlockSize,
    /// How much is kept of what clients send, as far as it does not belong to a server alone.
    pub limits: Limits,
    /// How many bodies may be in transfer in blocks, for each socket or connection. Beyond it, the
    /// oldest one is dropped, and must be begun again. Default: 64.
    pub max_transfers: usize,
    /// How many bytes these may have together. Default: 16 MiB.
    pub max_transfer_bytes: usize,
    /// How long a body may rest in the midst of its transfer. Default: 247 s, which is
    /// EXCHANGE_LIFETIME (RFC 7959, section 2.4).
    pub transfer_timeout: Duration,
    /// How many observations there may be, for each socket or connection; further ones get their
    /// first response only. Default: 256.
    pub max_observers: usize,
    /// How many stream connections there may be; further ones wait to be accepted. Default: 100.
    pub max_connections: usize,
    /// What the jitter of repeating messages, and the message ids, begin with. Default: `None`, for
    /// another one each time.
    pub seed: Option<u64>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            datagrams: DatagramConfig::default(),
            streams: StreamConfig::default(),
            block_size: BlockSize::B1024,
            limits: Limits {
                max_body: 4 * 1024 * 1024,
                ..Limits::default()
            },
            max_transfers: 64,
            max_transfer_bytes: 16 * 1024 * 1024,
            transfer_timeout: Duration::from_secs(247),
            max_observers: 256,
            max_connections: 100,
            seed: None,
        }
    }
}
