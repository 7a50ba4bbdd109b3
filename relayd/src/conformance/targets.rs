//! Targets that the suite opens for the relay to reach.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{Step as _, Stop, Suite};

impl Suite {
    /// Listens for the relay.
    pub(super) async fn listener(&self) -> Result<(TcpListener, SocketAddr), Stop> {
        let listener = TcpListener::bind((self.target, 0)).await;
        let listener = listener.step("the suite can't listen at its target's address")?;
        let address = listener.local_addr().step("the suite's listener")?;
        Ok((listener, address))
    }

    /// A datagram socket for the relay.
    pub(super) async fn socket(&self) -> Result<(UdpSocket, SocketAddr), Stop> {
        let socket = UdpSocket::bind((self.target, 0)).await;
        let socket = socket.step("the suite can't bind at its target's address")?;
        let address = socket.local_addr().step("the suite's socket")?;
        Ok((socket, address))
    }

    /// An address where nothing listens: something did, a moment ago.
    pub(super) async fn closed_port(&self) -> Result<SocketAddr, Stop> {
        Ok(self.listener().await?.1)
    }
}

/// The next connection.
pub(super) async fn accepted(listener: &TcpListener) -> Result<TcpStream, Stop> {
    Ok(listener.accept().await.step("accepting")?.0)
}
