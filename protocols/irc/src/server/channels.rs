//! Channels: joining and leaving, topics, names, modes.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{ChannelName, Command, MAX_MESSAGE, ModeTypes, Numeric, Text, Word};

use super::reply::{Reply, cut, star};
use super::state::{CASE, Capability, Channel, ClientId, Member, State, Topic};

/// How many channels a client may be in.
pub(super) const MAX_CHANNELS: usize = 20;
/// The longest channel name, in bytes.
pub(super) const MAX_CHANNEL_NAME: usize = 50;
/// The longest topic, in bytes.
pub(super) const MAX_TOPIC: usize = 300;
/// The longest reason for a kick, or for leaving, in bytes.
pub(super) const MAX_KICK: usize = 200;
/// Only operators and those with a voice may speak.
pub(super) const MODERATED: char = 'm';
/// Only members may speak.
pub(super) const NO_OUTSIDERS: char = 'n';
/// Only members may know of it.
const SECRET: char = 's';
/// Only operators may set the topic.
const TOPIC_BY_OPERATORS: char = 't';
/// The flags that a channel may have.
pub(super) const FLAGS: [char; 4] = [MODERATED, NO_OUTSIDERS, SECRET, TOPIC_BY_OPERATORS];
/// The longest channel key, in bytes.
const MAX_KEY: usize = 30;
/// How many channels one command may name; further ones are ignored.
const MAX_NAMED: usize = 10;
/// How many channels are listed.
const MAX_LISTED: usize = 200;

impl Channel {
    fn new(name: &Word, created: crate::codec::Timestamp) -> Self {
        Self {
            name: name.clone(),
            created,
            topic: None,
            members: BTreeMap::new(),
            flags: BTreeSet::from([NO_OUTSIDERS, TOPIC_BY_OPERATORS]),
            key: None,
            limit: None,
        }
    }

    fn is_operator(&self, id: ClientId) -> bool {
        self.members.get(&id).is_some_and(|member| member.operator)
    }

    /// Whether one who is no member may know of it.
    pub(super) fn is_visible_to(&self, id: ClientId) -> bool {
        !self.has(SECRET) || self.members.contains_key(&id)
    }

    /// Whether a flag is set.
    pub(super) fn has(&self, flag: char) -> bool {
        self.flags.contains(&flag)
    }

    /// The flags and settings, as RPL_CHANNELMODEIS has them; the key only for members.
    fn modes(&self, with_key: bool) -> Vec<String> {
        let mut letters = String::from("+");
        let mut params = Vec::new();
        if let Some(key) = &self.key {
            letters.push('k');
            params.push(if with_key {
                key.to_string()
            } else {
                "*".into()
            });
        }
        if let Some(limit) = self.limit {
            letters.push('l');
            params.push(limit.to_string());
        }
        letters.extend(&self.flags);
        params.insert(0, letters);
        params
    }
}

impl Member {
    /// The symbols in front of a member's name: all of them, or the highest.
    pub(super) fn symbols(self, all: bool) -> &'static str {
        match (self.operator, self.voice) {
            (true, true) if all => "@+",
            (true, _) => "@",
            (false, true) => "+",
            (false, false) => "",
        }
    }
}

impl State {
    pub(super) fn join(&mut self, id: ClientId, params: &[&str]) {
        let Some(&names) = params.first() else {
            return self.need_more_params(id, "JOIN");
        };
        if names == "0" {
            let channels = self.clients.get(&id).map(|client| client.channels.clone());
            for folded in channels.unwrap_or_default() {
                self.leave(id, &folded, "Left all channels");
            }
            return;
        }
        let mut keys = params.get(1).copied().unwrap_or_default().split(',');
        for name in names.split(',').take(MAX_NAMED) {
            let key = keys.next().unwrap_or_default();
            self.join_one(id, name, key);
        }
    }

    fn join_one(&mut self, id: ClientId, name: &str, key: &str) {
        let Some(name) = valid_channel(name) else {
            let numeric = Numeric::ERR_NOSUCHCHANNEL;
            return self.tell_about(id, numeric, name, "No such channel");
        };
        let folded = CASE.fold(&name);
        let now = self.now;
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.channels.contains(&folded) {
            return;
        }
        if client.channels.len() >= MAX_CHANNELS {
            let numeric = Numeric::ERR_TOOMANYCHANNELS;
            return self.tell_about(id, numeric, &name, "You have joined too many channels");
        }
        if let Some(channel) = self.channels.get(&folded) {
            if channel.key.as_ref().is_some_and(|right| *right != key) {
                let numeric = Numeric::ERR_BADCHANNELKEY;
                return self.tell_about(id, numeric, &name, "Cannot join channel (+k)");
            }
            let full = |limit| channel.members.len() >= limit as usize;
            if channel.limit.is_some_and(full) {
                let numeric = Numeric::ERR_CHANNELISFULL;
                return self.tell_about(id, numeric, &name, "Cannot join channel (+l)");
            }
        }
        client.channels.insert(folded.clone());
        let channel = self
            .channels
            .entry(folded.clone())
            .or_insert_with(|| Channel::new(&name, now));
        let member = Member {
            operator: channel.members.is_empty(),
            voice: false,
        };
        channel.members.insert(id, member);
        let name = channel.name.clone();
        let members: Vec<_> = channel.members.keys().copied().collect();
        let source = self.mask(id).unwrap_or_else(star);
        let joined = Reply::new(source, Command::Join).word(&name);
        self.send_to(members, &joined);
        self.send_topic(id, &folded, false);
        self.send_names(id, &folded);
    }

    pub(super) fn part(&mut self, id: ClientId, params: &[&str]) {
        let Some(&names) = params.first() else {
            return self.need_more_params(id, "PART");
        };
        let reason = params.get(1).copied().unwrap_or_default();
        for name in names.split(',').take(MAX_NAMED) {
            if let Some(folded) = self.own_channel(id, name) {
                self.leave(id, &folded, reason);
            }
        }
    }

    fn leave(&mut self, id: ClientId, folded: &str, reason: &str) {
        let source = self.mask(id).unwrap_or_else(star);
        let Some(channel) = self.channels.get(folded) else {
            return;
        };
        let mut left = Reply::new(source, Command::Part).word(&channel.name);
        if !reason.is_empty() {
            left = left.text(cut(reason, MAX_KICK));
        }
        let members: Vec<_> = channel.members.keys().copied().collect();
        self.send_to(members, &left);
        self.remove_member(folded, id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.channels.remove(folded);
        }
    }

    pub(super) fn topic(&mut self, id: ClientId, params: &[&str]) {
        let Some(&name) = params.first() else {
            return self.need_more_params(id, "TOPIC");
        };
        let Some(folded) = self.own_channel(id, name) else {
            return;
        };
        let Some(text) = params.get(1) else {
            return self.send_topic(id, &folded, true);
        };
        let (now, source) = (self.now, self.mask(id).unwrap_or_else(star));
        let Some(channel) = self.channels.get_mut(&folded) else {
            return;
        };
        if channel.has(TOPIC_BY_OPERATORS) && !channel.is_operator(id) {
            let numeric = Numeric::ERR_CHANOPRIVSNEEDED;
            return self.tell_about(id, numeric, name, "You're not a channel operator");
        }
        let text = cut(text, MAX_TOPIC);
        channel.topic = Text::new(text)
            .ok()
            .filter(|text| !text.is_empty())
            .map(|text| Topic {
                text,
                by: source.clone(),
                at: now,
            });
        let told = Reply::new(source, Command::Topic).word(&channel.name);
        let members: Vec<_> = channel.members.keys().copied().collect();
        self.send_to(members, &told.text(text));
    }

    /// Tells the topic, or where asked for it, that there is none.
    fn send_topic(&mut self, id: ClientId, folded: &str, asked: bool) {
        let Some(channel) = self.channels.get(folded) else {
            return;
        };
        let name = channel.name.clone();
        let Some(topic) = &channel.topic else {
            if asked {
                self.tell_about(id, Numeric::RPL_NOTOPIC, &name, "No topic is set");
            }
            return;
        };
        let by = topic.by.clone();
        let at = (topic.at.unix_millis() / 1000).to_string();
        let text = topic.text.clone();
        self.tell_about(id, Numeric::RPL_TOPIC, &name, &text);
        let reply = self.numeric(id, Numeric::RPL_TOPICWHOTIME);
        self.send(id, reply.word(&name).word(&by).word(&at));
    }

    pub(super) fn names(&mut self, id: ClientId, params: &[&str]) {
        let names = params.first().copied().unwrap_or("*");
        for name in names.split(',').take(MAX_NAMED) {
            let folded = CASE.fold(name);
            match self.channels.get(&folded) {
                Some(channel) if channel.is_visible_to(id) => self.send_names(id, &folded),
                _ => self.tell_about(id, Numeric::RPL_ENDOFNAMES, name, "End of /NAMES list"),
            }
        }
    }

    fn send_names(&mut self, id: ClientId, folded: &str) {
        let all = self.can(id, Capability::MultiPrefix);
        let Some(channel) = self.channels.get(folded) else {
            return;
        };
        let name = channel.name.clone();
        let kind = if channel.has(SECRET) { "@" } else { "=" };
        let names: Vec<String> = channel
            .members
            .iter()
            .map(|(member, rank)| format!("{}{}", rank.symbols(all), self.nick_of(*member)))
            .collect();
        // Half a line leaves room for all that stands in front.
        let mut lines = vec![String::new()];
        for name in names {
            match lines.last_mut() {
                Some(line) if line.is_empty() => *line = name,
                Some(line) if line.len() + name.len() < MAX_MESSAGE / 2 => {
                    line.push(' ');
                    line.push_str(&name);
                }
                _ => lines.push(name),
            }
        }
        for line in lines {
            let reply = self.numeric(id, Numeric::RPL_NAMREPLY);
            self.send(id, reply.word(kind).word(&name).text(&line));
        }
        self.tell_about(id, Numeric::RPL_ENDOFNAMES, &name, "End of /NAMES list");
    }

    pub(super) fn list(&mut self, id: ClientId, _params: &[&str]) {
        let entries: Vec<_> = self
            .channels
            .values()
            .filter(|channel| channel.is_visible_to(id))
            .take(MAX_LISTED)
            .map(|channel| {
                let topic = channel.topic.as_ref();
                let topic = topic.map_or_else(Text::empty, |topic| topic.text.clone());
                (channel.name.clone(), channel.members.len(), topic)
            })
            .collect();
        for (name, count, topic) in entries {
            let reply = self.numeric(id, Numeric::RPL_LIST).word(&name);
            self.send(id, reply.word(&count.to_string()).text(&topic));
        }
        self.tell(id, Numeric::RPL_LISTEND, "End of /LIST");
    }

    pub(super) fn kick(&mut self, id: ClientId, params: &[&str]) {
        let &[name, nick, ..] = params else {
            return self.need_more_params(id, "KICK");
        };
        let Some(folded) = self.own_channel(id, name) else {
            return;
        };
        let target = self.find(nick);
        let Some(channel) = self.channels.get(&folded) else {
            return;
        };
        if !channel.is_operator(id) {
            let numeric = Numeric::ERR_CHANOPRIVSNEEDED;
            return self.tell_about(id, numeric, name, "You're not a channel operator");
        }
        let Some(target) = target.filter(|target| channel.members.contains_key(target)) else {
            let reply = self.numeric(id, Numeric::ERR_USERNOTINCHANNEL);
            let reply = reply.word(nick).word(name);
            return self.send(id, reply.text("They aren't on that channel"));
        };
        let members: Vec<_> = channel.members.keys().copied().collect();
        let source = self.mask(id).unwrap_or_else(star);
        let reason = match params.get(2) {
            Some(reason) => cut(reason, MAX_KICK).to_owned(),
            None => self.nick_of(id).to_string(),
        };
        let told = Reply::new(source, Command::Kick).word(&channel.name);
        let told = told.word(&self.nick_of(target)).text(&reason);
        self.send_to(members, &told);
        self.remove_member(&folded, target);
        if let Some(client) = self.clients.get_mut(&target) {
            client.channels.remove(&folded);
        }
    }

    pub(super) fn mode(&mut self, id: ClientId, params: &[&str]) {
        let Some(&target) = params.first() else {
            return self.need_more_params(id, "MODE");
        };
        if !target.starts_with('#') {
            return self.user_mode(id, target, params.get(1).copied());
        }
        let folded = CASE.fold(target);
        let Some(channel) = self.channels.get(&folded) else {
            let numeric = Numeric::ERR_NOSUCHCHANNEL;
            return self.tell_about(id, numeric, target, "No such channel");
        };
        let Some(modes) = params.get(1) else {
            let name = channel.name.clone();
            let created = (channel.created.unix_millis() / 1000).to_string();
            let modes = channel.modes(channel.members.contains_key(&id));
            let reply = self.numeric(id, Numeric::RPL_CHANNELMODEIS).word(&name);
            let reply = modes.iter().fold(reply, |reply, mode| reply.word(mode));
            self.send(id, reply);
            let reply = self.numeric(id, Numeric::RPL_CREATIONTIME);
            return self.send(id, reply.word(&name).word(&created));
        };
        if !channel.is_operator(id) {
            let numeric = Numeric::ERR_CHANOPRIVSNEEDED;
            return self.tell_about(id, numeric, target, "You're not a channel operator");
        }
        self.change_modes(id, &folded, modes, params.get(2..).unwrap_or_default());
    }

    fn user_mode(&mut self, id: ClientId, target: &str, change: Option<&str>) {
        if self.find(target) != Some(id) {
            let text = "Can't look at or change modes of other users";
            return self.tell(id, Numeric::ERR_USERSDONTMATCH, text);
        }
        match change {
            None => {
                let reply = self.numeric(id, Numeric::RPL_UMODEIS).word("+");
                self.send(id, reply);
            }
            Some(_) => self.tell(id, Numeric::ERR_UMODEUNKNOWNFLAG, "Unknown mode"),
        }
    }

    fn change_modes(&mut self, id: ClientId, folded: &str, modes: &str, params: &[&str]) {
        let mut types = ModeTypes::default();
        types.set_chanmodes(",k,l,mnst");
        let mut letters = String::new();
        let mut shown: Vec<String> = Vec::new();
        let mut sign = None;
        for change in types.parse(modes, params.iter().copied()) {
            let Some(param) = self.change_mode(id, folded, &change) else {
                continue;
            };
            if sign != Some(change.add) {
                letters.push(if change.add { '+' } else { '-' });
                sign = Some(change.add);
            }
            letters.push(change.mode);
            if !param.is_empty() {
                shown.push(param);
            }
        }
        let Some(channel) = self.channels.get(folded) else {
            return;
        };
        if letters.is_empty() {
            return;
        }
        let members: Vec<_> = channel.members.keys().copied().collect();
        let source = self.mask(id).unwrap_or_else(star);
        let told = Reply::new(source, Command::Mode).word(&channel.name);
        let told = told.word(&letters);
        let told = shown.iter().fold(told, |told, param| told.word(param));
        self.send_to(members, &told);
    }

    /// Makes one change. Gives its parameter as it is told to the members, empty where it has
    /// none; nothing where nothing changed.
    fn change_mode(
        &mut self,
        id: ClientId,
        folded: &str,
        change: &crate::codec::ModeChange,
    ) -> Option<String> {
        let add = change.add;
        if matches!(change.mode, 'o' | 'v') {
            let nick = change.param.as_deref()?;
            let target = self.find(nick);
            let shown = target.map(|target| self.nick_of(target).to_string());
            let channel = self.channels.get_mut(folded)?;
            let name = channel.name.clone();
            let Some(member) = target.and_then(|target| channel.members.get_mut(&target)) else {
                let reply = self.numeric(id, Numeric::ERR_USERNOTINCHANNEL);
                let reply = reply.word(nick).word(&name);
                self.send(id, reply.text("They aren't on that channel"));
                return None;
            };
            let rank = if change.mode == 'o' {
                &mut member.operator
            } else {
                &mut member.voice
            };
            return (std::mem::replace(rank, add) != add)
                .then_some(shown)
                .flatten();
        }
        let channel = self.channels.get_mut(folded)?;
        match change.mode {
            flag if FLAGS.contains(&flag) => {
                let changed = if add {
                    channel.flags.insert(flag)
                } else {
                    channel.flags.remove(&flag)
                };
                changed.then(String::new)
            }
            'k' if add => {
                let key = change.param.as_deref()?;
                let valid = key.len() <= MAX_KEY && !key.contains(',');
                let key = valid.then(|| Word::new(key).ok()).flatten()?;
                channel.key = Some(key.clone());
                Some(key.to_string())
            }
            'k' => channel.key.take().map(|_| "*".to_owned()),
            'l' if add => {
                let limit = change.param.as_deref()?.parse().ok().filter(|it| *it > 0)?;
                channel.limit = Some(limit);
                Some(limit.to_string())
            }
            'l' => channel.limit.take().map(|_| String::new()),
            other => {
                let numeric = Numeric::ERR_UNKNOWNMODE;
                self.tell_about(id, numeric, &other.to_string(), "is an unknown mode");
                None
            }
        }
    }

    /// The folded name of a channel that a client is in; tells it where it is not.
    fn own_channel(&mut self, id: ClientId, name: &str) -> Option<String> {
        let folded = CASE.fold(name);
        let Some(channel) = self.channels.get(&folded) else {
            let numeric = Numeric::ERR_NOSUCHCHANNEL;
            self.tell_about(id, numeric, name, "No such channel");
            return None;
        };
        if !channel.members.contains_key(&id) {
            let numeric = Numeric::ERR_NOTONCHANNEL;
            self.tell_about(id, numeric, name, "You're not on that channel");
            return None;
        }
        Some(folded)
    }
}

fn valid_channel(name: &str) -> Option<Word> {
    let name = ChannelName::new(name).ok()?;
    let valid = name.starts_with('#') && name.len() <= MAX_CHANNEL_NAME;
    valid.then(|| Word::from(name))
}
