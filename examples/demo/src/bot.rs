//! Somebody to talk to, for whoever is alone in the channel: Jackfield's own client, natively.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use jackfield_irc::client::{self, Client, ClientConfig, ClientEvent};
use jackfield_irc::codec::{ChannelName, Target};
use jackfield_irc::core::{ChatKind, ChatMessage, Config, Event};
use jackfield_native::Native;
use jackfield_socket::Endpoint;
use jackfield_tls::{Certificates, Tls, TlsConfig, TlsConnector};

const NICK: &str = "jack";
const TOPIC: &str = "Welcome. jack answers: try \"help\".";

/// Runs until the connection is lost for good.
pub(crate) async fn run(server: Endpoint, roots: String, channel: &'static str) -> Result<()> {
    let tls = TlsConfig::new().with_roots(Certificates::from_pem(roots.as_bytes())?);
    let network = Tls::new(Native, TlsConnector::new(tls)?);
    let mut config = ClientConfig::new(Config::new(NICK.parse()?));
    let channel: ChannelName = channel.parse()?;
    config.channels = vec![channel.clone()];
    let (client, mut events, connection) = client::connect(network, server, config);
    let connection = tokio::spawn(connection);
    while let Some(event) = events.next().await {
        if let ClientEvent::Event(event) = event {
            // Answers come as events too: while one is awaited, events must be read.
            tokio::spawn(react(client.clone(), channel.clone(), event));
        }
    }
    connection.await?.context("the bot lost its server")
}

async fn react(client: Client, home: ChannelName, event: Event) {
    let outcome = match event {
        Event::Joined {
            channel, own: true, ..
        } => client.set_topic(&channel, TOPIC).await,
        Event::Joined { channel, nick, .. } => {
            let welcome = format!(
                "Hello {nick}. You came by TLS from your browser to this server; what carried the \
                 bytes could not read them. Say \"help\", and I answer."
            );
            client.say(&channel.into(), welcome).await
        }
        Event::Message(message) if !message.own && message.kind != ChatKind::Notice => {
            answer(&client, &home, &message).await
        }
        _ => Ok(()),
    };
    if let Err(error) = outcome {
        eprintln!("the bot could not answer: {error}");
    }
}

async fn answer(
    client: &Client,
    home: &ChannelName,
    message: &ChatMessage,
) -> Result<(), jackfield_irc::RequestError> {
    let Some(reply) = reply(&message.text, message.channel.is_none()) else {
        return Ok(());
    };
    let to: Target = match &message.channel {
        Some(channel) => channel.clone().into(),
        None => message
            .from
            .name
            .parse()
            .unwrap_or_else(|_| home.clone().into()),
    };
    let text = match message.channel {
        Some(_) => format!("{}: {reply}", message.from.name),
        None => reply,
    };
    client.say(&to, text).await
}

/// What there is to say to this. In a channel, only what is meant for a bot is answered.
fn reply(text: &str, private: bool) -> Option<String> {
    let addressed = text
        .strip_prefix(NICK)
        .map(|rest| rest.trim_start_matches([':', ',', ' ']));
    let said = addressed.unwrap_or(text).trim();
    let (command, rest) = said.split_once(' ').unwrap_or((said, ""));
    let meant = private || addressed.is_some();
    if !meant && !rest.is_empty() && command != "echo" {
        return None;
    }
    Some(match command.to_lowercase().trim_end_matches(['!', '.', '?']) {
        "help" => {
            "I know \"hello\", \"time\", \"dice\", \"echo ...\", and \"how\" this works. In your own \
             words to me alone: /msg jack ..."
                .into()
        }
        "hello" | "hi" | "hey" => "hello to you.".into(),
        "time" => format!("it is {} UTC.", time_of_day()),
        "dice" => format!("you rolled a {}.", getrandom::u32().unwrap_or_default() % 6 + 1),
        "echo" if !rest.is_empty() => rest.into(),
        "how" => "an IRC client in Rust runs in your page; it speaks TLS itself, and a relay carries \
                  the ciphertext. I am the same client, without a page. Look at the lock on the left."
            .into(),
        _ if meant => "I don't know that; try \"help\".".into(),
        _ => return None,
    })
}

fn time_of_day() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let minutes = since.unwrap_or_default().as_secs() / 60;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::reply;

    #[test]
    fn only_what_is_meant_for_it_is_answered() {
        assert!(reply("How?", false).is_some());
        assert!(reply("how are the others doing today", false).is_none());
        assert!(reply("what a nice day", false).is_none());
        assert!(reply("what a nice day", true).is_some());
        assert!(reply("jack: what a nice day", false).is_some());
        assert_eq!(reply("echo a  b", false).as_deref(), Some("a  b"));
    }
}
