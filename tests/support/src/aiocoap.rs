//! aiocoap: CoAP over UDP, TCP and WebSocket in Python, with OSCORE and a few resources.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{self, Process};
use crate::runtimes;

const SOURCE: &str = include_str!("../python/aiocoap_server.py");
/// Where it puts its WebSocket listener, relative to the others.
const WEBSOCKET: u16 = 3000;
const START: Duration = Duration::from_secs(30);

/// What both sides of an OSCORE security context know.
#[derive(Clone, Debug)]
pub struct Oscore {
    /// The master secret.
    pub secret: Vec<u8>,
    /// The master salt.
    pub salt: Vec<u8>,
    /// The server's sender id: the client's recipient id.
    pub server_id: Vec<u8>,
    /// The server's recipient id: the client's sender id.
    pub client_id: Vec<u8>,
}

/// A running aiocoap, with these resources:
///
/// | path | |
/// |---|---|
/// | `/hello` | GET: `hello`, as text |
/// | `/value` | GET, PUT, DELETE: what was put; observable |
/// | `/ticks` | counts ten times a second while observed |
/// | `/echo` | POST, FETCH, PATCH, iPATCH: the method's name and the payload |
/// | `/slow` | GET: answers after half a second, separately |
/// | `/large` | GET, PUT: 1 MiB, of value index mod 251, until something else is put; tells Size1 |
/// | `/observers` | GET: how many observe `/ticks` |
/// | `/fading` | GET: how often it was asked for; observable, fresh for a second |
/// | `/counted` | GET: how often it was asked for; fresh for a minute |
/// | `/steady` | GET: `steady`, with an entity-tag, never fresh |
/// | `/forbidden` | GET: 4.03 with a diagnostic |
#[derive(Debug)]
pub struct Aiocoap {
    process: Process,
    plain: SocketAddr,
    websocket: SocketAddr,
    directory: TempDir,
    contexts: usize,
}

impl Aiocoap {
    /// Starts a server; what these security contexts protect, it answers too.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(contexts: &[Oscore]) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(contexts)).await
    }

    async fn start_once(contexts: &[Oscore]) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let [plain] = process::free_addresses()?;
        let port = plain.port().checked_add(WEBSOCKET);
        let port = port.ok_or(io::ErrorKind::BrokenPipe)?;
        let websocket = SocketAddr::new(plain.ip(), port);
        for (number, context) in contexts.iter().enumerate() {
            let folder = directory.path().join(number.to_string());
            fs::create_dir(&folder)?;
            context.write_to(&folder)?;
        }
        let contexts = contexts.len();
        let process = run(plain, &directory, contexts).await?;
        Ok(Self {
            process,
            plain,
            websocket,
            directory,
            contexts,
        })
    }

    /// Ends it without a chance to save anything, and starts it again at the same ports.
    ///
    /// # Errors
    /// When it doesn't end, or doesn't get ready again.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.process.terminate(START).await?;
        self.process = run(self.plain, &self.directory, self.contexts).await?;
        Ok(())
    }

    /// Where it listens for UDP and TCP.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it listens for WebSockets, at the path `/.well-known/coap`.
    pub fn websocket(&self) -> SocketAddr {
        self.websocket
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

async fn run(plain: SocketAddr, directory: &TempDir, contexts: usize) -> io::Result<Process> {
    let mut command = runtimes::python(SOURCE)?;
    command
        .arg(plain.ip().to_string())
        .arg(plain.port().to_string())
        .args((0..contexts).map(|number| directory.path().join(number.to_string())));
    let process = Process::start(command)?;
    process.wait_for_line("listening", START).await?;
    Ok(process)
}

impl Oscore {
    /// Writes the context as aiocoap reads it.
    fn write_to(&self, directory: &Path) -> io::Result<()> {
        let settings = serde_json::json!({
            "secret_hex": hex(&self.secret),
            "salt_hex": hex(&self.salt),
            "sender-id_hex": hex(&self.server_id),
            "recipient-id_hex": hex(&self.client_id),
        });
        fs::write(directory.join("settings.json"), settings.to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
