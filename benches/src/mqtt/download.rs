//! The download: how much a page that speaks MQTT has to fetch.

use anyhow::Result;

use crate::Peers;
use crate::report::Report;
use crate::size::gzipped;

/// What `cargo xtask bench` built, by its features, and what it can do.
const MODULES: [(&str, &str); 2] = [
    (
        "mqtt",
        "MQTT over the page's own WebSocket, as MQTT.js does",
    ),
    (
        "mqtt,sockets",
        "MQTT over TLS, over Direct Sockets or a relay, and over the page's own WebSocket",
    ),
];

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "What a page downloads for MQTT",
        "Each file by `gzip -9`, added up. Ours: the WebAssembly with these features of \
         `jackfield-web` alone, the JavaScript that wasm-bindgen makes for it, and the scripts of \
         the package, those of the other protocols too; none is minified. MQTT.js 5.16.0: \
         `dist/mqtt.esm.js`, minified, as it is published. Aim: less than MQTT.js.",
    );
    let mqtt_js = gzipped(&peers.npm.join("node_modules/mqtt/dist/mqtt.esm.js"))?;
    let row = |name: &str, what: &str, bytes: u64| {
        vec![
            name.into(),
            what.into(),
            format!("{:.1} kB", bytes as f64 / 1000.0),
            format!("{:.2}", bytes as f64 / mqtt_js as f64),
        ]
    };
    let mut scripts = 0;
    for script in std::fs::read_dir(&peers.web)? {
        let script = script?.path();
        if script.extension().is_some_and(|kind| kind == "js") {
            scripts += gzipped(&script)?;
        }
    }
    let mut rows = Vec::new();
    for (features, what) in MODULES {
        let folder = peers.web.join(features);
        let mut bytes = scripts;
        for file in ["jackfield_web.js", "jackfield_web_bg.wasm"] {
            bytes += gzipped(&folder.join(file))?;
        }
        rows.push(row(&format!("jackfield, `{features}`"), what, bytes));
    }
    let theirs = "MQTT over the page's own WebSocket";
    rows.push(row("MQTT.js", theirs, mqtt_js));
    report.table(&["", "", "gzipped", "of MQTT.js"], &rows);
    Ok(())
}
