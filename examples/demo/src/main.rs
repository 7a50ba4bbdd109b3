//! What `cargo xtask demo` starts: a relay, an IRC server, a bot to talk to, and the page.
//!
//! Everything listens on this machine's loopback addresses only, with certificates and a token made
//! for this run; nothing is left when it ends.

#![expect(clippy::print_stdout, reason = "it talks to the person who started it")]

mod bot;
mod irc_server;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use irc_server::IrcServer;
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_testing::certs::Authority;
use jackfield_testing::site::Site;
use serde_json::json;

/// The IRC server's name: the one in its certificate, and the one that the relay looks up.
const HOST: &str = "localhost";
const CHANNEL: &str = "#jackfield";

/// Starts the relay, an IRC server and the page, on this machine alone.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of the pages, as `cargo xtask web` makes it
    #[arg(long, default_value = "dist")]
    site: PathBuf,
    /// The port of the page
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Use the embedded IRC server even where inspircd is installed
    #[arg(long)]
    embedded: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let authority = Authority::new();
    let server = IrcServer::start(&authority, HOST, arguments.embedded).await?;
    let irc = server.address();

    let token = token()?;
    let origin = format!("127.0.0.1:{}", arguments.port);
    let relay = Relayd::bind(relay_config(arguments.port, irc, &token)?).await?;
    let relay_address = relay.local_addrs()[0];
    let relay = tokio::spawn(relay.run(std::future::pending()));

    let config = json!({
        "relay": format!("ws://{relay_address}/"),
        "token": token,
        "roots": authority.pem(),
        "server": HOST,
        "port": irc.port(),
        "channels": CHANNEL,
        "nick": format!("guest{}", random()? % 1000),
    });
    let site = Site::builder()
        .dir(&arguments.site)
        .file("/irc/config.json", config.to_string())
        .port(arguments.port)
        .start()
        .await
        .with_context(|| format!("could not serve the page at {origin}; try another --port"))?;

    let bot = tokio::spawn(bot::run(
        jackfield_socket::Endpoint::new(HOST.parse::<jackfield_socket::Host>()?, irc.port()),
        authority.pem().to_owned(),
        CHANNEL,
    ));

    println!();
    println!("    Open   {}", site.url());
    println!();
    println!("    page        {}", site.url());
    println!(
        "    relay       ws://{relay_address}/   carries the page's bytes; sees ciphertext only"
    );
    println!(
        "    IRC server  {HOST}:{}, TLS   {}",
        irc.port(),
        server.kind()
    );
    println!("    bot         jack, in {CHANNEL}");
    println!();
    println!("    Ctrl-C ends all of it.");
    println!();

    tokio::select! {
        result = interrupted() => result?,
        result = bot => result?.context("the bot ended")?,
        _ = relay => anyhow::bail!("the relay ended"),
        error = server.failed() => return Err(error),
    }
    println!("ended");
    Ok(())
}

/// A relay for this page alone, that reaches this IRC server alone.
fn relay_config(page: u16, irc: SocketAddr, token: &str) -> Result<Config> {
    let text = anyhow::Error::msg;
    let mut grant = Token::new(
        "demo",
        Credential::Secret(Secret::new(token).map_err(text)?),
    );
    let port = irc.port();
    // The name, and the addresses behind it: special-purpose ones must be listed by themselves.
    for rule in [
        format!("{HOST}:{port}"),
        format!("127.0.0.0/8:{port}"),
        format!("[::1]:{port}"),
    ] {
        grant.policy.allow.push(rule.parse().map_err(text)?);
    }
    let mut config = Config::default();
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.tokens = vec![grant];
    for host in ["127.0.0.1", "localhost"] {
        let origin = format!("http://{host}:{page}");
        config.origins.push(origin.parse().map_err(text)?);
    }
    Ok(config)
}

fn token() -> Result<String> {
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}

fn random() -> Result<u64> {
    getrandom::u64().context("the system has no randomness")
}

/// Waits until whoever started this wants it to end.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
