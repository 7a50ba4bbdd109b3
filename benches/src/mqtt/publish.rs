//! Publishing with QoS 1 to one mosquitto, by each client in turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jackfield_mqtt::client::{self, ClientConfig};
use jackfield_mqtt::codec::QoS;
use jackfield_mqtt::core::{ConnectOptions, Message};
use jackfield_native::Native;
use jackfield_testing::mosquitto::Mosquitto;
use rumqttc::v5::mqttbytes::QoS as TheirQoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::Semaphore;

use super::clients::Client;
use crate::Peers;
use crate::cores::{self, CLIENT, SERVER};
use crate::report::Report;
use crate::stats::{Ratio, Samples, median, micros};

const TOPIC: &str = "sensors/attic/temperature";
const PAYLOAD: [u8; 64] = [b'7'; 64];
/// How many messages are in flight at a time, and how many are sent in all.
const LEVELS: [(usize, usize); 3] = [(1, 10_000), (20, 40_000), (100, 60_000)];
const RUNS: usize = 7;

/// What a run came to.
#[derive(Clone, Copy)]
struct Run {
    /// Messages per second.
    rate: f64,
    p50: Duration,
    p99: Duration,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "MQTT messages of QoS 1 to mosquitto",
        "64 bytes to one topic that nobody subscribes to, MQTT 5 over loopback TCP: whenever one is \
         acknowledged, the next is published, so that 1, 20 or 100 are in flight. 10,000, 40,000 and \
         60,000 messages, after a tenth as many to warm up; p50 and p99 run from the call that \
         publishes to the acknowledgement. Server: mosquitto as a process of its own, without a log. \
         jackfield-mqtt and rumqttc run on tokio with one thread, the connection and who publishes as \
         a task each; paho-mqtt with its own thread for the network; MQTT.js on node. Median of 7 \
         runs, alternating, on cores that are kept awake, the \
         server on one and the client on the other. Aim: fastest, and with one in flight no \
         slower than rumqttc.",
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let awake = cores::keep()?;
    awake.run_on(SERVER)?;
    let broker = runtime.block_on(broker())?;
    awake.run_on(CLIENT)?;
    let at = broker.plain();

    let mut rows = Vec::new();
    for (in_flight, messages) in LEVELS {
        let mut all: [Vec<Run>; 4] = Default::default();
        for _ in 0..RUNS {
            for (runs, client) in all.iter_mut().zip(Client::ALL) {
                let run = match client {
                    Client::Jackfield => runtime.block_on(ours(at, messages, in_flight)),
                    Client::Rumqttc => runtime.block_on(theirs(at, messages, in_flight)),
                    _ => script(client, peers, at, messages, in_flight),
                };
                runs.push(run.context(client.name())?);
            }
        }
        let of = |runs: &[Run], pick: fn(&Run) -> f64| median(runs.iter().map(pick).collect());
        let rates = |runs: &[Run]| runs.iter().map(|run| run.rate).collect::<Vec<f64>>();
        let ours = rates(&all[0]);
        for (runs, client) in all.iter().zip(Client::ALL) {
            let time = |pick| micros(Duration::from_secs_f64(of(runs, pick)));
            rows.push(vec![
                in_flight.to_string(),
                client.name().into(),
                format!("{:.0}", median(rates(runs))),
                time(|run| run.p50.as_secs_f64()),
                time(|run| run.p99.as_secs_f64()),
                Ratio::of(&ours, &rates(runs)).to_string(),
            ]);
        }
    }
    report.table(
        &[
            "in flight",
            "",
            "messages/s",
            "p50",
            "p99",
            "ours over it, ratio",
        ],
        &rows,
    );
    Ok(())
}

/// A mosquitto that allows as many in flight as are asked for, and writes no log.
pub(super) async fn broker() -> Result<Mosquitto> {
    use jackfield_testing::certs::Authority;
    use jackfield_testing::mosquitto::Settings;
    let certificate = Authority::new().server(&["localhost"]);
    let settings = Settings {
        extra: vec!["log_type none".into(), "max_inflight_messages 1000".into()],
        ..Settings::default()
    };
    Ok(Mosquitto::start(&certificate, &settings).await?)
}

async fn ours(at: SocketAddr, messages: usize, in_flight: usize) -> Result<Run> {
    let config = ClientConfig::new(ConnectOptions::new("jackfield".parse()?));
    let (client, events, connection) = client::connect(Native, at.into(), config);
    // Nobody asks for them.
    drop(events);
    let connection = tokio::spawn(connection);
    let topic: jackfield_mqtt::codec::TopicName = TOPIC.parse()?;
    let publish = |begun: Instant| {
        let message = Message::new(topic.clone(), &PAYLOAD[..]).qos(QoS::AtLeastOnce);
        let client = &client;
        async move {
            let acknowledged = client.publish(message).await?;
            ensure!(!acknowledged.reason.is_error(), "{acknowledged:?}");
            Ok(begun.elapsed())
        }
    };
    let run = async |count: usize| {
        let mut samples = Samples::default();
        let mut waiting = FuturesUnordered::new();
        let mut left = count;
        let start = Instant::now();
        while left > 0 && waiting.len() < in_flight {
            waiting.push(publish(Instant::now()));
            left -= 1;
        }
        while let Some(took) = waiting.next().await {
            samples.push(took?);
            if left > 0 {
                waiting.push(publish(Instant::now()));
                left -= 1;
            }
        }
        anyhow::Ok((start.elapsed(), samples))
    };
    run(messages / 10).await?;
    let (took, samples) = run(messages).await?;
    client.close().await;
    connection.await??;
    Ok(summary(messages, took, samples))
}

async fn theirs(at: SocketAddr, messages: usize, in_flight: usize) -> Result<Run> {
    let mut options = MqttOptions::new("rumqttc", at.ip().to_string(), at.port());
    options.set_outgoing_inflight_upper_limit(in_flight as u16);
    let (client, mut event_loop) = AsyncClient::new(options, in_flight);
    let room = Arc::new(Semaphore::new(in_flight));
    // mosquitto acknowledges in order.
    let begun = Arc::new(Mutex::new(VecDeque::new()));
    let took = Arc::new(Mutex::new(Samples::default()));
    let polled = tokio::spawn({
        let (room, begun, took) = (room.clone(), begun.clone(), took.clone());
        async move {
            loop {
                let acknowledged = match event_loop.poll().await {
                    Ok(Event::Incoming(Packet::PubAck(_))) => begun.lock(),
                    Ok(_) => continue,
                    Err(error) => return error,
                };
                let start: Option<Instant> = acknowledged.ok().and_then(|mut all| all.pop_front());
                if let (Some(start), Ok(mut took)) = (start, took.lock()) {
                    took.push(start.elapsed());
                }
                room.add_permits(1);
            }
        }
    });
    let run = async |count: usize| {
        let start = Instant::now();
        for _ in 0..count {
            room.acquire().await?.forget();
            if let Ok(mut begun) = begun.lock() {
                begun.push_back(Instant::now());
            }
            let payload = bytes::Bytes::from_static(&PAYLOAD);
            let published = client.publish_bytes(TOPIC, TheirQoS::AtLeastOnce, false, payload);
            published.await?;
        }
        let all = room.acquire_many(in_flight as u32).await?;
        let elapsed = start.elapsed();
        drop(all);
        anyhow::Ok(elapsed)
    };
    run(messages / 10).await?;
    let taken = || {
        took.lock()
            .map(|mut took| std::mem::take(&mut *took))
            .unwrap_or_default()
    };
    taken();
    let elapsed = run(messages).await?;
    client.disconnect().await?;
    let _ = polled.await;
    Ok(summary(messages, elapsed, taken()))
}

fn script(
    client: Client,
    peers: &Peers,
    at: SocketAddr,
    messages: usize,
    in_flight: usize,
) -> Result<Run> {
    let arguments = [
        "publish".into(),
        at.port().to_string(),
        messages.to_string(),
        in_flight.to_string(),
    ];
    let mut command = client
        .script(peers, &arguments)
        .context("it has no script")?;
    let output = command.output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let seconds: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [took, p50, p99] = seconds[..] else {
        bail!("it printed {text:?}");
    };
    Ok(Run {
        rate: messages as f64 / took,
        p50: Duration::from_secs_f64(p50),
        p99: Duration::from_secs_f64(p99),
    })
}

fn summary(messages: usize, took: Duration, mut samples: Samples) -> Run {
    Run {
        rate: messages as f64 / took.as_secs_f64(),
        p50: samples.percentile(0.5),
        p99: samples.percentile(0.99),
    }
}
