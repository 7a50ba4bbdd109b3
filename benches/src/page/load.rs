//! From a page's address to the first message of a topic, by ours and by MQTT.js, over a line that is neither short
//! nor wide.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jackfield_mqtt::client::{self, ClientConfig};
use jackfield_mqtt::codec::QoS;
use jackfield_mqtt::core::{ConnectOptions, Message};
use jackfield_native::Native;
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::Chromium;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_testing::process::free_addresses;
use jackfield_testing::site::Site;
use serde_json::{Value, json};

use super::stage::runtime;
use crate::report::Report;
use crate::size::{brotli, gzip};
use crate::stats::{Ratio, median};
use crate::{Peers, cores, delay};

/// What Chromium is told of the line: its round trip in milliseconds, and its rate in bits a second.
const ROUND_TRIP: u64 = 170;
const RATE: f64 = 9e6;
const RUNS: usize = 9;

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "From a page's address to its first MQTT message",
        "A page that loads a client, connects to mosquitto over its own WebSocket and subscribes to a topic of \
         which the broker keeps a message, over a line of 9 Mb/s and 170 ms a round trip: from the beginning of the \
         navigation to the message. Chromium emulates the line (`Network.emulateNetworkConditions`), but for the delay of \
         what a WebSocket carries, which is that of a proxy. Script and module are compressed by brotli, or by gzip; \
         nothing is in a cache. `jackfield/mqtt-websocket` is bundled and minified by esbuild, with the two \
         hints of the guide; MQTT.js 5.16.0 is `dist/mqtt.esm.js`, with a hint too. Median of 9 runs, \
         alternating. Aim: no slower than MQTT.js.",
    );
    let _awake = cores::keep()?;
    let rows = runtime()?.block_on(measure(peers))?;
    report.table(
        &[
            "",
            "`jackfield/mqtt-websocket`",
            "MQTT.js",
            "our time, ratio",
        ],
        &rows,
    );
    Ok(())
}

async fn measure(peers: &Peers) -> Result<Vec<Vec<String>>> {
    let [web_socket] = free_addresses()?;
    let settings = Settings::default().with_websocket(web_socket);
    let certificate = Authority::new().server(&["localhost"]);
    let broker = Mosquitto::start(&certificate, &settings).await?;
    keep_greeting(broker.plain()).await?;
    // Chromium delays a WebSocket's opening by a round trip, as TCP's connection would be, and nothing behind it.
    let line = delay::line(web_socket, Duration::from_millis(ROUND_TRIP))?;
    let at = format!("ws://{line}/mqtt");
    let mqtt_js = peers.npm.join("node_modules/mqtt/dist/mqtt.esm.js");
    let browser = Chromium::launch().await?;
    let mut rows = Vec::new();
    for (encoding, compress) in [
        ("br", brotli as fn(&Path) -> Result<Vec<u8>>),
        ("gzip", gzip),
    ] {
        let module = "wasm/mqtt-websocket_bg.wasm";
        let site = Site::builder()
            .file("/empty.html", "<!doctype html><title>Benchmark</title>")
            .file("/jackfield.html", ours(&at))
            .file("/mqtt-js.html", theirs(&at))
            .encoded("/mqtt.esm.js", encoding, compress(&mqtt_js)?)
            .encoded(
                "/mqtt-websocket.js",
                encoding,
                compress(&peers.web.join("mqtt-websocket.js"))?,
            )
            .encoded(
                &format!("/{module}"),
                encoding,
                compress(&peers.web.join(module))?,
            )
            .start()
            .await?;
        let load = async |path: &str| {
            let page = browser.open(&format!("{}empty.html", site.url())).await?;
            page.call("Network.enable", json!({})).await?;
            let bytes = RATE / 8.0;
            let line = json!({
                "offline": false, "latency": ROUND_TRIP,
                "downloadThroughput": bytes, "uploadThroughput": bytes,
            });
            page.call("Network.emulateNetworkConditions", line).await?;
            page.call(
                "Page.navigate",
                json!({"url": format!("{}{path}", site.url())}),
            )
            .await?;
            let first: Value = page.wait_for("globalThis.first").await?;
            page.close().await?;
            first.as_f64().context("the page tells no time")
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // The first of each finds nothing ready in the browser either.
        for run in 0..=RUNS {
            let pair = [load("jackfield.html").await?, load("mqtt-js.html").await?];
            if run > 0 {
                ours.push(pair[0]);
                theirs.push(pair[1]);
            }
        }
        let millis = |runs: &[f64]| format!("{:.0} ms", median(runs.to_vec()));
        let ratio = Ratio::of(&ours, &theirs).to_string();
        rows.push(vec![encoding.into(), millis(&ours), millis(&theirs), ratio]);
    }
    browser.close().await?;
    Ok(rows)
}

/// Lets the broker keep what the pages wait for.
async fn keep_greeting(broker: SocketAddr) -> Result<()> {
    let config = ClientConfig::new(ConnectOptions::new("greeter".parse()?));
    let (client, _events, connection) = client::connect(Native, broker.into(), config);
    let connection = tokio::spawn(connection);
    let message = Message::new("greeting".parse()?, &b"hello"[..]);
    client
        .publish(message.qos(QoS::AtLeastOnce).retained())
        .await?;
    client.close().await;
    Ok(connection.await??)
}

/// A page that tells when it had the message.
fn ours(at: &str) -> String {
    format!(
        "<!doctype html><title>Jackfield</title>
        <link rel=modulepreload href=/mqtt-websocket.js>
        <link rel=preload as=fetch type=application/wasm crossorigin href=/wasm/mqtt-websocket_bg.wasm>
        <script type=module>
          import {{ open }} from '/mqtt-websocket.js';
          const broker = await (await open()).mqtt('{at}');
          for await (const message of broker.subscribe('greeting')) {{
            globalThis.first = performance.now();
            break;
          }}
        </script>"
    )
}

fn theirs(at: &str) -> String {
    format!(
        "<!doctype html><title>MQTT.js</title>
        <link rel=modulepreload href=/mqtt.esm.js>
        <script type=module>
          import mqtt from '/mqtt.esm.js';
          const client = mqtt.connect('{at}', {{ protocolVersion: 5 }});
          client.on('message', () => {{ globalThis.first ??= performance.now(); }});
          client.subscribe('greeting');
        </script>"
    )
}
