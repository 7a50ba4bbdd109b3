//! Cyrus 3.10: the IMAP server with the most extensions, IMAP4rev2 and UIDONLY among them; and LMTP, by which
//! mail is delivered to it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "cyrus";
/// Its users. Each has an inbox, which is made at the first log-in or delivery.
pub const USERS: [&str; 2] = ["ada", "grace"];
/// The password of each.
pub const PASSWORD: &str = "correct-horse";
const START: Duration = Duration::from_secs(30);

/// A running Cyrus.
#[derive(Debug)]
pub struct Cyrus {
    _process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    lmtp: SocketAddr,
    _folder: Folder,
}

impl Cyrus {
    /// Starts a server that shows this certificate, with PLAIN and SCRAM-SHA-256.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote, which is little: it writes
    /// to the system's log.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate)).await
    }

    async fn start_once(certificate: &Certificate) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let (at, inside) = (folder.path(), folder.inside());
        for name in ["spool", "socket", "db", "proc", "log", "msg"] {
            fs::create_dir(at.join(name))?;
        }
        let [plain, tls, lmtp] = process::free_addresses()?;
        folder.write_certificate(certificate)?;
        fs::write(
            at.join("imapd.conf"),
            format!(
                "configdirectory: {inside}
defaultpartition: default
partition-default: {inside}/spool
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {inside}/sasldb2
sasl_mech_list: PLAIN SCRAM-SHA-256
cyrus_user: nobody
admins: admin
servername: localhost
allowplaintext: yes
unixhierarchysep: yes
conversations: yes
autocreate_post: yes
autocreate_quota: 0
autocreate_inbox_folders: Sent|Drafts|Trash|Junk|Archive
autocreate_subscribe_folders: Sent|Drafts|Trash|Junk|Archive
xlist-sent: Sent
xlist-drafts: Drafts
xlist-trash: Trash
xlist-junk: Junk
xlist-archive: Archive
imapidlepoll: 1
tls_server_cert: {inside}/cert.pem
tls_server_key: {inside}/key.pem
"
            ),
        )?;
        fs::write(
            at.join("cyrus.conf"),
            format!(
                r#"START {{
  recover cmd="ctl_cyrusdb -r -C {inside}/imapd.conf"
}}
SERVICES {{
  imap cmd="imapd -C {inside}/imapd.conf" listen="{plain}" proto="tcp4" prefork=1
  imaps cmd="imapd -s -C {inside}/imapd.conf" listen="{tls}" proto="tcp4"
  lmtp cmd="lmtpd -a -C {inside}/imapd.conf" listen="{lmtp}" proto="tcp4"
}}
EVENTS {{
}}
"#
            ),
        )?;
        for user in USERS {
            let mut command = unpacked::command(NAME, "/usr/sbin/saslpasswd2")?;
            command.args(["-p", "-c", "-u", "localhost", "-f"]);
            command.arg(format!("{inside}/sasldb2")).arg(user);
            set_password(command)?;
        }
        folder.give_away()?;
        let mut command = unpacked::command_as_nobody(NAME, "/usr/lib/cyrus/bin/master")?;
        command.args(["-D", "-M", &format!("{inside}/cyrus.conf")]);
        command.args(["-C", &format!("{inside}/imapd.conf")]);
        command.args(["-p", &format!("{inside}/pid")]);
        let process = Process::start(command)?;
        for address in [plain, tls, lmtp] {
            process.wait_for_port(address, START).await?;
        }
        Ok(Self {
            _process: process,
            plain,
            tls,
            lmtp,
            _folder: folder,
        })
    }

    /// Where it listens without TLS; it offers no STARTTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it listens with TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Where it takes mail for its users by LMTP, from anybody.
    pub fn lmtp(&self) -> SocketAddr {
        self.lmtp
    }
}

fn set_password(mut command: Command) -> io::Result<()> {
    use std::io::Write as _;
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(PASSWORD.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("saslpasswd2: {said}")))
}
