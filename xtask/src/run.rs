//! Running other programs: one line while it goes well, everything they said when it doesn't.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{root, target_folder};

/// A command in the root of the workspace.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The cargo that runs this program, as a person would run it in the root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut cargo = command(&cargo, arguments);
    // What cargo told this program about its package would make build scripts run again that look
    // at it, ring's above all, and everything that depends on them would be built anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Says what is being done, does it, and says how long it took.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    print!("  {title:<44} ");
    io::stdout().flush()?;
    let start = Instant::now();
    let result = work();
    let word = if result.is_ok() { "ok" } else { "FAILED" };
    println!("{word:<6} {}", seconds(start.elapsed()));
    result
}

/// Runs a command as a step; its output is shown only when it fails.
pub(crate) fn quietly(title: &str, command: &mut Command) -> Result<()> {
    let mut failed = None;
    let result = step(title, || {
        let ran = captured(title, command)?;
        if ran.status.success() {
            return Ok(());
        }
        let reason = format!("{title}: {} (kept in {})", ran.status, ran.log.display());
        failed = Some(ran);
        bail!(reason)
    });
    if let Some(ran) = failed {
        println!("{}", ran.output);
    }
    result
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it said, standard output and error in the order in which they came.
    pub(crate) output: String,
    /// Where that is kept.
    pub(crate) log: PathBuf,
    /// It said nothing for [`SILENCE`], and was stopped.
    pub(crate) hung: bool,
}

/// How long a program may say nothing. The longest that one does is to build a page's module in a test: some minutes
/// on a slow machine.
const SILENCE: Duration = Duration::from_mins(10);

/// Runs a command to its end, its output in `xtask/TITLE.log` in the target folder.
pub(crate) fn captured(title: &str, command: &mut Command) -> Result<Ran> {
    captured_within(title, command, SILENCE)
}

/// Runs a command. If no line comes for so long, it and all that it started are stopped: where one test waits for
/// good, its name and what the others said are still told.
fn captured_within(title: &str, command: &mut Command, silence: Duration) -> Result<Ran> {
    let name: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let folder = target_folder()?.join("xtask");
    fs::create_dir_all(&folder)?;
    let log = folder.join(format!("{name}.log"));
    let mut file =
        File::create(&log).with_context(|| format!("could not write {}", log.display()))?;
    let (reader, writer) = io::pipe()?;
    let mut child = command
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    // The command holds the pipe's other end, which must close when the program ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let lines = lines(reader);
    let (mut output, mut hung) = (String::new(), false);
    loop {
        match lines.recv_timeout(silence) {
            Ok(bytes) => {
                file.write_all(&bytes)?;
                output += &String::from_utf8_lossy(&bytes);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                hung = true;
                end_all(&mut child);
                break;
            }
        }
    }
    let status = child.wait()?;
    Ok(Ran {
        status,
        output,
        log,
        hung,
    })
}

/// The lines of a pipe, read by a thread of their own.
fn lines(pipe: io::PipeReader) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                _ => return,
            }
        }
    });
    receiver
}

/// Stops a program and all that it started, which would go on without it.
fn end_all(child: &mut Child) {
    let mut found = vec![child.id().to_string()];
    let mut next = 0;
    while let Some(id) = found.get(next).cloned() {
        next += 1;
        // One file for each thread, since the kernel knows which thread started a child.
        for thread in fs::read_dir(format!("/proc/{id}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().map(str::to_owned));
        }
    }
    let _ = Command::new("kill").arg("-KILL").args(&found).status();
    let _ = child.kill();
}

/// A command's standard output, as text.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{} {}:\n{}",
            command.get_program().display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A duration as a person reads it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_stopped_with_all_that_it_started() {
        let mut shell = command("sh", &["-c", "echo started; sleep 1000 & echo $!; wait"]);
        let silence = Duration::from_secs(2);
        let ran = captured_within("a program that hangs", &mut shell, silence).expect("it runs");
        assert!(ran.hung);
        assert!(!ran.status.success());
        let said: Vec<_> = ran.output.lines().collect();
        assert_eq!(said[0], "started");
        // A process that has ended and was not waited for yet has no command line any more. One that is killed ends
        // when it gets its turn: a test that hung here would say nothing, and be stopped.
        let left = || fs::read_to_string(format!("/proc/{}/cmdline", said[1])).unwrap_or_default();
        while !left().is_empty() {
            thread::yield_now();
        }
    }

    #[test]
    fn what_ends_is_told_whole() {
        let mut shell = command("sh", &["-c", "echo one; printf two >&2; exit 3"]);
        let ran = captured("a program that ends", &mut shell).expect("it runs");
        assert!(!ran.hung);
        assert_eq!(ran.status.code(), Some(3));
        assert_eq!(ran.output, "one\ntwo");
        assert_eq!(fs::read_to_string(ran.log).expect("a log"), ran.output);
    }
}
