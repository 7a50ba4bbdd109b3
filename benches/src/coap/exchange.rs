//! Requests to libcoap's server, by each client in turn.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use coap_lite::RequestType;
use jackfield_coap::client::{self, ClientConfig};
use jackfield_coap::codec::ContentFormat;
use jackfield_native::Native;
use jackfield_testing::libcoap::Libcoap;
use jackfield_testing::runtimes;

use crate::cores::{self, CLIENT, SERVER};
use crate::report::Report;
use crate::stats::{Ratio, median};

/// How many requests each makes, one after the other. Message ids last for some 65,000 in four
/// minutes.
const GETS: u32 = 5_000;
const BODY: usize = 1 << 20;
const RUNS: usize = 9;

/// Seconds for all requests, for a body to the server, and for it back.
struct Times {
    gets: f64,
    put: f64,
    get: f64,
}

/// One of them.
type Part = fn(&Times) -> f64;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    report.heading(
        "CoAP requests to libcoap's server",
        "Confirmable requests over loopback UDP, one after the other, and 1 MiB in blocks of 1024 \
         bytes each way: what comes back is compared. Server: coap-server of libcoap 4.3, as a \
         process of its own. Its answer to the last block of a body has no Block1 option; the crate \
         coap takes that for a failure, but the body is there by then, so its time counts. Peers: \
         the crate coap 0.29, which like ours runs on tokio with one thread, aiocoap 0.4.17 on \
         Python, node-coap 1.5. Median of 9 runs, \
         alternating, on cores that are kept awake, the \
         server on one and the client on the other. Aim: fastest, and with bodies at least 1.1 times as \
         fast as the crate coap.",
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let awake = cores::keep()?;
    let names = ["jackfield-coap", "coap", "aiocoap", "node-coap"];
    let mut all: [Vec<Times>; 4] = Default::default();
    for _ in 0..RUNS {
        // A fresh server each time: it keeps what was put.
        awake.run_on(SERVER)?;
        let server = runtime.block_on(Libcoap::start())?;
        awake.run_on(CLIENT)?;
        let at = server.plain();
        let runs = [
            runtime.block_on(ours(at)),
            runtime.block_on(crate_coap(at)),
            script(runtimes::python(include_str!("aiocoap.py"))?, at),
            script(runtimes::node(include_str!("node-coap.mjs"))?, at),
        ];
        for ((times, run), name) in all.iter_mut().zip(runs).zip(names) {
            times.push(run.context(name)?);
        }
    }
    let mut rows = Vec::new();
    for (name, times) in names.into_iter().zip(&all) {
        let mut row = vec![name.into()];
        let parts: [(Part, f64); 3] = [
            (|times| times.gets, f64::from(GETS)),
            (|times| times.put, 1.0),
            (|times| times.get, 1.0),
        ];
        for (part, amount) in parts {
            let of = |times: &[Times]| times.iter().map(part).collect::<Vec<f64>>();
            let rate = amount / median(of(times));
            let digits = if rate < 100.0 { 1 } else { 0 };
            row.push(format!("{rate:.digits$}"));
            row.push(Ratio::of(&of(times), &of(&all[0])).to_string());
        }
        rows.push(row);
    }
    report.table(
        &[
            "",
            "GET/s",
            "time over ours",
            "MiB/s to the server",
            "time over ours",
            "MiB/s back",
            "time over ours",
        ],
        &rows,
    );
    Ok(())
}

fn body() -> Vec<u8> {
    (0..BODY).map(|index| (index % 251) as u8).collect()
}

async fn ours(at: SocketAddr) -> Result<Times> {
    let (client, _, connection) = client::connect(Native, at.into(), ClientConfig::default());
    let connection = tokio::spawn(connection);
    let start = Instant::now();
    for _ in 0..GETS {
        let response = client.get("/").await?;
        ensure!(!response.payload.is_empty(), "no text");
    }
    let gets = start.elapsed().as_secs_f64();
    let body = body();
    let start = Instant::now();
    let format = ContentFormat::OCTET_STREAM;
    client.put("/jackfield", &body[..], format).await?;
    let put = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let response = client.get("/jackfield").await?;
    let get = start.elapsed().as_secs_f64();
    ensure!(response.payload == body, "another body came back");
    client.close().await;
    connection.await??;
    Ok(Times { gets, put, get })
}

async fn crate_coap(at: SocketAddr) -> Result<Times> {
    let client = coap::UdpCoAPClient::new(at).await?;
    let request = |path: &str, method, data| {
        coap::request::RequestBuilder::new(path, method)
            .data(data)
            .build()
    };
    let start = Instant::now();
    for _ in 0..GETS {
        let response = client.send(request("/", RequestType::Get, None)).await?;
        ensure!(!response.message.payload.is_empty(), "no text");
    }
    let gets = start.elapsed().as_secs_f64();
    let body = body();
    let start = Instant::now();
    let put = request("/crate", RequestType::Put, Some(body.clone()));
    match client.send(put).await {
        Ok(_) => {}
        // All blocks are sent and answered by then; see below whether they have arrived.
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error.into()),
    }
    let put = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let response = client
        .send(request("/crate", RequestType::Get, None))
        .await?;
    let get = start.elapsed().as_secs_f64();
    ensure!(response.message.payload == body, "another body came back");
    Ok(Times { gets, put, get })
}

/// A client in another language, which prints its three times in seconds.
fn script(mut command: Command, at: SocketAddr) -> Result<Times> {
    let arguments = [at.port().to_string(), GETS.to_string(), BODY.to_string()];
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let times: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [gets, put, get] = times[..] else {
        anyhow::bail!("it printed {text:?}");
    };
    Ok(Times { gets, put, get })
}
