//! Leases: how much of a quota that holds over all relays this one may give out by itself.
//!
//! A lease is so many places, for so long. A relay asks for a few more than it needs, so that few openings have
//! to wait for Redis; it renews what it has in use, and gives the rest back. What it has in use always counts,
//! also where Redis has forgotten it meanwhile: then nothing new is given until there is room. The leases of
//! a relay that died end with their time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Script;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use super::Fleet;
use super::days::Days;
use crate::config::WhenGone;
use crate::limits::{Accounts, Asked, Full, Holder, Left, What};

/// For how long nobody asks again when Redis hasn't answered.
const PAUSE: Duration = Duration::from_secs(1);

/// Gives a relay so many places as are left, or as many as it has in use.
///
/// The hash of all relays' leases; this relay, how many it has in use, how many it wants, how many all may
/// have, for how many milliseconds. It answers with how many it may have, and how many others have.
const LEASE: &str = "\
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local others = 0
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        local places, till = string.match(all[i + 1], '^(%d+) (%d+)$')
        if not till or tonumber(till) <= now then
            redis.call('HDEL', KEYS[1], all[i])
        elseif all[i] ~= ARGV[1] then
            others = others + tonumber(places)
        end
    end
    local left = tonumber(ARGV[4]) - others
    local granted = math.max(tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), left))
    if granted > 0 then
        local till = now + tonumber(ARGV[5])
        redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %.0f', granted, till))
        if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
            redis.call('PEXPIRE', KEYS[1], ARGV[5])
        end
    else
        redis.call('HDEL', KEYS[1], ARGV[1])
    end
    return { granted, others }";

/// What this relay has leased for one holder.
#[derive(Debug)]
pub(crate) struct Lease {
    fleet: Fleet,
    /// Who it is, as the keys have it.
    holder: String,
    sessions: Places,
    streams: Places,
    days: Arc<Days>,
}

/// Sessions, or streams.
#[derive(Debug, Default)]
struct Places {
    leased: Mutex<Leased>,
    /// Held by who asks Redis.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Leased {
    granted: u32,
    /// What others had when it was granted.
    others: u32,
    till: Option<Instant>,
    /// By which limit it was asked for the last time; 0 where it never was.
    limit: u32,
    /// Whether anything was taken since it was renewed.
    used: bool,
    /// Until when nobody asks again, since Redis hasn't answered: those who wait in line don't wait once each.
    silent: Option<Instant>,
}

impl Fleet {
    /// A lease for this holder, if what he uses counts over all relays.
    pub(crate) fn lease(&self, holder: &Holder) -> Option<Lease> {
        let holder = match holder {
            Holder::Token(token) => token.clone(),
            Holder::Bearer(token, bearer) => format!("{token}/{bearer}"),
            // Each relay has floods of its own.
            Holder::Source(_) | Holder::Sharer(..) => return None,
        };
        Some(Lease {
            fleet: self.clone(),
            days: Arc::new(Days::new(self.clone(), holder.clone())),
            holder,
            sessions: Places::default(),
            streams: Places::default(),
        })
    }

    /// Whether the relay goes by what it knows itself.
    fn is_alone(&self) -> bool {
        self.0.config.quotas == WhenGone::Allow && !self.is_there()
    }

    /// Renews the leases of these accounts while Redis is there. It has no end.
    pub(crate) async fn renew(self, accounts: Arc<Accounts>) {
        let mut every = interval(self.0.config.lease / 3);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                // What it has in use, Redis may have forgotten.
                () = self.0.back.notified() => {}
            }
            if self.is_there() {
                accounts.settle(false).await;
            }
        }
    }
}

impl Lease {
    /// Takes one of these, if the lease has room for it and no more than `limit` are taken over all relays. Whether
    /// it has.
    pub(crate) fn take(&self, what: What, limit: u32, held: &AtomicU32) -> bool {
        let Some(places) = self.places(what) else {
            return take(held, limit);
        };
        let mut leased = places.leased();
        leased.used = true;
        leased.limit = limit;
        let room = if leased.till.is_some_and(|till| Instant::now() < till) {
            leased.granted.min(limit.saturating_sub(leased.others))
        } else {
            0
        };
        // The lock is held: whoever makes a lease smaller knows what is in use of it.
        take(held, room) || (self.fleet.is_alone() && take(held, limit))
    }

    /// Asks for more of these, where there is no room.
    pub(crate) async fn ask(
        &self,
        what: What,
        limit: u32,
        held: &AtomicU32,
    ) -> Result<Asked, Full> {
        let Some(places) = self.places(what) else {
            return Ok(Asked::Forgotten);
        };
        let _one = places.asking.lock().await;
        let (held_now, want) = {
            let mut leased = places.leased();
            let held_now = held.load(Ordering::Relaxed);
            if leased.has_room(held_now, limit) {
                // Who asked before has asked for enough.
                return Ok(Asked::Leased);
            }
            if leased.silent.is_some_and(|till| Instant::now() < till) {
                return self.unknown();
            }
            let want = (held_now + 1 + spare(limit)).min(limit);
            leased.granted = leased.granted.min(want);
            (held_now, want)
        };
        if self
            .request(what, places, (held_now, want, limit))
            .await
            .is_err()
        {
            places.leased().silent = Some(Instant::now() + PAUSE);
            return self.unknown();
        }
        let has_room = places
            .leased()
            .has_room(held.load(Ordering::Relaxed), limit);
        has_room.then_some(Asked::Leased).ok_or(Full::Taken)
    }

    fn unknown(&self) -> Result<Asked, Full> {
        match self.fleet.0.config.quotas {
            WhenGone::Allow => Ok(Asked::Forgotten),
            WhenGone::Deny => Err(Full::Unknown),
        }
    }

    /// Renews what is in use of these, with some to spare where any was taken lately, and gives back the rest.
    pub(crate) async fn renew(&self, what: What, held: &AtomicU32, last: bool) {
        let Some(places) = self.places(what) else {
            return;
        };
        let _one = places.asking.lock().await;
        let (held_now, want, limit) = {
            let mut leased = places.leased();
            let held_now = held.load(Ordering::Relaxed);
            let is_idle = leased.granted == 0 && held_now == 0;
            // What has no limit needs no lease.
            if is_idle || leased.limit == 0 {
                return;
            }
            let spare = if leased.used && !last {
                spare(leased.limit)
            } else {
                0
            };
            leased.used = false;
            let want = (held_now + spare).min(leased.limit.max(held_now));
            leased.granted = leased.granted.min(want);
            (held_now, want, leased.limit)
        };
        // Where it fails, the lease ends with its time.
        let _ = self.request(what, places, (held_now, want, limit)).await;
    }

    /// What is left of a day of which so much may be carried, of which this relay has carried so much.
    pub(crate) fn left(&self, day: u64, limit: u64, carried: u64) -> Left {
        self.days.left(day, limit, carried)
    }

    /// Gives back what was leased of that day and isn't carried.
    pub(crate) async fn give_back(&self, day: u64, carried: u64) {
        self.days.give_back(day, carried).await;
    }

    /// Whether anything is leased, or was.
    pub(crate) fn is_leased(&self) -> bool {
        let leased = |places: &Places| places.leased().granted > 0;
        leased(&self.sessions) || leased(&self.streams)
    }

    async fn request(
        &self,
        what: What,
        places: &Places,
        (held, want, limit): (u32, u32, u32),
    ) -> Result<(), ()> {
        let Some(mut connection) = self.fleet.connection() else {
            return Err(());
        };
        let asked = Instant::now();
        let lease = self.fleet.0.config.lease;
        let key = self.fleet.key(&format!("{}:{}", what.name(), self.holder));
        let answer: Result<(u32, u32), _> = Script::new(LEASE)
            .key(key)
            .arg(&self.fleet.0.relay)
            .arg(held)
            .arg(want)
            .arg(limit)
            .arg(lease.as_millis() as u64)
            .invoke_async(&mut connection)
            .await;
        self.fleet.0.metrics.count("lease", &answer);
        let (granted, others) = answer.map_err(|error| debug!(%error, "no lease"))?;
        let mut leased = places.leased();
        leased.granted = granted;
        leased.others = others;
        leased.limit = limit;
        leased.till = Some(asked + lease);
        leased.silent = None;
        Ok(())
    }

    /// What of it counts over all relays.
    fn places(&self, what: What) -> Option<&Places> {
        match what {
            What::Session => Some(&self.sessions),
            What::Stream => Some(&self.streams),
            What::Listener | What::Draining | What::LookUp => None,
        }
    }
}

impl Places {
    fn leased(&self) -> MutexGuard<'_, Leased> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leased {
    fn has_room(&self, held: u32, limit: u32) -> bool {
        self.till.is_some_and(|till| Instant::now() < till)
            && held < self.granted.min(limit.saturating_sub(self.others))
    }
}

/// How many more are asked for than are needed: few enough that the others aren't refused what nobody uses.
fn spare(limit: u32) -> u32 {
    (limit / 8).min(8)
}

fn take(held: &AtomicU32, room: u32) -> bool {
    let more = |held| (held < room).then(|| held + 1);
    held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_ok()
}
