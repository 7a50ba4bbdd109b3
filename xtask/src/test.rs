//! `cargo xtask test`: every test, in stages.

mod programs;

use std::fs;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::fuzz;
use crate::needs::{
    self, ATHEME, CLANG, COURIER, CURL, CXX, CYRUS, DOVECOT, DOVECOT_24, EXIM, EXIM_SID, HAPROXY,
    INSPIRCD, IP, LIBCOAP, MOSQUITTO, NGINX, NGIRCD, NODE_SERVERS, Need, OPENSMTPD, OPENSMTPD_7,
    PEBBLE, POSTFIX, POSTFIX_SID, POSTGRESQL, REDIS, SENDMAIL, SYSTEMD,
};
use crate::run::{captured, cargo, seconds};
use crate::workspace::{Package, packages, target_folder};

use self::programs::Program;

/// How many tests may pass only when they run alone. One is a fault of the test, to be mended; with more,
/// something else is wrong.
const MAX_UNSTEADY: usize = 3;
/// How long each fuzz target runs, in seconds.
const FUZZ_SECONDS: u32 = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these stages: unit, docs, conformance, integration, servers, browsers, fuzz
    stages: Vec<String>,
    /// Move gigabytes where the ordinary run moves megabytes (sets JACKFIELD_SOAK=1)
    #[arg(long)]
    soak: bool,
}

/// A part of the tests.
struct Stage {
    name: &'static str,
    needs: &'static [Need],
    run: fn(&Context) -> Result<Count>,
}

const STAGES: &[Stage] = &[
    Stage {
        name: "unit",
        needs: &[],
        run: unit,
    },
    Stage {
        name: "docs",
        needs: &[],
        run: docs,
    },
    Stage {
        name: "conformance",
        needs: &[],
        run: |context| integration(context, true),
    },
    Stage {
        name: "integration",
        needs: &[],
        run: |context| integration(context, false),
    },
    Stage {
        name: "servers",
        needs: &[
            DOVECOT,
            INSPIRCD,
            ATHEME,
            NGIRCD,
            CURL,
            MOSQUITTO,
            LIBCOAP,
            IP,
            POSTFIX,
            CYRUS,
            DOVECOT_24,
            COURIER,
            EXIM,
            EXIM_SID,
            OPENSMTPD,
            OPENSMTPD_7,
            POSTFIX_SID,
            SENDMAIL,
            HAPROXY,
            NGINX,
            PEBBLE,
            REDIS,
            SYSTEMD,
            NODE_SERVERS,
            Need::PythonPackages,
        ],
        run: |context| context.stage("servers"),
    },
    Stage {
        name: "browsers",
        needs: &[
            Need::WasmTarget,
            CLANG,
            Need::Chromium,
            INSPIRCD,
            MOSQUITTO,
            LIBCOAP,
            REDIS,
            POSTGRESQL,
            HAPROXY,
            NODE_SERVERS,
            Need::PythonPackages,
        ],
        run: |context| context.stage("browsers"),
    },
    Stage {
        name: "fuzz",
        needs: &[CXX],
        run: |_| fuzz_all(),
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    for wanted in &arguments.stages {
        if !STAGES.iter().any(|stage| stage.name == wanted) {
            let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
            bail!("no stage {wanted}; there are {}", names.join(", "));
        }
    }
    let mut context = Context {
        packages: packages("Cargo.toml")?,
        soak: arguments.soak,
        without: Vec::new(),
    };
    context.check()?;
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    let (mut total, mut skipped) = (Count::default(), Vec::new());
    for stage in STAGES {
        let wanted = &arguments.stages;
        if wanted.is_empty() || wanted.iter().any(|name| name == stage.name) {
            total.add(stage.run(&mut context, ci, &mut skipped, needs::ensure_one));
        }
    }
    println!("{total}");
    for what in skipped {
        println!("  SKIPPED: {what}");
    }
    if total.failed > 0 {
        bail!("the tests failed");
    }
    if total.unsteady > MAX_UNSTEADY {
        bail!("more than {MAX_UNSTEADY} tests pass only when they run alone");
    }
    Ok(())
}

impl Stage {
    /// Runs it and says how it went. Whatever prevents it counts as one failure or one skip, and so does each
    /// server that can't be unpacked: its own tests are passed over, and no others. What was skipped, and why,
    /// is added to that list.
    fn run(
        &self,
        context: &mut Context,
        ci: bool,
        skipped: &mut Vec<String>,
        mut ensure: impl FnMut(&Need) -> Result<()>,
    ) -> Count {
        println!("{}", self.name);
        let start = Instant::now();
        let mut count = Count::default();
        let mut skip = |what: String| {
            println!("  SKIPPED: {what}");
            skipped.push(what);
            count.add(if ci {
                println!("  and nothing may be skipped where CI is set: FAILED");
                Count::failed(1)
            } else {
                Count::skipped(1)
            });
        };
        context.without.clear();
        for need in self.needs {
            match (ensure(need), need) {
                (Ok(()), _) => {}
                (Err(reason), Need::Unpacked { name, .. }) => {
                    skip(format!("{name}: {reason:#}"));
                    context.without.push(name);
                }
                (Err(reason), _) => {
                    skip(format!("{}: {reason:#}", self.name));
                    return count;
                }
            }
        }
        count.add((self.run)(context).unwrap_or_else(|error| {
            println!("  FAILED: {error:#}");
            Count::failed(1)
        }));
        println!("  {count} in {}", seconds(start.elapsed()));
        count
    }
}

/// What the stages share.
struct Context {
    packages: Vec<Package>,
    soak: bool,
    /// The unpacked servers that are not there: their tests are passed over.
    without: Vec<&'static str>,
}

impl Context {
    /// Runs the tests of these programs and counts.
    fn run(&self, which: &[&str], wanted: impl Fn(&Package, &Program) -> bool) -> Result<Count> {
        fs::create_dir_all(target_folder()?.join("test-output"))?;
        let mut count = Count::default();
        for program in programs::build(which)? {
            let package = self.packages.iter().find(|it| it.name == program.package);
            let Some(package) = package.filter(|package| wanted(package, &program)) else {
                continue;
            };
            count.add(program.run(package, &self.without, self.soak)?);
        }
        Ok(count)
    }

    /// Fails where the tests of a package would never run.
    fn check(&self) -> Result<()> {
        for package in &self.packages {
            let Some(wanted) = package.stage() else {
                continue;
            };
            if !STAGES.iter().any(|stage| stage.name == wanted) {
                bail!(
                    "{} asks for a stage {wanted}, and there is none",
                    package.name
                );
            }
        }
        Ok(())
    }

    /// Runs the tests of the packages that have a stage of their own.
    fn stage(&self, name: &str) -> Result<Count> {
        self.run(ALL, |package, _| package.stage() == Some(name))
    }
}

/// Arguments of cargo for all programs with tests.
const ALL: &[&str] = &["--tests"];

fn unit(context: &Context) -> Result<Count> {
    context.run(&["--lib", "--bins"], |package, program| {
        package.stage().is_none() && !program.integration
    })
}

/// The examples in the documentation.
fn docs(_: &Context) -> Result<Count> {
    let mut test = cargo(&["test", "--workspace", "--doc", "--all-features"]);
    Ok(programs::count(
        "doc tests",
        &captured("doc tests", &mut test)?,
    ))
}

/// The tests in `tests/` of each package that needs nothing else: those of the conformance suite, or all others.
fn integration(context: &Context, conformance: bool) -> Result<Count> {
    context.run(ALL, |package, program| {
        let of_suite = program.name.starts_with("conformance");
        package.stage().is_none() && program.integration && of_suite == conformance
    })
}

fn fuzz_all() -> Result<Count> {
    let folder = fuzz::build()?;
    let targets = fuzz::targets()?;
    let mut count = Count::failed(fuzz::all(&folder, &targets, FUZZ_SECONDS).len());
    count.passed = targets.len() - count.failed;
    Ok(count)
}

/// How many tests went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Of those that passed: not at the first attempt.
    unsteady: usize,
}

impl Count {
    fn failed(failed: usize) -> Self {
        Self {
            failed,
            ..Self::default()
        }
    }

    fn skipped(skipped: usize) -> Self {
        Self {
            skipped,
            ..Self::default()
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.unsteady += other.unsteady;
    }

    /// Adds up the lines `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
    fn of(output: &str) -> Self {
        let mut count = Self::default();
        for line in output.lines() {
            let Some(result) = line.trim_start().strip_prefix("test result: ") else {
                continue;
            };
            for part in result.split([';', '.']) {
                let mut words = part.split_whitespace();
                let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                match words.next() {
                    Some("passed") => count.passed += number,
                    Some("failed") => count.failed += number,
                    Some("ignored") => count.skipped += number,
                    _ => {}
                }
            }
        }
        count
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        if self.unsteady > 0 {
            write!(f, ", {} unsteady", self.unsteady)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(stages: &[Option<&str>]) -> Context {
        let package = |stage: Option<&str>| Package {
            name: format!("of-{}", stage.unwrap_or("none")),
            manifest: json!({ "metadata": { "xtask": { "stage": stage } } }),
            ..Package::default()
        };
        Context {
            packages: stages.iter().copied().map(package).collect(),
            soak: false,
            without: Vec::new(),
        }
    }

    #[test]
    fn a_package_has_the_stage_that_it_names() {
        let context = context(&[None, Some("servers"), Some("browsers")]);
        context.check().expect("both are known");
        let stages: Vec<_> = context.packages.iter().map(Package::stage).collect();
        assert_eq!(stages, [None, Some("servers"), Some("browsers")]);
    }

    #[test]
    fn a_stage_that_does_not_exist_is_told() {
        let error = context(&[Some("seavers")]).check().expect_err("a mistake");
        assert!(error.to_string().contains("seavers"));
    }

    /// A stage that needs a program and three servers, and passes one test for each server that is there.
    const SERVERS: Stage = Stage {
        name: "servers",
        needs: &[CURL, EXIM, POSTFIX, CYRUS],
        run: |context| {
            Ok(Count {
                passed: 3 - context.without.len(),
                ..Count::default()
            })
        },
    };

    fn run(ci: bool, missing: &str) -> (Count, Vec<String>, Context) {
        let (mut context, mut skipped) = (context(&[]), Vec::new());
        let count = SERVERS.run(&mut context, ci, &mut skipped, |need| match need {
            Need::Unpacked { name, .. } | Need::Program(name, _) if missing.contains(name) => {
                bail!("the network is down")
            }
            _ => Ok(()),
        });
        (count, skipped, context)
    }

    #[test]
    fn a_server_that_cannot_be_unpacked_is_skipped_alone_and_told() {
        let (count, skipped, context) = run(false, "exim cyrus");
        assert_eq!(count.to_string(), "1 passed, 0 failed, 2 skipped");
        let told = ["exim: the network is down", "cyrus: the network is down"];
        assert_eq!(skipped, told);
        assert_eq!(context.without, ["exim", "cyrus"]);
        // Where nothing may be skipped, the others run all the same.
        let (count, skipped, _) = run(true, "exim");
        assert_eq!(count.to_string(), "2 passed, 1 failed");
        assert_eq!(skipped, [told[0]]);
    }

    #[test]
    fn a_program_that_is_missing_skips_its_stage() {
        let (count, skipped, _) = run(false, "curl");
        assert_eq!(count.to_string(), "0 passed, 0 failed, 1 skipped");
        assert_eq!(skipped, ["servers: the network is down"]);
    }

    #[test]
    fn results_are_added_up() {
        let output = "running 2 tests\n..\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.50s\n";
        let count = Count::of(output);
        assert_eq!(count.to_string(), "5 passed, 1 failed, 2 skipped");
        assert_eq!(
            Count::of("error: could not compile").to_string(),
            "0 passed, 0 failed"
        );
    }
}
