//! The IRC client's methods; `Irc` in the package's .d.ts describes them.

mod event;
mod request;

use std::fmt::Display;
use std::str::FromStr;

use jackfield_irc::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_irc::codec::{ChannelName, InvalidValue, Nickname, Target, Text, Word};
use jackfield_irc::core::{Config, Credentials, ListFilter, Request};
use jackfield_irc::{RequestError, SessionError};
use jackfield_socket::{Endpoint, Error, ErrorKind, Url};
use js_sys::{Array, Object};
use tokio::sync::Mutex;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Network;
use crate::convert::{self, Options, invalid, socket_error};
use crate::network::Secured;
use crate::running::{self, Running, disconnected, timed};

use self::event::to_object;

/// The port of IRC over TLS (RFC 7194), and the usual one without.
const PORT_TLS: u16 = 6697;
const PORT_PLAIN: u16 = 6667;

/// An IRC client.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Irc {
    client: Client,
    /// Locked while a page waits for the next event, so that a second one waits its turn.
    events: Mutex<Events>,
    network: Secured,
    /// Ends with the page's object.
    running: Running,
}

type Result<T, E = JsValue> = std::result::Result<T, E>;

#[wasm_bindgen]
impl Network {
    /// An IRC client over it.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn irc(&self, url: &str, options: &JsValue) -> Result<Irc> {
        Irc::open(self, url, &Options(options)).map_err(|error| socket_error(&error))
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Irc {
    /// The next event, or null after the end.
    pub async fn next(&self) -> JsValue {
        let mut events = self.events.lock().await;
        loop {
            let Some(event) = events.next().await else {
                return JsValue::NULL;
            };
            if let Some(event) = self.convert(&event) {
                return event.into();
            }
        }
    }

    /// Enters a channel.
    ///
    /// # Errors
    /// A `JackfieldError`, as all methods.
    pub async fn join(&self, channel: String, key: Option<String>) -> Result<()> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        let key = key.map(|key| parse::<Word>("key", &key)).transpose()?;
        let joined = self.client.join(&channel, key.as_ref()).await;
        joined.map(|_| ()).map_err(|error| request_error(&error))
    }

    /// Leaves a channel.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn part(&self, channel: String, reason: Option<String>) -> Result<()> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        let reason = optional("reason", reason)?;
        done(self.client.part(&channel, reason).await)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn say(&self, target: String, text: String) -> Result<()> {
        let target = parse::<Target>("target", &target)?;
        done(self.client.say(&target, text).await)
    }

    /// Sends a `/me`.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn action(&self, target: String, text: String) -> Result<()> {
        let target = parse::<Target>("target", &target)?;
        done(self.client.action(&target, text).await)
    }

    /// Sends a notice.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn notice(&self, target: String, text: String) -> Result<()> {
        let target = parse::<Target>("target", &target)?;
        done(self.client.notice(&target, text).await)
    }

    /// A channel's topic; null where there is none.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn topic(&self, channel: String) -> Result<JsValue> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        let topic = self.client.topic(&channel).await;
        let topic = topic.map_err(|error| request_error(&error))?;
        Ok(topic.map_or(JsValue::NULL, JsValue::from))
    }

    /// Changes a channel's topic.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    #[wasm_bindgen(js_name = "setTopic")]
    pub async fn set_topic(&self, channel: String, topic: String) -> Result<()> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        done(self.client.set_topic(&channel, topic).await)
    }

    /// Takes another nickname.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    #[wasm_bindgen(js_name = "setNick")]
    pub async fn set_nick(&self, nick: String) -> Result<()> {
        let nick = parse::<Nickname>("nick", &nick)?;
        done(self.client.set_nick(&nick).await)
    }

    /// Goes away, or comes back.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    #[wasm_bindgen(js_name = "setAway")]
    pub async fn set_away(&self, reason: Option<String>) -> Result<()> {
        let reason = optional("reason", reason)?;
        done(self.client.set_away(reason).await)
    }

    /// Sends any command; done when it was sent.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn raw(&self, command: String, params: Vec<String>) -> Result<()> {
        let message = request::raw(&command, &params)?;
        done(self.client.send_raw(message).await)
    }

    /// What the server tells about a user; null where it tells nothing.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn whois(&self, nick: String) -> Result<JsValue> {
        let nick = parse::<Nickname>("nick", &nick)?;
        let whois = self.client.whois(&nick).await;
        let whois = whois.map_err(|error| request_error(&error))?;
        Ok(whois.map_or(JsValue::NULL, |whois| request::whois(&whois).into()))
    }

    /// The users in a channel, or that match a mask.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn who(&self, mask: String) -> Result<Array> {
        let mask = parse::<Word>("mask", &mask)?;
        let users = self.client.who(&mask).await;
        let users = users.map_err(|error| request_error(&error))?;
        Ok(users.iter().map(request::user).collect())
    }

    /// A channel's members.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn names(&self, channel: String) -> Result<Array> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        let members = self.client.names(&channel).await;
        let members = members.map_err(|error| request_error(&error))?;
        Ok(members.iter().map(event::member).collect())
    }

    /// The channels that there are.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn list(&self, names: Option<String>, min_members: u32) -> Result<Array> {
        let mut filter = ListFilter::default();
        filter.names = names.map(|names| parse("names", &names)).transpose()?;
        filter.min_members = min_members;
        let channels = self.client.list(filter).await;
        let channels = channels.map_err(|error| request_error(&error))?;
        Ok(channels.iter().map(request::channel).collect())
    }

    /// A channel's modes.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn modes(&self, channel: String) -> Result<Object> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        let reply = self.client.request(Request::Modes(channel)).await;
        let reply = reply.map_err(|error| request_error(&error))?;
        Ok(request::modes(&reply))
    }

    /// Changes modes of a channel or of oneself.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    #[wasm_bindgen(js_name = "setMode")]
    pub async fn set_mode(&self, target: String, modes: String, params: Vec<String>) -> Result<()> {
        let target = parse::<Target>("target", &target)?;
        let modes = parse::<Word>("modes", &modes)?;
        let params = params.iter().map(|param| parse::<Word>("parameter", param));
        let params = params.collect::<Result<Vec<_>>>()?;
        done(self.client.set_mode(&target, &modes, &params).await)
    }

    /// Removes someone from a channel.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn kick(&self, channel: String, nick: String, reason: Option<String>) -> Result<()> {
        let channel = parse::<ChannelName>("channel", &channel)?;
        let nick = parse::<Nickname>("nick", &nick)?;
        let reason = optional("reason", reason)?;
        done(self.client.kick(&channel, &nick, reason).await)
    }

    /// Invites someone to a channel.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn invite(&self, nick: String, channel: String) -> Result<()> {
        let nick = parse::<Nickname>("nick", &nick)?;
        let channel = parse::<ChannelName>("channel", &channel)?;
        done(self.client.invite(&nick, &channel).await)
    }

    /// Takes leave of the server, and ends.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn close(&self, reason: Option<String>) -> Result<()> {
        match optional("reason", reason)? {
            Some(reason) => self.client.close_with(reason).await,
            None => self.client.close().await,
        }
        Ok(())
    }
}

running::methods!(Irc);

impl Irc {
    pub(crate) fn open(network: &Network, url: &str, options: &Options<'_>) -> Result<Self, Error> {
        let (server, tls) = address(url)?;
        let config = config(options, tls)?;

        let network = network.secured(tls)?;
        let (client, events, connection) = client::connect(network.clone(), server, config);
        let running = Running::start(connection, client.statuses(), session_kind);
        Ok(Self {
            client,
            events: Mutex::new(events),
            network,
            running,
        })
    }

    fn convert(&self, event: &ClientEvent) -> Option<Object> {
        Some(match event {
            ClientEvent::Status(Status::Connecting { .. }) => timed("connecting", None, []),
            ClientEvent::Status(Status::Connected) => {
                let security = self.network.security();
                timed("connected", None, [("security", security.into())])
            }
            ClientEvent::Status(Status::Ready(registered)) => timed(
                "registered",
                None,
                [
                    ("nick", registered.nick.as_str().into()),
                    (
                        "network",
                        registered.network.as_deref().unwrap_or_default().into(),
                    ),
                    ("security", self.network.security().into()),
                ],
            ),
            ClientEvent::Event(event) => return to_object(event),
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
                disconnected(error, *retry_in, session_kind)
            }
        })
    }
}

/// Where an address leads, and whether it is spoken over TLS.
fn address(url: &str) -> Result<(Endpoint, bool), Error> {
    let url: Url = url.parse()?;
    let invalid = |text: String| Error::new(ErrorKind::InvalidInput, text);
    let (port, tls) = match url.scheme() {
        "ircs" => (PORT_TLS, true),
        "irc" => (PORT_PLAIN, false),
        scheme => {
            let text = format!("{scheme}:// is no address of an IRC server: ircs and irc are");
            return Err(invalid(text));
        }
    };
    if !matches!(url.path(), "" | "/") {
        let text = "the address of an IRC server has no path: channels are an option";
        return Err(invalid(text.to_owned()));
    }
    Ok((url.endpoint(port), tls))
}

fn config(options: &Options<'_>, tls: bool) -> Result<ClientConfig, Error> {
    let nick = read::<Nickname>("nick", &options.required("nick")?)?;
    let mut session = Config::new(nick);
    if let Some(user) = options.text("username")? {
        session.user = read::<Word>("username", &user)?;
    }
    if let Some(name) = options.text("realname")? {
        session.real_name = read::<Text>("realname", &name)?;
    }
    if let Some(sasl) = options.value("sasl")? {
        if !tls {
            return Err(invalid(
                "sasl",
                "would show the password to everyone without TLS",
            ));
        }
        let sasl = Options(&sasl);
        let (account, password) = (sasl.required("account")?, sasl.required("password")?);
        let sasl = Credentials::password(&account, &password);
        session.sasl = Some(sasl.map_err(|error| invalid("sasl", error))?);
    }
    let mut config = ClientConfig::new(session);
    config.channels = options
        .texts("channels")?
        .iter()
        .map(|channel| read("channels", channel))
        .collect::<Result<_, _>>()?;
    running::reconnect(options, &mut config.connection)?;
    Ok(config)
}

/// An option's value, checked.
fn read<T: FromStr<Err = InvalidValue>>(name: &str, text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|error| invalid(name, format_args!("is not one: {error}")))
}

/// An argument, checked.
fn parse<T: FromStr<Err = InvalidValue>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| unfit(name, &error))
}

fn optional(name: &str, text: Option<String>) -> Result<Option<Text>> {
    text.map(|text| Text::new(text).map_err(|error| unfit(name, &error)))
        .transpose()
}

fn unfit(name: &str, error: &dyn Display) -> JsValue {
    let text = format!("the {name} can't be sent: {error}");
    socket_error(&Error::new(ErrorKind::InvalidInput, text))
}

fn done(result: Result<(), RequestError>) -> Result<()> {
    result.map_err(|error| request_error(&error))
}

fn request_error(error: &RequestError) -> JsValue {
    let kind = match error {
        RequestError::Refused(_) => "refused",
        RequestError::NotConnected | RequestError::Closed => "closed",
        RequestError::ConnectionLost => "reset",
        RequestError::TimedOut => "timed-out",
        RequestError::QueueFull | RequestError::TooManyPending | RequestError::ReplyTooLarge => {
            "limit-exceeded"
        }
        RequestError::TooLong { .. } => "invalid-input",
        RequestError::Unsupported(_) => "unsupported",
        _ => "other",
    };
    convert::error(kind, error)
}

fn session_kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::NicknameUnavailable(_) => "nickname",
        SessionError::PasswordRefused(_)
        | SessionError::SaslRefused { .. }
        | SessionError::SaslUnavailable
        | SessionError::SaslFailed(_) => "authentication",
        SessionError::SaslTimedOut
        | SessionError::RegistrationTimedOut
        | SessionError::PingTimedOut => "timed-out",
        SessionError::Ended | SessionError::Truncated => "unexpected-eof",
        _ => "other",
    }
}
