//! The relay against other relays and against a plain TCP proxy.
//!
//! Every relay is a process of its own on loopback, driven by the same load in the same order, with
//! the servers at the far end in a third process. Peers run as their own documentation starts them.

mod dialect;
pub(crate) mod integrity;
pub(crate) mod servers;
mod wisp;

use std::time::{Duration, Instant};

use anyhow::Result;

use self::dialect::{Dialect, Receive as _, Send as _};
use self::servers::Server;
use crate::child::{self, Targets};
use crate::report::Report;
use crate::stats::{Samples, micros};
use crate::{Peers, machine};

/// How long each rate is measured.
const RATE_TIME: Duration = Duration::from_secs(3);
/// What runs before a rate is measured, so that buffers and windows are full.
const WARM_UP: Duration = Duration::from_millis(500);
const STREAMS: [usize; 3] = [1, 10, 50];
const ROUND_TRIPS: usize = 3000;
const ROUND_TRIPS_BESIDE_BULK: usize = 300;
const OPENS: usize = 300;
/// How long the reader stalls.
const STALL: Duration = Duration::from_secs(6);

struct Row {
    name: String,
    down: Vec<f64>,
    up: Vec<f64>,
    cpu_per_gib: f64,
    idle: Samples,
    beside_bulk: Samples,
    open: Samples,
    stalled: f64,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "The relay over other relays",
        "One relay process, one client process (this benchmark), one process of servers, loopback. \
         Rates over 3 s after 0.5 s of warm-up; round trips of 64 bytes; the open time runs from the \
         request to the first byte; a stalled reader leaves a server that sends without end unread \
         for 6 s. wisp-js and wisp-python speak Wisp v1; websockify carries one stream a WebSocket, so \
         its streams are that many WebSockets. The plain proxy copies TCP to TCP. Aim: at least twice \
         the best relay, and half of the proxy.",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let targets = child::targets()?;
    let mut rows = Vec::new();
    for kind in servers::Kind::ALL {
        eprintln!("  {}", kind.name());
        rows.push(runtime.block_on(measure(kind, peers, &targets))?);
    }
    table(report, &mut rows);
    Ok(())
}

async fn measure(kind: servers::Kind, peers: &Peers, targets: &Targets) -> Result<Row> {
    let server = Server::start(kind, peers, &targets.ports()).await?;
    let pids = server.pids();
    let mut row = Row {
        name: kind.name().into(),
        down: Vec::new(),
        up: Vec::new(),
        cpu_per_gib: 0.0,
        idle: Samples::default(),
        beside_bulk: Samples::default(),
        open: Samples::default(),
        stalled: 0.0,
    };

    let mut dialect = server.dial().await?;
    row.idle = round_trips(&mut dialect, targets, ROUND_TRIPS).await?;
    row.open = opens(&mut dialect, targets).await?;
    drop(dialect);

    let (mut cpu, mut moved) = (0.0, 0.0);
    for streams in STREAMS {
        for up in [false, true] {
            let mut dialect = server.dial().await?;
            let before = machine::cpu_seconds(&pids)?;
            let (bytes, seconds, all) = rate(&mut dialect, targets, streams, up).await?;
            cpu += machine::cpu_seconds(&pids)? - before;
            moved += all;
            if up { &mut row.up } else { &mut row.down }.push(bytes / seconds / 1_048_576.0);
        }
    }
    row.cpu_per_gib = cpu / (moved / f64::from(1 << 30));

    let mut dialect = server.dial().await?;
    let bulk = dialect.connect(targets.source).await?;
    let reader = tokio::spawn(async move {
        let (_send, mut receive) = bulk;
        while receive.receive().await.is_ok() {}
    });
    row.beside_bulk = round_trips(&mut dialect, targets, ROUND_TRIPS_BESIDE_BULK).await?;
    reader.abort();
    drop(dialect);

    // A fresh process, so that what the rates above left behind isn't counted.
    drop(server);
    let server = Server::start(kind, peers, &targets.ports()).await?;
    let mut dialect = server.dial().await?;
    let before = machine::resident(&server.pids())?;
    let (_send, mut receive) = dialect.connect(targets.source).await?;
    receive.receive().await?;
    let (start, mut peak) = (Instant::now(), before);
    while start.elapsed() < STALL {
        tokio::time::sleep(Duration::from_millis(50)).await;
        peak = peak.max(machine::resident(&server.pids())?);
    }
    row.stalled = (peak - before) as f64 / 1_048_576.0;
    Ok(row)
}

async fn round_trips(dialect: &mut Dialect, targets: &Targets, count: usize) -> Result<Samples> {
    let (mut send, mut receive) = dialect.connect(targets.echo).await?;
    let mut samples = Samples::default();
    for index in 0..count + 20 {
        let start = Instant::now();
        send.send(&[7; 64]).await?;
        let mut got = 0;
        while got < 64 {
            got += receive.receive().await?;
        }
        if index >= 20 {
            samples.push(start.elapsed());
        }
    }
    Ok(samples)
}

async fn opens(dialect: &mut Dialect, targets: &Targets) -> Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..OPENS {
        let start = Instant::now();
        let (mut send, mut receive) = dialect.connect(targets.echo).await?;
        send.send(b"x").await?;
        receive.receive().await?;
        samples.push(start.elapsed());
    }
    Ok(samples)
}

/// Bytes and seconds of the measured part, and bytes in all.
async fn rate(
    dialect: &mut Dialect,
    targets: &Targets,
    streams: usize,
    up: bool,
) -> Result<(f64, f64, f64)> {
    let moved = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..streams {
        let port = if up { targets.sink } else { targets.source };
        let (mut send, mut receive) = dialect.connect(port).await?;
        let moved = moved.clone();
        let count = move |bytes: u64| {
            moved.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
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
    }
    let now = || moved.load(std::sync::atomic::Ordering::Relaxed) as f64;
    tokio::time::sleep(WARM_UP).await;
    let (start, before) = (Instant::now(), now());
    tokio::time::sleep(RATE_TIME).await;
    let (bytes, seconds) = (now() - before, start.elapsed().as_secs_f64());
    tasks.shutdown().await;
    Ok((bytes, seconds, now()))
}

fn table(report: &mut Report, rows: &mut [Row]) {
    let head = [
        "",
        "down 1",
        "down 10",
        "down 50",
        "up 1",
        "up 10",
        "up 50",
        "CPU s/GiB",
        "round trip p50/p99",
        "beside bulk p50/p99",
        "open to first byte p50/p99",
        "stalled reader",
    ];
    let cells: Vec<_> = rows
        .iter_mut()
        .map(|row| {
            let pair = |samples: &mut Samples| {
                format!(
                    "{} / {}",
                    micros(samples.percentile(0.5)),
                    micros(samples.percentile(0.99))
                )
            };
            let mut cells = vec![row.name.clone()];
            cells.extend(
                row.down
                    .iter()
                    .chain(&row.up)
                    .map(|rate| format!("{rate:.0}")),
            );
            cells.push(format!("{:.2}", row.cpu_per_gib));
            cells.push(pair(&mut row.idle));
            cells.push(pair(&mut row.beside_bulk));
            cells.push(pair(&mut row.open));
            cells.push(format!("+{:.0} MiB", row.stalled));
            cells
        })
        .collect();
    report.table(&head, &cells);

    // Ours first, the proxy second, the peers after them.
    let [ours, proxy, peers @ ..] = rows else {
        return;
    };
    let ratio = |of: fn(&Row) -> &Vec<f64>, index: usize| {
        let mine = of(ours)[index];
        let best = peers
            .iter()
            .map(|row| of(row)[index])
            .fold(f64::NAN, f64::max);
        (mine / best, mine / of(proxy)[index])
    };
    let mut ratios = Vec::new();
    for (name, of) in [
        ("down", (|row| &row.down) as fn(&Row) -> &Vec<f64>),
        ("up", |row| &row.up),
    ] {
        for (index, streams) in STREAMS.iter().enumerate() {
            let (peer, plain) = ratio(of, index);
            ratios.push(vec![
                format!("{name}, {streams}"),
                format!("{peer:.2}"),
                format!("{plain:.2}"),
            ]);
        }
    }
    report.table(
        &[
            "MiB/s, streams",
            "jackfield / best relay",
            "jackfield / plain proxy",
        ],
        &ratios,
    );
}
