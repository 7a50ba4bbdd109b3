//! Replays of the fuzz targets: a test has each, so that what fuzzing found stays mended.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::tree;
use crate::fuzz;
use crate::workspace::root;

/// Where inputs are, one folder a target, as `tests/corpora` reads them.
const INPUTS: [&str; 2] = ["fuzz/corpus", "tests/regressions"];

pub(super) fn check() -> Result<()> {
    let targets: BTreeSet<String> = fuzz::targets()?.into_iter().collect();
    let texts = tree::files()?
        .into_iter()
        .filter(|(file, _)| is_tested(file))
        .map(|(_, text)| text);
    let mut faults = not_replayed(&targets, texts);
    for folder in INPUTS {
        let entries = fs::read_dir(root().join(folder)).with_context(|| format!("no {folder}"))?;
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !targets.contains(&name) {
                faults.push(format!("{folder}/{name} belongs to no fuzz target"));
            }
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("what fuzzing found:\n  {}", faults.join("\n  "))
}

/// Whether a file is Rust that `cargo xtask test` compiles; this one shows a call without making it.
fn is_tested(file: &str) -> bool {
    let outside = ["fuzz/", "benches/", "xtask/"];
    let is_rust = Path::new(file).extension().is_some_and(|is| is == "rs");
    is_rust && !outside.iter().any(|folder| file.starts_with(folder))
}

/// The targets for which no text calls `hold("TARGET", …)`.
fn not_replayed(targets: &BTreeSet<String>, texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut missing = targets.clone();
    for text in texts.filter(|text| text.contains("hold(")) {
        // rustfmt may break the line.
        let dense: String = text.split_whitespace().collect();
        missing.retain(|target| !dense.contains(&format!("hold(\"{target}\",")));
    }
    missing
        .into_iter()
        .map(|target| format!("no test calls jackfield_corpora::hold(\"{target}\", …)"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_nobody_replays_is_found() {
        let targets = ["irc_codec", "irc_session"].map(str::to_owned).into();
        let missing = |texts: &[&str]| {
            not_replayed(&targets, texts.iter().map(|text| (*text).to_owned())).len()
        };
        assert_eq!(missing(&[]), 2);
        assert_eq!(missing(&["hold(\"irc_codec\", codec);"]), 1);
        assert_eq!(
            missing(&["hold(\"irc_codec_2\", codec);", "// irc_session"]),
            2
        );
        assert_eq!(
            missing(&[
                "jackfield_corpora::hold(\"irc_session\", oracle::session);",
                "hold(\n    \"irc_codec\",\n    |data| codec(data),\n);",
            ]),
            0
        );
    }

    #[test]
    fn every_target_of_today_is_replayed() {
        check().expect("each has its test");
    }
}
