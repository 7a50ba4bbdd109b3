//! PostgreSQL, with TLS after a question in plaintext.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "postgresql";
/// Who is let in, who owns all.
pub const USER: &str = "ada";
/// Its password.
pub const PASSWORD: &str = "correct horse";
/// Where its programs are.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const START: Duration = Duration::from_mins(1);

/// A running PostgreSQL with an empty database, `postgres`.
#[derive(Debug)]
pub struct Postgresql {
    _process: Process,
    at: SocketAddr,
    _folder: Folder,
}

impl Postgresql {
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
        let [at] = process::free_addresses()?;
        folder.write_certificate(certificate)?;
        fs::write(folder.path().join("password"), PASSWORD)?;
        folder.give_away()?;
        let mut make = unpacked::command_as_nobody(NAME, &format!("{PROGRAMS}/initdb"))?;
        make.args(["-D", &format!("{inside}/data"), "-U", USER]);
        make.arg(format!("--pwfile={inside}/password"));
        make.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        make.arg("--no-sync");
        let made = make.output()?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(io::Error::other(said));
        }
        let mut command = unpacked::command_as_nobody(NAME, &format!("{PROGRAMS}/postgres"))?;
        command.args(["-D", &format!("{inside}/data")]);
        for setting in [
            format!("listen_addresses={}", at.ip()),
            format!("port={}", at.port()),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={inside}/cert.pem"),
            format!("ssl_key_file={inside}/key.pem"),
        ] {
            command.args(["-c", &setting]);
        }
        let process = Process::start(command)?;
        process
            .wait_for_line("database system is ready", START)
            .await?;
        Ok(Self {
            _process: process,
            at,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }
}
