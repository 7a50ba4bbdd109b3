//! MQTT in a page, by ours and by MQTT.js, with one broker.

use anyhow::{Context as _, Result};
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_testing::process::free_addresses;
use jackfield_testing::site::Site;
use serde_json::{Value, json};

use super::stage::{Stage, busy, runtime};
use crate::report::Report;
use crate::stats::{Ratio, median};
use crate::{Peers, cores};

const SCRIPT: &str = include_str!("mqtt.js");
const MESSAGES: usize = 20_000;
const IN_FLIGHT: usize = 100;
const RUNS: usize = 7;
/// The names of the clients in the page; MQTT.js last.
const CLIENTS: [&str; 3] = ["webSocket", "relay", "mqttJs"];

/// What is measured: its name, the script's function, and the QoS.
const CELLS: [(&str, &str, u8); 4] = [
    ("publish, QoS 0", "publish", 0),
    ("publish, QoS 1", "publish", 1),
    ("receive, QoS 0", "receive", 0),
    ("receive, QoS 1", "receive", 1),
];

/// The runs of one client.
#[derive(Default)]
struct Runs {
    /// Messages a second.
    rates: Vec<f64>,
    /// Microseconds of main thread a message.
    busy: Vec<f64>,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "MQTT in the page over MQTT.js",
        "20,000 messages of 64 bytes, MQTT 5, Chromium without a display, mosquitto 2 on loopback without TLS. \
         Publishing: 100 calls wait at a time, and one message of QoS 1 behind all of them must have been \
         acknowledged. Receiving: the broker keeps the messages, each of a topic of its own, and sends all \
         of them to whoever subscribes. `jackfield/mqtt-websocket` and MQTT.js 5.16.0 over the page's own \
         WebSocket to the broker; `jackfield/mqtt` through jackfield-relayd, over TCP behind it. Beside \
         the rate stands the page's main thread, in a message's share of the time that it is busy. MQTT.js has no relay: both \
         are compared with its WebSocket. Median of 7 runs, alternating, in one page, on cores that are \
         kept awake. Aim: at least 1.2 times the rate of MQTT.js, everywhere.",
    );
    let _awake = cores::keep()?;
    let rows = runtime()?.block_on(measure(peers))?;
    report.table(
        &[
            "",
            "MQTT.js",
            "own WebSocket",
            "rate, ratio",
            "through the relay",
            "rate, ratio",
        ],
        &rows,
    );
    Ok(())
}

async fn measure(peers: &Peers) -> Result<Vec<Vec<String>>> {
    let [web_socket] = free_addresses()?;
    let settings = Settings {
        extra: vec!["max_inflight_messages 1000".into()],
        ..Settings::default()
    };
    let settings = settings.with_websocket(web_socket);
    let certificate = Authority::new().server(&["localhost"]);
    let broker = Mosquitto::start(&certificate, &settings).await?;
    let mqtt_js = peers.npm.join("node_modules/mqtt/dist/mqtt.esm.js");
    let site = Site::builder().file("/mqtt.esm.js", std::fs::read(mqtt_js)?);
    let stage = Stage::start(peers, site).await?;
    let call = async |function: &str, arguments: &[Value]| {
        let script = format!("{SCRIPT}.{function}");
        let called = stage.page.invoke(&script, arguments);
        called
            .await
            .with_context(|| format!("{function}, {arguments:?}"))
    };

    let own = format!("ws://{web_socket}/mqtt");
    let plain = format!("mqtt://{}", broker.plain());
    let [web_socket, relay, theirs] = CLIENTS.map(Value::from);
    let arguments = [
        web_socket.clone(),
        "mqtt-websocket".into(),
        own.clone().into(),
        json!({}),
    ];
    let _: Value = call("jackfield", &arguments).await?;
    let arguments = [relay, "mqtt".into(), plain.into(), stage.options.clone()];
    let _: Value = call("jackfield", &arguments).await?;
    let _: Value = call("mqttJs", &[theirs, own.into()]).await?;
    let _: Value = call("fill", &[web_socket, MESSAGES.into(), IN_FLIGHT.into()]).await?;

    let mut rows = Vec::new();
    for (name, function, qos) in CELLS {
        let mut all: [Runs; 3] = Default::default();
        // The first of each compiles and learns.
        for run in 0..=RUNS {
            for (client, runs) in CLIENTS.iter().zip(&mut all) {
                let arguments = [json!(client), MESSAGES.into(), IN_FLIGHT.into(), qos.into()];
                let before = busy(&stage.page).await?;
                let milliseconds: Value = call(function, &arguments).await?;
                let busy = busy(&stage.page).await? - before;
                if run > 0 {
                    let milliseconds = milliseconds.as_f64().context("it tells no time")?;
                    runs.rates.push(MESSAGES as f64 * 1000.0 / milliseconds);
                    runs.busy.push(busy * 1e6 / MESSAGES as f64);
                }
            }
        }
        let [web_socket, relay, theirs] = all;
        rows.push(vec![
            name.into(),
            theirs.cell(),
            web_socket.cell(),
            Ratio::of(&web_socket.rates, &theirs.rates).to_string(),
            relay.cell(),
            Ratio::of(&relay.rates, &theirs.rates).to_string(),
        ]);
    }
    stage.browser.close().await?;
    Ok(rows)
}

impl Runs {
    fn cell(&self) -> String {
        let [rate, busy] = [&self.rates, &self.busy].map(|all| median(all.clone()));
        format!("{rate:.0}/s, {busy:.1} µs")
    }
}
