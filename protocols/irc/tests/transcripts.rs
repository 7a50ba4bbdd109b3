//! Conversations (`tests/vectors/irc/transcripts/*.txt`), run against the core with time in the
//! test's hand. The format is explained in the README beside them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use jackfield_irc::codec::{Message, Nickname, Source, Text};
use jackfield_irc::core::{
    ChatKind, Config, Event, Joined, Member, Password, Reply, Request, RequestId, Sasl, Session,
    SessionEvent, Whois,
};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

#[test]
fn every_transcript_holds() {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/irc/transcripts");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("the transcripts are there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let text = std::fs::read_to_string(&path).expect("a text");
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            Runner::new(name).run(&text);
            count += 1;
        }
    }
    assert!(count > 10, "only {count} transcripts were found");
}

struct Runner {
    at: String,
    now: Instant,
    session: Session,
    sent: VecDeque<String>,
    told: VecDeque<String>,
    /// Requests by number, in the order of their `>` lines.
    requests: BTreeMap<RequestId, usize>,
}

impl Runner {
    fn new(name: String) -> Self {
        Self {
            at: name,
            now: Instant::now(),
            session: Session::new(Config::new(nick("ada"))),
            sent: VecDeque::new(),
            told: VecDeque::new(),
            requests: BTreeMap::new(),
        }
    }

    fn run(mut self, text: &str) {
        let name = self.at.clone();
        let mut config = Config::new(nick("ada"));
        let mut begun = false;
        for (number, line) in text.lines().enumerate() {
            self.at = format!("{name}.txt:{}", number + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(setting) = line.strip_prefix("config ") {
                assert!(!begun, "{}: too late for a setting", self.at);
                configure(&mut config, setting);
                self.session = Session::new(config.clone());
                continue;
            }
            begun = true;
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            match kind {
                "C:" => {
                    self.move_bytes();
                    let sent = self.sent.pop_front();
                    assert_eq!(sent.as_deref(), Some(rest), "{}: sent", self.at);
                }
                "E:" => {
                    self.move_bytes();
                    let told = self.told.pop_front();
                    assert_eq!(told.as_deref(), Some(rest), "{}: told", self.at);
                }
                // Several requests may be made in a row.
                ">" => self.ask(rest),
                _ => {
                    self.move_bytes();
                    self.expect_nothing();
                    self.step(kind, rest);
                }
            }
        }
        self.move_bytes();
        self.expect_nothing();
    }

    fn expect_nothing(&self) {
        assert!(
            self.sent.is_empty(),
            "{}: also sent {:?}",
            self.at,
            self.sent
        );
        assert!(
            self.told.is_empty(),
            "{}: also told {:?}",
            self.at,
            self.told
        );
    }

    fn step(&mut self, kind: &str, rest: &str) {
        match kind {
            "S:" => {
                let line = format!("{}\r\n", rest.replace("\\x01", "\u{1}"));
                let result = self.session.receive(self.now, line.as_bytes());
                self.drain_events();
                if let Err(error) = result {
                    self.told.push_back(format!("failed: {error}"));
                }
            }
            "END" => {
                let result = self.session.receive_end(self.now);
                self.drain_events();
                if let Err(error) = result {
                    self.told.push_back(format!("failed: {error}"));
                }
            }
            "+" => self.pass(rest),
            "quit" => self.session.quit(Some(Text::new(rest).expect("a text"))),
            other => panic!("{}: {other:?} is no kind of line", self.at),
        }
    }

    fn ask(&mut self, line: &str) {
        let number = self.requests.len() + 1;
        match self.session.request(request(line)) {
            Ok(id) => {
                self.requests.insert(id, number);
            }
            Err(error) => self.told.push_back(format!("not taken: {error}")),
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, time: &str) {
        let seconds = time
            .strip_suffix('s')
            .expect("seconds")
            .parse()
            .expect("a number");
        let until = self.now + Duration::from_secs(seconds);
        while let Some(deadline) = self
            .session
            .deadline()
            .filter(|deadline| *deadline <= until)
        {
            self.now = deadline;
            let result = self.session.handle_deadline(self.now);
            self.move_bytes();
            if let Err(error) = result {
                self.told.push_back(format!("failed: {error}"));
            }
            if let Some(next) = self.session.deadline() {
                assert!(next > self.now, "{}: a deadline that has passed", self.at);
            }
        }
        self.now = until;
    }

    fn move_bytes(&mut self) {
        let mut out = Vec::new();
        self.session.transmit(self.now, &mut out);
        let out = String::from_utf8(out).expect("text");
        assert!(out.is_empty() || out.ends_with("\r\n"));
        for line in out.split_terminator("\r\n") {
            assert!(!line.contains(['\r', '\n', '\0']));
            self.sent.push_back(line.replace('\u{1}', "\\x01"));
        }
        self.drain_events();
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            let shown = match event {
                SessionEvent::Event(event) => show(&event),
                SessionEvent::Completed(id, outcome) => {
                    let number = self.requests.get(&id);
                    let number = number.map_or_else(|| "?".to_owned(), ToString::to_string);
                    match outcome {
                        Ok(reply) => format!("#{number} {}", show_reply(&reply)),
                        Err(error) => format!("#{number} error: {error}"),
                    }
                }
                SessionEvent::QuitDone => "quit done".to_owned(),
                other => format!("{other:?}"),
            };
            self.told.push_back(shown);
        }
    }
}

fn nick(text: &str) -> Nickname {
    text.parse().expect("a nickname")
}

fn configure(config: &mut Config, setting: &str) {
    let (name, value) = setting.split_once(' ').unwrap_or((setting, ""));
    match name {
        "alternative" => config.alternatives.push(nick(value)),
        "password" => config.password = Some(Password::new(value).expect("a password")),
        "sasl-plain" => {
            let (account, password) = value.split_once(' ').expect("account and password");
            config.sasl = Some(Sasl::plain(account, password).expect("texts"));
        }
        "sasl-external" => config.sasl = Some(Sasl::External),
        "queued-lines" => config.limits.queued_lines = value.parse().expect("a number"),
        "pending-requests" => config.limits.pending_requests = value.parse().expect("a number"),
        "ping-interval" => {
            config.ping_interval = Duration::from_secs(value.parse().expect("seconds"));
        }
        "reply-items" => config.limits.reply_items = value.parse().expect("a number"),
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
        Event::Registered {
            nick,
            network,
            account,
        } => format!(
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
        Reply::Modes { modes, params } => format!("modes {modes} {}", list(params)),
        other => format!("{other:?}"),
    }
}
