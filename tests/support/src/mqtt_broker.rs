//! An MQTT broker inside this process (the crate `mqtt5`): 3.1.1 and 5, over TCP and over
//! WebSocket; with SCRAM, one that asks for enhanced authentication.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use mqtt5::broker::MqttBroker;
use mqtt5::broker::auth_mechanisms::generate_scram_credential_line_with_iterations;
use mqtt5::broker::config::{
    AuthConfig, BrokerConfig, StorageBackend, StorageConfig, WebSocketConfig,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The path at which it takes WebSockets.
pub const PATH: &str = "/mqtt";

const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running broker, until it is dropped. It keeps sessions and retained messages in memory.
pub struct Broker {
    tcp: SocketAddr,
    websocket: SocketAddr,
    task: JoinHandle<()>,
    _logins: Option<TempDir>,
}

impl Broker {
    /// Starts a broker for everybody, at free ports of loopback.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(FREE, FREE).await
    }

    /// The same, at these addresses for MQTT and for WebSockets.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start_at(tcp: SocketAddr, websocket: SocketAddr) -> io::Result<Self> {
        Self::run(tcp, websocket, None).await
    }

    /// Starts a broker for this user alone, who logs in by `SCRAM-SHA-256`.
    ///
    /// # Errors
    /// Those of listening, and of writing its list of users.
    pub async fn start_with_scram(name: &str, password: &str) -> io::Result<Self> {
        let logins = tempfile::tempdir()?;
        // Fewer rounds than it would take by itself: tests compute them without optimisation.
        let line = generate_scram_credential_line_with_iterations(name, password, 4096);
        let line = line.map_err(io::Error::other)?;
        std::fs::write(logins.path().join("scram"), line)?;
        Self::run(FREE, FREE, Some(logins)).await
    }

    async fn run(
        tcp: SocketAddr,
        websocket: SocketAddr,
        logins: Option<TempDir>,
    ) -> io::Result<Self> {
        let mut auth = AuthConfig::new();
        if let Some(logins) = &logins {
            auth = auth.with_scram_file(logins.path().join("scram"));
            auth.allow_anonymous = false;
        }
        let config = BrokerConfig::new()
            .with_bind_address(tcp)
            .with_websocket(
                WebSocketConfig::new()
                    .with_bind_address(websocket)
                    .with_path(PATH),
            )
            .with_auth(auth)
            .with_storage(StorageConfig::new().with_backend(StorageBackend::Memory));
        let mut broker = MqttBroker::with_config(config)
            .await
            .map_err(io::Error::other)?;
        let none = || io::Error::other("the broker has no address");
        let (tcp, websocket) = (
            broker.local_addr().ok_or_else(none)?,
            broker.ws_local_addr().ok_or_else(none)?,
        );
        let mut ready = broker.ready_receiver();
        let task = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                panic!("the broker ended: {error}");
            }
        });
        ready
            .wait_for(|ready| *ready)
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            tcp,
            websocket,
            task,
            _logins: logins,
        })
    }

    /// Where it listens for MQTT.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Where it listens for WebSockets, at [`PATH`].
    pub fn websocket(&self) -> SocketAddr {
        self.websocket
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("tcp", &self.tcp)
            .field("websocket", &self.websocket)
            .finish_non_exhaustive()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Its listeners and connections are told to end when what runs them is gone.
        self.task.abort();
    }
}
