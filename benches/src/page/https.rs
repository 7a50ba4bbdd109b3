//! HTTPS through a relay, with TLS in the page: ours beside others that do so.

use anyhow::{Context as _, Result};
use jackfield_testing::certs::Authority;
use jackfield_testing::site::Site;
use serde_json::{Value, json};

use super::nginx::Nginx;
use super::stage::{Stage, runtime};
use crate::relay::servers;
use crate::report::Report;
use crate::size::{brotlied, gzipped};
use crate::stats::{Ratio, median};
use crate::{Peers, cores};

const SCRIPT: &str = include_str!("https.js");
const BYTES: usize = 64 << 20;
/// The file of which the first head is waited for.
const SMALL: usize = 100;
const RUNS: usize = 5;
/// How often a page is loaded anew.
const COLD: usize = 7;

/// A way to fetch: what the table calls it, the client's name in the script, and the version of HTTP that it is
/// told.
const WAYS: [(&str, &str, f64); 4] = [
    ("`jackfield/sockets`", "jackfield", 1.1),
    ("epoxy-tls 2.1.19-1", "epoxy", 1.1),
    ("libcurl.js 0.7.4, HTTP/1.1", "libcurl", 1.1),
    ("libcurl.js 0.7.4, HTTP/2", "libcurl", 2.0),
];

/// The runs of a way.
#[derive(Default)]
struct Runs {
    /// In MiB/s, from a server that takes any cipher suite.
    any: Vec<f64>,
    /// The same, where it takes AES-GCM alone.
    aes: Vec<f64>,
    /// Milliseconds from its script's import to when it is ready.
    loaded: Vec<f64>,
    /// Milliseconds from its script's import to the first head.
    cold: Vec<f64>,
    /// Milliseconds from asking to the head, once it is warm.
    warm: Vec<f64>,
    /// The cipher suites, where it tells them.
    suites: [Option<String>; 2],
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "HTTPS through a relay",
        "64 MiB from nginx 1.22 on loopback to a page in Chromium without a display, TLS in the page, from \
         asking to the last byte. `jackfield/sockets` is `connect()` with HTTP/1.1 by hand, a connection for \
         each file, read into one buffer, through jackfield-relayd. epoxy-tls and libcurl.js keep their \
         connections, and go through wisp-js 0.5.0. nginx takes what cipher suite the client offers first, or \
         AES-GCM alone. Cold is a page that has nothing: from the import of the script to when the client is \
         ready, and to the head of a first answer. What is downloaded is script and module as they are \
         published, ours bundled and minified, by `gzip -9` and by brotli. Median of 5 runs, alternating \
         (cold: 7), on cores that are kept awake. Aim: at least 1.5 times the rate of the best, less than 600 \
         kB, and the first head within 60 ms.",
    );
    let _awake = cores::keep()?;
    let runs = runtime()?.block_on(measure(peers))?;
    let best = |pick: fn(&Runs) -> &Vec<f64>| {
        let others = runs[1..].iter().map(pick);
        others.max_by(|one, other| median((*one).clone()).total_cmp(&median((*other).clone())))
    };
    let mut rows = Vec::new();
    for ((name, client, _), runs) in WAYS.iter().zip(&runs) {
        let rate = |runs: &[f64]| format!("{:.0} MiB/s", median(runs.to_vec()));
        let millis = |runs: &[f64]| format!("{:.0} ms", median(runs.to_vec()));
        let [gzip, brotli] = downloaded(peers, client)?;
        rows.push(vec![
            (*name).into(),
            rate(&runs.any),
            rate(&runs.aes),
            format!("{gzip:.0} / {brotli:.0} kB"),
            format!("{} / {}", millis(&runs.loaded), millis(&runs.cold)),
            millis(&runs.warm),
        ]);
    }
    report.table(
        &[
            "",
            "any cipher",
            "AES alone",
            "download, gzip / brotli",
            "cold: ready / head",
            "head, warm",
        ],
        &rows,
    );
    let ratio = |pick: fn(&Runs) -> &Vec<f64>| {
        best(pick).map_or_else(String::new, |best| {
            Ratio::of(pick(&runs[0]), best).to_string()
        })
    };
    let suites = &runs[0].suites;
    report.append(&format!(
        "\nOurs over the best of the others: {} with any cipher ({}), {} with AES alone ({}).\n",
        ratio(|runs| &runs.any),
        suites[0].as_deref().unwrap_or_default(),
        ratio(|runs| &runs.aes),
        suites[1].as_deref().unwrap_or_default(),
    ));
    Ok(())
}

async fn measure(peers: &Peers) -> Result<Vec<Runs>> {
    let authority = Authority::new();
    let certificate = authority.server(&["localhost", "127.0.0.1"]);
    let server = Nginx::start(&certificate, &[BYTES, SMALL]).await?;
    let (_wisp, wisp) = servers::wisp_js(peers).await?;
    let mut stage = Stage::start(peers, others(peers)?).await?;
    let mut options = stage.options.clone();
    options["wisp"] = format!("ws://127.0.0.1:{wisp}/").into();
    options["root"] = authority.pem().into();
    let url = |port: u16, bytes: usize| json!(format!("https://localhost:{port}/{bytes}"));
    let mut all: [Runs; WAYS.len()] = Default::default();

    for _ in 0..COLD {
        for ((_, client, version), runs) in WAYS.iter().zip(&mut all) {
            stage.renew().await?;
            let loaded = load(&stage, client, &options).await?;
            let arguments = [
                json!(client),
                url(server.any, SMALL),
                SMALL.into(),
                json!(version),
            ];
            let (head, ..) = fetch(&stage, &arguments).await?;
            runs.loaded.push(loaded);
            runs.cold.push(loaded + head);
        }
    }

    stage.renew().await?;
    for client in ["jackfield", "epoxy", "libcurl"] {
        load(&stage, client, &options).await?;
    }
    // The first of each compiles and learns.
    for run in 0..=RUNS {
        for ((_, client, version), runs) in WAYS.iter().zip(&mut all) {
            let fetch = async |port: u16, bytes: usize| {
                let arguments = [
                    json!(client),
                    url(port, bytes),
                    bytes.into(),
                    json!(version),
                ];
                fetch(&stage, &arguments).await
            };
            let (_, any, suite) = fetch(server.any, BYTES).await?;
            let (_, aes, suite_of_aes) = fetch(server.aes, BYTES).await?;
            let (warm, ..) = fetch(server.any, SMALL).await?;
            if run > 0 {
                let rate = |millis: f64| (BYTES >> 20) as f64 * 1000.0 / millis;
                runs.any.push(rate(any));
                runs.aes.push(rate(aes));
                runs.warm.push(warm);
                runs.suites = [suite, suite_of_aes];
            }
        }
    }
    stage.browser.close().await?;
    Ok(all.into())
}

/// The site with the others' files as they are published.
fn others(peers: &Peers) -> Result<jackfield_testing::site::SiteBuilder> {
    let read = |path: &str| {
        let path = peers.npm.join("node_modules").join(path);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    // Its memory is out of reach, and its roots are there.
    let libcurl = String::from_utf8(read("libcurl.js/libcurl.mjs")?)?
        .replace("\nreturn api;\n", "\napi.module = Module;\nreturn api;\n");
    let epoxy = "@mercuryworkshop/epoxy-tls/full/epoxy";
    Ok(Site::builder()
        .file("/epoxy/epoxy.js", read(&format!("{epoxy}.js"))?)
        .file("/epoxy/epoxy.wasm", read(&format!("{epoxy}.wasm"))?)
        .file("/libcurl/libcurl.mjs", libcurl)
        .file("/libcurl/libcurl.wasm", read("libcurl.js/libcurl.wasm")?))
}

/// Lets the page load a client; gives milliseconds.
async fn load(stage: &Stage, client: &str, options: &Value) -> Result<f64> {
    let arguments = [client.into(), options.clone()];
    let function = format!("{SCRIPT}.load");
    let loading = stage.page.invoke(&function, &arguments);
    loading.await.with_context(|| format!("loading {client}"))
}

/// Fetches a file; gives when its head came and its end, in milliseconds, and the cipher suite.
async fn fetch(stage: &Stage, arguments: &[Value]) -> Result<(f64, f64, Option<String>)> {
    let function = format!("{SCRIPT}.fetch");
    let fetched = stage.page.invoke(&function, arguments);
    fetched.await.with_context(|| format!("{arguments:?}"))
}

/// How much of a client is downloaded, in kB by gzip and by brotli.
fn downloaded(peers: &Peers, client: &str) -> Result<[f64; 2]> {
    let packages = peers.npm.join("node_modules");
    let files = match client {
        "jackfield" => ["sockets.js", "wasm/sockets_bg.wasm"].map(|file| peers.web.join(file)),
        "epoxy" => ["js", "wasm"]
            .map(|kind| packages.join(format!("@mercuryworkshop/epoxy-tls/full/epoxy.{kind}"))),
        _ => ["mjs", "wasm"].map(|kind| packages.join(format!("libcurl.js/libcurl.{kind}"))),
    };
    let (mut gzip, mut brotli) = (0, 0);
    for file in files {
        gzip += gzipped(&file)?;
        brotli += brotlied(&file)?;
    }
    Ok([gzip, brotli].map(|bytes| bytes as f64 / 1000.0))
}
