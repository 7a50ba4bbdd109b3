//! The download: how much a page that speaks MQTT has to fetch.

use anyhow::Result;

use crate::Peers;
use crate::report::Report;
use crate::size::{brotlied, gzipped};

/// Entries of the npm package, and what a page can do with each.
const ENTRIES: [(&str, &str); 2] = [
    (
        "mqtt-websocket",
        "MQTT over the page's own WebSocket, as MQTT.js does",
    ),
    (
        "mqtt",
        "MQTT over TLS, over Direct Sockets or a relay, and over the page's own WebSocket",
    ),
];

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "What a page downloads for MQTT",
        "The module and the scripts, bundled and minified by esbuild, each by `gzip -9` and by brotli at its \
         best (quality 11). What reads rules is not counted, since a page without rules doesn't load it. MQTT.js 5.16.0: \
         `dist/mqtt.esm.js`, minified, as it is published. Aim: less than MQTT.js.",
    );
    let mqtt_js = peers.npm.join("node_modules/mqtt/dist/mqtt.esm.js");
    let [gzip, brotli] = [gzipped(&mqtt_js)?, brotlied(&mqtt_js)?];
    let row = |name: &str, what: &str, gzipped: u64, brotlied: u64| {
        vec![
            name.into(),
            what.into(),
            format!("{:.1} kB", gzipped as f64 / 1000.0),
            format!("{:.1} kB", brotlied as f64 / 1000.0),
            format!("{:.2}", brotlied as f64 / brotli as f64),
        ]
    };
    let mut rows = Vec::new();
    for (entry, what) in ENTRIES {
        let files = [format!("{entry}.js"), format!("wasm/{entry}_bg.wasm")];
        let (mut gzip, mut brotli) = (0, 0);
        for file in files.map(|file| peers.web.join(file)) {
            gzip += gzipped(&file)?;
            brotli += brotlied(&file)?;
        }
        rows.push(row(&format!("`jackfield/{entry}`"), what, gzip, brotli));
    }
    let theirs = "MQTT over the page's own WebSocket";
    rows.push(row("MQTT.js", theirs, gzip, brotli));
    report.table(&["", "", "gzip", "brotli", "of MQTT.js"], &rows);
    Ok(())
}
