//! What happens to a test whose programs aren't installed.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

use crate::process::find_program;

/// Names a file to which each skipped test adds a line, so that a test run can report them: the
/// output of a test that passes is not shown.
pub const SKIPPED_FILE: &str = "JACKFIELD_SKIPPED";

/// Whether the calling test has to be left out, since one of these programs isn't installed.
/// Says so, as `SKIPPED: reason`; where the variable `CI` is set, nothing may be left out.
///
/// # Panics
/// When something is missing and `CI` is set.
pub fn without(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| find_program(program).is_none())
        .collect();
    if missing.is_empty() {
        return false;
    }
    let test = std::thread::current();
    let reason = format!(
        "SKIPPED: {}: not installed: {}",
        test.name().unwrap_or("a test"),
        missing.join(", ")
    );
    assert!(env::var_os("CI").is_none(), "{reason}");
    eprintln!("{reason}");
    if let Some(path) = env::var_os(SKIPPED_FILE) {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{reason}"));
    }
    true
}
