//! Dovecot 2.3: an IMAP server with most of what there is.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process::{self, Process};

/// The program's name; Debian's package with IMAP is `dovecot-imapd`.
pub const PROGRAM: &str = "dovecot";
/// The password of every user, whatever the name.
pub const PASSWORD: &str = "correct-horse";
/// What its configuration has in the language of 2.3 and of 2.4: a mailbox that is there from the beginning, and
/// no service in a root of its own.
pub(crate) const COMMON: &str = "\
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service dict {
  chroot =
}
";
const START: Duration = Duration::from_secs(30);
/// Who runs it where the tests run as root: it refuses to be that.
const NOBODY: (u32, &str, &str) = (65534, "nobody", "nogroup");

/// A running Dovecot. Any user may log in, and has a mailbox of its own.
#[derive(Debug)]
pub struct Dovecot {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    _directory: TempDir,
}

/// Whether the server is installed (Debian: `dovecot-imapd`).
pub fn is_installed() -> bool {
    process::find_program(PROGRAM).is_some()
}

impl Dovecot {
    /// Starts a server that shows this certificate, with mechanisms such as `plain scram-sha-256`.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate, mechanisms: &str) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate, mechanisms)).await
    }

    async fn start_once(certificate: &Certificate, mechanisms: &str) -> io::Result<Self> {
        let program = process::require_program(PROGRAM)?;
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        let [plain, tls] = process::free_addresses()?;
        let files = certificate.write_to(at, "server")?;
        let is_root = rustix::process::geteuid().is_root();
        let (user, group) = if is_root {
            (NOBODY.1.to_owned(), NOBODY.2.to_owned())
        } else {
            (own_name("-un")?, own_name("-gn")?)
        };
        let config = at.join("dovecot.conf");
        fs::write(
            &config,
            format!(
                "base_dir = {at}/run
state_dir = {at}/state
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
log_path = /dev/stderr
listen = 127.0.0.1
protocols = imap
mail_plugins = quota acl
protocol imap {{
  mail_plugins = quota acl imap_quota imap_acl imap_zlib
  imap_metadata = yes
}}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
mail_location = sdbox:{at}/mail/%u
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
mail_attribute_dict = file:{at}/attributes-%u
plugin {{
  quota = count:User quota
  quota_rule = *:storage=100G
  quota_vsizes = yes
  acl = vfile
}}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={at}/home/%u
}}
{COMMON}service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
",
                at = at.display(),
                certificate = files.certificate.display(),
                key = files.key.display(),
                plain_port = plain.port(),
                tls_port = tls.port(),
            ),
        )?;
        let mut command = if is_root {
            give_away(at)?;
            let mut command = Command::new(process::require_program("setpriv")?);
            let id = NOBODY.0;
            command.args([format!("--reuid={id}"), format!("--regid={id}")]);
            command.arg("--clear-groups").arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(["-F", "-c"]).arg(&config).current_dir(at);
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        process.wait_for_port(tls, START).await?;
        Ok(Self {
            process,
            plain,
            tls,
            _directory: directory,
        })
    }

    /// Where it listens without TLS; it offers STARTTLS there.
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

/// Gives a folder and the files in it to whom the server runs as.
fn give_away(folder: &Path) -> io::Result<()> {
    let owner = Some(NOBODY.0);
    chown(folder, owner, owner)?;
    for entry in fs::read_dir(folder)? {
        chown(entry?.path(), owner, owner)?;
    }
    Ok(())
}

/// The name of who runs this, or of the group.
fn own_name(which: &str) -> io::Result<String> {
    let output = Command::new("id").arg(which).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
