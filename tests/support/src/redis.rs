//! Redis, with TLS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "redis";
/// The password that it asks for.
pub const PASSWORD: &str = "correct-horse";
const START: Duration = Duration::from_secs(30);

/// A running Redis that keeps nothing.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    folder: Folder,
}

impl Redis {
    /// Starts a server that shows this certificate.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate)).await
    }

    async fn start_once(certificate: &Certificate) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let inside = folder.inside();
        let [plain, tls] = process::free_addresses()?;
        folder.write_certificate(certificate)?;
        let (ip, port, tls_port) = (plain.ip(), plain.port(), tls.port());
        fs::write(
            folder.path().join("conf"),
            format!(
                "bind {ip}\nport {port}\ntls-port {tls_port}\nunixsocket {inside}/redis.sock\nunixsocketperm 777\ndir {inside}\nsave \"\"\nrequirepass {PASSWORD}\n\
                 tls-cert-file {inside}/cert.pem\ntls-key-file {inside}/key.pem\ntls-auth-clients no\n"
            ),
        )?;
        folder.give_away()?;
        let process = run(&folder, tls).await?;
        Ok(Self {
            process,
            plain,
            tls,
            folder,
        })
    }

    /// Kills it, with all that it holds.
    ///
    /// # Errors
    /// Where it is gone already.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Starts it again where it was, when it was [killed](Self::kill). It has forgotten everything.
    ///
    /// # Errors
    /// Where it doesn't get ready, since somebody took its ports, say.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.process = run(&self.folder, self.tls).await?;
        Ok(())
    }

    /// Has it do something: commands as one types them, and what it answers, as RESP.
    ///
    /// # Errors
    /// Where it can't be reached.
    pub async fn ask(&self, commands: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.plain).await?;
        let all = format!("AUTH {PASSWORD}\r\n{}\r\nQUIT\r\n", commands.join("\r\n"));
        stream.write_all(all.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Where it listens, without TLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// The socket at which it listens besides.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Where it listens with TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }
}

async fn run(folder: &Folder, tls: SocketAddr) -> io::Result<Process> {
    let mut command = unpacked::command_as_nobody(NAME, "/usr/bin/redis-server")?;
    command.arg(format!("{}/conf", folder.inside()));
    let process = Process::start(command)?;
    process.wait_for_port(tls, START).await?;
    Ok(process)
}
