//! State of a client that outlives its connections: as whom it comes back, whether it is away, and
//! in which channels it is to be.

use std::collections::VecDeque;

use crate::codec::{CaseMapping, ChannelName, Command, Nickname, Text, Word};
use crate::core::{Config, Request};

/// What is to be again after a connection was lost.
#[derive(Debug)]
pub(super) struct Rejoin {
    nick: Nickname,
    /// Whether this client has had the nickname: who has it then is its own former connection.
    nick_was_held: bool,
    /// What was asked for in a line of the user's own, and may be refused.
    asked_nick: Option<Nickname>,
    real_name: Text,
    away: Option<Text>,
    limit: usize,
    /// In the order they were entered, with the keys that opened them.
    channels: Vec<(ChannelName, Option<Word>)>,
    /// Keys of channels that were asked for, of which nothing is known yet.
    keys: VecDeque<(ChannelName, Word)>,
}

/// What a request changes for good, once it is done.
#[derive(Debug)]
pub(super) enum Lasting {
    Nick(Nickname),
    RealName(Text),
    Away(Option<Text>),
}

/// Keys that wait for their channels to be entered.
const MAX_KEYS: usize = 32;

impl Rejoin {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            nick: config.nick.clone(),
            nick_was_held: false,
            asked_nick: None,
            real_name: config.real_name.clone(),
            away: None,
            limit: config.limits.max_channels,
            channels: Vec::new(),
            keys: VecDeque::new(),
        }
    }

    /// The configuration of the next session.
    pub(super) fn config(&self, first: &Config) -> Config {
        let mut config = first.clone();
        if self.nick != first.nick {
            config.alternatives.retain(|nick| *nick != self.nick);
            config.alternatives.insert(0, first.nick.clone());
            config.nick = self.nick.clone();
        }
        config.regain_nick |= self.nick_was_held;
        config.real_name = self.real_name.clone();
        config
    }

    /// The text to be away with.
    pub(super) fn away(&self) -> Option<&Text> {
        self.away.as_ref()
    }

    /// Notes what is asked for, as far as its outcome won't tell.
    pub(super) fn ask(&mut self, request: &Request) {
        match request {
            Request::Join {
                channel,
                key: Some(key),
            } => {
                if self.keys.len() == MAX_KEYS {
                    self.keys.pop_front();
                }
                self.keys.push_back((channel.clone(), key.clone()));
            }
            // It is done when it is sent.
            Request::Raw(message) if message.view().command() == Command::Nick => {
                let nick = message.view().params().next().map(Nickname::new);
                self.asked_nick = nick.and_then(Result::ok);
            }
            _ => {}
        }
    }

    /// A request is done.
    pub(super) fn keep(&mut self, lasting: Lasting) {
        match lasting {
            Lasting::Nick(nick) => {
                self.nick = nick;
                self.nick_was_held = true;
            }
            Lasting::RealName(name) => self.real_name = name,
            Lasting::Away(text) => self.away = text,
        }
    }

    /// This client has this nickname now. One that the server gave it is not what it comes back as.
    pub(super) fn has_nick(&mut self, mapping: CaseMapping, nick: &Nickname) {
        if let Some(asked) = self.asked_nick.take_if(|asked| mapping.eq(asked, nick)) {
            self.nick = asked;
        }
        self.nick_was_held |= mapping.eq(&self.nick, nick);
    }

    pub(super) fn channels(&self) -> VecDeque<(ChannelName, Option<Word>)> {
        self.channels.iter().cloned().collect()
    }

    pub(super) fn add(&mut self, mapping: CaseMapping, channel: &ChannelName) {
        let asked = self
            .keys
            .iter()
            .position(|(name, _)| mapping.eq(name, channel));
        let key = asked
            .and_then(|at| self.keys.remove(at))
            .map(|(_, key)| key);
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

impl Lasting {
    /// What a request changes for good.
    pub(super) fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Nick(nick) => Some(Self::Nick(nick.clone())),
            Request::SetRealName(name) => Some(Self::RealName(name.clone())),
            // An empty text means to come back.
            Request::Away(text) => Some(Self::Away(text.clone().filter(|text| !text.is_empty()))),
            Request::Raw(message) if message.view().command() == Command::Away => {
                let text = message.view().params().next().map(Text::new);
                let text = text.and_then(Result::ok);
                Some(Self::Away(text.filter(|text| !text.is_empty())))
            }
            _ => None,
        }
    }
}
