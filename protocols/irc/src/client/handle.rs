//! The handle of a client: what a program joins, says and asks with.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use jackfield_client::Actions;
use jackfield_socket::Place;
use tokio::sync::oneshot;

use super::action::Action;
use super::event::{Status, Statuses};
use crate::codec::{ChannelName, InvalidValue, Message, Nickname, Target, Text, Word};
use crate::core::{
    Joined, ListEntry, ListFilter, Member, Registered, Reply, Request, WhoEntry, Whois,
};
use crate::error::{RequestError, SessionError};

/// Acts on a connection; see [`connect`](super::connect). Clones act on the same one.
///
/// Requests are taken from [`Status::Ready`](super::Status) until the
/// connection is lost; at other times they fail with [`RequestError::NotConnected`].
///
/// When the last clone is dropped, the client is closed.
///
/// # Cancel safety
/// Dropping the future of a request before the connection took it withdraws it. Afterwards it is
/// done all the same, and its outcome is discarded.
///
/// # Errors
/// Every request may fail with any [`RequestError`]; the methods name only what is particular.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) actions: Actions<Action, Registered, SessionError>,
}

/// What becomes of a request that is queued. Dropping it does not withdraw the request.
#[derive(Debug)]
#[must_use = "an outcome that nobody wants is best dropped by name"]
pub struct Outcome(oneshot::Receiver<Result<Reply, RequestError>>);

impl Future for Outcome {
    type Output = Result<Reply, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Pin::new(&mut self.0).poll(cx);
        outcome.map(|outcome| outcome.unwrap_or(Err(RequestError::Closed)))
    }
}

impl Client {
    /// Where the connection stands now, whether or not the events are read.
    pub fn status(&self) -> Status {
        self.actions.status()
    }

    /// Where it stands now, and whenever that changes.
    pub fn statuses(&self) -> Statuses {
        self.actions.statuses()
    }

    /// Ends the wait for the next attempt to connect, as when the network is known to be back. Where
    /// the client is connected, connecting or closed, nothing happens.
    pub fn reconnect_now(&self) {
        self.actions.reconnect_now();
    }

    /// At whose place the last connection was lost, for a request that failed by it: the server's, or
    /// that of a relay on the way. `None` while there is a connection, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        self.actions.lost_at()
    }

    /// Does any [`Request`].
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::core::{Reply, Request};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let modes = client.request(Request::Modes("#rust".parse()?)).await?;
    /// if let Reply::Modes { modes, .. } = modes {
    ///     println!("#rust has {modes}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn request(&self, request: Request) -> Result<Reply, RequestError> {
        let (done, outcome) = oneshot::channel();
        let queued = None;
        self.pass(Action::Request {
            request,
            queued,
            done,
        })
        .await?;
        Outcome(outcome).await
    }

    /// Does any [`Request`]; done when it is queued. What becomes of it, the [`Outcome`] tells, to
    /// whoever wants to know: so that a loop over the events need not wait for an answer that it
    /// would itself have to read.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::{Client, IntoText};
    /// # use jackfield_irc::core::Request;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let (to, text) = ("#rust".parse()?, "good morning".into_text()?);
    /// drop(client.enqueue(Request::Message { to, text }).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What shows that the request can't be made at all or now, such as
    /// [`RequestError::NotConnected`] and [`RequestError::QueueFull`].
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn enqueue(&self, request: Request) -> Result<Outcome, RequestError> {
        let (queued, is_queued) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let queued = Some(queued);
        self.pass(Action::Request {
            request,
            queued,
            done,
        })
        .await?;
        is_queued.await.unwrap_or(Err(RequestError::Closed))?;
        Ok(Outcome(outcome))
    }

    async fn pass(&self, action: Action) -> Result<(), RequestError> {
        let passed = self.actions.send(action).await;
        passed.map_err(|_| RequestError::Closed)
    }

    /// Enters a channel; done when its members are known.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let joined = client.join(&"#rust".parse()?, None).await?;
    /// println!("{} are there", joined.members.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] where the channel is full, asks for an invitation or a key, or
    /// bans this client.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn join(
        &self,
        channel: &ChannelName,
        key: Option<&Word>,
    ) -> Result<Joined, RequestError> {
        let channel = channel.clone();
        let key = key.cloned();
        match self.request(Request::Join { channel, key }).await? {
            Reply::Joined(joined) => Ok(joined),
            _ => Ok(Joined::default()),
        }
    }

    /// Leaves a channel.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::codec::Text;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.part(&"#rust".parse()?, Some(Text::new("good night")?)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn part(
        &self,
        channel: &ChannelName,
        reason: Option<Text>,
    ) -> Result<(), RequestError> {
        let channel = channel.clone();
        self.done(Request::Part { channel, reason }).await
    }

    /// Says something; a long text goes in several lines. Done when the server has taken it, where
    /// it says so, and otherwise when it was sent: a refusal that comes later is an
    /// [`Event::Refused`](crate::core::Event::Refused).
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.say(&"#rust".parse()?, "good morning").await?;
    /// client.say(&"ada".parse()?, "a word in private").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Invalid`] where the text holds CR, LF or NUL.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn say(&self, to: &Target, text: impl IntoText) -> Result<(), RequestError> {
        let (to, text) = (to.clone(), text.into_text()?);
        self.done(Request::Message { to, text }).await
    }

    /// The same as [`say`](Self::say), as a notice.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.notice(&"#rust".parse()?, "the build is green").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn notice(&self, to: &Target, text: impl IntoText) -> Result<(), RequestError> {
        let (to, text) = (to.clone(), text.into_text()?);
        self.done(Request::Notice { to, text }).await
    }

    /// The same as [`say`](Self::say), as an action (`/me`).
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.action(&"#rust".parse()?, "waves").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn action(&self, to: &Target, text: impl IntoText) -> Result<(), RequestError> {
        let (to, text) = (to.clone(), text.into_text()?);
        self.done(Request::Action { to, text }).await
    }

    /// A channel's topic.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(topic) = client.topic(&"#rust".parse()?).await? {
    ///     println!("about {topic}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn topic(&self, channel: &ChannelName) -> Result<Option<String>, RequestError> {
        match self.request(Request::Topic(channel.clone())).await? {
            Reply::Topic(topic) => Ok(topic),
            _ => Ok(None),
        }
    }

    /// Changes a channel's topic; an empty one removes it.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.set_topic(&"#rust".parse()?, "sockets in web apps").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] for who may not.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_topic(
        &self,
        channel: &ChannelName,
        topic: impl IntoText,
    ) -> Result<(), RequestError> {
        let (channel, topic) = (channel.clone(), topic.into_text()?);
        self.done(Request::SetTopic { channel, topic }).await
    }

    /// A channel's members, as the server lists them now.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for member in client.names(&"#rust".parse()?).await? {
    ///     println!("{}{}", member.symbols, member.nick);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn names(&self, channel: &ChannelName) -> Result<Vec<Member>, RequestError> {
        match self.request(Request::Names(channel.clone())).await? {
            Reply::Members(members) => Ok(members),
            _ => Ok(Vec::new()),
        }
    }

    /// The users in a channel, or that match a mask.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for user in client.who(&"#rust".parse()?).await? {
    ///     println!("{} is {}", user.nick, user.real_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn who(&self, mask: &Word) -> Result<Vec<WhoEntry>, RequestError> {
        match self.request(Request::Who(mask.clone())).await? {
            Reply::Who(entries) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    /// What the server tells about a user; `None` where it tells nothing.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(whois) = client.whois(&"ada".parse()?).await? {
    ///     println!("{} is in {:?}", whois.user, whois.channels);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] where there is no such user.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn whois(&self, nick: &Nickname) -> Result<Option<Whois>, RequestError> {
        match self.request(Request::Whois(nick.clone())).await? {
            // RPL_WHOISUSER comes first (RFC 2812, section 3.6.2): without it, nothing was told.
            Reply::Whois(whois) if !whois.user.name.is_empty() => Ok(Some(*whois)),
            _ => Ok(None),
        }
    }

    /// The channels that there are, or those that a filter lets through.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::core::ListFilter;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut filter = ListFilter::default();
    /// filter.min_members = 10;
    /// for entry in client.list(filter).await? {
    ///     println!("{} ({}): {}", entry.channel, entry.members, entry.topic);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::ReplyTooLarge`] where the server sends more than
    /// [`Limits::max_list_entries`](crate::core::Limits::max_list_entries);
    /// [`RequestError::Refused`] where it wants to be asked later, or by others.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn list(&self, filter: ListFilter) -> Result<Vec<ListEntry>, RequestError> {
        match self.request(Request::List(filter)).await? {
            Reply::List(entries) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    /// Changes modes of a channel or of oneself.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let (channel, voice) = ("#rust".parse()?, "+v".parse()?);
    /// client.set_mode(&channel, &voice, &["ada".parse()?]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] for who may not.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_mode(
        &self,
        target: &Target,
        modes: &Word,
        params: &[Word],
    ) -> Result<(), RequestError> {
        self.done(Request::SetMode {
            target: target.clone(),
            modes: modes.clone(),
            params: params.to_vec(),
        })
        .await
    }

    /// Removes someone from a channel.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::codec::Text;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let reason = Text::new("enough for today")?;
    /// client.kick(&"#rust".parse()?, &"mallory".parse()?, Some(reason)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] for who may not.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn kick(
        &self,
        channel: &ChannelName,
        nick: &Nickname,
        reason: Option<Text>,
    ) -> Result<(), RequestError> {
        let (channel, nick) = (channel.clone(), nick.clone());
        self.done(Request::Kick {
            channel,
            nick,
            reason,
        })
        .await
    }

    /// Invites someone to a channel.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.invite(&"ada".parse()?, &"#rust".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] for who may not.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn invite(&self, nick: &Nickname, channel: &ChannelName) -> Result<(), RequestError> {
        let (nick, channel) = (nick.clone(), channel.clone());
        self.done(Request::Invite { nick, channel }).await
    }

    /// Goes away, with a text, or comes back.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::codec::Text;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.set_away(Some(Text::new("at tea")?)).await?;
    /// client.set_away(None).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_away(&self, text: Option<Text>) -> Result<(), RequestError> {
        self.done(Request::Away(text)).await
    }

    /// Takes another nickname.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.set_nick(&"ada_".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] where it is taken or not allowed.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn set_nick(&self, nick: &Nickname) -> Result<(), RequestError> {
        self.done(Request::Nick(nick.clone())).await
    }

    /// Sends any other message; done when it was sent. What the server answers comes as events.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::codec::Message;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.send_raw(Message::parse("VERSION")?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn send_raw(&self, message: Message) -> Result<(), RequestError> {
        self.done(Request::Raw(message)).await
    }

    /// Ends the client in order: it takes leave of the server (`QUIT`), which has 5 s to let it go,
    /// and its connection future ends. Events that nobody reads by then may be lost. Done at once
    /// where it has ended already.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # async fn example(client: Client) {
    /// client.close().await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future may leave the client running, or not.
    pub async fn close(&self) {
        self.end(None).await;
    }

    /// The same as [`close`](Self::close), with a reason for others to read.
    ///
    /// ```no_run
    /// # use jackfield_irc::client::Client;
    /// # use jackfield_irc::codec::Text;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.close_with(Text::new("good night")?).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// As there.
    pub async fn close_with(&self, reason: Text) {
        self.end(Some(reason)).await;
    }

    async fn end(&self, reason: Option<Text>) {
        if self.actions.send(Action::Close(reason)).await.is_ok() {
            self.actions.closed().await;
        }
    }

    async fn done(&self, request: Request) -> Result<(), RequestError> {
        self.request(request).await.map(|_| ())
    }
}

/// What can be a text: one that is checked already, or one that is checked now.
pub trait IntoText {
    /// The text.
    ///
    /// # Errors
    /// Where it holds CR, LF or NUL.
    fn into_text(self) -> Result<Text, InvalidValue>;
}

impl IntoText for Text {
    fn into_text(self) -> Result<Text, InvalidValue> {
        Ok(self)
    }
}

impl IntoText for &Text {
    fn into_text(self) -> Result<Text, InvalidValue> {
        Ok(self.clone())
    }
}

impl IntoText for &str {
    fn into_text(self) -> Result<Text, InvalidValue> {
        Text::new(self)
    }
}

impl IntoText for &String {
    fn into_text(self) -> Result<Text, InvalidValue> {
        Text::new(self)
    }
}

impl IntoText for String {
    fn into_text(self) -> Result<Text, InvalidValue> {
        Text::new(self)
    }
}
