//! A lane: a listener of its own for those who look after the relay, which no flood of clients reaches.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// How long to wait when the system has no descriptors left.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers each connection until it is dropped: so many at a time, each for so long at most. Beyond
/// that, connections are closed.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    most: usize,
    deadline: Duration,
    answer: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut answering = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while answering.try_join_next().is_some() {}
                if answering.len() < most {
                    answering.spawn(timeout(deadline, answer(stream, peer)));
                }
            }
            Err(error) => {
                warn!(%error, "can't accept a connection of one who looks after the relay");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
