//! The rules of the tree itself: what must be in it, and what must not.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::run::{command, read};
use crate::workspace::root;

/// What a reader expects to find.
const EXPECTED: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "docs/relay-protocol.md",
    "fuzz/Cargo.lock",
];

/// The only place from which a lock file may take crates.
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check() -> Result<()> {
    let mut broken: Vec<String> = EXPECTED
        .iter()
        .filter(|file| !root().join(file).is_file())
        .map(|file| format!("{file} does not exist"))
        .collect();
    for (file, text) in files()? {
        broken.extend(faults(&file, &text));
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("in the tree:\n  {}", broken.join("\n  "))
}

/// The repository's files that are text, with what they say; those of which git does not know yet
/// as well.
pub(super) fn files() -> Result<Vec<(String, String)>> {
    let mut list = command("git", &["ls-files", "--cached", "--others"]);
    let list = read(list.args(["--exclude-standard", "-z"]))?;
    // What is not text is nobody's path; what was deleted and not committed is gone.
    let text = |file: &str| fs::read_to_string(root().join(file)).ok();
    Ok(list
        .split_terminator('\0')
        .filter_map(|file| Some((file.to_owned(), text(file)?)))
        .collect())
}

/// What a file says that only one machine could understand.
fn faults(file: &str, text: &str) -> Vec<String> {
    let is = |extension: &str| {
        Path::new(file)
            .extension()
            .is_some_and(|is| is == extension)
    };
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut fault = |what: &str| faults.push(format!("{file}:{}: {what}", number + 1));
        if FOLDERS.iter().any(|folder| is_path(line, folder)) {
            fault("a path of somebody's machine");
        }
        if is("rs") && TARGET.iter().any(|path| line.contains(path)) {
            fault("cargo's target folder, which may be anywhere: ask for target_folder()");
        }
        if file.ends_with("Cargo.lock") {
            if let Some(source) = line.strip_prefix("source = ")
                && source.trim_matches('"') != CRATES
            {
                fault("a crate from elsewhere than crates.io");
            }
        } else if is("toml") && MIRRORS.iter().any(|key| line.starts_with(key)) {
            fault("a registry of somebody's own");
        } else if file.ends_with("package-lock.json")
            && line.contains("\"resolved\"")
            && !line.contains("https://registry.npmjs.org/")
        {
            fault("a package from elsewhere than npmjs.org");
        }
    }
    faults
}

/// Where people and build machines keep their work. In two parts, so that this file passes.
const FOLDERS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
];

/// How source text would name a file in the target folder, if that were always in the root. In two
/// parts, so that this file passes.
const TARGET: &[&str] = &[
    concat!("\"tar", "get/"),
    concat!("/tar", "get/"),
    concat!("/tar", "get\""),
    concat!("join(\"tar", "get\")"),
];

/// What a cargo configuration begins with when it names a registry.
const MIRRORS: &[&str] = &["[source.", "[registries.", "[registry]", "replace-with"];

/// Whether an absolute path begins in this folder: `/x/` not preceded by what would make it
/// relative, or part of a URL.
fn is_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/*~}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_machines_are_found() {
        for folder in FOLDERS {
            assert_eq!(
                faults("a.rs", &format!("\"{folder}x\"")).len(),
                1,
                "{folder}"
            );
            assert_eq!(
                faults("a.rs", &format!("see example.org{folder}x")).len(),
                0
            );
        }
    }

    #[test]
    fn nobody_assumes_where_the_target_folder_is() {
        for path in TARGET {
            assert_eq!(faults("a.rs", path).len(), 1, "{path}");
            assert_eq!(faults("a.md", path).len(), 0, "{path}");
        }
        assert!(faults("a.rs", "args([\"--target\", TARGET])").is_empty());
    }

    #[test]
    fn only_the_common_registries_pass() {
        let ours = format!("source = \"{CRATES}\"");
        assert!(faults("Cargo.lock", &ours).is_empty());
        assert_eq!(
            faults("Cargo.lock", "source = \"registry+https://a.example\"").len(),
            1
        );
        assert_eq!(faults(".cargo/config.toml", "[source.crates-io]").len(), 1);
        assert_eq!(
            faults("package-lock.json", "\"resolved\": \"https://a.example/\"").len(),
            1
        );
    }
}
