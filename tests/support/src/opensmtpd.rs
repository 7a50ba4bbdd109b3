//! OpenSMTPD 6.8: a server that takes nothing ahead, and counts nothing.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "opensmtpd";
/// The user that mail is for, and those that it runs as.
const GRACE: u32 = 2003;
const USERS: [(&str, u32); 3] = [("opensmtpd", 2001), ("opensmtpq", 2002), ("grace", GRACE)];
const START: Duration = Duration::from_secs(30);

/// A running OpenSMTPD; there can be one at a time. It has no TLS and no login: it knows
/// `grace@example.com`, takes messages of up to a million bytes, and passes none on.
#[derive(Debug)]
pub struct OpenSmtpd {
    process: Process,
    plain: SocketAddr,
    folder: Folder,
}

impl OpenSmtpd {
    /// Starts a server.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start() -> io::Result<Self> {
        process::with_retries(Self::start_once).await
    }

    async fn start_once() -> io::Result<Self> {
        let root = unpacked::root(NAME)?;
        let folder = Folder::new(NAME)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain] = process::free_addresses()?;
        unpacked::write_users(NAME, &USERS)?;
        // Where it has its socket and its queue, whatever its configuration says.
        for name in ["var/run", "var/lib/opensmtpd/empty"] {
            fs::create_dir_all(root.join(name))?;
        }
        let queue = root.join("var/spool/smtpd");
        if queue.exists() {
            fs::remove_dir_all(&queue)?;
        }
        fs::create_dir_all(&queue)?;
        fs::set_permissions(&queue, PermissionsExt::from_mode(0o711))?;
        let mail = at.join("mail");
        fs::create_dir(&mail)?;
        chown(&mail, Some(GRACE), Some(GRACE))?;
        fs::write(
            at.join("conf"),
            format!(
                r#"table known {{ "grace@example.com" }}
smtp max-message-size 1000000
listen on {ip} port {port} hostname mail.jackfield.test
action "box" maildir "{inside}/mail/Maildir"
match from any for domain "example.com" rcpt-to <known> action "box"
"#,
                ip = plain.ip(),
                port = plain.port(),
            ),
        )?;
        let mut command = unpacked::command(NAME, "/usr/sbin/smtpd")?;
        command.args(["-d", "-f", &format!("{inside}/conf")]);
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        Ok(Self {
            process,
            plain,
            folder,
        })
    }

    /// Where it listens.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// As [`Postfix::messages`](crate::postfix::Postfix::messages), for grace.
    ///
    /// # Errors
    /// When they don't arrive; the text shows what it wrote.
    pub async fn messages(&self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let folder = self.folder.path().join("mail/Maildir/new");
        let arrived = process::arrived(&folder, count, START).await;
        arrived.map_err(|error| {
            io::Error::new(error.kind(), format!("{error}\n{}", self.process.output()))
        })
    }
}
