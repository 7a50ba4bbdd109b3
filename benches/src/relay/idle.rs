//! What a relay holds for those who do nothing: streams, sessions, and a reader that stalls.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{sleep, timeout};

use super::dialect::{Receive as _, Send as _};
use super::servers::{Kind, Server};
use super::{KIB, MIB};
use crate::child::{self, Targets};
use crate::report::Report;
use crate::{Peers, machine};

/// How long the reader stalls.
const STALL: Duration = Duration::from_secs(4);
/// What is still to be done for those that were opened last.
const REST: Duration = Duration::from_millis(500);
/// How long all that are held may take to open; what there is by then counts.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "What a relay holds",
        "Resident memory of a relay's process, what the system's kernel holds not counted: by how much it grows \
         over 10,000 idle streams of one session, each of which has carried a byte there and back, and over \
         1,000 idle sessions without a stream, divided by their number; and while a server sends without end to \
         a client that doesn't read for 4 s, at the most. Where fewer are held, the number stands there: the \
         plain proxy has two descriptors a stream, of 20,000 that it may have; websockify starts a process for \
         each, most of whose memory they share, and which counts each time; rusty-penguin's client is a process a \
         session, which doesn't count. A fresh process each. Aim: \
         least of the relays, and nothing for who stalls.",
    );
    let runtime = super::runtime()?;
    let targets = child::targets()?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        eprintln!("  {}", kind.name());
        let row = [
            runtime.block_on(streams(kind, peers, &targets))?,
            runtime.block_on(sessions(kind, peers, &targets))?,
            runtime.block_on(stalled(kind, peers, &targets))?,
        ];
        rows.push(std::iter::once(kind.name().to_owned()).chain(row).collect());
    }
    report.table(
        &["", "an idle stream", "an idle session", "a stalled reader"],
        &rows,
    );
    Ok(())
}

async fn streams(kind: Kind, peers: &Peers, targets: &Targets) -> Result<String> {
    let wanted = match kind {
        Kind::Proxy => 8_000,
        Kind::Websockify => 100,
        _ => 10_000,
    };
    let server = Server::start(kind, peers, &targets.ports()).await?;
    let mut dialect = server.dial().await?;
    let before = machine::resident(&server.pids())?;
    let (mut held, start) = (Vec::new(), Instant::now());
    while held.len() < wanted && start.elapsed() < PATIENCE {
        let opening = async {
            let (mut send, mut receive) = dialect.connect(targets.echo).await?;
            send.send(b"x").await?;
            receive.receive().await?;
            anyhow::Ok((send, receive))
        };
        match timeout(PATIENCE, opening).await {
            Ok(Ok(stream)) => held.push(stream),
            // It can't hold more.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    sleep(REST).await;
    let after = machine::resident(&server.pids())?;
    Ok(each(before, after, held.len(), 10_000))
}

async fn sessions(kind: Kind, peers: &Peers, targets: &Targets) -> Result<String> {
    let wanted = match kind {
        // Those of a proxy are its streams, and websockify's too.
        Kind::Proxy | Kind::Websockify => return Ok("as a stream".into()),
        // A process each.
        Kind::Penguin => 50,
        _ => 1000,
    };
    let server = Server::start(kind, peers, &targets.ports()).await?;
    // What is set up with the first of them isn't theirs.
    let _first = server.dial().await?;
    let before = machine::resident(&server.pids())?;
    let (mut held, start) = (Vec::new(), Instant::now());
    while held.len() < wanted && start.elapsed() < PATIENCE {
        held.push(server.dial().await?);
    }
    sleep(REST).await;
    let after = machine::resident(&server.pids())?;
    Ok(each(before, after, held.len(), 1000))
}

/// What each of them takes.
fn each(before: u64, after: u64, count: usize, usual: usize) -> String {
    let each = (after as f64 - before as f64) / KIB / count as f64;
    let held = if count == usual {
        String::new()
    } else {
        format!(" ({count} held)")
    };
    format!("{each:.1} KiB{held}")
}

async fn stalled(kind: Kind, peers: &Peers, targets: &Targets) -> Result<String> {
    let server = Server::start(kind, peers, &targets.ports()).await?;
    let mut dialect = server.dial().await?;
    let before = machine::resident(&server.pids())?;
    let (_send, mut receive) = dialect.connect(targets.source).await?;
    receive.receive().await?;
    let (start, mut peak) = (Instant::now(), before);
    while start.elapsed() < STALL {
        sleep(Duration::from_millis(50)).await;
        peak = peak.max(machine::resident(&server.pids())?);
    }
    Ok(format!("+{:.0} MiB", (peak - before) as f64 / MIB))
}
