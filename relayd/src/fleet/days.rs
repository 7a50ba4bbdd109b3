//! Days: how much this relay may carry of what a day gives all relays.
//!
//! What it leases is counted at once as carried, at all relays, so that what nobody gives back, since a relay
//! died, is lost for the day. It is little: a 64th of the limit, and 64 MiB at most. The count stays for two
//! days, for whoever wants to know what was used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Script;
use tokio::time::Instant;
use tracing::debug;

use super::Fleet;
use crate::calendar;
use crate::config::WhenGone;
use crate::limits::Left;

/// The least and the most that is leased at a time, in bytes.
const CHUNK: (u64, u64) = (64 * 1024, 64 * 1024 * 1024);
/// For how long it isn't asked again when nothing was left, or nobody has answered.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts what was carried without a lease, and gives more, as long as there is some.
///
/// The count of a day; what was carried without a lease, how much is wanted, how much all may carry.
const CARRY: &str = "\
    local debt = tonumber(ARGV[1])
    local used = tonumber(redis.call('GET', KEYS[1]) or 0) + debt
    local more = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - used))
    local all = string.format('%.0f', debt + more)
    if all ~= '0' then
        redis.call('INCRBY', KEYS[1], all)
        redis.call('EXPIRE', KEYS[1], 172800)
    end
    return all";

/// What one holder may carry here.
#[derive(Debug)]
pub(super) struct Days {
    fleet: Fleet,
    holder: String,
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    /// In days since 1970.
    day: u64,
    /// How much was leased on that day, in bytes.
    leased: u64,
    /// Whether it is being asked for more.
    asks: bool,
    /// Until when it isn't asked: nothing is left, or nobody answers.
    pause: Option<(Instant, Pause)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Empty,
    Unanswered,
}

impl Days {
    pub(super) fn new(fleet: Fleet, holder: String) -> Self {
        Self {
            fleet,
            holder,
            today: Mutex::default(),
        }
    }

    /// What is left of a day of which so much may be carried at all relays, and this one has carried so much. It
    /// asks for more beside what goes on.
    pub(super) fn left(self: &Arc<Self>, day: u64, limit: u64, carried: u64) -> Left {
        let mut today = self.today();
        if today.day != day {
            *today = Today {
                day,
                ..Today::default()
            };
        }
        let chunk = (limit / 64).clamp(CHUNK.0, CHUNK.1);
        let left = today.leased.saturating_sub(carried);
        let now = Instant::now();
        let pause = today.pause.filter(|(till, _)| now < *till);
        let gone = !self.fleet.is_there();
        if left < chunk / 2 && !today.asks && pause.is_none() && !gone {
            today.asks = true;
            let debt = carried.saturating_sub(today.leased);
            tokio::spawn(Arc::clone(self).ask(day, (debt, chunk, limit)));
        }
        match pause {
            _ if left > 0 => Left::Bytes(left),
            Some((_, Pause::Empty)) => Left::Nothing,
            Some((_, Pause::Unanswered)) => self.unknown(),
            None if gone => self.unknown(),
            None => Left::Asked,
        }
    }

    /// Gives back what isn't carried of that day, at the end.
    pub(super) async fn give_back(&self, day: u64, carried: u64) {
        let unused = {
            let mut today = self.today();
            let unused = today.leased.saturating_sub(carried);
            if today.day != day || unused == 0 {
                return;
            }
            today.leased = carried;
            unused
        };
        if let Some(mut connection) = self.fleet.connection() {
            let mut give = redis::cmd("DECRBY");
            give.arg(self.key(day)).arg(unused);
            let given = give.exec_async(&mut connection).await;
            self.fleet.0.metrics.count("give_back", &given);
        }
    }

    async fn ask(self: Arc<Self>, day: u64, (debt, chunk, limit): (u64, u64, u64)) {
        let more = self.request(day, (debt, chunk, limit)).await;
        let mut today = self.today();
        if today.day != day {
            return;
        }
        today.asks = false;
        let pause = match more {
            Ok(more) => {
                today.leased = today.leased.saturating_add(more);
                (more <= debt).then_some(Pause::Empty)
            }
            Err(()) => Some(Pause::Unanswered),
        };
        today.pause = pause.map(|why| (Instant::now() + PAUSE, why));
    }

    async fn request(&self, day: u64, (debt, chunk, limit): (u64, u64, u64)) -> Result<u64, ()> {
        let mut connection = self.fleet.connection().ok_or(())?;
        let more: Result<u64, _> = Script::new(CARRY)
            .key(self.key(day))
            .arg(debt)
            .arg(chunk)
            .arg(limit)
            .invoke_async(&mut connection)
            .await;
        self.fleet.0.metrics.count("carry", &more);
        more.map_err(|error| debug!(%error, "no lease of a day"))
    }

    fn unknown(&self) -> Left {
        match self.fleet.0.config.quotas {
            WhenGone::Allow => Left::Own,
            WhenGone::Deny => Left::Unknown,
        }
    }

    fn key(&self, day: u64) -> String {
        self.fleet
            .key(&format!("bytes:{}:{}", date(day), self.holder))
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The date of a day since 1970, as 2030-01-31.
fn date(day: u64) -> String {
    let (year, month, day) = calendar::date(day);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_date() {
        for (day, expected) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_787, "2026-11-30"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(day), expected);
        }
    }
}
