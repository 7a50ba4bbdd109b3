//! Enters a channel, says hello, and leaves when it has heard something.
//!
//! ```console
//! cargo run --example irc                              # with a small server in this process
//! cargo run --example irc -- irc.example.org:6697      # with yours, over TLS
//! ```

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;

use jackfield::irc::client::{self, ClientConfig, ClientEvent, Status};
use jackfield::irc::core::{Config, Event};
use jackfield::irc::server::{ServerConfig, serve};
use jackfield::native::Native;
use jackfield::socket::{Endpoint, ListenOptions, TcpConnect, TcpListen, TcpListener};
use jackfield::tls::{Tls, TlsConfig, TlsConnector};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(server) => {
            let tls = TlsConnector::new(TlsConfig::new())?;
            greet(Tls::new(Native, tls), server.parse()?).await
        }
        None => greet(Native, start_server().await?).await,
    }
}

/// Any network will do: the client only asks it to connect.
async fn greet(network: impl TcpConnect, server: Endpoint) -> Result<(), Box<dyn Error>> {
    let mut config = ClientConfig::new(Config::new("ada".parse()?));
    config.channels = vec!["#jackfield".parse()?];

    // Nothing happens until somebody runs the connection: here, a task of its own.
    let (client, mut events, connection) = client::connect(network, server, config);
    tokio::spawn(connection);
    while let Some(event) = events.next().await {
        match event {
            ClientEvent::Event(Event::Joined {
                channel, own: true, ..
            }) => {
                // What is awaited in this loop holds the loop up: so this is a task as well.
                let client = client.clone();
                tokio::spawn(async move { client.say(&channel.into(), "hello").await });
            }
            ClientEvent::Event(Event::Message(message)) => {
                println!("{}: {}", message.from.name, message.text);
                break;
            }
            ClientEvent::Status(Status::Disconnected { error, .. }) => eprintln!("{error}"),
            _ => {}
        }
    }
    client.close().await;
    Ok(())
}

/// Starts a server in this process, at a free port; it echoes to clients what they say.
async fn start_server() -> Result<Endpoint, Box<dyn Error>> {
    let at = "127.0.0.1:0".parse()?;
    let listener = Native.listen(at, &ListenOptions::default()).await?;
    let address = listener.local_addr().ok_or("the listener has no address")?;
    tokio::spawn(serve(listener, ServerConfig::new()));
    Ok(address.into())
}
