//! libcoap's example server: CoAP over UDP, TCP, DTLS and TLS.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Process};

/// The program's name; Debian's package is `libcoap3-bin`.
pub const PROGRAM: &str = "coap-server-openssl";
/// The pre-shared key that it takes, from any identity.
pub const KEY: &str = "sesame";
/// The hint that it gives about its key.
pub const HINT: &str = "CoAP";
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
}

/// Whether the server is installed (Debian: `libcoap3-bin`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Libcoap {
    /// Starts a server.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start() -> io::Result<Self> {
        process::with_retries(Self::start_once).await
    }

    async fn start_once() -> io::Result<Self> {
        let [plain, secure] = process::free_pair()?;
        let mut command = Command::new(process::require_program(PROGRAM)?);
        command
            .arg("-A")
            .arg(plain.ip().to_string())
            .arg("-p")
            .arg(plain.port().to_string())
            .args(["-k", KEY, "-h", HINT, "-d", RESOURCES, "-v", "5"]);
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
