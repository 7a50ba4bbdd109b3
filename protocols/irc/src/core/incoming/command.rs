//! Commands as they come in: who comes and goes (`JOIN`, `PART`, `KICK`, `QUIT`, `NICK`, `INVITE`),
//! and which command goes where.

use super::{Context, Unexpected, given};
use crate::codec::{Command, MessageRef, Nickname, SourceRef};
use crate::core::pending::Kind;
use crate::core::{ChatKind, Event, Reply, Session, Severity};

/// A command of a user's or the server's, with what most of them need.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) context: Context,
    pub(super) source: SourceRef<'a>,
    /// Whether this client is its source.
    pub(super) own: bool,
    /// Its first parameters; those that are missing are empty.
    pub(super) params: [&'a str; 3],
}

impl Said<'_> {
    /// The user that it is from.
    pub(super) fn nick(&self) -> Result<Nickname, Unexpected> {
        Ok(Nickname::new(self.source.name)?)
    }
}

impl Session {
    /// Acts on a command that is not the connection's own business.
    pub(super) fn on_command(
        &mut self,
        context: Context,
        command: Command<'_>,
        message: MessageRef<'_>,
    ) -> Result<(), Unexpected> {
        match command {
            Command::Privmsg => return self.on_chat(context, ChatKind::Message, message),
            Command::Notice => return self.on_chat(context, ChatKind::Notice, message),
            Command::Fail => return self.on_standard_reply(context, Severity::Fail, message),
            Command::Warn => return self.on_standard_reply(context, Severity::Warn, message),
            Command::Note => return self.on_standard_reply(context, Severity::Note, message),
            // What others did in the past changes nothing now.
            _ if context.history => return Err(Unexpected),
            _ => {}
        }
        let source = message.source().ok_or(Unexpected)?;
        let said = Said {
            context,
            source,
            own: self.is_own(source.name),
            params: message.params().first(),
        };
        match command {
            Command::Join => self.on_join(said),
            Command::Part => self.on_part(said),
            Command::Kick => self.on_kick(said),
            Command::Quit => self.on_quit(said),
            Command::Nick => self.on_nick(said),
            Command::Invite => self.on_invite(said),
            Command::Topic => self.on_topic(said),
            Command::Mode => {
                self.on_mode(said, message);
                Ok(())
            }
            Command::Away => self.on_away(said),
            Command::Account => self.on_account(said),
            Command::Chghost => self.on_chghost(said),
            Command::Setname => self.on_setname(said),
            _ => Err(Unexpected),
        }
    }

    /// `JOIN`: channel and, with IRCv3 extended-join, account and real name.
    fn on_join(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [name, account, real_name] = said.params;
        let channel = self.channel_name(name)?;
        let nick = said.nick()?;
        if said.own && !self.channels.enter(&self.isupport, &channel) {
            return Err(Unexpected);
        }
        let account = given(account).filter(|account| account != "*");
        self.channels
            .add(&self.isupport, name, &nick, account.clone());
        self.emit(Event::Joined {
            channel,
            nick,
            own: said.own,
            account,
            real_name: given(real_name),
            time: said.context.time,
        });
        Ok(())
    }

    /// `PART`: channel and reason.
    fn on_part(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [name, reason, _] = said.params;
        let channel = self.channel_name(name)?;
        let nick = said.nick()?;
        if said.own {
            self.channels.leave(&self.isupport, name);
        } else {
            self.channels.remove(&self.isupport, name, &nick);
        }
        self.emit(Event::Parted {
            channel,
            nick,
            own: said.own,
            reason: given(reason),
            time: said.context.time,
        });
        if said.own {
            self.parted(said.context, name);
        }
        Ok(())
    }

    /// `KICK`: channel, whom, and reason.
    fn on_kick(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [name, whom, reason] = said.params;
        let mapping = self.isupport.case_mapping;
        let channel = self.channel_name(name)?;
        let nick = Nickname::new(whom)?;
        let kicked = self.is_own(whom);
        if kicked {
            self.channels.leave(&self.isupport, name);
        } else {
            self.channels.remove(&self.isupport, name, whom);
        }
        self.emit(Event::Kicked {
            channel,
            nick,
            own: kicked,
            by: said.source.name.to_owned(),
            reason: given(reason),
            time: said.context.time,
        });
        if said.own {
            self.finish(said.context, Reply::Done, |kind| {
                matches!(kind, Kind::Kick(channel, nick)
                    if mapping.eq(channel, name) && mapping.eq(nick, whom))
            });
        }
        if kicked {
            self.parted(Context::default(), name);
        }
        Ok(())
    }

    /// This client is in a channel no more, which is what a `PART` of its own asked for.
    fn parted(&mut self, context: Context, name: &str) {
        let mapping = self.isupport.case_mapping;
        self.finish(
            context,
            Reply::Done,
            |kind| matches!(kind, Kind::Part(channel) if mapping.eq(channel, name)),
        );
    }

    /// `QUIT`: reason.
    fn on_quit(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [reason, ..] = said.params;
        let nick = said.nick()?;
        let channels = self.channels.remove_everywhere(&self.isupport, &nick);
        self.nick_left(&nick);
        self.emit(Event::Quit {
            nick,
            channels,
            reason: given(reason),
            time: said.context.time,
        });
        Ok(())
    }

    /// `NICK`: the nickname now.
    fn on_nick(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [name, ..] = said.params;
        let mapping = self.isupport.case_mapping;
        let from = said.nick()?;
        let to = Nickname::new(name)?;
        // InspIRCd 3 sends a labelled answer when the change is made, and so from the new
        // nickname: the label tells whose it is.
        let label = said.context.label;
        let asked = label.and_then(|label| self.pending.kind(label));
        let own = said.own || matches!(asked, Some(Kind::Nick(_)));
        let from = if own { self.nick.clone() } else { from };
        let channels = self.channels.rename(&self.isupport, &from, &to);
        if own {
            self.nick = to.clone();
            self.nick_changed();
        } else if !mapping.eq(&from, &to) {
            self.nick_left(&from);
        }
        self.emit(Event::NickChanged {
            from,
            to,
            own,
            channels,
            time: said.context.time,
        });
        if own {
            self.finish(
                said.context,
                Reply::Done,
                |kind| matches!(kind, Kind::Nick(nick) if mapping.eq(nick, name)),
            );
        }
        Ok(())
    }

    /// `INVITE`: whom, and the channel.
    fn on_invite(&mut self, said: Said<'_>) -> Result<(), Unexpected> {
        let [whom, name, _] = said.params;
        let channel = self.channel_name(name)?;
        self.emit(Event::Invited {
            channel,
            nick: whom.to_owned(),
            own: self.is_own(whom),
            by: said.source.name.to_owned(),
            time: said.context.time,
        });
        Ok(())
    }
}
