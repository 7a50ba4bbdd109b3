//! InspIRCd 3: TLS, the IRCv3 capabilities, and a port for [services](crate::atheme).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process::{self, Process};

/// The name that the server gives itself.
pub const SERVER_NAME: &str = "irc.jackfield.test";
/// What the server and its services tell each other.
pub(crate) const LINK_PASSWORD: &str = "between-server-and-services";
/// The name that the services have to give themselves.
pub(crate) const SERVICES_NAME: &str = "services.jackfield.test";

/// The program's name; Debian's package has the same.
pub const PROGRAM: &str = "inspircd";
const READY: &str = "is now running as";
const START: Duration = Duration::from_secs(30);

/// Loaded one after the other; `spanningtree` first, since services need it.
const MODULES: [&str; 27] = [
    "spanningtree",
    "cap",
    "ircv3",
    "ircv3_accounttag",
    "ircv3_batch",
    "ircv3_capnotify",
    "ircv3_chghost",
    "ircv3_ctctags",
    "ircv3_echomessage",
    "ircv3_invitenotify",
    "ircv3_labeledresponse",
    "ircv3_msgid",
    "ircv3_servertime",
    "monitor",
    "namesx",
    "uhnames",
    "setname",
    "sasl",
    "services_account",
    "servprotect",
    "hidechans",
    "ssl_gnutls",
    "sslinfo",
    "starttls",
    "customprefix",
    "svshold",
    "topiclock",
];

/// A running InspIRCd.
#[derive(Debug)]
pub struct Inspircd {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    services: SocketAddr,
    _directory: TempDir,
}

/// Whether the server is installed (Debian: `inspircd`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Inspircd {
    /// Starts a server that shows this certificate, and asks clients for one.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate, None)).await
    }

    /// The same, with TLS at this address.
    ///
    /// # Errors
    /// As [`start`](Self::start), and where something else has the address.
    pub async fn start_at(certificate: &Certificate, tls: SocketAddr) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate, Some(tls))).await
    }

    async fn start_once(certificate: &Certificate, at: Option<SocketAddr>) -> io::Result<Self> {
        let program = process::require_program(PROGRAM)?;
        let directory = tempfile::tempdir()?;
        let [plain, free, services] = process::free_addresses()?;
        let tls = at.unwrap_or(free);
        let files = certificate.write_to(directory.path(), "server")?;
        let path = directory.path().join("inspircd.conf");
        let at = directory.path().display();
        let modules = MODULES
            .map(|name| format!("<module name=\"{name}\">"))
            .join("\n");
        fs::write(
            &path,
            format!(
                r#"<config format="xml">
<server name="{SERVER_NAME}" description="For tests" network="Jackfield" id="0JF">
<admin name="Nobody" nick="nobody" email="nobody@jackfield.test">
<bind address="{plain_ip}" port="{plain_port}" type="clients">
<bind address="{tls_ip}" port="{tls_port}" type="clients" sslprofile="tls">
<bind address="{services_ip}" port="{services_port}" type="servers">
{modules}
<sslprofile name="tls" provider="gnutls" certfile="{certificate}" keyfile="{key}" hash="sha256" requestclientcert="yes">
<starttls provider="tls">
# No flood protection: that would make tests slow, and what tests it brings its own.
<connect name="main" allow="*" timeout="30" pingfreq="120" hardsendq="1M" softsendq="256K" recvq="64K" threshold="1000" commandrate="1000000" fakelag="no" localmax="500" globalmax="500" limit="1000" resolvehostnames="no">
# `o` is not the channel's: who founds it becomes its operator.
<options prefixquit="Quit: " defaultmodes="not">
<performance softlimit="1000">
<pid file="{at}/inspircd.pid">
<limits maxnick="30">
<sasl target="{SERVICES_NAME}" requiressl="no">
# Modes that services of this kind expect to find.
<customprefix name="founder" letter="q" prefix="~" rank="50000" ranktoset="50000">
<customprefix name="admin" letter="a" prefix="&amp;" rank="40000" ranktoset="50000">
<customprefix name="halfop" letter="h" prefix="%" rank="20000" ranktoset="30000">
<uline server="{SERVICES_NAME}" silent="yes">
<link name="{SERVICES_NAME}" ipaddr="127.0.0.1" port="{services_port}" allowmask="127.0.0.0/8" sendpass="{LINK_PASSWORD}" recvpass="{LINK_PASSWORD}">
"#,
                plain_ip = plain.ip(),
                plain_port = plain.port(),
                tls_ip = tls.ip(),
                tls_port = tls.port(),
                services_ip = services.ip(),
                services_port = services.port(),
                certificate = files.certificate.display(),
                key = files.key.display(),
            ),
        )?;
        let mut command = Command::new(program);
        // `--runasroot` permits what it would refuse in a container; elsewhere it changes nothing.
        command
            .args(["--nofork", "--nolog", "--runasroot", "--config"])
            .arg(&path)
            .current_dir(directory.path());
        let process = Process::start(command)?;
        process.wait_for_line(READY, START).await?;
        if let Ok(line) = process
            .wait_for_line("Address already in use", Duration::ZERO)
            .await
        {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, line));
        }
        process.wait_for_port(tls, START).await?;
        Ok(Self {
            process,
            plain,
            tls,
            services,
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

    /// Where it awaits its services.
    pub fn services(&self) -> SocketAddr {
        self.services
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
