//! The inputs of the fuzz targets, replayed without a fuzzer: what it begins with
//! (`fuzz/corpus/TARGET`) and what it has found (`tests/regressions/TARGET`).
//!
//! `cargo xtask check` refuses a fuzz target for which nobody calls [`hold`].

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The folders that have one folder a target.
const FOLDERS: [&str; 2] = ["fuzz/corpus", "tests/regressions"];

/// Gives every input of a fuzz target to its oracle.
///
/// # Panics
/// With the names of the files for which the oracle panicked, after all were tried; and where there
/// is no file at all, or one can't be read.
pub fn hold(target: &str, oracle: impl Fn(&[u8])) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    hold_below(here.ancestors().nth(2).unwrap_or(here), target, oracle);
}

fn hold_below(root: &Path, target: &str, oracle: impl Fn(&[u8])) {
    let mut files: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| files(&root.join(folder).join(target)))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no inputs");
    let breaks = |path: &PathBuf| {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        catch_unwind(AssertUnwindSafe(|| oracle(&bytes))).is_err()
    };
    files.retain(breaks);
    let named = |path: &PathBuf| {
        path.strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let names: Vec<String> = files.iter().map(named).collect();
    assert!(names.is_empty(), "{target} fails with {}", names.join(", "));
}

/// The files of a folder, which need not exist: not every target has found something.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| match entry {
            Ok(entry) => entry.path(),
            Err(error) => panic!("{}: {error}", folder.display()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn root(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
            fs::write(path, file).expect("it is written");
        }
        root
    }

    fn message(panic: &(dyn std::any::Any + Send)) -> String {
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_default()
    }

    #[test]
    fn corpus_and_regressions_are_replayed() {
        let root = root(&[
            "fuzz/corpus/a/1",
            "tests/regressions/a/2",
            "fuzz/corpus/b/3",
        ]);
        let seen = RefCell::new(Vec::new());
        hold_below(root.path(), "a", |bytes| {
            seen.borrow_mut()
                .push(String::from_utf8_lossy(bytes).into_owned());
        });
        assert_eq!(*seen.borrow(), ["fuzz/corpus/a/1", "tests/regressions/a/2"]);
    }

    #[test]
    fn a_failure_names_each_file() {
        let root = root(&[
            "fuzz/corpus/a/1",
            "tests/regressions/a/2",
            "tests/regressions/a/3",
        ]);
        let fails = |bytes: &[u8]| assert!(bytes.starts_with(b"fuzz"));
        let failed = catch_unwind(|| hold_below(root.path(), "a", fails)).expect_err("it fails");
        assert_eq!(
            message(&*failed),
            "a fails with tests/regressions/a/2, tests/regressions/a/3"
        );
    }

    #[test]
    fn a_target_without_inputs_is_a_mistake() {
        let root = root(&["fuzz/corpus/a/1"]);
        let failed = catch_unwind(|| hold_below(root.path(), "b", |_| {})).expect_err("no inputs");
        assert_eq!(message(&*failed), "b has no inputs");
    }
}
