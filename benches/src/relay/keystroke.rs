//! How long a keystroke takes, alone and beside bulk, and how long an opening.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::dialect::{Dialect, Receive as _, Send as _};
use super::rates::transfer;
use super::servers::{Kind, Server};
use crate::Peers;
use crate::child::{self, Targets};
use crate::report::Report;
use crate::stats::{Samples, micros};

const RUNS: usize = 2;
/// How many streams without end, to the client, are beside it in the same session.
const BESIDE: [usize; 3] = [0, 1, 50];
/// Of a run; fewer where they take longer than `AT_MOST`.
const KEYSTROKES: usize = 1000;
const AT_MOST: Duration = Duration::from_millis(1500);
/// A keystroke that takes so long counts, even if it is the first.
const SLOW: Duration = Duration::from_millis(100);
/// One that isn't back by then is given up.
const PATIENCE: Duration = Duration::from_secs(2);
const OPENS: usize = 100;
const WARM_UP: Duration = Duration::from_millis(300);

#[derive(Default)]
struct Row {
    keystrokes: [Samples; BESIDE.len()],
    opens: Samples,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "A keystroke through a relay",
        "64 bytes there and back, the next when the last is back: alone, and beside 1 and 50 streams of the \
         same session that a server fills without end and the client reads as fast as it can, which takes all \
         that both cores have. An opening lasts from the request to the first byte that comes back. p50 / p99 \
         of 2 runs, alternating, of 1,000 keystrokes or 1.5 s each, and 100 openings. The relays are those of \
         the table above; where streams have connections of their own, a keystroke has no bulk before it. Aim \
         beside bulk: p50 at most 0.3 ms, p99 at most 2 ms.",
    );
    let runtime = super::runtime()?;
    let targets = child::targets()?;
    let mut rows: Vec<Row> = Kind::ALL.iter().map(|_| Row::default()).collect();
    for _ in 0..RUNS {
        for (kind, row) in Kind::ALL.into_iter().zip(&mut rows) {
            eprintln!("  {}", kind.name());
            runtime.block_on(measure(kind, peers, &targets, row))?;
        }
    }
    let cells: Vec<_> = rows
        .iter_mut()
        .zip(Kind::ALL)
        .map(|(row, kind)| {
            let all = row.keystrokes.iter_mut().chain([&mut row.opens]);
            let pairs = all.map(|samples| {
                let [p50, p99] = [0.5, 0.99].map(|share| match samples.percentile(share) {
                    PATIENCE => "over 2 s".to_owned(),
                    sample => micros(sample),
                });
                format!("{p50} / {p99}")
            });
            std::iter::once(kind.name().to_owned())
                .chain(pairs)
                .collect()
        })
        .collect();
    report.table(
        &["", "alone", "beside 1", "beside 50", "an opening"],
        &cells,
    );
    Ok(())
}

async fn measure(kind: Kind, peers: &Peers, targets: &Targets, row: &mut Row) -> Result<()> {
    for (streams, samples) in BESIDE.into_iter().zip(&mut row.keystrokes) {
        // A fresh one each time: wisp-js takes gigabytes within seconds, of what nobody holds back.
        let server = Server::start(kind, peers, &targets.ports()).await?;
        let mut dialect = server.dial().await?;
        let mut bulk = JoinSet::new();
        for _ in 0..streams {
            transfer(&mut dialect, targets, false, &Arc::default(), &mut bulk).await?;
        }
        sleep(WARM_UP).await;
        keystrokes(&mut dialect, targets, samples).await?;
        bulk.shutdown().await;
    }
    let server = Server::start(kind, peers, &targets.ports()).await?;
    let mut dialect = server.dial().await?;
    opens(&mut dialect, targets, &mut row.opens).await
}

async fn keystrokes(dialect: &mut Dialect, targets: &Targets, samples: &mut Samples) -> Result<()> {
    let (mut send, mut receive) = dialect.connect(targets.echo).await?;
    let begin = Instant::now();
    let mut taken = 0;
    while taken < KEYSTROKES && begin.elapsed() < AT_MOST {
        let start = Instant::now();
        let keystroke = async {
            send.send(&[7; 64]).await?;
            let mut got = 0;
            while got < 64 {
                got += receive.receive().await?;
            }
            anyhow::Ok(())
        };
        match timeout(PATIENCE, keystroke).await {
            Ok(done) => done?,
            Err(_) => {
                // It counts as so long, and so would all that follow.
                samples.push(PATIENCE);
                break;
            }
        }
        taken += 1;
        // The first ones open what is opened late.
        if taken > 5 || start.elapsed() > SLOW {
            samples.push(start.elapsed());
        }
    }
    Ok(())
}

async fn opens(dialect: &mut Dialect, targets: &Targets, samples: &mut Samples) -> Result<()> {
    for _ in 0..OPENS {
        let start = Instant::now();
        let (mut send, mut receive) = dialect.connect(targets.echo).await?;
        send.send(b"x").await?;
        receive.receive().await?;
        samples.push(start.elapsed());
    }
    Ok(())
}
