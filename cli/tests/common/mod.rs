//! The binary, run as a person runs it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of this"
)]

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use jackfield_native::{Native, NativeListener};
use jackfield_socket::{ListenOptions, TcpListen};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a run has left.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub errors: String,
}

/// A run that goes on.
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    errors: String,
}

pub fn command(args: &[&str]) -> Command {
    let mut command = answering_signals(env!("CARGO_BIN_EXE_jackfield"));
    command
        .args(args)
        .env_remove("JACKFIELD_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A program that ignores no signal, though whoever started the tests may: in the background, or by
/// `nohup`.
pub fn answering_signals(program: &str) -> Command {
    if cfg!(not(target_os = "linux")) {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal", program]);
    command
}

/// Runs it with this input, to its end.
pub async fn run(args: &[&str], input: &[u8]) -> Outcome {
    start(command(args)).finish(input).await
}

pub fn start(mut command: Command) -> Running {
    let mut child = command.spawn().expect("the binary runs");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    Running {
        child,
        stderr,
        errors: String::new(),
    }
}

impl Running {
    /// Waits for a line on standard error that begins like this; returns the rest of it.
    pub async fn said(&mut self, beginning: &str) -> String {
        let wait = async {
            loop {
                let mut line = String::new();
                let count = self.stderr.read_line(&mut line).await.expect("text");
                assert!(count > 0, "it ended, having said {:?}", self.errors);
                self.errors.push_str(&line);
                if let Some(rest) = line.strip_prefix(beginning) {
                    return rest.trim_end().to_owned();
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("it says nothing")
    }

    /// Waits for a line of output that begins like this.
    pub async fn prints(&mut self, beginning: &str) {
        let stdout = self.child.stdout.as_mut().expect("piped");
        let mut seen = String::new();
        let wait = async {
            let mut line = Vec::new();
            loop {
                line.push(stdout.read_u8().await.expect("output"));
                if line.ends_with(b"\n") {
                    seen.push_str(&String::from_utf8_lossy(&line));
                    if line.starts_with(beginning.as_bytes()) {
                        return;
                    }
                    line.clear();
                }
            }
        };
        let done = timeout(PATIENCE, wait).await.is_ok();
        assert!(done, "waited for {beginning:?}, and read:\n{seen}");
    }

    /// The next bytes of its output.
    pub async fn output(&mut self, count: usize) -> Vec<u8> {
        let stdout = self.child.stdout.as_mut().expect("piped");
        let mut output = vec![0; count];
        timeout(PATIENCE, stdout.read_exact(&mut output))
            .await
            .expect("it writes nothing")
            .expect("output");
        output
    }

    /// Gives it this input, and goes on.
    pub async fn give(&mut self, input: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(input).await.expect("it reads");
        stdin.flush().await.expect("it reads");
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(id).expect("a process")).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// Nobody reads its output any more.
    pub fn close_output(&mut self) {
        self.child.stdout = None;
    }

    /// Waits for the end; its input stays as it is.
    pub async fn end(mut self) -> Outcome {
        let mut output = Vec::new();
        let mut stdout = self.child.stdout.take();
        let work = async {
            let read = async {
                match &mut stdout {
                    Some(stdout) => stdout.read_to_end(&mut output).await,
                    None => Ok(0),
                }
            };
            let (read, errors) = tokio::join!(read, self.stderr.read_to_string(&mut self.errors));
            read.expect("output");
            errors.expect("text");
            self.child.wait().await.expect("an end")
        };
        let status = timeout(PATIENCE, work).await.expect("it does not end");
        Outcome {
            code: status.code(),
            output,
            errors: self.errors,
        }
    }

    /// Gives it this input, ends the input, and waits for the end.
    pub async fn finish(mut self, input: &[u8]) -> Outcome {
        let mut stdin = self.child.stdin.take().expect("piped");
        let write = async {
            // It may have ended before it has read everything.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let (outcome, ()) = tokio::join!(self.end(), write);
        outcome
    }
}

pub async fn listener() -> (NativeListener, SocketAddr) {
    use jackfield_socket::TcpListener as _;
    let at = "127.0.0.1:0".parse().expect("an address");
    let listener = Native
        .listen(at, &ListenOptions::default())
        .await
        .expect("a listener");
    let at = listener.local_addr().expect("an address");
    (listener, at)
}
