//! Running other programs: one line while it goes well, everything they said when it doesn't.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
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
    std::io::stdout().flush()?;
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
}

/// Runs a command to its end, its output in `xtask/TITLE.log` in the target folder.
pub(crate) fn captured(title: &str, command: &mut Command) -> Result<Ran> {
    let name: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let folder = target_folder()?.join("xtask");
    fs::create_dir_all(&folder)?;
    let log = folder.join(format!("{name}.log"));
    let file = File::create(&log).with_context(|| format!("could not write {}", log.display()))?;
    let status = command
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    Ok(Ran {
        status,
        output,
        log,
    })
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
