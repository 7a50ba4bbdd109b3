//! What cargo knows about the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::run::{cargo, read};

/// The target of every page.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // The folder in which it was compiled may have been moved since.
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map_or(compiled.into(), PathBuf::from);
    xtask.parent().unwrap_or(compiled).to_path_buf()
}

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its programs.
    pub(crate) binaries: Vec<String>,
    /// Its integration tests.
    pub(crate) tests: Vec<String>,
}

/// The packages of a workspace, by its manifest relative to the root.
pub(crate) fn packages(manifest: &str) -> Result<Vec<Package>> {
    let text = read(&mut cargo(&[
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--manifest-path",
        manifest,
    ]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    Ok(packages
        .iter()
        .map(|package| Package {
            name: string(&package["name"]),
            binaries: targets(package, "bin"),
            tests: targets(package, "test"),
        })
        .collect())
}

fn targets(package: &Value, kind: &str) -> Vec<String> {
    package["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|target| target["kind"][0] == kind)
        .map(|target| string(&target["name"]))
        .collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
