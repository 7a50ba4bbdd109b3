//! The workspace, as cargo knows it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// The folder into which cargo builds the workspace: `CARGO_TARGET_DIR` and cargo's own
/// configuration may put it anywhere.
pub(crate) fn target_folder() -> Result<PathBuf> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let found = target_folder_of("Cargo.toml")?;
    Ok(FOUND.get_or_init(|| found).clone())
}

/// The folder into which cargo builds the workspace of this manifest.
pub(crate) fn target_folder_of(manifest: &str) -> Result<PathBuf> {
    target_folder_in(&metadata(&mut metadata_command(manifest))?)
}

/// A package of the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands, from the root of the workspace, with slashes; empty for the root's own.
    pub(crate) folder: String,
    /// Its programs.
    pub(crate) binaries: Vec<String>,
    /// Whether it may be published.
    pub(crate) published: bool,
    /// All that cargo's metadata says of it.
    pub(crate) manifest: Value,
}

impl Package {
    /// The stage of `cargo xtask test` to which its tests belong because they need other programs:
    /// `stage` in its `[package.metadata.xtask]`.
    pub(crate) fn stage(&self) -> Option<&str> {
        self.manifest["metadata"]["xtask"]["stage"].as_str()
    }

    /// Whether there is nothing of it but in a page: docs.rs is told so as well.
    pub(crate) fn is_only_in_a_page(&self) -> bool {
        self.manifest["metadata"]["docs"]["rs"]["default-target"] == WASM
    }
}

/// The packages of a workspace, by its manifest relative to the root.
pub(crate) fn packages(manifest: &str) -> Result<Vec<Package>> {
    packages_in(&metadata(&mut metadata_command(manifest))?)
}

fn metadata_command(manifest: &str) -> Command {
    cargo(&[
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--manifest-path",
        manifest,
    ])
}

fn metadata(command: &mut Command) -> Result<Value> {
    Ok(serde_json::from_str(&read(command)?)?)
}

fn target_folder_in(metadata: &Value) -> Result<PathBuf> {
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .context("cargo metadata has no target_directory")
}

fn packages_in(metadata: &Value) -> Result<Vec<Package>> {
    let root = Path::new(metadata["workspace_root"].as_str().unwrap_or_default());
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    Ok(packages
        .iter()
        .map(|package| Package {
            name: string(&package["name"]),
            folder: folder(Path::new(&string(&package["manifest_path"])), root),
            binaries: targets(package, "bin"),
            published: package["publish"].is_null(),
            manifest: package.clone(),
        })
        .collect())
}

/// The folder of a manifest, from the root.
fn folder(manifest: &Path, root: &Path) -> String {
    let folder = manifest.parent().unwrap_or(manifest);
    let parts = folder.strip_prefix(root).unwrap_or(folder).components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_the_one_that_cargo_uses() {
        for folder in ["elsewhere", "below/it"] {
            let there = std::env::temp_dir().join(folder);
            let mut command = metadata_command("Cargo.toml");
            let metadata = metadata(command.env("CARGO_TARGET_DIR", &there)).expect("metadata");
            assert_eq!(target_folder_in(&metadata).expect("a folder"), there);
        }
    }

    #[test]
    fn a_relative_target_folder_begins_at_the_root() {
        let mut command = metadata_command("Cargo.toml");
        let metadata = metadata(command.env("CARGO_TARGET_DIR", "elsewhere")).expect("metadata");
        let found = target_folder_in(&metadata).expect("a folder");
        assert_eq!(found, root().join("elsewhere"));
    }

    #[test]
    fn each_package_is_where_it_stands() {
        let packages = packages("Cargo.toml").expect("packages");
        for (name, folder) in [
            ("jackfield", ""),
            ("jackfield-socket", "socket-api/socket"),
            ("xtask", "xtask"),
        ] {
            let found = packages.iter().find(|package| package.name == name);
            assert_eq!(found.map(|package| package.folder.as_str()), Some(folder));
        }
    }
}
