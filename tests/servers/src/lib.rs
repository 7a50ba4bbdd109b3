//! Parts that the tests of this package share: the servers, ready to be connected to.
//!
//! The tests need the servers of `jackfield_testing`; `cargo xtask test` installs them, or says that
//! they are skipped.

pub mod balanced;
pub mod coap;
pub mod imap;
pub mod kept;
pub mod mqtt;
pub mod scenario;
pub mod smtp;
pub mod user;

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_irc::server::{ServerConfig, serve};
use jackfield_native::Native;
use jackfield_socket::{ListenOptions, TcpListen, TcpListener};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{
    Certificates, Identity, Tls, TlsAcceptor, TlsConfig, TlsConnector, TlsListener, TlsServerConfig,
};
use tokio::task::JoinHandle;

/// How long anything here may take. Generous: it is reached only when something is broken.
pub const LONG: Duration = Duration::from_secs(20);
/// The names in the certificates of all servers here.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// The native network with TLS that trusts this authority alone.
pub fn trusting(authority: &Authority) -> Tls<Native> {
    Tls::new(Native, connector(TlsConfig::new(), authority))
}

/// The same, showing a client certificate.
pub fn trusting_with_identity(authority: &Authority, identity: &Certificate) -> Tls<Native> {
    let config = TlsConfig::new().with_identity(identity_of(identity));
    Tls::new(Native, connector(config, authority))
}

/// TLS that trusts this authority alone.
pub fn connector(config: TlsConfig, authority: &Authority) -> TlsConnector {
    let roots = Certificates::from_pem(authority.pem().as_bytes()).expect("a root");
    TlsConnector::new(config.with_roots(roots)).expect("a configuration")
}

/// A certificate of the tests, as the TLS backend takes it.
pub fn identity_of(certificate: &Certificate) -> Identity {
    Identity::from_pem(
        certificate.pem().as_bytes(),
        certificate.key_pem().as_bytes(),
    )
    .expect("a certificate with its key")
}

/// The embedded IRC server with TLS, on a free port, until it is dropped.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Embedded {
    /// Starts one that shows this certificate.
    pub async fn start(certificate: &Certificate, config: ServerConfig) -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Native
            .listen(at, &ListenOptions::default())
            .await
            .expect("a port");
        let address = listener.local_addr().expect("its address");
        let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity_of(certificate)))
            .expect("a configuration");
        let listener = TlsListener::new(listener, acceptor);
        let task = tokio::spawn(async move {
            let error = serve(listener, config).await;
            panic!("the embedded server ended: {error}");
        });
        Self { address, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.task.abort();
    }
}
