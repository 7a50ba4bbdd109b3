//! Shedding: what a session gives up while all sessions together hold too much (`max_buffer_bytes`).
//!
//! Beyond that limit nothing new is taken. Whoever wants it to stay so has targets that take nothing, and
//! goes on sending to them: that is in nobody's way but the relay's. So a session that holds more than its
//! part ends what holds most of it, and the clients of others come in again.

use jackfield_relay_wire::{Code, Id, Reason};
use tokio::time::{Duration, Instant};
use tracing::info;

use super::{Item, Session};
use crate::budget::Excess;

/// What would take longer than this to leave, at its pace of late, is ended first.
const STALE: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// Counts what the session holds. Whether it had to give something up at once.
    pub(super) fn weigh(&mut self, now: Instant) -> bool {
        self.held.set(self.mux.held());
        if self.shed_at.is_none() && self.held.bytes() > 0 {
            self.shed_at = Some(now + STALE);
        }
        match self.held.excess() {
            Some(excess) if excess.urgent => self.shed(&excess),
            _ => false,
        }
    }

    /// Ends what is stale, where too much is held. Whether there was something to end.
    pub(super) fn shed_stale(&mut self, now: Instant) -> bool {
        let shed = self.held.excess().is_some_and(|excess| self.shed(&excess));
        for entry in self.items.values_mut() {
            entry.mark = entry.case.moved();
        }
        self.shed_at = (self.held.bytes() > 0).then(|| now + STALE);
        shed
    }

    fn shed(&mut self, excess: &Excess) -> bool {
        let stays = |id: &Id| {
            let held = self.mux.held_by(*id);
            let entry = self.items.get(id).filter(|_| !excess.urgent);
            let moved = entry.map_or(0, |entry| entry.case.moved() - entry.mark);
            held.saturating_sub(moved)
        };
        let mut heaviest: Vec<_> = self.items.keys().map(|id| (stays(id), *id)).collect();
        heaviest.retain(|(stays, _)| *stays > 0);
        heaviest.sort_unstable_by(|one, other| other.cmp(one));
        let reason = Reason::new(Code::LIMIT_EXCEEDED, &excess.limit.to_string());
        let mut left = excess.bytes;
        let mut shed = false;
        for (_, id) in heaviest {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(self.mux.held_by(id));
            self.give_up_one(id, &reason);
            shed = true;
        }
        self.held.set(self.mux.held());
        shed
    }

    fn give_up_one(&mut self, id: Id, reason: &Reason) {
        if let Some(entry) = self.items.get_mut(&id) {
            info!(%id, %reason, "ended what holds most");
            if matches!(&entry.item, Item::Stream(pump) if pump.is_draining()) {
                self.counters.undelivered += 1;
                entry.case.undelivered();
            }
            entry.case.ending(reason);
        }
        self.mux.reset(id, reason);
        self.remove(id);
    }
}
