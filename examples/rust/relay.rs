//! Reaches a server through a relay, as a web page does.
//!
//! ```console
//! cargo run --example relay                            # a relay and a server in this process
//! cargo run --example relay -- wss://relay.example.org/ TOKEN whois.example.org:43
//! ```

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;

use jackfield::native::Native;
use jackfield::relay::{Relay, RelayConfig};
use jackfield::socket::{ListenOptions, TcpConnect, TcpListen, TcpListener, TcpOptions};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, server] = match arguments.try_into() {
        Ok(given) => given,
        Err(_) => start_all().await?,
    };

    // The relay is a network like any other. Nothing happens until somebody runs its connection.
    let config = RelayConfig::new(&url)?.with_token(token)?;
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);

    // The relay resolves names, and asks its rules; who wants secrecy puts `Tls` over it.
    let options = TcpOptions::default();
    let mut stream = relay.connect(&server.parse()?, &options).await?;
    stream.write_all(b"ada\r\n").await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    println!("{}", answer.trim_end());
    Ok(())
}

/// Starts a server that greets whoever tells a name, and a relay that lets its users reach this
/// server alone. Gives the relay's address, a token for it, and the server's address.
async fn start_all() -> Result<[String; 3], Box<dyn Error>> {
    let at = "127.0.0.1:0".parse()?;
    let mut listener = Native.listen(at, &ListenOptions::default()).await?;
    let server = listener.local_addr().ok_or("the listener has no address")?;
    tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await?);
        let mut name = String::new();
        stream.read_line(&mut name).await?;
        let greeting = format!("good morning, {}\r\n", name.trim_end());
        stream.write_all(greeting.as_bytes()).await?;
        stream.shutdown().await
    });

    let secret = "only-for-this-example";
    let mut token = Token::new("example", Credential::Secret(Secret::new(secret)?));
    token.policy.allow = vec![server.to_string().parse()?];
    let mut config = Config::default();
    config.listen = vec![at];
    // Programs name no origin, as pages do.
    config.allow_without_origin = true;
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await?;
    let url = format!("ws://{}/", relay.local_addrs()[0]);
    tokio::spawn(relay.run(std::future::pending()));
    Ok([url, secret.into(), server.to_string()])
}
