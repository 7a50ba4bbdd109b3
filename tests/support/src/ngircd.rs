//! ngIRCd 26: a server of the old school, with TLS but next to none of IRCv3.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process::{self, Process};

/// The program's name; Debian's package has the same.
pub const PROGRAM: &str = "ngircd";
const START: Duration = Duration::from_secs(30);

/// The group `ffdhe2048` of RFC 7919, appendix A.1. Without it the server makes a group of its own,
/// which takes seconds.
const DH_PARAMETERS: &str = "-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
";

/// A running ngIRCd.
#[derive(Debug)]
pub struct Ngircd {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    _directory: TempDir,
}

/// Whether the server is installed (Debian: `ngircd`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Ngircd {
    /// Starts a server that shows this certificate.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate)).await
    }

    async fn start_once(certificate: &Certificate) -> io::Result<Self> {
        let program = process::require_program(PROGRAM)?;
        let directory = tempfile::tempdir()?;
        let [plain, tls] = process::free_addresses()?;
        let files = certificate.write_to(directory.path(), "server")?;
        let dh = directory.path().join("dh.pem");
        fs::write(&dh, DH_PARAMETERS)?;
        let path = directory.path().join("ngircd.conf");
        fs::write(
            &path,
            format!(
                "[Global]
Name = irc.jackfield.test
Info = For tests
AdminInfo1 = nobody
Listen = 127.0.0.1
Ports = {plain}
MotdPhrase = Welcome
[Limits]
MaxConnectionsIP = 0
MaxPenaltyTime = 0
MaxNickLength = 30
MaxJoins = 100
[Options]
DNS = no
Ident = no
PAM = no
IncludeDir = {directory}
[SSL]
CertFile = {certificate}
KeyFile = {key}
DHFile = {dh}
Ports = {tls}
",
                plain = plain.port(),
                tls = tls.port(),
                directory = directory.path().display(),
                certificate = files.certificate.display(),
                key = files.key.display(),
                dh = dh.display(),
            ),
        )?;
        let mut command = Command::new(program);
        command.args(["-n", "-f"]).arg(&path);
        let process = Process::start(command)?;
        process.wait_for_line("ready.", START).await?;
        for address in [plain, tls] {
            let text = format!("Now listening on [{}]:{}", address.ip(), address.port());
            if process.wait_for_line(&text, Duration::ZERO).await.is_err() {
                return Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    format!("ngircd does not listen at {address}:\n{}", process.output()),
                ));
            }
        }
        Ok(Self {
            process,
            plain,
            tls,
            _directory: directory,
        })
    }

    /// Where it listens without TLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it listens with TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
