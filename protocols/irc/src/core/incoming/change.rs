//! Changes of a channel or a user: `TOPIC`, `MODE`, and IRCv3's `AWAY`, `ACCOUNT`,
//! `CHGHOST`, `SETNAME`.

use super::command::Said;
use super::{Unexpected, given};
use crate::codec::{MessageRef, ModeKind, ModeTypes};
use crate::core::pending::Kind;
use crate::core::{Event, Reply, Session};

impl Session {
    /// `TOPIC`: channel and topic.
    pub(super) fn on_topic(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [name, topic, _] = said.params;
        let mapping = self.isupport.case_mapping;
        let channel = self.channel_name(name)?;
        let topic = given(topic);
        if let Some(channel) = self.channels.get_mut(&self.isupport, name) {
            channel.set_topic(topic.clone());
        }
        self.emit(Event::Topic {
            channel,
            topic,
            by: Some(said.source.name.to_owned()),
            time: said.context.time,
        });
        if said.own {
            self.finish(
                said.context,
                Reply::Done,
                |kind| matches!(kind, Kind::SetTopic(channel) if mapping.eq(channel, name)),
            );
        }
        Ok(())
    }

    /// `MODE`: a channel or this client, the modes, and their parameters.
    pub(super) fn on_mode(&mut self, said: Said<'_>, message: MessageRef<'_>) {
        let mapping = self.isupport.case_mapping;
        let mut params = message.params();
        let target = params.next().unwrap_or_default();
        let modes = params.next().unwrap_or_default();
        let is_channel = self.isupport.is_channel(target);
        let changes = if is_channel {
            self.isupport.modes.parse(modes, params)
        } else {
            // A user's modes have no parameters.
            ModeTypes::flags_only().parse(modes, [])
        };
        let channel = self.channel_name(target);
        let mut ranks = Vec::new();
        for change in changes.iter().filter(|_| is_channel) {
            if self.isupport.modes.kind(change.mode) == ModeKind::Rank
                && let Some(nick) = &change.param
                && let Some(symbol) = self.isupport.modes.symbol(change.mode)
                && let Some(member) =
                    self.channels
                        .set_rank(&self.isupport, target, nick, symbol, change.add)
                && let Ok(channel) = &channel
            {
                ranks.push(Event::RankChanged {
                    channel: channel.clone(),
                    nick: member.nick.clone(),
                    symbols: member.symbols.clone(),
                });
            }
        }
        self.emit(Event::ModeChanged {
            target: match &channel {
                Ok(channel) if is_channel => channel.to_string(),
                _ => target.to_owned(),
            },
            by: said.source.name.to_owned(),
            changes,
            time: said.context.time,
        });
        for event in ranks {
            self.emit(event);
        }
        if said.own {
            self.finish(
                said.context,
                Reply::Done,
                |kind| matches!(kind, Kind::SetMode { target: of, .. } if mapping.eq(of, target)),
            );
        }
    }

    /// `AWAY` (IRCv3 away-notify): the text; `None` for who is back.
    pub(super) fn on_away(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [text, ..] = said.params;
        let nick = said.nick()?;
        let text = given(text);
        self.channels.update(&self.isupport, &nick, |member| {
            member.away = text.is_some();
        });
        self.emit(Event::AwayChanged {
            nick,
            own: said.own,
            text,
            time: said.context.time,
        });
        Ok(())
    }

    /// `ACCOUNT` (IRCv3 account-notify): the account; `*` for none.
    pub(super) fn on_account(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [account, ..] = said.params;
        let nick = said.nick()?;
        let account = given(account).filter(|account| account != "*");
        self.channels.update(&self.isupport, &nick, |member| {
            member.account.clone_from(&account);
        });
        if said.own {
            self.account.clone_from(&account);
        }
        self.emit(Event::AccountChanged {
            nick,
            own: said.own,
            account,
            time: said.context.time,
        });
        Ok(())
    }

    /// `CHGHOST` (IRCv3 chghost): user name and host now.
    pub(super) fn on_chghost(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [user, host, _] = said.params;
        let nick = said.nick()?;
        if said.own {
            self.user = Some(user.to_owned());
            self.host = Some(host.to_owned());
        }
        self.emit(Event::HostChanged {
            nick,
            own: said.own,
            user: user.to_owned(),
            host: host.to_owned(),
            time: said.context.time,
        });
        Ok(())
    }

    /// `SETNAME` (IRCv3 setname): the real name now.
    pub(super) fn on_setname(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [real_name, ..] = said.params;
        self.emit(Event::RealNameChanged {
            nick: said.nick()?,
            own: said.own,
            real_name: real_name.to_owned(),
            time: said.context.time,
        });
        if said.own {
            self.finish(said.context, Reply::Done, |kind| {
                matches!(kind, Kind::SetRealName)
            });
        }
        Ok(())
    }
}
