//! Sockets that are open in a page, and have nothing to do.

use std::time::Duration;

use anyhow::Result;
use jackfield_testing::chromium::{Chromium, Page};
use jackfield_testing::site::Site;
use serde_json::{Value, json};

use super::stage::{Stage, held, many_files, pid, resident, runtime};
use crate::child;
use crate::report::Report;
use crate::stats::median;
use crate::{Peers, machine};

const SCRIPT: &str = include_str!("sockets.js");
const SOCKETS: usize = 1000;
const RUNS: usize = 3;
/// For how long they do nothing, so that it shows what that costs.
const IDLE: Duration = Duration::from_secs(6);
/// How long it may take until nothing of what opened them is left to do.
const SETTLE: Duration = Duration::from_secs(3);

/// What a page with so many sockets came to.
struct Run {
    /// What the page holds more, in bytes.
    page: f64,
    /// What all processes of the browser hold more, in bytes.
    browser: f64,
    /// The part of a core that the browser takes, with one socket and with all.
    idle: [f64; 2],
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "1,000 sockets in a page",
        "Each is open to one server on loopback, with a read that waits; `jackfield/sockets`, and a script with \
         Chrome's own Direct Sockets. The page's memory is JavaScript's heap with the buffers outside it, \
         collected, and the module's memory, less what the page held with one socket; that of the browser is \
         what all its processes have resident, less the same. Idle is the browser's processor time in 6 s with \
         nothing to do, with one socket and with all. Median of 3 runs. Aim: less than 50 MB, and idle near nothing.",
    );
    many_files()?;
    let rows = runtime()?.block_on(measure(peers))?;
    report.table(
        &["", "the page, more", "the browser, more", "idle, one / all"],
        &rows,
    );
    Ok(())
}

async fn measure(peers: &Peers) -> Result<Vec<Vec<String>>> {
    let targets = child::targets()?;
    let port = Value::from(targets.echo);
    let (mut relay, mut direct, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let stage = Stage::start(peers, Site::builder()).await?;
        let arguments = [stage.options.clone(), port.clone()];
        relay.push(one(&stage.browser, &stage.page, "jackfield", &arguments).await?);
        stage.browser.close().await?;
        drop(stage.relay);
        let arguments = [json!({}), port.clone()];
        direct.push(in_an_app(peers, "jackfield", &arguments).await?);
        plain.push(in_an_app(peers, "plain", &arguments[1..]).await?);
    }
    Ok([
        ("`jackfield/sockets`, through the relay", relay),
        ("`jackfield/sockets`, Direct Sockets", direct),
        ("JavaScript, Direct Sockets", plain),
    ]
    .map(|(name, runs)| row(name, &runs))
    .into())
}

async fn in_an_app(peers: &Peers, function: &str, arguments: &[Value]) -> Result<Run> {
    let site = super::stage::app(peers).start().await?;
    let browser = Chromium::launch().await?;
    let app = browser.install(&site).await?;
    let page = browser.launch_app(&app).await?;
    let run = one(&browser, &page, function, arguments).await?;
    browser.close().await?;
    Ok(run)
}

async fn one(browser: &Chromium, page: &Page, function: &str, arguments: &[Value]) -> Result<Run> {
    let open = async |count: usize| {
        let arguments = [arguments, &[count.into()]].concat();
        let function = format!("{SCRIPT}.{function}");
        page.invoke::<Value>(&function, &arguments).await?;
        let function = format!("{SCRIPT}.module");
        let module: f64 = page.invoke(&function, &[]).await?;
        anyhow::Ok((held(page).await? + module, resident(browser)?))
    };
    let pids = [pid(browser)?];
    let idle = async || {
        tokio::time::sleep(SETTLE).await;
        let before = machine::cpu_seconds(&pids)?;
        tokio::time::sleep(IDLE).await;
        anyhow::Ok((machine::cpu_seconds(&pids)? - before) / IDLE.as_secs_f64())
    };
    let (page_before, browser_before) = open(1).await?;
    let idle_with_one = idle().await?;
    let (page_after, browser_after) = open(SOCKETS - 1).await?;
    Ok(Run {
        page: page_after - page_before,
        browser: browser_after - browser_before,
        idle: [idle_with_one, idle().await?],
    })
}

fn row(name: &str, runs: &[Run]) -> Vec<String> {
    let of = |pick: fn(&Run) -> f64| median(runs.iter().map(pick).collect());
    let megabytes = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
    vec![
        name.into(),
        megabytes(of(|run| run.page)),
        megabytes(of(|run| run.browser)),
        format!(
            "{:.1} / {:.1} % of a core",
            of(|run| run.idle[0]) * 100.0,
            of(|run| run.idle[1]) * 100.0
        ),
    ]
}
