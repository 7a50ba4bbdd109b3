//! A UDP socket of a client, and its datagrams.
//!
//! Nothing is kept here: what the client has no credit for, and what the system can't take, is dropped
//! and counted, as UDP may. Where limits delay what is carried, what the client sends stays in its window,
//! and what is sent to it stays in the system's buffer, which drops what comes when it is full. That is
//! counted where the system tells.
//!
//! Where the token asks about each new peer, the datagram that is the first to him waits for the answer, and
//! the others go on ([`Questions`]).
//!
//! Each new peer of a bound socket is a decision, and has a record. Who may be sent to is bounded by the limits
//! for dials; who may not is [`Told`] some of, and nothing else is kept of him.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use jackfield_native::NativeDatagramSocket;
use jackfield_relay_wire::{Code, Id, MAX_DATAGRAM, Reason, ReceivedDatagram};
use jackfield_socket::DatagramSocket as _;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tracing::info;

use super::pace::Pace;
use super::peers::{Met, Peers, Unmet};
use super::questions::{Answer, Questions};
use super::told::Told;
use super::{Shared, Turn};
use crate::limits::{Carried, LimitReached, Slot};
use crate::policy::Transport;
use crate::record::Basis;

/// How many datagrams move each way in a turn.
const DATAGRAMS_A_TURN: usize = 16;

pub(super) struct UdpPump {
    socket: NativeDatagramSocket,
    /// Of a bound socket: whom it speaks with. `None` for a connected one.
    peers: Option<Peers>,
    /// Of a bound socket whose token asks: about whom it is asked, with what is for him.
    questions: Questions,
    /// The next datagram to send, if the system could not take it yet.
    waiting: Option<(SocketAddr, ReceivedDatagram)>,
    /// Of a bound socket: to whom it may not send.
    told: Told<SocketAddr>,
    /// From the client, and to it.
    up: Pace,
    down: Pace,
    /// Whether the system's buffer had to keep what came.
    held_back: bool,
    /// How many it had no room for, in all, as far as they are counted.
    overflowed: u32,
    _slot: Slot,
}

/// Whether a datagram may go.
enum Authorised {
    Yes(SocketAddr),
    No,
    /// It has to be asked first; the rules allow it.
    Asked(SocketAddr, Basis),
}

impl UdpPump {
    pub(super) fn connected(socket: NativeDatagramSocket, slot: Slot) -> Self {
        Self::new(socket, None, slot)
    }

    pub(super) fn bound(socket: NativeDatagramSocket, slot: Slot) -> Self {
        Self::new(socket, Some(Peers::default()), slot)
    }

    fn new(socket: NativeDatagramSocket, peers: Option<Peers>, slot: Slot) -> Self {
        Self {
            socket,
            peers,
            questions: Questions::default(),
            waiting: None,
            told: Told::default(),
            up: Pace::default(),
            down: Pace::default(),
            held_back: false,
            overflowed: 0,
            _slot: slot,
        }
    }

    /// The limits are others from now on.
    pub(super) fn renew(&mut self) {
        (self.up, self.down) = (Pace::default(), Pace::default());
    }

    /// Moves some datagrams each way.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, id: Id, shared: &mut Shared<'_>) -> Turn {
        let mut worked = false;
        for _ in 0..DATAGRAMS_A_TURN {
            match self.send(cx, id, shared) {
                Ok(true) => worked = true,
                Ok(false) => break,
                // The client has closed it.
                Err(_) => return Turn::Over,
            }
        }
        for _ in 0..DATAGRAMS_A_TURN {
            match self.receive(cx, id, shared) {
                Ok(true) => worked = true,
                Ok(false) => break,
                Err(_) => return Turn::Over,
            }
        }
        if worked { Turn::Worked } else { Turn::Waiting }
    }

    /// Sends the client's next datagram; whether there was one and it is done with.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        id: Id,
        shared: &mut Shared<'_>,
    ) -> Result<bool, Reason> {
        let grant = shared.grant;
        match self
            .up
            .poll_turn(cx, &grant.usage, shared.context.metrics())
        {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(limit)) => return Err(end(id, shared, limit)),
        }
        if self.waiting.is_none() {
            if let Poll::Ready(answer) = self.questions.poll(cx) {
                self.waiting = self.answered(id, answer, shared);
            } else {
                let Some(datagram) = shared.mux.receive_datagram(id)? else {
                    return Ok(false);
                };
                match self.authorise(id, datagram.peer, shared) {
                    Authorised::Yes(to) => self.waiting = Some((to, datagram)),
                    Authorised::No => {}
                    Authorised::Asked(to, basis) => {
                        let (who, context) = (shared.case.who(), shared.context);
                        if let Some(ask) = &grant.token.ask {
                            (self.questions).ask(ask, context, who, to, datagram, basis);
                        }
                        return Ok(true);
                    }
                }
            }
        }
        // What is lost takes its turn as well.
        let mut bytes = 0;
        if let Some((to, datagram)) = &self.waiting {
            let to = self.peers.is_some().then_some(*to);
            match self.socket.poll_send(cx, &datagram.data, to) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(())) => {
                    bytes = datagram.data.len() as u64;
                    shared.counters.datagrams_up += 1;
                }
                // Too large for the way, nobody there, no way: one datagram is lost.
                Poll::Ready(Err(_)) => drop_one(id, shared),
            }
            self.waiting = None;
        } else {
            drop_one(id, shared);
        }
        shared.counters.bytes_up += bytes;
        self.up.carried(&grant.usage, Carried { bytes, packets: 1 });
        Ok(true)
    }

    /// Whether a datagram of the client may go, and where.
    fn authorise(&mut self, id: Id, to: Option<SocketAddr>, shared: &mut Shared<'_>) -> Authorised {
        let Some(peers) = &mut self.peers else {
            // It was checked when the socket was opened, and the multiplexer sees to it that no
            // other is named.
            let peer = self.socket.peer_addr();
            return peer.map_or(Authorised::No, Authorised::Yes);
        };
        let Some(to) = to else {
            return Authorised::No;
        };
        let grant = shared.grant;
        let policy = &grant.token.policy;
        (shared.context).learn_meanwhile(policy, Transport::Udp, to.port());
        let allowed = match policy.check(shared.context, Transport::Udp, None, to) {
            Ok(allowed) => allowed,
            Err(refusal) => {
                self.tell_denied(id, to, (&refusal).into(), &refusal.to_string(), shared);
                return Authorised::No;
            }
        };
        let (now, address) = (Instant::now(), allowed.address);
        let unmet = if grant.token.ask.is_none() || peers.knows(address, now) {
            match peers.meet(address, now, || grant.usage.dial(now)) {
                Ok(Met::Known) => return Authorised::Yes(address),
                Ok(Met::New) => {
                    shared.case.sends(to, address, Basis::from(&allowed));
                    return Authorised::Yes(address);
                }
                Err(unmet) => unmet,
            }
        } else if self.questions.has_room_for(address) {
            match grant.usage.dial(now) {
                Ok(()) => return Authorised::Asked(address, Basis::from(&allowed)),
                Err(limit) => Unmet::Limit(limit),
            }
        } else {
            // There may be an answer when the next one comes.
            return Authorised::No;
        };
        self.tell_denied(id, to, Basis::denied(), &unmet.to_string(), shared);
        Authorised::No
    }

    /// What to send by this answer.
    fn answered(
        &mut self,
        id: Id,
        answer: Answer,
        shared: &mut Shared<'_>,
    ) -> Option<(SocketAddr, ReceivedDatagram)> {
        let Answer {
            to,
            datagram,
            basis,
            said,
        } = answer;
        let (basis, refusal) = match said {
            Err(no) => (Basis::denied().answered(no.answered()), no.to_string()),
            // He was counted as a dial when it was asked.
            Ok(answered) => match self.peers.as_mut()?.meet(to, Instant::now(), || Ok(())) {
                Ok(_) => {
                    shared.case.sends(to, to, basis.answered(Some(answered)));
                    return Some((to, datagram));
                }
                Err(unmet) => (Basis::denied().answered(Some(answered)), unmet.to_string()),
            },
        };
        self.tell_denied(id, to, basis, &refusal, shared);
        None
    }

    /// Tells the log and the records that a datagram may not go, or counts it.
    fn tell_denied(
        &mut self,
        id: Id,
        to: SocketAddr,
        basis: Basis,
        why: &str,
        shared: &mut Shared<'_>,
    ) {
        if self.told.is_new(to, Instant::now()) {
            shared.counters.refused += 1;
            info!(%id, asked = %to, why, "refused datagrams");
            shared.case.may_not_send(to, basis, why);
        } else {
            shared.case.denied_more();
        }
    }

    /// Receives a datagram for the client; whether there was one.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        id: Id,
        shared: &mut Shared<'_>,
    ) -> Result<bool, Reason> {
        let grant = shared.grant;
        match self
            .down
            .poll_turn(cx, &grant.usage, shared.context.metrics())
        {
            Poll::Pending => {
                self.held_back = true;
                return Ok(false);
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(limit)) => return Err(end(id, shared, limit)),
        }
        if std::mem::take(&mut self.held_back) {
            self.count_overflowed(id, shared);
        }
        let buffer = &mut shared.scratch.datagram;
        buffer.resize(MAX_DATAGRAM, 0);
        let mut buffer = ReadBuf::new(buffer);
        let datagram = match self.socket.poll_recv(cx, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(datagram)) => datagram,
            // An ICMP message about something sent before: UDP goes on.
            Poll::Ready(Err(error)) if is_transient(&error) => {
                if let Some(reason) = unreachable(&error) {
                    shared.mux.tell_unreachable(id, reason);
                }
                return Ok(true);
            }
            Poll::Ready(Err(error)) => {
                info!(%id, %error, "a datagram socket has failed");
                let reason = Reason::new(Code::FAILED, "the relay's datagram socket has failed");
                shared.case.ending(&reason);
                shared.mux.reset(id, &reason);
                return Err(reason);
            }
        };
        let peer = match (&self.peers, datagram.from) {
            (None, _) => None,
            (Some(_), from) if shared.grant.token.udp_open => from,
            (Some(peers), Some(from)) if peers.hears(from.ip(), Instant::now()) => Some(from),
            (Some(_), _) => return Ok(true),
        };
        let data = buffer.filled();
        let mut bytes = 0;
        if (shared.mux).send_datagram(id, peer, data, datagram.truncated)? {
            bytes = data.len() as u64;
            shared.counters.datagrams_down += 1;
        } else {
            // The multiplexer tells the client.
            shared.counters.datagrams_dropped += 1;
        }
        shared.counters.bytes_down += bytes;
        self.down
            .carried(&grant.usage, Carried { bytes, packets: 1 });
        Ok(true)
    }

    /// Counts what was lost while nothing was received.
    fn count_overflowed(&mut self, id: Id, shared: &mut Shared<'_>) {
        let Some(total) = self.socket.overflowed() else {
            return;
        };
        let more = u64::from(total.wrapping_sub(self.overflowed));
        self.overflowed = total;
        if more > 0 {
            shared.mux.count_dropped(id, more);
            shared.counters.datagrams_dropped += more;
        }
    }
}

/// No more may be carried: the socket is closed, and its client learns which limit it was.
fn end(id: Id, shared: &mut Shared<'_>, limit: LimitReached) -> Reason {
    let reason = Reason::new(Code::LIMIT_EXCEEDED, &limit.to_string());
    info!(%id, %reason, "ended a datagram socket");
    shared.case.ending(&reason);
    shared.mux.reset(id, &reason);
    reason
}

fn drop_one(id: Id, shared: &mut Shared<'_>) {
    shared.mux.count_dropped(id, 1);
    shared.counters.datagrams_dropped += 1;
}

/// What to tell the client of its peer: nothing beyond that it was not there.
fn unreachable(error: &io::Error) -> Option<Reason> {
    let (code, text) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (Code::REFUSED, "nobody listens at that UDP port"),
        io::ErrorKind::HostUnreachable => (Code::HOST_UNREACHABLE, "no way leads to that host"),
        io::ErrorKind::NetworkUnreachable => {
            (Code::NETWORK_UNREACHABLE, "no way leads to that network")
        }
        _ => return None,
    };
    Some(Reason::new(code, text))
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}
