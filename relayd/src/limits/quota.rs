//! Limits as they are configured: what one may have at a time, in a second, and on a day.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::What;

/// What the bearers of one token may use of the relay, all their sessions together where it
/// doesn't say otherwise. What passes a limit gets an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// `sessions`: how many WebSockets at a time. Default: 64.
    pub sessions: u32,
    /// `streams`: how many streams and datagram sockets at a time, those that are being opened
    /// among them. Default: 256.
    pub streams: u32,
    /// `listeners`: how many listening sockets at a time. Default: 4.
    pub listeners: u32,
    /// `dials_per_second`: how many streams, sockets and listeners may be opened in a second, those
    /// that are refused among them; as many at once. Default: 50.
    pub dials_per_second: u32,
    /// `look_ups`: how many names may be looked up at a time. Default: 64.
    pub look_ups: u32,
    /// `refusals_per_minute`: how many openings of one bearer may be refused in a minute, for whatever
    /// reason; as many at once. A session ends in which one more is, and its bearer gets another as that time
    /// passes. Of a shared secret, those who come from one block of addresses are one bearer in this. Default: 600.
    pub refusals_per_minute: u32,
    /// `dial_seconds`: how long a look-up and a connection may take together. Default: 15 s.
    pub dial_deadline: Duration,
    /// `idle_seconds`: how long a session may have nothing open. Default: 600 s.
    pub idle_deadline: Duration,
    /// `buffer_bytes`: how many bytes of payload may wait in the relay for one session, each way;
    /// each stream may have 32 KiB, and each datagram socket 80 KiB, besides. The more is open, the
    /// less of it a new stream gets. Default: 32 MiB.
    pub buffer_bytes: u32,
    /// `session_bytes`: how many bytes of payload one session may carry, both ways together.
    /// Default: no limit.
    pub session_bytes: Option<u64>,
    /// `draining_streams`: how many streams at a time may go on without their client, which has
    /// closed them or is gone, until their target has what the client had ended; those of ended
    /// sessions beyond it are cut. They don't count as `streams`. Default: 64.
    pub draining_streams: u32,
    /// `drain_seconds`: how long a target may take for that, whatever the rate, and never beyond the
    /// token's end. Default: 120 s.
    pub drain_deadline: Duration,
    /// `drain_bytes_per_second`: how much it has to take, on the average of each 30 s. Default: 1024.
    pub drain_bytes_per_second: u32,
    /// `bytes_per_second`: how much payload may be carried in a second, both ways together; what is
    /// more waits. What a second gives may pass at once, and 64 KiB at least. Default: no limit.
    pub bytes_per_second: Option<NonZeroU64>,
    /// `packets_per_second`: how many datagrams, both ways together; as many at once. Those of the
    /// client wait; those for it wait as long as the system's buffer takes them, and are lost then.
    /// Default: no limit.
    pub packets_per_second: Option<NonZeroU32>,
    /// `bytes_per_day`: how much payload may be carried on a day of UTC, both ways together. What would
    /// carry more is ended, and nothing new is opened until the next day. Default: no limit.
    pub bytes_per_day: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 64,
            streams: 256,
            listeners: 4,
            dials_per_second: 50,
            look_ups: 64,
            refusals_per_minute: 600,
            dial_deadline: Duration::from_secs(15),
            idle_deadline: Duration::from_mins(10),
            buffer_bytes: 32 * 1024 * 1024,
            session_bytes: None,
            draining_streams: 64,
            drain_deadline: Duration::from_mins(2),
            drain_bytes_per_second: 1024,
            bytes_per_second: None,
            packets_per_second: None,
            bytes_per_day: None,
        }
    }
}

/// How much one may have at a time: one bearer of a token, or all clients of a block of addresses. `None` is
/// no limit; what passes one gets an error that names it, or waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// `sessions`: how many WebSockets.
    pub sessions: Option<u32>,
    /// `streams`: how many streams and datagram sockets, those that are being opened among them.
    pub streams: Option<u32>,
    /// `listeners`: how many listening sockets.
    pub listeners: Option<u32>,
    /// `dials_per_second`: how many streams, sockets and listeners may be opened in a second; as
    /// many at once.
    pub dials_per_second: Option<u32>,
    /// `draining_streams`: how many streams that go on without their client.
    pub draining_streams: Option<u32>,
    /// `look_ups`: how many names may be looked up at a time.
    pub look_ups: Option<u32>,
    /// `bytes_per_second`: how much payload may be carried in a second ([`Limits::bytes_per_second`]).
    pub bytes_per_second: Option<NonZeroU64>,
    /// `packets_per_second`: how many datagrams ([`Limits::packets_per_second`]).
    pub packets_per_second: Option<NonZeroU32>,
    /// `bytes_per_day`: how much payload on a day of UTC ([`Limits::bytes_per_day`]). It is counted
    /// from when there is this limit, and forgotten when the relay ends, but where it is shared with others.
    pub bytes_per_day: Option<u64>,
}

impl Quota {
    /// What each bearer of a token has where nothing else is said: 16 sessions, 64 streams, 2 listeners,
    /// 25 dials a second, 16 streams that drain, 25 look-ups at a time. What it carries has no limit.
    pub const BEARER: Self = Self {
        sessions: Some(16),
        streams: Some(64),
        listeners: Some(2),
        dials_per_second: Some(25),
        draining_streams: Some(16),
        look_ups: Some(25),
        bytes_per_second: None,
        packets_per_second: None,
        bytes_per_day: None,
    };

    /// The lower of the limits.
    pub(crate) fn min(&self, other: &Self) -> Self {
        fn min<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            a.into_iter().chain(b).min()
        }
        Self {
            sessions: min(self.sessions, other.sessions),
            streams: min(self.streams, other.streams),
            listeners: min(self.listeners, other.listeners),
            dials_per_second: min(self.dials_per_second, other.dials_per_second),
            draining_streams: min(self.draining_streams, other.draining_streams),
            look_ups: min(self.look_ups, other.look_ups),
            bytes_per_second: min(self.bytes_per_second, other.bytes_per_second),
            packets_per_second: min(self.packets_per_second, other.packets_per_second),
            bytes_per_day: min(self.bytes_per_day, other.bytes_per_day),
        }
    }

    pub(super) fn of(&self, what: What) -> Option<u32> {
        match what {
            What::Session => self.sessions,
            What::Stream => self.streams,
            What::Listener => self.listeners,
            What::Draining => self.draining_streams,
            What::LookUp => self.look_ups,
        }
    }
}

impl From<&Limits> for Quota {
    /// What all bearers of a token have together.
    fn from(limits: &Limits) -> Self {
        Self {
            sessions: Some(limits.sessions),
            streams: Some(limits.streams),
            listeners: Some(limits.listeners),
            dials_per_second: Some(limits.dials_per_second),
            draining_streams: Some(limits.draining_streams),
            look_ups: Some(limits.look_ups),
            bytes_per_second: limits.bytes_per_second,
            packets_per_second: limits.packets_per_second,
            bytes_per_day: limits.bytes_per_day,
        }
    }
}
