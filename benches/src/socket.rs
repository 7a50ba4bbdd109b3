//! The socket API on tokio against tokio itself.

use std::time::Instant;

use anyhow::Result;
use jackfield_native::Native;
use jackfield_socket::{Endpoint, ListenOptions, TcpConnect, TcpListen, TcpListener, TcpOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net;

use crate::report::Report;
use crate::stats::{Ratio, median};

const BULK: usize = 2 << 30;
const CHUNK: usize = 64 * 1024;
const ROUND_TRIPS: usize = 40_000;
const RUNS: usize = 9;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    report.heading(
        "The socket API over raw tokio",
        "One TCP connection over loopback: 2 GiB in chunks of 64 KiB, and 40,000 round trips of 64 \
         bytes, both ends on one thread: it is the code that is measured, not the scheduler. Median \
         of 9 runs, alternating. Aim: at most 1.05 times tokio's time.",
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut raw_bulk, mut api_bulk, mut raw_trip, mut api_trip) = (vec![], vec![], vec![], vec![]);
    for _ in 0..RUNS {
        let (bulk, trip) = runtime.block_on(raw())?;
        raw_bulk.push(bulk);
        raw_trip.push(trip);
        let (bulk, trip) = runtime.block_on(ours())?;
        api_bulk.push(bulk);
        api_trip.push(trip);
    }
    let rate = |seconds: f64| BULK as f64 / seconds / f64::from(1 << 20);
    let each = |seconds: f64| seconds / ROUND_TRIPS as f64 * 1e6;
    let row = |name: &str, unit: &str, of: &dyn Fn(f64) -> f64, raw: Vec<f64>, api: Vec<f64>| {
        let ratio = Ratio::of(&api, &raw);
        vec![
            name.into(),
            format!("{:.1} {unit}", of(median(raw))),
            format!("{:.1} {unit}", of(median(api))),
            ratio.to_string(),
        ]
    };
    report.table(
        &["", "tokio", "jackfield-native", "time, ratio"],
        &[
            row("throughput", "MiB/s", &rate, raw_bulk, api_bulk),
            row("round trip", "µs", &each, raw_trip, api_trip),
        ],
    );
    Ok(())
}

async fn raw() -> Result<(f64, f64)> {
    let listener = net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let client = net::TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    measure(client, server).await
}

async fn ours() -> Result<(f64, f64)> {
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mut listener = Native.listen(at, &ListenOptions::default()).await?;
    let to = Endpoint::from(listener.local_addr().unwrap_or(at));
    let client = Native.connect(&to, &TcpOptions::default()).await?;
    let server = listener.accept().await?;
    measure(client, server).await
}

/// Seconds for the bulk, and for all the round trips.
async fn measure<S>(mut client: S, mut server: S) -> Result<(f64, f64)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let peer = tokio::spawn(async move {
        let mut small = [0; 64];
        for _ in 0..ROUND_TRIPS {
            server.read_exact(&mut small).await?;
            server.write_all(&small).await?;
        }
        let mut buffer = vec![0; CHUNK];
        let mut left = BULK;
        while left > 0 {
            left -= server.read(&mut buffer).await?;
        }
        server.write_all(b"k").await?;
        anyhow::Ok(())
    });
    let mut small = [7; 64];
    let start = Instant::now();
    for _ in 0..ROUND_TRIPS {
        client.write_all(&small).await?;
        client.read_exact(&mut small).await?;
    }
    let trips = start.elapsed().as_secs_f64();
    let chunk = vec![7; CHUNK];
    let start = Instant::now();
    for _ in 0..BULK / CHUNK {
        client.write_all(&chunk).await?;
    }
    client.read_exact(&mut small[..1]).await?;
    let bulk = start.elapsed().as_secs_f64();
    peer.await??;
    Ok((bulk, trips))
}
