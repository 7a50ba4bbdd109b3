//! A listening socket of a client, and the connections that it takes.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use jackfield_native::{NativeListener, NativeStream};
use jackfield_relay_wire::{Code, Id, Reason};
use jackfield_socket::{ByteStream as _, ErrorKind, TcpListener as _};
use tokio::time::Instant;
use tracing::{debug, info};

use super::tcp::TcpPump;
use super::told::Told;
use super::{Shared, Turn, reached_by};
use crate::limits::{Claim, LimitReached, Slot};

pub(super) struct Listening {
    listener: NativeListener,
    /// By which address others reach it, where that is another one.
    advertised: Option<IpAddr>,
    /// A connection that was taken, until it has its place.
    taken: Option<(NativeStream, Placing)>,
    /// From where a connection had no place.
    told: Told<IpAddr>,
    _slot: Slot,
}

/// A place, or the way to it.
type Placing = Pin<Box<dyn Future<Output = Result<Slot, LimitReached>> + Send>>;

impl Listening {
    pub(super) fn new(listener: NativeListener, advertised: Option<IpAddr>, slot: Slot) -> Self {
        Self {
            listener,
            advertised,
            taken: None,
            told: Told::default(),
            _slot: slot,
        }
    }

    /// Takes at most one connection, if the client can have it; others wait in the system's queue.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Turn {
        if shared.mux.inbound_capacity(id) == 0 {
            return Turn::Waiting;
        }
        if let Some((_, placing)) = &mut self.taken {
            let Poll::Ready(place) = placing.as_mut().poll(cx) else {
                return Turn::Waiting;
            };
            if let Some((stream, _)) = self.taken.take() {
                return self.announce(id, stream, place, shared);
            }
        }
        let stream = match self.listener.poll_accept(cx) {
            Poll::Pending => return Turn::Waiting,
            Poll::Ready(Ok(stream)) => stream,
            // One connection is lost, and the listener is well.
            Poll::Ready(Err(error))
                if matches!(error.kind(), ErrorKind::Reset | ErrorKind::LimitExceeded) =>
            {
                info!(listener = %id, %error, "lost a connection");
                return Turn::Worked;
            }
            Poll::Ready(Err(error)) => {
                info!(%id, %error, "a listener has failed");
                let text = "the relay can't accept connections any more";
                let reason = Reason::new(Code::FAILED, text);
                shared.case.ending(&reason);
                shared.mux.reset(id, &reason);
                return Turn::Over;
            }
        };
        match shared.grant.usage.stream() {
            Ok(Claim::Taken(slot)) => self.announce(id, stream, Ok(slot), shared),
            Ok(claim) => {
                self.taken = Some((stream, Box::pin(claim.slot())));
                Turn::Worked
            }
            Err(reached) => self.announce(id, stream, Err(reached), shared),
        }
    }

    /// Tells the client of a connection that has its place, or turns it away.
    fn announce(
        &mut self,
        id: Id,
        stream: NativeStream,
        place: Result<Slot, LimitReached>,
        shared: &mut Shared<'_>,
    ) -> Turn {
        let announced = match place {
            Ok(slot) => announce(id, self.advertised, &stream, slot, shared),
            Err(limit) => Err(self.deny(&stream, limit, shared)),
        };
        match announced {
            Ok((inbound, slot, remote)) => {
                debug!(id = %inbound, listener = %id, %remote, "accepted");
                Turn::Accepted(inbound, Box::new(TcpPump::new(stream, slot)), remote)
            }
            Err(why) => {
                info!(listener = %id, remote = ?stream.info().peer, why, "turned a connection away");
                stream.abort();
                Turn::Worked
            }
        }
    }

    /// Tells the records that a connection has no place, or counts it; why that is.
    fn deny(
        &mut self,
        stream: &NativeStream,
        limit: LimitReached,
        shared: &mut Shared<'_>,
    ) -> String {
        let reason = Reason::new(Code::LIMIT_EXCEEDED, &limit.to_string());
        if let Some(from) = stream.info().peer {
            if self.told.is_new(from.ip(), Instant::now()) {
                shared.counters.refused += 1;
                shared.case.turns_away(from, &reason);
            } else {
                shared.case.denied_more();
            }
        }
        reason.text().into()
    }
}

/// Tells the client of a connection.
fn announce(
    listener: Id,
    advertised: Option<IpAddr>,
    stream: &NativeStream,
    slot: Slot,
    shared: &mut Shared<'_>,
) -> Result<(Id, Slot, SocketAddr), String> {
    let info = stream.info();
    let (Some(local), Some(remote)) = (info.local, info.peer) else {
        return Err("it was gone at once".into());
    };
    let local = reached_by(local, advertised);
    let id = shared.mux.inbound(listener, local, remote);
    id.map(|id| (id, slot, remote))
        .map_err(|reason| reason.to_string())
}
