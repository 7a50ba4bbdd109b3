//! Byte streams and listeners.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use jackfield_socket::time::{self, Instant, Sleep};
use jackfield_socket::{
    ByteStream, Endpoint, Error, ErrorKind, ListenOptions, Result, StreamInfo, TcpListener,
    TcpOptions,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::world::{Bound, HostId, World, unspecified};
use crate::{Cut, Network};

/// How many bytes a segment carries: Ethernet's 1500 less the headers of IP and TCP.
const SEGMENT: usize = 1460;
/// How many connections wait to be accepted, where the caller doesn't say.
const BACKLOG: usize = 128;
/// After what time an unanswered connect is sent again; twice as long each further time
/// (RFC 6298, section 2), until `LONGEST_CONNECT`.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_CONNECT: Duration = Duration::from_secs(127);
/// How long a keep-alive goes on asking: Linux's nine probes of 75 s.
const PROBES: Duration = Duration::from_secs(9 * 75);

/// A byte stream of a simulated network.
pub struct SimStream {
    network: Network,
    id: u64,
    side: usize,
    info: StreamInfo,
    read_timer: Option<Sleep>,
    write_timer: Option<Sleep>,
}

/// A listener of a simulated network.
pub struct SimListener {
    network: Network,
    bound: Bound,
}

/// A connection: what each side has sent, and the other has not read.
pub(crate) struct Connection {
    hosts: [HostId; 2],
    addresses: [SocketAddr; 2],
    /// What side 0, which connected, and side 1 have sent.
    pipes: [Pipe; 2],
    keep_alive: [Option<Duration>; 2],
    dropped: [bool; 2],
    /// Since when nothing arrives any more.
    silent: Option<Instant>,
}

struct Pipe {
    queue: VecDeque<Segment>,
    /// How many bytes of the window are taken: in the queue, or lost to a cut.
    taken: usize,
    window: usize,
    sent: u64,
    last_arrival: Option<Instant>,
    cut: Option<(u64, Cut)>,
    /// Its side has shut it down: nothing follows.
    shut: bool,
    /// What is sent arrives no more.
    dead: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Segment {
    /// When it arrives; `None` while the link is parted.
    at: Option<Instant>,
    what: What,
}

enum What {
    Data { bytes: Vec<u8>, read: usize },
    End,
    Reset,
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

impl SimStream {
    fn new(network: &Network, id: u64, side: usize, connection: &Connection) -> Self {
        Self {
            network: network.clone(),
            id,
            side,
            info: StreamInfo::new(
                Some(connection.addresses[side]),
                Some(connection.addresses[1 - side]),
            ),
            read_timer: None,
            write_timer: None,
        }
    }

    /// Closes the stream with a reset: the peer sees an error and no end.
    pub fn abort(self) {
        self.network.lock().reset(self.id, self.side, time::now());
    }
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
        from: (HostId, std::net::IpAddr),
        to: Bound,
        options: &TcpOptions,
    ) -> Result<Answer> {
        let (peer, remote) = to;
        let any = SocketAddr::new(unspecified(remote.ip()), remote.port());
        let any_v6 = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), remote.port());
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
        let mut pipe = |from, to, buffer: Option<std::num::NonZeroU32>| {
            let window = self.link(from, to).link.window;
            Pipe {
                queue: VecDeque::new(),
                taken: 0,
                window: buffer.map_or(window, |size| size.get() as usize),
                sent: 0,
                last_arrival: None,
                cut: self.take_cut(from, to),
                shut: false,
                dead: false,
                reader: None,
                writer: None,
            }
        };
        let connection = Connection {
            hosts: [host, peer],
            addresses: [local, remote],
            pipes: [
                pipe(host, peer, options.send_buffer),
                pipe(peer, host, options.receive_buffer),
            ],
            keep_alive: [options.keep_alive, None],
            dropped: [false; 2],
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

    /// Sends bytes that the window has room for.
    fn send(&mut self, id: u64, side: usize, now: Instant, data: &[u8]) {
        for piece in data.chunks(SEGMENT) {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let peer_gone = connection.dropped[1 - side];
            let pipe = &mut connection.pipes[side];
            let begin = pipe.sent;
            pipe.sent += piece.len() as u64;
            pipe.taken += piece.len();
            if pipe.dead {
                continue;
            }
            let cut = pipe.cut.take_if(|(at, _)| pipe.sent >= *at);
            let keep = cut.map_or(piece.len(), |(at, _)| at.saturating_sub(begin) as usize);
            if keep > 0 {
                let what = What::Data {
                    bytes: piece[..keep].to_vec(),
                    read: 0,
                };
                self.push(id, side, now, what);
            }
            match cut {
                Some((_, Cut::Reset)) => {
                    self.reset(id, side, now);
                    self.reset(id, 1 - side, now);
                }
                Some((_, Cut::Silence)) => self.silence(id, now),
                // Nobody is there any more: the answer to data is a reset.
                None if peer_gone => self.reset(id, 1 - side, now),
                None => {}
            }
        }
    }

    /// Puts a segment on its way.
    fn push(&mut self, id: u64, side: usize, now: Instant, what: What) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let [from, to] = [side, 1 - side].map(|side| connection.hosts[side]);
        let [local, remote] = [side, 1 - side].map(|side| connection.addresses[side]);
        let sent = connection.pipes[side].sent;
        let len = match &what {
            What::Data { bytes, .. } => bytes.len(),
            What::End | What::Reset => 0,
        };
        let link = self.link(from, to);
        let scheduled = (!link.parted).then(|| link.segment(now, len));
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let pipe = &mut connection.pipes[side];
        let at = scheduled.map(|(at, _)| pipe.in_order(at));
        let word = match (&what, scheduled) {
            (What::End, _) => "end",
            (What::Reset, _) => "reset",
            (What::Data { .. }, None) => "held",
            (What::Data { .. }, Some((_, true))) => "lost, sent again",
            (What::Data { .. }, Some((_, false))) => "data",
        };
        pipe.queue.push_back(Segment { at, what });
        wake(&mut pipe.reader);
        let arrives = at.map_or_else(Duration::default, |at| at.saturating_duration_since(now));
        self.log(
            now,
            format_args!("tcp {local} > {remote} {word} {len} before {sent}, in {arrives:?}"),
        );
    }

    /// Ends one side's direction with a reset, and the other's with nothing more arriving.
    fn reset(&mut self, id: u64, side: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.pipes[1 - side].dead = true;
        let pipe = &mut connection.pipes[side];
        let again = pipe
            .queue
            .back()
            .is_some_and(|last| matches!(last.what, What::Reset));
        if again || connection.silent.is_some() {
            return;
        }
        pipe.dead = true;
        // A writer that waits for room must learn of it.
        wake(&mut connection.pipes[1 - side].writer);
        self.push(id, side, now, What::Reset);
    }

    fn silence(&mut self, id: u64, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.silent = Some(now);
            for pipe in &mut connection.pipes {
                pipe.dead = true;
                // A keep-alive starts to count.
                wake(&mut pipe.reader);
            }
        }
    }

    fn end(&mut self, id: u64, side: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let pipe = &mut connection.pipes[side];
        if std::mem::replace(&mut pipe.shut, true) || pipe.dead {
            return;
        }
        self.push(id, side, now, What::End);
    }

    /// One side has dropped its stream.
    fn drop_side(&mut self, id: u64, side: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.dropped[side] = true;
        if connection.dropped[1 - side] {
            self.connections.remove(&id);
            return;
        }
        let unread = connection.pipes[1 - side]
            .queue
            .iter()
            .any(|segment| matches!(segment.what, What::Data { .. }));
        if unread || !connection.pipes[side].shut {
            self.reset(id, side, now);
        }
    }

    /// After healing: what a stream between these hosts has held is on its way.
    pub(crate) fn release(&mut self, id: u64, a: HostId, b: HostId) {
        let now = time::now();
        for side in [0, 1] {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let hosts = [side, 1 - side].map(|side| connection.hosts[side]);
            if hosts != [a, b] && hosts != [b, a] {
                return;
            }
            let mut queue = std::mem::take(&mut connection.pipes[side].queue);
            for segment in queue.iter_mut().filter(|segment| segment.at.is_none()) {
                let len = match &segment.what {
                    What::Data { bytes, .. } => bytes.len(),
                    What::End | What::Reset => 0,
                };
                let (at, _) = self.link(hosts[0], hosts[1]).segment(now, len);
                if let Some(connection) = self.connections.get_mut(&id) {
                    segment.at = Some(connection.pipes[side].in_order(at));
                }
            }
            if let Some(connection) = self.connections.get_mut(&id) {
                let pipe = &mut connection.pipes[side];
                pipe.queue = queue;
                wake(&mut pipe.reader);
                wake(&mut connection.pipes[1 - side].writer);
            }
        }
    }
}

impl Connection {
    /// When a reset reaches this side, if one is on its way and not held back.
    fn reset_at(&self, side: usize) -> Option<Instant> {
        let last = self.pipes[1 - side].queue.back()?;
        last.at.filter(|_| matches!(last.what, What::Reset))
    }

    /// When this side's keep-alive gives the stream up, if it is to.
    fn given_up_at(&self, side: usize) -> Option<Instant> {
        Some(self.silent? + self.keep_alive[side]? + PROBES)
    }
}

impl Pipe {
    /// A segment never overtakes the one before it.
    fn in_order(&mut self, at: Instant) -> Instant {
        let at = self.last_arrival.map_or(at, |last| last.max(at));
        self.last_arrival = Some(at);
        at
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Waits for a point in time; pending for ever where there is none.
fn poll_until(timer: &mut Option<Sleep>, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(at) = at else {
        *timer = None;
        return Poll::Pending;
    };
    let sleep = timer.get_or_insert_with(|| time::sleep_until(at));
    sleep.reset(at);
    ready!(Pin::new(sleep).poll(cx));
    *timer = None;
    Poll::Ready(())
}

fn lost() -> io::Error {
    // Only a stream that lives asks, and those are known.
    io::ErrorKind::NotConnected.into()
}

fn given_up() -> io::Error {
    Error::new(ErrorKind::TimedOut, "no keep-alive probe was answered").into()
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        let mut world = this.network.lock();
        let connection = world.connections.get_mut(&this.id).ok_or_else(lost)?;
        let given_up_at = connection.given_up_at(this.side);
        let pipe = &mut connection.pipes[1 - this.side];
        loop {
            let now = time::now();
            let before = buf.filled().len();
            while let Some(segment) = pipe.queue.front_mut() {
                if buf.remaining() == 0 || segment.at.is_none_or(|at| at > now) {
                    break;
                }
                match &mut segment.what {
                    What::Data { bytes, read } => {
                        let count = buf.remaining().min(bytes.len() - *read);
                        buf.put_slice(&bytes[*read..*read + count]);
                        *read += count;
                        pipe.taken -= count;
                        if *read == bytes.len() {
                            pipe.queue.pop_front();
                        }
                    }
                    What::End | What::Reset if buf.filled().len() > before => break,
                    What::End => return Poll::Ready(Ok(())),
                    What::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                }
            }
            if buf.filled().len() > before {
                wake(&mut pipe.writer);
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
            let next = match pipe.queue.front() {
                Some(segment) => segment.at,
                None if given_up_at.is_some_and(|at| at <= now) => {
                    return Poll::Ready(Err(given_up()));
                }
                None => given_up_at,
            };
            ready!(poll_until(&mut this.read_timer, next, cx));
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mut world = this.network.lock();
        loop {
            let now = time::now();
            let connection = world.connections.get_mut(&this.id).ok_or_else(lost)?;
            let reset_at = connection.reset_at(this.side);
            let given_up_at = connection.given_up_at(this.side);
            let pipe = &mut connection.pipes[this.side];
            if reset_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if pipe.shut {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if given_up_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Err(given_up()));
            }
            let count = data.len().min(pipe.window.saturating_sub(pipe.taken));
            if count > 0 || data.is_empty() {
                world.send(this.id, this.side, now, &data[..count]);
                return Poll::Ready(Ok(count));
            }
            pipe.writer = Some(cx.waker().clone());
            let next = reset_at.or(given_up_at);
            ready!(poll_until(&mut this.write_timer, next, cx));
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.lock().end(self.id, self.side, time::now());
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for SimStream {
    fn info(&self) -> StreamInfo {
        self.info.clone()
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.network
            .lock()
            .drop_side(self.id, self.side, time::now());
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

impl std::fmt::Debug for SimStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimStream")
            .field("local", &self.info.local)
            .field("peer", &self.info.peer)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SimListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimListener")
            .field("at", &self.bound.1)
            .finish_non_exhaustive()
    }
}
