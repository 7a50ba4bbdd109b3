//! `cargo xtask bench`: measures, and writes `docs/benchmarks.md`.

use anyhow::{Result, ensure};

use crate::run::cargo;
use crate::web;
use crate::workspace::root;

const MANIFEST: &str = "benches/Cargo.toml";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Measure only what has this in its name
    filter: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        root().join(MANIFEST).is_file(),
        "there is nothing to measure: {MANIFEST} does not exist"
    );
    println!("building what is measured");
    web::build()?;
    println!("measuring; docs/benchmarks.md will hold the result");
    let mut bench = cargo(&["run", "--release", "--quiet", "--manifest-path", MANIFEST]);
    bench
        .arg("--")
        .arg("--out")
        .arg(root().join("docs/benchmarks.md"))
        .args(&arguments.filter);
    // It prints each figure as it has it: a run takes minutes.
    let status = bench.status()?;
    ensure!(status.success(), "the benchmarks ended with {status}");
    Ok(())
}
