//! Traffic: how much payload an account may carry, by the second and by the day.
//!
//! What a second has too much of waits and is never refused. Each stream moves a small turn, which is
//! counted afterwards, and then waits until what was counted up to its own turn is paid; so all that share
//! an account go round in the order in which they came. A stream that was silent goes ahead of them, while
//! they are not far behind: a keystroke doesn't wait for what is bulk.
//!
//! A day is one of UTC. It begins for everybody at once, when anybody can tell, and the sum of what the
//! records of a day have is what counted on it.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::{Account, Left, LimitReached, Quota, Share, Usage, Whose};

/// What may be carried at once is what a second gives, and this at least: a frame.
const LEAST_BURST: u64 = 64 * 1024;
/// How many turns a second has, of whoever shares the account. More would be more timers, fewer would be a
/// longer wait for who comes next.
const TURNS_A_SECOND: u64 = 64;
/// The bytes of a turn, where a second gives little, and where it gives much.
const TURN: (u64, u64) = (1024, 64 * 1024);
/// How far the others may be behind when one that was silent goes ahead of them.
const AHEAD: Duration = Duration::from_millis(250);
const DAY: Duration = Duration::from_hours(24);
/// The longest wait, which takes a limit of a few bytes a second.
const LONGEST: Duration = DAY;

/// What was carried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    /// Payload.
    pub(crate) bytes: u64,
    /// Datagrams.
    pub(crate) packets: u64,
}

/// What has a limit by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// `bytes_per_second`.
    Bytes,
    /// `packets_per_second`.
    Packets,
}

/// What time it is, to what counts seconds, and to what counts days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Instant,
    /// The days since 1970-01-01, in UTC.
    pub(super) day: u64,
}

impl Clock {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            now: Instant::now(),
            day: since.unwrap_or_default().as_secs() / DAY.as_secs(),
        }
    }
}

/// What one account has carried.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bytes: Leaky,
    packets: Leaky,
    /// When nothing of these is left.
    paid_at: Option<Instant>,
    today: u64,
    /// Which day that is.
    day: u64,
}

/// What was carried and isn't paid. It knows no rate, since limits may differ among those that share it,
/// and change.
#[derive(Debug, Default)]
struct Leaky {
    level: u64,
    /// When it was so much.
    at: Option<Instant>,
}

impl Usage {
    /// Whether anything limits what is carried. Where nothing does, nothing is counted.
    pub(crate) fn is_metered(&self) -> bool {
        self.is_metered
    }

    /// How many bytes may be carried in one turn, and how long one that was silent waits for its own. None for
    /// now, where the other relays are being asked what the day has left.
    pub(crate) fn turn(&self, clock: Clock) -> Result<(usize, Duration), LimitReached> {
        let (mut bytes, mut wait) = (u64::MAX, Duration::ZERO);
        for share in self.metered() {
            let quota = &share.quota;
            if let Some(rate) = quota.bytes_per_second {
                bytes = bytes.min((rate.get() / TURNS_A_SECOND).clamp(TURN.0, TURN.1));
            }
            let mut meter = share.account.meter();
            bytes = bytes.min(meter.left_today(share, clock)?);
            wait = wait.max(meter.behind(quota, clock.now));
        }
        let ahead = wait <= AHEAD;
        let wait = if ahead { Duration::ZERO } else { wait };
        Ok((usize::try_from(bytes).unwrap_or(usize::MAX), wait))
    }

    /// Counts what was carried, in every account; and says how long whoever has carried it waits then.
    pub(crate) fn count(&self, carried: Carried, clock: Clock) -> Duration {
        let count = |share: &Share| share.account.meter().count(carried, &share.quota, clock);
        self.metered().map(count).max().unwrap_or_default()
    }

    /// What has most to wait for of a second that is used up, and whose limit that is.
    pub(crate) fn slowest(&self, clock: Clock) -> (Whose, Rate) {
        let behind = self.metered().map(|share| {
            let (wait, rate) = share.account.meter().behind_in(&share.quota, clock.now);
            (wait, share.whose, rate)
        });
        let slowest = behind.max_by_key(|(wait, ..)| *wait);
        slowest.map_or((Whose::Token, Rate::Bytes), |(_, whose, rate)| {
            (whose, rate)
        })
    }

    /// Whether anything may be carried today.
    pub(super) fn check_today(&self, clock: impl FnOnce() -> Clock) -> Result<(), LimitReached> {
        if !self.is_metered() {
            return Ok(());
        }
        let clock = clock();
        self.metered()
            .try_for_each(|share| share.account.meter().left_today(share, clock).map(drop))
    }

    fn metered(&self) -> impl Iterator<Item = &Share> {
        self.shares.iter().filter(|share| share.quota.is_metered())
    }
}

impl Quota {
    /// Whether this limits what is carried.
    pub(super) fn is_metered(&self) -> bool {
        self.bytes_per_second.is_some()
            || self.packets_per_second.is_some()
            || self.bytes_per_day.is_some()
    }
}

impl Account {
    /// What was carried today, as far as a day is limited, and which day that is.
    pub(super) fn carried(&self) -> (u64, u64) {
        let meter = self.meter();
        (meter.day, meter.today)
    }

    pub(super) fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// What the day has left, where that is limited; an error where that is nothing. 0 where that is being asked.
    fn left_today(&mut self, share: &Share, clock: Clock) -> Result<u64, LimitReached> {
        let Some(limit) = share.quota.bytes_per_day else {
            return Ok(u64::MAX);
        };
        let carried = self.of(clock.day);
        let own = limit.saturating_sub(carried);
        let reached = |whose| {
            Err(LimitReached {
                whose,
                name: "bytes_per_day",
                value: limit,
            })
        };
        if own == 0 {
            return reached(share.whose);
        }
        let Some(lease) = &share.account.lease else {
            return Ok(own);
        };
        match lease.left(clock.day, limit, carried) {
            Left::Bytes(left) => Ok(left.min(own)),
            Left::Asked => Ok(0),
            Left::Own => Ok(own),
            Left::Nothing => reached(share.whose),
            Left::Unknown => reached(Whose::Fleet),
        }
    }

    /// What that day has had.
    fn of(&self, day: u64) -> u64 {
        // Another one, be it earlier: clocks are put right.
        if day == self.day { self.today } else { 0 }
    }

    /// How long it takes until no more is left than may be carried at once.
    fn behind(&mut self, quota: &Quota, now: Instant) -> Duration {
        self.behind_in(quota, now).0
    }

    /// The same, and in what.
    fn behind_in(&mut self, quota: &Quota, now: Instant) -> (Duration, Rate) {
        let bytes = quota.bytes_per_second.map(NonZeroU64::get);
        let packets = quota.packets_per_second.map(NonZeroU32::get);
        let bytes = bytes.map(|rate| self.bytes.over(rate.max(LEAST_BURST), rate, now));
        let packets = packets.map(u64::from);
        let packets = packets.map(|rate| self.packets.over(rate, rate, now));
        if packets > bytes {
            (packets.unwrap_or_default(), Rate::Packets)
        } else {
            (bytes.unwrap_or_default(), Rate::Bytes)
        }
    }

    fn count(&mut self, carried: Carried, quota: &Quota, clock: Clock) -> Duration {
        if quota.bytes_per_day.is_some() {
            self.today = self.of(clock.day).saturating_add(carried.bytes);
            self.day = clock.day;
        }
        let mut paid = Duration::ZERO;
        if let Some(rate) = quota.bytes_per_second {
            self.bytes.level = self.bytes.level.saturating_add(carried.bytes);
            paid = paid.max(self.bytes.over(0, rate.get(), clock.now));
        }
        if let Some(rate) = quota.packets_per_second {
            self.packets.level = self.packets.level.saturating_add(carried.packets);
            paid = paid.max(self.packets.over(0, rate.get().into(), clock.now));
        }
        self.paid_at = clock.now.checked_add(paid);
        self.behind(quota, clock.now)
    }

    /// Whether it can be forgotten, and nobody gets more by it.
    pub(super) fn is_settled(&self, clock: Clock) -> bool {
        self.paid_at.is_none_or(|at| at <= clock.now) && self.of(clock.day) == 0
    }
}

impl Leaky {
    /// How long it takes at this rate a second until no more than that is left.
    fn over(&mut self, burst: u64, rate: u64, now: Instant) -> Duration {
        const SECOND: u128 = 1_000_000_000;
        let rate = u128::from(rate);
        let mut at = *self.at.get_or_insert(now);
        let since = now.saturating_duration_since(at).as_nanos();
        let leaked = since.saturating_mul(rate) / SECOND;
        if leaked < self.level.into() {
            self.level -= leaked as u64;
            // What is less than one leaks the next time.
            at += Duration::from_nanos((leaked * SECOND / rate) as u64);
        } else {
            self.level = 0;
            at = at.max(now);
        }
        self.at = Some(at);
        let nanos = u128::from(self.level.saturating_sub(burst)) * SECOND / rate;
        let left = u64::try_from(nanos).map_or(LONGEST, Duration::from_nanos);
        let left = left.saturating_sub(now.saturating_duration_since(at));
        left.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accounts, Holder};
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn rate(bytes: u64) -> Quota {
        Quota {
            bytes_per_second: NonZeroU64::new(bytes),
            ..Quota::default()
        }
    }

    fn packets(packets: u32) -> Quota {
        Quota {
            packets_per_second: NonZeroU32::new(packets),
            ..Quota::default()
        }
    }

    fn daily(bytes: u64) -> Quota {
        Quota {
            bytes_per_day: Some(bytes),
            ..Quota::default()
        }
    }

    fn bearer(of: &str) -> Holder {
        Holder::Bearer("a".into(), of.into())
    }

    fn bytes(bytes: u64) -> Carried {
        Carried { bytes, packets: 0 }
    }

    fn after(start: Clock, time: Duration) -> Clock {
        Clock {
            now: start.now + time,
            ..start
        }
    }

    /// What is carried in so many seconds by so many who each take all turns that they get.
    fn carried(usage: &Usage, streams: usize, seconds: u64) -> Vec<u64> {
        let start = Clock::now();
        let mut taken = vec![0; streams];
        let mut next = vec![Duration::ZERO; streams];
        let end = Duration::from_secs(seconds);
        loop {
            let first = (0..streams).min_by_key(|&stream| next[stream]);
            let first = first.expect("there is one");
            // Timers are late.
            let at = next[first] + Duration::from_micros(700);
            if at > end {
                return taken;
            }
            let clock = after(start, at);
            let (turn, _) = usage.turn(clock).expect("no limit of a day");
            taken[first] += turn as u64;
            next[first] = at + usage.count(bytes(turn as u64), clock);
        }
    }

    #[test]
    fn what_a_second_gives_is_carried_and_no_more_than_a_second_of_it_at_once() {
        for (bytes, streams) in [
            (100, 1),
            (64 * 1024, 1),
            (MIB, 1),
            (MIB, 7),
            (100 * MIB, 3),
            (1, 2),
        ] {
            let usage = Accounts::default().usage([(bearer("a"), rate(bytes))]);
            let taken: u64 = carried(&usage, streams, 60).iter().sum();
            let burst = bytes.max(LEAST_BURST);
            let turns = streams as u64 * TURN.1.min(bytes.max(TURN.0));
            let least = 59 * bytes + burst;
            assert!(
                (least..=60 * bytes + burst + turns).contains(&taken),
                "{streams} at {bytes}: {taken}"
            );
        }
    }

    #[test]
    fn all_that_share_a_limit_get_the_same() {
        let usage = Accounts::default().usage([(bearer("a"), rate(MIB))]);
        let taken = carried(&usage, 10, 60);
        let (least, most) = (taken.iter().min(), taken.iter().max());
        let (least, most) = (least.expect("ten"), most.expect("ten"));
        assert!(most - least <= 2 * MIB / TURNS_A_SECOND, "{taken:?}");
    }

    #[test]
    fn who_was_silent_goes_ahead_of_what_is_a_little_behind() {
        let usage = Accounts::default().usage([(bearer("a"), rate(MIB))]);
        let start = Clock::now();
        let turn = |clock| usage.turn(clock).expect("no limit of a day");
        assert_eq!(turn(start), ((MIB / 64) as usize, Duration::ZERO));
        assert_eq!(usage.count(bytes(MIB), start), Duration::ZERO);
        let waits = usage.count(bytes(MIB / 8), start);
        assert_eq!(waits, Duration::from_millis(125));
        assert_eq!(turn(start).1, Duration::ZERO);
        let waits = usage.count(bytes(MIB / 4), start);
        assert_eq!(waits, Duration::from_millis(375));
        assert_eq!(turn(start).1, waits);
        assert_eq!(turn(after(start, waits / 2)).1, Duration::ZERO);
    }

    #[test]
    fn the_limit_that_asks_for_most_counts() {
        let accounts = Accounts::default();
        let quotas = [
            (bearer("a"), rate(2 * MIB)),
            (Holder::Token("a".into()), rate(MIB)),
        ];
        let usage = accounts.usage(quotas);
        let start = Clock::now();
        assert_eq!(usage.count(bytes(2 * MIB), start), Duration::from_secs(1));
        assert_eq!(usage.slowest(start), (Whose::Token, Rate::Bytes));
        // Another bearer has its own, and the token's is used up.
        let other = [
            (bearer("b"), rate(2 * MIB)),
            (Holder::Token("a".into()), rate(MIB)),
        ];
        let (_, wait) = accounts
            .usage(other)
            .turn(start)
            .expect("no limit of a day");
        assert_eq!(wait, Duration::from_secs(1));
        let alone = accounts.usage([(bearer("b"), rate(2 * MIB))]);
        assert_eq!(
            alone.turn(start).expect("no limit of a day").1,
            Duration::ZERO
        );
    }

    #[test]
    fn datagrams_are_counted_apart_from_bytes() {
        let usage = Accounts::default().usage([(bearer("a"), packets(10))]);
        let start = Clock::now();
        let one = Carried {
            bytes: 60_000,
            packets: 1,
        };
        for _ in 0..10 {
            assert_eq!(usage.count(one, start), Duration::ZERO);
        }
        assert_eq!(usage.count(one, start), Duration::from_millis(100));
        assert_eq!(usage.slowest(start), (Whose::Bearer, Rate::Packets));
        assert_eq!(
            usage.count(bytes(1 << 40), start),
            Duration::from_millis(100)
        );
        // What is less than a datagram isn't lost, however often it is asked.
        let mut clock = start;
        for _ in 0..1000 {
            clock = after(clock, Duration::from_micros(1050));
            let _ = usage.turn(clock);
        }
        for _ in 0..9 {
            assert_eq!(usage.count(one, clock), Duration::ZERO);
        }
        assert_eq!(usage.count(one, clock), Duration::from_millis(50));
    }

    #[test]
    fn a_higher_limit_pays_faster() {
        let accounts = Accounts::default();
        let usage = |bytes| accounts.usage([(bearer("a"), rate(bytes))]);
        let start = Clock::now();
        let waits = usage(1).count(bytes(MIB), start);
        assert_eq!(waits, Duration::from_secs(MIB - LEAST_BURST).min(LONGEST));
        assert_eq!(
            usage(MIB).turn(start).expect("no limit of a day").1,
            Duration::ZERO
        );
    }

    #[test]
    fn a_day_gives_what_it_has_and_the_next_one_again() {
        let accounts = Accounts::default();
        let usage = accounts.usage([(bearer("a"), daily(1000))]);
        let start = Clock::now();
        assert_eq!(usage.turn(start).expect("all is left").0, 1000);
        assert_eq!(usage.count(bytes(999), start), Duration::ZERO);
        assert_eq!(usage.turn(start).expect("one is left").0, 1);
        usage.count(bytes(1), start);
        let reached = usage.turn(start).expect_err("nothing is left");
        assert_eq!(
            (reached.whose, reached.name, reached.value),
            (Whose::Bearer, "bytes_per_day", 1000)
        );
        assert!(usage.check_today(|| start).is_err());
        // Coming again is no new day.
        drop(usage);
        let usage = accounts.usage([(bearer("a"), daily(1000))]);
        assert!(usage.check_today(|| start).is_err());
        let other = accounts.usage([(bearer("b"), daily(1000))]);
        assert!(other.check_today(|| start).is_ok());
        for day in [start.day + 1, start.day - 1] {
            let clock = Clock { day, ..start };
            assert_eq!(usage.turn(clock).expect("another day").0, 1000);
        }
    }

    #[test]
    fn nothing_is_counted_where_nothing_is_limited() {
        let accounts = Accounts::default();
        let usage = accounts.usage([(bearer("a"), Quota::BEARER)]);
        assert!(!usage.is_metered());
        let limited = accounts.usage([(bearer("a"), Quota::BEARER), (bearer("b"), daily(1))]);
        assert!(limited.is_metered());
        let clock = Clock::now();
        limited.count(bytes(7), clock);
        assert_eq!(limited.shares[0].account.meter().today, 0);
        assert_eq!(limited.shares[1].account.meter().today, 7);
    }
}
