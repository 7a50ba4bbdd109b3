//! The one command to learn: `cargo xtask demo | test | check | bench | fuzz | web | reference`.
//!
//! Each verb says what it is doing and how long it took; what the tools print is shown when they
//! fail, and kept in the target folder's `xtask/` either way.

#![expect(
    clippy::print_stdout,
    reason = "it talks to the person who typed the command"
)]

mod bench;
mod check;
mod demo;
mod fuzz;
mod needs;
mod reference;
mod run;
mod test;
mod web;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything one does with Jackfield's source.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the relay, an IRC server and the page, and print the address to open
    ///
    /// Builds what the page needs, and installs what that needs where it can. Ctrl-C ends all of
    /// it.
    Demo(demo::Arguments),
    /// Run every test: unit, conformance, real servers, browsers, and each fuzz target for 10 s
    ///
    /// A stage that can't run here is SKIPPED with the reason; where the variable CI is set, that
    /// is a failure.
    Test(test::Arguments),
    /// Check formatting, lints, documentation, dependencies, licences and the tree's own rules
    Check(check::Arguments),
    /// Measure, and write docs/benchmarks.md
    Bench(bench::Arguments),
    /// Fuzz one target or all of them, with the stable toolchain
    Fuzz(fuzz::Arguments),
    /// Build the npm package and the pages into dist/: ready to publish, to serve, and as Isolated Web Apps
    Web(web::Arguments),
    /// Make the reference of the npm package, in the target folder's reference/
    Reference,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::Fuzz(arguments) => fuzz::run(&arguments),
        Verb::Web(arguments) => web::run(&arguments),
        Verb::Reference => reference::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
