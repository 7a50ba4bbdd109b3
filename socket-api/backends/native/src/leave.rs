//! Taking leave: how a stream is closed whose own direction has ended, and whose peer has not.
//!
//! The system answers a close with a reset while something is unread, and later whatever still
//! comes. A reset throws away what the peer has not been sent, and with many systems what it has
//! not read; and it tells a printer that its job was cut, though every byte of it has arrived
//! (RFC 1122, section 4.2.2.13). So the socket stays for a while after its stream.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jackfield_socket::time;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// How long a peer may take to end.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many bytes are thrown away. Beyond them nothing is read any more, so that a peer with much to
/// say is held up and not fetched from.
const THROWN_AWAY: usize = 64 * 1024;
/// How many streams are taken leave of at a time; the system closes more at once.
const MAX_LEAVING: usize = 256;

static LEAVING: AtomicUsize = AtomicUsize::new(0);

/// One of those who are being taken leave of.
struct Leaving;

/// Has the runtime take leave of the peer.
pub(crate) fn in_background(stream: TcpStream) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if let Some(leaving) = Leaving::begin() {
        runtime.spawn(async move {
            until_ended(stream).await;
            drop(leaving);
        });
    }
}

/// Closes the stream when its peer has ended too, or after the deadline.
pub(crate) async fn until_ended(stream: TcpStream) {
    // Too late is as good as an end: nothing is left to do.
    let _ = time::timeout(DEADLINE, read_to_end(&stream)).await;
}

async fn read_to_end(stream: &TcpStream) {
    let (mut unread, mut left) = ([0; 4096], THROWN_AWAY);
    while left > 0 {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut unread) {
            Ok(0) => return,
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
    std::future::pending::<()>().await;
}

impl Leaving {
    fn begin() -> Option<Self> {
        LEAVING
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < MAX_LEAVING).then_some(count + 1)
            })
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        LEAVING.fetch_sub(1, Ordering::Relaxed);
    }
}
