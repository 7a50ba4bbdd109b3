//! systemd, booted as the first process of namespaces of its own.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::process::{self, Process};
use crate::unpacked;
use crate::workspace;

/// The name that it was unpacked by.
pub const NAME: &str = "systemd";
const START: Duration = Duration::from_mins(1);

/// A machine that systemd runs: a Debian with little more in it, and a network that is loopback alone. What is
/// written there is gone with this value, and so is all that runs there.
#[derive(Debug)]
pub struct Machine {
    _process: Process,
    /// The process that is the first one there, as it is numbered here.
    first: u32,
    _folder: TempDir,
}

impl Machine {
    /// Boots one. `None` where the system lets nobody make such namespaces, unless `CI` is set.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn boot() -> io::Result<Option<Self>> {
        let root = unpacked::root(NAME)?;
        let kinds = [
            "--mount", "--pid", "--fork", "--cgroup", "--net", "--ipc", "--uts",
        ];
        let unshare = process::require_program("unshare")?;
        let folder = tempfile::tempdir()?;
        let probe = "mount --make-rprivate / && mount -t tmpfs tmpfs \"$0\" && mount -t cgroup2 cgroup2 \"$0\"";
        let mut tried = Command::new(&unshare);
        tried
            .args(kinds)
            .args(["sh", "-c", probe])
            .arg(folder.path());
        if !tried.output()?.status.success() {
            if std::env::var_os("CI").is_some() {
                let text = "namespaces with a control group are needed here";
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            eprintln!("SKIPPED: this system allows no namespaces with a control group");
            return Ok(None);
        }
        let mut command = Command::new(unshare);
        command.args(kinds).args(["--kill-child", "sh"]);
        command.arg(workspace::root().join("tests/support/boot.sh"));
        command.arg(root).arg(folder.path());
        let process = Process::start(command)?;
        process.wait_for_line("booted", START).await?;
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let first = fs::read_to_string(children)?.trim().parse();
        Ok(Some(Self {
            _process: process,
            first: first.map_err(io::Error::other)?,
            _folder: folder,
        }))
    }

    /// Runs a shell's commands there, as root, to their end: what they say.
    ///
    /// # Errors
    /// Where one of them fails; the text has it all.
    pub async fn run(&self, script: &str) -> io::Result<String> {
        let mut command = tokio::process::Command::new(process::require_program("nsenter")?);
        command.arg(format!("--target={}", self.first));
        command.args([
            "--mount", "--pid", "--cgroup", "--net", "--ipc", "--uts", "--root", "--wd",
        ]);
        let Output {
            status,
            stdout,
            stderr,
        } = command.args(["/bin/sh", "-ec", script]).output().await?;
        let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        if status.success() {
            return Ok(text);
        }
        Err(io::Error::other(format!("{script}: {status}: {text}")))
    }

    /// Writes a file there, of root, with this mode. Its folder is made where it isn't there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write(&self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> io::Result<()> {
        let path = self.path(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content)?;
        fs::set_permissions(path, PermissionsExt::from_mode(mode))
    }

    /// Moves this thread into its network, for good: sockets that it opens from now on are there. A runtime has to be
    /// one of this thread alone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn enter_network(&self) -> io::Result<()> {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.first))?;
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Where a file of it is found from here.
    fn path(&self, path: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.first);
        Path::new(&root).join(path.trim_start_matches('/'))
    }
}
