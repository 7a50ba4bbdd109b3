//! How many datagrams a second a relay carries without losing one.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jackfield_relay::RelayDatagramSocket;
use jackfield_socket::DatagramSocket as _;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::servers::{self, Kind, Server};
use super::wisp;
use crate::child::{self, Running, Targets};
use crate::report::Report;
use crate::stats::median;
use crate::{Peers, machine};

const LENGTH: usize = 64;
/// How long a rate must hold.
const TIME: Duration = Duration::from_millis(500);
/// What is still on the way behind the last one.
const REST: Duration = Duration::from_millis(200);
/// A search begins here, and doubles until something is lost.
const FIRST: u32 = 1000;
/// Then it halves what lies between, so often.
const HALVINGS: usize = 4;
const RUNS: usize = 3;

const KINDS: [Kind; 5] = [
    Kind::Jackfield,
    Kind::Proxy,
    Kind::WispJs,
    Kind::WispPython,
    Kind::Penguin,
];

/// What carries datagrams.
pub(crate) enum Socket {
    Jackfield(RelayDatagramSocket),
    Wisp(wisp::Sender, mpsc::Receiver<wisp::Packet>),
    Udp(UdpSocket),
}

/// A relay, and a client of it that is a process of its own where there is one.
struct Line {
    server: Server,
    /// What it counts by.
    pids: Vec<u32>,
    /// The port that takes datagrams as they are.
    port: u16,
    _process: Option<Running>,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "Datagrams through a relay",
        "The largest rate at which none is lost: datagrams of 64 bytes to a server that sends each back, in one \
         socket, a thousandth of a second's share each millisecond, for 0.5 s; all of them have to be back 0.2 s \
         later. From 1,000 a second it is doubled until one is missing, and what lies between is halved four \
         times. Beside it, the processor seconds that the relay takes for a million of them, there and back, at \
         that rate. All buffers are the system's own, 208 KiB of a socket. The plain forwarder passes datagrams \
         on between two sockets, and has no WebSocket; rusty-penguin's client is a process of its own, which \
         doesn't count. Median of 3 searches, alternating. websockify carries none. Aim: first of the relays.",
    );
    let runtime = super::runtime()?;
    let targets = child::targets()?;
    let mut lines = Vec::new();
    for kind in KINDS {
        lines.push(runtime.block_on(start(kind, peers, &targets))?);
    }
    let mut rates = vec![Vec::new(); lines.len()];
    let mut costs = vec![Vec::new(); lines.len()];
    for _ in 0..RUNS {
        for (index, line) in lines.iter().enumerate() {
            eprintln!("  {}", KINDS[index].name());
            let (rate, cost) = runtime.block_on(search(line, &targets))?;
            rates[index].push(rate);
            costs[index].push(cost);
        }
    }
    let ours = median(rates[0].clone());
    let rows: Vec<_> = KINDS
        .iter()
        .enumerate()
        .map(|(index, kind)| {
            let rate = median(rates[index].clone());
            let name = match kind {
                Kind::Proxy => "plain UDP forwarder",
                kind => kind.name(),
            };
            vec![
                name.to_owned(),
                format!("{rate:.0}"),
                format!("{:.2} s", median(costs[index].clone())),
                format!("{:.2}", ours / rate),
            ]
        })
        .collect();
    report.table(
        &["", "datagrams/s", "a million takes", "ours over it"],
        &rows,
    );
    Ok(())
}

async fn start(kind: Kind, peers: &Peers, targets: &Targets) -> Result<Line> {
    let server = Server::start(kind, peers, &[targets.echo]).await?;
    let mut pids = server.pids();
    let (port, process) = match kind {
        Kind::Proxy => {
            let (forwarder, port) = child::udp_proxy(targets.datagrams)?;
            pids = vec![forwarder.pid()];
            (port, Some(forwarder))
        }
        Kind::Penguin => {
            let to = [targets.datagrams];
            let (client, ports) =
                servers::penguin_client(&peers.penguin, server.port(), &to, "/udp").await?;
            (ports[0], Some(client))
        }
        _ => (0, None),
    };
    Ok(Line {
        server,
        pids,
        port,
        _process: process,
    })
}

impl Line {
    /// What a try goes through, and must be kept beside it.
    async fn open(&self, targets: &Targets) -> Result<(Socket, Option<super::dialect::Dialect>)> {
        if self.port != 0 {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
            socket.connect(("127.0.0.1", self.port)).await?;
            return Ok((Socket::Udp(socket), None));
        }
        let mut dialect = self.server.dial().await?;
        let socket = dialect.datagrams(targets.datagrams).await?;
        Ok((socket, Some(dialect)))
    }
}

/// The largest rate without loss, and the processor seconds a million.
async fn search(line: &Line, targets: &Targets) -> Result<(f64, f64)> {
    let (mut holds, mut cost, mut loses) = (0, f64::NAN, FIRST);
    while let Some(seconds) = attempt(line, targets, loses).await? {
        (holds, cost, loses) = (loses, seconds, loses * 2);
    }
    for _ in 0..HALVINGS {
        let middle = holds.midpoint(loses);
        match attempt(line, targets, middle).await? {
            Some(seconds) => (holds, cost) = (middle, seconds),
            None => loses = middle,
        }
    }
    Ok((f64::from(holds), cost))
}

/// The processor seconds that the relay took for a million, where none was lost.
async fn attempt(line: &Line, targets: &Targets, rate: u32) -> Result<Option<f64>> {
    let (mut socket, _dialect) = line.open(targets).await?;
    // The first one opens what is opened late.
    socket.send(&[7; LENGTH]).await?;
    if timeout(Duration::from_secs(2), socket.receive())
        .await
        .is_err()
    {
        bail!("no datagram comes back");
    }
    let before = machine::cpu_seconds(&line.pids)?;
    let count = rate / 2;
    let (mut sent, mut got) = (0, 0);
    let start = Instant::now();
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while got < count {
        let left = (TIME + REST).saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        tokio::select! {
            biased;
            _ = tick.tick(), if sent < count => {
                let due = f64::from(rate) * start.elapsed().as_secs_f64();
                let due = (due as u32).min(count);
                while sent < due {
                    if timeout(left, socket.send(&[7; LENGTH])).await.is_err() {
                        break;
                    }
                    sent += 1;
                }
            }
            received = timeout(left, socket.receive()) => if let Ok(received) = received {
                received?;
                got += 1;
            },
        }
    }
    line.server.settle().await?;
    let cpu = machine::cpu_seconds(&line.pids)? - before;
    Ok((got == count).then(|| cpu / f64::from(count) * 1e6))
}

impl Socket {
    async fn send(&mut self, data: &[u8]) -> Result<()> {
        match self {
            Self::Jackfield(socket) => Ok(socket.send(data, None).await?),
            Self::Wisp(sender, _) => sender.send(data).await,
            Self::Udp(socket) => {
                socket.send(data).await?;
                Ok(())
            }
        }
    }

    async fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; 2 * LENGTH];
        match self {
            Self::Jackfield(socket) => {
                socket.recv(&mut buffer).await?;
            }
            Self::Wisp(_, packets) => match packets.recv().await {
                Some(wisp::Packet::Data(_)) => {}
                _ => bail!("the relay has closed the socket"),
            },
            Self::Udp(socket) => {
                socket.recv(&mut buffer).await?;
            }
        }
        Ok(())
    }
}
