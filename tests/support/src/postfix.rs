//! Postfix, of two Debian suites: 3.7 has everything that SMTP has but logins, and a way to end a message that
//! it should not have; 3.11 or later has REQUIRETLS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use crate::certs::Certificate;
use crate::delivery;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "postfix";
/// The name of the newer one.
pub const NEWER: &str = "postfix-sid";
const START: Duration = Duration::from_secs(30);
/// Its user, and its group for queued messages.
const USER: u32 = 2001;
const DROP: u32 = 2002;
/// Who there is besides root; `smtp-sink` runs as nobody.
pub(crate) const USERS: [(&str, u32); 3] = [
    ("nobody", unpacked::NOBODY),
    ("postfix", USER),
    ("postdrop", DROP),
];
/// Its folders in the queue's that nobody else may look into.
const QUEUES: [&str; 11] = [
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
    "saved", "trace",
];
/// The programs that its master starts when they are needed.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

/// A running Postfix. It knows `grace@example.com` and `alan@example.com`, takes messages of up to a
/// million bytes, and passes none on.
#[derive(Debug)]
pub struct Postfix {
    _process: Process,
    plain: SocketAddr,
    folder: Folder,
}

impl Postfix {
    /// Starts a server that shows this certificate after STARTTLS.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(NAME, certificate)).await
    }

    /// The same of the newer one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_newer(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(NEWER, certificate)).await
    }

    async fn start_once(name: &str, certificate: &Certificate) -> io::Result<Self> {
        let folder = Folder::new(name)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain] = process::free_addresses()?;
        unpacked::write_users(name, &USERS)?;
        make_folders(at)?;
        fs::write(
            at.join("etc/chain.pem"),
            format!("{}{}", certificate.key_pem(), certificate.pem()),
        )?;
        fs::write(
            at.join("etc/main.cf"),
            format!(
                "compatibility_level = 3.6\n\
                 queue_directory = {inside}/spool\n\
                 data_directory = {inside}/lib\n\
                 daemon_directory = /usr/lib/postfix/sbin\n\
                 command_directory = /usr/sbin\n\
                 shlib_directory = /usr/lib/postfix\n\
                 meta_directory = /etc/postfix\n\
                 mail_owner = postfix\n\
                 setgid_group = postdrop\n\
                 myhostname = mail.jackfield.test\n\
                 inet_interfaces = {ip}\n\
                 inet_protocols = ipv4\n\
                 mydestination =\n\
                 mynetworks =\n\
                 virtual_mailbox_domains = example.com\n\
                 virtual_mailbox_base = {inside}/mail\n\
                 virtual_mailbox_maps = inline:{{ grace@example.com=grace/, alan@example.com=alan/ }}\n\
                 virtual_uid_maps = static:{USER}\n\
                 virtual_gid_maps = static:{USER}\n\
                 smtputf8_enable = yes\n\
                 smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
                 smtpd_peername_lookup = no\n\
                 smtpd_tls_chain_files = {inside}/etc/chain.pem\n\
                 smtpd_tls_security_level = may\n\
                 message_size_limit = 1000000\n\
                 maillog_file = {inside}/log\n\
                 maillog_file_prefixes = /tmp\n",
                ip = plain.ip(),
            ),
        )?;
        fs::write(
            at.join("etc/master.cf"),
            format!("{plain} inet n - n - - smtpd\n{SERVICES}"),
        )?;
        let mut command = unpacked::command(name, "/usr/lib/postfix/sbin/master")?;
        command.args(["-d", "-c", &format!("{inside}/etc")]);
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        Ok(Self {
            _process: process,
            plain,
            folder,
        })
    }

    /// Where it listens, and offers STARTTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Waits until so many messages have arrived for somebody, and half a second more for one that is
    /// too many; gives them in their order.
    ///
    /// # Errors
    /// When they don't arrive; the text shows what it wrote.
    pub async fn messages(&self, user: &str, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let folder = self.folder.path().join("mail").join(user).join("new");
        let log = self.folder.path().join("log");
        let log = || fs::read_to_string(log).unwrap_or_default();
        delivery::arrived(&folder, count, log).await
    }
}

fn make_folders(at: &Path) -> io::Result<()> {
    let make = |name: &str, mode: u32, owner: u32, group: u32| {
        let path = at.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        chown(&path, Some(owner), Some(group))
    };
    for name in ["etc", "spool", "spool/pid"] {
        make(name, 0o755, 0, 0)?;
    }
    for name in ["lib", "mail"] {
        make(name, 0o755, USER, USER)?;
    }
    for name in QUEUES {
        make(&format!("spool/{name}"), 0o700, USER, 0)?;
    }
    make("spool/maildrop", 0o730, USER, DROP)?;
    make("spool/public", 0o710, USER, DROP)
}
