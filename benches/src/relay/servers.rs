//! The relays that are compared, and how each is started.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::net::{TcpListener, TcpStream};

use super::dialect::Dialect;
use crate::Peers;
use crate::child::{self, Running};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Jackfield,
    Proxy,
    WispJs,
    WispPython,
    Websockify,
}

impl Kind {
    /// Ours and the yardstick first: the table of ratios counts on it.
    pub(crate) const ALL: [Self; 5] = [
        Self::Jackfield,
        Self::Proxy,
        Self::WispJs,
        Self::WispPython,
        Self::Websockify,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jackfield => "jackfield-relayd",
            Self::Proxy => "plain TCP proxy",
            Self::WispJs => "wisp-js 0.5.0",
            Self::WispPython => "wisp-python 0.9.0",
            Self::Websockify => "websockify 0.13.0",
        }
    }
}

/// A relay that runs; one a target where it can only carry one.
pub(crate) struct Server {
    kind: Kind,
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
        }
        for (_, port) in &processes {
            await_port(*port).await?;
        }
        Ok(Self {
            kind,
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

    /// Connects to it, for one run.
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
        }
    }
}

pub(crate) const TOKEN: &str = "benchmark-token-0123456789abcdef";

/// Starts our relay for programs, and for pages of this origin; gives its port.
pub(crate) async fn relayd(peers: &Peers, origin: Option<&str>) -> Result<(Running, u16)> {
    let port = free_port().await?;
    let origins = origin.map_or_else(String::new, |origin| format!("\"{origin}\""));
    let config = format!(
        "listen = [\"127.0.0.1:{port}\"]\norigins = [{origins}]\nallow_without_origin = true\n\
         limits = {{ dials_per_second = 100000, streams = 10000 }}\n\
         [[token]]\nname = \"bench\"\nsecret = \"{TOKEN}\"\n\
         allow = [\"localhost:*\", \"127.0.0.0/8:*\", \"[::1]:*\"]\n"
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

/// Starts a server as the first of a group of processes: some start others.
fn spawn(mut command: Command) -> Result<Running> {
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

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?
        .port())
}

async fn await_port(port: u16) -> Result<()> {
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
