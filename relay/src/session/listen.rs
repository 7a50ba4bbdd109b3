//! A listening socket, and the connections that it takes for the client.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::task::{Context, Poll};

use jackfield_relay_wire::{Code, Id, Reason};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::{debug, info};

use super::tcp::TcpPump;
use super::{Shared, Turn};
use crate::limits::Slot;

/// How many connections wait in the system's queue, unless the client asks for fewer or more.
const BACKLOG: u32 = 64;
/// The most that a client may ask for.
const MAX_BACKLOG: u32 = 1024;

pub(super) struct Listening {
    listener: TcpListener,
    _slot: Slot,
}

/// Listens here.
pub(super) fn bind(at: SocketAddr, backlog: Option<NonZeroU32>) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if at.is_ipv6() {
        SockRef::from(&socket).set_only_v6(true)?;
    }
    // On Windows this would let the port be taken away.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(backlog.map_or(BACKLOG, NonZeroU32::get).min(MAX_BACKLOG))
}

impl Listening {
    pub(super) fn new(listener: TcpListener, slot: Slot) -> Self {
        Self {
            listener,
            _slot: slot,
        }
    }

    /// Takes at most one connection, if the client can have it; others wait in the system's queue.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Turn {
        if shared.mux.inbound_capacity(id) == 0 {
            return Turn::Waiting;
        }
        let (stream, remote) = match self.listener.poll_accept(cx) {
            Poll::Pending => return Turn::Waiting,
            Poll::Ready(Ok(accepted)) => accepted,
            Poll::Ready(Err(error)) if concerns_one_connection(&error) => return Turn::Worked,
            Poll::Ready(Err(error)) => {
                info!(%id, %error, "a listener has failed");
                let text = "the relay can't accept connections any more";
                shared.mux.reset(id, &Reason::new(Code::FAILED, text));
                return Turn::Over;
            }
        };
        match announce(id, &stream, remote, shared) {
            Ok((inbound, slot)) => {
                debug!(id = %inbound, listener = %id, %remote, "accepted");
                Turn::Accepted(inbound, TcpPump::new(stream, slot))
            }
            Err(why) => {
                info!(listener = %id, %remote, why, "turned a connection away");
                let _ = stream.set_zero_linger();
                Turn::Worked
            }
        }
    }
}

fn announce(
    listener: Id,
    stream: &TcpStream,
    remote: SocketAddr,
    shared: &mut Shared<'_>,
) -> Result<(Id, Slot), String> {
    let slot = shared
        .grant
        .usage
        .stream()
        .map_err(|limit| limit.to_string())?;
    let local = stream.local_addr().map_err(|error| error.to_string())?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let id = shared.mux.inbound(listener, local, remote);
    id.map(|id| (id, slot)).map_err(|reason| reason.to_string())
}

/// Whether the connection was gone before it was accepted, and the listener is well.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
