//! aiosmtpd: SMTP in Python, with a login and TLS, and nothing that speeds it up.

use std::io;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::delivery;
use crate::process::Process;
use crate::runtimes;

const SOURCE: &str = include_str!("../python/aiosmtpd_server.py");

/// A running aiosmtpd. It lets in `ada` with the password `correct horse`, and nobody else; it takes
/// messages for all but `nobody@`, of up to a million bytes.
#[derive(Debug)]
pub struct Aiosmtpd {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    free: SocketAddr,
    folder: TempDir,
}

impl Aiosmtpd {
    /// Starts a server that shows this certificate.
    ///
    /// # Errors
    /// When it isn't installed or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let files = certificate.write_to(folder.path(), "server")?;
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail)?;
        let mut command = runtimes::python(SOURCE)?;
        command.arg(mail).arg(files.certificate).arg(files.key);
        let process = Process::start(command)?;
        let [plain, tls, free] = runtimes::listening(&process).await?;
        Ok(Self {
            process,
            plain,
            tls,
            free,
            folder,
        })
    }

    /// Where it listens, and offers STARTTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it listens with TLS from the start.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Where it listens, offers STARTTLS, and asks nobody to log in.
    pub fn free(&self) -> SocketAddr {
        self.free
    }

    /// As [`Postfix::messages`](crate::postfix::Postfix::messages), for all users together.
    ///
    /// # Errors
    /// When they don't arrive; the text shows what it wrote.
    pub async fn messages(&self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let folder = self.folder.path().join("mail");
        delivery::arrived(&folder, count, || self.process.output()).await
    }
}
