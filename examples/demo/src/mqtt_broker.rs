//! An MQTT broker: the embedded one, behind TLS, and over WebSocket for pages that have no relay.

use std::net::SocketAddr;

use crate::ports::{FREE, Ports};
use anyhow::{Context as _, Result};
use jackfield_native::Native;
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _, serve};
use jackfield_testing::certs::Authority;
use jackfield_testing::mqtt_broker::{Broker, PATH};
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How many clients may be there at once with TLS.
const MAX_CONNECTIONS: usize = 256;

/// A running broker. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct MqttBroker {
    broker: Broker,
    tls: SocketAddr,
    front: JoinHandle<()>,
}

impl MqttBroker {
    /// Starts one that shows a certificate for these names, at the demo's ports.
    pub(crate) async fn start(
        authority: &Authority,
        names: &[&str],
        ports: &Ports,
    ) -> Result<Self> {
        let certificate = authority.server(names);
        let (chain, key) = (certificate.pem(), certificate.key_pem());
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes())?;
        let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity))?;
        let broker = Broker::start_at(FREE, ports.mqtt_over_web_socket()).await?;
        let behind = broker.tcp();
        let listener = Native
            .listen(ports.mqtt(), &ListenOptions::default())
            .await?;
        let tls = listener
            .local_addr()
            .context("the listener has no address")?;
        let listener = TlsListener::new(listener, acceptor);
        let served = serve(listener, MAX_CONNECTIONS, move |mut outside| async move {
            if let Ok(mut inside) = TcpStream::connect(behind).await {
                // How it ends is theirs to tell.
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
        let front = tokio::spawn(async move {
            if let Err(error) = served.await {
                eprintln!("the broker listens no more with TLS: {error}");
            }
        });
        Ok(Self { broker, tls, front })
    }

    /// Where it listens with TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Its address for a page's own WebSocket.
    pub(crate) fn web_socket(&self) -> String {
        format!("ws://{}{PATH}", self.broker.websocket())
    }
}

impl Drop for MqttBroker {
    fn drop(&mut self) {
        self.front.abort();
    }
}
