//! Lists the newest messages of an inbox, and then what arrives.
//!
//! ```console
//! cargo run --example imap -- imap.example.org:993 ada     # asks the environment for PASSWORD
//! cargo run --example imap                                 # with a server in memory
//! ```

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;

use jackfield::imap::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield::imap::codec::{Item, MailboxName, Messages, SequenceSet};
use jackfield::imap::core::{Credentials, Event, Security};
use jackfield::native::Native;
use jackfield::socket::{ListenOptions, TcpListen, TcpListener};
use jackfield::tls::{Tls, TlsConfig, TlsConnector};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user] = &arguments[..] else {
        return in_memory().await;
    };
    let password = std::env::var("PASSWORD").map_err(|_| "there is no PASSWORD")?;
    let config = ClientConfig::new(Credentials::password(user, &password)?);
    let network = Tls::new(Native, TlsConnector::new(TlsConfig::new())?);
    let (client, events, connection) = client::connect(network, server.parse()?, config);
    // Nothing happens until somebody runs the connection: here, a task of its own.
    tokio::spawn(connection);
    watch(client, events, usize::MAX).await
}

/// Lists the ten newest messages, and whatever arrives, up to so many times.
async fn watch(client: Client, mut events: Events, times: usize) -> Result<(), Box<dyn Error>> {
    let inbox = client.select(MailboxName::inbox()).await?;
    list(&client, inbox.exists.saturating_sub(9), inbox.exists).await?;

    let _idle = client.idle();
    let (mut known, mut left) = (inbox.exists, times);
    while left > 0
        && let Some(event) = events.next().await
    {
        match event {
            ClientEvent::Event(Event::Exists(exists)) => {
                list(&client, known + 1, exists).await?;
                (known, left) = (exists, left - 1);
            }
            ClientEvent::Event(Event::Expunged(_)) => known -= 1,
            ClientEvent::Status(Status::Disconnected { error, .. }) => println!("{error}"),
            _ => {}
        }
    }
    client.close().await;
    Ok(())
}

async fn list(client: &Client, from: u32, to: u32) -> Result<(), Box<dyn Error>> {
    let Some(numbers) = SequenceSet::range(from.max(1), to).filter(|_| from <= to) else {
        return Ok(());
    };
    let messages = Messages::Numbers(numbers);
    let mut messages = client
        .fetch(messages, [Item::Envelope, Item::Flags])
        .await?;
    while let Some(message) = messages.next().await? {
        let envelope = message.envelope.unwrap_or_default();
        let from = envelope.from.first().and_then(|from| from.mailbox.clone());
        let (from, subject) = (
            from.unwrap_or_default(),
            envelope.subject.unwrap_or_default(),
        );
        println!(
            "{:>6}  {from:<12} {subject}",
            message.uid.unwrap_or_default()
        );
    }
    Ok(())
}

/// The same with a server of twenty lines, which says what it was told to.
async fn in_memory() -> Result<(), Box<dyn Error>> {
    let mut listener = Native
        .listen("127.0.0.1:0".parse()?, &ListenOptions::default())
        .await?;
    let server = listener.local_addr().ok_or("it listens nowhere")?;
    tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await?);
        stream
            .write_all(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hello\r\n")
            .await?;
        let mut line = String::new();
        // Which IDLE is to be answered when it ends.
        let mut idling: Option<String> = None;
        while stream.read_line(&mut line).await? > 0 {
            let (tag, command) = line.trim_end().split_once(' ').unwrap_or_default();
            let from = "((NIL NIL \"ada\" \"example.org\"))";
            let fetch = |number: u32, subject: &str| {
                let envelope = format!("(NIL \"{subject}\" {from} NIL NIL NIL NIL NIL NIL NIL)");
                format!("* {number} FETCH (UID {number} FLAGS () ENVELOPE {envelope})\r\n")
            };
            let data = match command {
                "SELECT INBOX" => "* 1 EXISTS\r\n".to_owned(),
                "IDLE" if idling.is_some() => "+ idling\r\n".to_owned(),
                "IDLE" => "+ idling\r\n* 2 EXISTS\r\n".to_owned(),
                _ if command.starts_with("FETCH 1") => fetch(1, "Lunch?"),
                _ if command.starts_with("FETCH") => fetch(2, "At one"),
                _ => String::new(),
            };
            let done = match command {
                "IDLE" => String::new(),
                // DONE has no tag.
                "" => format!("{} OK done\r\n", idling.clone().unwrap_or_default()),
                _ => format!("{tag} OK done\r\n"),
            };
            if command == "IDLE" {
                idling = Some(tag.to_owned());
            }
            stream.write_all(format!("{data}{done}").as_bytes()).await?;
            line.clear();
        }
        Ok::<(), std::io::Error>(())
    });
    let mut config = ClientConfig::new(Credentials::password("ada", "correct horse")?);
    config.session.security = Security::Plaintext;
    config.connection.reconnect = None;
    let (client, events, connection) = client::connect(Native, server.into(), config);
    tokio::spawn(connection);
    watch(client, events, 1).await
}
