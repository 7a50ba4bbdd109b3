//! `jackfield irc`: a plain terminal client, a line for each thing that happens.

use std::fmt::Display;
use std::pin::pin;

use jackfield_irc::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_irc::codec::formatting::unformatted;
use jackfield_irc::codec::{ChannelName, Nickname, Target, Text};
use jackfield_irc::core::{ChatKind, ChatMessage, Config, Credentials, Event, Password, Whois};
use jackfield_irc::{RequestError, SessionError};
use jackfield_socket::{AnyNetwork, Endpoint, Error, ErrorKind, Result};
use jackfield_tls::Tls;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::oneshot;

use crate::args::IrcArgs;
use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::output::Output;
use crate::secret::{PASSWORD_VARIABLE, secret};
use crate::secure;

/// Where the server's own password is.
const SERVER_PASSWORD_VARIABLE: &str = "JACKFIELD_SERVER_PASSWORD";
const HELP: &str = "/join #channel · /part [#channel] [reason] · /msg whom text · /me text · \
                    /nick name · /topic [text] · /names · /whois name · /away [text] · \
                    /quit [reason]";

pub(crate) async fn run(
    args: &IrcArgs,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    let config = config(args).step("preparing to register")?;
    let port = args.port.unwrap_or(if args.plain { 6667 } else { 6697 });
    let server = Endpoint::new(args.host.clone(), port);
    let (client, mut events, connection) = if args.plain {
        client::connect(network.clone(), server.clone(), config)
    } else {
        let connector = secure::connector_with(args.ca.as_deref(), &args.pin, &args.identity)
            .step("setting up TLS")?;
        client::connect(Tls::new(network.clone(), connector), server.clone(), config)
    };
    let connection = tokio::spawn(connection);
    let chatted = leave.unless_asked(chat(args, &server, client.clone(), &mut events));
    let chatted = chatted.await;
    if chatted.is_err() {
        // Nobody reads them any more, and nothing waits for that.
        drop(events);
        leave::farewell(async {
            client.close().await;
            let _ = connection.await;
        })
        .await;
    }
    chatted
}

/// Does what is typed, and tells what happens, until the client has ended.
async fn chat(
    args: &IrcArgs,
    server: &Endpoint,
    client: Client,
    events: &mut Events,
) -> Result<(), Failure> {
    let (registered, ready) = oneshot::channel();
    let mut registered = Some(registered);
    let here = args.join.first().cloned();
    let typed = async move {
        // Before that, nothing that is typed could be done.
        match ready.await {
            Ok(()) => type_in(client, here).await,
            Err(_) => Ok(()),
        }
    };
    let mut typed = pin!(typed);
    let mut types = true;
    let mut output = Output::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            done = &mut typed, if types => {
                done?;
                types = false;
                continue;
            }
        };
        let Some(event) = event else {
            return Ok(());
        };
        match &event {
            ClientEvent::Status(Status::Ready(_)) => {
                registered.take().map(|registered| registered.send(()));
            }
            // Before it has ever worked, whoever typed the command wants to know that it does not.
            ClientEvent::Status(Status::Disconnected { error, retry_in })
                if retry_in.is_none() || registered.is_some() =>
            {
                return Err(Failure::connection(server, error, kind));
            }
            _ => {}
        }
        if let Some(line) = describe(&event) {
            output.line(&unformatted(&line)).await?;
        }
    }
}

fn config(args: &IrcArgs) -> Result<ClientConfig> {
    let mut config = Config::new(args.nick.clone());
    if let Some(account) = &args.account {
        let password = secret(args.password_file.as_deref(), PASSWORD_VARIABLE)?;
        let password = password.ok_or_else(|| {
            let needed = "--account needs its password in";
            invalid(format!("{needed} {PASSWORD_VARIABLE} or --password-file"))
        })?;
        config.sasl = Some(Credentials::password(account, &password).map_err(invalid)?);
    }
    if args.external {
        config.sasl = Some(Credentials::external());
    }
    let password = secret(
        args.server_password_file.as_deref(),
        SERVER_PASSWORD_VARIABLE,
    )?;
    if let Some(password) = password {
        config.password = Some(Password::new(&password).map_err(invalid)?);
    }
    if let Some(user) = &args.user {
        config.user.clone_from(user);
    }
    if let Some(name) = &args.real_name {
        config.real_name.clone_from(name);
    }
    let mut config = ClientConfig::new(config);
    config.channels.clone_from(&args.join);
    Ok(config)
}

fn invalid(what: impl Display) -> Error {
    Error::new(ErrorKind::InvalidInput, what.to_string())
}

fn kind(error: &SessionError) -> ErrorKind {
    match error {
        SessionError::PasswordRefused(_)
        | SessionError::Banned(_)
        | SessionError::SaslRefused { .. }
        | SessionError::SaslUnavailable
        | SessionError::SaslFailed(_) => ErrorKind::Denied,
        SessionError::SaslTimedOut
        | SessionError::RegistrationTimedOut
        | SessionError::PingTimedOut => ErrorKind::TimedOut,
        SessionError::ClosedByServer(_) => ErrorKind::Closed,
        SessionError::Ended | SessionError::Truncated => ErrorKind::UnexpectedEof,
        _ => ErrorKind::Other,
    }
}

/// Does what is typed, one after the other, until `/quit` or the end of the input.
async fn type_in(client: Client, mut here: Option<ChannelName>) -> Result<(), Failure> {
    let mut output = Output::new();
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = input.next_line().await {
        if let ("quit", reason) = split(&line) {
            match Text::new(reason) {
                Ok(reason) if !reason.is_empty() => client.close_with(reason).await,
                _ => client.close().await,
            }
            return Ok(());
        }
        let told = match act(&client, &mut here, &line).await {
            Ok(told) => told,
            Err(error) => vec![format!("! {error}")],
        };
        for line in told {
            output.line(&unformatted(&line)).await?;
        }
    }
    client.close().await;
    Ok(())
}

/// A line's command and what follows it; text without a slash is to be said as it stands.
fn split(line: &str) -> (&str, &str) {
    match line.strip_prefix('/') {
        Some(line) => {
            let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
            (command, rest.trim())
        }
        None => ("say", line),
    }
}

/// Does one line, and returns what there is to tell that no event tells.
async fn act(
    client: &Client,
    here: &mut Option<ChannelName>,
    line: &str,
) -> Result<Vec<String>, RequestError> {
    if line.is_empty() {
        return Ok(Vec::new());
    }
    let (command, rest) = split(line);
    let current = here.clone();
    let no_channel = || Ok(vec!["! no channel here: /join one first".to_owned()]);
    match (command, current) {
        ("join", _) => {
            let channel = ChannelName::new(rest)?;
            client.join(&channel, None).await?;
            *here = Some(channel);
        }
        ("msg", _) => {
            let Some((whom, text)) = rest.split_once(' ') else {
                return Ok(vec!["! nothing to send: /msg whom text".to_owned()]);
            };
            client.say(&Target::new(whom)?, text).await?;
        }
        ("away", _) if rest.is_empty() => {
            client.set_away(None).await?;
            return Ok(vec!["-- no longer away".to_owned()]);
        }
        ("away", _) => {
            client.set_away(Some(Text::new(rest)?)).await?;
            return Ok(vec![format!("-- away: {rest}")]);
        }
        ("nick", _) => client.set_nick(&Nickname::new(rest)?).await?,
        ("whois", _) => {
            return Ok(match client.whois(&Nickname::new(rest)?).await? {
                Some(whois) => vec![describe_whois(&whois)],
                None => vec![format!("-- nothing is told of {rest}")],
            });
        }
        ("say", Some(channel)) => client.say(&channel.into(), rest).await?,
        ("me", Some(channel)) => client.action(&channel.into(), rest).await?,
        ("part", current) => {
            let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
            // A reason that is no channel's name is for the channel here.
            let (channel, reason) = match (ChannelName::new(first), current.clone()) {
                (Ok(channel), _) => (channel, after.trim()),
                (Err(_), Some(channel)) => (channel, rest),
                (Err(_), None) => return no_channel(),
            };
            let reason = match reason {
                "" => None,
                reason => Some(Text::new(reason)?),
            };
            client.part(&channel, reason).await?;
            if current.is_some_and(|here| here.as_str().eq_ignore_ascii_case(channel.as_str())) {
                *here = None;
            }
        }
        ("topic", Some(channel)) if rest.is_empty() => {
            let topic = client.topic(&channel).await?;
            let topic = topic.as_deref().unwrap_or("none");
            return Ok(vec![format!("[{channel}] -- topic: {topic}")]);
        }
        ("topic", Some(channel)) => client.set_topic(&channel, rest).await?,
        ("names", Some(channel)) => {
            let members = client.names(&channel).await?;
            let names: Vec<String> = members
                .iter()
                .map(|member| format!("{}{}", member.symbols, member.nick))
                .collect();
            return Ok(vec![format!("[{channel}] -- {}", names.join(" "))]);
        }
        ("say" | "me" | "topic" | "names", None) => return no_channel(),
        _ => return Ok(vec![HELP.to_owned()]),
    }
    Ok(Vec::new())
}

fn describe_whois(whois: &Whois) -> String {
    let user = &whois.user;
    let mut line = format!(
        "-- {} is {}@{} ({})",
        user.name,
        user.user.as_deref().unwrap_or("?"),
        user.host.as_deref().unwrap_or("?"),
        whois.real_name
    );
    if let Some(account) = &whois.account {
        line.push_str(", logged in as ");
        line.push_str(account);
    }
    if whois.secure {
        line.push_str(", over TLS");
    }
    if !whois.channels.is_empty() {
        line.push_str(", in ");
        line.push_str(&whois.channels.join(" "));
    }
    line
}

/// What happened, in a line; nothing for what only programs care for.
fn describe(event: &ClientEvent) -> Option<String> {
    let event = match event {
        ClientEvent::Status(Status::Connecting { attempt: 1 }) => {
            return Some("-- connecting".into());
        }
        ClientEvent::Status(Status::Connecting { attempt }) => {
            return Some(format!("-- connecting, attempt {attempt}"));
        }
        ClientEvent::Status(Status::Connected) => return Some("-- connected, registering".into()),
        ClientEvent::Event(Event::JoinFailed { channel, error }) => {
            return Some(format!("! could not join {channel}: {error}"));
        }
        ClientEvent::Event(Event::MechanismRefused { mechanism, refusal }) => {
            let bound = if mechanism.is_bound() {
                ", not bound to the TLS connection"
            } else {
                ""
            };
            let why = match refusal {
                Some(refusal) => refusal.to_string(),
                None => "the connection was cut".to_owned(),
            };
            return Some(format!(
                "! {mechanism} refused: {why}; trying another{bound}"
            ));
        }
        ClientEvent::Status(Status::Disconnected {
            error,
            retry_in: Some(delay),
        }) => return Some(format!("! {error}; trying again in {} s", delay.as_secs())),
        ClientEvent::Status(Status::Ready(registered)) => {
            let network = registered.network.as_deref().unwrap_or("the network");
            return Some(format!("-- on {network} as {}", registered.nick));
        }
        ClientEvent::Event(event) => event,
        ClientEvent::Status(_) => return None,
    };
    let because = |reason: &Option<String>| {
        let reason = reason.as_deref().filter(|reason| !reason.is_empty());
        reason.map_or_else(String::new, |reason| format!(" ({reason})"))
    };
    Some(match event {
        Event::Message(message) => describe_message(message),
        Event::Joined { channel, nick, .. } => format!("[{channel}] -> {nick}"),
        Event::Parted {
            channel,
            nick,
            reason,
            ..
        } => format!("[{channel}] <- {nick}{}", because(reason)),
        Event::Kicked {
            channel,
            nick,
            by,
            reason,
            ..
        } => format!("[{channel}] <- {nick}, removed by {by}{}", because(reason)),
        Event::Quit { nick, reason, .. } => format!("<- {nick} left{}", because(reason)),
        Event::NickChanged { from, to, .. } => format!("-- {from} is now {to}"),
        Event::Topic { channel, topic, .. } => {
            format!(
                "[{channel}] -- topic: {}",
                topic.as_deref().unwrap_or("none")
            )
        }
        Event::Members { channel, members } => {
            format!("[{channel}] -- {} here", members.len())
        }
        Event::Invited { channel, by, .. } => format!("-- {by} invites to {channel}"),
        Event::Refused { about, refusal } => format!("! {}: {refusal}", about.join(" ")),
        Event::StandardReply { command, text, .. } => format!("! {command}: {text}"),
        _ => return None,
    })
}

fn describe_message(message: &ChatMessage) -> String {
    let from = &message.from.name;
    let place = match &message.channel {
        Some(channel) => channel.as_str(),
        None if message.own => &message.target,
        None => from,
    };
    let text = &message.text;
    match message.kind {
        ChatKind::Action => format!("[{place}] * {from} {text}"),
        ChatKind::Notice => format!("[{place}] -{from}- {text}"),
        _ => format!("[{place}] <{from}> {text}"),
    }
}
