//! An IRC server with TLS: inspircd where it is installed, else the embedded one.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use jackfield_irc::server::{ServerConfig, serve};
use jackfield_native::Native;
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_testing::inspircd::{self, Inspircd};
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tokio::task::JoinHandle;

use crate::ports::FREE;

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) enum IrcServer {
    Inspircd(Inspircd),
    Embedded {
        address: SocketAddr,
        running: JoinHandle<jackfield_socket::Error>,
    },
}

impl IrcServer {
    /// Starts one that shows a certificate for this name, at this address.
    pub(crate) async fn start(
        authority: &Authority,
        name: &str,
        at: SocketAddr,
        embedded: bool,
    ) -> Result<Self> {
        let certificate = authority.server(&[name]);
        if inspircd::is_installed() && !embedded {
            let server = if at == FREE {
                Inspircd::start(&certificate).await?
            } else {
                Inspircd::start_at(&certificate, at).await?
            };
            return Ok(Self::Inspircd(server));
        }
        Self::embedded(&certificate, at).await
    }

    async fn embedded(certificate: &Certificate, at: SocketAddr) -> Result<Self> {
        let (chain, key) = (certificate.pem(), certificate.key_pem());
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes())?;
        let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity))?;
        let listener = Native.listen(at, &ListenOptions::default()).await?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        let listener = TlsListener::new(listener, acceptor);
        let running = tokio::spawn(serve(listener, ServerConfig::new()));
        Ok(Self::Embedded { address, running })
    }

    /// Where it listens with TLS.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Inspircd(server) => server.tls(),
            Self::Embedded { address, .. } => *address,
        }
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Inspircd(_) => "inspircd",
            Self::Embedded { .. } => {
                "embedded: for demos only (apt-get install inspircd for a real one)"
            }
        }
    }

    /// Waits until the embedded server fails.
    pub(crate) async fn failed(self) -> anyhow::Error {
        match self {
            Self::Inspircd(_server) => std::future::pending().await,
            Self::Embedded { running, .. } => match running.await {
                Ok(error) => error.into(),
                Err(error) => error.into(),
            },
        }
    }
}
