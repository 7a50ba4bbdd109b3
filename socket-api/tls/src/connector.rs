//! The connector: the client's side of TLS.

use std::fmt;
use std::sync::Arc;

use jackfield_socket::{
    ByteStream, Endpoint, Error, ErrorKind, Host, Result, TcpConnect, TcpOptions,
};
use rustls::ClientConfig;
use rustls_pki_types::{DnsName, ServerName};

use crate::error::Handshake;
use crate::stream::{Transport, WRITE_BUFFER};
use crate::verify::noting;
use crate::{TlsConfig, TlsStream};

/// Secures streams as a client.
///
/// Cheap to clone; clones share what they remember of earlier sessions, so that a second
/// connection to a server is quicker.
#[derive(Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    trusted: &'static str,
}

impl TlsConnector {
    /// A connector that works to this configuration.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where a root is no certificate or a protocol's
    /// name is empty or too long, both roots and pins are given, or the oldest version is newer than the newest;
    /// [`Certificate`](ErrorKind::Certificate), where the platform's roots are wanted and there are none.
    pub fn new(config: TlsConfig) -> Result<Self> {
        Ok(Self {
            trusted: config.trusted(),
            config: Arc::new(config.build()?),
        })
    }

    /// Secures a stream on which nothing has been said yet, and verifies that the other side is
    /// `server`: its name, or its address. Where pins are given, they alone decide, and the name is
    /// only told to the server (SNI).
    ///
    /// # Errors
    /// [`Certificate`](ErrorKind::Certificate), where the server's certificate is not accepted
    /// ([`CertificateError`](crate::CertificateError) has it), or ours is not; [`Protocol`](ErrorKind::Protocol), where the two find no common ground, or what
    /// the peer sends is not TLS; [`UnexpectedEof`](ErrorKind::UnexpectedEof), where it hangs up;
    /// and the stream's own errors.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream. It sets no deadline of its own:
    /// [`time::timeout`](jackfield_socket::time::timeout) does.
    pub async fn connect<S: ByteStream>(&self, stream: S, server: &Host) -> Result<TlsStream<S>> {
        let handshake = Handshake::with_server(server, self.trusted);
        let connect = tokio_rustls::TlsConnector::from(self.config.clone())
            .connect_with(server_name(server)?, Transport::new(stream), |session| {
                session.set_buffer_limit(Some(WRITE_BUFFER));
            })
            .into_fallible();
        let (connected, noted) = noting(connect).await;
        match connected {
            Ok(stream) => Ok(TlsStream::new(stream.into())),
            Err((error, transport)) => {
                transport.hang_up().await;
                Err(handshake.error(error, noted))
            }
        }
    }

    /// Secures a stream after the server's go-ahead (STARTTLS), as [`connect`](Self::connect)
    /// does from the start.
    ///
    /// `leftover` is whatever was already read past the go-ahead. There must be none: nobody has
    /// vouched for it, and a client that took it as the server's word would obey whoever put it
    /// there (CVE-2011-0411 and its many kin).
    ///
    /// # Errors
    /// [`Protocol`](ErrorKind::Protocol), where `leftover` is not empty; and as
    /// [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn upgrade<S: ByteStream>(
        &self,
        stream: S,
        leftover: &[u8],
        server: &Host,
    ) -> Result<TlsStream<S>> {
        if !leftover.is_empty() {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "{server} sent {} bytes of plaintext after the server's go-ahead for TLS",
                    leftover.len()
                ),
            ));
        }
        self.connect(stream, server).await
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector")
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

/// A network on which every stream is secured, from its first byte.
///
/// The server must prove to be the host of the endpoint that was asked for.
#[derive(Clone, Debug)]
pub struct Tls<N> {
    network: N,
    connector: TlsConnector,
}

impl<N> Tls<N> {
    /// TLS over this network.
    pub fn new(network: N, connector: TlsConnector) -> Self {
        Self { network, connector }
    }
}

impl<N: TcpConnect> TcpConnect for Tls<N> {
    type Stream = TlsStream<N::Stream>;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<Self::Stream> {
        let stream = self.network.connect(to, options).await?;
        self.connector.connect(stream, to.host()).await
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(*ip)),
        Host::Name(name) => match DnsName::try_from(name.as_str().to_owned()) {
            Ok(name) => Ok(ServerName::DnsName(name)),
            Err(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("no certificate can be for the name {name}"),
            )),
        },
    }
}
