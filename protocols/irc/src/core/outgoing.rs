//! Outgoing lines: what a request becomes.

use super::pending::{AnswerEnd, Kind};
use super::send_queue::Queued;
use super::split::split;
use super::{
    ChatKind, ChatMessage, Event, ListFilter, Reply, Request, RequestId, Session, SessionEvent,
};
use crate::codec::{
    ChannelName, Command, Ctcp, Message, MessageBuilder, Source, TagKey, TagValue, Target, Text,
    Word,
};
use crate::error::RequestError;

/// The longest user name with its `~`, where the server doesn't say, in bytes.
const DEFAULT_USER_LENGTH: usize = 18;
/// The longest host, where the server doesn't say, in bytes.
const DEFAULT_HOST_LENGTH: usize = 63;
/// What `WHOX` is asked for; [`incoming`](super::incoming) reads the fields in this order.
const WHOX_FIELDS: &str = "%tcuhsnfar";
/// What the answer to `WHOX` begins with. Any number would do: replies come in order.
pub(super) const WHOX_TOKEN: &str = "152";

/// A request's lines, and what to do about its answer.
struct Plan {
    lines: Vec<Line>,
    kind: Kind,
    /// Whether success may be silent.
    fence: bool,
}

struct Line {
    builder: MessageBuilder,
    text: Option<Text>,
    /// What to show once it is sent, where the server will not echo it.
    echo: Option<Event>,
}

impl Session {
    /// Takes a request. Its outcome comes as [`SessionEvent::Completed`].
    ///
    /// ```
    /// # use jackfield_irc::core::{Config, Request, Session};
    /// # use jackfield_socket::driver::{Core, StreamCore};
    /// # use jackfield_socket::time::Instant;
    /// # let now = Instant::now();
    /// # let mut session = Session::new(Config::new("ada".parse()?));
    /// # session.transmit(now, &mut Vec::new());
    /// # session.receive(now, b":a.example 001 ada :Welcome\r\n:a.example 422 ada :No MOTD\r\n")?;
    /// # session.transmit(now, &mut Vec::new());
    /// let id = session.request(Request::Topic("#rust".parse()?))?;
    /// let mut sent = Vec::new();
    /// session.transmit(now, &mut sent);
    /// assert_eq!(sent, b"TOPIC #rust\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RequestError::NotConnected`] before the registration is complete,
    /// [`Closed`](RequestError::Closed) after [`close`](Self::close) and after the session's end,
    /// [`QueueFull`](RequestError::QueueFull), [`TooManyPending`](RequestError::TooManyPending),
    /// [`TooLong`](RequestError::TooLong), or [`Unsupported`](RequestError::Unsupported).
    pub fn request(&mut self, request: Request) -> Result<RequestId, RequestError> {
        if self.is_closing() {
            return Err(RequestError::Closed);
        }
        if !self.is_registered() {
            return Err(RequestError::NotConnected);
        }
        let id = self.pending.next_id()?;
        if let Request::Join { channel, .. } = &request
            && let Some(channel) = self.channels.get(&self.isupport, channel)
        {
            // The server would not answer.
            let reply = Reply::Joined(channel.snapshot());
            self.events
                .push_back(SessionEvent::Completed(id, Ok(reply)));
            return Ok(id);
        }
        let Plan { lines, kind, fence } = self.plan(request)?;
        let labelled = self.capabilities.has("labeled-response")
            && self.capabilities.has("batch")
            && !matches!(kind, Kind::Raw);
        let fence = fence && !labelled;
        if !self.queue.has_room(lines.len() + usize::from(fence)) {
            return Err(RequestError::QueueFull);
        }
        let limit = self.isupport.line_length - "\r\n".len();
        let last = lines.len().saturating_sub(1);
        let mut queued = Vec::with_capacity(lines.len());
        for (index, line) in lines.into_iter().enumerate() {
            let mut builder = line.builder;
            if labelled && index == last {
                let value = TagValue::from_checked(&id.0.to_string());
                builder = builder.tag(&TagKey::from_checked("label"), &value);
            }
            let message = match line.text {
                Some(text) => builder.text(text),
                None => builder.build(),
            };
            if message.length_without_tags() > limit {
                return Err(RequestError::TooLong { limit });
            }
            queued.push(Queued {
                line: message,
                request: (index == last).then_some(id),
                echo: line.echo,
            });
        }
        for line in queued {
            self.note_nick(line.line.view());
            self.queue.push(line);
        }
        if fence {
            let text = Text::from(&fence_word(id));
            self.queue.push(Queued {
                line: Message::builder(Command::Ping).text(text),
                request: None,
                echo: None,
            });
        }
        let end = match (labelled, fence) {
            (true, _) => AnswerEnd::Labelled,
            (false, true) => AnswerEnd::Fenced,
            (false, false) => AnswerEnd::Known,
        };
        self.pending.push(id, kind, end);
        Ok(id)
    }

    fn plan(&self, request: Request) -> Result<Plan, RequestError> {
        let build = |command| Message::builder(command);
        let plain = |builder: MessageBuilder, text: Option<Text>, kind, fence| Plan {
            lines: vec![Line {
                builder,
                text,
                echo: None,
            }],
            kind,
            fence,
        };
        Ok(match request {
            Request::Join { channel, key } => {
                let mut builder = build(Command::Join).word(&channel);
                if let Some(key) = &key {
                    builder = builder.word(key);
                }
                plain(builder, None, Kind::Join(channel), false)
            }
            Request::Part { channel, reason } => {
                let builder = build(Command::Part).word(&channel);
                plain(builder, reason, Kind::Part(channel), false)
            }
            Request::Message { to, text } => self.chat(&to, &text, ChatKind::Message)?,
            Request::Notice { to, text } => self.chat(&to, &text, ChatKind::Notice)?,
            Request::Action { to, text } => self.chat(&to, &text, ChatKind::Action)?,
            Request::Tags { to, tags } => {
                if !self.capabilities.has("message-tags") {
                    return Err(RequestError::Unsupported("message-tags"));
                }
                let mut builder = build(Command::Tagmsg).word(&to);
                for (key, value) in &tags {
                    builder = builder.tag(key, value);
                }
                plain(builder, None, self.message_kind(&to), false)
            }
            Request::SetTopic { channel, topic } => {
                let builder = build(Command::Topic).word(&channel);
                plain(builder, Some(topic), Kind::SetTopic(channel), true)
            }
            Request::Topic(channel) => {
                let builder = build(Command::Topic).word(&channel);
                plain(builder, None, Kind::Topic(channel), false)
            }
            Request::Names(channel) => {
                let builder = build(Command::Names).word(&channel);
                plain(builder, None, Kind::Names(channel, Vec::new()), false)
            }
            Request::Who(mask) => {
                let mut builder = build(Command::Who).word(&mask);
                if self.isupport.whox {
                    let fields = format!("{WHOX_FIELDS},{WHOX_TOKEN}");
                    builder = builder.word(Word::from_checked(&fields));
                }
                plain(
                    builder,
                    None,
                    Kind::Who(mask.to_string(), Vec::new()),
                    false,
                )
            }
            Request::Whois(nick) => {
                let builder = build(Command::Whois).word(&nick);
                let whois = Box::new(super::Whois::new(&nick));
                plain(builder, None, Kind::Whois(nick.to_string(), whois), false)
            }
            Request::List(filter) => {
                let mut builder = build(Command::List);
                if let Some(which) = self.listed(&filter) {
                    builder = builder.word(which);
                }
                plain(builder, None, Kind::List(filter, Vec::new()), false)
            }
            Request::SetMode {
                target,
                modes,
                params,
            } => {
                let mut builder = build(Command::Mode).word(&target).word(modes);
                let kind = Kind::SetMode {
                    target: target.to_string(),
                    params: params.iter().map(ToString::to_string).collect(),
                };
                for param in params {
                    builder = builder.word(param);
                }
                plain(builder, None, kind, true)
            }
            Request::Modes(channel) => {
                let builder = build(Command::Mode).word(&channel);
                plain(builder, None, Kind::Modes(channel), false)
            }
            Request::Kick {
                channel,
                nick,
                reason,
            } => {
                let builder = build(Command::Kick).word(&channel).word(&nick);
                plain(builder, reason, Kind::Kick(channel, nick.to_string()), true)
            }
            Request::Invite { nick, channel } => {
                let builder = build(Command::Invite).word(&nick).word(&channel);
                plain(builder, None, Kind::Invite(channel, nick.to_string()), true)
            }
            Request::Away(text) => {
                // An empty text would mean to come back.
                let text = text.filter(|text| !text.is_empty());
                plain(build(Command::Away), text, Kind::Away, true)
            }
            Request::Nick(nick) => {
                let builder = build(Command::Nick).word(&nick);
                plain(builder, None, Kind::Nick(nick.to_string()), true)
            }
            Request::SetRealName(text) => {
                if !self.capabilities.has("setname") {
                    return Err(RequestError::Unsupported("setname"));
                }
                plain(build(Command::Setname), Some(text), Kind::SetRealName, true)
            }
            Request::Raw(message) => plain(message.into_builder(), None, Kind::Raw, false),
        })
    }

    /// The parameter of `LIST`, as far as this server knows such (<https://modern.ircdocs.horse/#list-message>).
    fn listed(&self, filter: &ListFilter) -> Option<Word> {
        let more_than = filter.min_members.checked_sub(1);
        let more_than = more_than.filter(|_| self.isupport.list_filters.contains('U'));
        match (&filter.names, more_than) {
            (names, None) => names.clone(),
            (None, Some(count)) => Some(Word::from_checked(&format!(">{count}"))),
            (Some(names), Some(count)) => Some(Word::from_checked(&format!("{names},>{count}"))),
        }
    }

    /// The lines of a text, each short enough for the server to pass it on whole: it puts this
    /// client's `:nick!user@host ` in front.
    fn chat(&self, to: &Target, text: &Text, kind: ChatKind) -> Result<Plan, RequestError> {
        let command = match kind {
            ChatKind::Notice => Command::Notice,
            ChatKind::Message | ChatKind::Action => Command::Privmsg,
        };
        let is_ctcp = text.starts_with('\u{1}');
        let frame = match kind {
            ChatKind::Action => "\u{1}ACTION \u{1}".len(),
            ChatKind::Message | ChatKind::Notice => 0,
        };
        let around = self.prefix_length() + format!("{command} {to} :\r\n").len() + frame;
        let budget = self.isupport.line_length.saturating_sub(around).max(1);
        if is_ctcp && text.len() > budget {
            // Its pieces would mean something else.
            return Err(RequestError::TooLong { limit: budget });
        }
        let pieces = split(text, budget);
        // Checked before the pieces are copied.
        if !self.queue.has_room(pieces.len()) {
            return Err(RequestError::QueueFull);
        }
        let echoed = self.capabilities.has("echo-message");
        // What is sent to oneself comes back in any case.
        let to_self = self.is_own(to);
        let mut lines = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let piece = Text::from_checked(piece);
            let echo = (!echoed && !to_self).then(|| self.own_message(to, &piece, kind));
            let piece = match kind {
                ChatKind::Action => Ctcp::action(&piece),
                ChatKind::Message | ChatKind::Notice => piece,
            };
            let builder = Message::builder(command).word(to);
            lines.push(Line {
                builder,
                text: Some(piece),
                echo,
            });
        }
        Ok(Plan {
            lines,
            kind: self.message_kind(to),
            fence: false,
        })
    }

    fn message_kind(&self, to: &Target) -> Kind {
        let labelled = self.capabilities.has("labeled-response") && self.capabilities.has("batch");
        Kind::Message {
            target: to.to_string(),
            done_when_sent: !labelled,
        }
    }

    /// What to show of one's own message where the server doesn't echo it.
    fn own_message(&self, to: &Target, text: &Text, kind: ChatKind) -> Event {
        let from = self.own_source();
        if kind != ChatKind::Action
            && let Some(ctcp) = Ctcp::parse(text)
            && !ctcp.is("ACTION")
        {
            return Event::Ctcp {
                from,
                target: to.to_string(),
                command: ctcp.command.to_owned(),
                params: ctcp.params.to_owned(),
                reply: kind == ChatKind::Notice,
                own: true,
            };
        }
        let action = Ctcp::parse(text).map(|ctcp| ctcp.params);
        Event::Message(ChatMessage {
            from,
            own: true,
            target: to.to_string(),
            channel: self.channel_of(to),
            kind: if action.is_some() {
                ChatKind::Action
            } else {
                kind
            },
            text: action.unwrap_or(text).to_owned(),
            time: None,
            id: None,
            account: None,
            history: false,
        })
    }

    /// The channel that a target names, without the rank in front.
    pub(super) fn channel_of(&self, target: &str) -> Option<ChannelName> {
        let is_rank = |c: char| self.isupport.status_message.contains(c);
        let bare = if self.isupport.is_channel(target) {
            target
        } else {
            target.trim_start_matches(is_rank)
        };
        if !self.isupport.is_channel(bare) {
            return None;
        }
        self.channel_name(bare).ok()
    }

    fn own_source(&self) -> Source {
        Source {
            name: self.nick.to_string(),
            user: self.user.clone(),
            host: self.host.clone(),
        }
    }

    /// How long `:nick!user@host ` is or, where user and host are not known, may be.
    fn prefix_length(&self) -> usize {
        let user = self.user.as_ref().map(String::len);
        let host = self.host.as_ref().map(String::len);
        // The user name gets a `~` from servers that could not verify it.
        let user = user.or(self.isupport.user_length.map(|length| length + 1));
        let host = host.or(self.isupport.host_length);
        ":!@ ".len()
            + self.nick.len()
            + user.unwrap_or(DEFAULT_USER_LENGTH)
            + host.unwrap_or(DEFAULT_HOST_LENGTH)
    }
}

fn fence_word(id: RequestId) -> Word {
    Word::from_checked(&format!("fence-{}", id.0))
}
