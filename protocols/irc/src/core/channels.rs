//! The channels that this client is in, and who else is.

use std::collections::BTreeMap;

use super::{ISupport, Joined, Limits};
use crate::codec::{ChannelName, ModeTypes, Nickname, SourceRef};

/// A channel that this client is in.
#[derive(Clone, Debug)]
pub struct Channel {
    name: ChannelName,
    topic: Option<String>,
    members: BTreeMap<String, Member>,
    /// The list that is arriving, and will replace `members`.
    listing: Option<BTreeMap<String, Member>>,
}

/// Someone in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The nickname.
    pub nick: Nickname,
    /// The symbols of the ranks, the highest first: `@+`. Where the server lacks IRCv3
    /// multi-prefix, only the highest is known at first.
    pub symbols: String,
    /// The account, where the server says it.
    pub account: Option<String>,
    /// Whether known to be away.
    pub away: bool,
}

impl Channel {
    /// Its name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Its topic.
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    /// Its members, in the order of their folded nicknames.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// What there is to tell about it.
    pub(super) fn snapshot(&self) -> Joined {
        Joined {
            topic: self.topic.clone(),
            members: self.members().cloned().collect(),
        }
    }

    pub(super) fn set_topic(&mut self, topic: Option<String>) {
        self.topic = topic;
    }
}

impl Member {
    fn new(nick: Nickname) -> Self {
        Self {
            nick,
            symbols: String::new(),
            account: None,
            away: false,
        }
    }
}

/// All channels. Keys are folded names.
#[derive(Debug)]
pub(super) struct Channels {
    by_name: BTreeMap<String, Channel>,
    limits: Limits,
    /// Members in all channels, lists that are arriving included.
    members: usize,
}

impl Channels {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            by_name: BTreeMap::new(),
            limits: *limits,
            members: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.by_name.values()
    }

    pub(super) fn get(&self, isupport: &ISupport, name: &str) -> Option<&Channel> {
        self.by_name.get(&isupport.case_mapping.fold(name))
    }

    pub(super) fn get_mut(&mut self, isupport: &ISupport, name: &str) -> Option<&mut Channel> {
        self.by_name.get_mut(&isupport.case_mapping.fold(name))
    }

    /// Enters a channel; false where the limit forbids it.
    pub(super) fn enter(&mut self, isupport: &ISupport, name: &ChannelName) -> bool {
        let key = isupport.case_mapping.fold(name);
        if !self.by_name.contains_key(&key) && self.by_name.len() >= self.limits.max_channels {
            return false;
        }
        self.leave(isupport, name);
        let channel = Channel {
            name: name.clone(),
            topic: None,
            members: BTreeMap::new(),
            listing: None,
        };
        self.by_name.insert(key, channel);
        true
    }

    /// Leaves a channel; false where this client was not in it.
    pub(super) fn leave(&mut self, isupport: &ISupport, name: &str) -> bool {
        let left = self.by_name.remove(&isupport.case_mapping.fold(name));
        if let Some(channel) = &left {
            self.members -= channel.members.len();
            self.members -= channel.listing.as_ref().map_or(0, BTreeMap::len);
        }
        left.is_some()
    }

    /// Adds someone to a channel.
    pub(super) fn add(
        &mut self,
        isupport: &ISupport,
        channel: &str,
        nick: &Nickname,
        account: Option<String>,
    ) {
        let Some(channel) = self.by_name.get_mut(&isupport.case_mapping.fold(channel)) else {
            return;
        };
        let mut member = Member::new(nick.clone());
        member.account = account;
        let key = isupport.case_mapping.fold(nick);
        if let Some(listing) = &mut channel.listing
            && (listing.contains_key(&key) || self.members < self.limits.max_members)
            && listing.insert(key.clone(), member.clone()).is_none()
        {
            self.members += 1;
        }
        if (channel.members.contains_key(&key) || self.members < self.limits.max_members)
            && channel.members.insert(key, member).is_none()
        {
            self.members += 1;
        }
    }

    /// Removes someone from a channel; false where they were not known to be in it.
    pub(super) fn remove(&mut self, isupport: &ISupport, channel: &str, nick: &str) -> bool {
        let key = isupport.case_mapping.fold(nick);
        match self.by_name.get_mut(&isupport.case_mapping.fold(channel)) {
            Some(channel) => remove_from(channel, &mut self.members, &key),
            None => false,
        }
    }

    /// Removes someone from all channels; returns where they were.
    pub(super) fn remove_everywhere(
        &mut self,
        isupport: &ISupport,
        nick: &str,
    ) -> Vec<ChannelName> {
        let key = isupport.case_mapping.fold(nick);
        let mut were_in = Vec::new();
        for channel in self.by_name.values_mut() {
            if remove_from(channel, &mut self.members, &key) {
                were_in.push(channel.name.clone());
            }
        }
        were_in
    }

    /// Renames someone everywhere; returns where they are.
    pub(super) fn rename(
        &mut self,
        isupport: &ISupport,
        from: &str,
        to: &Nickname,
    ) -> Vec<ChannelName> {
        let old = isupport.case_mapping.fold(from);
        let new = isupport.case_mapping.fold(to);
        let mut are_in = Vec::new();
        for channel in self.by_name.values_mut() {
            let lists = [Some(&mut channel.members), channel.listing.as_mut()];
            let mut found = false;
            for list in lists.into_iter().flatten() {
                if let Some(mut member) = list.remove(&old) {
                    found = true;
                    member.nick = to.clone();
                    if list.insert(new.clone(), member).is_some() {
                        self.members -= 1;
                    }
                }
            }
            if found {
                are_in.push(channel.name.clone());
            }
        }
        are_in
    }

    /// Changes what is known about someone, wherever they are.
    pub(super) fn update(
        &mut self,
        isupport: &ISupport,
        nick: &str,
        mut change: impl FnMut(&mut Member),
    ) {
        let key = isupport.case_mapping.fold(nick);
        for channel in self.by_name.values_mut() {
            let lists = [Some(&mut channel.members), channel.listing.as_mut()];
            for list in lists.into_iter().flatten() {
                if let Some(member) = list.get_mut(&key) {
                    change(member);
                }
            }
        }
    }

    /// Gives someone a rank, or takes it; returns the member as it is now.
    pub(super) fn set_rank(
        &mut self,
        isupport: &ISupport,
        channel: &str,
        nick: &str,
        symbol: char,
        add: bool,
    ) -> Option<&Member> {
        let key = isupport.case_mapping.fold(nick);
        let channel = self.by_name.get_mut(&isupport.case_mapping.fold(channel))?;
        if let Some(member) = channel.listing.as_mut().and_then(|list| list.get_mut(&key)) {
            change_symbols(&mut member.symbols, &isupport.modes, symbol, add);
        }
        let member = channel.members.get_mut(&key)?;
        change_symbols(&mut member.symbols, &isupport.modes, symbol, add);
        Some(member)
    }

    /// Takes a part of a channel's list (`RPL_NAMREPLY`); false where the channel is not known.
    pub(super) fn list(&mut self, isupport: &ISupport, channel: &str, names: &str) -> bool {
        let Some(channel) = self.by_name.get_mut(&isupport.case_mapping.fold(channel)) else {
            return false;
        };
        let listing = channel.listing.get_or_insert_default();
        for mut member in parse_names(&isupport.modes, names) {
            let key = isupport.case_mapping.fold(&member.nick);
            if !listing.contains_key(&key) && self.members >= self.limits.max_members {
                break;
            }
            // A list does not say what other messages have said.
            if let Some(known) = channel.members.get(&key) {
                member.account.clone_from(&known.account);
                member.away = known.away;
            }
            if listing.insert(key, member).is_none() {
                self.members += 1;
            }
        }
        true
    }

    /// The list is complete (`RPL_ENDOFNAMES`); the channel, where one was arriving.
    pub(super) fn end_list(&mut self, isupport: &ISupport, channel: &str) -> Option<&Channel> {
        let channel = self.by_name.get_mut(&isupport.case_mapping.fold(channel))?;
        let listing = channel.listing.take()?;
        self.members -= channel.members.len();
        channel.members = listing;
        Some(channel)
    }
}

/// The members that a part of a list names: `@+ada`, or `@+ada!a@host` (IRCv3
/// userhost-in-names).
pub(super) fn parse_names(modes: &ModeTypes, names: &str) -> impl Iterator<Item = Member> {
    names.split_ascii_whitespace().filter_map(|name| {
        let (symbols, name) = modes.split_symbols(name);
        let mut member = Member::new(Nickname::new(SourceRef::parse(name).name).ok()?);
        for symbol in symbols.chars() {
            change_symbols(&mut member.symbols, modes, symbol, true);
        }
        Some(member)
    })
}

fn change_symbols(symbols: &mut String, modes: &ModeTypes, symbol: char, add: bool) {
    *symbols = modes
        .ranks()
        .iter()
        .map(|(_, known)| *known)
        .filter(|known| {
            if *known == symbol {
                add
            } else {
                symbols.contains(*known)
            }
        })
        .collect();
}

fn remove_from(channel: &mut Channel, members: &mut usize, key: &str) -> bool {
    let lists = [Some(&mut channel.members), channel.listing.as_mut()];
    let mut found = false;
    for list in lists.into_iter().flatten() {
        if list.remove(key).is_some() {
            *members -= 1;
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(channel: &Channel) -> Vec<String> {
        let members = channel.members();
        members
            .map(|member| format!("{}{}", member.symbols, member.nick))
            .collect()
    }

    #[test]
    fn a_list_replaces_what_was_known_and_keeps_who_came_meanwhile() {
        let isupport = ISupport::default();
        let mut channels = Channels::new(&Limits::default());
        let name: ChannelName = "#A".parse().expect("a channel");
        assert!(channels.enter(&isupport, &name));
        let nick = |nick: &str| Nickname::new(nick).expect("a nickname");
        channels.add(&isupport, "#a", &nick("stale"), None);
        assert!(channels.list(&isupport, "#a", "@+ada grace!g@host"));
        channels.add(&isupport, "#a", &nick("new"), None);
        assert!(channels.remove(&isupport, "#a", "GRACE"));
        channels.rename(&isupport, "ada", &nick("Lovelace"));
        channels.set_rank(&isupport, "#a", "lovelace", '@', false);
        let channel = channels.end_list(&isupport, "#a").expect("a list");
        assert_eq!(shown(channel), ["+Lovelace", "new"]);
        assert_eq!(channels.members, 2);
        assert!(channels.leave(&isupport, "#a"));
        assert_eq!(channels.members, 0);
    }

    #[test]
    fn limits_hold() {
        let isupport = ISupport::default();
        let mut limits = Limits::default();
        (limits.max_channels, limits.max_members) = (2, 3);
        let mut channels = Channels::new(&limits);
        for (number, fits) in [(1, true), (2, true), (3, false), (2, true)] {
            let name = ChannelName::new(format!("#{number}")).expect("a channel");
            assert_eq!(channels.enter(&isupport, &name), fits);
        }
        channels.list(&isupport, "#1", "a b c d e f");
        assert_eq!(channels.members, 3);
        channels.end_list(&isupport, "#1");
        channels.list(&isupport, "#1", "g h");
        assert_eq!(channels.members, 3);
        channels.end_list(&isupport, "#1");
        assert_eq!(
            channels.members, 0,
            "the list was empty: there was no room for it"
        );
    }
}
