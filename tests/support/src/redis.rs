//! Redis, with TLS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

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
    _process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    _folder: Folder,
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
                "bind {ip}\nport {port}\ntls-port {tls_port}\ndir {inside}\nsave \"\"\nrequirepass {PASSWORD}\n\
                 tls-cert-file {inside}/cert.pem\ntls-key-file {inside}/key.pem\ntls-auth-clients no\n"
            ),
        )?;
        folder.give_away()?;
        let mut command = unpacked::command_as_nobody(NAME, "/usr/bin/redis-server")?;
        command.arg(format!("{inside}/conf"));
        let process = Process::start(command)?;
        process.wait_for_port(tls, START).await?;
        Ok(Self {
            _process: process,
            plain,
            tls,
            _folder: folder,
        })
    }

    /// Where it listens, without TLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it listens with TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }
}
