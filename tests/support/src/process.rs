//! Server processes: started, awaited, and ended without leftovers.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many of a process's last lines are kept.
const MAX_LINES: usize = 2000;
/// How many bytes of a line are kept; a longer one is shown in pieces.
const MAX_LINE: u64 = 4096;
/// How long a refused connection waits before the next attempt.
const RETRY_CONNECT: Duration = Duration::from_millis(20);

/// A process of its own group, which ends, with all its children, when this value is dropped.
///
/// A second process watches over it, and ends it too when this one is killed or interrupted and
/// drops nothing. When a test panics, what the process wrote is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watchdog: Child,
    log: Arc<Log>,
    news: watch::Receiver<()>,
}

#[derive(Debug, Default)]
struct Log(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    /// How many lines have left `kept` at its front.
    forgotten: usize,
}

impl Process {
    /// Starts a process; its output is gathered, its input is empty.
    ///
    /// # Errors
    /// Those of starting it; the text names the program.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let name = PathBuf::from(command.get_program())
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("starting {name}: {error}")))?;
        let watchdog = match watchdog(&child) {
            Ok(watchdog) => watchdog,
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        };

        let log = Arc::new(Log::default());
        let (tell, news) = watch::channel(());
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            gather(out, Arc::clone(&log), tell.clone());
            gather(err, Arc::clone(&log), tell);
        }
        Ok(Self {
            name,
            child,
            watchdog,
            log,
            news,
        })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, or the last of it.
    pub fn output(&self) -> String {
        let lines = self.log.lines();
        let mut text = String::new();
        for line in &lines.kept {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Waits for a line that holds this text, and returns it. Lines already written count.
    ///
    /// # Errors
    /// `TimedOut`, or `BrokenPipe` when the process ended without such a line; both show what it
    /// wrote.
    pub async fn wait_for_line(&self, text: &str, within: Duration) -> io::Result<String> {
        let mut news = self.news.clone();
        let mut seen = 0;
        let search = async {
            loop {
                let open = news.has_changed().is_ok();
                news.mark_unchanged();
                if let Some(line) = self.log.find(text, &mut seen) {
                    return Ok(line);
                }
                if !open {
                    return Err(io::ErrorKind::BrokenPipe);
                }
                // An error means that both outputs have ended: one more look, then.
                let _ = news.changed().await;
            }
        };
        match timeout(within, search).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(kind)) => Err(self.error(kind, &format!("ended without writing {text:?}"))),
            Err(_) => Err(self.error(
                io::ErrorKind::TimedOut,
                &format!("has not written {text:?} within {within:?}"),
            )),
        }
    }

    /// Waits until something accepts connections at this address.
    ///
    /// # Errors
    /// `TimedOut`, or `BrokenPipe` when the process ended first; both show what it wrote.
    pub async fn wait_for_port(&self, address: SocketAddr, within: Duration) -> io::Result<()> {
        let attempts = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                if self.has_ended() {
                    return false;
                }
                tokio::time::sleep(RETRY_CONNECT).await;
            }
            true
        };
        match timeout(within, attempts).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.error(
                io::ErrorKind::BrokenPipe,
                &format!("ended before it listened at {address}"),
            )),
            Err(_) => Err(self.error(
                io::ErrorKind::TimedOut,
                &format!("does not listen at {address} within {within:?}"),
            )),
        }
    }

    /// Asks it to end, as an operator does, and waits for nothing.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn ask_to_end(&mut self) -> io::Result<()> {
        if let Some(id) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, Signal::TERM)?;
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// `TimedOut`, with what it wrote.
    pub async fn terminate(&mut self, within: Duration) -> io::Result<()> {
        self.ask_to_end()?;
        self.ended(within).await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// `TimedOut`, with what it wrote.
    pub async fn ended(&self, within: Duration) -> io::Result<()> {
        let mut news = self.news.clone();
        let ended = async { while news.changed().await.is_ok() {} };
        timeout(within, ended).await.map_err(|_| {
            self.error(
                io::ErrorKind::TimedOut,
                &format!("has not ended within {within:?}"),
            )
        })
    }

    /// Ends it as the system does that has no memory left: it has no time to say anything.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Whether it has closed its output, as a process does that ends.
    pub fn has_ended(&self) -> bool {
        self.news.has_changed().is_err()
    }

    /// How many bytes of memory it holds at this moment (its resident set).
    ///
    /// # Errors
    /// When the process has ended, or the system has no `/proc`.
    pub fn resident_bytes(&self) -> io::Result<usize> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.id()))?;
        let pages: usize = statm
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|field| field.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(pages * rustix::param::page_size())
    }

    fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        let output = self.output();
        io::Error::new(kind, format!("{} {what}; it wrote:\n{output}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- output of {}:\n{}---", self.name, self.output());
        }
        // The watchdog goes first: once the child is reaped, its id may be another's.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        end(&mut self.child);
    }
}

impl Log {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.kept.len() == MAX_LINES {
            lines.kept.pop_front();
            lines.forgotten += 1;
        }
        lines.kept.push_back(line);
    }

    /// The first line from number `seen` on that holds a text; `seen` moves past what was searched.
    fn find(&self, text: &str, seen: &mut usize) -> Option<String> {
        let lines = self.lines();
        let skip = seen.saturating_sub(lines.forgotten);
        *seen = lines.forgotten + lines.kept.len();
        lines
            .kept
            .iter()
            .skip(skip)
            .find(|line| line.contains(text))
            .cloned()
    }
}

/// Where a program is, if it is installed: looks where `PATH` says, and where servers are kept.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// The program, or an error that says what is missing.
pub(crate) fn require_program(name: &str) -> io::Result<PathBuf> {
    find_program(name).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("the program {name} is not installed"),
        )
    })
}

/// Loopback addresses that were free a moment ago, for servers that can't be told to take a free
/// port themselves. Another process may be faster: such a server is started again.
///
/// # Errors
/// When the system has no port left.
pub fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    // All are held until all are known, so that they differ.
    let mut held = Vec::with_capacity(N);
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}

/// Two such addresses whose ports follow each other, free for UDP too.
///
/// # Errors
/// When the system has no such ports.
pub fn free_pair() -> io::Result<[SocketAddr; 2]> {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = first.local_addr()?;
        let Some(port) = address.port().checked_add(1) else {
            continue;
        };
        let next = SocketAddr::new(address.ip(), port);
        let free = TcpListener::bind(next).is_ok()
            && UdpSocket::bind(next).is_ok()
            && UdpSocket::bind(address).is_ok();
        if free {
            return Ok([address, next]);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// Starts a server again when another process took one of its ports first.
pub(crate) async fn with_retries<T, F: Future<Output = io::Result<T>>>(
    mut start: impl FnMut() -> F,
) -> io::Result<T> {
    const ATTEMPTS: usize = 3;
    let mut result = start().await;
    for _ in 1..ATTEMPTS {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => result = start().await,
            other => return other,
        }
    }
    result
}

/// Runs a program to its end, which is a success; what it wrote.
pub(crate) fn output_of(mut command: Command) -> io::Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{command:?}: {}\n{said}",
        output.status
    )))
}

/// Ends the child's whole group when the pipe to it is closed: when this process is gone.
fn watchdog(child: &Child) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", r#"read -r _; kill -s KILL -- "-$0""#])
        .arg(child.id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Ends a child that was not waited for yet, and all of its group.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn gather(output: impl Read + Send + 'static, log: Arc<Log>, tell: watch::Sender<()>) {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while let Ok(1..) = output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            log.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            line.clear();
            tell.send_replace(());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::start(command).expect("a shell")
    }

    #[tokio::test]
    async fn a_line_is_found_before_and_after_it_is_written() {
        let process = shell("echo one; echo two >&2; exec sleep 60");
        let line = process.wait_for_line("tw", LONG).await.expect("a line");
        assert_eq!(line, "two");
        process.wait_for_line("one", LONG).await.expect("a line");
        assert!(process.resident_bytes().expect("it lives") > 0);
    }

    #[tokio::test]
    async fn an_early_end_is_told_with_its_output() {
        let process = shell("echo the reason; exit 1");
        let error = process
            .wait_for_line("ready", LONG)
            .await
            .expect_err("it ended");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(error.to_string().contains("the reason"), "{error}");

        let [address] = free_addresses().expect("an address");
        let error = process
            .wait_for_port(address, LONG)
            .await
            .expect_err("nothing listens");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn children_of_the_process_end_with_it() {
        let process = shell("sleep 60 & echo child $!; wait");
        let line = process.wait_for_line("child ", LONG).await.expect("a line");
        let child = line.strip_prefix("child ").expect("its id").to_owned();
        drop(process);
        wait_until_gone(&child).await;
    }

    #[tokio::test]
    async fn the_process_ends_when_its_starter_is_killed() {
        let mut process = shell("exec sleep 60");
        let id = process.id().to_string();
        // What the system does when it ends the starter: it closes the watchdog's pipe.
        drop(process.watchdog.stdin.take());
        wait_until_gone(&id).await;
    }

    async fn wait_until_gone(id: &str) {
        let gone = async {
            // A killed process that nobody has waited for yet is a zombie: state Z.
            while fs::read_to_string(format!("/proc/{id}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
            {
                tokio::time::sleep(RETRY_CONNECT).await;
            }
        };
        timeout(LONG, gone).await.expect("it ends");
    }
}
