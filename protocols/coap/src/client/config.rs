//! Configuration of a client.

use jackfield_client::Options;

use super::security::SecurityContext;
use crate::codec::BlockSize;
use crate::core::{Config, DatagramConfig, StreamConfig};

/// How a client connects, and how it asks.
///
/// ```
/// use jackfield_coap::client::ClientConfig;
/// use jackfield_coap::codec::BlockSize;
///
/// let mut config = ClientConfig::default();
/// config.block_size = BlockSize::B256;
/// config.requests.limits.max_cache_bytes = 64 * 1024;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How requests are made, and how much is kept of what comes.
    pub requests: Config,
    /// How messages are sent over UDP and DTLS.
    pub datagrams: DatagramConfig,
    /// How messages are sent over TCP, TLS and WebSockets.
    pub streams: StreamConfig,
    /// How to connect, and what to do when the connection is lost.
    pub connection: Options,
    /// What OSCORE protects requests with (RFC 8613), from one end to the other; it must be the
    /// context that the server shares. Default: `None`.
    pub oscore: Option<SecurityContext>,
    /// What is given as Uri-Host with each request; the server's name, where it was given by name,
    /// if this is `None`. Default: `None`.
    pub uri_host: Option<String>,
    /// The largest blocks that bodies are sent in, and are asked for if that is less than 1024
    /// bytes. Default: 1024 bytes. [`BlockSize::Bert`] has the same effect: where a stream allows
    /// it, blocks are larger in any case.
    pub block_size: BlockSize,
    /// How often a block is asked for, or sent, again that was not answered, after the message
    /// layer has given up; for a request that may be repeated without harm. Default: 4.
    pub block_retries: u32,
    /// How many notifications of one observation wait to be read. When there are more, the oldest is
    /// dropped, since the newest is what counts. At least 1; default: 16.
    pub notification_capacity: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            requests: Config::default(),
            datagrams: DatagramConfig::default(),
            streams: StreamConfig::default(),
            connection: Options::default(),
            oscore: None,
            uri_host: None,
            block_size: BlockSize::B1024,
            block_retries: 4,
            notification_capacity: 16,
        }
    }
}
