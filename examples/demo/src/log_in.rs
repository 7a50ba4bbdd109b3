//! The example with a log-in: its back end in Node, and the relay beside it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jackfield_relayd::{Config, Relayd};
use jackfield_testing::process::{self, Process};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How long the back end may take to be there.
const START: Duration = Duration::from_secs(30);
/// The relay's configuration, of which only the addresses are others here.
const RELAY: &str = include_str!("../../log-in/relayd.toml");

/// What it stands on.
#[derive(Debug)]
pub struct Around<'a> {
    /// The folder of its page, as `cargo xtask web` makes it.
    pub page: &'a Path,
    /// Where the back end listens, at a port of 127.0.0.1; 0 is any.
    pub port: u16,
    /// Where the relay listens.
    pub relay: SocketAddr,
    /// An MQTT broker with TLS.
    pub broker: SocketAddr,
    /// Whom its certificate comes from, in PEM.
    pub roots: &'a str,
    /// For how many seconds a token is good.
    pub token_seconds: u32,
}

/// The back end and the relay. Dropping it ends both.
#[derive(Debug)]
pub struct LogIn {
    url: String,
    relay: JoinHandle<()>,
    relay_at: SocketAddr,
    // What the back end and the relay keep.
    _folder: TempDir,
    _backend: Process,
}

impl LogIn {
    /// Starts them.
    ///
    /// # Errors
    /// Where node is not there, or a port is taken.
    pub async fn start(around: &Around<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind(around.relay)?;
        let relay_at = listener.local_addr()?;
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, around.roots)?;
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../log-in/server.mjs");
        let mut backend = Command::new(process::find_program("node").context("node is not there")?);
        backend
            .arg(server)
            .env("PORT", around.port.to_string())
            .env("PAGE", around.page)
            .env("STATE", folder.path())
            .env("RELAY", format!("ws://{relay_at}/"))
            .env("BROKER", format!("mqtts://{}", around.broker))
            .env("ROOTS", &roots)
            .env("TOKEN_SECONDS", around.token_seconds.to_string());
        let backend = Process::start(backend)?;
        let line = backend.wait_for_line("listening at ", START).await;
        let line = line.with_context(|| backend.output())?;
        let url = line.split_ascii_whitespace().last().unwrap_or_default();

        let text = RELAY
            .replace("127.0.0.1:8007", &relay_at.to_string())
            .replace("http://127.0.0.1:8006", url.trim_end_matches('/'))
            .replace("127.0.0.1:8883", &around.broker.to_string());
        let file: PathBuf = folder.path().join("relayd.toml");
        std::fs::write(&file, text)?;
        let relay = Relayd::bind_with(Config::load(&file)?, vec![listener]).await?;
        Ok(Self {
            url: url.to_owned(),
            relay: tokio::spawn(relay.run(std::future::pending())),
            relay_at,
            _folder: folder,
            _backend: backend,
        })
    }

    /// The page's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The relay's.
    #[must_use]
    pub fn relay(&self) -> SocketAddr {
        self.relay_at
    }
}

impl Drop for LogIn {
    fn drop(&mut self) {
        self.relay.abort();
    }
}
