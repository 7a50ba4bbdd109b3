//! The repository's folder, and cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, io};

/// The folder of the repository.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The folder into which cargo builds: `CARGO_TARGET_DIR` and cargo's own configuration may put it
/// anywhere, so cargo is asked, once in a process.
///
/// # Panics
/// Where cargo doesn't answer.
pub fn target_folder() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| match ask(&mut metadata()) {
        Ok(found) => found,
        Err(error) => panic!("cargo metadata: {error}"),
    })
}

/// Cargo in the repository's folder, as a person would run it there.
pub fn cargo(arguments: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    // A relative target folder begins where cargo was started, which is here, not where a test runs.
    cargo.args(arguments).current_dir(root());
    // What cargo told this test about its package would make build scripts run again that look at
    // it, and everything that depends on them would be built anew.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn metadata() -> Command {
    cargo(&["metadata", "--no-deps", "--format-version=1"])
}

fn ask(metadata: &mut Command) -> io::Result<PathBuf> {
    let output = metadata.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(said.into_owned()));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"].as_str();
    target
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("it names no target_directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_the_one_that_cargo_uses() {
        let there = env::temp_dir().join("elsewhere");
        let found = ask(metadata().env("CARGO_TARGET_DIR", &there));
        assert_eq!(found.expect("an answer"), there);
        let found = ask(metadata().env("CARGO_TARGET_DIR", "elsewhere"));
        assert_eq!(found.expect("an answer"), root().join("elsewhere"));
    }
}
