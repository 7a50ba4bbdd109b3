//! UDP sockets through a relay.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use jackfield_relay_wire::{Code, Reason};
use jackfield_socket::{Datagram, DatagramSocket, Error, ErrorKind};
use tokio::io::ReadBuf;

use crate::session::{Addresses, Open, Side};

/// A UDP socket that the relay holds.
///
/// Sending waits for the relay's credit. What arrives beyond this side's
/// [`datagram_window`](crate::RelayConfig::datagram_window) the relay drops, and counts.
pub struct RelayDatagramSocket {
    open: Open,
    addresses: Addresses,
    bound: bool,
}

impl RelayDatagramSocket {
    pub(crate) fn new(open: Open, addresses: Addresses, bound: bool) -> Self {
        Self {
            open,
            addresses,
            bound,
        }
    }

    /// How many datagrams the relay has dropped since the socket was opened, because this side
    /// didn't receive them in time.
    pub fn dropped(&self) -> u64 {
        self.open.act(|state, id| state.mux.dropped(id))
    }
}

impl DatagramSocket for RelayDatagramSocket {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        let peer = self.addresses.remote;
        self.open
            .act(|state, id| match state.mux.receive_datagram(id) {
                Ok(Some(datagram)) => {
                    let count = datagram.data.len().min(buf.remaining());
                    buf.put_slice(&datagram.data[..count]);
                    let truncated = datagram.truncated || count < datagram.data.len();
                    let from = datagram.peer.or(peer);
                    Poll::Ready(Ok(Datagram::new(count, from, truncated)))
                }
                Ok(None) => {
                    if let Some(reason) = state.mux.take_unreachable(id) {
                        return Poll::Ready(Err(unreachable(&reason)));
                    }
                    state.wait(id, Side::Read, cx);
                    Poll::Pending
                }
                Err(reason) => Poll::Ready(Err(failed(state.stream_error(&reason)))),
            })
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        match (self.bound, to) {
            (true, None) => return invalid("a bound socket needs an address to send to"),
            (false, Some(_)) => return invalid("a connected socket sends to its peer only"),
            _ => {}
        }
        self.open.act(|state, id| {
            let sent = match state.mux.datagram_capacity(id, data.len()) {
                Ok(true) => state.mux.send_datagram(id, to, data, false),
                fits => fits,
            };
            match sent {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => {
                    state.wait(id, Side::Write, cx);
                    Poll::Pending
                }
                Err(reason) => Poll::Ready(Err(state.stream_error(&reason).into())),
            }
        })
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses.local
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.addresses.remote
    }
}

/// What the relay has learned of the peer.
fn unreachable(reason: &Reason) -> io::Error {
    let kind = match reason.code() {
        Code::NETWORK_UNREACHABLE | Code::HOST_UNREACHABLE => ErrorKind::Unreachable,
        _ => ErrorKind::Refused,
    };
    Error::new(kind, reason.to_string()).into()
}

/// The end of the socket, which must not look like what is told of the peer.
fn failed(error: Error) -> io::Error {
    match error.kind() {
        ErrorKind::Refused | ErrorKind::Unreachable => {
            Error::new(ErrorKind::Reset, error.to_string())
                .at(error.place())
                .into()
        }
        _ => error.into(),
    }
}

fn invalid(what: &'static str) -> Poll<io::Result<()>> {
    Poll::Ready(Err(Error::new(ErrorKind::InvalidInput, what).into()))
}

impl fmt::Debug for RelayDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayDatagramSocket")
            .field("id", &self.open)
            .field("local", &self.addresses.local)
            .field("peer", &self.addresses.remote)
            .finish_non_exhaustive()
    }
}
