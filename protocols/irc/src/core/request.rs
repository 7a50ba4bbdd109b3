//! Requests to a session: what it can be asked to do, and what comes of it.

use std::time::Duration;

use super::Member;
use crate::codec::{ChannelName, Message, Nickname, Source, TagKey, TagValue, Target, Text, Word};

/// Names a request within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// Something to do. Each says when it is done, and with which [`Reply`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Enter a channel. Done when its members are known: [`Reply::Joined`].
    Join {
        /// Which.
        channel: ChannelName,
        /// Its key, if it has one.
        key: Option<Word>,
    },
    /// Leave a channel. Done when the server says so: [`Reply::Done`].
    Part {
        /// Which.
        channel: ChannelName,
        /// Why, for others to read.
        reason: Option<Text>,
    },
    /// Say something; a long text goes in several lines. [`Reply::Done`] when the server has taken
    /// it, where it says so (IRCv3 labeled-response); otherwise when it was sent.
    Message {
        /// To whom.
        to: Target,
        /// What.
        text: Text,
    },
    /// The same as a NOTICE.
    Notice {
        /// To whom.
        to: Target,
        /// What.
        text: Text,
    },
    /// The same as a CTCP ACTION (`/me`).
    Action {
        /// To whom.
        to: Target,
        /// What.
        text: Text,
    },
    /// Send tags without a text. [`RequestError::Unsupported`](crate::RequestError::Unsupported)
    /// where the server lacks IRCv3 message-tags.
    Tags {
        /// To whom.
        to: Target,
        /// Which: client-only tags, with `+`.
        tags: Vec<(TagKey, TagValue)>,
    },
    /// Change a channel's topic; an empty one removes it. Done when the server has done it.
    SetTopic {
        /// Where.
        channel: ChannelName,
        /// The topic.
        topic: Text,
    },
    /// Ask for a channel's topic: [`Reply::Topic`].
    Topic(ChannelName),
    /// Ask who is in a channel: [`Reply::Members`].
    Names(ChannelName),
    /// Ask about the members of a channel, or the users that match: [`Reply::Who`].
    Who(Word),
    /// Ask about a user: [`Reply::Whois`].
    Whois(Nickname),
    /// Ask which channels there are: [`Reply::List`].
    List(ListFilter),
    /// Change modes of a channel or of oneself. Done when the server has taken them.
    SetMode {
        /// Whose.
        target: Target,
        /// The modes, such as `+o-v`.
        modes: Word,
        /// Their parameters, in order.
        params: Vec<Word>,
    },
    /// Ask for a channel's modes: [`Reply::Modes`].
    Modes(ChannelName),
    /// Remove someone from a channel. Done when the server has done it.
    Kick {
        /// From where.
        channel: ChannelName,
        /// Whom.
        nick: Nickname,
        /// Why, for others to read.
        reason: Option<Text>,
    },
    /// Invite someone to a channel. Done when the server has done it.
    Invite {
        /// Whom.
        nick: Nickname,
        /// Where to.
        channel: ChannelName,
    },
    /// Go away, with a text, or come back. Done when the server says so.
    Away(Option<Text>),
    /// Take another nickname. Done when the server has done it.
    Nick(Nickname),
    /// Change the real name (IRCv3 setname). Done when the server has done it.
    SetRealName(Text),
    /// Send any other message. Done when it was sent; what the server answers comes as events.
    Raw(Message),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The channel was entered.
    Joined(Joined),
    /// A channel's topic; `None` where there is no topic.
    Topic(Option<String>),
    /// A channel's members.
    Members(Vec<Member>),
    /// The users that were asked for.
    Who(Vec<WhoEntry>),
    /// What the server tells about a user.
    Whois(Box<Whois>),
    /// The channels that were asked for.
    List(Vec<ListEntry>),
    /// A channel's modes: the letters, then their parameters.
    Modes {
        /// The letters, with `+` in front.
        modes: String,
        /// The parameters of those that have one.
        params: Vec<String>,
    },
}

/// A channel as it was when this client entered it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// The topic.
    pub topic: Option<String>,
    /// The members, this client included.
    pub members: Vec<Member>,
}

/// One user in the answer to `WHO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhoEntry {
    /// A channel that the user is in; `*` for none that is shown.
    pub channel: String,
    /// The nickname.
    pub nick: String,
    /// The user name.
    pub user: String,
    /// The host, as the server shows it.
    pub host: String,
    /// The server that the user is on.
    pub server: String,
    /// Whether the user is away.
    pub away: bool,
    /// Whether the user is an operator of the network.
    pub operator: bool,
    /// The symbols of the user's ranks in the channel.
    pub symbols: String,
    /// The account that the user is logged in to, where the server tells (`WHOX`).
    pub account: Option<String>,
    /// The real name.
    pub real_name: String,
}

/// Which channels `LIST` is to tell of. Default: all that the server shows.
///
/// ```
/// use jackfield_irc::core::ListFilter;
///
/// let mut filter = ListFilter::default();
/// filter.names = Some("*rust*".parse()?);
/// filter.min_members = 10;
/// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListFilter {
    /// A channel's name, or a mask where the server knows masks (`M` of `ELIST`); several have a comma
    /// between them. Default: none, for any.
    pub names: Option<Word>,
    /// How many members a channel has at the least. Where the server can count (`U` of `ELIST`), it is
    /// asked to; elsewhere what it sends in vain is dropped here. Default: 0.
    pub min_members: u32,
}

/// One channel in the answer to `LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListEntry {
    /// The channel, as the server writes it.
    pub channel: String,
    /// How many members this client may see.
    pub members: u32,
    /// The topic; empty where there is none.
    pub topic: String,
}

/// What the server tells about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Whois {
    /// Nickname, user name and host.
    pub user: Source,
    /// The real name.
    pub real_name: String,
    /// The server that the user is on, and what it says about itself.
    pub server: Option<(String, String)>,
    /// Whether the user is an operator of the network.
    pub operator: bool,
    /// Whether the user is connected over TLS.
    pub secure: bool,
    /// The account that the user is logged in to.
    pub account: Option<String>,
    /// The text of a user who is away.
    pub away: Option<String>,
    /// How long the user has said nothing.
    pub idle: Option<Duration>,
    /// When the user came, in seconds since 1970-01-01T00:00:00Z.
    pub signed_on: Option<u64>,
    /// The user's channels, ranks' symbols in front.
    pub channels: Vec<String>,
    /// What else the server tells, as text.
    pub other: Vec<String>,
}

impl Whois {
    pub(super) fn new(nick: &str) -> Self {
        Self {
            user: Source {
                name: nick.to_owned(),
                user: None,
                host: None,
            },
            real_name: String::new(),
            server: None,
            operator: false,
            secure: false,
            account: None,
            away: None,
            idle: None,
            signed_on: None,
            channels: Vec::new(),
            other: Vec::new(),
        }
    }
}
