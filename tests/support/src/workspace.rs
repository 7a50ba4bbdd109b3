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

fn metadata() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    // A relative folder begins where cargo was started, which is here, not where a test runs.
    metadata
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(root());
    metadata
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
