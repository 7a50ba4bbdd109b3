//! libcoap's example server: CoAP over UDP, TCP, DTLS and TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process::{self, Process};

/// The program's name; Debian's package is `libcoap3-bin`.
pub const PROGRAM: &str = "coap-server-openssl";
/// The pre-shared key that it takes, from any identity.
pub const KEY: &str = "sesame";
/// The hint that it gives about its key.
pub const HINT: &str = "CoAP";
/// The name of one that is a proxy.
pub const PROXY: &str = "proxy.example";
/// How many resources clients may create.
const RESOURCES: &str = "16";
const START: Duration = Duration::from_secs(10);

/// A running server, with `/`, `/time` (observable), `/async` (`?2` answers after two seconds) and
/// `/example_data`; a PUT anywhere else creates a resource.
#[derive(Debug)]
pub struct Libcoap {
    process: Process,
    plain: SocketAddr,
    secure: SocketAddr,
    _directory: TempDir,
}

/// Whether the server is installed (Debian: `libcoap3-bin`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Libcoap {
    /// Starts a server that has a key only.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start() -> io::Result<Self> {
        process::with_retries(|| Self::start_once(None, &[])).await
    }

    /// Starts a server that has a certificate too.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(Some(certificate), &[])).await
    }

    /// Starts a server that is a proxy too, except for what is on [`PROXY`].
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_as_proxy() -> io::Result<Self> {
        let names = format!(",{PROXY}");
        let extra = ["-P", &names];
        process::with_retries(|| Self::start_once(None, &extra)).await
    }

    /// Starts a server that listens everywhere, and in this group of IPv4 on an interface. For a
    /// [namespace](crate::namespace), where everywhere is nowhere else.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_in_group(group: Ipv4Addr, interface: &str) -> io::Result<Self> {
        let group = group.to_string();
        // The later address counts.
        let extra = ["-A", "0.0.0.0", "-g", &group, "-G", interface];
        process::with_retries(|| Self::start_once(None, &extra)).await
    }

    async fn start_once(certificate: Option<&Certificate>, extra: &[&str]) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let [plain, secure] = process::free_pair()?;
        let mut command = Command::new(process::require_program(PROGRAM)?);
        command
            .arg("-A")
            .arg(plain.ip().to_string())
            .arg("-p")
            .arg(plain.port().to_string())
            .args(["-k", KEY, "-h", HINT, "-d", RESOURCES, "-v", "5"])
            .args(extra);
        if let Some(certificate) = certificate {
            let files = certificate.write_to(directory.path(), "server")?;
            command.arg("-c").arg(files.certificate);
            // Clients need none of their own.
            command.arg("-j").arg(files.key).arg("-n");
        }
        let process = Process::start(command)?;
        // TLS is the last that it listens for; the others stand by then. Where one of its ports is
        // taken, it goes on with the rest.
        let listening = process.wait_for_port(secure, START).await;
        if listening.is_err() || process.output().contains("already in use") {
            let output = process.output();
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, output));
        }
        Ok(Self {
            process,
            plain,
            secure,
            _directory: directory,
        })
    }

    /// Where it listens for UDP and TCP.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it listens for DTLS and TLS.
    pub fn secure(&self) -> SocketAddr {
        self.secure
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
