//! The relays that are compared, and how each is started.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jackfield_testing::certs::CertificateFiles;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::dialect::Dialect;
use crate::child::{self, Running};
use crate::{Peers, machine};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Jackfield,
    Proxy,
    WispJs,
    WispPython,
    Websockify,
    Penguin,
}

impl Kind {
    /// Ours and the yardstick first: the table of ratios counts on it.
    pub(crate) const ALL: [Self; 6] = [
        Self::Jackfield,
        Self::Proxy,
        Self::WispJs,
        Self::WispPython,
        Self::Websockify,
        Self::Penguin,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jackfield => "jackfield-relayd",
            Self::Proxy => "plain TCP proxy",
            Self::WispJs => "wisp-js 0.5.0",
            Self::WispPython => "wisp-python 0.9.0",
            Self::Websockify => "websockify 0.13.0",
            Self::Penguin => "rusty-penguin 0.8.4",
        }
    }
}

/// A relay that runs; one a target where it can only carry one.
pub(crate) struct Server {
    kind: Kind,
    /// What makes clients of rusty-penguin.
    penguin: PathBuf,
    processes: Vec<(Running, u16)>,
    /// The targets' ports, in the order of `processes` where each carries one.
    targets: Vec<u16>,
}

impl Server {
    pub(crate) async fn start(kind: Kind, peers: &Peers, targets: &[u16]) -> Result<Self> {
        let mut processes = Vec::new();
        match kind {
            Kind::Proxy => {
                for &target in targets {
                    processes.push(child::proxy(target)?);
                }
            }
            Kind::Websockify => {
                for &target in targets {
                    let port = free_port().await?;
                    let mut command = Command::new(peers.python.join("bin/websockify"));
                    command.args([format!("127.0.0.1:{port}"), format!("127.0.0.1:{target}")]);
                    processes.push((spawn(command)?, port));
                }
            }
            Kind::WispJs => processes.push(wisp_js(peers).await?),
            Kind::WispPython => {
                let port = free_port().await?;
                let mut command = Command::new(peers.python.join("bin/python"));
                command.args(["-m", "wisp.server", "--host", "127.0.0.1", "--port"]);
                command.arg(port.to_string());
                command.args(["--allow-loopback", "--threads", "1"]);
                processes.push((spawn(command)?, port));
            }
            Kind::Jackfield => processes.push(relayd(peers, None).await?),
            Kind::Penguin => processes.push(penguin(peers, None).await?),
        }
        for (_, port) in &processes {
            await_port(*port).await?;
        }
        Ok(Self {
            kind,
            penguin: peers.penguin.clone(),
            processes,
            targets: targets.to_vec(),
        })
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes
            .iter()
            .map(|(process, _)| process.pid())
            .collect()
    }

    /// Its first port.
    pub(crate) fn port(&self) -> u16 {
        self.processes.first().map_or(0, |(_, port)| *port)
    }

    /// Waits until it has done what is left of what it was asked before, for 3 s at the most.
    pub(crate) async fn settle(&self) -> Result<()> {
        let pids = self.pids();
        let mut before = machine::cpu_seconds(&pids)?;
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = machine::cpu_seconds(&pids)?;
            if now - before < 0.02 {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// Connects to it: a session, where it has those.
    pub(crate) async fn dial(&self) -> Result<Dialect> {
        let ports: Vec<u16> = self.processes.iter().map(|(_, port)| *port).collect();
        match self.kind {
            Kind::Jackfield => Dialect::jackfield(ports[0]).await,
            Kind::WispJs | Kind::WispPython => Dialect::wisp(ports[0]).await,
            Kind::Proxy => Ok(Dialect::tcp(
                self.targets.iter().copied().zip(ports).collect(),
            )),
            Kind::Websockify => Ok(Dialect::websockify(
                self.targets.iter().copied().zip(ports).collect(),
            )),
            Kind::Penguin => {
                let (client, ports) =
                    penguin_client(&self.penguin, ports[0], &self.targets, "").await?;
                let ports = self.targets.iter().copied().zip(ports).collect();
                Ok(Dialect::through(client, ports))
            }
        }
    }
}

pub(crate) const TOKEN: &str = "benchmark-token-0123456789abcdef";

/// Starts our relay for programs, and for pages of this origin; gives its port.
pub(crate) async fn relayd(peers: &Peers, origin: Option<&str>) -> Result<(Running, u16)> {
    start_relayd(peers, origin, None).await
}

/// The same for programs alone, with this certificate.
pub(crate) async fn relayd_with_tls(
    peers: &Peers,
    certificate: &CertificateFiles,
) -> Result<(Running, u16)> {
    start_relayd(peers, None, Some(certificate)).await
}

async fn start_relayd(
    peers: &Peers,
    origin: Option<&str>,
    tls: Option<&CertificateFiles>,
) -> Result<(Running, u16)> {
    let port = free_port().await?;
    let origins = origin.map_or_else(String::new, |origin| format!("\"{origin}\""));
    let tls = tls.map_or_else(String::new, |CertificateFiles { certificate, key }| {
        format!("[tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n")
    });
    let config = format!(
        "listen = [\"127.0.0.1:{port}\"]\norigins = [{origins}]\nallow_without_origin = true\n\
         max_sessions = 4000\n\
         limits = {{ dials_per_second = 100000, streams = 12000, sessions = 4000 }}\n{tls}\
         [[token]]\nname = \"bench\"\nsecret = \"{TOKEN}\"\n\
         allow = [\"localhost:*\", \"127.0.0.0/8:*\", \"[::1]:*\", \"127.0.0.0/8:*/udp\"]\n"
    );
    let name = format!("jackfield-bench-{}-{port}.toml", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, config)?;
    let mut command = Command::new(&peers.relayd);
    command.arg("--config").arg(&file);
    let process = spawn(command)?;
    await_port(port).await?;
    std::fs::remove_file(file)?;
    Ok((process, port))
}

/// Starts wisp-js's relay; gives its port.
pub(crate) async fn wisp_js(peers: &Peers) -> Result<(Running, u16)> {
    let port = free_port().await?;
    let mut command = Command::new("node");
    command.current_dir(&peers.npm).args([
        "node_modules/@mercuryworkshop/wisp-js/src/bin/server_cli.mjs",
        "-H",
        "127.0.0.1",
        "-P",
        &port.to_string(),
        "-O",
        r#"{"allow_loopback_ips":true,"allow_private_ips":true}"#,
    ]);
    let process = spawn(command)?;
    await_port(port).await?;
    Ok((process, port))
}

/// Starts rusty-penguin's server, with TLS where there is a certificate; gives its port.
pub(crate) async fn penguin(
    peers: &Peers,
    tls: Option<&CertificateFiles>,
) -> Result<(Running, u16)> {
    let port = free_port().await?;
    let mut command = Command::new(&peers.penguin);
    command.args(["server", "--host", "127.0.0.1", "--port"]);
    command.arg(port.to_string());
    if let Some(CertificateFiles { certificate, key }) = tls {
        command.arg("--tls-cert").arg(certificate);
        command.arg("--tls-key").arg(key);
    }
    let process = spawn(command)?;
    await_port(port).await?;
    Ok((process, port))
}

/// Starts rusty-penguin's client, which gives each of these targets a port of its own: of TCP, or of UDP
/// with `/udp`.
pub(crate) async fn penguin_client(
    penguin: &Path,
    server: u16,
    targets: &[u16],
    kind: &str,
) -> Result<(Running, Vec<u16>)> {
    // Somebody else may take a port that was free; then it ends, or has none.
    let mut tries = 0;
    loop {
        tries += 1;
        let starting = try_penguin_client(penguin, server, targets, kind);
        match timeout(Duration::from_secs(5), starting).await {
            Ok(Ok(started)) => return Ok(started),
            Ok(Err(error)) if tries == 3 => return Err(error),
            Err(_) if tries == 3 => bail!("rusty-penguin's client does not start"),
            _ => {}
        }
    }
}

async fn try_penguin_client(
    penguin: &Path,
    server: u16,
    targets: &[u16],
    kind: &str,
) -> Result<(Running, Vec<u16>)> {
    let mut command = Command::new(penguin);
    command.args(["client", &format!("ws://127.0.0.1:{server}/ws")]);
    let mut ports = Vec::new();
    for target in targets {
        let port = free_port().await?;
        command.arg(format!("127.0.0.1:{port}:127.0.0.1:{target}{kind}"));
        ports.push(port);
    }
    // A way through it to the server's own HTTP: what answers there shows that all is there, and no
    // target hears of it.
    let probe = free_port().await?;
    command.arg(format!("127.0.0.1:{probe}:127.0.0.1:{server}"));
    let client = spawn(command)?;
    await_port(probe).await?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, probe)).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    stream.read_u8().await?;
    Ok((client, ports))
}

/// Starts a server as the first of a group of processes: some start others.
pub(crate) fn spawn(mut command: Command) -> Result<Running> {
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Ok(Running::new(child)),
        Err(error) => bail!("can't start {:?}: {error}", command.get_program()),
    }
}

pub(crate) async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?
        .port())
}

pub(crate) async fn await_port(port: u16) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        if start.elapsed() > Duration::from_secs(20) {
            bail!("nothing answers on port {port}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
