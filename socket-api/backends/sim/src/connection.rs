//! A connection in the world: what each side has sent, and when it arrives.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use jackfield_socket::time::{self, Instant};

use crate::Cut;
use crate::world::{HostId, World};

/// How many bytes a segment carries: Ethernet's 1500 less the headers of IP and TCP.
const SEGMENT: usize = 1460;
/// How long a keep-alive goes on asking: Linux's nine probes of 75 s.
const PROBES: Duration = Duration::from_secs(9 * 75);

/// How long a side that was dropped after its end goes on throwing away what its peer says, as
/// native sockets do.
const LEAVING: Duration = Duration::from_secs(5);

/// A connection: what each side has sent, and the other has not read.
pub(crate) struct Connection {
    pub(crate) hosts: [HostId; 2],
    pub(crate) addresses: [SocketAddr; 2],
    /// What side 0, which connected, and side 1 have sent.
    pub(crate) pipes: [Pipe; 2],
    pub(crate) keep_alive: [Option<Duration>; 2],
    /// When each side's stream was dropped.
    pub(crate) dropped: [Option<Instant>; 2],
    /// Since when nothing arrives any more.
    pub(crate) silent: Option<Instant>,
}

pub(crate) struct Pipe {
    pub(crate) queue: VecDeque<Segment>,
    /// How many bytes of the window are taken: in the queue, or lost to a cut.
    pub(crate) taken: usize,
    pub(crate) window: usize,
    pub(crate) sent: u64,
    pub(crate) last_arrival: Option<Instant>,
    pub(crate) cut: Option<(u64, Cut)>,
    /// Its side has shut it down: nothing follows.
    pub(crate) shut: bool,
    /// What is sent arrives no more.
    pub(crate) dead: bool,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

pub(crate) struct Segment {
    /// When it arrives; `None` while the link is parted.
    pub(crate) at: Option<Instant>,
    pub(crate) what: What,
}

pub(crate) enum What {
    Data { bytes: Vec<u8>, read: usize },
    End,
    Reset,
}

impl World {
    /// Sends bytes that the window has room for.
    pub(crate) fn send(&mut self, id: u64, side: usize, now: Instant, data: &[u8]) {
        for piece in data.chunks(SEGMENT) {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let peer_gone = connection.dropped[1 - side].is_some();
            let peer_leaves = connection.is_leaving(1 - side, now);
            let pipe = &mut connection.pipes[side];
            let begin = pipe.sent;
            pipe.sent += piece.len() as u64;
            pipe.taken += piece.len();
            if pipe.dead {
                continue;
            }
            if peer_leaves {
                pipe.taken -= piece.len();
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
    pub(crate) fn reset(&mut self, id: u64, side: usize, now: Instant) {
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

    pub(crate) fn end(&mut self, id: u64, side: usize, now: Instant) {
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
    pub(crate) fn drop_side(&mut self, id: u64, side: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.dropped[side] = Some(now);
        if connection.dropped[1 - side].is_some() {
            self.connections.remove(&id);
            return;
        }
        if connection.is_leaving(side, now) {
            let pipe = &mut connection.pipes[1 - side];
            pipe.queue
                .retain(|segment| !matches!(segment.what, What::Data { .. }));
            pipe.taken = 0;
            wake(&mut pipe.writer);
        } else {
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
    /// Whether this side was dropped after its end, not long ago.
    fn is_leaving(&self, side: usize, now: Instant) -> bool {
        let dropped = self.dropped[side];
        self.pipes[side].shut && dropped.is_some_and(|dropped| now < dropped + LEAVING)
    }

    /// When a reset reaches this side, if one is on its way and not held back.
    pub(crate) fn reset_at(&self, side: usize) -> Option<Instant> {
        let last = self.pipes[1 - side].queue.back()?;
        last.at.filter(|_| matches!(last.what, What::Reset))
    }

    /// When this side's keep-alive gives the stream up, if it is to.
    pub(crate) fn given_up_at(&self, side: usize) -> Option<Instant> {
        Some(self.silent? + self.keep_alive[side]? + PROBES)
    }
}

impl Pipe {
    pub(crate) fn new(window: usize, cut: Option<(u64, Cut)>) -> Self {
        Self {
            queue: VecDeque::new(),
            taken: 0,
            window,
            sent: 0,
            last_arrival: None,
            cut,
            shut: false,
            dead: false,
            reader: None,
            writer: None,
        }
    }

    /// A segment never overtakes the one before it.
    fn in_order(&mut self, at: Instant) -> Instant {
        let at = self.last_arrival.map_or(at, |last| last.max(at));
        self.last_arrival = Some(at);
        at
    }
}

pub(crate) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
