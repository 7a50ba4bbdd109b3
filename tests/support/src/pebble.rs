//! Pebble, a certificate authority for tests that speaks ACME and forgets everything when it ends.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "pebble";
const START: Duration = Duration::from_secs(30);

/// A running Pebble.
#[derive(Debug)]
pub struct Pebble {
    process: Option<Process>,
    directory: SocketAddr,
    management: SocketAddr,
    folder: Folder,
}

impl Pebble {
    /// Starts one whose own server shows this certificate. It looks for challenges at this port, where
    /// `localhost` is 127.0.0.1, and what it issues is good for so long; in whole seconds.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(
        certificate: &Certificate,
        looks_at: u16,
        good_for: Duration,
    ) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate, looks_at, good_for)).await
    }

    async fn start_once(
        certificate: &Certificate,
        looks_at: u16,
        good_for: Duration,
    ) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let inside = folder.inside();
        let [directory, management] = process::free_addresses()?;
        folder.write_certificate(certificate)?;
        let config = serde_json::json!({ "pebble": {
            "listenAddress": directory.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": format!("{inside}/cert.pem"),
            "privateKey": format!("{inside}/key.pem"),
            // Nobody is there.
            "httpPort": 1,
            "tlsPort": looks_at,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": good_for.as_secs(),
        }});
        fs::write(folder.path().join("conf"), config.to_string())?;
        folder.give_away()?;
        let mut pebble = Self {
            process: None,
            directory,
            management,
            folder,
        };
        pebble.begin().await?;
        Ok(pebble)
    }

    async fn begin(&mut self) -> io::Result<()> {
        let mut command = unpacked::command_as_nobody(NAME, "/usr/bin/pebble")?;
        command
            .arg("-config")
            .arg(format!("{}/conf", self.folder.inside()))
            // Otherwise it waits for up to 15 s before it looks.
            .env("PEBBLE_VA_NOSLEEP", "1");
        let process = Process::start(command)?;
        process.wait_for_port(self.directory, START).await?;
        process.wait_for_port(self.management, START).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Starts it again, and from now on it makes accounts only for who is known elsewhere by this identifier and this
    /// key in base64url (external account binding).
    ///
    /// # Errors
    /// As those of [`start`](Self::start).
    pub async fn require_account(&mut self, (id, key): (&str, &str)) -> io::Result<()> {
        let conf = self.folder.path().join("conf");
        let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&conf)?)?;
        config["pebble"]["externalAccountBindingRequired"] = true.into();
        config["pebble"]["externalAccountMACKeys"] = serde_json::json!({ id: key });
        fs::write(conf, config.to_string())?;
        self.start_again().await
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was, with another root; it knows none of its accounts any more.
    ///
    /// # Errors
    /// As those of [`start`](Self::start).
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.stop();
        self.begin().await
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.directory)
    }

    /// The root of what it issues, in PEM. It is another one whenever it starts.
    ///
    /// # Errors
    /// Where curl can't ask for it.
    pub fn root(&self) -> io::Result<String> {
        let mut command = Command::new(process::require_program("curl")?);
        command
            .args(["--silent", "--show-error", "--fail", "--cacert"])
            .arg(self.folder.path().join("cert.pem"))
            .arg(format!("https://{}/roots/0", self.management));
        let root = process::output_of(command)?;
        String::from_utf8(root).map_err(io::Error::other)
    }
}
