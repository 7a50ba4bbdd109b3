//! Opening streams: connecting, listening, and what a host answers.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jackfield_socket::time;
use jackfield_socket::{
    Endpoint, Error, ErrorKind, ListenOptions, Result, TcpListener, TcpOptions,
};

use crate::connection::{Connection, Pipe, wake};
use crate::world::{Bound, HostId, World, unspecified};
use crate::{Network, SimStream};

/// How many connections wait to be accepted, where the caller doesn't say.
const BACKLOG: usize = 128;
/// After what time an unanswered connect is sent again; twice as long each further time
/// (RFC 6298, section 2), until `LONGEST_CONNECT`.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_CONNECT: Duration = Duration::from_secs(127);

/// A listener of a simulated network.
pub struct SimListener {
    network: Network,
    bound: Bound,
}

/// A listener's state in the world.
pub(crate) struct ListenerState {
    v6_only: bool,
    backlog: usize,
    pending: VecDeque<u64>,
    waker: Option<Waker>,
}

/// What a host answers to a connect.
enum Answer {
    Refused,
    Full,
    Open(u64),
}

pub(crate) async fn connect(
    network: &Network,
    host: HostId,
    to: &Endpoint,
    options: &TcpOptions,
) -> Result<SimStream> {
    options.validate()?;
    let (remote, peer, ip) = {
        let world = network.lock();
        let remote = world.resolve(to, options.family)?;
        let peer = world
            .host_at(remote.ip())
            .ok_or_else(|| failed(to, remote, ErrorKind::Unreachable, "no host has it"))?;
        (remote, peer, world.own_address(host, remote.ip())?)
    };
    let mut wait = FIRST_RETRY;
    let mut waited = Duration::ZERO;
    loop {
        let there = {
            let mut world = network.lock();
            let link = world.link(host, peer);
            (!link.loses()).then(|| link.delay())
        };
        if let Some(there) = there {
            time::sleep(there).await;
            let answer = network.lock().answer((host, ip), (peer, remote), options)?;
            match answer {
                Answer::Full => {}
                Answer::Refused => {
                    let back = network.lock().link(peer, host).delay();
                    time::sleep(back).await;
                    return Err(failed(to, remote, ErrorKind::Refused, "connection refused"));
                }
                Answer::Open(id) => {
                    let (stream, arrival) = {
                        let mut world = network.lock();
                        let (arrival, _) = world.link(peer, host).segment(time::now(), 0);
                        (
                            SimStream::new(network, id, 0, &world.connections[&id]),
                            arrival,
                        )
                    };
                    time::sleep_until(arrival).await;
                    return Ok(stream);
                }
            }
        }
        if waited >= LONGEST_CONNECT {
            return Err(failed(to, remote, ErrorKind::TimedOut, "timed out"));
        }
        time::sleep(wait).await;
        waited += wait;
        wait *= 2;
    }
}

pub(crate) fn listen(
    network: &Network,
    host: HostId,
    at: SocketAddr,
    options: &ListenOptions,
) -> Result<SimListener> {
    options.validate(at)?;
    let mut world = network.lock();
    world.check_own(host, at.ip())?;
    let port = match at.port() {
        0 => world.free_port(host, |world, port| !world.is_listening(host, port))?,
        port if world.is_listening(host, port) => {
            return Err(Error::new(
                ErrorKind::AddressInUse,
                format!("can't listen at {at}: address in use"),
            ));
        }
        port => port,
    };
    let bound = (host, SocketAddr::new(at.ip(), port));
    let backlog = options.backlog.map(|backlog| backlog.get() as usize);
    world.listeners.insert(
        bound,
        ListenerState {
            v6_only: options.v6_only == Some(true),
            backlog: backlog.unwrap_or(BACKLOG),
            pending: VecDeque::new(),
            waker: None,
        },
    );
    Ok(SimListener {
        network: network.clone(),
        bound,
    })
}

fn failed(to: &Endpoint, remote: SocketAddr, kind: ErrorKind, reason: &str) -> Error {
    let shown = match to.socket_addr() {
        Some(_) => String::new(),
        None => format!(" ({})", remote.ip()),
    };
    Error::new(kind, format!("can't connect to {to}{shown}: {reason}"))
}

impl World {
    fn is_listening(&self, host: HostId, port: u16) -> bool {
        self.listeners
            .keys()
            .any(|(owner, at)| *owner == host && at.port() == port)
    }

    /// What a host answers to a connect that has arrived.
    fn answer(
        &mut self,
        from: (HostId, IpAddr),
        to: Bound,
        options: &TcpOptions,
    ) -> Result<Answer> {
        let (peer, remote) = to;
        let any = SocketAddr::new(unspecified(remote.ip()), remote.port());
        let any_v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), remote.port());
        let bound = [remote, any, any_v6].into_iter().find(|at| {
            self.listeners
                .get(&(peer, *at))
                .is_some_and(|listener| at.is_ipv4() == remote.is_ipv4() || !listener.v6_only)
        });
        let Some(bound) = bound.map(|at| (peer, at)) else {
            return Ok(Answer::Refused);
        };
        let listener = &self.listeners[&bound];
        if listener.pending.len() >= listener.backlog {
            return Ok(Answer::Full);
        }
        let (host, ip) = from;
        let port = self.free_port(host, |world, port| {
            let address = SocketAddr::new(ip, port);
            let used = world
                .connections
                .values()
                .any(|connection| connection.addresses.contains(&address));
            !used && !world.is_listening(host, port)
        })?;
        let local = SocketAddr::new(ip, port);
        let mut pipe = |from, to, buffer: Option<NonZeroU32>| {
            let window = self.link(from, to).link.window;
            let window = buffer.map_or(window, |size| size.get() as usize);
            Pipe::new(window, self.take_cut(from, to))
        };
        let connection = Connection {
            hosts: [host, peer],
            addresses: [local, remote],
            pipes: [
                pipe(host, peer, options.send_buffer),
                pipe(peer, host, options.receive_buffer),
            ],
            keep_alive: [options.keep_alive, None],
            dropped: [None; 2],
            silent: None,
        };
        let id = self.id();
        self.connections.insert(id, connection);
        self.log(time::now(), format_args!("tcp {local} > {remote} open"));
        if let Some(listener) = self.listeners.get_mut(&bound) {
            listener.pending.push_back(id);
            wake(&mut listener.waker);
        }
        Ok(Answer::Open(id))
    }
}

impl TcpListener for SimListener {
    type Stream = SimStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<SimStream>> {
        let mut world = self.network.lock();
        let Some(listener) = world.listeners.get_mut(&self.bound) else {
            return Poll::Pending;
        };
        let Some(id) = listener.pending.pop_front() else {
            listener.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let connection = &world.connections[&id];
        Poll::Ready(Ok(SimStream::new(&self.network, id, 1, connection)))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.bound.1)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut world = self.network.lock();
        if let Some(listener) = world.listeners.remove(&self.bound) {
            // Nobody will take them any more.
            for id in listener.pending {
                world.drop_side(id, 1, time::now());
            }
        }
    }
}

impl std::fmt::Debug for SimListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimListener")
            .field("at", &self.bound.1)
            .finish_non_exhaustive()
    }
}
