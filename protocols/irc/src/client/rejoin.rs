//! Where a client that comes back is to be.

use std::collections::VecDeque;

use crate::codec::{CaseMapping, ChannelName, Word};

/// The channels to be in, in the order they were entered, with the keys that opened them.
#[derive(Debug)]
pub(super) struct Rejoin {
    limit: usize,
    channels: Vec<(ChannelName, Option<Word>)>,
    /// Keys of channels that were asked for, of which nothing is known yet.
    keys: VecDeque<(ChannelName, Word)>,
}

/// Keys that wait for their channels to be entered.
const MAX_KEYS: usize = 32;

impl Rejoin {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            channels: Vec::new(),
            keys: VecDeque::new(),
        }
    }

    pub(super) fn all(&self) -> VecDeque<(ChannelName, Option<Word>)> {
        self.channels.iter().cloned().collect()
    }

    pub(super) fn remember_key(&mut self, channel: &ChannelName, key: Option<&Word>) {
        if let Some(key) = key {
            if self.keys.len() == MAX_KEYS {
                self.keys.pop_front();
            }
            self.keys.push_back((channel.clone(), key.clone()));
        }
    }

    pub(super) fn add(&mut self, mapping: CaseMapping, channel: &ChannelName, key: Option<Word>) {
        let asked = self
            .keys
            .iter()
            .position(|(name, _)| mapping.eq(name, channel));
        let asked = asked
            .and_then(|at| self.keys.remove(at))
            .map(|(_, key)| key);
        let key = key.or(asked);
        let room = self.channels.len() < self.limit;
        let known = self
            .channels
            .iter_mut()
            .find(|(name, _)| mapping.eq(name, channel));
        match known {
            Some((_, known_key)) => *known_key = key.or(known_key.take()),
            None if room => self.channels.push((channel.clone(), key)),
            None => {}
        }
    }

    pub(super) fn remove(&mut self, mapping: CaseMapping, channel: &ChannelName) {
        self.channels.retain(|(name, _)| !mapping.eq(name, channel));
    }
}
