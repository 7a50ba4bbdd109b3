//! Dovecot 2.4: UTF-8 in names and headers, logins that are bound to the TLS connection, and REPLACE.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::certs::Certificate;
use crate::dovecot::COMMON;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "dovecot-2.4";
/// The password of every user, whatever the name.
pub const PASSWORD: &str = "correct-horse";
const START: Duration = Duration::from_secs(30);

/// A running Dovecot 2.4. Any user may log in, and has a mailbox of its own.
#[derive(Debug)]
pub struct Dovecot24 {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    _folder: Folder,
}

impl Dovecot24 {
    /// Starts a server that shows this certificate, with mechanisms such as `plain scram-sha-256-plus`.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate, mechanisms: &str) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate, mechanisms)).await
    }

    async fn start_once(certificate: &Certificate, mechanisms: &str) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain, tls] = process::free_addresses()?;
        folder.write_certificate(certificate)?;
        fs::write(
            at.join("dovecot.conf"),
            format!(
                "dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = {inside}/run
state_dir = {inside}/state
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
log_path = /dev/stderr
listen = 127.0.0.1
protocols = imap
ssl = yes
ssl_server_cert_file = {inside}/cert.pem
ssl_server_key_file = {inside}/key.pem
auth_allow_cleartext = yes
auth_mechanisms = {mechanisms}
mail_driver = sdbox
mail_path = {inside}/mail/%{{user}}
mail_home = {inside}/home/%{{user}}
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
mail_utf8_extensions = yes
mail_attribute {{
  dict file {{
    path = {inside}/attributes-%{{user}}
  }}
}}
imap_metadata = yes
protocol imap {{
  mail_plugins {{
    quota = yes
    imap_quota = yes
  }}
}}
quota user {{
  driver = count
  quota_storage_size = 10M
}}
passdb static {{
  password = {PASSWORD}
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
  }}
}}
{COMMON}service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
",
                plain_port = plain.port(),
                tls_port = tls.port(),
            ),
        )?;
        folder.give_away()?;
        let mut command = unpacked::command_as_nobody(NAME, "/usr/sbin/dovecot")?;
        command.args(["-F", "-c", &format!("{inside}/dovecot.conf")]);
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        process.wait_for_port(tls, START).await?;
        Ok(Self {
            process,
            plain,
            tls,
            _folder: folder,
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
