//! State of the server: who is connected, which channels there are, and how lines get to clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Waker;

use jackfield_socket::time::Instant;

use crate::codec::{
    CaseMapping, Command, MAX_MESSAGE, MessageRef, Nickname, Numeric, TagKey, TagValue, Text,
    Timestamp, Word,
};

use super::ServerConfig;
use super::reply::{Reply, cut, star};

/// How names are compared here.
pub(super) const CASE: CaseMapping = CaseMapping::Ascii;
/// How many seconds' worth of lines a client may send at once.
const BURST_SECONDS: u32 = 10;
/// How many client-only tags are passed on with a message.
const MAX_CLIENT_TAGS: usize = 16;

pub(super) type ClientId = u64;

/// Everything the server knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: ServerConfig,
    pub(super) clients: BTreeMap<ClientId, Client>,
    /// By folded name.
    pub(super) nicks: BTreeMap<String, ClientId>,
    /// By folded name. A channel without members is gone.
    pub(super) channels: BTreeMap<String, Channel>,
    /// The time of what is being handled.
    pub(super) now: Timestamp,
    /// Two clocks at one moment, to tell the wall clock's time from the other's.
    origin: (Instant, Timestamp),
    next_id: ClientId,
    /// Whose line is being handled: this client's task is awake.
    current: Option<ClientId>,
    /// Clients whose send queue has overflowed, to be disconnected.
    overflowed: VecDeque<ClientId>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) nick: Option<Nickname>,
    pub(super) user: Option<Word>,
    pub(super) real_name: Text,
    pub(super) host: Word,
    pub(super) registered: bool,
    pub(super) signed_on: Timestamp,
    pub(super) last_message: Timestamp,
    pub(super) away: Option<Text>,
    pub(super) account: Option<Word>,
    pub(super) capabilities: BTreeSet<Capability>,
    /// Capability negotiation is open, and registration waits for its end.
    pub(super) negotiating: bool,
    /// What has come of a SASL response, in base64, while one is awaited.
    pub(super) sasl: Option<String>,
    pub(super) sasl_failures: u8,
    /// Folded names.
    pub(super) channels: BTreeSet<String>,
    /// It has left, or was made to: once `out` is written, the connection is closed.
    pub(super) closing: bool,
    out: Vec<u8>,
    waker: Option<Waker>,
    /// Answers to a labelled command, until all of them are there.
    labelled: Option<Labelled>,
    /// How many more lines it may send, and when that was reckoned.
    allowance: (u32, Timestamp),
}

#[derive(Debug)]
struct Labelled {
    label: String,
    answers: Vec<Reply>,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// The name as its founder wrote it.
    pub(super) name: Word,
    pub(super) created: Timestamp,
    pub(super) topic: Option<Topic>,
    pub(super) members: BTreeMap<ClientId, Member>,
    /// Letters of [`FLAGS`](super::channels::FLAGS).
    pub(super) flags: BTreeSet<char>,
    pub(super) key: Option<Word>,
    pub(super) limit: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) text: Text,
    pub(super) by: Word,
    pub(super) at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    pub(super) operator: bool,
    pub(super) voice: bool,
}

/// The capabilities that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Capability {
    Batch,
    EchoMessage,
    LabeledResponse,
    MessageTags,
    MultiPrefix,
    Sasl,
    ServerTime,
}

impl Capability {
    pub(super) const ALL: [Self; 7] = [
        Self::Batch,
        Self::EchoMessage,
        Self::LabeledResponse,
        Self::MessageTags,
        Self::MultiPrefix,
        Self::Sasl,
        Self::ServerTime,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::EchoMessage => "echo-message",
            Self::LabeledResponse => "labeled-response",
            Self::MessageTags => "message-tags",
            Self::MultiPrefix => "multi-prefix",
            Self::Sasl => "sasl",
            Self::ServerTime => "server-time",
        }
    }
}

impl State {
    pub(super) fn new(config: ServerConfig, now: Instant, wall: Timestamp) -> Self {
        Self {
            config,
            clients: BTreeMap::new(),
            nicks: BTreeMap::new(),
            channels: BTreeMap::new(),
            now: wall,
            origin: (now, wall),
            next_id: 0,
            current: None,
            overflowed: VecDeque::new(),
        }
    }

    /// Takes the time from the one who has the clock.
    pub(super) fn set_now(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.origin.0).as_millis() as u64;
        let wall = self.origin.1.unix_millis().saturating_add(passed);
        self.now = Timestamp::from_unix_millis(wall);
    }

    pub(super) fn add_client(&mut self, host: Word) -> ClientId {
        let id = self.next_id;
        self.next_id += 1;
        let client = Client {
            nick: None,
            user: None,
            real_name: Text::empty(),
            host,
            registered: false,
            signed_on: self.now,
            last_message: self.now,
            away: None,
            account: None,
            capabilities: BTreeSet::new(),
            negotiating: false,
            sasl: None,
            sasl_failures: 0,
            channels: BTreeSet::new(),
            closing: false,
            out: Vec::new(),
            waker: None,
            labelled: None,
            allowance: (self.burst(), self.now),
        };
        self.clients.insert(id, client);
        id
    }

    /// Forgets a client whose connection is gone.
    pub(super) fn remove_client(&mut self, id: ClientId) {
        self.quit(id, "Connection lost");
        self.clients.remove(&id);
        self.drop_overflowed();
    }

    /// Acts on a line from a client.
    pub(super) fn receive_line(&mut self, id: ClientId, line: &[u8]) {
        if self.is_closing(id) {
            return;
        }
        if !self.take_allowance(id) {
            self.quit(id, "Excess flood");
            return self.drop_overflowed();
        }
        self.current = Some(id);
        match parse(line) {
            Ok(message) => self.receive_message(id, &message),
            Err(Refused::Encoding) => self.send(
                id,
                Reply::new(&self.config.name, Command::Fail)
                    .word("*")
                    .word("INVALID_UTF8")
                    .text("Lines must be UTF-8 here"),
            ),
            Err(Refused::TooLong) => self.receive_too_long(id),
            Err(Refused::Malformed(problem)) => {
                let reply = self.numeric(id, Numeric::ERR_UNKNOWNCOMMAND);
                self.send(id, reply.word("*").text(&problem));
            }
        }
        self.current = None;
        self.drop_overflowed();
    }

    /// Answers a line that was too long and has been skipped.
    pub(super) fn receive_too_long(&mut self, id: ClientId) {
        let reply = self.numeric(id, Numeric::ERR_INPUTTOOLONG);
        self.send(id, reply.text("Input line was too long"));
    }

    fn receive_message(&mut self, id: ClientId, message: &MessageRef<'_>) {
        let label = message.tags().get("label").filter(|label| {
            !label.is_empty() && label.len() <= 64 && self.can(id, Capability::LabeledResponse)
        });
        if let (Some(label), Some(client)) = (label, self.clients.get_mut(&id)) {
            client.labelled = Some(Labelled {
                label: label.into_owned(),
                answers: Vec::new(),
            });
        }
        self.dispatch(id, message);
        self.answer_labelled(id);
    }

    fn dispatch(&mut self, id: ClientId, message: &MessageRef<'_>) {
        let params: Vec<&str> = message.params().collect();
        let registered = self
            .clients
            .get(&id)
            .is_some_and(|client| client.registered);
        match message.command() {
            Command::Cap => self.cap(id, &params),
            Command::Authenticate => self.authenticate(id, &params),
            Command::Nick => self.nick(id, &params),
            Command::User => self.user(id, &params),
            Command::Pass if !registered => {}
            Command::Pass => self.tell(id, Numeric::ERR_ALREADYREGISTERED, "Already registered"),
            Command::Ping => self.ping(id, &params),
            Command::Pong => {}
            Command::Quit => {
                let reason = params.first().copied().unwrap_or_default();
                self.quit(id, &format!("Quit: {}", cut(reason, 200)));
            }
            _ if !registered => {
                self.tell(id, Numeric::ERR_NOTREGISTERED, "You have not registered");
            }
            Command::Join => self.join(id, &params),
            Command::Part => self.part(id, &params),
            Command::Topic => self.topic(id, &params),
            Command::Names => self.names(id, &params),
            Command::List => self.list(id, &params),
            Command::Kick => self.kick(id, &params),
            Command::Mode => self.mode(id, &params),
            Command::Privmsg | Command::Notice | Command::Tagmsg => {
                self.message(id, message.command(), &params, &client_tags(message));
            }
            Command::Away => self.away(id, &params),
            Command::Who => self.who(id, &params),
            Command::Whois => self.whois(id, &params),
            Command::Motd => self.motd(id),
            other => {
                let reply = self.numeric(id, Numeric::ERR_UNKNOWNCOMMAND);
                let reply = reply.word(&other.to_string()).text("Unknown command");
                self.send(id, reply);
            }
        }
    }

    /// Makes a client leave: tells those who share a channel with it, and closes its connection.
    pub(super) fn quit(&mut self, id: ClientId, reason: &str) {
        let Some(source) = self.mask(id) else {
            return;
        };
        let peers = self.peers(id);
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut client.closing, true) {
            return;
        }
        let registered = client.registered;
        let nick = client.nick.take();
        // It may not be reading: what is left is given up, but for the reason.
        if client.out.len() > MAX_MESSAGE {
            client.out.clear();
        }
        for name in std::mem::take(&mut client.channels) {
            self.remove_member(&name, id);
        }
        if let Some(nick) = nick {
            self.nicks.remove(&CASE.fold(&nick));
        }
        if registered {
            let told = Reply::new(source, Command::Quit).text(reason);
            self.send_to(peers, &told);
        }
        let error = Reply::new(&self.config.name, Command::Error);
        let error = error.text(&format!("Closing link: {reason}"));
        self.queue(id, error, None);
    }

    /// Takes a client out of a channel, and the channel away when it was the last.
    pub(super) fn remove_member(&mut self, channel: &str, id: ClientId) {
        if let Some(found) = self.channels.get_mut(channel) {
            found.members.remove(&id);
            if found.members.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    /// Everyone who shares a channel with a client, without itself.
    pub(super) fn peers(&self, id: ClientId) -> BTreeSet<ClientId> {
        let channels = self.clients.get(&id).map(|client| &client.channels);
        channels
            .into_iter()
            .flatten()
            .filter_map(|name| self.channels.get(name))
            .flat_map(|channel| channel.members.keys().copied())
            .filter(|peer| *peer != id)
            .collect()
    }

    pub(super) fn is_closing(&self, id: ClientId) -> bool {
        self.clients.get(&id).is_none_or(|client| client.closing)
    }

    pub(super) fn can(&self, id: ClientId, capability: Capability) -> bool {
        self.clients
            .get(&id)
            .is_some_and(|client| client.capabilities.contains(&capability))
    }

    /// The nickname, or `*` before there is one.
    pub(super) fn nick_of(&self, id: ClientId) -> Word {
        let nick = self
            .clients
            .get(&id)
            .and_then(|client| client.nick.as_ref());
        nick.map_or_else(star, Word::from)
    }

    /// `nick!user@host`, as others see a client.
    pub(super) fn mask(&self, id: ClientId) -> Option<Word> {
        let client = self.clients.get(&id)?;
        let nick = self.nick_of(id);
        let user = client.user.as_deref().unwrap_or("*");
        Word::new(format!("{nick}!{user}@{}", client.host)).ok()
    }

    /// A registered client, by its nickname.
    pub(super) fn find(&self, nick: &str) -> Option<ClientId> {
        let id = self.nicks.get(&CASE.fold(nick)).copied()?;
        self.clients.get(&id)?.registered.then_some(id)
    }

    pub(super) fn numeric(&self, id: ClientId, numeric: Numeric) -> Reply {
        Reply::numeric(&self.config.name, numeric, &self.nick_of(id))
    }

    /// Sends a numeric reply that has a text only.
    pub(super) fn tell(&mut self, id: ClientId, numeric: Numeric, text: &str) {
        let reply = self.numeric(id, numeric);
        self.send(id, reply.text(text));
    }

    /// Sends a numeric reply about something a client named.
    pub(super) fn tell_about(&mut self, id: ClientId, numeric: Numeric, what: &str, text: &str) {
        let reply = self.numeric(id, numeric);
        self.send(id, reply.word(what).text(text));
    }

    pub(super) fn need_more_params(&mut self, id: ClientId, command: &str) {
        let numeric = Numeric::ERR_NEEDMOREPARAMS;
        self.tell_about(id, numeric, command, "Not enough parameters");
    }

    pub(super) fn send_to(&mut self, ids: impl IntoIterator<Item = ClientId>, reply: &Reply) {
        for id in ids {
            self.send(id, reply.clone());
        }
    }

    /// Sends a line to a client. To the one whose labelled command is being handled, it is part of
    /// the answer.
    pub(super) fn send(&mut self, id: ClientId, reply: Reply) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        match &mut client.labelled {
            Some(labelled) => labelled.answers.push(reply),
            None => self.queue(id, reply, None),
        }
    }

    /// Sends what a labelled command was answered with (IRCv3 labeled-response).
    fn answer_labelled(&mut self, id: ClientId) {
        let client = self.clients.get_mut(&id);
        let Some(Labelled { label, mut answers }) =
            client.and_then(|client| client.labelled.take())
        else {
            return;
        };
        let server = self.config.name.clone();
        match answers.len() {
            0 => {
                let ack = Reply::new(&server, Command::Ack);
                self.queue(id, ack, Some(("label", label)));
            }
            1 => {
                for reply in answers.drain(..) {
                    self.queue(id, reply, Some(("label", label.clone())));
                }
            }
            // Without batches, a label on several lines would have no meaning.
            _ if !self.can(id, Capability::Batch) => {
                for reply in answers {
                    self.queue(id, reply, None);
                }
            }
            _ => {
                // One batch is open at a time: one name will do.
                let begin = Reply::new(&server, Command::Batch)
                    .word("+answer")
                    .word("labeled-response");
                self.queue(id, begin, Some(("label", label)));
                for reply in answers {
                    self.queue(id, reply, Some(("batch", "answer".to_owned())));
                }
                let end = Reply::new(&server, Command::Batch).word("-answer");
                self.queue(id, end, None);
            }
        }
    }

    /// Puts a line into a client's send queue, with the tags that it may see.
    fn queue(&mut self, id: ClientId, reply: Reply, tag: Option<(&'static str, String)>) {
        let message_tags = self.can(id, Capability::MessageTags);
        if reply.is_tags_only() && !message_tags {
            return;
        }
        let mut tags: Vec<_> = tag.into_iter().collect();
        if self.can(id, Capability::ServerTime) {
            tags.push(("time", self.now.to_string()));
        }
        let message = reply.into_message(&tags, message_tags);
        let limit = self.config.send_queue;
        let is_current = self.current == Some(id);
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.closing && message.view().command() != Command::Error {
            return;
        }
        if client.out.len() + message.as_str().len() > limit && !client.closing {
            self.overflowed.push_back(id);
            return;
        }
        message.write_to(&mut client.out);
        if let (false, Some(waker)) = (is_current, &client.waker) {
            waker.wake_by_ref();
        }
    }

    fn drop_overflowed(&mut self) {
        // Telling others that one has left may fill their queues too. Each leaves only once.
        while let Some(id) = self.overflowed.pop_front() {
            self.quit(id, "Send queue exceeded");
        }
    }

    /// Moves what a client is to receive to its connection.
    pub(super) fn transmit(&mut self, id: ClientId, out: &mut Vec<u8>) {
        if let Some(client) = self.clients.get_mut(&id) {
            out.append(&mut client.out);
        }
    }

    /// Remembers whom to wake when there is something for a client.
    pub(super) fn set_waker(&mut self, id: ClientId, waker: &Waker) {
        if let Some(client) = self.clients.get_mut(&id) {
            match &mut client.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }

    fn burst(&self) -> u32 {
        self.config.lines_per_second.saturating_mul(BURST_SECONDS)
    }

    /// Whether a client may send one more line at this time.
    fn take_allowance(&mut self, id: ClientId) -> bool {
        let (now, burst) = (self.now, self.burst());
        let rate = u64::from(self.config.lines_per_second);
        let Some(client) = self.clients.get_mut(&id) else {
            return false;
        };
        let (left, at) = client.allowance;
        let passed = now.unix_millis().saturating_sub(at.unix_millis());
        let earned = u32::try_from(passed.saturating_mul(rate) / 1000).unwrap_or(u32::MAX);
        // What is earned by less than a whole line is not lost: the clock moves only with a line.
        let at = if earned > 0 { now } else { at };
        match left.saturating_add(earned).min(burst).checked_sub(1) {
            Some(left) => {
                client.allowance = (left, at);
                true
            }
            None => false,
        }
    }
}

enum Refused {
    Encoding,
    TooLong,
    Malformed(String),
}

fn parse(line: &[u8]) -> Result<MessageRef<'_>, Refused> {
    let tags = match line.first() {
        Some(b'@') => line.iter().position(|byte| *byte == b' ').unwrap_or(0),
        _ => 0,
    };
    if line.len() - tags + "\r\n".len() > MAX_MESSAGE {
        return Err(Refused::TooLong);
    }
    let text = str::from_utf8(line).map_err(|_| Refused::Encoding)?;
    MessageRef::parse(text).map_err(|error| Refused::Malformed(error.to_string()))
}

/// The tags of a message that are for other clients.
fn client_tags(message: &MessageRef<'_>) -> Vec<(TagKey, TagValue)> {
    message
        .tags()
        .iter()
        .filter(|tag| tag.key.starts_with('+'))
        .filter_map(|tag| Some((TagKey::new(tag.key).ok()?, TagValue::new(tag.value).ok()?)))
        .take(MAX_CLIENT_TAGS)
        .collect()
}
