//! Channels: what an identifier stands for, an opening, a stream, a listener, or a UDP socket.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{Chunk, Config, Mux, ReceivedDatagram, Role};
use crate::{MAX_DATAGRAM, Reason, datagram_cost};

/// Received pieces shorter than this are gathered in one buffer, so that many small ones don't each
/// hold a large message in memory.
const GATHER_BELOW: usize = 16 * 1024;

#[derive(Debug)]
pub(super) enum Channel {
    Opening(Opening),
    Stream(Stream),
    Listener(Listener),
    Udp(Udp),
}

/// Asked for, and not answered. The credit is what the peer gave; at the client, it comes with the
/// answer.
#[derive(Debug)]
pub(super) enum Opening {
    Connect { credit: u32 },
    Listen { credit: u32, stream_credit: u32 },
    Udp { credit: u32, bound: bool },
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) allowance: Allowance,
    pub(super) send_queue: VecDeque<Chunk>,
    /// Bytes in the queue.
    pub(super) queued: usize,
    pub(super) sending: Sending,
    pub(super) grant: Grant,
    pub(super) received: Received,
    /// Whether the peer has ended its direction.
    pub(super) ended: bool,
    /// Whether a reader waits.
    pub(super) read_asked: bool,
    pub(super) reset: Option<Reason>,
    /// Nobody uses it any more; it lives until what was sent and its end are out.
    pub(super) orphan: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    Open,
    /// The end stands behind what is queued.
    Finishing,
    Finished,
}

#[derive(Debug)]
pub(super) struct Listener {
    /// At the relay: connections that it may announce.
    pub(super) announce: Allowance,
    /// At the relay: bytes that it may send at first on each of them.
    pub(super) stream_credit: u32,
    /// At the client: connections that the relay may announce.
    pub(super) inbound: Grant,
    pub(super) reset: Option<Reason>,
}

#[derive(Debug)]
pub(super) struct Udp {
    /// Whether its datagrams name their peer; a connected one's never do.
    pub(super) bound: bool,
    pub(super) allowance: Allowance,
    pub(super) send_queue: VecDeque<Queued>,
    /// What is in the queue, counted as datagrams are.
    pub(super) queued: u32,
    pub(super) grant: Grant,
    pub(super) received: VecDeque<ReceivedDatagram>,
    pub(super) dropped: u64,
    pub(super) dropped_untold: bool,
    /// Of a connected socket: why what was sent found nobody. At the relay, to be told to the
    /// client; at the client, to its reader. A later one takes the place of an earlier.
    pub(super) unreachable: Option<Reason>,
    pub(super) read_asked: bool,
    pub(super) reset: Option<Reason>,
    pub(super) orphan: Option<Reason>,
}

/// A datagram to be sent, which prints no payload.
pub(super) struct Queued {
    /// The whole message.
    pub(super) message: BytesMut,
    /// What its data costs: with the 64 bytes on top, more than the message takes.
    pub(super) cost: u32,
}

/// What the peer lets this side send.
#[derive(Debug)]
pub(super) struct Allowance {
    available: u32,
    initial: u32,
    /// Whether someone waits for more.
    pub(super) asked: bool,
}

/// What this side lets the peer send.
#[derive(Debug)]
pub(super) struct Grant {
    window: u32,
    /// What the peer may still send.
    available: u32,
    /// What was consumed and not given back.
    unreturned: u32,
    /// From here on it is given back.
    threshold: u32,
    /// Whether that is under way.
    returning: bool,
    /// Whether the window is as wide as it will be.
    is_wide: bool,
}

/// Bytes received and not consumed.
#[derive(Default)]
pub(super) struct Received {
    pieces: VecDeque<Bytes>,
    gathered: BytesMut,
}

impl Channel {
    /// Why it was cut, if it was.
    pub(super) fn reset(&self) -> Option<&Reason> {
        match self {
            Self::Opening(_) => None,
            Self::Stream(stream) => stream.reset.as_ref(),
            Self::Listener(listener) => listener.reset.as_ref(),
            Self::Udp(udp) => udp.reset.as_ref(),
        }
    }

    /// Whether a turn would send something.
    pub(super) fn has_work(&self, role: Role) -> bool {
        match self {
            Self::Opening(_) | Self::Listener(_) => false,
            Self::Stream(stream) => stream.has_work(),
            Self::Udp(udp) => udp.has_work(role),
        }
    }

    /// The bytes that it holds, each way.
    pub(super) fn held(&self) -> u64 {
        match self {
            Self::Opening(_) | Self::Listener(_) => 0,
            Self::Stream(stream) => (stream.queued + stream.received.len()) as u64,
            Self::Udp(udp) => {
                let received = udp
                    .received
                    .iter()
                    .map(|datagram| datagram.data.len() as u64);
                u64::from(udp.queued) + received.sum::<u64>()
            }
        }
    }

    /// Cuts it for this reason, and says what is to be done.
    pub(super) fn cut(&mut self, reason: &Reason) -> AfterCut {
        let (reset, orphan) = match self {
            Self::Opening(_) => return AfterCut::TellAndForget,
            Self::Listener(listener) => (&mut listener.reset, false),
            Self::Udp(udp) => {
                udp.send_queue.clear();
                udp.queued = 0;
                udp.unreachable = None;
                (&mut udp.reset, udp.orphan.is_some())
            }
            Self::Stream(stream) => {
                stream.send_queue.clear();
                stream.queued = 0;
                if !stream.ended {
                    stream.received.clear();
                }
                (&mut stream.reset, stream.orphan)
            }
        };
        if orphan {
            AfterCut::Forget
        } else if reset.is_some() {
            AfterCut::Nothing
        } else {
            *reset = Some(reason.clone());
            AfterCut::Tell
        }
    }
}

/// What follows when a channel was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterCut {
    Nothing,
    Tell,
    Forget,
    TellAndForget,
}

impl Opening {
    /// The relay opens it; also, the credit that goes to the client.
    pub(super) fn open_at_relay(&self, config: &Config, share: u32) -> (Channel, u32) {
        match *self {
            Self::Connect { credit } => {
                let window = config.stream_window(share);
                (Channel::Stream(Stream::new(credit, window)), window)
            }
            Self::Listen {
                credit,
                stream_credit,
            } => (Listener::channel(config, credit, stream_credit), 0),
            Self::Udp { credit, bound } => {
                let least = Config::MIN_DATAGRAM_WINDOW.min(config.datagram_window);
                let window = share.clamp(least, config.datagram_window);
                (Channel::Udp(Udp::new(bound, credit, window)), window)
            }
        }
    }

    /// The client learns that it is open, with credit from the relay.
    pub(super) fn open_at_client(&self, config: &Config, credit: u32) -> Channel {
        match self {
            Self::Connect { .. } => Channel::Stream(Stream::new(credit, config.start_window())),
            Self::Listen { .. } => Listener::channel(config, credit, 0),
            Self::Udp { bound, .. } => {
                Channel::Udp(Udp::new(*bound, credit, config.datagram_window))
            }
        }
    }
}

impl Listener {
    fn channel(config: &Config, announce: u32, stream_credit: u32) -> Channel {
        Channel::Listener(Self {
            announce: Allowance::new(announce),
            stream_credit,
            inbound: Grant::new(config.accept_window, config.accept_window / 4),
            reset: None,
        })
    }
}

impl Config {
    /// The window with which a stream begins.
    pub(super) fn start_window(&self) -> u32 {
        Self::START_WINDOW.min(self.window)
    }

    /// The same, where the budget has this share for it.
    pub(super) fn stream_window(&self, share: u32) -> u32 {
        let start = self.start_window();
        share.clamp(Self::MIN_WINDOW.min(start), start)
    }
}

impl Stream {
    pub(super) fn new(credit: u32, window: u32) -> Self {
        Self {
            allowance: Allowance::new(credit),
            send_queue: VecDeque::new(),
            queued: 0,
            sending: Sending::Open,
            grant: Grant::new(window, window / 4),
            received: Received::default(),
            ended: false,
            read_asked: false,
            reset: None,
            orphan: false,
        }
    }

    /// How many bytes may wait to be sent: no more than may wait to be consumed, so that both
    /// ways keep within the budget.
    pub(super) fn max_queued(&self) -> usize {
        Mux::SEND_QUEUE.min(self.grant.window as usize)
    }

    /// Whether it is to have a wider window, which it has once: it is busy, and somebody uses it.
    pub(super) fn may_widen(&self) -> bool {
        !self.grant.is_wide && self.grant.is_busy() && !self.orphan && self.reset.is_none()
    }

    /// Whether a turn would send something.
    pub(super) fn has_work(&self) -> bool {
        !self.send_queue.is_empty() || (self.sending == Sending::Finishing && self.reset.is_none())
    }
}

impl Udp {
    /// Whether a datagram that comes to this side may have an address, or have none. On a connected
    /// socket the relay may name the peer, and the client may not.
    pub(super) fn names(&self, role: Role, named: bool) -> bool {
        self.bound == named || role == Role::Client && !self.bound
    }

    fn new(bound: bool, credit: u32, window: u32) -> Self {
        // Whatever was not given back, one datagram of any length must fit the rest.
        let largest = datagram_cost(MAX_DATAGRAM);
        let threshold = (window / 4).min(window.saturating_sub(largest));
        Self {
            bound,
            allowance: Allowance::new(credit),
            send_queue: VecDeque::new(),
            queued: 0,
            grant: Grant::new(window, threshold),
            received: VecDeque::new(),
            dropped: 0,
            dropped_untold: false,
            unreachable: None,
            read_asked: false,
            reset: None,
            orphan: None,
        }
    }

    /// Whether a turn would send something.
    pub(super) fn has_work(&self, role: Role) -> bool {
        let untold = self.dropped_untold || self.unreachable.is_some() && role == Role::Relay;
        !self.send_queue.is_empty() || untold
    }

    /// Whether a datagram of this cost may be queued: there is credit, and room.
    pub(super) fn has_room(&self, cost: u32) -> bool {
        let room = self.grant.window.saturating_sub(self.queued);
        cost <= self.allowance.available() && (cost <= room || self.send_queue.is_empty())
    }

    pub(super) fn count_dropped(&mut self, more: u64) {
        self.dropped = self.dropped.saturating_add(more);
        self.dropped_untold = self.reset.is_none();
    }
}

impl Allowance {
    fn new(initial: u32) -> Self {
        Self {
            available: initial,
            initial,
            asked: false,
        }
    }

    /// What is there; where it is nothing, more is waited for.
    pub(super) fn ask(&mut self) -> u32 {
        self.asked |= self.available == 0;
        self.available
    }

    pub(super) fn available(&self) -> u32 {
        self.available
    }

    /// What there was at first: a datagram beyond it can never be sent.
    pub(super) fn initial(&self) -> u32 {
        self.initial
    }

    /// Takes so much, if it is there.
    pub(super) fn take(&mut self, amount: u32) -> bool {
        match self.available.checked_sub(amount) {
            Some(rest) => {
                self.available = rest;
                true
            }
            None => false,
        }
    }

    /// Adds so much; false where that is more than a peer may give.
    pub(super) fn give(&mut self, more: u32) -> bool {
        match self.available.checked_add(more) {
            Some(sum) => {
                self.available = sum;
                true
            }
            None => false,
        }
    }
}

impl Grant {
    fn new(window: u32, threshold: u32) -> Self {
        Self {
            window,
            available: window,
            unreturned: 0,
            threshold: threshold.max(1),
            returning: false,
            is_wide: false,
        }
    }

    /// What the peer may send that is not consumed.
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// Whether the peer has sent as much as is given back at a time.
    fn is_busy(&self) -> bool {
        self.window - self.available >= self.threshold
    }

    /// Makes the window so wide, once, as far as there is so much on top; whether it is time to give
    /// what that adds.
    #[must_use]
    pub(super) fn widen(&mut self, window: u32, on_top: u32) -> bool {
        self.is_wide = true;
        let more = window.saturating_sub(self.window).min(on_top);
        if more == 0 {
            return false;
        }
        self.window += more;
        self.threshold = self.window / 4;
        self.unreturned += more;
        !std::mem::replace(&mut self.returning, true)
    }

    /// The peer has sent so much; false where it may not.
    pub(super) fn spend(&mut self, amount: u32) -> bool {
        match self.available.checked_sub(amount) {
            Some(rest) => {
                self.available = rest;
                true
            }
            None => false,
        }
    }

    /// So much was consumed, of what was sent; whether it is time to give it back.
    #[must_use]
    pub(super) fn release(&mut self, amount: u32) -> bool {
        let sent = self.window - self.available - self.unreturned;
        self.unreturned += amount.min(sent);
        let now = self.unreturned >= self.threshold && !self.returning;
        self.returning |= now;
        now
    }

    /// All of it: with the peer, waiting to be consumed, and consumed.
    #[cfg(any(test, feature = "oracle"))]
    pub(super) fn total(&self, waiting: usize) -> u32 {
        self.available + self.unreturned + waiting as u32
    }

    /// What to give back.
    pub(super) fn give_back(&mut self) -> u32 {
        self.returning = false;
        let more = std::mem::take(&mut self.unreturned);
        self.available += more;
        more
    }
}

impl Received {
    pub(super) fn push(&mut self, data: Bytes) {
        if data.len() < GATHER_BELOW {
            if self.gathered.len() + data.len() > crate::MAX_DATA {
                self.flush();
            }
            self.gathered.extend_from_slice(&data);
        } else {
            self.flush();
            self.pieces.push_back(data);
        }
    }

    /// The first piece.
    pub(super) fn front(&mut self) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.flush();
        }
        self.pieces.front().cloned()
    }

    /// Takes so many bytes off the front; says how many there were.
    pub(super) fn consume(&mut self, count: usize) -> usize {
        let mut left = count;
        while left > 0 {
            if self.pieces.is_empty() {
                self.flush();
            }
            let Some(piece) = self.pieces.front_mut() else {
                break;
            };
            if piece.len() > left {
                let _ = piece.split_to(left);
                return count;
            }
            left -= piece.len();
            self.pieces.pop_front();
        }
        count - left
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum::<usize>() + self.gathered.len()
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            self.pieces
                .push_back(std::mem::take(&mut self.gathered).freeze());
        }
    }
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.message.len())
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
