//! How many clients a second a relay lets in over TLS.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use jackfield_testing::certs::{Authority, CertificateFiles};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_websockets::ClientBuilder;

use super::servers::{self, Kind, Server, TOKEN};
use crate::child::{self, Running, Targets};
use crate::report::Report;
use crate::stats::{Ratio, median};
use crate::{Peers, machine};

const RUNS: usize = 3;
const TIME: Duration = Duration::from_millis(1200);
/// How many are on the way at a time.
const AT_A_TIME: usize = 8;

/// A relay that clients reach over TLS.
struct Gate {
    kind: Kind,
    port: u16,
    pids: Vec<u32>,
    /// Ends with it.
    _running: (Vec<Running>, Option<Server>),
}

/// The certificate's files, and what trusts it.
struct Trust {
    files: CertificateFiles,
    folder: PathBuf,
    certificate: jackfield_testing::certs::Certificate,
    connector: TlsConnector,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "Handshakes over TLS",
        "TCP, TLS 1.3 in full with a certificate on P-256, the WebSocket's handshake, and the first message \
         where the relay speaks first (Jackfield's HELLO with the token looked at, Wisp's CONTINUE); then the \
         client resets the connection. Eight at a time, 1.2 s, beside it what the relay's processes take of the \
         processor for one. jackfield-relayd, websockify and rusty-penguin speak TLS themselves, by rustls with \
         ring, by Python's OpenSSL and by rustls with ring; wisp-js and wisp-python don't, and stand behind the \
         plain TLS proxy, whose work is counted with theirs. By itself that proxy (rustls with ring) is the \
         limit: TLS, and a byte to a server behind it and back. rusty-penguin's server has no token here. Median \
         of 3 runs, alternating. Aim: first of the relays.",
    );
    let runtime = super::runtime()?;
    let targets = child::targets()?;
    let trust = trust()?;
    let mut gates = Vec::new();
    for kind in Kind::ALL {
        gates.push(runtime.block_on(start(kind, peers, &targets, &trust))?);
    }
    let mut rates = vec![Vec::new(); gates.len()];
    let mut costs = vec![Vec::new(); gates.len()];
    for _ in 0..RUNS {
        for (index, gate) in gates.iter().enumerate() {
            eprintln!("  {}", gate.kind.name());
            let (rate, cost) = runtime.block_on(measure(gate, &trust))?;
            rates[index].push(rate);
            costs[index].push(cost);
        }
    }
    // What can stay behind is small, and of no use to anybody.
    let _ = std::fs::remove_dir_all(&trust.folder);
    let rows: Vec<_> = gates
        .iter()
        .enumerate()
        .map(|(index, gate)| {
            let name = match gate.kind {
                Kind::Proxy => "plain TLS proxy",
                kind => kind.name(),
            };
            vec![
                name.to_owned(),
                format!("{:.0}", median(rates[index].clone())),
                format!("{:.2} ms", 1e3 * median(costs[index].clone())),
                Ratio::of(&rates[0], &rates[index]).to_string(),
                Ratio::of(&costs[0], &costs[index]).to_string(),
            ]
        })
        .collect();
    report.table(
        &[
            "",
            "handshakes/s",
            "one takes",
            "our rate over it",
            "our processor time over it",
        ],
        &rows,
    );
    Ok(())
}

fn trust() -> Result<Trust> {
    let authority = Authority::new();
    let certificate = authority.server(&["127.0.0.1"]);
    let folder = std::env::temp_dir().join(format!("jackfield-bench-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let files = certificate.write_to(&folder, "relay")?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der().to_vec()))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Trust {
        files,
        folder,
        certificate,
        connector: TlsConnector::from(Arc::new(config)),
    })
}

async fn start(kind: Kind, peers: &Peers, targets: &Targets, trust: &Trust) -> Result<Gate> {
    let behind = |target| child::tls_proxy(&trust.certificate, target);
    let mut server = None;
    let (process, port) = match kind {
        Kind::Jackfield => servers::relayd_with_tls(peers, &trust.files).await?,
        Kind::Penguin => servers::penguin(peers, Some(&trust.files)).await?,
        Kind::Proxy => behind(targets.echo)?,
        Kind::WispJs | Kind::WispPython => {
            let started = Server::start(kind, peers, &[targets.echo]).await?;
            let port = started.port();
            server = Some(started);
            behind(port)?
        }
        Kind::Websockify => {
            let port = servers::free_port().await?;
            let mut command = Command::new(peers.python.join("bin/websockify"));
            command.arg("--ssl-only");
            command.arg("--cert").arg(&trust.files.certificate);
            command.arg("--key").arg(&trust.files.key);
            command.arg(format!("127.0.0.1:{port}"));
            command.arg(format!("127.0.0.1:{}", targets.echo));
            let process = servers::spawn(command)?;
            servers::await_port(port).await?;
            (process, port)
        }
    };
    let mut pids = vec![process.pid()];
    pids.extend(server.iter().flat_map(Server::pids));
    Ok(Gate {
        kind,
        port,
        pids,
        _running: (vec![process], server),
    })
}

/// Handshakes a second, and processor seconds for one.
async fn measure(gate: &Gate, trust: &Trust) -> Result<(f64, f64)> {
    let (kind, port) = (gate.kind, gate.port);
    enter(kind, port, &trust.connector).await?;
    let before = machine::cpu_seconds(&gate.pids)?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let connector = trust.connector.clone();
        tasks.spawn(async move {
            let mut count = 0_u32;
            while start.elapsed() < TIME {
                enter(kind, port, &connector).await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(of_one) = tasks.join_next().await {
        count += of_one??;
    }
    let seconds = start.elapsed().as_secs_f64();
    // What ends with its connections is theirs too.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cpu = machine::cpu_seconds(&gate.pids)? - before;
    Ok((f64::from(count) / seconds, cpu / f64::from(count)))
}

/// One client that is let in, and goes.
async fn enter(kind: Kind, port: u16, connector: &TlsConnector) -> Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    // Or the system runs out of ports that wait.
    stream.set_zero_linger()?;
    let name = ServerName::try_from("127.0.0.1")?;
    let mut stream: TlsStream<TcpStream> = connector.connect(name, stream).await?;
    let (protocol, greets) = match kind {
        Kind::Proxy => {
            stream.write_all(b"x").await?;
            stream.flush().await?;
            stream.read_u8().await?;
            return Ok(());
        }
        Kind::Jackfield => {
            let token = jackfield_relay_wire::auth::token_subprotocol(TOKEN);
            (Some(format!("jackfield.v1, {token}")), true)
        }
        Kind::WispJs | Kind::WispPython => (None, true),
        Kind::Websockify => (Some("binary".to_owned()), false),
        Kind::Penguin => (Some("penguin-v7".to_owned()), false),
    };
    let path = if kind == Kind::Penguin { "ws" } else { "" };
    let uri = format!("wss://127.0.0.1:{port}/{path}");
    let mut builder = ClientBuilder::new().uri(&uri)?;
    if let Some(protocol) = protocol {
        builder = builder.add_header("sec-websocket-protocol".try_into()?, protocol.try_into()?)?;
    }
    let (mut socket, _) = builder.connect_on(stream).await?;
    if greets {
        socket.next().await.context("the relay closed at once")??;
    }
    Ok(())
}
