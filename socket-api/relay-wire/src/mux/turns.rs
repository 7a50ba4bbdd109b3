//! Turns: who may send next.
//!
//! Everyone with something to send has one frame a turn. Whoever had nothing for a whole round goes
//! first, once: a keystroke passes the bulk transfers, and a stream that comes and goes can't
//! starve them (the scheme of FQ-CoDel's new and old flows, RFC 8290, section 4.2).

use std::collections::VecDeque;

use jackfield_socket::sorted::SortedSet;

use crate::Id;

#[derive(Debug, Default)]
pub(super) struct Turns {
    fresh: VecDeque<Id>,
    round: VecDeque<Id>,
    members: SortedSet<Id>,
}

impl Turns {
    /// This one has something to send.
    pub(super) fn wake(&mut self, id: Id) {
        if self.members.insert(id) {
            self.fresh.push_back(id);
        }
    }

    /// Whose turn it is. [`again`](Self::again) or [`leave`](Self::leave) must follow.
    pub(super) fn next(&mut self) -> Option<Id> {
        self.fresh.pop_front().or_else(|| self.round.pop_front())
    }

    /// It has had its turn, and stands at the end of the round, even if it has nothing left: only
    /// after the round it counts as fresh again.
    pub(super) fn again(&mut self, id: Id) {
        self.round.push_back(id);
    }

    /// It had nothing.
    pub(super) fn leave(&mut self, id: Id) {
        self.members.remove(&id);
    }

    /// It is gone, wherever it stands.
    pub(super) fn remove(&mut self, id: Id) {
        if self.members.remove(&id) {
            self.fresh.retain(|waiting| *waiting != id);
            self.round.retain(|waiting| *waiting != id);
        }
    }

    /// How many wait or are remembered.
    #[cfg(any(test, feature = "oracle"))]
    pub(super) fn len(&self) -> usize {
        self.members.len().max(self.fresh.len() + self.round.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
