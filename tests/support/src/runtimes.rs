//! Servers written in JavaScript and Python: `cargo xtask test` installs what they need into the
//! target folder, from the lists in `node/` and `python/` beside this package's sources.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Process};
use crate::workspace::target_folder;

const START: Duration = Duration::from_secs(30);

/// The folder whose `node_modules` has the packages of `node/package.json`.
pub fn node_folder() -> PathBuf {
    target_folder().join("node")
}

/// The interpreter that has the packages of `python/requirements.txt`.
pub fn python_program() -> PathBuf {
    target_folder().join("python/bin/python")
}

/// A command that runs this source as a module, with the packages at hand.
///
/// # Errors
/// When node or the packages are not installed.
pub fn node(source: &str) -> io::Result<Command> {
    let folder = node_folder();
    if !folder.join("node_modules").is_dir() {
        return Err(not_installed("the JavaScript packages"));
    }
    let mut command = Command::new(process::require_program("node")?);
    // A source given this way finds its packages from the current folder.
    command
        .args(["--input-type=module", "--eval", source])
        .current_dir(folder);
    Ok(command)
}

/// A command that runs this source, with the packages at hand.
///
/// # Errors
/// When the packages are not installed.
pub fn python(source: &str) -> io::Result<Command> {
    let program = python_program();
    if !program.is_file() {
        return Err(not_installed("the Python packages"));
    }
    let mut command = Command::new(program);
    command.args(["-c", source]).env("PYTHONUNBUFFERED", "1");
    Ok(command)
}

/// The ports that a server names when it is ready, in the line `listening PORT …`.
pub(crate) async fn listening<const N: usize>(process: &Process) -> io::Result<[SocketAddr; N]> {
    let line = process.wait_for_line("listening ", START).await?;
    let ports: Vec<SocketAddr> = line
        .split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
        .map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .collect();
    ports
        .try_into()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, line))
}

fn not_installed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{what} are not installed: run `cargo xtask test servers`"),
    )
}
