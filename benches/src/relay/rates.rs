//! How much a relay carries, and what that takes of the processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::dialect::{Dialect, Receive as _, Send as _};
use super::servers::{Kind, Server};
use super::{GIB, MIB};
use crate::child::{self, Targets};
use crate::report::Report;
use crate::stats::{Ratio, median};
use crate::{Peers, machine};

const RUNS: usize = 3;
/// How long each rate is measured.
const TIME: Duration = Duration::from_secs(1);
/// What runs before a rate is measured, so that buffers and windows are full.
const WARM_UP: Duration = Duration::from_millis(300);

/// What is carried at a time.
struct Load {
    name: &'static str,
    sessions: usize,
    /// Of each session.
    streams: usize,
    up: bool,
}

impl Load {
    const fn new(name: &'static str, sessions: usize, streams: usize, up: bool) -> Self {
        Self {
            name,
            sessions,
            streams,
            up,
        }
    }
}

const LOADS: [Load; 8] = [
    Load::new("down, 1 stream", 1, 1, false),
    Load::new("down, 10 streams", 1, 10, false),
    Load::new("down, 50 streams", 1, 50, false),
    Load::new("down, 50 sessions", 50, 1, false),
    Load::new("up, 1 stream", 1, 1, true),
    Load::new("up, 10 streams", 1, 10, true),
    Load::new("up, 50 streams", 1, 50, true),
    Load::new("up, 50 sessions", 50, 1, true),
];

/// What a relay did under a load, a run each.
#[derive(Default)]
struct Cell {
    /// Bytes a second.
    rates: Vec<f64>,
    /// Processor seconds a GiB.
    costs: Vec<f64>,
}

impl Cell {
    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    fn cost(&self) -> f64 {
        median(self.costs.clone())
    }
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "The relay over other relays",
        "One relay process, one client process (this benchmark), one process of servers, loopback: three \
         programs on two cores. MiB/s, and beside it the processor seconds that the relay takes for a GiB. 1, \
         10 and 50 streams in one session, and one stream in each of 50 sessions, 1 s after 0.3 s of \
         warm-up. wisp-js and wisp-python speak Wisp v1; websockify carries one stream a WebSocket, so its \
         streams are that many WebSockets; rusty-penguin comes with a client, which is one more process for \
         each session, and whose share of the processor doesn't count. The plain proxy copies TCP to TCP, so \
         that its sessions are streams: what 10 streams of one session are to the others is 10 connections to \
         it and to websockify, which two cores can share, and 1 stream shows what one connection carries. A fresh process each time. Median of 3 runs, alternating. Aim: first of the relays by processor \
         seconds everywhere, and at least 0.95 of the plain proxy's rate.",
    );
    let runtime = super::runtime()?;
    let targets = child::targets()?;
    let mut rows: Vec<[Cell; LOADS.len()]> = Kind::ALL.iter().map(|_| Default::default()).collect();
    for _ in 0..RUNS {
        for (index, load) in LOADS.iter().enumerate() {
            for (kind, row) in Kind::ALL.into_iter().zip(&mut rows) {
                eprintln!("  {}, {}", load.name, kind.name());
                let cell = &mut row[index];
                runtime.block_on(async {
                    // A fresh one each time: what the one before still has to do isn't counted, and one
                    // that dies of it is none the worse.
                    let server = Server::start(kind, peers, &targets.ports()).await?;
                    measure(&server, &targets, load, cell).await
                })?;
            }
        }
    }
    tables(report, &rows);
    Ok(())
}

async fn measure(server: &Server, targets: &Targets, load: &Load, cell: &mut Cell) -> Result<()> {
    let mut dialects = Vec::new();
    for _ in 0..load.sessions {
        dialects.push(server.dial().await?);
    }
    let moved = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for dialect in &mut dialects {
        for _ in 0..load.streams {
            transfer(dialect, targets, load.up, &moved, &mut tasks).await?;
        }
    }
    let pids = server.pids();
    sleep(WARM_UP).await;
    let (start, cpu) = (Instant::now(), machine::cpu_seconds(&pids)?);
    let before = moved.load(Ordering::Relaxed);
    sleep(TIME).await;
    let seconds = start.elapsed().as_secs_f64();
    let bytes = (moved.load(Ordering::Relaxed) - before) as f64;
    let cpu = machine::cpu_seconds(&pids)? - cpu;
    cell.rates.push(bytes / seconds);
    cell.costs.push(cpu / (bytes / GIB));
    tasks.shutdown().await;
    Ok(())
}

/// Carries without end, over one stream more.
pub(super) async fn transfer(
    dialect: &mut Dialect,
    targets: &Targets,
    up: bool,
    moved: &Arc<AtomicU64>,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    let port = if up { targets.sink } else { targets.source };
    let (mut send, mut receive) = dialect.connect(port).await?;
    let moved = moved.clone();
    let count = move |bytes: u64| {
        moved.fetch_add(bytes, Ordering::Relaxed);
    };
    if up {
        tasks.spawn(async move {
            let chunk = vec![7; 32 * 1024];
            while send.send(&chunk).await.is_ok() {}
        });
        tasks.spawn(async move {
            while let Ok(told) = receive.receive().await {
                count((told as u64) << 20);
            }
        });
    } else {
        tasks.spawn(async move {
            // Kept: dropping it would close the stream.
            let _send = send;
            while let Ok(bytes) = receive.receive().await {
                count(bytes as u64);
            }
        });
    }
    Ok(())
}

fn tables(report: &mut Report, rows: &[[Cell; LOADS.len()]]) {
    let head: Vec<_> = std::iter::once("")
        .chain(Kind::ALL.into_iter().map(Kind::name))
        .collect();
    let mut figures = Vec::new();
    let mut ratios = Vec::new();
    for (index, load) in LOADS.iter().enumerate() {
        let cells: Vec<&Cell> = rows.iter().map(|row| &row[index]).collect();
        let mut row = vec![load.name.to_owned()];
        row.extend(
            cells
                .iter()
                .map(|cell| format!("{:.0}, {:.2} s", cell.rate() / MIB, cell.cost())),
        );
        figures.push(row);
        // Ours first, the proxy second, the peers after them.
        let [ours, proxy, peers @ ..] = &cells[..] else {
            continue;
        };
        let fastest = peers.iter().max_by(|a, b| a.rate().total_cmp(&b.rate()));
        let cheapest = peers.iter().min_by(|a, b| a.cost().total_cmp(&b.cost()));
        let (Some(fastest), Some(cheapest)) = (fastest, cheapest) else {
            continue;
        };
        ratios.push(vec![
            load.name.to_owned(),
            Ratio::of(&ours.rates, &proxy.rates).to_string(),
            Ratio::of(&ours.rates, &fastest.rates).to_string(),
            Ratio::of(&ours.costs, &proxy.costs).to_string(),
            Ratio::of(&ours.costs, &cheapest.costs).to_string(),
        ]);
    }
    report.table(&head, &figures);
    report.table(
        &[
            "jackfield-relayd over",
            "the plain proxy, rate",
            "the fastest relay, rate",
            "the plain proxy, seconds a GiB",
            "the relay that takes least, seconds a GiB",
        ],
        &ratios,
    );
}
