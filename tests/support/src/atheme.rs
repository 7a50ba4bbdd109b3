//! Atheme 7.2, the services that give [InspIRCd](crate::inspircd) accounts and SASL.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::inspircd::{Inspircd, LINK_PASSWORD, SERVER_NAME, SERVICES_NAME};
use crate::process::{self, Process};

/// The program's name; Debian's package has the same.
pub const PROGRAM: &str = "atheme-services";
/// Written once both servers know all of each other.
const READY: &str = "finished synching with uplink";
const START: Duration = Duration::from_secs(30);

const MODULES: [&str; 9] = [
    "protocol/inspircd",
    "backend/opensex",
    "crypto/posix",
    "nickserv/main",
    "nickserv/identify",
    "nickserv/cert",
    "saslserv/main",
    "saslserv/plain",
    "saslserv/external",
];

/// An account that the services know from the start.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its password, for SASL PLAIN.
    pub password: String,
    /// The [fingerprint](crate::certs::Certificate::fingerprint) of its certificate, for SASL
    /// EXTERNAL.
    pub fingerprint: Option<String>,
}

/// Running services. They must be dropped before their server, or they wait for its return.
#[derive(Debug)]
pub struct Atheme {
    process: Process,
    _directory: TempDir,
}

/// Whether the services are installed (Debian: `atheme-services`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Atheme {
    /// Starts services for a server, and waits until the server offers SASL.
    ///
    /// # Errors
    /// When they aren't installed or don't get ready; the text shows what they wrote.
    pub async fn start(server: &Inspircd, accounts: &[Account]) -> io::Result<Self> {
        let program = process::require_program(PROGRAM)?;
        let directory = tempfile::tempdir()?;
        let configuration = directory.path().join("atheme.conf");
        fs::write(&configuration, configure(server))?;
        fs::write(directory.path().join("services.db"), database(accounts)?)?;
        let mut command = Command::new(program);
        command
            .arg("-n")
            .arg("-c")
            .arg(&configuration)
            .arg("-D")
            .arg(directory.path())
            .arg("-p")
            .arg(directory.path().join("atheme.pid"))
            .arg("-l")
            .arg(directory.path().join("atheme.log"))
            .current_dir(directory.path());
        let process = Process::start(command)?;
        process.wait_for_line(READY, START).await?;
        Ok(Self {
            process,
            _directory: directory,
        })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn configure(server: &Inspircd) -> String {
    let uplink = server.services();
    let modules = MODULES
        .map(|name| format!("loadmodule \"modules/{name}\";"))
        .join("\n");
    format!(
        r#"{modules}
serverinfo {{
    name = "{SERVICES_NAME}"; desc = "For tests"; numeric = "00A"; netname = "Jackfield";
    adminname = "nobody"; adminemail = "nobody@jackfield.test";
    registeremail = "nobody@jackfield.test"; mta = "/bin/true";
    hidehostsuffix = "users.jackfield.test"; casemapping = rfc1459; auth = none; recontime = 1;
    loglevel = {{ error; info; network; }};
    maxcertfp = 5; maxlogins = 100; maxusers = 0; mdlimit = 30; emaillimit = 10; emailtime = 300;
}};
uplink "{SERVER_NAME}" {{
    host = "{host}"; port = {port};
    send_password = "{LINK_PASSWORD}"; receive_password = "{LINK_PASSWORD}";
}};
nickserv {{ nick = "NickServ"; user = "NickServ"; host = "{SERVICES_NAME}"; real = "Nicknames"; }};
saslserv {{ nick = "SaslServ"; user = "SaslServ"; host = "{SERVICES_NAME}"; real = "SASL"; }};
general {{ permissive_mode; commit_interval = 5; }};
"#,
        host = uplink.ip(),
        port = uplink.port(),
    )
}

/// The services' own file format: one record a line, fields divided by spaces.
fn database(accounts: &[Account]) -> io::Result<String> {
    let mut text = String::from("DBV 12\nMDEP opensex\n");
    for (number, account) in accounts.iter().enumerate() {
        let Account {
            name,
            password,
            fingerprint,
        } = account;
        if [name, password]
            .iter()
            .any(|field| field.is_empty() || field.contains(char::is_whitespace))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an account's name and password must be words",
            ));
        }
        // An entity's id is nine characters. The flag `C`, absent here, would say that the
        // password is encrypted; `s` hides the e-mail address.
        let _ = writeln!(
            text,
            "MU AAAAA{number:04} {name} {password} {name}@jackfield.test 1700000000 1700000000 +s default"
        );
        let _ = writeln!(text, "MN {name} {name} 1700000000 1700000000");
        if let Some(fingerprint) = fingerprint {
            let _ = writeln!(text, "MCFP {name} {fingerprint}");
        }
    }
    Ok(text)
}
