//! Health, at a listener of its own: whether the relay is there, and whether it takes clients.
//!
//! Clients never come here, so that neither a flood of them nor their TLS is between a load balancer
//! and the answer. It speaks plain HTTP, and is for an address that only the balancer reaches.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::ending::Ending;
use crate::handshake;

/// How many are answered at a time; beyond it, connections are closed.
const MAX_PROBES: usize = 64;
/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long to wait when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, ending: Ending) {
    let mut probes = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while probes.try_join_next().is_some() {}
                if probes.len() < MAX_PROBES {
                    let ending = ending.clone();
                    probes.spawn(async move {
                        let answered = timeout(DEADLINE, answer(stream, &ending)).await;
                        debug!(%peer, ?answered, "asked for health");
                    });
                }
            }
            Err(error) => {
                warn!(%error, "can't accept a connection that asks for health");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, ending: &Ending) -> io::Result<()> {
    handshake::probe(&mut stream, ending).await
}
