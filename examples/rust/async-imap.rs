//! Lists the newest messages of an inbox by `async-imap`, over a stream of this project.
//!
//! ```console
//! cargo run --example async-imap -- imap.example.org:993 ada   # asks the environment for PASSWORD
//! cargo run --example async-imap                               # with a mail server in memory
//! ```
//!
//! It takes `async-imap = { version = "0.12", default-features = false, features = ["runtime-tokio"] }`
//! and nothing between the two: every stream here is tokio's `AsyncRead` and `AsyncWrite`.

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;

use async_imap::Client;
use futures_util::TryStreamExt;
use jackfield::mail_server::{Config, Store, serve_imap};
use jackfield::native::Native;
use jackfield::socket::{Endpoint, ListenOptions, TcpConnect, TcpListen, TcpListener, TcpOptions};
use jackfield::tls::{Tls, TlsConfig, TlsConnector};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user] = &arguments[..] else {
        return list(Native, in_memory().await?, "ada", "lovelace").await;
    };
    let password = std::env::var("PASSWORD").map_err(|_| "there is no PASSWORD")?;
    let network = Tls::new(Native, TlsConnector::new(TlsConfig::new())?);
    list(network, server.parse()?, user, &password).await
}

/// Lists the ten newest messages. Any network will do: over a relay or in a simulation it is the same.
async fn list(
    network: impl TcpConnect,
    server: Endpoint,
    user: &str,
    password: &str,
) -> Result<(), Box<dyn Error>> {
    let stream = network.connect(&server, &TcpOptions::default()).await?;
    let mut client = Client::new(stream);
    // The greeting. After STARTTLS (`StartTls` in place of `Tls`) none comes.
    client.read_response().await?.ok_or("it said nothing")?;
    let login = client.login(user, password).await;
    let mut session = login.map_err(|(error, _)| error)?;

    let inbox = session.select("INBOX").await?;
    if inbox.exists > 0 {
        let newest = format!("{}:*", inbox.exists.saturating_sub(9).max(1));
        let messages = session.fetch(newest, "(UID ENVELOPE)").await?;
        let messages: Vec<_> = messages.try_collect().await?;
        for message in messages {
            let envelope = message.envelope().ok_or("it has no envelope")?;
            // As it was sent; `jackfield::mail` decodes words.
            let subject = envelope.subject.as_deref().unwrap_or_default();
            println!(
                "{:>6}  {}",
                message.uid.unwrap_or_default(),
                String::from_utf8_lossy(subject)
            );
        }
    }
    session.logout().await?;
    Ok(())
}

/// A server in this process, with one message.
async fn in_memory() -> Result<Endpoint, Box<dyn Error>> {
    let store = Store::new(Config::default());
    store.add_user("ada", "lovelace")?;
    let message = "From: Grace <grace@example.org>\nSubject: Lunch?\n\nAt one.\n";
    store.add_message("ada", "INBOX", message, &[])?;
    let listener = Native
        .listen("127.0.0.1:0".parse()?, &ListenOptions::default())
        .await?;
    let server = listener.local_addr().ok_or("it listens nowhere")?;
    tokio::spawn(serve_imap(listener, store));
    Ok(server.into())
}
