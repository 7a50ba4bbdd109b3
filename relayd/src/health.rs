//! Health, at a listener of its own: whether the relay is there, and whether it takes clients.
//!
//! Clients never come here, so that neither a flood of them nor their TLS is between a load balancer
//! and the answer. It speaks plain HTTP, and is for an address that only the balancer reaches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::ending::Ending;
use crate::tls::Certificates;
use crate::{handshake, lane};

/// How many are answered at a time; beyond it, connections are closed.
const MAX_PROBES: usize = 64;
/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, ending: Ending, tls: Option<Arc<Certificates>>) {
    let answer = |mut stream: TcpStream, peer: SocketAddr| {
        let draining = ending.is_draining().then_some("draining");
        let unready = draining.or_else(|| tls.as_ref()?.unready());
        async move {
            let answered = handshake::probe(&mut stream, unready).await;
            debug!(%peer, ?answered, "asked for health");
        }
    };
    lane::serve(listener, MAX_PROBES, DEADLINE, answer).await;
}
