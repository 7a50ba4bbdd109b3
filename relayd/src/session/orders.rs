//! What a session shows of itself, and does when it is told from outside.

use jackfield_relay_wire::Id;

use super::Session;
use crate::record::Shown;
use crate::registry::{Order, Tally};

impl Session<'_> {
    /// Shows others what there is.
    pub(super) fn publish(&self) {
        let counters = &self.counters;
        self.entered.publish(Tally {
            bytes_up: counters.bytes_up,
            bytes_down: counters.bytes_down,
            datagrams_up: counters.datagrams_up,
            datagrams_down: counters.datagrams_down,
            datagrams_dropped: counters.datagrams_dropped,
            open: self.items.len() as u64,
        });
    }

    /// Does what it is asked from outside.
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::End(reason) if self.mux.closed().is_none() => {
                self.killed = true;
                self.mux.shut_down(&reason);
            }
            // Its client is gone already.
            Order::End(_) => self.give_up(),
            // Nobody may wait for it any more.
            Order::Show { after, most, reply } => drop(reply.send(self.show(after, most))),
        }
    }

    /// What hangs on it, by identifiers.
    fn show(&self, after: u32, most: usize) -> Vec<Shown> {
        let mut ids: Vec<Id> = self.items.keys().copied().collect();
        ids.retain(|id| id.get() > after);
        ids.sort_unstable_by_key(|id| id.get());
        let items = ids.iter().filter_map(|id| self.items.get(id));
        items.take(most).map(|entry| entry.case.shown()).collect()
    }
}
