//! Numeric replies as they come in (RFC 2812, section 5), but for `WHO` and `WHOIS`.

use jackfield_socket::time::Instant;

use super::Context;
use crate::codec::{MessageRef, Nickname, Numeric};
use crate::core::channels::parse_names;
use crate::core::pending::{About, By, Kind};
use crate::core::registration::refusal;
use crate::core::session::Phase;
use crate::core::{Event, ListEntry, Reply, Session, SessionEvent};
use crate::error::SessionError;

impl Session {
    pub(super) fn on_numeric(
        &mut self,
        now: Instant,
        context: Context,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> Result<(), SessionError> {
        if self.on_regain_numeric(now, numeric, message) {
            return Ok(());
        }
        let mapping = self.isupport.case_mapping;
        let [_, second, third, fourth] = message.params().first();
        match numeric {
            Numeric::RPL_ISUPPORT => {
                let params: Vec<&str> = message.params().collect();
                let [_, tokens @ .., _] = params.as_slice() else {
                    return Ok(());
                };
                for token in tokens {
                    // The channels' keys depend on it.
                    if self.channels.is_empty() || !token.contains("CASEMAPPING") {
                        self.isupport.set(token);
                    }
                }
            }
            Numeric::RPL_ENDOFMOTD | Numeric::ERR_NOMOTD
                if matches!(self.phase, Phase::Welcomed) =>
            {
                self.set_registered(now);
            }
            Numeric::RPL_VISIBLEHOST => {
                let (user, host) = match second.rsplit_once('@') {
                    Some((user, host)) => (Some(user), host),
                    None => (None, second),
                };
                if let Some(user) = user {
                    self.user = Some(user.to_owned());
                }
                self.host = Some(host.to_owned());
            }
            Numeric::RPL_LOGGEDIN => self.account = Some(third.to_owned()),
            Numeric::RPL_LOGGEDOUT => self.account = None,
            Numeric::RPL_TOPIC | Numeric::RPL_NOTOPIC => {
                let topic = (numeric == Numeric::RPL_TOPIC).then(|| third.to_owned());
                if let Some(channel) = self.channels.get_mut(&self.isupport, second) {
                    channel.set_topic(topic.clone());
                }
                if let Ok(channel) = self.channel_name(second) {
                    self.emit(Event::Topic {
                        channel,
                        topic: topic.clone(),
                        by: None,
                        time: context.time,
                    });
                }
                self.finish(
                    context,
                    Reply::Topic(topic),
                    |kind| matches!(kind, Kind::Topic(channel) if mapping.eq(channel, second)),
                );
            }
            Numeric::RPL_NAMREPLY => self.on_names(context, third, fourth),
            Numeric::RPL_ENDOFNAMES => self.on_end_of_names(context, second),
            Numeric::RPL_WHOREPLY | Numeric::RPL_WHOSPCRPL => {
                self.on_who(context, numeric, message);
            }
            Numeric::RPL_ENDOFWHO => self.on_end_of_who(context, second),
            Numeric::RPL_ENDOFWHOIS => self.on_end_of_whois(context, second),
            // Not every server sends the first, which says nothing.
            Numeric::RPL_LISTSTART | Numeric::RPL_LIST => self.on_list(context, numeric, message),
            Numeric::RPL_LISTEND => self.on_end_of_list(context, message),
            Numeric::RPL_CHANNELMODEIS => {
                let reply = Reply::Modes {
                    modes: third.to_owned(),
                    params: message.params().skip(3).map(str::to_owned).collect(),
                };
                self.finish(
                    context,
                    reply,
                    |kind| matches!(kind, Kind::Modes(channel) if mapping.eq(channel, second)),
                );
            }
            Numeric::RPL_NOWAWAY | Numeric::RPL_UNAWAY => {
                let away = numeric == Numeric::RPL_NOWAWAY;
                let nick = self.nick.clone();
                self.channels
                    .update(&self.isupport, &nick, |member| member.away = away);
                self.finish(context, Reply::Done, |kind| matches!(kind, Kind::Away));
            }
            Numeric::RPL_INVITING => self.finish(context, Reply::Done, |kind| {
                matches!(kind, Kind::Invite(channel, nick)
                    if mapping.eq(channel, third) && mapping.eq(nick, second))
            }),
            Numeric::ERR_YOUREBANNEDCREEP => {
                let refusal = refusal(numeric, message);
                return Err(self.give_up(SessionError::Banned(refusal)));
            }
            _ if self.on_whois(context, numeric, message) => {}
            Numeric::RPL_AWAY => {
                if let Ok(nick) = Nickname::new(second) {
                    self.emit(Event::AwayChanged {
                        own: self.is_own(second),
                        nick,
                        text: Some(third.to_owned()),
                        time: context.time,
                    });
                }
            }
            _ if numeric.is_error() => self.on_refusal(context, numeric, message),
            _ => self.emit(Event::Other(message.to_message())),
        }
        Ok(())
    }

    fn on_names(&mut self, context: Context, channel: &str, names: &str) {
        self.channels.list(&self.isupport, channel, names);
        let mapping = self.isupport.case_mapping;
        let modes = &self.isupport.modes;
        let count = names.split_ascii_whitespace().count();
        self.pending.collect(
            context.label,
            count,
            |kind| matches!(kind, Kind::Names(of, _) if mapping.eq(of, channel)),
            |kind| {
                if let Kind::Names(_, members) = kind {
                    members.extend(parse_names(modes, names));
                }
            },
        );
    }

    fn on_end_of_names(&mut self, context: Context, channel: &str) {
        let mapping = self.isupport.case_mapping;
        if let Some(channel) = self.channels.end_list(&self.isupport, channel) {
            let event = Event::Members {
                channel: channel.name().clone(),
                members: channel.members().cloned().collect(),
            };
            self.events.push_back(SessionEvent::Event(event));
            let done = self.pending.finish(
                context.label,
                |kind| matches!(kind, Kind::Join(of) if mapping.eq(of, channel.name())),
                || Reply::Joined(channel.snapshot()),
            );
            self.events.extend(done);
        }
        let done = self.pending.finish_collected(
            context.label,
            |kind| matches!(kind, Kind::Names(of, _) if mapping.eq(of, channel)),
        );
        self.complete(done);
    }

    /// The answer to `LIST`; its lines don't repeat what was asked for.
    fn on_list(&mut self, context: Context, numeric: Numeric, message: MessageRef<'_>) {
        let is_list = |kind: &Kind| matches!(kind, Kind::List(..));
        let [_, channel, count, topic] = message.params().first();
        let members = count.parse().unwrap_or(0);
        let items = usize::from(numeric == Numeric::RPL_LIST);
        let found = self.pending.collect(context.label, items, is_list, |kind| {
            if let Kind::List(filter, entries) = kind
                && numeric == Numeric::RPL_LIST
                && members >= filter.min_members
            {
                entries.push(ListEntry {
                    channel: channel.to_owned(),
                    members,
                    topic: topic.to_owned(),
                });
            }
        });
        if !found {
            // It answers what was sent raw.
            self.emit(Event::Other(message.to_message()));
        }
    }

    fn on_end_of_list(&mut self, context: Context, message: MessageRef<'_>) {
        let is_list = |kind: &Kind| matches!(kind, Kind::List(..));
        if !self.pending.is_asked(context.label, is_list) {
            self.emit(Event::Other(message.to_message()));
        }
        let done = self.pending.finish_collected(context.label, is_list);
        self.complete(done);
    }

    /// A numeric that says that something failed.
    fn on_refusal(&mut self, context: Context, numeric: Numeric, message: MessageRef<'_>) {
        let params: Vec<&str> = message.params().collect();
        let subjects = match params.as_slice() {
            [_, subjects @ .., _] => subjects,
            _ => &[],
        };
        let refusal = refusal(numeric, message);
        let mapping = self.isupport.case_mapping;
        let about = About {
            by: By::Numeric(numeric),
            subjects,
        };
        let refused = self.pending.refuse(mapping, context.label, about, &refusal);
        if refused.is_some() {
            self.complete(refused);
        } else {
            self.emit(Event::Refused {
                about: subjects.iter().copied().map(str::to_owned).collect(),
                refusal,
            });
        }
    }
}
