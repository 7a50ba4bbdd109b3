//! The network [`Dtls`]: every socket that it connects is secured.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dimpl::crypto::Dtls12CipherSuite;
use dimpl::{Config, PskResolver};
use jackfield_socket::{Endpoint, Error, ErrorKind, Result, UdpOpen, UdpOptions};

use crate::{DtlsConfig, DtlsSocket, Psk};

/// When a flight is sent again for the first time; the pause doubles from there (RFC 6347, section
/// 4.2.4.1).
const FIRST_RETRANSMISSION: Duration = Duration::from_secs(1);
/// The doubling alone bounds the count: 17 retransmissions take more than a day.
const RETRANSMISSIONS: usize = 17;
const LONGEST_HANDSHAKE: Duration = Duration::from_hours(24);
const SHORTEST_HANDSHAKE: Duration = Duration::from_millis(1);

/// A network on which every connected socket is a DTLS session.
///
/// It opens no bound sockets: they have no one peer to share a key with.
#[derive(Clone)]
pub struct Dtls<N> {
    network: N,
    config: Arc<Config>,
    silence_timeout: Option<Duration>,
}

impl<N> Dtls<N> {
    /// DTLS over this network.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where a field of the configuration is out of its
    /// range; [`Unsupported`](ErrorKind::Unsupported), in a page.
    pub fn new(network: N, config: DtlsConfig) -> Result<Self> {
        if !(SHORTEST_HANDSHAKE..=LONGEST_HANDSHAKE).contains(&config.handshake_timeout) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the handshake's timeout is not between a millisecond and a day",
            ));
        }
        if !(256..=16_384).contains(&config.mtu) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the MTU is not between 256 and 16384 bytes",
            ));
        }
        let silence_timeout = config.silence_timeout;
        let identity = config.psk.identity().to_vec();
        let engine = Config::builder()
            .with_crypto_provider(dimpl::crypto::rust_crypto::default_provider())
            .dtls12_cipher_suites(&[Dtls12CipherSuite::PSK_AES128_CCM_8])
            .dtls13_cipher_suites(&[])
            .with_psk_client(identity, Arc::new(Resolver(config.psk)))
            .mtu(config.mtu)
            .handshake_timeout(config.handshake_timeout)
            .flight_start_rto(FIRST_RETRANSMISSION)
            .flight_retries(RETRANSMISSIONS)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Other, "can't set up DTLS").with_source(error)
            })?;
        Ok(Self {
            network,
            config: Arc::new(engine),
            silence_timeout,
        })
    }
}

impl<N: UdpOpen> UdpOpen for Dtls<N> {
    type Socket = DtlsSocket<N::Socket>;

    /// Opens a socket, and makes the handshake.
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied), where the server does not know our key, or
    /// [`TimedOut`](ErrorKind::TimedOut), where it answers nothing then, as some do;
    /// [`Protocol`](ErrorKind::Protocol), where it does not offer the cipher suite, or what it
    /// sends is not DTLS 1.2; and the network's own.
    async fn open_connected(&self, to: &Endpoint, options: &UdpOptions) -> Result<Self::Socket> {
        let socket = self.network.open_connected(to, options).await?;
        DtlsSocket::connect(socket, to, &self.config, self.silence_timeout).await
    }

    async fn open_bound(&self, at: SocketAddr, _options: &UdpOptions) -> Result<Self::Socket> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("can't bind {at} with DTLS: a session has one peer"),
        ))
    }
}

impl<N: fmt::Debug> fmt::Debug for Dtls<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dtls")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// Gives the engine the key. It asks with the identity that it was told.
pub(crate) struct Resolver(pub(crate) Psk);

impl PskResolver for Resolver {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        (identity == self.0.identity()).then(|| self.0.key().to_vec())
    }
}
