//! pymap: an IMAP server in Python that keeps everything in memory, with OBJECTID and MULTIAPPEND.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::runtimes;

/// Its only user.
pub const USER: &str = "ada";
/// The user's password.
pub const PASSWORD: &str = "correct-horse";
const START: Duration = Duration::from_secs(30);

/// A running pymap.
#[derive(Debug)]
pub struct Pymap {
    _process: Process,
    plain: SocketAddr,
    _folder: TempDir,
}

impl Pymap {
    /// Starts a server that shows this certificate after STARTTLS.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate)).await
    }

    async fn start_once(certificate: &Certificate) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let files = certificate.write_to(folder.path(), "server")?;
        let [plain] = process::free_addresses()?;
        let program = runtimes::python_program().with_file_name("pymap");
        let mut command = Command::new(program);
        command.arg(format!("--host={}", plain.ip()));
        command.arg(format!("--port={}", plain.port()));
        command.arg("--cert").arg(files.certificate);
        command.arg("--key").arg(files.key);
        command.args(["dict", "--demo-user", USER, "--demo-password", PASSWORD]);
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        Ok(Self {
            _process: process,
            plain,
            _folder: folder,
        })
    }

    /// Where it listens, and offers STARTTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }
}
