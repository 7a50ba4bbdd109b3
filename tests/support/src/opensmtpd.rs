//! OpenSMTPD, of two Debian suites: a server that takes nothing ahead, and counts nothing. 6.8 has no TLS here: in
//! Debian it breaks each handshake off (`SSL routines::EVP lib`). 7.6 or later has TLS, and a login.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use crate::certs::Certificate;
use crate::delivery;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "opensmtpd";
/// The name of the newer one.
pub const NEWER: &str = "opensmtpd-7";
/// The user that mail is for, and those that it runs as.
const GRACE: u32 = 2003;
const USERS: [(&str, u32); 3] = [("opensmtpd", 2001), ("opensmtpq", 2002), ("grace", GRACE)];
const START: Duration = Duration::from_secs(30);

/// `correct horse`, as crypt(3) keeps it.
const PASSWORD: &str = "$6$Nd75a5DN9jrT6vyi$8JbL5afOA6pFHUAnqe9eOomcBPwtI3dGdfe4ENj.\
                        zbs1yMMKJq1HK9ZMUewV6nrjwWMjIw443MzTlmS8VeVYn.";

/// A running OpenSMTPD; there can be one of each at a time. It knows `grace@example.com`, takes messages of up
/// to a million bytes, and passes none on.
#[derive(Debug)]
pub struct OpenSmtpd {
    process: Process,
    plain: SocketAddr,
    folder: Folder,
}

impl OpenSmtpd {
    /// Starts a server that has neither TLS nor a login.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start() -> io::Result<Self> {
        process::with_retries(|| Self::start_once(NAME, None)).await
    }

    /// Starts the newer one. It shows this certificate after STARTTLS, and lets in `ada` with the password
    /// `correct horse`, but only over TLS.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_newer(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(NEWER, Some(certificate))).await
    }

    async fn start_once(name: &str, certificate: Option<&Certificate>) -> io::Result<Self> {
        let root = unpacked::root(name)?;
        let folder = Folder::new(name)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain] = process::free_addresses()?;
        unpacked::write_users(name, &USERS)?;
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
        let (mut security, mut on_listening) = (String::new(), "");
        if let Some(certificate) = certificate {
            folder.write_certificate(certificate)?;
            security = format!(
                r#"table logins {{ "ada" = "{PASSWORD}" }}
pki mail cert "{inside}/cert.pem"
pki mail key "{inside}/key.pem"
"#
            );
            on_listening = "tls pki mail auth-optional <logins>";
            // Whom it trusts as a client, which it never is: it doesn't start without.
            let trusted = root.join("etc/ssl/certs");
            fs::create_dir_all(&trusted)?;
            fs::write(trusted.join("ca-certificates.crt"), certificate.pem())?;
        }
        fs::write(
            at.join("conf"),
            format!(
                r#"{security}table known {{ "grace@example.com" }}
smtp max-message-size 1000000
listen on {ip} port {port} hostname mail.jackfield.test {on_listening}
action "box" maildir "{inside}/mail/Maildir"
match from any for domain "example.com" rcpt-to <known> action "box"
"#,
                ip = plain.ip(),
                port = plain.port(),
            ),
        )?;
        let mut command = unpacked::command(name, "/usr/sbin/smtpd")?;
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
        delivery::arrived(&folder, count, || self.process.output()).await
    }
}
