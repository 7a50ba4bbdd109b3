//! Options of a client's connection, whatever the protocol.

use std::time::Duration;

use jackfield_socket::{TcpOptions, UdpOptions};

use crate::Reconnect;

/// How to connect, whatever the protocol.
///
/// ```
/// let mut options = jackfield_client::Options::default();
/// options.connect_timeout = std::time::Duration::from_secs(10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How to try again; `None` for never. Default: [`Reconnect::default`].
    pub reconnect: Option<Reconnect>,
    /// How long opening the stream or socket may take, TLS included. Default: 30 s.
    pub connect_timeout: Duration,
    /// How to open a stream.
    pub tcp: TcpOptions,
    /// How to open a UDP socket.
    pub udp: UdpOptions,
    /// How many actions may wait to be taken, at least 1. Who has another one waits. Default: 64.
    pub action_capacity: usize,
    /// How many events may wait to be read, at least 1. When they do, the client stops reading from
    /// its peer, and does all else. Default: 256.
    pub event_capacity: usize,
    /// What the jitter of reconnecting, and whatever else a client leaves to chance, begins with:
    /// the same seed gives the same delays. Default: `None`, for another one each time.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reconnect: Some(Reconnect::default()),
            connect_timeout: Duration::from_secs(30),
            tcp: TcpOptions::default(),
            udp: UdpOptions::default(),
            action_capacity: 64,
            event_capacity: 256,
            seed: None,
        }
    }
}
