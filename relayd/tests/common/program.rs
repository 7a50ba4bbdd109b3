//! The program itself, run from a configuration file.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jackfield_testing::process::Process;
use tempfile::TempDir;

use super::{ORIGIN, PATIENCE, SECRET, within};

/// A user that owns nothing, and his group.
pub const NOBODY: u32 = 65_534;

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Program {
    pub process: Process,
    /// Where it listens for WebSockets.
    pub address: SocketAddr,
    directory: TempDir,
}

/// A command of the program's.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_jackfield-relayd"))
}

/// What a configuration has that lets [`Client`](super::Client)s in, with this before and after its token.
pub fn configuration(before: &str, after: &str) -> String {
    format!(
        "listen = ['127.0.0.1:0']\norigins = ['{ORIGIN}']\n{before}\n[log]\nformat = 'json'\nrepeats = 0\n\
         [[token]]\nname = 'tests'\nsecret = '{SECRET}'\n\
         allow = ['127.0.0.0/8:1024-65535', '127.0.0.0/8:*/udp', '*:*']\n\
         listen = ['127.0.0.1:*', '127.0.0.1:*/udp']\n{after}\n"
    )
}

/// Has a command find a socket where systemd puts the first that it passes.
#[cfg(target_os = "linux")]
pub fn pass(command: &Command, socket: &TcpListener) -> Command {
    use command_fds::{CommandFdExt as _, FdMapping};

    // Its number is known only to the process itself.
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env("LISTEN_FDS", "1");
    let socket = socket.try_clone().expect("descriptors are left");
    let mapping = FdMapping {
        parent_fd: socket.into(),
        child_fd: 3,
    };
    shell.fd_mappings(vec![mapping]).expect("one number, once");
    shell
}

impl Program {
    /// Runs it, with this in its file, and waits until it listens.
    pub async fn start(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::start_in(directory, text).await
    }

    /// As [`start`](Self::start), with its file in this directory.
    pub async fn start_in(directory: TempDir, text: &str) -> Self {
        Self::start_by(|command| command, directory, text).await
    }

    /// The same, by a command that is made of the program's.
    pub async fn start_by(
        how: impl FnOnce(Command) -> Command,
        directory: TempDir,
        text: &str,
    ) -> Self {
        std::fs::write(directory.path().join("relayd.toml"), text).expect("written");
        let mut command = command();
        command
            .arg("--config")
            .arg(directory.path().join("relayd.toml"));
        let process = Process::start(how(command)).expect("it runs");
        let address = address_in(&process, "\"listening\"").await;
        Self {
            process,
            address,
            directory,
        }
    }

    /// The address in the first line of its log with this text.
    pub async fn address_of(&self, text: &str) -> SocketAddr {
        address_in(&self.process, text).await
    }

    /// Waits for a line of its log with this text.
    pub async fn says(&self, text: &str) -> String {
        let line = self.process.wait_for_line(text, PATIENCE).await;
        line.expect("it says so")
    }

    /// A path in the directory of its configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where its configuration is.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A command of a copy of the program, as a user who owns nothing, and who may go to where its sockets are.
    #[cfg(unix)]
    pub fn as_nobody(&self) -> Command {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        use std::os::unix::process::CommandExt as _;

        let open = |path: &Path| {
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours");
        };
        open(self.directory());
        let copy = self.path("program");
        if !copy.exists() {
            std::fs::copy(command().get_program(), &copy).expect("copied");
            open(&copy);
        }
        let mut command = Command::new(copy);
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// What it answers at its admin socket, `admin.sock`, to `ctl`, which must succeed.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let (good, out, err) = self.try_ctl(arguments).await;
        assert!(good, "{arguments:?}: {out}{err}");
        out
    }

    /// The same, which may fail: whether it was good, what it wrote, and what went wrong.
    pub async fn try_ctl(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = command();
        command.arg("ctl").arg("--socket");
        command.arg(self.path("admin.sock")).args(arguments);
        run(command).await
    }

    /// Its records of this event in `records.jsonl`, as soon as there are so many.
    pub async fn recorded(&self, event: &str, count: usize) -> Vec<serde_json::Value> {
        within(async {
            loop {
                let text = std::fs::read_to_string(self.path("records.jsonl")).unwrap_or_default();
                let records = text.lines().map(serde_json::from_str::<serde_json::Value>);
                // The last line may be written just now.
                let records = records.filter_map(Result::ok);
                let records: Vec<_> = records.filter(|one| one["event"] == event).collect();
                if records.len() >= count {
                    return records;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Puts something else into its file.
    pub fn rewrite(&self, text: &str) {
        std::fs::write(self.path("relayd.toml"), text).expect("written");
    }

    /// Kills it, so that it has time for nothing, and returns the directory.
    pub async fn kill(self) -> TempDir {
        let killed = Command::new("kill")
            .args(["-9", &self.process.id().to_string()])
            .status();
        assert!(killed.expect("kill runs").success());
        within(async {
            while !self.process.has_ended() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.directory
    }
}

/// Runs a command to its end: whether it was good, what it wrote, and what went wrong.
pub async fn run(mut command: Command) -> (bool, String, String) {
    let output = tokio::task::spawn_blocking(move || command.output());
    let Output {
        status,
        stdout,
        stderr,
    } = within(output).await.expect("no panic").expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.success(), text(stdout), text(stderr))
}

async fn address_in(process: &Process, text: &str) -> SocketAddr {
    let line = process.wait_for_line(text, PATIENCE).await;
    let line = line.expect("it listens");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let address = line["address"].as_str().expect("its address");
    address.parse().expect("an address")
}
