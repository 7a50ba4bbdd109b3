//! `smtp-sink`, which comes with Postfix: a server that takes anything for anybody, by SMTP or LMTP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::delivery;
use crate::postfix;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

const START: Duration = Duration::from_secs(30);

/// A running `smtp-sink`. It has neither TLS nor a login that asks anything, and keeps what it takes, or nothing.
#[derive(Debug)]
pub struct Sink {
    process: Process,
    plain: SocketAddr,
    folder: Folder,
}

impl Sink {
    /// Starts a server of SMTP.
    ///
    /// # Errors
    /// When Postfix isn't unpacked, or it doesn't get ready; the text shows what it wrote.
    pub async fn smtp() -> io::Result<Self> {
        process::with_retries(|| Self::start_once(&[], true)).await
    }

    /// The same, which keeps nothing: it has no [`messages`](Self::messages).
    ///
    /// # Errors
    /// As [`smtp`](Self::smtp).
    pub async fn smtp_that_forgets() -> io::Result<Self> {
        process::with_retries(|| Self::start_once(&[], false)).await
    }

    /// Starts a server of LMTP.
    ///
    /// # Errors
    /// As [`smtp`](Self::smtp).
    pub async fn lmtp() -> io::Result<Self> {
        process::with_retries(|| Self::start_once(&["-L"], true)).await
    }

    async fn start_once(arguments: &[&str], keeps: bool) -> io::Result<Self> {
        let folder = Folder::new(postfix::NAME)?;
        let [plain] = process::free_addresses()?;
        unpacked::write_users(postfix::NAME, &postfix::USERS)?;
        folder.give_away()?;
        let mut command = unpacked::command(postfix::NAME, "/usr/sbin/smtp-sink")?;
        command.args(arguments);
        command.args(["-u", "nobody"]);
        if keeps {
            // A file for each message, which begins with the time.
            command.args(["-d", &format!("{}/%H%M%S.", folder.inside())]);
        }
        command.args([&format!("inet:{plain}"), "64"]);
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

    /// As [`Postfix::messages`](crate::postfix::Postfix::messages), for all together. Each begins with lines of
    /// its own, such as `X-Rcpt-Args: <grace@example.com>`.
    ///
    /// # Errors
    /// When they don't arrive; the text shows what it wrote.
    pub async fn messages(&self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let folder = self.folder.path();
        let arrived = delivery::arrived(folder, count, || self.process.output()).await;
        let mut messages = arrived?;
        for message in &mut messages {
            // It writes an empty line behind each.
            message.pop_if(|byte| *byte == b'\n');
        }
        Ok(messages)
    }
}
