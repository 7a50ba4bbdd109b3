//! Courier 5.0: the poor server. It has next to no extensions, wants every mailbox below `INBOX.`, and calls a
//! syntax error a refusal.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::certs::Certificate;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder, NOBODY};

/// The name that it was unpacked by.
pub const NAME: &str = "courier";
/// Its only user.
pub const USER: &str = "ada";
/// The user's password.
pub const PASSWORD: &str = "correct-horse";
/// `openssl passwd -6 -salt jackfield` of it.
const PASSWORD_HASH: &str = "$6$jackfield$LipfdPvwkiNYgEUV34j6mxDm.sZCnb0RISijH7DuazurONvsAKgJ6jthBbHXzyrpG.HbXkEgIoDYGiMlX3kmF1";
const START: Duration = Duration::from_secs(30);
/// How long another one may run before this one gives up.
const TURN: Duration = Duration::from_mins(2);
/// Where it looks for who may log in: the path is built into it.
const SOCKETS: &str = "run/courier/authdaemon";

/// A running Courier. There is one at a time: the path of its daemon for log-ins is fixed, so a second one
/// waits until the first is dropped.
#[derive(Debug)]
pub struct Courier {
    _processes: [Process; 3],
    plain: SocketAddr,
    preauth: SocketAddr,
    _folder: Folder,
    _turn: File,
}

impl Courier {
    /// Starts a server that shows this certificate after STARTTLS.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate)).await
    }

    async fn start_once(certificate: &Certificate) -> io::Result<Self> {
        let root = unpacked::root(NAME)?;
        let turn = turn(&root).await?;
        let folder = Folder::new(NAME)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain, preauth] = process::free_addresses()?;
        write_users(&root)?;
        fs::write(
            at.join("chain.pem"),
            format!("{}{}", certificate.key_pem(), certificate.pem()),
        )?;
        folder.give_away()?;
        let mut maildir = unpacked::command_as_nobody(NAME, "/usr/bin/maildirmake.courier")?;
        run(maildir.arg(format!("{inside}/Maildir")))?;

        let daemon = bare("/usr/lib/courier/courier-authlib/authdaemond")?;
        let daemon = Process::start(daemon)?;
        wait_for_socket(&root).await?;

        let mail = format!("{inside}/Maildir");
        let mut imap = listener(plain, &[])?;
        imap.args(["/usr/lib/courier/courier/imaplogin", "/usr/bin/imapd"]);
        imap.arg(&mail)
            .env("IMAP_STARTTLS", "YES")
            .env("COURIERTLS", "/usr/bin/couriertls")
            .env("TLS_CERTFILE", format!("{inside}/chain.pem"));
        let imap = Process::start(imap)?;
        // Whoever connects here is ada already.
        let nobody = [format!("-user={NOBODY}"), format!("-group={NOBODY}")];
        let mut known = listener(preauth, &nobody)?;
        known.args(["/usr/bin/imapd", &mail]);
        known.env("AUTHENTICATED", USER).env("AUTHADDR", USER);
        known.env("HOME", inside.to_string());
        let known = Process::start(known)?;
        imap.wait_for_port(plain, START).await?;
        known.wait_for_port(preauth, START).await?;
        Ok(Self {
            _processes: [imap, known, daemon],
            plain,
            preauth,
            _folder: folder,
            _turn: turn,
        })
    }

    /// Where it listens, and offers STARTTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it greets with PREAUTH: no log-in, and no TLS.
    pub fn preauth(&self) -> SocketAddr {
        self.preauth
    }
}

/// Waits until no other one runs.
async fn turn(root: &Path) -> io::Result<File> {
    let lock = File::create(root.join("tmp/turn"))?;
    let taken = async {
        loop {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    };
    let in_time = tokio::time::timeout(TURN, taken).await;
    in_time.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "another Courier runs"))??;
    Ok(lock)
}

/// A program with the environment that all its parts want, and nothing else.
fn bare(program: &str) -> io::Result<Command> {
    let mut command = unpacked::command(NAME, program)?;
    command.env_clear().env("PATH", "/usr/bin:/usr/sbin");
    command.env("authdaemonvar", format!("/{SOCKETS}"));
    Ok(command)
}

/// What listens here, and starts a program for each connection: its arguments follow.
fn listener(at: SocketAddr, options: &[String]) -> io::Result<Command> {
    let mut command = bare("/usr/sbin/couriertcpd")?;
    command
        .arg(format!("-address={}", at.ip()))
        .args(["-nodnslookup", "-noidentlookup"])
        .env(
            "IMAP_CAPABILITY",
            "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE",
        )
        .env("IMAP_KEYWORDS", "1")
        .env("IMAP_ACL", "1")
        .env("IMAP_USELOCKS", "1")
        .env("IMAP_IDLE_TIMEOUT", "1");
    command.args(options).arg(at.port().to_string());
    Ok(command)
}

/// Writes what its parts look for at fixed paths; once. A home may not be open to all, as `/tmp` is.
fn write_users(root: &Path) -> io::Result<()> {
    let etc = root.join("etc/courier");
    let user =
        format!("{USER}\tuid={NOBODY}|gid={NOBODY}|home=/|shell=/bin/sh|imappw={PASSWORD_HASH}\n");
    fs::create_dir_all(root.join(SOCKETS))?;
    fs::write(
        etc.join("authdaemonrc"),
        format!("authmodulelist=\"authuserdb\"\ndaemons=1\nauthdaemonvar=/{SOCKETS}\n"),
    )?;
    // Its part that speaks TLS becomes this user.
    fs::write(
        root.join("etc/passwd"),
        format!(
            "root:x:0:0::/:/bin/sh\ncourier:x:{NOBODY}:{NOBODY}::/:/bin/false\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/false\n"
        ),
    )?;
    let users = etc.join("userdb");
    if fs::read_to_string(&users).is_ok_and(|it| it == user) {
        return Ok(());
    }
    fs::write(&users, user)?;
    fs::set_permissions(&users, PermissionsExt::from_mode(0o600))?;
    run(&mut bare("/usr/sbin/makeuserdb")?)
}

async fn wait_for_socket(root: &Path) -> io::Result<()> {
    let socket = root.join(SOCKETS).join("socket");
    let there = async {
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(START, there).await;
    in_time.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "authdaemond does not start"))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}
