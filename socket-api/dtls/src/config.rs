//! Configuration of a DTLS session.

use std::time::Duration;

use crate::Psk;

/// Configuration of DTLS sessions.
///
/// ```
/// use std::time::Duration;
/// use jackfield_dtls::{DtlsConfig, Psk};
///
/// let mut config = DtlsConfig::new(Psk::new("lamp-7", &[0x42; 16])?);
/// config.handshake_timeout = Duration::from_secs(10);
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DtlsConfig {
    /// The key that is shared with the server.
    pub psk: Psk,
    /// How long a handshake may take, retransmissions included: at least a millisecond, at most a
    /// day. Default: 30 s.
    pub handshake_timeout: Duration,
    /// How long the peer may be silent after something was sent to it, until the session counts as
    /// lost and receiving fails with [`TimedOut`](jackfield_socket::ErrorKind::TimedOut). A peer that
    /// has started again knows nothing of the session, and can't say so; a new one has to be opened.
    /// None waits for ever, for those who expect no answers. Default: 60 s, in which CoAP has repeated
    /// a message for the last time.
    pub silence_timeout: Option<Duration>,
    /// The largest datagram that is sent, in bytes, DTLS's own included: at least 256, at most
    /// 16,384. The handshake's messages are fragmented to fit; what is sent through the socket may
    /// have [29 bytes](crate::DtlsSocket::OVERHEAD) less. Default: 1,232, which every path of IPv6
    /// carries whole.
    pub mtu: usize,
}

impl DtlsConfig {
    /// Sessions with this key.
    pub fn new(psk: Psk) -> Self {
        Self {
            psk,
            handshake_timeout: Duration::from_secs(30),
            silence_timeout: Some(Duration::from_mins(1)),
            mtu: 1_232,
        }
    }
}
