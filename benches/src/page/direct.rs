//! Direct Sockets through WebAssembly against plain JavaScript, in the same window.

use anyhow::{Context as _, Result, ensure};
use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_tests::{Place, Suite};
use jackfield_testing::certs::Authority;

use crate::Peers;
use crate::child;
use crate::report::Report;
use crate::stats::{Ratio, median};

const MEBIBYTES: u32 = 64;
const BYTES: u64 = (MEBIBYTES as u64) << 20;
/// What is written at once, in bytes. A prime: Chrome drops what plain JavaScript writes while the
/// pipe to the network process is exactly full, as it is after chunks of round lengths all the time.
const CHUNK: usize = 262_139;
/// How many runs count. As many may be repeated, since the browser lost some of the script's bytes.
const RUNS: usize = 9;
const SCRIPT: &str = include_str!("direct.js");

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "Direct Sockets in the page",
        "An Isolated Web App in Chromium without a display; 64 MiB over one TCP connection on \
         loopback, from connecting to the last byte, which for the way up is the server's word that \
         it has everything. A script with Chrome's own sockets: `await read()`, and `await write()` of 262,139 \
         bytes; the same script with `network.connect()` of `jackfield/sockets`; and jackfield-direct, \
         which a client in WebAssembly stands on. Chrome loses some \
         of what a script writes to its own; runs in which it did don't count. Median of 9 runs that do, \
         alternating. Aim: at least 0.95 times the script's rate.",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (rows, tls) = runtime.block_on(measure(peers))?;
    report.table(
        &[
            "",
            "JavaScript",
            "`network.connect()`",
            "rate, ratio",
            "jackfield-direct",
            "rate, ratio",
            "runs the script lost",
        ],
        &rows,
    );
    report.heading(
        "TLS in the page",
        "The same 64 MiB down by jackfield-direct, over TLS 1.3 from a native server that takes one \
         cipher suite: the one that a page offers first, and the one that native programs do. The \
         handshake is counted. Median of 9 runs, alternating.",
    );
    report.table(&["", "rate", "rate over plain, ratio"], &tls);
    Ok(())
}

/// The rows of plain TCP, and those of TLS.
async fn measure(peers: &Peers) -> Result<(Vec<Vec<String>>, Vec<Vec<String>>)> {
    let suite = Suite::app_beside(&peers.web).await?;
    let open =
        "import('/sockets.js').then(async ({ open }) => !!(globalThis.network = await open()))";
    let opened: bool = suite.page.evaluate(open).await?;
    ensure!(opened, "there is no network");
    let rows = (plain(&suite).await?, secured(&suite).await?);
    suite.close().await?;
    Ok(rows)
}

async fn secured(suite: &Suite) -> Result<Vec<Vec<String>>> {
    let authority = Authority::new();
    let plain = child::targets()?;
    let sources = child::tls_sources(&authority.server(&["127.0.0.1"]))?;
    let root = Some(authority.pem().to_owned());
    let rows = [
        ("plain TCP", plain.source, None),
        ("ChaCha20-Poly1305", sources.chacha20, root.clone()),
        ("AES-256-GCM", sources.aes256, root),
    ];
    let mut times = [const { Vec::new() }; 3];
    // The first of each compiles and learns.
    for run in 0..=RUNS {
        for ((name, port, root), times) in rows.iter().zip(&mut times) {
            let job = Job {
                over: Over::Direct,
                tls_root: root.clone(),
                task: Task::Drain {
                    from: ([127, 0, 0, 1], *port).into(),
                    bytes: BYTES,
                },
            };
            let outcome = suite.run(Place::Window, &job).await?;
            ensure!(outcome.error.is_none(), "{name}: {outcome:?}");
            if run > 0 {
                times.push(outcome.milliseconds);
            }
        }
    }
    let rates = times.map(rate);
    let row = |((name, ..), rate): (&(&str, _, _), f64)| {
        let ratio = format!("{:.2}", rate / rates[0]);
        vec![(*name).to_owned(), format!("{rate:.0} MiB/s"), ratio]
    };
    Ok(rows.iter().zip(rates).map(row).collect())
}

/// In MiB/s, of runs in milliseconds.
fn rate(times: Vec<f64>) -> f64 {
    f64::from(MEBIBYTES) * 1000.0 / median(times)
}

async fn plain(suite: &Suite) -> Result<Vec<Vec<String>>> {
    let targets = child::targets()?;
    let address = |port| ([127, 0, 0, 1], port).into();
    let down = Task::Drain {
        from: address(targets.source),
        bytes: BYTES,
    };
    let up = Task::Push {
        to: address(targets.sink),
        mebibytes: MEBIBYTES,
        chunk: CHUNK,
    };
    let down_script = ("drain", vec![targets.source.into(), BYTES.into()]);
    let up_script = (
        "push",
        vec![targets.sink.into(), MEBIBYTES.into(), CHUNK.into()],
    );
    let mut rows = Vec::new();
    for (name, task, (function, arguments)) in [("down", down, down_script), ("up", up, up_script)]
    {
        let job = Job {
            over: Over::Direct,
            tls_root: None,
            task,
        };
        let script = async |by: &str| {
            let arguments = [&[by.into()], &*arguments].concat();
            let function = format!("{SCRIPT}.{function}");
            suite
                .page
                .invoke::<Option<f64>>(&function, &arguments)
                .await
        };
        let (mut plain, mut package, mut direct, mut lost) = (vec![], vec![], vec![], 0);
        // The first of each compiles and learns.
        while direct.len() <= RUNS {
            let Some(milliseconds) = script("chrome").await? else {
                lost += 1;
                ensure!(lost <= RUNS, "{name}: the script lost bytes {lost} times");
                continue;
            };
            plain.push(milliseconds);
            let milliseconds = script("jackfield").await?;
            package.push(milliseconds.context("bytes were lost")?);
            let outcome = suite.run(Place::Window, &job).await?;
            ensure!(outcome.error.is_none(), "{name}: {outcome:?}");
            direct.push(outcome.milliseconds);
        }
        let [plain, package, direct] = [plain, package, direct]
            .map(|mut times| {
                let times = times.split_off(1);
                times
                    .into_iter()
                    .map(|millis| f64::from(MEBIBYTES) * 1000.0 / millis)
            })
            .map(Vec::from_iter);
        let rate = |rates: &[f64]| format!("{:.0} MiB/s", median(rates.to_vec()));
        rows.push(vec![
            name.into(),
            rate(&plain),
            rate(&package),
            Ratio::of(&package, &plain).to_string(),
            rate(&direct),
            Ratio::of(&direct, &plain).to_string(),
            lost.to_string(),
        ]);
    }
    Ok(rows)
}
