//! Links: what lies between two hosts, and when what is sent arrives.

use std::num::NonZeroU64;
use std::time::Duration;

use jackfield_socket::time::Instant;

/// How long a link's queue may grow, in time, until datagrams are dropped.
const LONGEST_QUEUE: Duration = Duration::from_millis(500);
/// How late a lost TCP segment arrives, besides another round trip (RFC 6298 has 1 s as its first
/// timeout; systems use 200 ms as the least).
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// How often one segment may be lost in a row: a link that loses everything is for
/// [`part`](crate::Network::part).
const MOST_LOSSES: u32 = 15;

/// What lies between two hosts, in one direction.
///
/// ```
/// use std::time::Duration;
/// use jackfield_sim::Link;
///
/// let mut mobile = Link::default();
/// mobile.latency = Duration::from_millis(60);
/// mobile.jitter = Duration::from_millis(30);
/// mobile.loss = 0.01;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// How long each packet is on its way, at the least. Default: 1 ms.
    pub latency: Duration,
    /// How much longer it may be, at the most; evenly distributed. Default: 0.
    pub jitter: Duration,
    /// Bytes a second, for all streams and datagrams together. Default: no limit.
    pub bandwidth: Option<NonZeroU64>,
    /// The chance that a packet is lost: a datagram for good, a TCP segment until it is sent again.
    /// Default: 0.
    pub loss: f64,
    /// The chance that a datagram arrives twice. Default: 0.
    pub duplication: f64,
    /// The chance that a datagram is overtaken by later ones. Without it, datagrams stay in order.
    /// Default: 0.
    pub reordering: f64,
    /// How many bytes a stream takes in one direction before its peer has read them: all buffers
    /// on the way. Default: 64 KiB. Options for buffer sizes replace it for their stream.
    pub window: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            bandwidth: None,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            window: 64 * 1024,
        }
    }
}

impl Link {
    /// From a host to itself.
    pub(crate) fn loopback() -> Self {
        Self {
            latency: Duration::from_micros(10),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) {
        for (name, chance) in [
            ("loss", self.loss),
            ("duplication", self.duplication),
            ("reordering", self.reordering),
        ] {
            assert!(
                (0.0..=1.0).contains(&chance),
                "{name} is {chance}: a chance is between 0 and 1"
            );
        }
        assert!(self.window > 0, "a window of 0 bytes lets nothing through");
    }
}

/// One direction of a link, as it stands.
pub(crate) struct LinkState {
    pub(crate) link: Link,
    pub(crate) parted: bool,
    chances: Chances,
    /// When everything sent so far has left.
    busy_until: Option<Instant>,
    /// When the last datagram in order arrives.
    last_datagram: Option<Instant>,
}

/// What becomes of a datagram: when it arrives, and when again.
pub(crate) struct Fate {
    pub(crate) arrivals: [Option<Instant>; 2],
    pub(crate) word: &'static str,
}

impl LinkState {
    pub(crate) fn new(link: Link, seed: u64) -> Self {
        Self {
            link,
            parted: false,
            chances: Chances(seed),
            busy_until: None,
            last_datagram: None,
        }
    }

    /// When a TCP segment of this size arrives, and whether it was lost on its way.
    pub(crate) fn segment(&mut self, now: Instant, bytes: usize) -> (Instant, bool) {
        let mut arrival = self.transmit(now, bytes) + self.delay();
        let mut losses = 0;
        while losses < MOST_LOSSES && self.chances.hit(self.link.loss) {
            // Each timeout is twice the one before (RFC 6298, section 5.5).
            arrival += RETRANSMISSION * (1 << losses.min(6)) + self.delay();
            losses += 1;
        }
        (arrival, losses > 0)
    }

    /// What becomes of a datagram of this size.
    pub(crate) fn datagram(&mut self, now: Instant, bytes: usize) -> Fate {
        let lost = |word| Fate {
            arrivals: [None; 2],
            word,
        };
        if self.parted {
            return lost("parted");
        }
        if self
            .busy_until
            .is_some_and(|busy| busy > now + LONGEST_QUEUE)
        {
            return lost("queue full");
        }
        let left = self.transmit(now, bytes);
        // All chances are taken each time, so that one setting doesn't change another's outcome.
        let late = self.chances.hit(self.link.reordering);
        let twice = self.chances.hit(self.link.duplication);
        let is_lost = self.chances.hit(self.link.loss);
        let mut arrival = left + self.delay();
        if is_lost {
            return lost("lost");
        }
        let mut word = "";
        if late {
            // By so much that whatever is sent within the link's own delay comes before it.
            let more = (self.link.latency + self.link.jitter).max(Duration::from_millis(1));
            arrival += more + self.chances.below(more);
            word = "late";
        } else {
            arrival = self.last_datagram.map_or(arrival, |last| last.max(arrival));
            self.last_datagram = Some(arrival);
        }
        let again = twice.then(|| arrival + self.delay());
        if twice {
            word = "twice";
        }
        Fate {
            arrivals: [Some(arrival), again],
            word,
        }
    }

    /// How long a packet without data is on its way.
    pub(crate) fn delay(&mut self) -> Duration {
        self.link.latency + self.chances.below(self.link.jitter)
    }

    /// Whether a packet without data is lost.
    pub(crate) fn loses(&mut self) -> bool {
        self.parted || self.chances.hit(self.link.loss)
    }

    /// When the last bit of a packet has left.
    fn transmit(&mut self, now: Instant, bytes: usize) -> Instant {
        let Some(bandwidth) = self.link.bandwidth else {
            return now;
        };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(bandwidth.get());
        let left = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.busy_until = Some(left);
        left
    }
}

/// Splitmix64: small, and the same for ever.
struct Chances(u64);

impl Chances {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn hit(&mut self, chance: f64) -> bool {
        // The upper 53 bits, which a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let place = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        place < chance
    }

    fn below(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        // The bias of a remainder is far below a nanosecond.
        Duration::from_nanos(self.next() % nanos.saturating_add(1))
    }
}
