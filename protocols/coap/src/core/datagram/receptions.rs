//! Receptions: what has been received lately, so that a duplicate is known, and answered as the
//! first was.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::HashMap;
use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::codec::MessageId;
use crate::core::SortedMap;

/// The messages that were received within their lifetime, and how they were answered. At most so
/// many, and so many bytes of answers: beyond it, the oldest are forgotten.
#[derive(Debug)]
pub(super) struct Receptions {
    by_key: HashMap<(Peer, MessageId), u64>,
    entries: SortedMap<u64, Entry>,
    /// By the time at which they expire, for each of the two lifetimes.
    confirmable: VecDeque<(Instant, u64)>,
    non_confirmable: VecDeque<(Instant, u64)>,
    answer_bytes: usize,
    max_entries: usize,
    max_answer_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    key: (Peer, MessageId),
    /// The acknowledgement or reset that was sent.
    answer: Option<Vec<u8>>,
    /// When it is acknowledged, unless something else happens before.
    acknowledge_at: Option<Instant>,
}

/// What is known about a message by its id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is new.
    New,
    /// It was received, and not answered.
    Unanswered,
    /// It was received as this, and answered.
    Answered(u64),
}

impl Receptions {
    pub(super) fn new(max_entries: usize, max_answer_bytes: usize) -> Self {
        Self {
            by_key: HashMap::default(),
            entries: SortedMap::new(),
            confirmable: VecDeque::new(),
            non_confirmable: VecDeque::new(),
            answer_bytes: 0,
            max_entries: max_entries.max(1),
            max_answer_bytes,
        }
    }

    /// What is known about this message; what has expired is not.
    pub(super) fn look_up(&mut self, now: Instant, key: (Peer, MessageId)) -> Known {
        for queue in [&mut self.confirmable, &mut self.non_confirmable] {
            while let Some((_, id)) = queue.pop_front_if(|(expires, _)| *expires <= now) {
                if let Some(entry) = self.entries.remove(&id) {
                    self.by_key.remove(&entry.key);
                    self.answer_bytes -= entry.answer.map_or(0, |answer| answer.len());
                }
            }
        }
        let Some(id) = self.by_key.get(&key) else {
            return Known::New;
        };
        match self.entries.get(id) {
            Some(Entry {
                answer: Some(_), ..
            }) => Known::Answered(*id),
            _ => Known::Unanswered,
        }
    }

    /// Whether there is room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.max_entries
    }

    /// Remembers a message; `acknowledge_at` says that it is confirmable.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        lifetime: Duration,
        key: (Peer, MessageId),
        id: u64,
        acknowledge_at: Option<Instant>,
    ) {
        let queue = match acknowledge_at {
            Some(_) => &mut self.confirmable,
            None => &mut self.non_confirmable,
        };
        queue.push_back((now + lifetime, id));
        self.by_key.insert(key, id);
        let entry = Entry {
            key,
            answer: None,
            acknowledge_at,
        };
        self.entries.insert(id, entry);
    }

    /// The oldest, if it is to make room for another.
    pub(super) fn oldest(&self) -> Option<u64> {
        // Ids grow.
        [&self.confirmable, &self.non_confirmable]
            .into_iter()
            .filter_map(|queue| queue.front())
            .map(|(_, id)| *id)
            .min()
    }

    /// Forgets the oldest.
    pub(super) fn remove_oldest(&mut self) {
        let Some(id) = self.oldest() else { return };
        for queue in [&mut self.confirmable, &mut self.non_confirmable] {
            queue.pop_front_if(|(_, other)| *other == id);
        }
        if let Some(entry) = self.entries.remove(&id) {
            self.by_key.remove(&entry.key);
            self.answer_bytes -= entry.answer.map_or(0, |answer| answer.len());
        }
    }

    /// Who sent it, with which id.
    pub(super) fn key(&self, id: u64) -> Option<(Peer, MessageId)> {
        self.entries.get(&id).map(|entry| entry.key)
    }

    /// The answer that was given to it.
    pub(super) fn answer(&self, id: u64) -> Option<&[u8]> {
        self.entries.get(&id)?.answer.as_deref()
    }

    /// When it is to be acknowledged, where nothing has happened with it yet.
    pub(super) fn acknowledge_at(&self, id: u64) -> Option<Instant> {
        self.entries.get(&id)?.acknowledge_at
    }

    /// Keeps the answer to it for its duplicates.
    pub(super) fn set_answer(&mut self, id: u64, answer: Vec<u8>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        self.answer_bytes += answer.len();
        self.answer_bytes -= entry.answer.replace(answer).map_or(0, |old| old.len());
        entry.acknowledge_at = None;
        while self.answer_bytes > self.max_answer_bytes
            && self.oldest().is_some_and(|oldest| {
                // The answer that is about to be sent stays, and so does what has to be answered.
                oldest != id && self.acknowledge_at(oldest).is_none()
            })
        {
            self.remove_oldest();
        }
    }
}
