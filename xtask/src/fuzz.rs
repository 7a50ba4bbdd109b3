//! `cargo xtask fuzz`: libFuzzer with the stable toolchain.
//!
//! What `cargo fuzz` needs nightly for are the sanitizers; coverage, which makes a fuzzer find its
//! way, is an LLVM pass that stable can be told to run. Overflow checks and debug assertions stay
//! on, which is what finds faults in safe code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::needs::{self, CXX};
use crate::run::{captured, cargo, command, quietly, read};
use crate::workspace::{packages, root, target_folder_of};

const MANIFEST: &str = "fuzz/Cargo.toml";

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The target; without it, all of them
    target: Option<String>,
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// List the targets
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut targets = targets()?;
    if arguments.list {
        println!("{}", targets.join("\n"));
        return Ok(());
    }
    if let Some(one) = &arguments.target {
        if !targets.contains(one) {
            bail!("no target {one}; there are {}", targets.join(", "));
        }
        targets = vec![one.clone()];
    }
    println!(
        "fuzzing each of {} for {} s",
        targets.len(),
        arguments.seconds
    );
    let folder = build()?;
    let failed = all(&folder, &targets, arguments.seconds);
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("crashes in {}", failed.join(", "))
    }
}

/// The fuzz targets.
pub(crate) fn targets() -> Result<Vec<String>> {
    let targets: Vec<String> = packages(MANIFEST)?
        .into_iter()
        .flat_map(|package| package.binaries)
        .collect();
    if targets.is_empty() {
        bail!("{MANIFEST} has no targets");
    }
    Ok(targets)
}

/// Builds all targets; returns the folder in which they are.
pub(crate) fn build() -> Result<PathBuf> {
    needs::ensure(&[CXX])?;
    // With a target named, the flags reach neither build scripts nor procedural macros.
    let host = read(&mut command("rustc", &["--print", "host-tuple"]))?;
    let host = host.trim();
    quietly(
        "building the fuzz targets",
        cargo(&["build", "--manifest-path", MANIFEST, "--target", host]).env("RUSTFLAGS", COVERAGE),
    )?;
    Ok(target_folder_of(MANIFEST)?.join(host).join("debug"))
}

/// Runs the targets, as many at a time as there are cores, and says how each went; gives those that failed.
pub(crate) fn all<'a>(folder: &Path, targets: &'a [String], seconds: u32) -> Vec<&'a str> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(targets.iter());
    let failed = Mutex::new(Vec::new());
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(target) = next() {
                    if let Err(error) = one(folder, target, seconds) {
                        println!("  {error:#}");
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(target.as_str());
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one target, which starts from its corpus and leaves what it finds there.
fn one(folder: &Path, target: &str, seconds: u32) -> Result<()> {
    // What is found goes to a folder outside the repository's own corpus, which holds chosen cases.
    let found = target_folder_of(MANIFEST)?.join("corpus").join(target);
    let kept = root().join("fuzz/corpus").join(target);
    let artifacts = root().join("fuzz/artifacts").join(target);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
    }
    let mut run = command(&folder.join(target).to_string_lossy(), &[]);
    run.arg(&found);
    if kept.is_dir() {
        run.arg(&kept);
    }
    run.arg(format!("-max_total_time={seconds}"))
        .arg("-timeout=5")
        .arg("-rss_limit_mb=1024")
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    // Several run at once, so each says its line when it has ended.
    let title = format!("fuzzing {target}");
    let ran = captured(&title, &mut run)?;
    let success = ran.status.success();
    let word = if success { "ok" } else { "FAILED" };
    println!("  {title:<44} {word}");
    if !success {
        println!("{}", ran.output);
        bail!("{title}: the input is in {}", artifacts.display());
    }
    Ok(())
}
