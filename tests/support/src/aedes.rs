//! aedes: an MQTT 3.1.1 broker in JavaScript, over TCP and over WebSocket.

use std::io;
use std::net::SocketAddr;

use crate::process::Process;
use crate::runtimes;

const SOURCE: &str = include_str!("../node/aedes.mjs");

/// A running aedes. It keeps sessions in memory.
#[derive(Debug)]
pub struct Aedes {
    process: Process,
    tcp: SocketAddr,
    websocket: SocketAddr,
}

impl Aedes {
    /// Starts a broker for everybody.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start() -> io::Result<Self> {
        let process = Process::start(runtimes::node(SOURCE)?)?;
        let [tcp, websocket] = runtimes::listening(&process).await?;
        Ok(Self {
            process,
            tcp,
            websocket,
        })
    }

    /// Where it listens for MQTT.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Where it listens for WebSockets, at the path `/mqtt`.
    pub fn websocket(&self) -> SocketAddr {
        self.websocket
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
