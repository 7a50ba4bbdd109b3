//! node-coap: CoAP over UDP in JavaScript, with a few resources.

use std::io;
use std::net::SocketAddr;

use crate::process::Process;
use crate::runtimes;

const SOURCE: &str = include_str!("../node/coap.mjs");

/// A running node-coap, with the resources of [`Aiocoap`](crate::aiocoap::Aiocoap).
#[derive(Debug)]
pub struct NodeCoap {
    process: Process,
    address: SocketAddr,
}

impl NodeCoap {
    /// Starts a server.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start() -> io::Result<Self> {
        let process = Process::start(runtimes::node(SOURCE)?)?;
        let [address] = runtimes::listening(&process).await?;
        Ok(Self { process, address })
    }

    /// Where it listens for UDP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
