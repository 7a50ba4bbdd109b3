//! The demo that `cargo xtask demo` starts: a relay, servers, what speaks with them, and the pages.
//!
//! Everything listens on this machine's loopback addresses only, with certificates and a token made
//! for this run; nothing is left when it ends.

#![expect(clippy::print_stdout, reason = "it talks to the person who started it")]

mod bot;
mod irc_server;
mod mqtt_broker;
mod ports;
mod sensors;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use irc_server::IrcServer;
use jackfield_demo::log_in::{Around, LogIn};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Origin, Relayd, Token};
use jackfield_socket::{Endpoint, Host};
use jackfield_testing::certs::Authority;
use jackfield_testing::coap_device::Device;
use jackfield_testing::site::Site;
use mqtt_broker::MqttBroker;
use ports::Ports;
use serde_json::{Value, json};

/// The servers' name: the one in their certificates, and the one that the relay looks up.
const HOST: &str = "localhost";
/// The address that the page with a log-in knows the broker by.
const ADDRESS: &str = "127.0.0.1";
const CHANNEL: &str = "#jackfield";
/// For how long the page with a log-in has a token.
const TOKEN_SECONDS: u32 = 300;
/// The file in the pages' folder that tells a page of one's own how to reach the relay.
const OPTIONS: &str = "demo.json";

/// Starts the relay, the servers and the pages, on this machine alone.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of the pages, as `cargo xtask web` makes it
    #[arg(long, default_value = "dist")]
    site: PathBuf,
    /// The port of the pages
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Use the embedded IRC server even where inspircd is installed
    #[arg(long)]
    embedded: bool,
    /// A page of your own that may use the relay too, such as http://localhost:5173; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<Origin>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let authority = Authority::new();
    let at = Ports::new(arguments.port);
    let server = IrcServer::start(&authority, HOST, at.irc(), arguments.embedded).await?;
    let irc = server.address();
    let broker = MqttBroker::start(&authority, &[HOST, ADDRESS], &at).await?;
    let mqtt = broker.tls();
    let device = Arc::new(Device::start_at(at.coap()).await?);

    let token = token()?;
    let origin = format!("127.0.0.1:{}", arguments.port);
    let ports = [
        irc.port().to_string(),
        mqtt.port().to_string(),
        device.tcp().port().to_string(),
        format!("{}/udp", device.udp().port()),
    ];
    let mut config = relay_config(arguments.port, &ports, &token)?;
    config.listen = vec![at.relay()];
    config.origins.extend(arguments.origin.iter().cloned());
    let relay = Relayd::bind(config).await?;
    let relay_address = relay.local_addrs()[0];
    let relay = tokio::spawn(relay.run(std::future::pending()));

    let way = json!({
        "relay": format!("ws://{relay_address}/"),
        "token": token,
        "roots": authority.pem(),
    });
    let chat = with(
        &way,
        json!({
            "server": HOST,
            "port": irc.port(),
            "channels": CHANNEL,
            "nick": format!("guest{}", random()? % 1000),
        }),
    );
    let dashboard = with(
        &way,
        json!({
            "sources": [
                {"name": "House", "url": format!("mqtts://{HOST}:{}", mqtt.port())},
                {"name": "Hall", "url": format!("coap://{}", device.udp())},
            ],
        }),
    );
    let log_in = LogIn::start(&Around {
        page: &arguments.site.join("log-in"),
        port: at.log_in().port(),
        relay: at.log_in_relay(),
        broker: mqtt,
        roots: authority.pem(),
        token_seconds: TOKEN_SECONDS,
    })
    .await
    .context("could not start the page with a log-in")?;
    let site = Site::builder()
        .dir(&arguments.site)
        .file("/irc/config.json", chat.to_string())
        .file("/iot/config.json", dashboard.to_string())
        .file("/log-in/index.html", to(log_in.url()))
        .port(arguments.port)
        .start()
        .await
        .with_context(|| format!("could not serve the pages at {origin}; try another --port"))?;

    let roots = authority.pem().to_owned();
    let bot = tokio::spawn(bot::run(endpoint(irc)?, roots.clone(), CHANNEL));
    let sensors = sensors::Broker {
        server: endpoint(mqtt)?,
        roots,
    };
    let greenhouse = tokio::spawn(sensors::greenhouse(sensors.clone()));
    let garage = tokio::spawn(sensors::garage(sensors));
    let weather = tokio::spawn(sensors::hall(device.clone()));

    println!();
    println!("    Open   {}", site.url());
    println!();
    println!("    chat         {}irc/", site.url());
    println!("    dashboard    {}iot/", site.url());
    println!(
        "    log-in       {}   as ada with engine, as bob with builder",
        log_in.url()
    );
    println!(
        "                 its relay, ws://{}/, takes tokens of {} minutes",
        log_in.relay(),
        TOKEN_SECONDS / 60
    );
    println!(
        "    relay        ws://{relay_address}/   carries the pages' bytes; sees ciphertext only"
    );
    println!(
        "    IRC server   {HOST}:{}, TLS   {}",
        irc.port(),
        server.kind()
    );
    println!("    bot          jack, in {CHANNEL}");
    println!(
        "    MQTT broker  mqtts://{HOST}:{}, or without relay {}",
        mqtt.port(),
        broker.web_socket()
    );
    println!("    sensors      a greenhouse, and a garage that is gone now and then");
    println!(
        "    CoAP device  coap://{} and coap+tcp://{}",
        device.udp(),
        device.tcp()
    );
    if !arguments.origin.is_empty() {
        let options = arguments.site.join(OPTIONS);
        std::fs::write(&options, way.to_string())
            .with_context(|| format!("writing {}", options.display()))?;
        println!();
        println!(
            "    your page    what open() takes is in {}",
            options.display()
        );
    }
    println!();
    println!("    Ctrl-C ends all of it.");
    println!();

    tokio::select! {
        result = interrupted() => result?,
        result = bot => result?.context("the bot ended")?,
        result = greenhouse => result?.context("the greenhouse ended")?,
        result = garage => result?.context("the garage ended")?,
        result = weather => result.context("the device ended")?,
        _ = relay => anyhow::bail!("the relay ended"),
        error = server.failed() => return Err(error),
    }
    println!("ended");
    Ok(())
}

/// A page that leads to another site: the page with a log-in is its back end's.
fn to(url: &str) -> String {
    format!(
        "<!doctype html><title>Log in</title><meta http-equiv=refresh content=\"0; url={url}\">"
    )
}

/// One configuration and more.
fn with(base: &Value, more: Value) -> Value {
    let mut all = base.clone();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

fn endpoint(server: SocketAddr) -> Result<Endpoint> {
    Ok(Endpoint::new(HOST.parse::<Host>()?, server.port()))
}

/// A relay for these pages alone, that reaches these ports of this machine alone.
fn relay_config(page: u16, ports: &[String], token: &str) -> Result<Config> {
    let text = anyhow::Error::msg;
    let mut grant = Token::new(
        "demo",
        Credential::Secret(Secret::new(token).map_err(text)?),
    );
    // The name, and the addresses behind it: special-purpose ones must be listed by themselves.
    for port in ports {
        for host in [HOST, "127.0.0.0/8", "[::1]"] {
            let rule = format!("{host}:{port}");
            grant.policy.allow.push(rule.parse().map_err(text)?);
        }
    }
    let mut config = Config::default();
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
