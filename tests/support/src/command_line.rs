//! The project's own command line, `jackfield`, as a user has it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// The `jackfield` binary, built as the running test is. `cargo xtask test`, which has built it with everything
/// else, says so in `JACKFIELD_BUILT`.
///
/// # Errors
/// Where it doesn't build.
pub async fn jackfield() -> Result<PathBuf> {
    if std::env::var_os("JACKFIELD_BUILT").is_none() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "jackfield-cli"]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        ensure!(
            build.status().await?.success(),
            "the command line does not build"
        );
    }
    // Tests are in a folder `deps` beside the binaries.
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent());
    Ok(folder.context("no target folder")?.join("jackfield"))
}
