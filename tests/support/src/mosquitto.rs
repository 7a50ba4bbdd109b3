//! Mosquitto: MQTT 3.1.1 and 5, with TLS, logins, access control, and sessions kept on disk.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process::{self, Process};

/// The program's name; Debian's package has the same.
pub const PROGRAM: &str = "mosquitto";
const PASSWORDS: &str = "mosquitto_passwd";
const START: Duration = Duration::from_secs(30);

/// Who may do what. Without users, everybody may do everything.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Those who may connect; when there are any, nobody else may.
    pub users: Vec<User>,
    /// More lines of `mosquitto.conf`, for all listeners.
    pub extra: Vec<String>,
}

impl Settings {
    /// With a listener for WebSockets, too, and no log: for one whose speed is measured.
    #[must_use]
    pub fn with_websocket(mut self, at: SocketAddr) -> Self {
        self.extra.extend([
            "log_type none".into(),
            "set_tcp_nodelay true".into(),
            // What is said from here on is of this listener.
            format!("listener {} {}", at.port(), at.ip()),
            "protocol websockets".into(),
        ]);
        self
    }
}

/// Somebody who may connect.
#[derive(Clone, Debug)]
pub struct User {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
    /// Lines of the access control file: `readwrite own/#`, `deny secret/#`.
    pub access: Vec<String>,
}

/// A running mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    directory: TempDir,
}

/// Whether the server is installed (Debian: `mosquitto`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Mosquitto {
    /// Starts a broker that shows this certificate at its TLS port. It keeps its sessions, retained
    /// messages and queues until it is dropped, over [restarts](Self::restart) too.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate, settings: &Settings) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate, settings)).await
    }

    async fn start_once(certificate: &Certificate, settings: &Settings) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let [plain, tls] = process::free_addresses()?;
        let files = certificate.write_to(directory.path(), "server")?;
        let at = directory.path().display();
        let access = access(&directory, &settings.users)?;
        let extra = settings.extra.join("\n");
        // Root gives up its rights unless it is told that this is meant; others ignore `user`.
        // What clients send is bounded by the tests, so its queues are not.
        fs::write(
            directory.path().join("mosquitto.conf"),
            format!(
                "user root\n\
                 log_dest stdout\n\
                 log_type all\n\
                 persistence true\n\
                 persistence_location {at}/\n\
                 autosave_interval 0\n\
                 max_queued_messages 0\n\
                 {access}{extra}\n\
                 listener {plain_port} {plain_ip}\n\
                 listener {tls_port} {tls_ip}\n\
                 certfile {certificate}\n\
                 keyfile {key}\n",
                plain_ip = plain.ip(),
                plain_port = plain.port(),
                tls_ip = tls.ip(),
                tls_port = tls.port(),
                certificate = files.certificate.display(),
                key = files.key.display(),
            ),
        )?;
        let process = run(&directory, plain, tls).await?;
        Ok(Self {
            process,
            plain,
            tls,
            directory,
        })
    }

    /// Ends it as an operator does, so that it saves what it keeps, and starts it again at the same
    /// ports.
    ///
    /// # Errors
    /// When it doesn't end, or doesn't get ready again.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.process.terminate(START).await?;
        self.process = run(&self.directory, self.plain, self.tls).await?;
        Ok(())
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

async fn run(directory: &TempDir, plain: SocketAddr, tls: SocketAddr) -> io::Result<Process> {
    let mut command = Command::new(process::require_program(PROGRAM)?);
    command
        .arg("-c")
        .arg(directory.path().join("mosquitto.conf"))
        .current_dir(directory.path());
    let process = Process::start(command)?;
    process.wait_for_port(plain, START).await?;
    process.wait_for_port(tls, START).await?;
    Ok(process)
}

/// The lines about users, and the files that they name.
fn access(directory: &TempDir, users: &[User]) -> io::Result<String> {
    if users.is_empty() {
        return Ok("allow_anonymous true\n".to_owned());
    }
    let passwords = directory.path().join("passwords");
    fs::write(&passwords, "")?;
    let mut rules = String::new();
    for user in users {
        let made = Command::new(process::require_program(PASSWORDS)?)
            .arg("-b")
            .arg(&passwords)
            .args([&user.name, &user.password])
            .output()?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(io::Error::other(format!("{PASSWORDS}: {said}")));
        }
        let _ = writeln!(rules, "user {}", user.name);
        for line in &user.access {
            let _ = writeln!(rules, "topic {line}");
        }
    }
    let path = directory.path().join("access");
    fs::write(&path, rules)?;
    Ok(format!(
        "allow_anonymous false\npassword_file {}\nacl_file {}\n",
        passwords.display(),
        path.display()
    ))
}
