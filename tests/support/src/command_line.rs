//! The project's own programs, as a user has them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::workspace;

/// The `jackfield` binary, built as the running test is. `cargo xtask test`, which has built it with everything
/// else, says so in `JACKFIELD_BUILT`.
///
/// # Errors
/// Where it doesn't build.
pub async fn jackfield() -> Result<PathBuf> {
    built("jackfield-cli", "jackfield", &[]).await
}

/// The same for the relay, `jackfield-relayd`, with all that it may have.
///
/// # Errors
/// Where it doesn't build.
pub async fn relayd() -> Result<PathBuf> {
    built(
        "jackfield-relayd",
        "jackfield-relayd",
        &["--features", "acme,redis"],
    )
    .await
}

async fn built(package: &str, binary: &str, with: &[&str]) -> Result<PathBuf> {
    if std::env::var_os("JACKFIELD_BUILT").is_none() {
        let build = workspace::cargo(&["build", "--quiet", "--package", package]);
        let mut build = Command::from(build);
        build.args(with);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let done = build.status().await?.success();
        ensure!(done, "{binary} does not build");
    }
    // Tests are in a folder `deps` beside the binaries.
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent());
    Ok(folder.context("no target folder")?.join(binary))
}
