//! The client's core against `tests/vectors/irc/transcripts`, with time in the test's hand.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_irc::codec::{Message, Nickname, Source, Text};
use jackfield_irc::core::{
    ChannelBinding, ChatKind, Config, Credentials, Event, Joined, ListFilter, Member, Password,
    Registered, Reply, Request, RequestId, SaslChannel, Session, SessionEvent, Whois,
};
use jackfield_play::{Protocol, Stream, Transcripts};
use jackfield_socket::time::Instant;

fn transcripts() -> Transcripts {
    let transcripts = Transcripts::of("irc/transcripts");
    assert!(transcripts.len() > 25, "only {}", transcripts.len());
    transcripts
}

#[test]
fn every_transcript_holds() {
    transcripts().play(Irc::new);
}

#[test]
fn every_transcript_holds_wherever_its_bytes_are_cut() {
    transcripts().play_in_pieces(Irc::new);
}

struct Irc {
    config: Config,
    /// The stream that it goes over.
    channel: SaslChannel,
    /// Requests by number, in the order of their `>` lines.
    requests: BTreeMap<RequestId, usize>,
}

impl Irc {
    fn new() -> Self {
        Self {
            config: Config::new(nick("ada")),
            channel: SaslChannel::encrypted(),
            requests: BTreeMap::new(),
        }
    }
}

impl Protocol for Irc {
    type Core = Session;
    type Carrier = Stream;

    fn config(&mut self, name: &str, value: &str) {
        match (name, value) {
            ("stream", "plaintext") => self.channel = SaslChannel::plaintext(),
            ("stream", "bound") => {
                let binding = ChannelBinding::tls_exporter([7; 32]);
                self.channel = SaslChannel::encrypted().with_binding(binding);
            }
            _ => configure(&mut self.config, name, value),
        }
    }

    fn begin(&mut self, _now: Instant) -> Session {
        let mut session = Session::new(self.config.clone());
        session.set_sasl_channel(self.channel.clone());
        session.set_sasl_nonce("fyko+d2lbbFgONRv9qkxdawL");
        session
    }

    fn ask(&mut self, session: &mut Session, _now: Instant, line: &str) -> Result<(), String> {
        if let Some(reason) = line.strip_prefix("close") {
            let reason = Text::new(reason.trim_start()).expect("a text");
            session.close_with(reason);
            return Ok(());
        }
        let number = self.requests.len() + 1;
        let id = session.request(request(line));
        let id = id.map_err(|error| error.to_string())?;
        self.requests.insert(id, number);
        Ok(())
    }

    fn told(&mut self, event: SessionEvent) -> Option<String> {
        Some(match event {
            SessionEvent::Event(event) => show(&event),
            SessionEvent::Completed(id, outcome) => {
                let number = self.requests.get(&id);
                let number = number.map_or_else(|| "?".to_owned(), ToString::to_string);
                match outcome {
                    Ok(reply) => format!("#{number} {}", show_reply(&reply)),
                    Err(error) => format!("#{number} error: {error}"),
                }
            }
            SessionEvent::Closed => "closed".to_owned(),
            other => format!("{other:?}"),
        })
    }
}

fn nick(text: &str) -> Nickname {
    text.parse().expect("a nickname")
}

fn configure(config: &mut Config, name: &str, value: &str) {
    match name {
        "alternative" => config.alternatives.push(nick(value)),
        "password" => config.password = Some(Password::new(value).expect("a password")),
        "sasl-password" => {
            let (account, password) = value.split_once(' ').expect("account and password");
            config.sasl = Some(Credentials::password(account, password).expect("texts"));
        }
        "sasl-token" => {
            let (account, token) = value.split_once(' ').expect("account and token");
            config.sasl = Some(Credentials::token(account, token).expect("a token"));
        }
        "sasl-min-iterations" => {
            config.sasl_limits.min_iterations = value.parse().expect("a number");
        }
        "sasl-max-challenge" => {
            config.sasl_limits.max_challenge = value.parse().expect("a number");
        }
        "sasl-external" => config.sasl = Some(Credentials::external()),
        "regain-nick" => config.regain_nick = true,
        "line-capacity" => config.line_capacity = value.parse().expect("a number"),
        "request-capacity" => config.request_capacity = value.parse().expect("a number"),
        "ping-interval" => {
            config.ping_interval = Duration::from_secs(value.parse().expect("seconds"));
        }
        "ping-timeout" => {
            config.ping_timeout = Duration::from_secs(value.parse().expect("seconds"));
        }
        "max-list-entries" => config.limits.max_list_entries = value.parse().expect("a number"),
        "max-reply-items" => config.limits.max_reply_items = value.parse().expect("a number"),
        other => panic!("{other:?} is no setting"),
    }
}

fn request(line: &str) -> Request {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split(' ');
    let mut word = || words.next().expect("another word");
    let (_, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = |text: &str| Text::new(text).expect("a text");
    let some = |tail: &str| (!tail.is_empty()).then(|| text(tail));
    let channel = |name: &str| name.parse().expect("a channel");
    match name {
        "join" => Request::Join {
            channel: channel(word()),
            key: words.next().map(|key| key.parse().expect("a key")),
        },
        "part" => Request::Part {
            channel: channel(word()),
            reason: some(tail),
        },
        "say" => Request::Message {
            to: word().parse().expect("a target"),
            text: text(tail),
        },
        "notice" => Request::Notice {
            to: word().parse().expect("a target"),
            text: text(tail),
        },
        "me" => Request::Action {
            to: word().parse().expect("a target"),
            text: text(tail),
        },
        "say-long" => Request::Message {
            to: word().parse().expect("a target"),
            text: text(&tail.repeat(100)),
        },
        "settopic" => Request::SetTopic {
            channel: channel(word()),
            topic: text(tail),
        },
        "topic" => Request::Topic(channel(word())),
        "names" => Request::Names(channel(word())),
        "who" => Request::Who(word().parse().expect("a mask")),
        "whois" => Request::Whois(nick(word())),
        "list" => {
            let mut filter = ListFilter::default();
            if let Some(names) = words.next().filter(|names| !matches!(*names, "" | "*")) {
                filter.names = Some(names.parse().expect("a word"));
            }
            filter.min_members = words
                .next()
                .map_or(0, |count| count.parse().expect("a number"));
            Request::List(filter)
        }
        "mode" => Request::SetMode {
            target: word().parse().expect("a target"),
            modes: word().parse().expect("modes"),
            params: words.map(|param| param.parse().expect("a word")).collect(),
        },
        "modes" => Request::Modes(channel(word())),
        "kick" => Request::Kick {
            channel: channel(word()),
            nick: nick(word()),
            reason: None,
        },
        "invite" => Request::Invite {
            nick: nick(word()),
            channel: channel(word()),
        },
        "away" => Request::Away(some(rest)),
        "nick" => Request::Nick(nick(word())),
        "setname" => Request::SetRealName(text(rest)),
        "raw" => Request::Raw(Message::parse(rest).expect("a message")),
        other => panic!("{other:?} is no request"),
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(" "))
}

fn members(members: &[Member]) -> String {
    list(
        members
            .iter()
            .map(|member| format!("{}{}", member.symbols, member.nick)),
    )
}

fn show(event: &Event) -> String {
    let own_mark = |own: &bool| if *own { "own " } else { "" };
    let tail = |text: &Option<String>| {
        text.as_ref()
            .map_or(String::new(), |text| format!(": {text}"))
    };
    let at = |time: &Option<jackfield_irc::codec::Timestamp>| {
        time.map_or(String::new(), |time| format!(" at {time}"))
    };
    match event {
        Event::Registered(Registered {
            nick,
            network,
            account,
            ..
        }) => format!(
            "registered {nick}{}{}",
            network
                .as_ref()
                .map_or(String::new(), |name| format!(" on {name}")),
            account
                .as_ref()
                .map_or(String::new(), |name| format!(" as {name}"))
        ),
        Event::Message(message) => {
            let kind = match message.kind {
                ChatKind::Message => "message",
                ChatKind::Notice => "notice",
                ChatKind::Action => "action",
                _ => "?",
            };
            let history = if message.history { "history " } else { "" };
            let own = own_mark(&message.own);
            let place = match &message.channel {
                Some(channel) if *channel == *message.target => channel.to_string(),
                Some(channel) => format!("{} in {channel}", message.target),
                None => message.target.clone(),
            };
            let Source { name, .. } = &message.from;
            format!(
                "{history}{own}{kind} {name} to {place}{}: {}",
                at(&message.time),
                message.text
            )
        }
        Event::Ctcp {
            from,
            target,
            command,
            params,
            reply,
            own,
        } => format!(
            "{}ctcp {}{} to {target}: {command} {params}",
            own_mark(own),
            if *reply { "reply " } else { "" },
            from.name
        ),
        Event::Joined {
            channel,
            nick,
            own,
            account,
            time,
            ..
        } => format!(
            "{}joined {nick} {channel}{}{}",
            own_mark(own),
            account
                .as_ref()
                .map_or(String::new(), |name| format!(" as {name}")),
            at(time)
        ),
        Event::Parted {
            channel,
            nick,
            own,
            reason,
            ..
        } => format!("{}parted {nick} {channel}{}", own_mark(own), tail(reason)),
        Event::Kicked {
            channel,
            nick,
            own,
            by,
            reason,
            ..
        } => format!(
            "{}kicked {nick} {channel} by {by}{}",
            own_mark(own),
            tail(reason)
        ),
        Event::Quit {
            nick,
            channels,
            reason,
            ..
        } => format!("quit {nick} {}{}", list(channels), tail(reason)),
        Event::NickChanged {
            from,
            to,
            own,
            channels,
            ..
        } => format!("{}nick {from} {to} {}", own_mark(own), list(channels)),
        Event::Topic {
            channel, topic, by, ..
        } => format!(
            "topic {channel}{}{}",
            by.as_ref().map_or(String::new(), |by| format!(" by {by}")),
            tail(topic)
        ),
        Event::Members {
            channel,
            members: all,
        } => format!("members {channel} {}", members(all)),
        Event::ModeChanged {
            target,
            by,
            changes,
            ..
        } => format!("mode {target} by {by} {}", list(changes)),
        Event::RankChanged {
            channel,
            nick,
            symbols,
        } => format!("rank {channel} {symbols}{nick}"),
        Event::AwayChanged {
            nick,
            own,
            text,
            time,
        } => format!("{}away {nick}{}{}", own_mark(own), at(time), tail(text)),
        Event::AccountChanged {
            nick,
            own,
            account,
            time,
        } => format!(
            "{}account {nick}{}{}",
            own_mark(own),
            at(time),
            tail(account)
        ),
        Event::HostChanged {
            nick,
            own,
            user,
            host,
            time,
        } => format!("{}host {nick} {user}@{host}{}", own_mark(own), at(time)),
        Event::RealNameChanged {
            nick,
            own,
            real_name,
            time,
        } => format!("{}real name {nick}{}: {real_name}", own_mark(own), at(time)),
        Event::Invited {
            channel,
            nick,
            own,
            by,
            time,
        } => format!(
            "{}invited {nick} {channel} by {by}{}",
            own_mark(own),
            at(time)
        ),
        Event::MechanismRefused { mechanism, refusal } => format!(
            "mechanism refused {mechanism}{}",
            refusal
                .as_ref()
                .map_or(String::new(), |refusal| format!(": {refusal}"))
        ),
        Event::Lag(lag) => format!("lag {}s", lag.as_secs()),
        Event::Refused { about, refusal } => format!("refused {}: {refusal}", list(about)),
        Event::StandardReply {
            severity,
            command,
            code,
            text,
        } => format!("{severity:?} {command} {code}: {text}"),
        Event::Malformed(reason) => format!("malformed: {reason}"),
        Event::Other(message) => format!("other {message}"),
        other => format!("{other:?}"),
    }
}

fn show_reply(reply: &Reply) -> String {
    match reply {
        Reply::Done => "done".to_owned(),
        Reply::Joined(Joined {
            topic,
            members: all,
            ..
        }) => format!(
            "joined {}{}",
            members(all),
            topic
                .as_ref()
                .map_or(String::new(), |topic| format!(": {topic}"))
        ),
        Reply::Topic(topic) => format!("topic {}", topic.as_deref().unwrap_or("none")),
        Reply::Members(all) => format!("members {}", members(all)),
        Reply::Who(entries) => {
            let shown = entries.iter().map(|entry| {
                format!(
                    "{}{}!{}@{} {}{}",
                    entry.symbols,
                    entry.nick,
                    entry.user,
                    entry.host,
                    entry.account.as_deref().unwrap_or("-"),
                    if entry.away { " away" } else { "" }
                )
            });
            format!("who {}", shown.collect::<Vec<_>>().join(", "))
        }
        Reply::Whois(whois) => {
            let Whois {
                user,
                real_name,
                account,
                channels,
                idle,
                other,
                ..
            } = &**whois;
            format!(
                "whois {user} ({real_name}) as {} in {} idle {}s {}",
                account.as_deref().unwrap_or("-"),
                list(channels),
                idle.map_or(0, |idle| idle.as_secs()),
                other.join(" | ")
            )
        }
        Reply::List(entries) => {
            let shown = entries
                .iter()
                .map(|entry| format!("{} {} {}", entry.channel, entry.members, entry.topic));
            format!("list {}", shown.collect::<Vec<_>>().join(" | "))
        }
        Reply::Modes { modes, params } => format!("modes {modes} {}", list(params)),
        other => format!("{other:?}"),
    }
}
