//! Events of a session: what it tells whoever drives it.

use std::time::Duration;

use jackfield_sasl::Mechanism;

use super::{Member, Reply, RequestId};
use crate::codec::{ChannelName, Message, ModeChange, Nickname, Source, Timestamp};
use crate::error::{Refusal, RequestError};

/// What is known when the server has accepted this client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The nickname that this client has: not always the one it wanted.
    pub nick: Nickname,
    /// The network's name, where the server says it.
    pub network: Option<String>,
    /// The account that SASL logged in to.
    pub account: Option<String>,
}

/// What comes out of a [`Session`](super::Session).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Something happened.
    Event(Event),
    /// A request has its outcome.
    Completed(RequestId, Result<Reply, RequestError>),
    /// The server let this side go after its `QUIT`, or took too long to.
    Closed,
}

/// What happened.
///
/// `own` says that it is this client's own doing, or done to it. `time` is the server's, where it
/// sends one (IRCv3 server-time).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server has accepted this client; from now on, requests are taken.
    Registered(Registered),
    /// A channel that was to be entered after registering was not. A client tells it, not a core.
    JoinFailed {
        /// Which.
        channel: ChannelName,
        /// Why. A channel that refused is not tried again.
        error: RequestError,
    },
    /// The server has refused a SASL mechanism, and another is tried. What follows a `-PLUS` one is not
    /// bound to the TLS connection: whoever could stand in its middle is no longer noticed by the
    /// login.
    MechanismRefused {
        /// Which.
        mechanism: Mechanism,
        /// The server's words; `None` where it cut the connection instead, which a client tells, not a
        /// core.
        refusal: Option<Refusal>,
    },
    /// Someone said something.
    Message(ChatMessage),
    /// A CTCP message other than `ACTION`. Nothing is answered by itself.
    Ctcp {
        /// Who sent it.
        from: Source,
        /// Whom it was sent to, as the server wrote it.
        target: String,
        /// The command, such as `VERSION`.
        command: String,
        /// What follows it.
        params: String,
        /// Whether it is a reply (NOTICE) rather than a query (PRIVMSG).
        reply: bool,
        /// Whether this client sent it.
        own: bool,
    },
    /// Someone entered a channel.
    Joined {
        /// Where.
        channel: ChannelName,
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// The account, where the server says it (IRCv3 extended-join).
        account: Option<String>,
        /// The real name, where the server says it (IRCv3 extended-join).
        real_name: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone left a channel.
    Parted {
        /// Where.
        channel: ChannelName,
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// Why, in their words.
        reason: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone was removed from a channel.
    Kicked {
        /// Where.
        channel: ChannelName,
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// Who did it.
        by: String,
        /// Why, in their words.
        reason: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone left the network.
    Quit {
        /// Who.
        nick: Nickname,
        /// The channels that this client shared with them.
        channels: Vec<ChannelName>,
        /// Why, in their words.
        reason: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone took another nickname.
    NickChanged {
        /// The nickname before.
        from: Nickname,
        /// The nickname now.
        to: Nickname,
        /// Whether it is this client.
        own: bool,
        /// The channels that this client shares with them.
        channels: Vec<ChannelName>,
        /// When.
        time: Option<Timestamp>,
    },
    /// A channel's topic, as it is or as it was changed.
    Topic {
        /// Where.
        channel: ChannelName,
        /// The topic; `None` where there is no topic.
        topic: Option<String>,
        /// Who changed it; `None` where it was only told.
        by: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// All members of a channel. What changes afterwards comes in events of its own.
    Members {
        /// Where.
        channel: ChannelName,
        /// Everyone, this client included, in the order of their folded nicknames.
        members: Vec<Member>,
    },
    /// Modes of a channel or of this client were changed.
    ModeChanged {
        /// The channel, or this client's nickname.
        target: String,
        /// Who did it.
        by: String,
        /// What was changed.
        changes: Vec<ModeChange>,
        /// When.
        time: Option<Timestamp>,
    },
    /// A member's rank is another now; follows [`ModeChanged`](Self::ModeChanged).
    RankChanged {
        /// Where.
        channel: ChannelName,
        /// Who.
        nick: Nickname,
        /// The symbols of their ranks now, the highest first: `@+`. Empty for none.
        symbols: String,
    },
    /// Someone went away or came back (IRCv3 away-notify), or is away and was written to.
    AwayChanged {
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// The away text; `None` for someone who is back.
        text: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone logged in to an account or out of it (IRCv3 account-notify).
    AccountChanged {
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// The account; `None` for someone who logged out.
        account: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone's user name or host changed (IRCv3 chghost).
    HostChanged {
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// The user name now.
        user: String,
        /// The host now.
        host: String,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone's real name changed (IRCv3 setname).
    RealNameChanged {
        /// Who.
        nick: Nickname,
        /// Whether it is this client.
        own: bool,
        /// The name now.
        real_name: String,
        /// When.
        time: Option<Timestamp>,
    },
    /// Someone was invited to a channel.
    Invited {
        /// Where to.
        channel: ChannelName,
        /// Who was invited.
        nick: String,
        /// Whether it is this client.
        own: bool,
        /// Who invited.
        by: String,
        /// When.
        time: Option<Timestamp>,
    },
    /// The server's answer to a request of its sign of life took this long.
    Lag(Duration),
    /// The server refused something, and no request was found that this is about.
    Refused {
        /// What it is about: nicknames, channels, commands.
        about: Vec<String>,
        /// The refusal.
        refusal: Refusal,
    },
    /// The server tells something that answers no request (IRCv3 standard-replies).
    StandardReply {
        /// How grave it is.
        severity: Severity,
        /// The command it is about, or `*`.
        command: String,
        /// A word for programs.
        code: String,
        /// A text for people.
        text: String,
    },
    /// A line longer than the limit, or one that is no message, was skipped; the text says why.
    Malformed(String),
    /// Anything else: an unknown command or numeric, or one that needs no state.
    Other(Message),
}

/// Something that someone said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatMessage {
    /// Who said it: a user, or the server.
    pub from: Source,
    /// Whether this client said it. Each of its own messages comes once, whether the server echoes
    /// them or not.
    pub own: bool,
    /// Whom it was said to, as the server wrote it: a channel, perhaps with a rank's symbol in
    /// front, or a nickname.
    pub target: String,
    /// The channel it was said in; `None` for a private message.
    pub channel: Option<ChannelName>,
    /// How it was said.
    pub kind: ChatKind,
    /// What was said.
    pub text: String,
    /// When it was said.
    pub time: Option<Timestamp>,
    /// Its identifier (IRCv3 message-ids).
    pub id: Option<String>,
    /// The sender's account (IRCv3 account-tag).
    pub account: Option<String>,
    /// Whether it comes from the server's history rather than from now (a `chathistory` batch, or a
    /// bouncer's playback).
    pub history: bool,
}

/// How something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChatKind {
    /// PRIVMSG.
    Message,
    /// NOTICE: not to be answered automatically.
    Notice,
    /// CTCP ACTION: what the sender does (`/me`).
    Action,
}

/// How grave a standard reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Something was not done.
    Fail,
    /// Something was done, but.
    Warn,
    /// Something to know.
    Note,
}
