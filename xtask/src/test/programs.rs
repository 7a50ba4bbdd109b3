//! The programs in which the tests are: built together, run one by one.
//!
//! All of them are built as parts of the whole workspace. Cargo chooses a crate's features after the packages
//! that it is asked for, so that `cargo test --package` would build tokio, and all that stands on it, anew for
//! each choice of packages. And where one program hangs, the others still run.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Count;
use crate::run::{Ran, captured, cargo, command, quietly, read, seconds};
use crate::workspace::{Package, root, target_folder};

/// A program that takes longer gets a line of its own.
const LONG: Duration = Duration::from_secs(20);

/// A program with tests in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The package to which it belongs.
    pub(super) package: String,
    /// The name of the library, program or test that it was made of.
    pub(super) name: String,
    /// Whether its tests stand in the package's `tests` folder.
    pub(super) integration: bool,
    file: PathBuf,
}

/// Builds the tests of these kinds of the whole workspace: arguments of cargo that choose them.
pub(super) fn build(which: &[&str]) -> Result<Vec<Program>> {
    let mut arguments = vec!["test", "--no-run", "--workspace", "--all-features"];
    arguments.extend(which);
    quietly("building the tests", &mut cargo(&arguments))?;
    // Asked again, it has nothing to do but to say what there is.
    arguments.extend(["--quiet", "--message-format=json"]);
    let said = read(&mut cargo(&arguments))?;
    let mut programs: Vec<_> = said.lines().filter_map(program).collect();
    programs.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    Ok(programs)
}

/// What a line of cargo's JSON says was built, if it is a test.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    Some(Program {
        // `path+file:///folder/of/it#name@0.1.0`, or without the name where the folder has the same.
        package: package_name(message["package_id"].as_str()?)?,
        name: message["target"]["name"].as_str()?.to_owned(),
        integration: message["target"]["kind"][0] == "test",
        file: message["executable"].as_str()?.into(),
    })
}

fn package_name(id: &str) -> Option<String> {
    let (path, fragment) = id.rsplit_once('#')?;
    let name = match fragment.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next()?,
    };
    Some(name.to_owned())
}

impl Program {
    /// Runs its tests, and shows what they said if one failed. Those that failed run once more, by themselves
    /// and one after the other: what passes then depends on what else the machine does, and is counted as unsteady.
    pub(super) fn run(&self, package: &Package, without: &[&str], soak: bool) -> Result<Count> {
        let title = format!("{} {}", self.package, self.name);
        let start = Instant::now();
        let ran = captured(&title, &mut self.command(package, without, soak)?)?;
        let (success, took) = (ran.status.success(), start.elapsed());
        let mut count = count(&title, &ran);
        if !success || took >= LONG {
            let word = if success { "ok" } else { "FAILED" };
            println!("  {title:<44} {word:<6} {}", seconds(took));
        }
        let failed = failed(&ran.output);
        if !success && !ran.hung && failed.len() == count.failed {
            let mut command = self.command(package, without, soak)?;
            command.args(["--exact", "--test-threads=1"]).args(&failed);
            let again = captured(&format!("{title} again"), &mut command)?;
            let passed = Count::of(&again.output).passed;
            if again.status.success() && passed == failed.len() {
                println!("  {title:<44} UNSTEADY: {}", failed.join(", "));
                count.failed = 0;
                count.passed += passed;
                count.unsteady += passed;
            }
        }
        Ok(count)
    }

    /// As cargo runs it.
    fn command(&self, package: &Package, without: &[&str], soak: bool) -> Result<Command> {
        let mut command = command(self.file.to_str().context("a path that is not UTF-8")?, &[]);
        let folder = root().join(&package.folder);
        command
            .env("CARGO_MANIFEST_DIR", &folder)
            .current_dir(folder);
        command.env(
            "JACKFIELD_TEST_OUTPUT",
            target_folder()?.join("test-output"),
        );
        command.env("JACKFIELD_WITHOUT", without.join(" "));
        // The workspace's programs are built as the tests are, and need not be built again by themselves.
        command.env("JACKFIELD_BUILT", "1");
        if soak {
            command.env("JACKFIELD_SOAK", "1");
        }
        Ok(command)
    }
}

/// The tests that failed, by the list at the end of what a program of tests says.
fn failed(output: &str) -> Vec<&str> {
    let Some((_, list)) = output.rsplit_once("\nfailures:\n") else {
        return Vec::new();
    };
    list.lines()
        .map_while(|line| line.strip_prefix("    "))
        .collect()
}

/// Counts what tests said, and shows it if one failed.
pub(super) fn count(title: &str, ran: &Ran) -> Count {
    let mut count = Count::of(&ran.output);
    if !ran.status.success() {
        println!("{}", ran.output);
        let log = ran.log.strip_prefix(root()).unwrap_or(&ran.log);
        let hung = if ran.hung { ", since it hung" } else { "" };
        println!(
            "  {title}: {}{hung} (kept in {})",
            ran.status,
            log.display()
        );
        // It may have failed before the first test could say so.
        count.failed = count.failed.max(1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_stands_in_the_last_list() {
        let output = "running 3 tests\ntest one ... ok\ntest a::two ... FAILED\ntest three ... FAILED\n\nfailures:\n\n\
            ---- a::two stdout ----\nfailures:\n    of its own\n\n\nfailures:\n    a::two\n    three\n\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        assert_eq!(failed(output), ["a::two", "three"]);
        assert!(failed("error: it can't be run").is_empty());
    }

    #[test]
    fn only_tests_are_programs_to_run() {
        let line = |test: bool, kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///a/relayd#jackfield-relayd@0.1.0",
                "target":{{"kind":["{kind}"],"name":"tls"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let found = program(&line(true, "test", r#""/t/tls-0""#)).expect("a test");
        assert_eq!((&*found.package, &*found.name), ("jackfield-relayd", "tls"));
        assert!(found.integration);
        assert!(
            !program(&line(true, "lib", r#""/t/a-0""#))
                .expect("a test")
                .integration
        );
        assert_eq!(program(&line(false, "bin", r#""/t/a""#)), None);
        assert_eq!(program(&line(true, "lib", "null")), None);
        assert_eq!(
            program(r#"{"reason":"build-finished","success":true}"#),
            None
        );
        assert_eq!(
            package_name("path+file:///a/xtask#0.1.0").as_deref(),
            Some("xtask")
        );
    }
}
