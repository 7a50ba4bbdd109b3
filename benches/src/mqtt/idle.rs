//! Idle clients: what a thousand of them take that have nothing to do.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use jackfield_mqtt::client;
use jackfield_mqtt::codec::{QoS, SubscribeOptions, Text};
use jackfield_mqtt::core::{ConnectOptions, SubscribeRequest};
use jackfield_native::Native;
use rumqttc::v5::mqttbytes::QoS as TheirQoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};

use super::clients::Client;
use super::publish::broker;
use crate::Peers;
use crate::child::Running;
use crate::machine;
use crate::report::Report;
use crate::stats::median;

/// The role that this binary plays for the clients in Rust: `ROLE CLIENT PORT COUNT`.
pub(crate) const ROLE: &str = "role-mqtt-idle";

const CLIENTS: usize = 1000;
/// paho waits by `select`, which knows no descriptor beyond 1,023, and has three a client.
const PAHO_CLIENTS: usize = 300;
const RUNS: usize = 3;
const KEEP_ALIVE: u16 = 600;
/// rumqttc makes room for as many messages as may be in flight when it starts. Its default, 65,535,
/// takes 13.6 MB a client, which no machine should be asked for a thousand times.
const RUMQTTC_IN_FLIGHT: u16 = 100;

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "Memory of 1,000 idle MQTT clients",
        "Each connected to one mosquitto and subscribed to a topic of its own, all in one process: \
         its resident memory, less that of the same process with one client, by 999. jackfield-mqtt \
         and rumqttc run on tokio with one thread; paho-mqtt has a thread for each client, and 300 of \
         them, since it can't wait for more sockets; MQTT.js has collected its garbage. Defaults \
         everywhere, but for a keep-alive of 10 minutes, and for rumqttc's limit of messages in \
         flight: it makes room for all of them when it starts, 13.6 MB with the default of 65,535, so \
         here it has 100. Median of 3 runs, alternating. Aim: least.",
    );
    // Two thousand sockets and more.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let broker = runtime.block_on(broker())?;
    let mut all: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        for (runs, client) in all.iter_mut().zip(Client::ALL) {
            let resident =
                |count| resident(client, peers, broker.plain(), count).context(client.name());
            let many = match client {
                Client::Paho => PAHO_CLIENTS,
                _ => CLIENTS,
            };
            runs.push((resident(many)? - resident(1)?) / (many - 1) as f64);
        }
    }
    let each = all.map(median);
    let rows: Vec<_> = Client::ALL
        .iter()
        .zip(each)
        .map(|(client, bytes)| {
            vec![
                client.name().into(),
                format!("{:.1} KiB", bytes / 1024.0),
                format!("{:.2}", bytes / each[0]),
            ]
        })
        .collect();
    report.table(&["", "a client", "times ours"], &rows);
    Ok(())
}

/// Resident memory of a process with so many clients, in bytes.
fn resident(client: Client, peers: &Peers, at: SocketAddr, count: usize) -> Result<f64> {
    let arguments = ["idle".into(), at.port().to_string(), count.to_string()];
    let mut command = match client.script(peers, &arguments) {
        Some(command) => command,
        None => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args([ROLE, client.name(), &arguments[1], &arguments[2]]);
            command
        }
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no standard output")?;
    let process = Running::new(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    ensure!(line == "ready\n", "it said {line:?}");
    Ok(machine::resident(&[process.pid()])? as f64)
}

/// Plays the role, for as long as the process lives.
pub(crate) fn play() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let [client, port, count] = &arguments[..] else {
        bail!("no client, port and count");
    };
    let at = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    let count = count.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if client == Client::Jackfield.name() {
            ours(at, count).await
        } else {
            theirs(at, count).await
        }
    })
}

async fn ours(at: SocketAddr, count: usize) -> Result<()> {
    let mut clients = Vec::new();
    for index in 0..count {
        let name: Text = format!("jackfield-{index}").parse()?;
        let mut connect = ConnectOptions::new(name);
        connect.keep_alive = KEEP_ALIVE;
        let (client, events, connection) = client::connect(Native, at.into(), connect);
        tokio::spawn(connection);
        let filter = format!("idle/jackfield-{index}").parse()?;
        let options = SubscribeOptions::qos(QoS::AtLeastOnce);
        client
            .subscribe(SubscribeRequest::new(filter, options))
            .await?;
        clients.push((client, events));
    }
    println!("ready");
    std::future::pending().await
}

async fn theirs(at: SocketAddr, count: usize) -> Result<()> {
    let mut clients = Vec::new();
    for index in 0..count {
        let mut options =
            MqttOptions::new(format!("rumqttc-{index}"), at.ip().to_string(), at.port());
        options.set_outgoing_inflight_upper_limit(RUMQTTC_IN_FLIGHT);
        options.set_keep_alive(std::time::Duration::from_secs(KEEP_ALIVE.into()));
        let (client, mut event_loop) = AsyncClient::new(options, 10);
        client
            .subscribe(format!("idle/rumqttc-{index}"), TheirQoS::AtLeastOnce)
            .await?;
        while !matches!(event_loop.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
        tokio::spawn(async move { while event_loop.poll().await.is_ok() {} });
        clients.push(client);
    }
    println!("ready");
    std::future::pending().await
}
