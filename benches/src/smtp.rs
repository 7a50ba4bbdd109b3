//! Sending mail: many small messages to one server, by each client in turn.

mod clients;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use jackfield_testing::sink::Sink;

use crate::cores::{self, CLIENT, SERVER};
use crate::report::Report;
use crate::stats::{Ratio, median};
use crate::{Peers, delay};
use clients::Client;

const MESSAGES: usize = 1_000;
const RUNS: usize = 5;
/// At a distance a run takes minutes, and says the same each time.
const DISTANT_RUNS: usize = 3;
const ROUND_TRIPS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(50)];

/// Seconds of each run, a client each.
type Times = Vec<Vec<f64>>;

/// Without a distance: the work of client and server.
pub(crate) fn near(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "Sending mail to smtp-sink",
        "1,000 messages of 4 KiB to one recipient each, over loopback TCP without TLS: from the first \
         call that sends to the last outcome, on connections that stand, after 10 messages to warm up. \
         Server: smtp-sink of Postfix 3.7 as a process of its own, which offers PIPELINING and no \
         CHUNKING. jackfield-smtp is asked for all at once, and sends the next message's commands with \
         the last one's end; it is also asked for one after the other, as most peers can only be. \
         async-smtp 0.10.2 and nodemailer 10.6.1 (on node) send a message's commands ahead; lettre \
         0.11.23, mail-send 0.7.0, io-smtp 0.6.0 (its blocking client) and smtp-source wait for each \
         reply. smtp-source is Postfix's own generator of load, in C, its start counted. async-smtp, \
         lettre, mail-send and io-smtp have Nagle's algorithm off as ours has, which costs 40 ms a \
         message where it is on, as it is in lettre's pool, which makes its connections itself. Rust's \
         clients run on tokio with one thread. Median of 5 runs, alternating, on cores that are kept \
         awake, the server on one and the client on the other. Aim: fastest.",
    );
    let runtime = clients::runtime()?;
    let awake = cores::keep()?;
    awake.run_on(SERVER)?;
    let sink = runtime.block_on(Sink::smtp_that_forgets())?;
    awake.run_on(CLIENT)?;
    let mut times = Times::from(vec![Vec::new(); Client::ALL.len()]);
    for _ in 0..RUNS {
        for (times, client) in times.iter_mut().zip(Client::ALL) {
            let took = client.send(peers, sink.plain(), MESSAGES);
            times.push(took.with_context(|| client.name())?);
        }
    }
    tables(report, &[("", times)]);
    Ok(())
}

/// At a distance: what each client waits for.
pub(crate) fn distant(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "Sending mail over a distance",
        "The same 1,000 messages over a line of 20 and of 50 ms a round trip, which is a proxy that \
         hands on all bytes half of that later, alike for all. All clients send at the same time, each \
         over connections of its own, since they wait nearly always; what a message costs is told in \
         round trips too. Median of 3 runs. Aim: fastest at each.",
    );
    let runtime = clients::runtime()?;
    let sink = runtime.block_on(Sink::smtp_that_forgets())?;
    let lines = ROUND_TRIPS
        .into_iter()
        .map(|it| delay::line(sink.plain(), it))
        .collect::<Result<Vec<_>>>()?;
    let mut all = vec![vec![Vec::new(); Client::ALL.len()]; lines.len()];
    for _ in 0..DISTANT_RUNS {
        let run = at_once(peers, &lines)?;
        for (times, run) in all.iter_mut().zip(run) {
            times
                .iter_mut()
                .zip(run)
                .for_each(|(times, it)| times.push(it));
        }
    }
    let mut levels = Vec::new();
    for (times, line) in all.into_iter().zip(["20 ms", "50 ms"]) {
        levels.push((line, times));
    }
    tables(report, &levels);
    Ok(())
}

/// The seconds that each client takes over each line, all at once.
fn at_once(peers: &Peers, lines: &[SocketAddr]) -> Result<Vec<Vec<f64>>> {
    thread::scope(|scope| {
        let start = |line: SocketAddr, client: Client| {
            scope.spawn(move || {
                let took = client.send(peers, line, MESSAGES);
                took.with_context(|| client.name())
            })
        };
        let started: Vec<Vec<_>> = lines
            .iter()
            .map(|line| Client::ALL.map(|client| start(*line, client)).into())
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<f64>>| {
            thread.join().map_err(|_| anyhow!("a client panicked"))?
        };
        let each = |threads: Vec<_>| threads.into_iter().map(join).collect();
        started.into_iter().map(each).collect()
    })
}

/// A table of those with one connection, and one of those with a pool of them.
fn tables(report: &mut Report, levels: &[(&str, Times)]) {
    for (is_pool, text) in [
        (false, "\nOne connection:\n"),
        (true, "\nFive connections, each client's pool of them:\n"),
    ] {
        report.append(text);
        let of = || Client::ALL.into_iter().enumerate();
        let of = || of().filter(|(_, client)| client.is_pool() == is_pool);
        let mut rows = Vec::new();
        for (at, client) in of() {
            let mut row = vec![client.name().to_owned()];
            for (line, times) in levels {
                // Ours is the first of its kind.
                let ours = of().next().map_or(0, |(first, _)| first);
                let seconds = median(times[at].clone());
                let rate = MESSAGES as f64 / seconds;
                let digits = if rate < 100.0 { 1 } else { 0 };
                row.push(format!("{rate:.digits$}"));
                row.push(Ratio::of(&times[at], &times[ours]).to_string());
                if let Some(trip) = trip(line) {
                    row.push(format!("{:.2}", seconds / MESSAGES as f64 / trip));
                }
            }
            rows.push(row);
        }
        let mut head = vec![String::new()];
        for (line, _) in levels {
            let at = if line.is_empty() {
                String::new()
            } else {
                format!(" at {line}")
            };
            head.push(format!("messages/s{at}"));
            head.push("time over ours".into());
            if trip(line).is_some() {
                head.push("round trips a message".into());
            }
        }
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        report.table(&head, &rows);
    }
}

/// The seconds of a round trip, of a line that has one.
fn trip(line: &str) -> Option<f64> {
    let number: f64 = line.strip_suffix(" ms")?.parse().ok()?;
    Some(number / 1000.0)
}
