//! Servers that are unpacked and not installed: as packages they conflict with each other, or stand in
//! another suite of Debian. `cargo xtask test` unpacks each into a root of its own below the target folder.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::process;
use crate::workspace::target_folder;

/// The root of what was unpacked by this name.
///
/// # Errors
/// Where nothing was.
pub fn root(name: &str) -> io::Result<PathBuf> {
    let root = target_folder().join("roots").join(name).join("root");
    if root.is_dir() {
        return Ok(root);
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("{name} is not unpacked: run `cargo xtask test servers`, as root"),
    ))
}

/// A command that runs a program of that root, and sees nothing else. Only root may.
///
/// # Errors
/// Where nothing was unpacked by this name.
pub fn command(name: &str, program: &str) -> io::Result<Command> {
    let mut command = Command::new(process::require_program("chroot")?);
    command.arg(root(name)?).arg(program);
    Ok(command)
}
