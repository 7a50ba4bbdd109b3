//! HAProxy, with whatever configuration.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "haproxy";
/// Where a configuration names its certificate, with the key in the same file.
pub const CERTIFICATE: &str = "/etc/haproxy/relay.pem";
const START: Duration = Duration::from_secs(30);
/// How often its statistics are read while something is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running HAProxy.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
    statistics: SocketAddr,
    _folder: Folder,
}

impl Haproxy {
    /// Starts one with a configuration, whose [`CERTIFICATE`] is this one, and waits until it listens at this
    /// address.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(
        config: &str,
        certificate: &Certificate,
        listens: SocketAddr,
    ) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let inside = folder.inside();
        let pem = [certificate.pem(), certificate.key_pem()].concat();
        fs::write(folder.path().join("relay.pem"), pem)?;
        let [statistics] = process::free_addresses()?;
        let config = config.replace(CERTIFICATE, &format!("{inside}/relay.pem"));
        let more = format!(
            "\nfrontend statistics\n    mode http\n    bind {statistics}\n    stats enable\n    stats uri /\n"
        );
        fs::write(folder.path().join("conf"), config + &more)?;
        folder.give_away()?;
        let mut command = unpacked::command_as_nobody(NAME, "/usr/sbin/haproxy")?;
        command.args(["-db", "-f"]).arg(format!("{inside}/conf"));
        let process = Process::start(command)?;
        process.wait_for_port(listens, START).await?;
        process.wait_for_port(statistics, START).await?;
        Ok(Self {
            process,
            statistics,
            _folder: folder,
        })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until a server's health check has come to this: `L7OK/200` as its statistics have it.
    ///
    /// # Errors
    /// `TimedOut`, with what it came to instead.
    pub async fn wait_for_check(&self, backend: &str, server: &str, end: &str) -> io::Result<()> {
        let mut last = String::new();
        let looking = async {
            loop {
                last = self.check(backend, server).await?;
                if last == end {
                    return Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
        };
        match timeout(START, looking).await {
            Ok(done) => done,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the check of {backend}/{server} came to {last:?}"),
            )),
        }
    }

    /// What the last check of a server came to, and the status that it answered.
    async fn check(&self, backend: &str, server: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.statistics).await?;
        stream.write_all(b"GET /;csv HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
        let names = lines.next().unwrap_or("").trim_start_matches("# ");
        let names: Vec<_> = names.split(',').collect();
        let row = lines.map(|line| line.split(',').collect::<Vec<_>>());
        let column = |row: &[&str], name: &str| {
            let at = names.iter().position(|it| *it == name)?;
            row.get(at).map(|it| (*it).to_owned())
        };
        row.filter(|row| row.starts_with(&[backend, server]))
            .find_map(|row| {
                let (status, code) = (column(&row, "check_status")?, column(&row, "check_code")?);
                Some(format!("{status}/{code}"))
            })
            .ok_or_else(|| io::Error::other(format!("no {backend}/{server} in:\n{answer}")))
    }
}
