//! What the server says, into state, events and outcomes.

use std::time::Duration;

use jackfield_socket::time::Instant;

use super::channels::parse_names;
use super::outgoing::WHOX_TOKEN;
use super::pending::Kind;
use super::registration::refusal;
use super::session::Phase;
use super::{
    ChatKind, ChatMessage, Event, Reply, RequestId, Session, SessionEvent, Severity, WhoEntry,
};
use crate::codec::{
    ChannelName, Command, Ctcp, InvalidValue, Message, MessageRef, ModeKind, Nickname, Numeric,
    Source, SourceRef, Text, Timestamp,
};
use crate::error::{Refusal, RefusalCode, SessionError};

/// What a message's tags say about it.
#[derive(Clone, Copy, Default)]
struct Context {
    /// The request that it answers.
    label: Option<RequestId>,
    history: bool,
    time: Option<Timestamp>,
}

/// A message that is not what its command says it is; it comes through as [`Event::Other`].
struct Unexpected;

impl From<InvalidValue> for Unexpected {
    fn from(_: InvalidValue) -> Self {
        Self
    }
}

impl Session {
    /// Acts on a message.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        message: MessageRef<'_>,
    ) -> Result<(), SessionError> {
        let tags = message.tags();
        let own_label = tags.get("label").and_then(|label| label.parse().ok());
        let own_label = own_label.map(RequestId);
        let batch = tags.get("batch").and_then(|batch| self.batches.get(&batch));
        let context = Context {
            label: own_label.or(batch.and_then(|batch| batch.label)),
            history: batch.is_some_and(|batch| batch.history),
            time: tags.get("time").and_then(|time| Timestamp::parse(&time)),
        };
        if let Some(source) = message.source()
            && self.is_own(source.name)
        {
            self.learn_own(source);
        }
        match message.command() {
            Command::Ping => {
                let token = message.params().next().unwrap_or_default();
                let pong = Message::builder(Command::Pong).text(Text::from_checked(token));
                // A longer one would be cut, and so be no answer.
                if pong.length_without_tags() + "\r\n".len() <= self.isupport.line_length {
                    self.queue.push_answer(pong);
                }
            }
            Command::Pong => {
                let token = message.params().last().unwrap_or_default().to_owned();
                self.take_pong(now, &token);
            }
            Command::Cap => self.on_cap(now, message)?,
            Command::Authenticate => self.on_authenticate(message),
            Command::Error => {
                if self.is_closing() {
                    self.quit_done();
                } else {
                    let text = message.params().next().unwrap_or_default().to_owned();
                    return Err(self.fail(SessionError::ClosedByServer(text)));
                }
            }
            Command::Batch => {
                let [reference, kind] = message.params().first();
                if let Some(reference) = reference.strip_prefix('+') {
                    self.batches.begin(reference, kind, own_label, batch);
                    // Its end is the answer's end.
                    return Ok(());
                }
                let reference = reference.strip_prefix('-').unwrap_or(reference);
                if let Some(answered) = self.batches.end(reference) {
                    self.answered(answered);
                }
            }
            Command::Numeric(numeric) => {
                if !self.on_registration_numeric(now, numeric, message)? {
                    self.on_numeric(now, context, numeric, message)?;
                }
            }
            Command::Ack => {}
            command => {
                if self.on_command(context, command, message).is_err() {
                    self.emit(Event::Other(message.to_message()));
                }
            }
        }
        if let Some(label) = own_label {
            self.answered(label);
        }
        Ok(())
    }

    /// Everything that the server had to say about a request has been said.
    pub(super) fn answered(&mut self, id: RequestId) {
        let joined = match self.pending.kind(id) {
            Some(Kind::Join(channel)) => self.joined_reply(channel),
            _ => None,
        };
        let done = match joined {
            Some(reply) => self.pending.complete(id, Ok(reply)),
            None => self.pending.answered(id),
        };
        self.complete(done);
    }

    fn joined_reply(&self, channel: &str) -> Option<Reply> {
        let channel = self.channels.get(&self.isupport, channel)?;
        Some(Reply::Joined(channel.snapshot()))
    }

    /// Ends a request that waited for this.
    fn finish(&mut self, context: Context, reply: Reply, wanted: impl Fn(&Kind) -> bool) {
        let done = self.pending.finish(context.label, wanted, || reply);
        self.complete(done);
    }

    fn on_command(
        &mut self,
        context: Context,
        command: Command<'_>,
        message: MessageRef<'_>,
    ) -> Result<(), Unexpected> {
        let mapping = self.isupport.case_mapping;
        let time = context.time;
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
        let own = self.is_own(source.name);
        let [first, second, third] = message.params().first();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match command {
            Command::Join => {
                let channel = self.channel_name(first)?;
                let nick = Nickname::new(source.name)?;
                if own && !self.channels.enter(&self.isupport, &channel) {
                    return Err(Unexpected);
                }
                let account = text(second).filter(|account| account != "*");
                self.channels
                    .add(&self.isupport, first, &nick, account.clone());
                self.emit(Event::Joined {
                    channel,
                    nick,
                    own,
                    account,
                    real_name: text(third),
                    time,
                });
            }
            Command::Part => {
                let channel = self.channel_name(first)?;
                let nick = Nickname::new(source.name)?;
                if own {
                    self.channels.leave(&self.isupport, first);
                } else {
                    self.channels.remove(&self.isupport, first, &nick);
                }
                self.emit(Event::Parted {
                    channel,
                    nick,
                    own,
                    reason: text(second),
                    time,
                });
                if own {
                    self.finish(
                        context,
                        Reply::Done,
                        |kind| matches!(kind, Kind::Part(channel) if mapping.eq(channel, first)),
                    );
                }
            }
            Command::Kick => {
                let channel = self.channel_name(first)?;
                let nick = Nickname::new(second)?;
                let kicked = self.is_own(second);
                if kicked {
                    self.channels.leave(&self.isupport, first);
                } else {
                    self.channels.remove(&self.isupport, first, second);
                }
                self.emit(Event::Kicked {
                    channel,
                    nick,
                    own: kicked,
                    by: source.name.to_owned(),
                    reason: text(third),
                    time,
                });
                if own {
                    self.finish(context, Reply::Done, |kind| {
                        matches!(kind, Kind::Kick(channel, nick)
                            if mapping.eq(channel, first) && mapping.eq(nick, second))
                    });
                }
                if kicked {
                    self.finish(
                        Context::default(),
                        Reply::Done,
                        |kind| matches!(kind, Kind::Part(channel) if mapping.eq(channel, first)),
                    );
                }
            }
            Command::Quit => {
                let nick = Nickname::new(source.name)?;
                let channels = self.channels.remove_everywhere(&self.isupport, &nick);
                self.emit(Event::Quit {
                    nick,
                    channels,
                    reason: text(first),
                    time,
                });
            }
            Command::Nick => {
                let from = Nickname::new(source.name)?;
                let to = Nickname::new(first)?;
                // InspIRCd 3 sends a labelled answer when the change is made, and so from the new
                // nickname: the label tells whose it is.
                let asked = context.label.and_then(|label| self.pending.kind(label));
                let own = own || matches!(asked, Some(Kind::Nick(_)));
                let from = if own { self.nick.clone() } else { from };
                let channels = self.channels.rename(&self.isupport, &from, &to);
                if own {
                    self.nick = to.clone();
                }
                self.emit(Event::NickChanged {
                    from,
                    to,
                    own,
                    channels,
                    time,
                });
                if own {
                    self.finish(
                        context,
                        Reply::Done,
                        |kind| matches!(kind, Kind::Nick(nick) if mapping.eq(nick, first)),
                    );
                }
            }
            Command::Topic => {
                let channel = self.channel_name(first)?;
                let topic = text(second);
                if let Some(channel) = self.channels.get_mut(&self.isupport, first) {
                    channel.set_topic(topic.clone());
                }
                self.emit(Event::Topic {
                    channel,
                    topic,
                    by: Some(source.name.to_owned()),
                    time,
                });
                if own {
                    self.finish(context, Reply::Done, |kind| {
                        matches!(kind, Kind::SetTopic(channel) if mapping.eq(channel, first))
                    });
                }
            }
            Command::Mode => self.on_mode(context, source, message),
            Command::Away => {
                let nick = Nickname::new(source.name)?;
                let away = text(first);
                self.channels.update(&self.isupport, &nick, |member| {
                    member.away = away.is_some();
                });
                self.emit(Event::AwayChanged { nick, text: away });
            }
            Command::Account => {
                let nick = Nickname::new(source.name)?;
                let account = text(first).filter(|account| account != "*");
                self.channels.update(&self.isupport, &nick, |member| {
                    member.account.clone_from(&account);
                });
                if own {
                    self.account.clone_from(&account);
                }
                self.emit(Event::AccountChanged { nick, account });
            }
            Command::Chghost => {
                let nick = Nickname::new(source.name)?;
                if own {
                    self.user = Some(first.to_owned());
                    self.host = Some(second.to_owned());
                }
                self.emit(Event::HostChanged {
                    nick,
                    user: first.to_owned(),
                    host: second.to_owned(),
                });
            }
            Command::Setname => {
                let nick = Nickname::new(source.name)?;
                self.emit(Event::RealNameChanged {
                    nick,
                    real_name: first.to_owned(),
                });
                if own {
                    self.finish(context, Reply::Done, |kind| {
                        matches!(kind, Kind::SetRealName)
                    });
                }
            }
            Command::Invite => {
                let channel = self.channel_name(second)?;
                let own = self.is_own(first);
                self.emit(Event::Invited {
                    channel,
                    nick: first.to_owned(),
                    own,
                    by: source.name.to_owned(),
                });
            }
            _ => return Err(Unexpected),
        }
        Ok(())
    }

    /// The channel of this name, as it was spelt when this client entered it.
    pub(super) fn channel_name(&self, name: &str) -> Result<ChannelName, InvalidValue> {
        match self.channels.get(&self.isupport, name) {
            Some(channel) => Ok(channel.name().clone()),
            None => ChannelName::new(name),
        }
    }

    fn on_chat(
        &mut self,
        context: Context,
        kind: ChatKind,
        message: MessageRef<'_>,
    ) -> Result<(), Unexpected> {
        let mut params = message.params();
        let target = params.next().ok_or(Unexpected)?;
        let text = params.next().ok_or(Unexpected)?;
        let from = match message.source() {
            Some(source) => source.to_source(),
            // The server itself.
            None => Source {
                name: String::new(),
                user: None,
                host: None,
            },
        };
        let own = self.is_own(&from.name);
        let ctcp = Ctcp::parse(text);
        let (kind, text) = match ctcp {
            Some(ctcp) if ctcp.is("ACTION") && kind == ChatKind::Message => {
                (ChatKind::Action, ctcp.params)
            }
            Some(ctcp) => {
                self.emit(Event::Ctcp {
                    from,
                    target: target.to_owned(),
                    command: ctcp.command.to_owned(),
                    params: ctcp.params.to_owned(),
                    reply: kind == ChatKind::Notice,
                    own,
                });
                return Ok(());
            }
            None => (kind, text),
        };
        let tag = |key| message.tags().get(key).map(std::borrow::Cow::into_owned);
        self.emit(Event::Message(ChatMessage {
            from,
            own,
            target: target.to_owned(),
            channel: self.channel_of(target),
            kind,
            text: text.to_owned(),
            time: context.time,
            id: tag("msgid"),
            account: tag("account"),
            history: context.history,
        }));
        Ok(())
    }

    fn on_mode(&mut self, context: Context, source: SourceRef<'_>, message: MessageRef<'_>) {
        let mapping = self.isupport.case_mapping;
        let mut params = message.params();
        let target = params.next().unwrap_or_default();
        let modes = params.next().unwrap_or_default();
        let is_channel = self.isupport.is_channel(target);
        let changes = if is_channel {
            self.isupport.modes.parse(modes, params)
        } else {
            // A user's modes have no parameters.
            crate::codec::ModeTypes::flags_only().parse(modes, [])
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
            by: source.name.to_owned(),
            changes,
            time: context.time,
        });
        for event in ranks {
            self.emit(event);
        }
        if self.is_own(source.name) {
            self.finish(
                context,
                Reply::Done,
                |kind| matches!(kind, Kind::SetMode(of) if mapping.eq(of, target)),
            );
        }
    }

    fn on_standard_reply(
        &mut self,
        context: Context,
        severity: Severity,
        message: MessageRef<'_>,
    ) -> Result<(), Unexpected> {
        let params: Vec<&str> = message.params().collect();
        let [command, code, about @ .., text] = params.as_slice() else {
            return Err(Unexpected);
        };
        if severity == Severity::Fail {
            let refusal = Refusal {
                code: RefusalCode::Standard((*code).to_owned()),
                text: (*text).to_owned(),
            };
            let mut subjects = about.to_vec();
            if about.is_empty() {
                subjects.push(command);
            }
            let mapping = self.isupport.case_mapping;
            let refused = self
                .pending
                .refuse(mapping, context.label, &subjects, &refusal);
            if refused.is_some() {
                self.complete(refused);
                return Ok(());
            }
        }
        self.emit(Event::StandardReply {
            severity,
            command: (*command).to_owned(),
            code: (*code).to_owned(),
            text: (*text).to_owned(),
        });
        Ok(())
    }

    fn on_numeric(
        &mut self,
        now: Instant,
        context: Context,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> Result<(), SessionError> {
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
                let entry = if numeric == Numeric::RPL_WHOREPLY {
                    self.who_entry(message)
                } else {
                    self.whox_entry(message)
                };
                let is_who = |kind: &Kind| matches!(kind, Kind::Who(..));
                let found = entry.is_some_and(|entry| {
                    self.pending.collect(context.label, 1, is_who, |kind| {
                        if let Kind::Who(_, entries) = kind {
                            entries.push(entry);
                        }
                    })
                });
                if !found {
                    self.emit(Event::Other(message.to_message()));
                }
            }
            Numeric::RPL_ENDOFWHO => {
                let done = self.pending.finish_collected(
                    context.label,
                    |kind| matches!(kind, Kind::Who(mask, _) if mapping.eq(mask, second)),
                );
                self.complete(done);
            }
            Numeric::RPL_ENDOFWHOIS => {
                let done = self.pending.finish_collected(
                    context.label,
                    |kind| matches!(kind, Kind::Whois(nick, _) if mapping.eq(nick, second)),
                );
                self.complete(done);
            }
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
                return Err(self.fail(SessionError::Banned(refusal)));
            }
            _ if self.on_whois(context, numeric, message) => {}
            Numeric::RPL_AWAY => {
                if let Ok(nick) = Nickname::new(second) {
                    let text = Some(third.to_owned());
                    self.emit(Event::AwayChanged { nick, text });
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

    /// `RPL_WHOREPLY`: client, channel, user, host, server, nick, flags, `hops real name`.
    fn who_entry(&self, message: MessageRef<'_>) -> Option<WhoEntry> {
        let [_, channel, user, host, server, nick, flags, trailing] = message.params().first();
        let real_name = trailing.split_once(' ').map_or("", |(_, name)| name);
        let fields = [channel, user, host, server, nick, flags, "0", real_name];
        self.entry(fields)
    }

    /// `RPL_WHOSPCRPL`, with the fields that were asked for.
    fn whox_entry(&self, message: MessageRef<'_>) -> Option<WhoEntry> {
        let [
            _,
            token,
            channel,
            user,
            host,
            server,
            nick,
            flags,
            account,
            real_name,
        ] = message.params().first();
        if token != WHOX_TOKEN {
            return None;
        }
        self.entry([channel, user, host, server, nick, flags, account, real_name])
    }

    fn entry(&self, fields: [&str; 8]) -> Option<WhoEntry> {
        let [channel, user, host, server, nick, flags, account, real_name] = fields;
        if nick.is_empty() {
            return None;
        }
        let is_rank = |c: &char| {
            self.isupport
                .modes
                .ranks()
                .iter()
                .any(|(_, rank)| rank == c)
        };
        Some(WhoEntry {
            channel: channel.to_owned(),
            nick: nick.to_owned(),
            user: user.to_owned(),
            host: host.to_owned(),
            server: server.to_owned(),
            away: flags.starts_with('G'),
            operator: flags.contains('*'),
            symbols: flags.chars().filter(is_rank).collect(),
            account: (account != "0").then(|| account.to_owned()),
            real_name: real_name.to_owned(),
        })
    }

    /// The numerics of an answer to `WHOIS`; whether it was one.
    fn on_whois(&mut self, context: Context, numeric: Numeric, message: MessageRef<'_>) -> bool {
        // 276 to 338, 378 and 379, 671: whatever is not known by name is kept as text.
        let is_whois = matches!(
            numeric.number(),
            276 | 301 | 307 | 310..=313 | 317 | 319 | 320 | 330 | 335 | 338 | 378 | 379 | 671
        );
        if !is_whois {
            return false;
        }
        let mapping = self.isupport.case_mapping;
        let [_, nick, third, fourth, _, sixth] = message.params().first();
        let channels = || third.split_ascii_whitespace().map(str::to_owned);
        let items = match numeric {
            Numeric::RPL_WHOISCHANNELS => channels().count(),
            _ => 1,
        };
        self.pending.collect(
            context.label,
            items,
            |kind| matches!(kind, Kind::Whois(asked, _) if mapping.eq(asked, nick)),
            |kind| {
                let Kind::Whois(_, whois) = kind else {
                    return;
                };
                match numeric {
                    Numeric::RPL_WHOISUSER => {
                        whois.user = Source {
                            name: nick.to_owned(),
                            user: Some(third.to_owned()),
                            host: Some(fourth.to_owned()),
                        };
                        sixth.clone_into(&mut whois.real_name);
                    }
                    Numeric::RPL_WHOISSERVER => {
                        whois.server = Some((third.to_owned(), fourth.to_owned()));
                    }
                    Numeric::RPL_WHOISOPERATOR => whois.operator = true,
                    Numeric::RPL_WHOISIDLE => {
                        whois.idle = third.parse().ok().map(Duration::from_secs);
                        whois.signed_on = fourth.parse().ok();
                    }
                    Numeric::RPL_WHOISCHANNELS => whois.channels.extend(channels()),
                    Numeric::RPL_WHOISACCOUNT => whois.account = Some(third.to_owned()),
                    Numeric::RPL_WHOISSECURE => whois.secure = true,
                    Numeric::RPL_AWAY => whois.away = Some(third.to_owned()),
                    _ => {
                        let words: Vec<&str> = message.params().skip(2).collect();
                        whois.other.push(words.join(" "));
                    }
                }
            },
        )
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
        let refused = self
            .pending
            .refuse(mapping, context.label, subjects, &refusal);
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
