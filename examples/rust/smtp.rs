//! Sends a message to two people, and says what became of it.
//!
//! ```console
//! cargo run --example smtp                                  # with a small server in this process
//! cargo run --example smtp -- mail.example.org:465 ada      # with yours, over TLS, as ada@example.org
//! ```
//!
//! The password is taken from the variable `PASSWORD`.

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;

use jackfield::native::Native;
use jackfield::sasl::Credentials;
use jackfield::smtp::client;
use jackfield::smtp::core::{Config, Envelope, Security};
use jackfield::socket::{Endpoint, ListenOptions, TcpConnect, TcpListen, TcpListener};
use jackfield::tls::{Tls, TlsConfig, TlsConnector};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const MESSAGE: &str = "\
From: Ada <ada@example.org>
To: Grace <grace@example.com>
Subject: hello

Good morning.
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::new("localhost".parse()?);
    let mut arguments = std::env::args().skip(1);
    let (Some(server), user) = (arguments.next(), arguments.next()) else {
        return send(Native, start_server().await?, config).await;
    };
    config.security = Security::Tls;
    if let Some(user) = user {
        let password = std::env::var("PASSWORD")?;
        config.credentials = Some(Credentials::password(&user, &password)?);
    }
    let tls = TlsConnector::new(TlsConfig::new())?;
    send(Tls::new(Native, tls), server.parse()?, config).await
}

/// Any network will do: the client only asks it to connect.
async fn send(
    network: impl TcpConnect,
    server: Endpoint,
    config: Config,
) -> Result<(), Box<dyn Error>> {
    // Nothing happens until somebody runs the connection: here, a task of its own.
    let (client, _, connection) = client::connect(network, server, config);
    tokio::spawn(connection);

    let to = ["grace@example.com".parse()?, "nobody@example.com".parse()?];
    let envelope = Envelope::new("ada@example.org".parse()?, to);
    // Done when the server has answered for it. It fails where nobody was taken.
    let outcome = client.send(envelope, MESSAGE).await?;
    for mailbox in outcome.accepted() {
        println!("{mailbox}: taken");
    }
    for (mailbox, reply) in outcome.refused() {
        println!("{mailbox}: {reply}");
    }
    client.close().await;
    Ok(())
}

/// Starts a server in this process, at a free port. It knows Grace, and forgets what she gets.
async fn start_server() -> Result<Endpoint, Box<dyn Error>> {
    let at = "127.0.0.1:0".parse()?;
    let mut listener = Native.listen(at, &ListenOptions::default()).await?;
    let address = listener.local_addr().ok_or("the listener has no address")?;
    tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await?);
        let (mut line, mut in_message) = (String::new(), false);
        stream.write_all(b"220 localhost\r\n").await?;
        while stream.read_line(&mut line).await? > 0 {
            let reply = match line.trim_end() {
                "." => {
                    in_message = false;
                    "250 taken\r\n"
                }
                _ if in_message => "",
                "DATA" => {
                    in_message = true;
                    "354 go ahead\r\n"
                }
                "QUIT" => "221 bye\r\n",
                "RCPT TO:<nobody@example.com>" => "550 5.1.1 nobody of that name\r\n",
                _ => "250 ok\r\n",
            };
            stream.write_all(reply.as_bytes()).await?;
            line.clear();
        }
        Ok::<_, std::io::Error>(())
    });
    Ok(address.into())
}
